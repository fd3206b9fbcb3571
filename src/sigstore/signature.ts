import type { Digest } from '../image/digest.ts'
import { digestOf } from '../image/digest.ts'
import type { JsonObject } from '../image/json.ts'
import type { PublicKey } from '../trust/key.ts'
import { whyNotSigned } from '../trust/key.ts'
import type { Read } from '../verdict/read.ts'
import type { Reason } from '../verdict/reason.ts'
import { SIGNATURE_ANNOTATION } from './annotations.ts'
import { decodeBase64 } from './base64.ts'
import { readBundle } from './bundle.ts'
import type { SignatureEvidence } from './evidence.ts'
import type { Payload } from './payload.ts'
import { MAX_PAYLOAD_BYTES, readPayload } from './payload.ts'
import { verifySignedStatement } from './signed-statement.ts'
import type { Terms } from './terms.ts'
import { annotated, bundled } from './verification-material.ts'
import type { Note, Refused, Signer, Verdict } from './verification.ts'
import { verifySigned } from './verification.ts'

export type { LogSearch, Note, Refused, Signer } from './verification.ts'

const MAX_SIGNATURE_CHARACTERS = 16 * 1024 // base64 of the longest signature, RSA of 16384 bits, has 2732

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
  /** When it was proven to exist, ms since 1970; none: it was judged now. */
  readonly times: readonly number[]
  /** The instant, in ms since 1970, at which a fact it rests on ends; undefined when none does. */
  readonly until: number | undefined
}

export type Verification = { readonly ok: true; readonly signature: VerifiedSignature } | Refused

/**
 * Whether `evidence` is a signature of `digest` such as `terms` demand, and if not, why: in the order and words of specification 7.3, those
 * of 7.5 for a bundle with a certificate. Nothing of a payload or statement is read before its signature stands. Whom to believe comes from the
 * terms alone: keys, key ids and certificates in the evidence never verify anything by themselves. `at` is now, in ms since 1970: certificates
 * are checked against it where nothing proves when the signature was made. Where only a log entry is missing that may be searched for, the refusal
 * carries `search`. `note` is told of each step that stands. Synchronous, about 0.1 ms by key and 1 ms by certificate; never throws.
 */
export function verifySignature(
  evidence: SignatureEvidence,
  digest: Digest,
  terms: Terms | PublicKey,
  at: number = NaN,
  note?: Note,
): Verification {
  const demanded = 'signer' in terms ? terms : termsOf(terms)
  switch (evidence.form) {
    case 'annotations':
      return verifyAnnotations(evidence, digest, demanded, at, note)
    case 'bundle':
      return verifyBundle(evidence, digest, demanded, at, note)
  }
}

/** The terms of a key alone: no log, no timestamps. */
export function termsOf(key: PublicKey): Terms {
  return { signer: { by: 'key', key }, log: 'ignored', time: 'ignored' }
}

function verifyAnnotations(
  evidence: SignatureEvidence & { form: 'annotations' },
  digest: Digest,
  terms: Terms,
  at: number,
  note?: Note,
): Verification {
  const { annotations, payload } = evidence
  const signature = readSignature(evidence)
  if (!signature.ok) return signature
  if (!(payload instanceof Uint8Array)) return refused(payload)
  if (payload.length > MAX_PAYLOAD_BYTES)
    return refused({ code: 'payload-malformed', detail: `size of layer (${payload.length}) exceeded the limit (${MAX_PAYLOAD_BYTES})` })

  let claim: Read<Payload> | undefined
  const verdict = verifySigned(
    {
      ...annotated(annotations),
      searched: evidence.entries,
      stamped: signature.value,
      content: { is: 'bytes', bytes: payload },
      anySignature: signature.value,
      signatureBy: (key) => {
        const detail = whyNotSigned(key.key, key.hash, payload, signature.value)
        return detail === undefined ? signature : refused({ code: 'signature-invalid', detail })
      },
      whyNotClaimed: () => {
        claim = readPayload(payload)
        if (!claim.ok) return claim.reason
        return claim.value.digest === digest ? undefined : { code: 'payload-other-image', digest: claim.value.digest }
      },
    },
    terms,
    at,
    note,
  )
  if (!verdict.ok) return verdict
  return verifiedBy(verdict, evidence, digest, claim?.ok ? claim.value.annotations : {})
}

function readSignature({ annotations, payload }: SignatureEvidence & { form: 'annotations' }): Read<Uint8Array> {
  const written = annotations[SIGNATURE_ANNOTATION]
  const malformed = (detail: string) => refused({ code: 'signature-malformed', detail })
  if (written === undefined) {
    // The message names the layer by its digest, which is that of the payload.
    if (!(payload instanceof Uint8Array)) return refused(payload)
    return malformed(`signature layer ${digestOf(payload)} is missing ${JSON.stringify(SIGNATURE_ANNOTATION)} annotation`)
  }
  if (written.length > MAX_SIGNATURE_CHARACTERS)
    return malformed(`size of signature (${written.length}) exceeded the limit (${MAX_SIGNATURE_CHARACTERS})`)
  const signature = decodeBase64(written)
  return signature.ok ? { ok: true, value: signature.bytes } : malformed(signature.detail)
}

function verifyBundle(
  evidence: SignatureEvidence & { form: 'bundle' },
  digest: Digest,
  terms: Terms,
  at: number,
  note?: Note,
): Verification {
  if (!(evidence.bytes instanceof Uint8Array)) return refused(evidence.bytes)
  const bundle = readBundle(evidence.bytes)
  if (!bundle.ok) return bundle
  const { content, verificationMaterial } = bundle.value
  // A certificate in a bundle would be key material that the registry chose (lesson 18).
  if (terms.signer.by === 'key' && verificationMaterial.content.$case !== 'publicKey') return refused({ code: 'bundle-not-with-key' })
  // Such a signature is over the manifest's bytes, which are not fetched; and it would let a blob signature stand for an image's.
  if (content.$case === 'messageSignature') return refused({ code: 'bundle-signs-bytes' })
  const { payloadType, payload, signatures } = content.dsseEnvelope
  const verdict = verifySignedStatement(
    {
      material: bundled(bundle.value),
      searched: evidence.entries,
      envelope: { payloadType, payload, signatures: signatures.map((s) => s.sig) },
      json: undefined,
      digest,
      saysThreshold: false,
    },
    terms,
    at,
    note,
  )
  if (!verdict.ok) return verdict
  const { predicateType } = verdict.statement
  if (predicateType !== SIGN_PREDICATE_TYPE) return refused({ code: 'statement-other-type', predicateType })
  return verifiedBy(verdict, evidence, digest, {})
}

function verifiedBy({ signer, times, until }: Verdict, evidence: SignatureEvidence, digest: Digest, annotations: JsonObject): Verification {
  const { form, manifest, layer } = evidence
  return { ok: true, signature: { [verified]: true, digest, signer, form, manifest, layer, annotations, times, until } }
}

function refused(reason: Reason): { readonly ok: false; readonly reason: Reason } {
  return { ok: false, reason }
}
