import { X509Certificate } from 'node:crypto'
import { isObject } from '../../src/policy/shape.ts'
import { metadataOf } from '../../src/world/cluster/change.ts'
import { BACKDATED, isAuthority, mint, mintAuthority, servingNames, whyNotServing } from '../webhook/certificate.ts'

/** The Secret that all replicas serve with, as the sigstore policy controller keeps it. */
export const SECRET = 'webhook-certs'

const CERTIFICATE = 'server-cert.pem'
const KEY = 'server-key.pem'
const CA = 'ca-cert.pem'
const CA_KEY = 'ca-key.pem' // Sealgate's own: with it a certificate is renewed under the CA that everybody trusts already

const REFRESH = 'policy.sigstore.dev/refresh' // set by people who want another certificate, to a value that it did not have
const REFRESHED = 'policy.sigstore.dev/refreshed' // the last value of the above that was done

const RENEW_BEFORE = 30 * 24 * 60 * 60_000 // ms before the end of a certificate, and not before two thirds of its life
const LAST_CALL = 10 * 60_000 // ms before the end of a certificate at which it is exchanged, whoever may not have heard of the CA of the next one
const MAX_CERTIFICATES = 8 // of CAs that are trusted together; rotating needs two
const MAX_TEXT = 256 * 1024 // characters of one entry; a chain of a few certificates takes 10 KiB
const LATEST = 6 * 60 * 60_000 // ms after which an end that lies far away is looked at again

/** A certificate chain and its key, PEM. */
export type Pair = { readonly certificate: string; readonly key: string }

/** What a Secret holds that can be served with. */
export type Serving = Pair & {
  /** The CAs that clients have to trust, PEM, one each; several while they are being exchanged. None where the Secret does not say. */
  readonly authorities: readonly string[]
  /** The key of the authority that signs. */
  readonly caKey: string | undefined
  /** Whether somebody else writes it: it is served with and never changed. */
  readonly isGiven: boolean
}

/** What can be served with of a Secret; undefined where it holds nothing that an API server would believe now. */
export function servingIn(secret: object | undefined, service: string, now: Date): Serving | undefined {
  const entries = (secret as { readonly data?: unknown } | undefined)?.data
  const data = isObject(entries) ? entries : {}
  const isGiven = isGivenSecret(secret)
  const [certificate, key, ca] = isGiven
    ? [textIn(data, 'tls.crt'), textIn(data, 'tls.key'), textIn(data, 'ca.crt')]
    : [textIn(data, CERTIFICATE), textIn(data, KEY), textIn(data, CA)]
  const caKey = textIn(data, CA_KEY)
  if (certificate === '' || whyNotServing(certificate, key) !== undefined) return undefined
  const serving = { certificate, key, authorities: certificatesIn(ca), caKey: caKey === '' ? undefined : caKey, isGiven }
  return isGiven || isBelievable(serving, service, now) ? serving : undefined
}

/** Whether somebody else writes a Secret: cert-manager does, into Secrets of the type for TLS. */
export function isGivenSecret(secret: object | undefined): boolean {
  const annotations = metadataOf(secret)['annotations']
  const type = (secret as { readonly type?: unknown } | undefined)?.type
  return type === 'kubernetes.io/tls' || (isObject(annotations) && 'cert-manager.io/certificate-name' in annotations)
}

/** `data` of the Secret for what it is to hold. */
export function dataOf({ certificate, key, authorities, caKey }: Serving): Readonly<Record<string, string>> {
  const texts = { [CERTIFICATE]: certificate, [KEY]: key, [CA]: authorities.join(''), ...(caKey !== undefined && { [CA_KEY]: caKey }) }
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString('base64')]))
}

export type Names = { readonly service: string; readonly namespace: string }

/** A certificate for when there is none, with a CA of its own besides those that are trusted already. */
export async function firstServing(trusted: readonly string[], { service, namespace }: Names, now: Date): Promise<Serving> {
  const made = await mint(await mintAuthority(now), servingNames(service, namespace, ''), now)
  const { certificate, key, ca, caKey } = made
  return { certificate, key, caKey, authorities: [...others(trusted, now), ca], isGiven: false }
}

export type Next =
  /** Nothing to do for so many ms. */
  { readonly do: 'wait'; readonly again: number } | { readonly do: 'write'; readonly serving: Serving; readonly why: string }

export type Circumstances = {
  readonly names: Names
  readonly now: Date
  /** ms for which both CAs are trusted before the new one signs, and after. */
  readonly overlap: number
  /** ms for which every configuration has told API servers to trust these authorities; undefined: one does not yet. */
  publishedFor(authorities: readonly string[]): number | undefined
  /** Whether somebody asked for another certificate. */
  readonly isAsked: boolean
}

/**
 * The next step of renewing, so that no connection is ever refused. Under a CA that goes on, a certificate is exchanged at once. Another CA is
 * first trusted besides the old one; when every API server has had the time to learn that, it signs; and when every replica has had the time to serve
 * with what it signed, the old one goes.
 */
export async function nextServing(serving: Serving, { names, now, overlap, publishedFor, isAsked }: Circumstances): Promise<Next> {
  const { authorities, caKey } = serving
  const leaf = new X509Certificate(serving.certificate)
  const issuer = authorities.find((ca) => signed(ca, leaf))
  const signer = caKey === undefined ? undefined : authorities.find((ca) => isAuthority({ ca, caKey }, now))
  const left = leaf.validToDate.getTime() - now.getTime()
  const renewal = Math.min(RENEW_BEFORE, (leaf.validToDate.getTime() - leaf.validFromDate.getTime()) / 3)
  const isDue = left <= renewal

  if (signer === undefined || caKey === undefined || isAsked) {
    if (!isDue && !isAsked && caKey === undefined) return { do: 'wait', again: Math.min(left - renewal, LATEST) }
    const another = await mintAuthority(now)
    return {
      do: 'write',
      why: 'another CA is trusted besides the one that signed',
      serving: {
        ...serving,
        authorities: [...others(issuer === undefined ? authorities : [issuer], now), another.ca],
        caKey: another.caKey,
      },
    }
  }
  if (signer !== issuer) {
    const published = publishedFor(authorities)
    const patience = published === undefined ? overlap : overlap - published
    // An end that comes sooner than everybody can have been told is no reason to refuse everybody.
    if (patience > 0 && left > LAST_CALL) return { do: 'wait', again: published === undefined ? Math.max(100, overlap / 10) : patience }
  }
  if (signer !== issuer || isDue) {
    const { certificate, key } = await mint({ ca: signer, caKey }, servingNames(names.service, names.namespace, ''), now)
    return { do: 'write', why: 'the certificate is renewed', serving: { ...serving, certificate, key } }
  }
  if (authorities.length > 1) {
    const patience = since(serving.certificate, now, overlap)
    if (patience > 0) return { do: 'wait', again: patience }
    return { do: 'write', why: 'the CA that no longer signs is no longer trusted', serving: { ...serving, authorities: [signer] } }
  }
  return { do: 'wait', again: Math.min(left - renewal, LATEST) }
}

/** What a person asked for with an annotation and has not got yet. */
export function askedFor(secret: object | undefined): string | undefined {
  const annotations = metadataOf(secret)['annotations']
  const asked = isObject(annotations) ? annotations[REFRESH] : undefined
  return typeof asked === 'string' && isObject(annotations) && annotations[REFRESHED] !== asked ? asked : undefined
}

/** The annotations of the Secret once that was done. */
export function annotationsAfter(secret: object | undefined, done: string): Readonly<Record<string, unknown>> {
  const annotations = metadataOf(secret)['annotations']
  return { ...(isObject(annotations) ? annotations : {}), [REFRESHED]: done }
}

/** ms until `overlap` has passed since a certificate was made. */
function since(certificate: string, now: Date, overlap: number): number {
  return new X509Certificate(certificate).validFromDate.getTime() + BACKDATED + overlap - now.getTime()
}

/** Those of the CAs that still can vouch for something, the newest of them. */
function others(authorities: readonly string[], now: Date): readonly string[] {
  return authorities.filter((ca) => new X509Certificate(ca).validToDate > now).slice(1 - MAX_CERTIFICATES)
}

/** Whether an API server that trusts these authorities and asks for the Service believes the certificate. */
function isBelievable({ certificate, authorities }: Pick<Serving, 'certificate' | 'authorities'>, host: string, now: Date): boolean {
  const leaf = new X509Certificate(certificate)
  if (leaf.validFromDate > now || leaf.validToDate <= now || leaf.checkHost(host) === undefined) return false
  return authorities.some((ca) => signed(ca, leaf))
}

function signed(ca: string, leaf: X509Certificate): boolean {
  const authority = new X509Certificate(ca)
  return leaf.checkIssued(authority) && leaf.verify(authority.publicKey)
}

/** The certificates in a text; what cannot be read is left out. */
function certificatesIn(text: string): readonly string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.slice(-MAX_CERTIFICATES).flatMap((block) => {
    try {
      void new X509Certificate(block)
      return [`${block}\n`]
    } catch {
      return []
    }
  })
}

function textIn(data: Readonly<Record<string, unknown>>, name: string): string {
  const value = data[name]
  return typeof value === 'string' && value.length <= MAX_TEXT ? Buffer.from(value, 'base64').toString('utf8') : ''
}
