import type { Digest } from '../image/digest.ts'
import type { PublicKey } from '../trust/key.ts'
import type { Reason } from '../verdict/reason.ts'
import { CERTIFICATE_ANNOTATION } from './annotations.ts'
import { MAX_ATTESTATION_BYTES, readBundle } from './bundle.ts'
import type { Envelope } from './envelope.ts'
import { readEnvelope, whyEnvelopeNotSigned } from './envelope.ts'
import type { AttestationEvidence } from './evidence.ts'
import type { Refused, Signer } from './signature.ts'
import { keyOf, readValidity } from './signature.ts'
import type { Statement } from './statement.ts'
import { isAbout, readStatement } from './statement.ts'
import type { Terms } from './terms.ts'

// Not exported, and not in JSON: nothing but this file can make a value that carries it.
const verified: unique symbol = Symbol('verified')

/** A statement whose signer and subject were verified. Only this file makes one, and only one of these may satisfy a policy (Q12, lesson 1). */
export type VerifiedStatement = {
  readonly [verified]: true
  /** The image that it is about: one of its subjects. */
  readonly digest: Digest
  readonly signer: Signer
  readonly form: AttestationEvidence['form']
  /** Where it lay. */
  readonly manifest: Digest
  readonly layer: number
  readonly statement: Statement
  /** The instant, in ms since 1970, at which a fact it rests on ends; undefined when none does. */
  readonly until: number | undefined
}

/** Of which predicate types, as URIs, an attestation may be; with `any` the caller compares. */
export type PredicateTypes = 'any' | string | readonly string[]

export type AttestationVerification = { readonly ok: true; readonly statement: VerifiedStatement } | Refused

/**
 * Whether `evidence` is an attestation about `digest` signed by `key`, and if not, why: in the order and words of specification 7.3. One signature
 * of an envelope by the key suffices, whoever else signed it. Nothing of the statement is read before its signature stands; of which type it may
 * be is for the policy to say. `at` is now, in ms since 1970, for a certificate that lies beside an attestation by key. Never throws.
 */
export function verifyAttestation(
  evidence: AttestationEvidence,
  digest: Digest,
  terms: Terms,
  predicateTypes: PredicateTypes,
  at: number,
): AttestationVerification
export function verifyAttestation(evidence: AttestationEvidence, digest: Digest, key: PublicKey, at?: number): AttestationVerification
export function verifyAttestation(
  evidence: AttestationEvidence,
  digest: Digest,
  terms: Terms | PublicKey,
  ...last: [PredicateTypes, number] | [number | undefined] | []
): AttestationVerification {
  const [predicateTypes, at] = last.length === 2 ? last : (['any', last[0]] as const)
  const key = keyOf(terms)
  if (!key) return refused({ code: 'field-not-carried-out', field: 'spec.authorities[].keyless' })
  const read = evidence.form === 'annotations' ? envelopeOf(evidence.payload) : envelopeInBundle(evidence.bytes)
  if (!read.ok) return read
  const unsigned = whyEnvelopeNotSigned(read.envelope, key)
  if (unsigned !== undefined) return refused({ code: 'signature-invalid', detail: thresholdText(read.envelope, unsigned) })

  const statement = readStatement(read.envelope.payload)
  if (!statement.ok) return statement
  if (!isAbout(statement.value, digest)) return refused({ code: 'statement-other-image' })
  const { predicateType } = statement.value
  if (predicateTypes !== 'any' && ![predicateTypes].flat().includes(predicateType))
    return refused({ code: 'attestation-other-type', wanted: [predicateTypes].flat().join(', '), found: [predicateType] })

  const certificate = readValidity(evidence.form === 'annotations' ? evidence.annotations[CERTIFICATE_ANNOTATION] : undefined)
  if (!certificate.ok) return certificate
  const { validity } = certificate
  if (validity && (at === undefined || at < validity.from || at > validity.to)) {
    return refused({ code: 'certificate-not-valid-now', detail: 'expected a signed timestamp to verify an expired certificate' })
  }
  const { form, manifest, layer } = evidence
  const signer = { by: 'key', keyId: key.id } as const
  return {
    ok: true,
    statement: { [verified]: true, digest, signer, form, manifest, layer, statement: statement.value, until: validity?.to },
  }
}

type EnvelopeRead = { readonly ok: true; readonly envelope: Envelope } | Refused

function envelopeOf(payload: Uint8Array | Reason): EnvelopeRead {
  if (!(payload instanceof Uint8Array)) return refused(payload)
  const read = readEnvelope(payload)
  return read.ok ? { ok: true, envelope: read.value } : read
}

function envelopeInBundle(bytes: Uint8Array | Reason): EnvelopeRead {
  if (!(bytes instanceof Uint8Array)) return refused(bytes)
  const bundle = readBundle(bytes, MAX_ATTESTATION_BYTES)
  if (!bundle.ok) return bundle
  const { content, verificationMaterial } = bundle.value
  // A certificate in a bundle would be key material that the registry chose (lesson 18).
  if (verificationMaterial.content.$case !== 'publicKey') return refused({ code: 'bundle-not-with-key' })
  if (content.$case === 'messageSignature')
    return refused({ code: 'envelope-malformed', detail: 'bundle does not contain a DSSE envelope' })
  const { payloadType, payload, signatures } = content.dsseEnvelope
  return { ok: true, envelope: { payloadType, payload, signatures: signatures.map((s) => s.sig) } }
}

/** The words of 7.3, step 4: which of several signatures failed how is not told. */
function thresholdText({ signatures, payloadType }: Envelope, detail: string): string {
  const isAboutSignatures = signatures.length > 0 && !detail.startsWith(`invalid payloadType ${payloadType.slice(0, 200)} `)
  return isAboutSignatures ? 'accepted signatures do not match threshold, Found: 0, Expected 1' : detail
}

function refused(reason: Reason): Refused {
  return { ok: false, reason }
}
