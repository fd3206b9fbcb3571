import { createHash, verify } from 'node:crypto'
import type { X509Certificate } from '@sigstore/core'
import { ASN1Obj } from '@sigstore/core'
import type { Reason } from '../verdict/reason.ts'
import { quoted } from '../verdict/reason.ts'
import { encodingOf } from './certificate.ts'
import { parseDer } from './der.ts'
import type { LogKey } from './material.ts'
import type { CertificatePath } from './path.ts'

const MAX_SCTS = 16 // in one certificate, each a signature to verify; those of Fulcio have one, of web servers two or three
const SCT_LIST = '1.3.6.1.4.1.11129.2.4.2'

/** A signed certificate timestamp as it stands in a certificate. Nobody believes it yet. */
type Timestamp = {
  readonly logId: string
  /** ms since 1970, and the eight bytes that are signed. */
  readonly at: number
  readonly time: Buffer
  readonly extensions: Buffer
  readonly hashAlgorithm: number
  readonly signatureAlgorithm: number
  readonly signature: Buffer
}

/**
 * Why the certificate transparency logs `logs` did not all see the leaf of `path` (RFC 6962, section 3; specification 7.3, step 3);
 * undefined: they did. Every embedded timestamp must verify, not only one (Q32), by a log that was in service then. The path must be one
 * that `findPath` found, since its second certificate says who issued the leaf. At most 16 timestamps. Answers `sct-missing`,
 * `sct-no-keys`, `sct-unknown-log`, `sct-invalid`; never throws.
 */
export function whySctsNotBelieved(path: CertificatePath, logs: readonly LogKey[]): Reason | undefined {
  const [leaf, issuer] = path.certificates
  const timestamps = leaf ? readTimestamps(leaf) : []
  if (timestamps === 'malformed') return invalid('the list of timestamps is malformed')
  if (!leaf || !issuer || timestamps.length === 0) return { code: 'sct-missing' }
  if (logs.length === 0) return { code: 'sct-no-keys' }
  if (timestamps.length > MAX_SCTS) return invalid(`number of timestamps (${timestamps.length}) exceeded the limit (${MAX_SCTS})`)
  const logged = precertificateEntry(leaf, issuer)
  if (!logged) return invalid('the certificate cannot be read')
  for (const timestamp of timestamps) {
    const why = whyNotLogged(timestamp, logged, logs)
    if (why) return why
  }
  return undefined
}

function invalid(detail: string): Reason {
  return { code: 'sct-invalid', detail }
}

function whyNotLogged(timestamp: Timestamp, logged: Buffer, logs: readonly LogKey[]): Reason | undefined {
  const named = logs.filter(({ id }) => id === timestamp.logId)
  const [first] = named
  if (!first) return { code: 'sct-unknown-log' }
  // The same key may stand there twice, for two periods.
  const inService = named.find(({ valid }) => timestamp.at >= valid.from && (valid.until === undefined || timestamp.at <= valid.until))
  if (!inService) return invalid(`the log ${quoted(first.url)} was not in service at ${timeText(timestamp.at)}`)
  return isSigned(timestamp, logged, inService)
    ? undefined
    : invalid(`failed to verify ${inService.key.asymmetricKeyType === 'ec' ? 'ECDSA ' : ''}signature`)
}

function timeText(at: number): string {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? `${at} ms` : date.toISOString()
}

// — what was signed (RFC 6962, section 3.2)

/** The hash of the issuer's key, and the certificate as it was before the timestamps were put in. */
function precertificateEntry(leaf: X509Certificate, issuer: X509Certificate): Buffer | undefined {
  try {
    const { tbsCertificate } = leaf
    const parts = tbsCertificate.subs.map((part) => (part.tag.isContextSpecific(3) ? withoutTimestamps(part) : encodingOf(part)))
    const tbs = encodingOf(new ASN1Obj(tbsCertificate.tag, Buffer.concat(parts), []))
    return Buffer.concat([createHash('sha256').update(issuer.publicKey).digest(), number(tbs.length, 3), tbs])
  } catch {
    return undefined
  }
}

function withoutTimestamps(extensions: ASN1Obj): Buffer {
  const [list] = extensions.subs
  const others = list?.subs.filter((extension) => extension.subs[0]?.toOID() !== SCT_LIST) ?? []
  if (!list || others.length === 0) return Buffer.alloc(0)
  const shorter = encodingOf(new ASN1Obj(list.tag, Buffer.concat(others.map(encodingOf)), []))
  return encodingOf(new ASN1Obj(extensions.tag, shorter, []))
}

/** Big-endian. A certificate has at most 8 KiB, so two bytes hold every length. */
function number(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}

// RFC 5246, section 7.4.1.4.1; Ed25519 of RFC 8422, section 5.1.3. Logs of RFC 6962 use SHA-256 whatever the curve.
const HASHES: { readonly [algorithm: number]: 'sha256' | 'sha384' | 'sha512' | null | undefined } = {
  4: 'sha256',
  5: 'sha384',
  6: 'sha512',
  8: null,
}
const KEY_TYPES: { readonly [algorithm: number]: string | undefined } = { 1: 'rsa', 3: 'ec', 7: 'ed25519' }

function isSigned(timestamp: Timestamp, logged: Buffer, log: LogKey): boolean {
  const { time, extensions, signature } = timestamp
  const hash = HASHES[timestamp.hashAlgorithm]
  const type = KEY_TYPES[timestamp.signatureAlgorithm]
  if (hash === undefined || type !== log.key.asymmetricKeyType || (hash === null) !== (type === 'ed25519')) return false
  // Version 1, a certificate timestamp, and an entry that is a precertificate.
  const signed = Buffer.concat([Buffer.from([0, 0]), time, Buffer.from([0, 1]), logged, number(extensions.length, 2), extensions])
  try {
    return verify(hash, signed, log.key, signature)
  } catch {
    return false
  }
}

// — the list (RFC 6962, section 3.3)

/** The timestamps in a certificate, none without the extension. The library's own reader leaves bytes behind the list unread. */
function readTimestamps(leaf: X509Certificate): readonly Timestamp[] | 'malformed' {
  try {
    const extension = leaf.extension(SCT_LIST)
    if (!extension) return []
    const octets = parseDer(extension.value)
    if (!octets.tag.isOctetString() || octets.tag.constructed) return 'malformed'
    const outer = new Reader(octets.value as Buffer)
    const list = new Reader(outer.vector())
    outer.end()
    const timestamps: Timestamp[] = []
    while (!list.isAtEnd) timestamps.push(timestampOf(list.vector()))
    return timestamps
  } catch {
    return 'malformed'
  }
}

function timestampOf(bytes: Buffer): Timestamp {
  const reader = new Reader(bytes)
  if (reader.take(1)[0] !== 0) throw new RangeError('another version')
  const logId = reader.take(32).toString('hex')
  const time = reader.take(8)
  const extensions = reader.vector()
  const [hashAlgorithm = 0, signatureAlgorithm = 0] = reader.take(2)
  const signature = reader.vector()
  reader.end()
  return { logId, at: Number(time.readBigUInt64BE()), time, extensions, hashAlgorithm, signatureAlgorithm, signature }
}

/** Reads the encoding of TLS (RFC 5246, section 4). Throws RangeError past the end; caught by `readTimestamps`. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new RangeError('past the end')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  /** Bytes with their length before them, in two bytes. */
  vector(): Buffer {
    return this.take(this.take(2).readUInt16BE())
  }

  end(): void {
    if (!this.isAtEnd) throw new RangeError('bytes behind the end')
  }
}
