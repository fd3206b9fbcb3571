import { createHash } from 'node:crypto'
import type { Signer } from '../signer.ts'
import { makeSigner, signBytes } from '../signer.ts'
import type { Extension } from './certificate.ts'
import { spkiOf } from './certificate.ts'
import { octets } from './der.ts'

/** What a certificate transparency log says of a certificate that is about to be issued (RFC 6962, 3.2). */
export class CertificateLog {
  readonly key: Signer = makeSigner('p256')
  readonly url: string

  constructor(url: string) {
    this.url = url
  }

  get id(): Buffer {
    return createHash('sha256').update(spkiOf(this.key)).digest()
  }

  /** A signed certificate timestamp for the certificate of `tbs`; `written`, in ms, is the time that stands in it, whatever was signed. */
  stamp(tbs: Buffer, issuer: Signer, at: number, written = at): Buffer {
    const issuerHash = createHash('sha256').update(spkiOf(issuer)).digest()
    const signed = Buffer.concat([Buffer.from([0, 0]), uint(at, 8), uint(1, 2), issuerHash, uint(tbs.length, 3), tbs, uint(0, 2)])
    const signature = signBytes(this.key, signed)
    const algorithm = Buffer.from([4, 3]) // SHA-256, ECDSA (RFC 5246, 7.4.1.4.1)
    return Buffer.concat([Buffer.from([0]), this.id, uint(written, 8), uint(0, 2), algorithm, uint(signature.length, 2), signature])
  }
}

/** The extension that holds signed certificate timestamps (RFC 6962, 3.3). */
export function sctExtension(stamps: readonly Buffer[]): Extension {
  const list = Buffer.concat(stamps.flatMap((sct) => [uint(sct.length, 2), sct]))
  return { oid: '1.3.6.1.4.1.11129.2.4.2', isCritical: false, value: octets(Buffer.concat([uint(list.length, 2), list])) }
}

function uint(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64BE(BigInt(Math.floor(value)))
  return buffer.subarray(8 - bytes)
}
