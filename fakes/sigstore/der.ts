/** A DER encoder (X.690), as much of it as certificates and timestamps need. */

export function tlv(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(content)
  return Buffer.concat([Buffer.from([tag]), lengthOf(bytes.length), bytes])
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const digits = Buffer.from(length.toString(16).padStart(length > 0xffff ? 6 : length > 0xff ? 4 : 2, '0'), 'hex')
  return Buffer.concat([Buffer.from([0x80 | digits.length]), digits])
}

export const sequence = (...content: readonly Uint8Array[]): Buffer => tlv(0x30, ...content)
export const octets = (bytes: Uint8Array): Buffer => tlv(0x04, bytes)
export const bits = (bytes: Uint8Array): Buffer => tlv(0x03, Buffer.from([0]), bytes)
export const utf8 = (text: string): Buffer => tlv(0x0c, Buffer.from(text))
export const ia5 = (text: string): Buffer => tlv(0x16, Buffer.from(text))
export const bool = (value: boolean): Buffer => tlv(0x01, Buffer.from([value ? 0xff : 0]))
export const nothing = (): Buffer => tlv(0x05)
/** `[n]` around a value of its own type. */
export const explicit = (n: number, ...content: readonly Uint8Array[]): Buffer => tlv(0xa0 | n, ...content)
/** `[n]` instead of the primitive type's own tag. */
export const implicit = (n: number, bytes: Uint8Array): Buffer => tlv(0x80 | n, bytes)

/** SET OF: DER sorts its members. */
export const setOf = (...members: readonly Buffer[]): Buffer => tlv(0x31, ...members.toSorted(Buffer.compare))

/** An integer that is not negative. */
export function integer(value: number | Uint8Array): Buffer {
  const bytes = typeof value === 'number' ? Buffer.from(value.toString(16).padStart(value > 0xff ? 8 : 2, '0'), 'hex') : Buffer.from(value)
  let from = 0
  while (from < bytes.length - 1 && bytes[from] === 0) from++
  const short = bytes.subarray(from)
  return tlv(0x02, ...((short[0] ?? 0) >= 0x80 ? [Buffer.from([0])] : []), short)
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(arc: number): number[] {
  const digits = [arc % 128]
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left % 128) | 0x80)
  return digits
}

/** UTCTime up to 2049, then GeneralizedTime (RFC 5280, 4.1.2.5). `at` in ms since 1970, cut to seconds. */
export function time(at: number): Buffer {
  return at < Date.UTC(2050) ? tlv(0x17, Buffer.from(stamp(at).slice(2))) : generalizedTime(at)
}

export function generalizedTime(at: number): Buffer {
  return tlv(0x18, Buffer.from(stamp(at)))
}

function stamp(at: number): string {
  return new Date(at)
    .toISOString()
    .replaceAll(/[-:T]/g, '')
    .replace(/\.\d+Z$/, 'Z')
}

export function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
