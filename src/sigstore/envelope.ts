import { dsse } from '@sigstore/core'
import { isJsonObject, readJson } from '../image/json.ts'
import type { PublicKey } from '../trust/key.ts'
import { whyNotSigned } from '../trust/key.ts'
import type { Read } from '../verdict/read.ts'
import { oneLine } from '../verdict/reason.ts'
import { decodeBase64 } from './base64.ts'

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
  if (!read.ok) return malformed(read.detail)
  if (!isJsonObject(read.value)) return malformed('the envelope is not an object')
  const { payloadType, payload, signatures } = read.value
  if (typeof payloadType !== 'string') return malformed('the envelope has no payloadType')
  if (typeof payload !== 'string') return malformed('the envelope has no payload')
  const list: unknown = signatures ?? []
  if (!Array.isArray(list)) return malformed('the signatures of the envelope are not a list')
  const decoded = decodeBase64(payload)
  if (!decoded.ok) return malformed(decoded.detail)
  const decodedSignatures: Buffer[] = []
  for (const signature of list as unknown[]) {
    const sig = typeof signature === 'object' && signature !== null && 'sig' in signature ? signature.sig : undefined
    const bytesOfIt = typeof sig === 'string' ? decodeBase64(sig) : undefined
    if (!bytesOfIt?.ok) return malformed(bytesOfIt?.detail ?? 'a signature of the envelope has no sig')
    decodedSignatures.push(Buffer.from(bytesOfIt.bytes))
  }
  return { ok: true, value: { payloadType, payload: Buffer.from(decoded.bytes), signatures: decodedSignatures } }
}

function malformed(detail: string): Read<never> {
  return { ok: false, reason: { code: 'envelope-malformed', detail } }
}

/** The signature that the key made, or in words why there is none. `isTried`: there are signatures, and none of them is by the key. */
export type SignatureFound =
  | { readonly ok: true; readonly signature: Buffer }
  | { readonly ok: false; readonly detail: string; readonly isTried: boolean }

/**
 * The signature of the envelope that `key` made over its payload and payload type (DSSE, «Protocol»: the pre-authentication encoding is what
 * is signed), whoever else signed it. Without one the detail is that of the last signature.
 */
export function signatureIn(envelope: Envelope, key: PublicKey): SignatureFound {
  const none = (detail: string): SignatureFound => ({ ok: false, detail, isTried: false })
  if (envelope.payloadType !== IN_TOTO_PAYLOAD_TYPE)
    return none(`invalid payloadType ${oneLine(envelope.payloadType)} on envelope. Expected ${IN_TOTO_PAYLOAD_TYPE}`)
  const limit = Math.min(MAX_SIGNATURES, Math.max(1, Math.floor(MAX_HASHED_BYTES / Math.max(1, envelope.payload.length))))
  if (envelope.signatures.length > limit) return none(`number of signatures (${envelope.signatures.length}) exceeded the limit (${limit})`)
  const signed = dsse.preAuthEncoding(envelope.payloadType, envelope.payload)
  let last = none('no signature found')
  for (const signature of envelope.signatures) {
    for (const hash of key.envelopeHashes) {
      const detail = whyNotSigned(key.key, hash, signed, signature)
      if (detail === undefined) return { ok: true, signature }
      last = { ok: false, detail, isTried: true }
      if (key.key.asymmetricKeyType === 'ed25519') break
    }
  }
  return last
}
