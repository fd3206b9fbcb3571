import { createHash } from 'node:crypto'
import type { X509Certificate } from '@sigstore/core'
import type { Json, JsonObject } from '../image/json.ts'
import { isJsonObject, readJson } from '../image/json.ts'
import type { Read } from '../verdict/read.ts'
import { quoted, sentenceOf } from '../verdict/reason.ts'
import { encodingOf, factsOf, MAX_CHAIN_CERTIFICATES, readCertificate } from './certificate.ts'
import type { PublicKey } from './key.ts'
import { readPkcs1, readSubjectPublicKeyInfo } from './key.ts'
import type { CertificateAuthority, LogKey, TrustMaterial, Validity } from './material.ts'

/** Bytes of a trusted root; whoever fetches one needs not take more. That of the public instance has 8 KiB. */
export const MAX_TRUSTED_ROOT_BYTES = 1024 * 1024
const MAX_DEPTH = 16 // objects and arrays within each other; the format has 7
const MAX_VALUES = 20_000 // keeps reading within a few milliseconds
/** Logs, or authorities, of one kind: every key costs a parse, every authority a search. The public instance has two of each. */
export const MAX_INSTANCES = 64
/** Characters of the URL of a log or an authority. */
export const MAX_URL = 2048
const MEDIA_TYPES: readonly string[] = [
  'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
  'application/vnd.dev.sigstore.trustedroot+json;version=0.2',
  'application/vnd.dev.sigstore.trustedroot.v0.1+json',
  'application/vnd.dev.sigstore.trustedroot.v0.2+json',
]

/** Thrown and caught within this file only, with the path of the field: the document is seven levels deep. */
class Malformed extends Error {}

/**
 * Reads a Sigstore TrustedRoot (protobuf-specs `sigstore_trustroot.proto` as JSON), 0.1 and 0.2, called `name` in messages. Every
 * instance counts (Q10), with a key of any type (Q19) and its period. The ids of logs are computed: what the document says differs between
 * writers, some hex-encode it twice (Q18), and for Rekor v2 it is the id that checkpoints use. So a log is looked up by the SHA-256 of its
 * key, and the key id of a checkpoint is computed from key and origin. Certificates with equal subject and issuer are roots, others are
 * intermediates (specification 7.1.2); a chain without a root may end in the root of another one. A log whose `keyDetails` name an
 * algorithm that nothing here verifies is left out and stands in `warnings`. Unknown fields are left unread. At most 1 MiB, 64 instances
 * of a kind, 16 certificates in a chain. One that names nobody is unreadable too, unless it `mayBeEmpty`. Answers `trust-root-unreadable` with the path of the field; never throws.
 */
export function readTrustedRoot(bytes: Uint8Array | string, name: string, { mayBeEmpty = false } = {}): Read<TrustMaterial> {
  const unreadable = (detail: string): Read<never> => ({ ok: false, reason: { code: 'trust-root-unreadable', name, detail } })
  const json = readJson(Buffer.from(bytes), { bytes: MAX_TRUSTED_ROOT_BYTES, depth: MAX_DEPTH, values: MAX_VALUES })
  if (!json.ok) return unreadable(json.detail)
  try {
    return { ok: true, value: materialIn(json.value, name, mayBeEmpty) }
  } catch (error) {
    if (error instanceof Malformed) return unreadable(error.message)
    throw error
  }
}

/** Puts trust material together, with the hash of its name and content; `until` and `warnings` are no part of it. */
export function trustMaterial(material: Omit<TrustMaterial, 'hash'>): TrustMaterial {
  const valid = ({ from, until }: Validity): unknown => [from, until ?? null]
  const ders = (certificates: readonly X509Certificate[]): unknown => certificates.map((c) => encodingOf(c.root).toString('base64'))
  const authorities = (all: readonly CertificateAuthority[]): unknown =>
    all.map((a) => [a.uri, ders(a.roots), ders(a.intermediates), valid(a.valid), a.isRootless ?? false])
  const logs = (all: readonly LogKey[]): unknown => all.map((l) => [l.id, l.hash, l.url, valid(l.valid)])
  const content = JSON.stringify([
    material.name,
    authorities(material.certificateAuthorities),
    logs(material.certificateLogs),
    logs(material.transparencyLogs),
    authorities(material.timestampAuthorities),
  ])
  return { ...material, hash: createHash('sha256').update(content).digest('hex') }
}

function materialIn(document: Json, name: string, mayBeEmpty: boolean): TrustMaterial {
  const root = object(document, 'the document')
  const mediaType = root['mediaType']
  if (typeof mediaType !== 'string' || !MEDIA_TYPES.includes(mediaType))
    throw new Malformed(
      `mediaType is ${typeof mediaType === 'string' ? quoted(mediaType) : 'missing'}, not that of a trusted root 0.1 or 0.2`,
    )
  const warnings: string[] = []
  const material = {
    name,
    certificateAuthorities: authorities(root, 'certificateAuthorities'),
    certificateLogs: logs(root, 'ctlogs', warnings),
    transparencyLogs: logs(root, 'tlogs', warnings),
    timestampAuthorities: authorities(root, 'timestampAuthorities'),
    until: undefined,
    warnings,
  }
  const isEmpty = [
    material.certificateAuthorities,
    material.certificateLogs,
    material.transparencyLogs,
    material.timestampAuthorities,
  ].every((instances) => instances.length === 0)
  if (isEmpty && warnings.length === 0 && !mayBeEmpty) throw new Malformed('it names no authority and no log')
  return trustMaterial(material)
}

// — authorities

function authorities(root: JsonObject, field: string): readonly CertificateAuthority[] {
  const read = instances(root, field).map(({ value, at }) => {
    const chain = object(value['certChain'], `${at}.certChain`)
    return {
      at,
      uri: text(value['uri'], `${at}.uri`),
      certificates: certificates(chain['certificates'], `${at}.certChain.certificates`),
      valid: validity(value['validFor'], `${at}.validFor`),
    }
  })
  const joined = authoritiesOf(read, field === 'timestampAuthorities')
  if (!joined.ok) throw new Malformed(`${joined.at}.certChain: ${joined.detail}`)
  return joined.authorities
}

/** A certificate chain and whose it is. `at` is the path of the element that holds it. */
type Chain = {
  readonly at: string
  readonly uri: string
  readonly certificates: readonly X509Certificate[]
  readonly valid: Validity
}

type Joined =
  | { readonly ok: true; readonly authorities: readonly CertificateAuthority[] }
  | { readonly ok: false; readonly at: string; readonly detail: string }

/**
 * The authorities that chains make: certificates with equal subject and issuer are roots, all others intermediates (specification 7.1.2).
 * A chain without a root gets those of the other chains; where no chain has one, the first is refused. A timestamp authority may hold one
 * certificate that signs timestamps itself.
 */
export function authoritiesOf(chains: readonly Chain[], forTimestamps: boolean): Joined {
  const isRoot = (certificate: X509Certificate): boolean => {
    const facts = factsOf(certificate)
    return facts.ok && facts.value.subject.equals(facts.value.issuer) && facts.value.authority !== undefined
  }
  const isSigner = (certificate: X509Certificate): boolean => {
    const facts = factsOf(certificate)
    return facts.ok && facts.value.authority === undefined
  }
  const all = chains.flatMap(({ certificates }) => certificates).filter(isRoot)
  for (const { at, certificates } of chains) {
    if (all.length === 0) return { ok: false, at, detail: 'no certificate of the chain is a root: subject and issuer differ in every one' }
    if (forTimestamps && certificates.filter(isSigner).length > 1)
      return { ok: false, at, detail: 'certificate chain must contain at most one TSA certificate' }
  }
  return {
    ok: true,
    authorities: chains.map(({ uri, certificates, valid }) => {
      const roots = certificates.filter(isRoot)
      const own = { uri, intermediates: certificates.filter((c) => !isRoot(c)), valid }
      return roots.length > 0 ? { ...own, roots } : { ...own, roots: all, isRootless: true }
    }),
  }
}

function certificates(value: Json | undefined, at: string): readonly X509Certificate[] {
  const list = items(value, at)
  if (list.length === 0) throw new Malformed(`${at} is empty`)
  if (list.length > MAX_CHAIN_CERTIFICATES)
    throw new Malformed(`${at}: number of certificates (${list.length}) exceeded the limit (${MAX_CHAIN_CERTIFICATES})`)
  return list.map((item, i) => {
    const path = `${at}[${i}]`
    const der = base64(object(item, path)['rawBytes'], `${path}.rawBytes`)
    const read = readCertificate(der)
    if (!read.ok) throw new Malformed(`${path}.rawBytes: ${sentenceOf(read.reason)}`)
    return read.value
  })
}

// — logs

const SUPPORTED: readonly string[] = [
  'PUBLIC_KEY_DETAILS_UNSPECIFIED',
  'PKCS1_RSA_PKCS1V5',
  'PKIX_RSA_PKCS1V5',
  'PKIX_RSA_PKCS1V15_2048_SHA256',
  'PKIX_RSA_PKCS1V15_3072_SHA256',
  'PKIX_RSA_PKCS1V15_4096_SHA256',
  'PKIX_ECDSA_P256_SHA_256',
  'PKIX_ECDSA_P384_SHA_384',
  'PKIX_ECDSA_P521_SHA_512',
  'PKIX_ECDSA_P384_SHA_256',
  'PKIX_ECDSA_P521_SHA_256',
  'PKIX_ECDSA_P256_HMAC_SHA_256',
  'PKIX_ED25519',
]

function logs(root: JsonObject, field: string, warnings: string[]): readonly LogKey[] {
  return instances(root, field).flatMap(({ value, at }) => {
    const publicKey = object(value['publicKey'], `${at}.publicKey`)
    const bytes = base64(publicKey['rawBytes'], `${at}.publicKey.rawBytes`)
    const details = text(publicKey['keyDetails'] ?? '', `${at}.publicKey.keyDetails`)
    const url = text(value['baseUrl'] ?? '', `${at}.baseUrl`)
    const range = object(publicKey['validFor'], `${at}.publicKey.validFor`)
    // As other clients of Sigstore have it: a log without a beginning would be believed about any time. Authorities need none.
    if (range['start'] === undefined || range['start'] === null) throw new Malformed(`${at}.publicKey.validFor.start is missing`)
    const valid = validity(range, `${at}.publicKey.validFor`)
    if (details !== '' && !SUPPORTED.includes(details)) {
      warnings.push(`${at} is left out: a key of the type ${quoted(details)} is not supported, so nothing that it signs is believed`)
      return []
    }
    // The writers of some documents leave out what it is, or say PKIX of a PKCS#1: the bytes say it themselves.
    const spki = readSubjectPublicKeyInfo(bytes)
    const key = spki.ok ? spki : readPkcs1(bytes)
    if (!key.ok) throw new Malformed(`${at}.publicKey: ${sentenceOf(spki.ok ? key.reason : spki.reason)}`)
    return [logKeyOf(key.value, url, valid, details.endsWith('_SHA_256') ? 'sha256' : undefined)]
  })
}

/** The key of a log: EC with the digest of its curve unless `hash` says another, RSA with SHA-256. */
export function logKeyOf({ key, id, envelopeHashes }: PublicKey, url: string, valid: Validity, hash?: 'sha256'): LogKey {
  const [own] = envelopeHashes
  const digest = own === 'sha384' || own === 'sha512' ? own : 'sha256'
  return { id, key, hash: key.asymmetricKeyType === 'ed25519' ? null : (hash ?? digest), url, valid }
}

// — fields

function instances(root: JsonObject, field: string): readonly { readonly value: JsonObject; readonly at: string }[] {
  const list = items(root[field], field)
  if (list.length > MAX_INSTANCES)
    throw new Malformed(`${field}: number of instances (${list.length}) exceeded the limit (${MAX_INSTANCES})`)
  return list.map((item, i) => ({ value: object(item, `${field}[${i}]`), at: `${field}[${i}]` }))
}

/** Absent and null are the same, as in protobuf. */
function items(value: Json | undefined, at: string): readonly Json[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new Malformed(`${at} is not a list`)
  return value as readonly Json[]
}

function object(value: Json | undefined, at: string): JsonObject {
  if (value === undefined || value === null) throw new Malformed(`${at} is missing`)
  if (!isJsonObject(value)) throw new Malformed(`${at} is not an object`)
  return value
}

function text(value: Json | undefined, at: string): string {
  if (value === undefined || value === null) throw new Malformed(`${at} is missing`)
  if (typeof value !== 'string') throw new Malformed(`${at} is not a string`)
  if (value.length > MAX_URL) throw new Malformed(`${at} has more than ${MAX_URL} characters`)
  return value
}

/** Bytes as protobuf writes them: base64 of either alphabet, with or without padding. */
function base64(value: Json | undefined, at: string): Buffer {
  if (value === undefined || value === null || value === '') throw new Malformed(`${at} is missing`)
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) throw new Malformed(`${at} is not base64`)
  return Buffer.from(value, 'base64')
}

/** A TimeRange: both ends belong to it, an absent one has no end. */
function validity(value: Json | undefined, at: string): Validity {
  if (value === undefined || value === null) return { from: 0, until: undefined }
  const range = object(value, at)
  const from = range['start'] === undefined || range['start'] === null ? 0 : instant(range['start'], `${at}.start`)
  const until = range['end'] === undefined || range['end'] === null ? undefined : instant(range['end'], `${at}.end`)
  if (until !== undefined && until < from) throw new Malformed(`${at} ends before it starts`)
  return { from, until }
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

/** In ms since 1970. */
function instant(value: Json | undefined, at: string): number {
  const text = typeof value === 'string' && RFC3339.test(value) ? value : ''
  const time = Date.parse(text)
  const day = Date.parse(`${text.slice(0, 10)}T00:00:00Z`)
  // Date.parse takes the 31st of any month.
  if (Number.isNaN(time) || Number.isNaN(day) || !new Date(day).toISOString().startsWith(text.slice(0, 10)))
    throw new Malformed(`${at} is not a time as RFC 3339 has it`)
  return time
}
