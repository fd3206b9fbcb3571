import { dsse } from '@sigstore/core'
import type { Json } from '../image/json.ts'
import { isJsonObject, isJsonText, readJson, readJsonWithout } from '../image/json.ts'
import type { PublicKey } from '../trust/key.ts'
import type { Read } from '../verdict/read.ts'
import { oneLine } from '../verdict/reason.ts'
import type { Decoded } from './base64.ts'
import { decodeBase64, decodeBase64In, hasRoomBefore, ROOM_BEFORE } from './base64.ts'
import type { Bulk } from './bulk.ts'
import { atOnce } from './bulk.ts'

/** The payload type of in-toto statements: the only one that is believed to be one. */
export const IN_TOTO_PAYLOAD_TYPE = 'application/vnd.in-toto+json'

const MAX_ENVELOPE_BYTES = 24 * 1024 * 1024 // a statement of 16 MiB in base64, and its signatures
const MAX_SIGNATURES = 16 // of one envelope; those of cosign have one
const MAX_HASHED_BYTES = 32 * 1024 * 1024 // of a payload, once for each signature: each hashes all of it, 1 MiB in some 3 ms

/** A DSSE envelope, decoded; nobody believes it yet. The key ids in an envelope choose nothing here, so they are not kept. */
export type Envelope = { readonly payloadType: string; readonly payload: Buffer; readonly signatures: readonly Buffer[] }

const BOUNDS = { bytes: MAX_ENVELOPE_BYTES, depth: 8, values: 1000 } // of the envelope itself: its payload is one string

/** Reads a DSSE envelope (DSSE, «JSON envelope»), as cosign keeps attestations of the old form. Answers `envelope-malformed`; never throws. */
export function readEnvelope(bytes: Uint8Array): Read<Envelope> {
  const read = readJson(bytes, BOUNDS)
  return read.ok ? envelopeIn(read.value) : malformed(read.detail)
}

/** As `readEnvelope`, however large the payload is: others have their turn meanwhile. All else in it has at most 1 MiB. */
export async function readEnvelopeInTurns(bytes: Uint8Array, turn: () => Promise<void>): Promise<Read<Envelope>> {
  const read = await readJsonWithout(bytes, ['payload'], BOUNDS, turn)
  if (!read.ok) return malformed(read.detail)
  const { rest, cut } = read.value
  // What is no text is refused as such.
  return envelopeIn(rest, cut && (isJsonText(cut) ? await decodeBase64In(cut, true, turn) : NO_PAYLOAD))
}

const NO_PAYLOAD = { ok: false, detail: 'the envelope has no payload' } as const satisfies Decoded

/** `cut`: its payload, where that was read by itself. */
function envelopeIn(json: Json, cut?: Decoded): Read<Envelope> {
  if (!isJsonObject(json)) return malformed('the envelope is not an object')
  const { payloadType, payload, signatures } = json
  if (typeof payloadType !== 'string') return malformed('the envelope has no payloadType')
  if (typeof payload !== 'string' || cut === NO_PAYLOAD) return malformed(NO_PAYLOAD.detail)
  const list: unknown = signatures ?? []
  if (!Array.isArray(list)) return malformed('the signatures of the envelope are not a list')
  const decoded = cut ?? decodeBase64(payload)
  if (!decoded.ok) return malformed(decoded.detail)
  const decodedSignatures: Buffer[] = []
  for (const signature of list as unknown[]) {
    const sig = typeof signature === 'object' && signature !== null && 'sig' in signature ? signature.sig : undefined
    const bytesOfIt = typeof sig === 'string' ? decodeBase64(sig) : undefined
    if (!bytesOfIt?.ok) return malformed(bytesOfIt?.detail ?? 'a signature of the envelope has no sig')
    decodedSignatures.push(bytesOfIt.bytes)
  }
  return { ok: true, value: { payloadType, payload: decoded.bytes, signatures: decodedSignatures } }
}

function malformed(detail: string): Read<never> {
  return { ok: false, reason: { code: 'envelope-malformed', detail } }
}

const encoded = new WeakMap<Pick<Envelope, 'payloadType' | 'payload'>, Buffer>()

/** What is signed of an envelope (DSSE, «Protocol»); the same bytes each time, for they may be many. */
export function preAuthEncoding(envelope: Pick<Envelope, 'payloadType' | 'payload'>): Buffer {
  const known = encoded.get(envelope) ?? encodedInPlace(envelope) ?? dsse.preAuthEncoding(envelope.payloadType, envelope.payload)
  encoded.set(envelope, known)
  return known
}

/** Without copying the payload, where there is room before it. */
function encodedInPlace({ payloadType, payload }: Pick<Envelope, 'payloadType' | 'payload'>): Buffer | undefined {
  const before = Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `)
  if (before.length > ROOM_BEFORE || !hasRoomBefore(payload)) return undefined
  const whole = Buffer.from(payload.buffer, payload.byteOffset - before.length, before.length + payload.length)
  before.copy(whole)
  return whole
}

/** The signature that the key made, or in words why there is none. `isTried`: there are signatures, and none of them is by the key. */
export type SignatureFound =
  | { readonly ok: true; readonly signature: Buffer }
  | { readonly ok: false; readonly detail: string; readonly isTried: boolean }

/**
 * The signature of the envelope that `key` made over its payload and payload type (DSSE, «Protocol»: the pre-authentication encoding is what
 * is signed), whoever else signed it. Without one the detail is that of the last signature.
 */
export function signatureIn(envelope: Envelope, key: PublicKey, bulk: Bulk = atOnce): SignatureFound {
  const none = (detail: string): SignatureFound => ({ ok: false, detail, isTried: false })
  if (envelope.payloadType !== IN_TOTO_PAYLOAD_TYPE)
    return none(`invalid payloadType ${oneLine(envelope.payloadType)} on envelope. Expected ${IN_TOTO_PAYLOAD_TYPE}`)
  const limit = Math.min(MAX_SIGNATURES, Math.max(1, Math.floor(MAX_HASHED_BYTES / Math.max(1, envelope.payload.length))))
  if (envelope.signatures.length > limit) return none(`number of signatures (${envelope.signatures.length}) exceeded the limit (${limit})`)
  const signed = preAuthEncoding(envelope)
  let last = none('no signature found')
  for (const signature of envelope.signatures) {
    for (const hash of key.envelopeHashes) {
      const detail = bulk.whyNotSigned(key, hash, signed, signature)
      if (detail === undefined) return { ok: true, signature }
      last = { ok: false, detail, isTried: true }
      if (key.key.asymmetricKeyType === 'ed25519') break
    }
  }
  return last
}
