import type { KeyObject, Verify } from 'node:crypto'
import { createHash, createPublicKey, createVerify, verify } from 'node:crypto'
import { eddsa } from '@noble/curves/abstract/edwards.js'
import { ed25519 } from '@noble/curves/ed25519.js'
import type { Read } from '../verdict/read.ts'

const MAX_PEM_CHARACTERS = 64 * 1024 // a PEM of the largest key that is taken has under 4 KiB; the rest is for text around it
const MIN_RSA_BITS = 1024 // Go's crypto/rsa refuses to verify below it, so no policy that works today has such a key
const WARN_RSA_BITS = 2048 // NIST SP 800-131A
const MAX_RSA_BITS = 16_384 // OpenSSL's own limit; verifying with it takes about a millisecond
const MAX_RSA_EXPONENT = 2n ** 31n - 1n // as in Go's crypto/rsa; a longer exponent only makes verifying slow

const HASHED_AT_ONCE = 1024 * 1024 // bytes; SHA-512 takes some 2 ms for them

export type Hash = 'sha224' | 'sha256' | 'sha384' | 'sha512'

/** A public key that somebody who may be believed named (a policy, a trust root), and what it verifies with. Never one that came with a signature. */
export type PublicKey = {
  readonly key: KeyObject
  /** The digest that was named, SHA-256 when none was: what signatures over a payload are verified with. Ed25519 ignores it. */
  readonly hash: Hash
  /** What DSSE envelopes may have been hashed with: what was named; else, since cosign 3 chooses by the curve, the curve's own, and SHA-256. */
  readonly envelopeHashes: readonly Hash[]
  /** The hex SHA-256 of the SubjectPublicKeyInfo. */
  readonly id: string
  /** What whoever named the key should know. */
  readonly warnings: readonly string[]
}

/**
 * Reads the first PEM block of `pem`: `PUBLIC KEY` (PKIX: ECDSA P-256, P-384, P-521, RSA, Ed25519) or `RSA PUBLIC KEY` (PKCS#1); text
 * before it and whatever follows it do not count. `hashAlgorithm` as policies write it: sha224, sha256, sha384, sha512 in any case, '' for
 * none. Answers `key-unusable` with the cause; never throws.
 */
export function readPublicKey(pem: string, hashAlgorithm: string): Read<PublicKey> {
  const hash = readHash(hashAlgorithm)
  if (!hash) return unusable(`unknown digest algorithm: ${hashAlgorithm}`)
  if (pem.length > MAX_PEM_CHARACTERS)
    return unusable(`public key PEM of ${pem.length} characters exceeds the limit of ${MAX_PEM_CHARACTERS}`)
  const block = firstPemBlock(pem)
  if (!block) return unusable('PEM decoding failed')
  switch (block.label) {
    case 'PUBLIC KEY':
      return readDer(block.der, 'spki', hash, hashAlgorithm.trim() !== '')
    case 'RSA PUBLIC KEY':
      return readDer(block.der, 'pkcs1', hash, hashAlgorithm.trim() !== '')
    default:
      return unusable(`unknown Public key PEM file type: ${block.label}. Are you passing the correct public key?`)
  }
}

/** Whether text is a public key as PEM, of any kind that Go parses: one that is too weak or too rare to verify with is one all the same. */
export function isPublicKey(pem: string): boolean {
  const block = pem.length > MAX_PEM_CHARACTERS ? undefined : firstPemBlock(pem)
  if (block?.label !== 'PUBLIC KEY' && block?.label !== 'RSA PUBLIC KEY') return false
  try {
    return isParsedByGo(
      createPublicKey({ key: block.der, format: 'der', type: block.label === 'PUBLIC KEY' ? 'spki' : 'pkcs1' }),
      block.der,
    )
  } catch {
    return false
  }
}

/** Bytes of a SubjectPublicKeyInfo on the curves that Go knows: the curve by its name, the point uncompressed. */
const POINTS: { readonly [curve: string]: number | undefined } = { secp224r1: 80, prime256v1: 91, secp384r1: 120, secp521r1: 158 }

/** OpenSSL reads more kinds of keys and more ways to write them than Go's crypto/x509 does, and takes what lies behind one. */
function isParsedByGo(key: KeyObject, der: Buffer): boolean {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return der.length === POINTS[key.asymmetricKeyDetails?.namedCurve ?? '']
    case 'rsa':
    case 'dsa':
    case 'ed25519':
    case 'x25519':
      return der.length === lengthOfFirst(der)
    default:
      return false
  }
}

/** Bytes of the first element of DER that was parsed already. */
function lengthOfFirst(der: Buffer): number {
  const length = der[1] ?? 0
  if (length < 0x80) return 2 + length
  const digits = der.subarray(2, 2 + (length & 0x7f))
  return 2 + digits.length + Number.parseInt(digits.toString('hex') || '0', 16)
}

/** Reads a SubjectPublicKeyInfo, of a certificate or a trust root, with the same bounds; for PKCS#1 see `readPkcs1`. Never throws. */
export function readSubjectPublicKeyInfo(der: Uint8Array): Read<PublicKey> {
  return readDer(Buffer.from(der), 'spki', 'sha256', false)
}

/** Reads an RSAPublicKey (PKCS#1), as trust roots hold old keys of logs. Never throws. */
export function readPkcs1(der: Uint8Array): Read<PublicKey> {
  return readDer(Buffer.from(der), 'pkcs1', 'sha256', false)
}

/** The digest that `hashAlgorithm` of a policy names; SHA-256 for an empty one, undefined for one that nobody knows. */
export function readHash(hashAlgorithm: string): Hash | undefined {
  switch (hashAlgorithm.trim().toLowerCase()) {
    case '':
    case 'sha256':
      return 'sha256'
    case 'sha224':
      return 'sha224'
    case 'sha384':
      return 'sha384'
    case 'sha512':
      return 'sha512'
    default:
      return undefined
  }
}

const CURVES: { readonly [name: string]: { readonly hash: Hash; readonly bytes: number } | undefined } = {
  prime256v1: { hash: 'sha256', bytes: 32 },
  secp384r1: { hash: 'sha384', bytes: 48 },
  secp521r1: { hash: 'sha512', bytes: 66 },
}

const P256 = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex') // SubjectPublicKeyInfo up to an uncompressed point (RFC 5480)

function isPlainP256(der: Buffer): boolean {
  return der.length === P256.length + 64 && der.subarray(0, P256.length).equals(P256)
}

function readDer(der: Buffer, type: 'spki' | 'pkcs1', hash: Hash, hashNamed: boolean): Read<PublicKey> {
  let key: KeyObject
  try {
    key = createPublicKey({ key: der, format: 'der', type })
  } catch {
    // OpenSSL's own words change with its version, and messages must not.
    return unusable('the public key cannot be parsed')
  }
  // OpenSSL takes a quarter of a certificate's time to write a key, and a point of P-256 that is written out it writes as it came.
  const spki = type === 'spki' && isPlainP256(der) ? der : key.export({ format: 'der', type: 'spki' })
  const id = createHash('sha256').update(spki).digest('hex')
  const usable = (own: Hash, warnings: readonly string[]): Read<PublicKey> => ({
    ok: true,
    value: { key, hash, envelopeHashes: hashNamed || own === hash ? [hash] : [own, hash], id, warnings },
  })
  const details = key.asymmetricKeyDetails
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      // The first Ed25519ph makes tables for 30 ms: better now than in the middle of an admission.
      isSignedEd25519ph(sha512(der), key, Buffer.alloc(64))
      return usable(hash, [])
    case 'ec': {
      const curve = CURVES[details?.namedCurve ?? '']
      return curve
        ? usable(curve.hash, [])
        : unusable(`the elliptic curve ${details?.namedCurve ?? 'of the public key'} is not one of P-256, P-384, P-521`)
    }
    case 'rsa': {
      const bits = details?.modulusLength ?? 0
      const exponent = details?.publicExponent ?? 0n
      if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS)
        return unusable(`an RSA key of ${bits} bits is not between ${MIN_RSA_BITS} and ${MAX_RSA_BITS}`)
      if (exponent < 3n || exponent % 2n === 0n || exponent > MAX_RSA_EXPONENT)
        return unusable('the exponent of the RSA key is even, or not between 3 and 2^31-1')
      return usable('sha256', bits < WARN_RSA_BITS ? [`the RSA key has ${bits} bits; fewer than ${WARN_RSA_BITS} can be forged`] : [])
    }
    default:
      return unusable(`a public key of the type ${key.asymmetricKeyType ?? 'unknown'} is not one of ECDSA, RSA, Ed25519`)
  }
}

/**
 * Why `signature` is not one that `key` made over `bytes`, in the words that users know; undefined: it is. ECDSA is taken in DER and as r‖s
 * of the curve's length (IEEE P1363), RSA as PKCS#1 v1.5 only, Ed25519 over the bytes or, as cosign itself signs, over their SHA-512
 * (Ed25519ph). Synchronous, about 0.1 ms for P-256, around 2 ms at most.
 */
export function whyNotSigned(key: KeyObject, hash: Hash, bytes: Uint8Array, signature: Uint8Array): string | undefined {
  return whyNotSignedOver(key, hash, bytes, signature)
}

/** `bytes`: what was signed, or what has hashed all of it a piece at a time. */
function whyNotSignedOver(key: KeyObject, hash: Hash, bytes: Uint8Array | Verify, signature: Uint8Array): string | undefined {
  switch (key.asymmetricKeyType) {
    case 'ec': {
      if (isDerSignature(signature)) {
        return isSigned(hash, bytes, { key, dsaEncoding: 'der' }, signature)
          ? undefined
          : 'invalid signature when validating ASN.1 encoded signature'
      }
      if (signature.length === 0 || signature.length > 132 || signature.length % 2 === 1) return 'ecdsa: Invalid IEEE_P1363 encoded bytes'
      const length = 2 * (CURVES[key.asymmetricKeyDetails?.namedCurve ?? '']?.bytes ?? 0)
      const sound = signature.length === length && isSigned(hash, bytes, { key, dsaEncoding: 'ieee-p1363' }, signature)
      return sound ? undefined : 'invalid signature when validating IEEE_P1363 encoded signature'
    }
    case 'rsa':
      return isSigned(hash, bytes, { key }, signature) ? undefined : 'crypto/rsa: verification error'
    case 'ed25519':
      return bytes instanceof Uint8Array && (isSigned(null, bytes, { key }, signature) || isSignedEd25519ph(sha512(bytes), key, signature))
        ? undefined
        : NOT_SIGNED_BY_ED25519
    default:
      return `a public key of the type ${key.asymmetricKeyType ?? 'unknown'} is not one of ECDSA, RSA, Ed25519`
  }
}

const NOT_SIGNED_BY_ED25519 = 'failed to verify signature'

/** As `whyNotSigned`, however many bytes there are: others have their turn meanwhile. */
export async function whyNotSignedInTurns(
  key: KeyObject,
  hash: Hash,
  bytes: Uint8Array,
  signature: Uint8Array,
  turn: () => Promise<void>,
): Promise<string | undefined> {
  if (key.asymmetricKeyType === 'ed25519') {
    // It wants all of the bytes at once, and gets them in a thread of Node's.
    if (await isSignedElsewhere(bytes, key, signature)) return undefined
    const digest = await digestInTurns('sha512', bytes, turn)
    return isSignedEd25519ph(digest, key, signature) ? undefined : NOT_SIGNED_BY_ED25519
  }
  const verifier = createVerify(hash)
  await inPieces(bytes, (piece) => verifier.update(piece), turn)
  return whyNotSignedOver(key, hash, verifier, signature)
}

/** The digest of however many bytes; others have their turn meanwhile. */
export async function digestInTurns(hash: Hash, bytes: Uint8Array, turn: () => Promise<void>): Promise<Buffer> {
  const digest = createHash(hash)
  await inPieces(bytes, (piece) => digest.update(piece), turn)
  return digest.digest()
}

async function inPieces(bytes: Uint8Array, work: (piece: Uint8Array) => void, turn: () => Promise<void>): Promise<void> {
  for (let at = 0; at < bytes.length; at += HASHED_AT_ONCE) {
    work(bytes.subarray(at, at + HASHED_AT_ONCE))
    await turn()
  }
}

function isSignedElsewhere(bytes: Uint8Array, key: KeyObject, signature: Uint8Array): Promise<boolean> {
  return new Promise((answer) => {
    try {
      verify(null, bytes, key, signature, (error, isSigned) => answer(error === null && isSigned))
    } catch {
      answer(false)
    }
  })
}

/** `hash` is never undefined: Node would silently take SHA-256. An exception of OpenSSL means «not signed». */
function isSigned(
  hash: Hash | null,
  bytes: Uint8Array | Verify,
  key: { key: KeyObject; dsaEncoding?: 'der' | 'ieee-p1363' },
  signature: Uint8Array,
): boolean {
  try {
    return bytes instanceof Uint8Array ? verify(hash, bytes, key, signature) : bytes.verify(key, signature)
  } catch {
    return false
  }
}

/**
 * Ed25519ph (RFC 8032, section 5.1), which OpenSSL has and `node:crypto` does not offer. That a key verifies both does no harm: the
 * prefix «SigEd25519 no Ed25519 collisions» keeps a signature of the one from ever being one of the other.
 */
const PH_DOMAIN = Buffer.from('SigEd25519 no Ed25519 collisions\u0001\u0000') // RFC 8032, section 2: dom2(1, '')
// The library's own variant hashes what is signed in JavaScript: of an attestation of 12 MiB for 700 ms, in which nobody else has a turn.
const ed25519ph = eddsa(ed25519.Point, sha512, {
  domain: (data: Uint8Array) => Buffer.concat([PH_DOMAIN, data]),
  prehash: (digest: Uint8Array) => digest,
})

function sha512(bytes: Uint8Array): Uint8Array {
  return createHash('sha512').update(bytes).digest()
}

/** `digest`: the SHA-512 of what was signed. */
function isSignedEd25519ph(digest: Uint8Array, key: KeyObject, signature: Uint8Array): boolean {
  try {
    const point = key.export({ format: 'der', type: 'spki' }).subarray(-32)
    return ed25519ph.verify(signature, digest, point, { zip215: false })
  } catch {
    return false
  }
}

/**
 * Whether the bytes begin like `SEQUENCE { r INTEGER, s INTEGER }`: this only chooses the encoding, and with it the words of a refusal.
 * Whether it is DER to the last byte, OpenSSL says.
 */
function isDerSignature(bytes: Uint8Array): boolean {
  const sequence = derElement(bytes, 0, 0x30)
  if (!sequence) return false
  const r = derElement(bytes, sequence.start, 0x02)
  const s = r && r.end < sequence.end ? derElement(bytes, r.end, 0x02) : undefined
  return r !== undefined && s !== undefined && r.end > r.start && s.end > s.start && s.end <= sequence.end
}

/** Where the content of the DER element at `at` starts and ends; undefined when it has another tag or does not fit. Lengths up to 255: no signature is longer. */
function derElement(bytes: Uint8Array, at: number, tag: number): { readonly start: number; readonly end: number } | undefined {
  const first = bytes[at + 1]
  if (bytes[at] !== tag || first === undefined) return undefined
  const long = first === 0x81
  const length = long ? bytes[at + 2] : first
  if (length === undefined || (first >= 0x80 && !long) || (long && length < 0x80)) return undefined
  const start = at + (long ? 3 : 2)
  return start + length <= bytes.length ? { start, end: start + length } : undefined
}

const BASE64_LINE = /^[A-Za-z0-9+/]*={0,2}$/

/** The first well-formed block (RFC 7468, with RFC 1421 headers allowed as Go's encoding/pem does): one pass, line by line. */
export function firstPemBlock(text: string): { readonly label: string; readonly der: Buffer } | undefined {
  let label: string | undefined
  let body: string[] = []
  for (const raw of text.split('\n')) {
    const line = raw.trimEnd()
    if (line.startsWith('-----BEGIN ') && line.endsWith('-----') && line.length > 16) {
      label = line.slice(11, -5)
      body = []
    } else if (label !== undefined && line === `-----END ${label}-----`) {
      const base64 = body.join('')
      if (base64.length % 4 === 0 && base64 !== '' && BASE64_LINE.test(base64)) return { label, der: Buffer.from(base64, 'base64') }
      label = undefined
    } else if (label !== undefined && !line.includes(': ')) {
      body.push(line.replace(/[ \t]/g, ''))
    }
  }
  return undefined
}

function unusable(cause: string): Read<never> {
  return { ok: false, reason: { code: 'key-unusable', cause } }
}
