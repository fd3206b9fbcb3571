import type { KeyObject } from 'node:crypto'
import { constants, createHash, publicDecrypt } from 'node:crypto'
import { p256 } from '@noble/curves/nist.js'
import type { Bundle } from '@sigstore/bundle'
import type { Digest } from '../image/digest.ts'
import type { PublicKey } from '../trust/key.ts'
import { whyNotSigned } from '../trust/key.ts'
import type { Read } from '../verdict/read.ts'
import type { Reason } from '../verdict/reason.ts'
import { MAX_ATTESTATION_BYTES, readBundle } from './bundle.ts'
import { verifySignedStatement } from './signed-statement.ts'
import type { Statement } from './statement.ts'
import type { Terms } from './terms.ts'
import { bundled } from './verification-material.ts'
import type { Refused, Signer, Verdict } from './verification.ts'
import { verifySigned } from './verification.ts'

/** What a bundle must be about. `digest`: the hex SHA-256 of it; `bytes`: itself, where there is more than its digest. */
export type Artifact = { readonly digest: string; readonly bytes?: Uint8Array | undefined }

// Not exported, and not in JSON: nothing but this file can make a value that carries it.
const verified: unique symbol = Symbol('verified')

/** An artifact whose bundle was verified. Only this file makes one. */
export type VerifiedArtifact = {
  readonly [verified]: true
  /** The hex SHA-256 of the artifact. */
  readonly digest: string
  readonly signer: Signer
  /** When the signature was proven to exist, ms since 1970; none: it was judged now. */
  readonly times: readonly number[]
  readonly until: number | undefined
  /** What is said of the artifact; undefined when it was signed itself. */
  readonly statement: Statement | undefined
}

/**
 * Whether a Sigstore bundle, v0.1 to v0.3, signs an artifact as `terms` demand, and if not, why, in the words of specification 7.5: by a signature over the
 * artifact itself or by an in-toto statement of any predicate type about it. At most 16 MiB. A signature over the artifact is verified by its
 * digest alone for P-256 and RSA; other keys need its bytes (`artifact-bytes-needed`). `at` is now, in ms since 1970. Never throws.
 */
export function verifyArtifactBundle(bytes: Uint8Array, artifact: Artifact, terms: Terms, at: number): Read<VerifiedArtifact> {
  const bundle = readBundle(bytes, MAX_ATTESTATION_BYTES)
  if (!bundle.ok) return bundle
  const { content, verificationMaterial } = bundle.value
  if (terms.signer.by === 'key' && verificationMaterial.content.$case !== 'publicKey') return refused({ code: 'bundle-not-with-key' })
  const verdict =
    content.$case === 'messageSignature'
      ? verifyMessage(bundle.value, content, artifact, terms, at)
      : verifyStatement(bundle.value, content, artifact, terms, at)
  if (!verdict.ok) return verdict
  const { signer, times, until } = verdict
  return { ok: true, value: { [verified]: true, digest: artifact.digest, signer, times, until, statement: verdict.statement } }
}

type Content<Case> = Bundle['content'] & { $case: Case }

function verifyStatement(
  bundle: Bundle,
  { dsseEnvelope: { payloadType, payload, signatures } }: Content<'dsseEnvelope'>,
  { digest }: Artifact,
  terms: Terms,
  at: number,
): ReturnType<typeof verifySignedStatement> {
  const envelope = { payloadType, payload, signatures: signatures.map((s) => s.sig) }
  const about: Digest = `sha256:${digest}`
  const searched = undefined
  return verifySignedStatement(
    { material: bundled(bundle), searched, envelope, json: undefined, digest: about, saysThreshold: true },
    terms,
    at,
  )
}

function verifyMessage(
  bundle: Bundle,
  { messageSignature: { messageDigest, signature } }: Content<'messageSignature'>,
  artifact: Artifact,
  terms: Terms,
  at: number,
): (Verdict & { readonly statement?: undefined }) | Refused {
  return verifySigned(
    {
      ...bundled(bundle),
      searched: undefined,
      stamped: signature,
      content: artifact.bytes ? { is: 'bytes', bytes: artifact.bytes } : { is: 'digest', sha256: Buffer.from(artifact.digest, 'hex') },
      anySignature: signature,
      signatureBy: (key) => {
        const why = whyArtifactNotSigned(key, artifact, signature)
        return why ? refused(why) : { ok: true, value: signature }
      },
      whyNotClaimed: () => whyOtherDigest(messageDigest, artifact),
    },
    terms,
    at,
  )
}

/** HashAlgorithm of sigstore_common.proto. */
const MESSAGE_HASHES: { readonly [algorithm: number]: 'sha256' | 'sha384' | 'sha512' | undefined } = {
  1: 'sha256',
  2: 'sha384',
  3: 'sha512',
}

/** Nobody signed the digest beside a signature, and one that is of something else is refused all the same: then the bundle was mixed up. */
function whyOtherDigest(
  { algorithm, digest }: Content<'messageSignature'>['messageSignature']['messageDigest'],
  artifact: Artifact,
): Reason | undefined {
  const hash = MESSAGE_HASHES[algorithm]
  const other = (detail: string): Reason => ({ code: 'bundle-signature-invalid', detail })
  if (!hash) return other('the algorithm of the digest in message signature is not one of SHA2_256, SHA2_384, SHA2_512')
  if (hash !== 'sha256' && !artifact.bytes) return { code: 'artifact-bytes-needed' }
  const own = artifact.bytes && hash !== 'sha256' ? createHash(hash).update(artifact.bytes).digest('hex') : artifact.digest
  return digest.toString('hex') === own ? undefined : other('provided artifact digest does not match digest in message signature')
}

function whyArtifactNotSigned(key: PublicKey, { bytes, digest }: Artifact, signature: Uint8Array): Reason | undefined {
  const invalid = (detail: string): Reason => ({ code: 'bundle-signature-invalid', detail: `could not verify message: ${detail}` })
  if (!bytes) {
    if (!isDigestEnough(key)) return { code: 'artifact-bytes-needed' }
    return isDigestSigned(key.key, Buffer.from(digest, 'hex'), signature) ? undefined : invalid('invalid signature')
  }
  let detail = ''
  for (const hash of key.envelopeHashes) {
    const why = whyNotSigned(key.key, hash, bytes, signature)
    if (why === undefined) return undefined
    detail ||= why
  }
  return invalid(detail)
}

/** Whether what the key signs is hashed with SHA-256, the digest that is there. */
function isDigestEnough({ key, envelopeHashes }: PublicKey): boolean {
  return envelopeHashes.includes('sha256') && (key.asymmetricKeyType === 'rsa' || key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
}

const SHA256_DIGEST_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex') // RFC 8017, section 9.2, note 1

/** `node:crypto` hashes what it verifies, so a digest takes other ways: for ECDSA another library, for RSA what the signature decrypts to. */
function isDigestSigned(key: KeyObject, digest: Buffer, signature: Uint8Array): boolean {
  try {
    if (key.asymmetricKeyType === 'rsa')
      return publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature).equals(Buffer.concat([SHA256_DIGEST_INFO, digest]))
    const point = key.export({ format: 'der', type: 'spki' }).subarray(-65)
    return p256.verify(signature, digest, point, { prehash: false, lowS: false, format: 'der' })
  } catch {
    return false
  }
}

function refused(reason: Reason): { readonly ok: false; readonly reason: Reason } {
  return { ok: false, reason }
}
