import { quotedInGo } from './quote.ts'

/** What JSON can hold. Objects come from `JSON.parse`: a key `__proto__` is an ordinary member, the last of two equal keys counts. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export type JsonObject = { readonly [key: string]: Json }

/** How much of a foreign document is read at all. `values` counts every scalar, array, object, key and escaped character: what reading costs. */
export type JsonBounds = { readonly bytes: number; readonly depth: number; readonly values: number }

export type JsonRead = { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly detail: string }

/**
 * Reads JSON that somebody else wrote (RFC 8259). Its shape is walked before anything is built, so neither depth nor count costs more
 * than `bounds` allow. What is wrong is said in the words of Go's encoding/json, which users know from the registries' other clients:
 * `invalid character 'h' looking for beginning of value`, `unexpected end of JSON input`. Never throws.
 */
export function readJson(bytes: Uint8Array, bounds: JsonBounds): JsonRead {
  if (bytes.length > bounds.bytes) return tooLarge(bytes, bounds)
  const walk = new Walk(bytes, bounds)
  walk.go(bytes.length)
  return walk.wrong === undefined ? { ok: true, value: built(bytes) } : { ok: false, detail: walk.wrong }
}

/** A document without what lay at one path: that is `cut`, as it was written; undefined where nothing lay there. `rest` has the text `AAAA` in its place. */
export type JsonCut = { readonly rest: Json; readonly cut: Uint8Array | undefined }

const PIECE = 256 * 1024 // bytes that are walked over before others have their turn: about a millisecond
const MAX_REST = 1024 * 1024 // bytes that are built in one go, some 5 ms

/**
 * Reads JSON as `readJson` does and lets others have their turn meanwhile, however large it is. What lies at `path` (names of members) is not built; all
 * else has at most 1 MiB. Of several members of the same name the last counts, as everywhere. Never rejects.
 */
export async function readJsonWithout(
  bytes: Uint8Array,
  path: readonly string[],
  bounds: JsonBounds,
  turn: () => Promise<void>,
  pieceBytes: number = PIECE,
): Promise<{ readonly ok: true; readonly value: JsonCut } | { readonly ok: false; readonly detail: string }> {
  if (bytes.length > bounds.bytes) return tooLarge(bytes, bounds)
  const walk = new Walk(bytes, bounds, path)
  for (let upTo = pieceBytes; !walk.go(upTo); upTo += pieceBytes) await turn()
  if (walk.wrong !== undefined) return { ok: false, detail: walk.wrong }
  const pieces: Uint8Array[] = []
  let at = 0
  for (const { from, to } of walk.found) {
    pieces.push(bytes.subarray(at, from), FILLING)
    at = to
  }
  pieces.push(bytes.subarray(at))
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0)
  if (size > MAX_REST) return { ok: false, detail: `size of document without ${path.join('.')} (${size}) exceeded the limit (${MAX_REST})` }
  const last = walk.found.at(-1)
  return { ok: true, value: { rest: built(Buffer.concat(pieces)), cut: last && bytes.subarray(last.from, last.to) } }
}

const FILLING = Buffer.from('"AAAA"') // base64 of something, so that whoever wants that finds it

function tooLarge(bytes: Uint8Array, bounds: JsonBounds): { readonly ok: false; readonly detail: string } {
  return { ok: false, detail: `size of document (${bytes.length}) exceeded the limit (${bounds.bytes})` }
}

/** What was walked over to its end, and is therefore JSON. A byte order mark is not white space (RFC 8259, section 8.1), so it never comes here. */
function built(bytes: Uint8Array): Json {
  return JSON.parse(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)) as Json
}

/** A value that is filled in, and the place in a document where it is missing. */
export type Filling = { readonly at: readonly (string | number)[]; readonly value: Json }

/** The document with what was filled in. What surrounds each place must be there. The document itself stays as it is. */
export function filledIn<T>(document: T, fillings: readonly Filling[]): T {
  return fillings.reduce<unknown>((whole, { at, value }) => put(whole, at, value), document) as T
}

function put(whole: unknown, [first, ...rest]: Filling['at'], value: Json): unknown {
  if (first === undefined) return value
  if (Array.isArray(whole)) return whole.map((part: unknown, i) => (i === first ? put(part, rest, value) : part))
  const parts = whole as Readonly<Record<string, unknown>>
  return { ...parts, [first]: put(parts[first], rest, value) }
}

/** Whether a value, as it is written, is a text. */
export function isJsonText(written: Uint8Array): boolean {
  return written[0] === QUOTE
}

/** Whether a value is an object and not an array. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What may come next. */
const Next = {
  value: 0,
  key: 1,
  firstKey: 2,
  colon: 3,
  element: 4,
  comma: 5,
  inText: 6,
  inInteger: 7,
  inFraction: 8,
  inExponent: 9,
} as const
type Next = (typeof Next)[keyof typeof Next]

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const MINUS = 0x2d
const POINT = 0x2e
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const MAX_WRITTEN_KEY = 6 * 32 // bytes of a name in a path at most, each character as `\u0000`: a longer one is none

type Span = { from: number; to: number }

/**
 * One walk over a document, which can stop anywhere and go on: it looks at bytes, as Go's scanner does, and what is not ASCII is the same to it wherever it
 * may stand. It stands behind what it walked over; `wrong` says why that is not JSON.
 */
class Walk {
  wrong: string | undefined
  /** Where the values lay that `path` leads to, in the order of the document. */
  readonly found: Span[] = []
  readonly #bytes: Uint8Array
  readonly #bounds: JsonBounds
  readonly #path: readonly string[]
  #at = 0
  #values = 0
  #next: Next = Next.value
  /** Of each object or array that is open, whether it is an object. */
  readonly #open: boolean[] = []
  /** How many of those that are open the path leads into. */
  #led = 0
  /** Whether the path leads to the value that comes next. */
  #leads = false
  /** How many were open where the value began that is being found. */
  #finding = -1
  #isKey = false
  #keyAt = 0

  constructor(bytes: Uint8Array, bounds: JsonBounds, path: readonly string[] = []) {
    this.#bytes = bytes
    this.#bounds = bounds
    this.#path = path
  }

  /** Walks to `upTo` or a little further; whether it has come to the end, or to what is wrong. */
  go(upTo: number): boolean {
    while (this.wrong === undefined && this.#at < this.#bytes.length) {
      if (this.#at >= upTo) return false
      this.wrong = this.#step(upTo)
    }
    this.wrong ??= this.#whyNotEnded()
    return true
  }

  #step(upTo: number): string | undefined {
    switch (this.#next) {
      case Next.inText:
        return this.#text(upTo)
      case Next.inInteger:
      case Next.inFraction:
      case Next.inExponent:
        return this.#number(upTo)
      case Next.value:
      case Next.key:
      case Next.firstKey:
      case Next.colon:
      case Next.element:
      case Next.comma:
        break
    }
    const c = this.#bytes[this.#at] as number
    if (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09) {
      this.#at++
      return undefined
    }
    switch (this.#next) {
      case Next.element:
        if (c === CLOSE_ARRAY) return this.#close()
        return this.#value(c)
      case Next.value:
        return this.#value(c)
      case Next.firstKey:
        if (c === CLOSE_OBJECT) return this.#close()
        return this.#key(c)
      case Next.key:
        return this.#key(c)
      case Next.colon:
        if (c !== 0x3a) return this.#invalid('after object key')
        this.#at++
        this.#next = Next.value
        return undefined
      case Next.comma:
        return this.#comma(c)
    }
  }

  #value(c: number): string | undefined {
    if (++this.#values > this.#bounds.values) return this.#tooMany()
    const leads = this.#leads
    this.#leads = false
    if (leads && this.#led + 1 === this.#path.length) {
      this.found.push({ from: this.#at, to: this.#at })
      this.#finding = this.#open.length
    }
    switch (c) {
      case OPEN_OBJECT:
      case OPEN_ARRAY: {
        if (this.#open.length === this.#bounds.depth) return 'exceeded max depth'
        this.#at++
        const isObject = c === OPEN_OBJECT
        if (leads && isObject && this.#finding < 0) this.#led++
        this.#open.push(isObject)
        this.#next = isObject ? Next.firstKey : Next.element
        return undefined
      }
      case QUOTE:
        this.#at++
        this.#isKey = false
        this.#next = Next.inText
        return undefined
      case 0x74:
        return this.#literal('true')
      case 0x66:
        return this.#literal('false')
      case 0x6e:
        return this.#literal('null')
    }
    const isNegative = c === MINUS
    if (isNegative) this.#at++
    if (!this.#isDigit()) return isNegative ? this.#cutShort('in numeric literal') : this.#invalid('looking for beginning of value')
    const isZero = this.#bytes[this.#at] === 0x30
    if (isZero) this.#at++
    this.#next = Next.inInteger
    return isZero ? this.#afterDigits() : undefined
  }

  #key(c: number): string | undefined {
    if (c !== QUOTE) return this.#invalid('looking for beginning of object key string')
    if (++this.#values > this.#bounds.values) return this.#tooMany()
    this.#at++
    this.#isKey = true
    this.#keyAt = this.#at
    this.#next = Next.inText
    return undefined
  }

  #comma(c: number): string | undefined {
    const isObject = this.#open.at(-1)
    if (isObject === undefined) return this.#invalid('after top-level value')
    if (c === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) return this.#close()
    if (c !== COMMA) return this.#invalid(isObject ? 'after object key:value pair' : 'after array element')
    this.#at++
    this.#next = isObject ? Next.key : Next.value
    return undefined
  }

  #close(): undefined {
    this.#at++
    this.#open.pop()
    // The path leads into the document itself by no name.
    if (this.#led > 0 && this.#led === this.#open.length) this.#led--
    return this.#ended()
  }

  /** A value has ended before where it stands. */
  #ended(): undefined {
    this.#next = Next.comma
    if (this.#finding !== this.#open.length) return
    const found = this.found.at(-1)
    if (found) found.to = this.#at
    this.#finding = -1
  }

  #text(upTo: number): string | undefined {
    const bytes = this.#bytes
    const end = Math.min(bytes.length, upTo)
    let at = this.#at
    let c = 0
    while (at < end && (c = bytes[at] as number) !== QUOTE && c !== BACKSLASH && c >= 0x20) at++
    this.#at = at
    if (at === end) return undefined
    if (c === BACKSLASH) return this.#escape()
    if (c !== QUOTE) return this.#invalid('in string literal')
    this.#at++
    if (!this.#isKey) return this.#ended()
    this.#next = Next.colon
    this.#leads = this.#finding < 0 && this.#led < this.#path.length && this.#led + 1 === this.#open.length && this.#isOnPath(at)
    return undefined
  }

  /** Whether the name that ends at `end` is the next one of the path. */
  #isOnPath(end: number): boolean {
    if (end - this.#keyAt > MAX_WRITTEN_KEY) return false
    const written = Buffer.from(this.#bytes.subarray(this.#keyAt, end)).toString('latin1')
    return (written.includes('\\') ? JSON.parse(`"${written}"`) : written) === this.#path[this.#led]
  }

  #escape(): string | undefined {
    this.#at++
    if (++this.#values > this.#bounds.values) return this.#tooMany()
    const c = this.#bytes[this.#at]
    if (c === undefined || !'"\\/bfnrtu'.includes(String.fromCharCode(c))) return this.#invalid('in string escape code')
    this.#at++
    if (c !== 0x75) return undefined
    for (let i = 0; i < 4; i++, this.#at++) if (!this.#isHexDigit()) return this.#invalid('in \\u hexadecimal character escape')
    return undefined
  }

  #literal(word: string): string | undefined {
    for (let i = 0; i < word.length; i++) {
      if (this.#bytes[this.#at] !== word.charCodeAt(i))
        return this.#cutShort(`in literal ${word} (expecting ${quoteCharacter(word.charAt(i))})`)
      this.#at++
    }
    return this.#ended()
  }

  #number(upTo: number): string | undefined {
    const end = Math.min(this.#bytes.length, upTo)
    while (this.#at < end && this.#isDigit()) this.#at++
    return this.#at === end ? undefined : this.#afterDigits()
  }

  #afterDigits(): string | undefined {
    const c = this.#bytes[this.#at]
    if (c === POINT && this.#next === Next.inInteger) {
      this.#at++
      if (!this.#isDigit()) return this.#cutShort('after decimal point in numeric literal')
      this.#next = Next.inFraction
    } else if ((c === 0x65 || c === 0x45) && this.#next !== Next.inExponent) {
      this.#at++
      const sign = this.#bytes[this.#at]
      if (sign === 0x2b || sign === MINUS) this.#at++
      if (!this.#isDigit()) return this.#cutShort('in exponent of numeric literal')
      this.#next = Next.inExponent
    } else this.#ended()
    return undefined
  }

  /** What is wrong with a document that ends here. */
  #whyNotEnded(): string | undefined {
    switch (this.#next) {
      case Next.inInteger:
      case Next.inFraction:
      case Next.inExponent:
        this.#ended()
        break
      case Next.value:
      case Next.key:
      case Next.firstKey:
      case Next.colon:
      case Next.element:
      case Next.comma:
      case Next.inText:
        break
    }
    return this.#next === Next.comma && this.#open.length === 0 ? undefined : 'unexpected end of JSON input'
  }

  #tooMany(): string {
    return `number of values exceeded the limit (${this.#bounds.values})`
  }

  #isDigit(): boolean {
    const c = this.#bytes[this.#at]
    return c !== undefined && c >= 0x30 && c <= 0x39
  }

  #isHexDigit(): boolean {
    const c = this.#bytes[this.#at]
    return c !== undefined && ((c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66))
  }

  /** Go's scanner ends a literal or a number with a space of its own at the end of the document, and names that where the word is not complete. */
  #cutShort(where: string): string {
    return this.#at === this.#bytes.length ? `invalid character ' ' ${where}` : this.#invalid(where)
  }

  #invalid(where: string): string {
    const c = this.#bytes[this.#at]
    return c === undefined ? 'unexpected end of JSON input' : `invalid character ${quoteCharacter(String.fromCharCode(c))} ${where}`
  }
}

/** In single quotes, as Go's encoding/json prints what it trips over. */
function quoteCharacter(character: string): string {
  if (character === "'") return "'\\''"
  return character === '"' ? `'"'` : `'${quotedInGo(character).slice(1, -1)}'`
}
