import { X509Certificate } from 'node:crypto'
import type { Bundle } from '@sigstore/bundle'
import type { Digest } from '../image/digest.ts'
import { digestOf } from '../image/digest.ts'
import type { JsonObject } from '../image/json.ts'
import type { PublicKey } from '../trust/key.ts'
import { whyNotSigned } from '../trust/key.ts'
import type { Reason } from '../verdict/reason.ts'
import { CERTIFICATE_ANNOTATION, SIGNATURE_ANNOTATION } from './annotations.ts'
import { decodeBase64 } from './base64.ts'
import { readBundle } from './bundle.ts'
import { whyEnvelopeNotSigned } from './envelope.ts'
import type { SignatureEvidence } from './evidence.ts'
import { MAX_PAYLOAD_BYTES, readPayload } from './payload.ts'
import { isAbout, readStatement } from './statement.ts'
import type { Terms } from './terms.ts'

const MAX_SIGNATURE_CHARACTERS = 16 * 1024 // base64 of the longest signature, RSA of 16384 bits, has 2732
const MAX_CERTIFICATE_CHARACTERS = 64 * 1024 // PEM; those of Fulcio have under 4 KiB

/** The predicate type of the statement by which cosign 3 signs an image. */
export const SIGN_PREDICATE_TYPE = 'https://sigstore.dev/cosign/sign/v1'

// Not exported, and not in JSON: nothing but this file can make a value that carries it.
const verified: unique symbol = Symbol('verified')

/** A signature that was verified to be about `digest`. Only this file makes one, and only one of these may count as a signature. */
export type VerifiedSignature = {
  readonly [verified]: true
  readonly digest: Digest
  readonly signer: Signer
  readonly form: SignatureEvidence['form']
  /** Where it lay. */
  readonly manifest: Digest
  readonly layer: number
  /** What the signer annotated: the payload's `optional`. A bundle has none. */
  readonly annotations: JsonObject
  /** The instant, in ms since 1970, at which a fact it rests on ends; undefined when none does. */
  readonly until: number | undefined
}

/** Who signed. */
export type Signer =
  | { readonly by: 'key'; readonly keyId: string }
  | {
      readonly by: 'certificate'
      readonly subjects: readonly string[]
      readonly issuer: string
      /** The hex SHA-256 of the certificate's DER. */
      readonly fingerprint: string
    }

export type Verification = { readonly ok: true; readonly signature: VerifiedSignature } | Refused
/** `search`: the only thing that is missing is a log entry, for which the log may be searched; then verify again with `evidence.entries`. */
export type Refused = { readonly ok: false; readonly reason: Reason; readonly search?: LogSearch }
/** Bodies for Rekor v1's `/api/v1/log/entries/retrieve`. */
export type LogSearch = { readonly proposals: readonly object[] }

/** The key that terms name; a key alone is one with no log and no timestamps. */
export function keyOf(terms: Terms | PublicKey): PublicKey | undefined {
  if (!('signer' in terms)) return terms
  return terms.signer.by === 'key' ? terms.signer.key : undefined
}

/**
 * Whether `evidence` is a signature of `digest` by `key`, and if not, why: in the order and words of specification 7.3. First the
 * signature, then what was signed: nothing of a payload or statement is read before its signature stands. The key comes from a policy;
 * keys, key ids and certificates in the evidence never verify anything. `at` is now, in ms since 1970: only a certificate beside an old-form
 * signature asks for it, and without it such a signature is refused. Synchronous, about 0.1 ms; never throws.
 */
export function verifySignature(evidence: SignatureEvidence, digest: Digest, terms: Terms | PublicKey, at?: number): Verification {
  const key = keyOf(terms)
  if (!key) return refused({ code: 'field-not-carried-out', field: 'spec.authorities[].keyless' })
  switch (evidence.form) {
    case 'annotations':
      return verifyAnnotations(evidence, digest, key, at)
    case 'bundle':
      return verifyBundle(evidence, digest, key)
  }
}

function verifyAnnotations(
  evidence: SignatureEvidence & { form: 'annotations' },
  digest: Digest,
  key: PublicKey,
  at: number | undefined,
): Verification {
  const { annotations, payload } = evidence
  const written = annotations[SIGNATURE_ANNOTATION]
  if (written === undefined) {
    // The message names the layer by its digest, which is that of the payload.
    if (!(payload instanceof Uint8Array)) return refused(payload)
    return refused({
      code: 'signature-malformed',
      detail: `signature layer ${digestOf(payload)} is missing ${JSON.stringify(SIGNATURE_ANNOTATION)} annotation`,
    })
  }
  if (written.length > MAX_SIGNATURE_CHARACTERS)
    return refused({
      code: 'signature-malformed',
      detail: `size of signature (${written.length}) exceeded the limit (${MAX_SIGNATURE_CHARACTERS})`,
    })
  const signature = decodeBase64(written)
  if (!signature.ok) return refused({ code: 'signature-malformed', detail: signature.detail })

  if (!(payload instanceof Uint8Array)) return refused(payload)
  if (payload.length > MAX_PAYLOAD_BYTES)
    return refused({ code: 'payload-malformed', detail: `size of layer (${payload.length}) exceeded the limit (${MAX_PAYLOAD_BYTES})` })
  const unsigned = whyNotSigned(key.key, key.hash, payload, signature.bytes)
  if (unsigned !== undefined) return refused({ code: 'signature-invalid', detail: unsigned })

  const claim = readPayload(payload)
  if (!claim.ok) return refused(claim.reason)
  if (claim.value.digest !== digest) return refused({ code: 'payload-other-image', digest: claim.value.digest })

  const certificate = readValidity(annotations[CERTIFICATE_ANNOTATION])
  if (!certificate.ok) return certificate
  if (certificate.validity && (at === undefined || at < certificate.validity.from || at > certificate.validity.to)) {
    return refused({ code: 'certificate-not-valid-now', detail: 'expected a signed timestamp to verify an expired certificate' })
  }
  return verifiedBy(key, evidence, digest, claim.value.annotations, certificate.validity?.to)
}

export type Validity = { readonly from: number; readonly to: number }

/**
 * The validity of a certificate that came beside a signature by key (7.3, step 6): it must be valid now, although nothing else is believed
 * of it. Otherwise whoever signs with a key and a certificate of their own could not let one end.
 */
export function readValidity(pem: string | undefined): { readonly ok: true; readonly validity: Validity | undefined } | Refused {
  if (pem === undefined || pem === '') return { ok: true, validity: undefined }
  try {
    if (pem.length > MAX_CERTIFICATE_CHARACTERS) throw new RangeError('longer than any certificate')
    const certificate = new X509Certificate(pem)
    return { ok: true, validity: { from: certificate.validFromDate.getTime(), to: certificate.validToDate.getTime() } }
  } catch {
    // OpenSSL's own words change with its version, and messages must not.
    return refused({ code: 'signature-malformed', detail: 'the certificate of the signature cannot be parsed' })
  }
}

function verifyBundle(evidence: SignatureEvidence & { form: 'bundle' }, digest: Digest, key: PublicKey): Verification {
  if (!(evidence.bytes instanceof Uint8Array)) return refused(evidence.bytes)
  const bundle = readBundle(evidence.bytes)
  if (!bundle.ok) return refused(bundle.reason)
  const content = signedContent(bundle.value)
  if (!content.ok) return content

  const unsigned = whyEnvelopeNotSigned(content.envelope, key)
  if (unsigned !== undefined) return refused({ code: 'signature-invalid', detail: unsigned })

  const statement = readStatement(content.envelope.payload)
  if (!statement.ok) return refused(statement.reason)
  if (statement.value.predicateType !== SIGN_PREDICATE_TYPE)
    return refused({ code: 'statement-other-type', predicateType: statement.value.predicateType })
  if (!isAbout(statement.value, digest)) return refused({ code: 'statement-other-image' })
  return verifiedBy(key, evidence, digest, {}, undefined)
}

function signedContent({
  content,
  verificationMaterial,
}: Bundle): { readonly ok: true; readonly envelope: Parameters<typeof whyEnvelopeNotSigned>[0] } | Refused {
  // A certificate in a bundle would be key material that the registry chose (lesson 18).
  if (verificationMaterial.content.$case !== 'publicKey') return refused({ code: 'bundle-not-with-key' })
  // Such a signature is over the manifest's bytes, which are not fetched; and it would let a blob signature stand for an image's.
  if (content.$case === 'messageSignature') return refused({ code: 'bundle-signs-bytes' })
  const { payloadType, payload, signatures } = content.dsseEnvelope
  return { ok: true, envelope: { payloadType, payload, signatures: signatures.map((s) => s.sig) } }
}

function verifiedBy(
  key: PublicKey,
  evidence: SignatureEvidence,
  digest: Digest,
  annotations: JsonObject,
  until: number | undefined,
): Verification {
  const { form, manifest, layer } = evidence
  return {
    ok: true,
    signature: { [verified]: true, digest, signer: { by: 'key', keyId: key.id }, form, manifest, layer, annotations, until },
  }
}

function refused(reason: Reason): Refused {
  return { ok: false, reason }
}
