import { createHash } from 'node:crypto'
import { json } from '@sigstore/core'
import type { KeyType } from '../signer.ts'
import { pem } from './der.ts'

/** How Rekor writes down what it was given. The first five are of Rekor v1, the last two of v2. */
export type EntryKind =
  | 'hashedrekord 0.0.1'
  | 'rekord 0.0.1'
  | 'dsse 0.0.1'
  | 'intoto 0.0.1'
  | 'intoto 0.0.2'
  | 'hashedrekord 0.0.2'
  | 'dsse 0.0.2'

/** What is logged: the bytes `signed`, and of an envelope its payload and JSON for the kinds that speak of them. */
export type Loggable = {
  readonly signed: Uint8Array
  readonly payload?: Uint8Array
  readonly signature: Buffer
  readonly signer:
    | { readonly is: 'certificate'; readonly der: Buffer; readonly keyType: KeyType }
    | { readonly is: 'key'; readonly der: Buffer; readonly keyType: KeyType }
  readonly envelope?: string
  readonly payloadType?: string
}

const KEY_DETAILS: { readonly [type in KeyType]: string } = {
  p256: 'PKIX_ECDSA_P256_SHA_256',
  p384: 'PKIX_ECDSA_P384_SHA_384',
  p521: 'PKIX_ECDSA_P521_SHA_512',
  rsa1024: 'PKIX_RSA_PKCS1V15_2048_SHA256',
  rsa2048: 'PKIX_RSA_PKCS1V15_2048_SHA256',
  rsa4096: 'PKIX_RSA_PKCS1V15_4096_SHA256',
  ed25519: 'PKIX_ED25519',
}

export function keyDetails(type: KeyType): string {
  return KEY_DETAILS[type]
}

/** The body of a log entry: canonical JSON (RFC 8785) of Rekor's types. */
export function logBody(kind: EntryKind, loggable: Loggable): Buffer {
  const { signed, signature, signer, envelope = '', payloadType = '' } = loggable
  const [name = '', apiVersion = ''] = kind.split(' ')
  const payload = name.endsWith('rekord') ? signed : (loggable.payload ?? signed)
  const content = signature.toString('base64')
  const key = base64(pem(signer.is === 'certificate' ? 'CERTIFICATE' : 'PUBLIC KEY', signer.der))
  const payloadHash = hashOf(payload)
  const verifier = {
    ...(signer.is === 'certificate'
      ? { x509Certificate: { rawBytes: signer.der.toString('base64') } }
      : { publicKey: { rawBytes: signer.der.toString('base64') } }),
    keyDetails: keyDetails(signer.keyType),
  }
  const digest = { algorithm: 'SHA2_256', digest: createHash('sha256').update(payload).digest('base64') }
  const specOf = (): object => {
    switch (kind) {
      case 'hashedrekord 0.0.1':
        return { data: { hash: payloadHash }, signature: { content, publicKey: { content: key } } }
      case 'rekord 0.0.1':
        return { data: { hash: payloadHash }, signature: { content, format: 'x509', publicKey: { content: key } } }
      case 'dsse 0.0.1':
        return { envelopeHash: hashOf(envelope), payloadHash, signatures: [{ signature: content, verifier: key }] }
      case 'intoto 0.0.1':
        return { content: { hash: hashOf(envelope), payloadHash }, publicKey: key }
      case 'intoto 0.0.2': // the signature's base64 is encoded once more: the type holds the envelope's text
        return {
          content: {
            envelope: { payloadType, signatures: [{ publicKey: key, sig: base64(content) }] },
            hash: hashOf(envelope),
            payloadHash,
          },
        }
      case 'hashedrekord 0.0.2':
        return { hashedRekordV002: { data: digest, signature: { content, verifier } } }
      case 'dsse 0.0.2':
        return { dsseV002: { payloadHash: digest, signatures: [{ content, verifier }] } }
    }
  }
  return Buffer.from(json.canonicalize({ apiVersion, kind: name, spec: specOf() }))
}

function hashOf(bytes: Uint8Array | string): { algorithm: string; value: string } {
  return { algorithm: 'sha256', value: createHash('sha256').update(bytes).digest('hex') }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
