import type { X509Certificate } from '@sigstore/core'
import type { Read } from '../verdict/read.ts'
import type { Reason } from '../verdict/reason.ts'
import { quoted, sentenceOf } from '../verdict/reason.ts'
import type { CertificateFacts } from './certificate.ts'
import { derOf, factsOf, isSignedBy } from './certificate.ts'
import type { CertificateAuthority, Validity } from './material.ts'
import { whyNotPermitted } from './name-constraints.ts'

const MAX_PATH = 8 // certificates, leaf and anchor included; real paths have two to four
const MAX_STEPS = 32 // issuers that are tried, 0.1 to 0.7 ms each: with several of one name the number of paths grows exponentially
const MAX_LINKS = 8 // certificates that came with the signature; more are not looked at

/** What a certificate is for. */
export type Purpose = 'code-signing' | 'time-stamping'

/** A path that was verified: every signature, and everything else at one instant of `from` … `until`. */
export type CertificatePath = {
  /** The leaf first, the anchor last; at least two. */
  readonly certificates: readonly X509Certificate[]
  /** In ms since 1970, both ends included: when all certificates are valid and the authority is in service. `until` may be Infinity. */
  readonly from: number
  readonly until: number
  /** Whose it is. */
  readonly authority: CertificateAuthority
}

/** An issuer that was tried and is none, and how far it came: what failed last is worth telling. */
type Failure = { readonly rank: number; readonly detail: string }

const UNKNOWN_AUTHORITY: Failure = { rank: 0, detail: 'x509: certificate signed by unknown authority' }

/**
 * Finds a certificate path (RFC 5280, section 6.1) from `leaf` to a root of one of `authorities`, everything valid at `at` (ms since
 * 1970). `links` came with the signature: they may lie between, and nothing more is believed of them. Any valid path is enough. The leaf
 * must carry the usage itself, for time stamping as its only one and critical (RFC 3161, section 2.3); an authority with extended key
 * usages must allow it or any. An anchor's own signature is not looked at, everything else is. At most 8 certificates and 32 issuers
 * tried. Answers `certificate-untrusted` or, for time stamping, `timestamp-certificate-untrusted`, with the words of Go's x509
 * (specification 7.3, step 3); never throws.
 */
export function findPath(
  leaf: X509Certificate,
  links: readonly X509Certificate[],
  authorities: readonly CertificateAuthority[],
  purpose: Purpose,
  at: number,
): Read<CertificatePath> {
  const untrusted = (detail: string): Read<never> => ({ ok: false, reason: reasonOf(purpose, detail) })
  const facts = factsOf(leaf)
  if (!facts.ok) return untrusted(sentenceOf(facts.reason))
  const why = whyNotLeaf(facts.value, purpose, at)
  if (why !== undefined) return untrusted(why)
  const search = new Search(purpose, at)
  let closest: Failure = UNKNOWN_AUTHORITY
  for (const authority of authorities) {
    const found = search.from([leaf], links.slice(0, MAX_LINKS), authority)
    if (found.is === 'path') return { ok: true, value: found.path }
    if (found.rank > closest.rank) closest = found
  }
  return untrusted(closest.detail)
}

/**
 * Why the certificates of a path are not all valid, or its authority not in service, at `at` (ms since 1970), in the words of
 * specification 7.3, step 6; undefined: they are.
 */
export function whyNotValidAt(path: CertificatePath, at: number): string | undefined {
  for (const [i, certificate] of path.certificates.entries()) {
    const facts = factsOf(certificate)
    if (!facts.ok) return 'the certificate cannot be read'
    const subject = i === 0 ? 'certificate' : 'issuing CA certificate'
    const { from, until } = facts.value
    if (at > until) return `${subject} expired before observed time: ${rfc3339(until)} is before ${rfc3339(at)}`
    if (at < from) return `${subject} was issued after observed time: ${rfc3339(from)} is after ${rfc3339(at)}`
  }
  return isInService(path.authority.valid, at) ? undefined : whyNotInService(path.authority, at)
}

function reasonOf(purpose: Purpose, detail: string): Reason {
  return { code: purpose === 'code-signing' ? 'certificate-untrusted' : 'timestamp-certificate-untrusted', detail }
}

/** To the second, as Go prints it. Infinity and times that no calendar has are printed as they are. */
function rfc3339(at: number): string {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString().replace(/\.\d+Z$/, 'Z')
}

function isInService(valid: Validity, at: number): boolean {
  return at >= valid.from && (valid.until === undefined || at <= valid.until)
}

function whyNotInService({ uri, valid }: CertificateAuthority, at: number): string {
  const until = valid.until === undefined ? '' : ` until ${rfc3339(valid.until)}`
  return `the certificate authority ${quoted(uri)} was in service from ${rfc3339(valid.from)}${until}, not at ${rfc3339(at)}`
}

// — what is asked of one certificate

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3'
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8'
const ANY_USAGE = '2.5.29.37.0'
const USAGES = { 'code-signing': CODE_SIGNING, 'time-stamping': TIME_STAMPING }
const INCOMPATIBLE = 'x509: certificate specifies an incompatible key usage'

function whyNotLeaf(leaf: CertificateFacts, purpose: Purpose, at: number): string | undefined {
  const usages = leaf.extendedKeyUsage?.usages ?? []
  // RFC 5280, section 4.2.1.12: with time stamping, either of the two goes together.
  const signs = leaf.keyUsage?.digitalSignature ?? true
  if (!signs && !(purpose === 'time-stamping' && leaf.keyUsage?.nonRepudiation)) return INCOMPATIBLE
  // Stricter than Go, for which a certificate without usages is good for anything: so one for a web server cannot sign an image.
  if (!usages.includes(USAGES[purpose])) return INCOMPATIBLE
  if (purpose === 'time-stamping' && (usages.length !== 1 || !leaf.extendedKeyUsage?.isCritical)) return INCOMPATIBLE
  return whyNotUsable(leaf, at)
}

/** What holds for every certificate of a path. */
function whyNotUsable({ from, until, unknownCritical, key }: CertificateFacts, at: number): string | undefined {
  if (unknownCritical !== undefined) return `x509: unhandled critical extension ${quoted(unknownCritical)}`
  if (!key) return 'x509: cannot verify signature: algorithm unimplemented'
  if (at >= from && at <= until) return undefined
  const when = at < from ? `is before ${rfc3339(from)}` : `is after ${rfc3339(until)}`
  return `x509: certificate has expired or is not yet valid: current time ${rfc3339(at)} ${when}`
}

function whyNotIssuer(issuer: CertificateFacts, below: readonly CertificateFacts[], purpose: Purpose, at: number): string | undefined {
  const { authority, keyUsage, extendedKeyUsage } = issuer
  if (!authority || (keyUsage && !keyUsage.keyCertSign))
    return 'x509: invalid signature: parent certificate cannot sign this kind of certificate'
  if (extendedKeyUsage && !extendedKeyUsage.usages.some((usage) => usage === USAGES[purpose] || usage === ANY_USAGE)) return INCOMPATIBLE
  // RFC 5280, section 4.2.1.9: without the leaf, and without those that are issued to themselves.
  const length = below.slice(1).filter((certificate) => !isSelfIssued(certificate)).length
  if (authority.pathLength !== undefined && length > authority.pathLength) return 'x509: too many intermediates for path length constraint'
  return whyNotUsable(issuer, at)
}

/**
 * Why a path that leads to an anchor is none: every name below an authority must be one that it may sign for. Only asked at the anchor,
 * since before that strangers could make it costly.
 */
function whyNotNamed(path: readonly CertificateFacts[]): string | undefined {
  for (const [i, issuer] of path.entries()) {
    for (const [j, certificate] of path.slice(0, i).entries()) {
      const why = j > 0 && isSelfIssued(certificate) ? undefined : whyNotPermitted(certificate, issuer.nameConstraints)
      if (why !== undefined) return `x509: a root or intermediate certificate is not authorized to sign for this name: ${why}`
    }
  }
  return undefined
}

function isSelfIssued(certificate: CertificateFacts): boolean {
  return certificate.subject.equals(certificate.issuer)
}

// — the search

type Found = { readonly is: 'path'; readonly path: CertificatePath } | ({ readonly is: 'failure' } & Failure)

class Search {
  readonly #purpose: Purpose
  readonly #at: number
  #steps = 0

  constructor(purpose: Purpose, at: number) {
    this.#purpose = purpose
    this.#at = at
  }

  /** Goes on from `path`, whose last certificate is none of the roots. */
  from(path: readonly X509Certificate[], links: readonly X509Certificate[], authority: CertificateAuthority): Found {
    let closest: Failure = UNKNOWN_AUTHORITY
    const facts = path.map(read).filter((f) => f !== undefined)
    const last = path.at(-1)
    const issuerName = facts.at(-1)?.issuer
    const candidates = [
      ...authority.roots.map((certificate) => ({ certificate, isAnchor: true })),
      ...[...authority.intermediates, ...links].map((certificate) => ({ certificate, isAnchor: false })),
    ]
    for (const { certificate, isAnchor } of candidates) {
      const issuer = read(certificate)
      if (!last || !issuerName || !issuer?.subject.equals(issuerName) || facts.some((before) => before.der.equals(issuer.der))) continue
      const longer = [...path, certificate]
      const failure =
        this.#whyNotNext(last, certificate, issuer, facts) ?? (isAnchor ? this.#whyNotEnd([...facts, issuer], authority) : undefined)
      const found: Found = failure
        ? { is: 'failure', ...failure }
        : isAnchor
          ? { is: 'path', path: pathOf(longer, authority) }
          : this.from(longer, links, authority)
      if (found.is === 'path') return found
      if (found.rank > closest.rank) closest = found
    }
    return { is: 'failure', ...closest }
  }

  #whyNotNext(
    last: X509Certificate,
    certificate: X509Certificate,
    issuer: CertificateFacts,
    below: readonly CertificateFacts[],
  ): Failure | undefined {
    if (below.length === MAX_PATH) return { rank: 1, detail: `the certificate path has more than ${MAX_PATH} certificates` }
    if (++this.#steps > MAX_STEPS)
      return { rank: 1, detail: `no certificate path was found among the first ${MAX_STEPS} issuers that were tried` }
    if (!isSignedBy(last, certificate)) return UNKNOWN_AUTHORITY
    const detail = whyNotIssuer(issuer, below, this.#purpose, this.#at)
    return detail === undefined ? undefined : { rank: 2, detail }
  }

  #whyNotEnd(path: readonly CertificateFacts[], authority: CertificateAuthority): Failure | undefined {
    const isItsOwn = ({ der }: CertificateFacts): boolean => authority.intermediates.some((own) => derOf(own).equals(der))
    if (authority.isRootless && !path.some(isItsOwn)) return UNKNOWN_AUTHORITY
    const detail = whyNotNamed(path) ?? (isInService(authority.valid, this.#at) ? undefined : whyNotInService(authority, this.#at))
    return detail === undefined ? undefined : { rank: 3, detail }
  }
}

function read(certificate: X509Certificate): CertificateFacts | undefined {
  const facts = factsOf(certificate)
  return facts.ok ? facts.value : undefined
}

function pathOf(certificates: readonly X509Certificate[], authority: CertificateAuthority): CertificatePath {
  const facts = certificates.map(read).filter((f) => f !== undefined)
  return {
    certificates,
    from: Math.max(authority.valid.from, ...facts.map(({ from }) => from)),
    until: Math.min(authority.valid.until ?? Infinity, ...facts.map(({ until }) => until)),
    authority,
  }
}
