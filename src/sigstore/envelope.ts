import { dsse } from '@sigstore/core'
import type { PublicKey } from '../trust/key.ts'
import { whyNotSigned } from '../trust/key.ts'

/** The payload type of in-toto statements: the only one that is believed to be one. */
export const IN_TOTO_PAYLOAD_TYPE = 'application/vnd.in-toto+json'

const MAX_SIGNATURES = 16 // of one envelope; those of cosign have one

/** A DSSE envelope, decoded; nobody believes it yet. The key ids in an envelope choose nothing here, so they are not kept. */
export type Envelope = { readonly payloadType: string; readonly payload: Buffer; readonly signatures: readonly Buffer[] }

/**
 * Why no signature of the envelope is one that `key` made over its payload and payload type (DSSE, «Protocol»: the pre-authentication
 * encoding is what is signed); undefined: one is. The detail is that of the last signature.
 */
export function whyEnvelopeNotSigned(envelope: Envelope, key: PublicKey): string | undefined {
  if (envelope.payloadType !== IN_TOTO_PAYLOAD_TYPE)
    return `invalid payloadType ${envelope.payloadType.slice(0, 200)} on envelope. Expected ${IN_TOTO_PAYLOAD_TYPE}`
  if (envelope.signatures.length > MAX_SIGNATURES)
    return `number of signatures (${envelope.signatures.length}) exceeded the limit (${MAX_SIGNATURES})`
  const signed = dsse.preAuthEncoding(envelope.payloadType, envelope.payload)
  let detail = 'no signature found'
  for (const signature of envelope.signatures) {
    for (const hash of key.envelopeHashes) {
      const why = whyNotSigned(key.key, hash, signed, signature)
      if (why === undefined) return undefined
      detail = why
      if (key.key.asymmetricKeyType === 'ed25519') break
    }
  }
  return detail
}
