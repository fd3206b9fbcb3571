import { createHash } from 'node:crypto'
import { pem } from '@sigstore/core'
import type { Json } from '../image/json.ts'
import { isJsonObject, readJson } from '../image/json.ts'
import { firstPemBlock, readPkcs1, readSubjectPublicKeyInfo } from '../trust/key.ts'
import { quoted } from '../verdict/reason.ts'
import { decodeBase64 } from './base64.ts'
import type { Bulk } from './bulk.ts'
import { atOnce } from './bulk.ts'
import type { Envelope } from './envelope.ts'
import { preAuthEncoding } from './envelope.ts'

/** Bytes of an entry's canonicalized body. Public ones have under 20 KiB, statements are not in them; Rekor itself takes uploads of some 100 KiB. */
export const MAX_BODY_BYTES = 1024 * 1024
/** Characters of what a log is searched for. Rekor takes uploads of some 100 KiB, so it has no entry of anything larger that could be found. */
export const MAX_SEARCH_CHARACTERS = 1024 * 1024
const BOUNDS = { bytes: MAX_BODY_BYTES, depth: 12, values: 2000 } // an entry has eight levels and, with one signature, some 30 values
const MAX_PEM_SHOWN = 4096 // characters; a certificate of Fulcio for a workflow has 3,000

/** What a log entry must be about. */
export type Logged = {
  readonly signature: Uint8Array
  /** DER of the certificate, or the SubjectPublicKeyInfo of the key, that made it. */
  readonly signer: Uint8Array
  /**
   * What it signs: bytes; bytes of which only the SHA-256 digest is known; or a DSSE envelope, with the JSON that it was read from where an entry
   * may speak of that (the old form), undefined in a bundle, which keeps the envelope in another JSON than the log saw.
   */
  readonly content:
    | { readonly is: 'bytes'; readonly bytes: Uint8Array }
    | { readonly is: 'digest'; readonly sha256: Uint8Array }
    | {
        readonly is: 'envelope'
        readonly envelope: Pick<Envelope, 'payloadType' | 'payload'>
        readonly json: Uint8Array | undefined
      }
  /** How its content is hashed; in one go when absent. */
  readonly bulk?: Bulk | undefined
}

/** A hash in an entry: `algorithm` as it writes it, `value` in lower-case hex. */
type Hashed = { readonly algorithm: string; readonly value: string }

/** What an entry says, read; nobody believes it yet. */
type Claim = {
  /** Each signature and the DER of who made it. Undefined: the entry names none, only the hash of the envelope covers it. */
  readonly signatures: readonly { readonly signature: Buffer | undefined; readonly signer: Buffer }[]
} & (
  | { readonly over: 'bytes'; readonly hash: Hashed }
  | { readonly over: 'envelope'; readonly envelopeHash: Hashed | undefined; readonly payloadHash: Hashed | undefined }
)

/**
 * Why the entry with this canonicalized body is not one of this very signature, signer and content (CVE-2022-36056, CVE-2026-22703);
 * undefined: it is. `named` is what a bundle says of which kind it is, and must not lie; undefined for the old form, which knows SHA-256
 * only (specification 7.3.2). At most 1 MiB; never throws.
 */
export function whyNotAbout(
  body: Uint8Array,
  about: Logged,
  named: { readonly kind: string; readonly version: string } | undefined,
): string | undefined {
  const read = readJson(body, BOUNDS)
  if (!read.ok) return `failed to extract signature from bundle: ${read.detail}`
  const kind = member(read.value, 'kind')
  const version = member(read.value, 'apiVersion')
  if (typeof kind !== 'string') return 'failed to extract signature from bundle: kind in body is required'
  if (typeof version !== 'string') return 'failed to extract signature from bundle: apiVersion in body is required'
  if (named && (named.kind !== kind || named.version !== version)) return 'the kind of the entry is not the one that its body names'
  const reader = Object.hasOwn(readers, `${kind} ${version}`) ? readers[`${kind} ${version}`] : undefined
  if (!reader) return `unsupported type ${quoted(`${kind} ${version}`)}`
  const claim = reader(member(read.value, 'spec'))
  if (!claim) return `failed to extract signature from bundle: a ${kind} ${version} is malformed`
  return whyOtherSignature(claim, about) ?? whyOtherContent(claim, about, named ? ALGORITHMS : SHA256_ONLY)
}

function whyOtherSignature({ signatures }: Claim, { signature, signer }: Logged): string | undefined {
  const ours = signatures.filter((s) => s.signature === undefined || s.signature.equals(signature))
  const [first] = ours
  if (!first) return 'signature in bundle does not match signature being verified'
  return ours.some((s) => s.signer.equals(signer))
    ? undefined
    : `comparing public key PEMs, expected ${pemOf(signer)}, got ${pemOf(first.signer)}`
}

function whyOtherContent(claim: Claim, { content, bulk = atOnce }: Logged, algorithms: Algorithms): string | undefined {
  if (claim.over === 'bytes') return whyOtherHash(claim.hash, signedContent(content), algorithms, bulk)
  if (content.is !== 'envelope') return 'the entry is about an envelope, and what is signed is not one'
  // The old form has the very JSON that the log was shown; a bundle has not.
  if (content.json && claim.envelopeHash) return whyOtherHash(claim.envelopeHash, content.json, algorithms, bulk)
  if (claim.signatures.some((s) => s.signature === undefined)) return 'the entry does not name the signature that it is about'
  return claim.payloadHash
    ? whyOtherHash(claim.payloadHash, content.envelope.payload, algorithms, bulk)
    : 'the entry has no hash of the payload'
}

/** What the signature is over: of an envelope the pre-authentication encoding (DSSE, «Protocol»), as entries of plain signatures speak of it. */
function signedContent(content: Logged['content']): Uint8Array | { readonly sha256: Uint8Array } {
  switch (content.is) {
    case 'bytes':
      return content.bytes
    case 'digest':
      return content
    case 'envelope':
      return preAuthEncoding(content.envelope)
  }
}

type Algorithms = { readonly [name: string]: 'sha256' | 'sha384' | 'sha512' }
const SHA256_ONLY: Algorithms = { sha256: 'sha256', SHA2_256: 'sha256' }
const ALGORITHMS: Algorithms = {
  sha256: 'sha256',
  sha384: 'sha384',
  sha512: 'sha512',
  SHA2_256: 'sha256',
  SHA2_384: 'sha384',
  SHA2_512: 'sha512',
}

function whyOtherHash(
  { algorithm, value }: Hashed,
  content: Uint8Array | { readonly sha256: Uint8Array },
  algorithms: Algorithms,
  bulk: Bulk,
): string | undefined {
  const hash = Object.hasOwn(algorithms, algorithm) ? algorithms[algorithm] : undefined
  if (!hash || (!(content instanceof Uint8Array) && hash !== 'sha256'))
    return `unexpected algorithm: ${JSON.stringify(algorithm.slice(0, 32))}`
  const digest = content instanceof Uint8Array ? bulk.digest(hash, content) : Buffer.from(content.sha256)
  const hex = digest.toString('hex')
  return hex === value
    ? undefined
    : `matching bundle to payload: bundle=${JSON.stringify(value.slice(0, 128))}, payload=${JSON.stringify(hex)}`
}

function pemOf(der: Uint8Array): string {
  const label = readSubjectPublicKeyInfo(der).ok ? 'PUBLIC KEY' : 'CERTIFICATE'
  return pem.fromDER(Buffer.from(der), label).slice(0, MAX_PEM_SHOWN)
}

/**
 * What a Rekor v1 log is asked for, to find the entries of a signature: one like it for every kind that cosign uploads (specification 7.3.2; Rekor's
 * `ProposedEntry`). None for an envelope without its JSON: nothing could have its hash.
 */
export function proposedEntries({ signature, signer, content }: Logged): readonly object[] {
  const publicKey = Buffer.from(pemOf(signer)).toString('base64')
  if (content.is === 'envelope') {
    if (!content.json) return []
    const envelope = Buffer.from(content.json).toString('utf8')
    return [
      { apiVersion: '0.0.1', kind: 'dsse', spec: { proposedContent: { envelope, verifiers: [publicKey] } } },
      { apiVersion: '0.0.1', kind: 'intoto', spec: { content: { envelope }, publicKey } },
    ]
  }
  const digest = content.is === 'digest' ? Buffer.from(content.sha256) : createHash('sha256').update(content.bytes).digest()
  const hash = { algorithm: 'sha256', value: digest.toString('hex') }
  const spec = { data: { hash }, signature: { content: Buffer.from(signature).toString('base64'), publicKey: { content: publicKey } } }
  return [{ apiVersion: '0.0.1', kind: 'hashedrekord', spec }]
}

// — kinds of entries: as the schemas of Rekor (pkg/types) and protobuf-specs (rekor/v2) have them, once canonicalized

const readers: { readonly [kindAndVersion: string]: (spec: Json | undefined) => Claim | undefined } = {
  'hashedrekord 0.0.1': (spec) => detachedSignature(spec),
  'rekord 0.0.1': (spec) => (member(spec, 'signature', 'format') === 'x509' ? detachedSignature(spec) : undefined),
  'hashedrekord 0.0.2': (spec) => {
    const entry = member(spec, 'hashedRekordV002')
    const hash = hashOutput(member(entry, 'data'))
    const signature = signatureV2(member(entry, 'signature'))
    return hash && signature && { over: 'bytes', hash, signatures: [signature] }
  },
  'dsse 0.0.1': (spec) => {
    const signatures = all(member(spec, 'signatures'), (s) => signatureV1(member(s, 'signature'), member(s, 'verifier')))
    return signatures && ofEnvelope(signatures, member(spec, 'envelopeHash'), member(spec, 'payloadHash'))
  },
  'dsse 0.0.2': (spec) => {
    const entry = member(spec, 'dsseV002')
    const signatures = all(member(entry, 'signatures'), signatureV2)
    const payloadHash = hashOutput(member(entry, 'payloadHash'))
    return signatures && payloadHash && { over: 'envelope', envelopeHash: undefined, payloadHash, signatures }
  },
  'intoto 0.0.1': (spec) => {
    const signer = signerOfPem(member(spec, 'publicKey'))
    const content = member(spec, 'content')
    return signer && ofEnvelope([{ signature: undefined, signer }], member(content, 'hash'), member(content, 'payloadHash'))
  },
  'intoto 0.0.2': (spec) => {
    const content = member(spec, 'content')
    const signatures = all(member(content, 'envelope', 'signatures'), (s) => {
      const named = signatureV1(member(s, 'sig'), member(s, 'publicKey'))
      // Clients send the base64 of the base64, since Rekor decodes it once too often.
      const inner = named && decodeBase64(named.signature.toString('latin1'))
      return named && inner?.ok && inner.bytes.length > 0 ? { ...named, signature: inner.bytes } : named
    })
    return signatures && ofEnvelope(signatures, member(content, 'hash'), member(content, 'payloadHash'))
  },
}

function detachedSignature(spec: Json | undefined): Claim | undefined {
  const hash = hashOfV1(member(spec, 'data', 'hash'))
  const signature = signatureV1(member(spec, 'signature', 'content'), member(spec, 'signature', 'publicKey', 'content'))
  return hash && signature && { over: 'bytes', hash, signatures: [signature] }
}

function ofEnvelope(signatures: Claim['signatures'], envelope: Json | undefined, payload: Json | undefined): Claim {
  return { over: 'envelope', envelopeHash: hashOfV1(envelope), payloadHash: hashOfV1(payload), signatures }
}

type Named = { readonly signature: Buffer; readonly signer: Buffer }

function signatureV1(signature: Json | undefined, publicKey: Json | undefined): Named | undefined {
  const bytes = bytesOf(signature)
  const signer = signerOfPem(publicKey)
  return bytes && signer && { signature: bytes, signer }
}

function signatureV2(value: Json | undefined): Named | undefined {
  const signature = bytesOf(member(value, 'content'))
  const verifier = member(value, 'verifier')
  const signer = bytesOf(member(verifier, 'x509Certificate', 'rawBytes') ?? member(verifier, 'publicKey', 'rawBytes'))
  return signature && signer && { signature, signer }
}

/** The DER in the base64 of a PEM: a certificate, or a key as SubjectPublicKeyInfo. */
function signerOfPem(value: Json | undefined): Buffer | undefined {
  const block = firstPemBlock(bytesOf(value)?.toString('latin1') ?? '')
  switch (block?.label) {
    case 'CERTIFICATE':
    case 'PUBLIC KEY':
      return block.der
    case 'RSA PUBLIC KEY': {
      const read = readPkcs1(block.der)
      return read.ok ? read.value.key.export({ format: 'der', type: 'spki' }) : undefined
    }
    default:
      return undefined
  }
}

function hashOfV1(value: Json | undefined): Hashed | undefined {
  const algorithm = member(value, 'algorithm')
  const hex = member(value, 'value')
  return typeof algorithm === 'string' && typeof hex === 'string' ? { algorithm, value: hex.toLowerCase() } : undefined
}

/** `HashOutput` of protobuf-specs. */
function hashOutput(value: Json | undefined): Hashed | undefined {
  const algorithm = member(value, 'algorithm')
  const digest = bytesOf(member(value, 'digest'))
  return typeof algorithm === 'string' && digest ? { algorithm, value: digest.toString('hex') } : undefined
}

function bytesOf(value: Json | undefined): Buffer | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  const decoded = decodeBase64(value)
  return decoded.ok ? decoded.bytes : undefined
}

/** Every item as `read` reads it; undefined where one cannot be read, or there is none. */
function all<T>(value: Json | undefined, read: (item: Json) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined
  const items = (value as readonly Json[]).map(read)
  return items.includes(undefined) ? undefined : (items as T[])
}

function member(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((inner, key) => (isJsonObject(inner) ? inner[key] : undefined), value)
}
