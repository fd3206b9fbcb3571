import { ASN1Obj } from '@sigstore/core'

const MAX_STEPS = 5_000 // elements that are looked at in one document: certificates and timestamps have a few hundred
const SPARE_STEPS = 256 // beyond one for every two bytes: octets that are no DER, such as hashes, may look like it for a while
const MAX_DEPTH = 100 // the library's own

/** Bytes that are not DER, or that would take too long to read. */
export class NotDer extends Error {}

/**
 * Parses DER (ITU-T X.690) of strangers. The library looks for elements in every OCTET STRING, and lets one reach beyond the end of what holds it,
 * only to read the same bytes again: whoever writes them can double the time with every few bytes. So the library's way is walked first,
 * step by step and without its objects, and whatever takes more steps than any document does is refused. Throws `NotDer`, or what the library throws.
 */
export function parseDer(der: Uint8Array): ASN1Obj {
  if (!isSoonRead(der)) throw new NotDer('it takes too long to read')
  return ASN1Obj.parseBuffer(Buffer.from(der))
}

/** Whether the library reads these bytes, or refuses them, within the bound. Linear; never throws. */
export function isSoonRead(der: Uint8Array): boolean {
  const walk = new Walk(der)
  walk.element(0, 0)
  return walk.left >= 0
}

const FAILED = -1

class Walk {
  left: number
  readonly #der: Uint8Array

  constructor(der: Uint8Array) {
    this.#der = der
    this.left = Math.min(MAX_STEPS, der.length / 2 + SPARE_STEPS)
  }

  /** The end of the element at `at`; as the library, which does not ask whether that is beyond the end of what holds it. */
  element(at: number, depth: number): number {
    if (--this.left < 0 || depth > MAX_DEPTH) return FAILED
    const tag = this.#der[at]
    if (tag === undefined || (tag & 0x1f) === 0x1f || (tag & 0xdf) === 0) return FAILED
    const [start, length] = this.#length(at + 1)
    const end = start + length
    if (start === FAILED || end > this.#der.length) return FAILED
    const isConstructed = (tag & 0x20) !== 0
    const isOctets = tag === 0x04
    if (!isConstructed && !isOctets) return end
    const inner = this.#inside(start, end, depth)
    return isConstructed && inner === FAILED ? FAILED : end
  }

  #inside(start: number, end: number, depth: number): number {
    let at = start
    while (at !== FAILED && at < end) at = this.element(at, depth + 1)
    return at === end ? end : FAILED
  }

  /** Where the content begins, and how many bytes it has. */
  #length(at: number): readonly [number, number] {
    const first = this.#der[at]
    if (first === undefined) return [FAILED, 0]
    if (first < 0x80) return [at + 1, first]
    const count = first & 0x7f
    if (count > 6 || at + count >= this.#der.length) return [FAILED, 0]
    let length = 0
    for (let i = 1; i <= count; i++) length = length * 256 + (this.#der[at + i] ?? 0)
    return length < 0x80 || this.#der[at + 1] === 0 ? [FAILED, 0] : [at + 1 + count, length]
  }
}
