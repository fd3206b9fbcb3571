import type { Bundle } from '@sigstore/bundle'
import type { Digest } from '../image/digest.ts'
import type { PublicKey } from '../trust/key.ts'
import type { Read } from '../verdict/read.ts'
import type { Reason } from '../verdict/reason.ts'
import type { Bulk } from './bulk.ts'
import { atOnce, InTurns } from './bulk.ts'
import { MAX_ATTESTATION_BYTES, readBundle, readBundleInTurns } from './bundle.ts'
import type { Envelope } from './envelope.ts'
import { readEnvelope, readEnvelopeInTurns } from './envelope.ts'
import type { AttestationEvidence } from './evidence.ts'
import { termsOf } from './signature.ts'
import type { SignedStatement } from './signed-statement.ts'
import { verifySignedStatement } from './signed-statement.ts'
import type { Statement } from './statement.ts'
import type { Terms } from './terms.ts'
import { annotated, bundled } from './verification-material.ts'
import type { Note, Refused, Signer } from './verification.ts'

/** Bytes of an attestation from which on others have their turn while it is judged: an envelope may have 16 signatures, and each hashes all of it. */
const MUCH_BYTES = 128 * 1024

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
  /** When it was proven to exist, ms since 1970; none: it was judged now. */
  readonly times: readonly number[]
  /** The instant, in ms since 1970, at which a fact it rests on ends; undefined when none does. */
  readonly until: number | undefined
}

/** Of which predicate types, as URIs, an attestation may be. With `any` the caller compares; a text of a policy is never taken for it. */
export type PredicateTypes = 'any' | readonly string[]

export type AttestationVerification = { readonly ok: true; readonly statement: VerifiedStatement } | Refused

/**
 * Whether `evidence` is an attestation about `digest` such as `terms` demand, and if not, why: in the order and words of specification 7.3, those of 7.5
 * for a bundle with a certificate. One signature of an envelope by the signer suffices, whoever else signed it. Nothing of the statement is read
 * before its signature stands. What is of another type than `predicateTypes` is refused with `attestation-other-type`, only once it is
 * verified; specification 8.1 passes over it. `at` and `search` as for signatures. Never throws.
 */
export function verifyAttestation(
  evidence: AttestationEvidence,
  digest: Digest,
  terms: Terms,
  predicateTypes: PredicateTypes,
  at: number,
  note?: Note,
): AttestationVerification
export function verifyAttestation(evidence: AttestationEvidence, digest: Digest, key: PublicKey, at?: number): AttestationVerification
export function verifyAttestation(
  evidence: AttestationEvidence,
  digest: Digest,
  terms: Terms | PublicKey,
  types?: PredicateTypes | number,
  now?: number,
  note?: Note,
): AttestationVerification {
  const predicateTypes = typeof types === 'number' || types === undefined ? 'any' : types
  const at = (typeof types === 'number' ? types : now) ?? NaN
  const demanded = 'signer' in terms ? terms : termsOf(terms)
  const read = evidence.form === 'annotations' ? layerOf(evidence, digest) : bundleOf(evidence, digest, demanded)
  return read.ok ? verifyRead(evidence, read.value, demanded, predicateTypes, at, note) : read
}

/** As `verifyAttestation`, however large the attestation is: others have their turn meanwhile. Never rejects. */
export async function verifyAttestationInTurns(
  evidence: AttestationEvidence,
  digest: Digest,
  terms: Terms,
  predicateTypes: PredicateTypes,
  at: number,
  note: Note,
  turn: () => Promise<void>,
): Promise<AttestationVerification> {
  const bytes = evidence.form === 'annotations' ? evidence.payload : evidence.bytes
  if (!(bytes instanceof Uint8Array) || bytes.length < MUCH_BYTES)
    return verifyAttestation(evidence, digest, terms, predicateTypes, at, note)
  const read =
    evidence.form === 'annotations'
      ? layerWith(evidence, bytes, await readEnvelopeInTurns(bytes, turn), digest)
      : bundleWith(evidence, await readBundleInTurns(bytes, MAX_ATTESTATION_BYTES, turn), digest, terms)
  if (!read.ok) return read
  const bulk = new InTurns(turn)
  for (;;) {
    const steps: Reason[] = []
    const answer = verifyRead(evidence, read.value, terms, predicateTypes, at, (step) => steps.push(step), bulk)
    if (await bulk.work()) continue
    steps.forEach(note)
    return answer
  }
}

function verifyRead(
  evidence: AttestationEvidence,
  read: SignedStatement,
  terms: Terms,
  predicateTypes: PredicateTypes,
  at: number,
  note?: Note,
  bulk: Bulk = atOnce,
): AttestationVerification {
  const { digest } = read
  const verdict = verifySignedStatement(read, terms, at, note, bulk)
  if (!verdict.ok) return verdict
  const { signer, statement, times, until } = verdict
  const { predicateType } = statement
  if (predicateTypes !== 'any' && !predicateTypes.includes(predicateType))
    return refused({ code: 'attestation-other-type', wanted: predicateTypes.join(', '), found: [predicateType] })
  const { form, manifest, layer } = evidence
  return { ok: true, statement: { [verified]: true, digest, signer, form, manifest, layer, statement, times, until } }
}

type Layer = AttestationEvidence & { form: 'annotations' }
type InBundle = AttestationEvidence & { form: 'bundle' }

function layerOf(evidence: Layer, digest: Digest): Read<SignedStatement> {
  const { payload } = evidence
  return payload instanceof Uint8Array ? layerWith(evidence, payload, readEnvelope(payload), digest) : refused(payload)
}

function layerWith({ annotations, entries }: Layer, json: Uint8Array, envelope: Read<Envelope>, digest: Digest): Read<SignedStatement> {
  if (!envelope.ok) return envelope
  const material = annotated(annotations)
  return { ok: true, value: { material, searched: entries, envelope: envelope.value, json, digest, saysThreshold: true } }
}

function bundleOf(evidence: InBundle, digest: Digest, terms: Terms): Read<SignedStatement> {
  const { bytes } = evidence
  return bytes instanceof Uint8Array ? bundleWith(evidence, readBundle(bytes, MAX_ATTESTATION_BYTES), digest, terms) : refused(bytes)
}

function bundleWith({ entries }: InBundle, bundle: Read<Bundle>, digest: Digest, { signer }: Terms): Read<SignedStatement> {
  if (!bundle.ok) return bundle
  const { content, verificationMaterial } = bundle.value
  // A certificate in a bundle would be key material that the registry chose (lesson 18).
  if (signer.by === 'key' && verificationMaterial.content.$case !== 'publicKey') return refused({ code: 'bundle-not-with-key' })
  if (content.$case === 'messageSignature')
    return refused({ code: 'envelope-malformed', detail: 'bundle does not contain a DSSE envelope' })
  const { payloadType, payload, signatures } = content.dsseEnvelope
  const envelope = { payloadType, payload, signatures: signatures.map((s) => s.sig) }
  const material = bundled(bundle.value)
  return { ok: true, value: { material, searched: entries, envelope, json: undefined, digest, saysThreshold: true } }
}

function refused(reason: Reason): { readonly ok: false; readonly reason: Reason } {
  return { ok: false, reason }
}
