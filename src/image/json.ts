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
  if (bytes.length > bounds.bytes) return { ok: false, detail: `size of document (${bytes.length}) exceeded the limit (${bounds.bytes})` }
  // A byte order mark is not white space (RFC 8259, section 8.1): it stays, and is refused like any other character.
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  const detail = new Walk(text, bounds).whyNotJson()
  return detail === undefined ? { ok: true, value: JSON.parse(text) as Json } : { ok: false, detail }
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

/** Whether a value is an object and not an array. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const PLAIN = /[^"\\\u0000-\u001f]*/y // what may stand in a string as it is
const DIGITS = /[0-9]*/y
const HEX_DIGIT = /^[0-9A-Fa-f]$/

/** One walk over a document. Every step answers what is wrong, or undefined and stands behind what it walked over. */
class Walk {
  readonly #text: string
  readonly #bounds: JsonBounds
  #at = 0
  #values = 0

  constructor(text: string, bounds: JsonBounds) {
    this.#text = text
    this.#bounds = bounds
  }

  whyNotJson(): string | undefined {
    const wrong = this.#value(0)
    if (wrong !== undefined) return wrong
    this.#space()
    return this.#at === this.#text.length ? undefined : this.#invalid('after top-level value')
  }

  #value(depth: number): string | undefined {
    this.#space()
    if (this.#isOneTooMany()) return this.#tooMany()
    switch (this.#text[this.#at]) {
      case '{':
        return depth === this.#bounds.depth ? 'exceeded max depth' : this.#object(depth)
      case '[':
        return depth === this.#bounds.depth ? 'exceeded max depth' : this.#array(depth)
      case '"':
        return this.#string()
      case 't':
        return this.#literal('true')
      case 'f':
        return this.#literal('false')
      case 'n':
        return this.#literal('null')
      default:
        return this.#number()
    }
  }

  #object(depth: number): string | undefined {
    this.#at++
    this.#space()
    if (this.#take('}')) return undefined
    for (;;) {
      this.#space()
      if (this.#text[this.#at] !== '"') return this.#invalid('looking for beginning of object key string')
      if (this.#isOneTooMany()) return this.#tooMany()
      const wrongKey = this.#string()
      if (wrongKey !== undefined) return wrongKey
      this.#space()
      if (!this.#take(':')) return this.#invalid('after object key')
      const wrong = this.#value(depth + 1)
      if (wrong !== undefined) return wrong
      this.#space()
      if (this.#take('}')) return undefined
      if (!this.#take(',')) return this.#invalid('after object key:value pair')
    }
  }

  #array(depth: number): string | undefined {
    this.#at++
    this.#space()
    if (this.#take(']')) return undefined
    for (;;) {
      const wrong = this.#value(depth + 1)
      if (wrong !== undefined) return wrong
      this.#space()
      if (this.#take(']')) return undefined
      if (!this.#take(',')) return this.#invalid('after array element')
    }
  }

  #string(): string | undefined {
    this.#at++
    for (;;) {
      this.#skip(PLAIN)
      if (this.#take('"')) return undefined
      if (!this.#take('\\')) return this.#invalid('in string literal')
      if (this.#isOneTooMany()) return this.#tooMany()
      const escape = this.#text[this.#at]
      if (escape === undefined || !'"\\/bfnrtu'.includes(escape)) return this.#invalid('in string escape code')
      this.#at++
      if (escape !== 'u') continue
      for (let i = 0; i < 4; i++, this.#at++) {
        if (!HEX_DIGIT.test(this.#text[this.#at] ?? '')) return this.#invalid('in \\u hexadecimal character escape')
      }
    }
  }

  #literal(word: string): string | undefined {
    for (const [i, letter] of word.split('').entries()) {
      if (i > 0 && this.#text[this.#at] !== letter) return this.#cutShort(`in literal ${word} (expecting ${quoteCharacter(letter)})`)
      this.#at++
    }
    return undefined
  }

  #number(): string | undefined {
    const negative = this.#take('-')
    if (!this.#isDigit()) return negative ? this.#cutShort('in numeric literal') : this.#invalid('looking for beginning of value')
    if (!this.#take('0')) this.#skip(DIGITS)
    if (this.#take('.')) {
      if (!this.#isDigit()) return this.#cutShort('after decimal point in numeric literal')
      this.#skip(DIGITS)
    }
    if (this.#take('e') || this.#take('E')) {
      if (!this.#take('+')) this.#take('-')
      if (!this.#isDigit()) return this.#cutShort('in exponent of numeric literal')
      this.#skip(DIGITS)
    }
    return undefined
  }

  #isOneTooMany(): boolean {
    return ++this.#values > this.#bounds.values
  }

  #tooMany(): string {
    return `number of values exceeded the limit (${this.#bounds.values})`
  }

  #isDigit(): boolean {
    const c = this.#text.charCodeAt(this.#at)
    return c >= 48 && c <= 57
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #space(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at)
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return
      this.#at++
    }
  }

  #skip(run: RegExp): void {
    run.lastIndex = this.#at
    run.test(this.#text)
    this.#at = run.lastIndex
  }

  /** Go's scanner ends a literal or a number with a space of its own at the end of the document, and names that where the word is not complete. */
  #cutShort(where: string): string {
    return this.#at === this.#text.length ? `invalid character ' ' ${where}` : this.#invalid(where)
  }

  #invalid(where: string): string {
    const character = this.#text.codePointAt(this.#at)
    return character === undefined ? 'unexpected end of JSON input' : `invalid character ${quoteCharacter(firstByte(character))} ${where}`
  }
}

/** Go's scanner sees bytes, and names the first one of a character as if it were one: a byte order mark is 'ï'. */
function firstByte(codePoint: number): string {
  const byte =
    codePoint < 0x80
      ? codePoint
      : codePoint < 0x800
        ? 0xc0 | (codePoint >> 6)
        : codePoint < 0x10000
          ? 0xe0 | (codePoint >> 12)
          : 0xf0 | (codePoint >> 18)
  return String.fromCharCode(byte)
}

/** In single quotes, as Go's encoding/json prints what it trips over. */
function quoteCharacter(character: string): string {
  if (character === "'") return "'\\''"
  return character === '"' ? `'"'` : `'${quotedInGo(character).slice(1, -1)}'`
}
