import type { Json, JsonObject } from '../image/json.ts'
import { isJsonObject } from '../image/json.ts'
import { quotedInGo } from '../image/quote.ts'
import { readUrl } from '../image/url.ts'
import { goKind } from './field.ts'

/**
 * A type of Go, as far as JSON shows it. `open` is an object that nobody here looks into, of the type `name`; `anything` may even be a text.
 * Names are those that error texts print: `v1beta1.KeyRef`.
 */
export type Type =
  | { readonly is: 'text' | 'flag' | 'url' | 'bytes' | 'anything' }
  | { readonly is: 'open'; readonly name: string }
  | { readonly is: 'list' | 'map'; readonly of: Type }
  | Struct
export type Struct = { readonly is: 'struct'; readonly name: string; readonly fields: Readonly<Record<string, Field>> }

/**
 * A field, and when it is written: `always`, as its type's zero value when there is none; `unless-zero` (Go's `omitempty`); `when-given`,
 * though it be empty (a pointer with `omitempty`).
 */
export type Field = { readonly type: Type; readonly written: 'always' | 'unless-zero' | 'when-given' }

export type Rewritten = { readonly ok: true; readonly value: JsonObject } | { readonly ok: false; readonly text: string }

/**
 * What Go would write after it has read the object into the type: names as the type spells them (Go takes any case), zero values where a
 * field is always written, nothing where it is empty. `strict` refuses fields that the type does not know, and URLs that are none; `lenient`
 * keeps both as they are. Answers the text of Go's encoding/json for the first thing that is wrong. Never throws.
 */
export function rewritten(object: Json, type: Struct, reading: 'strict' | 'lenient'): Rewritten {
  const rewriting = new Rewriting(reading === 'strict')
  try {
    const value = rewriting.struct(object, type, [])
    return rewriting.problem === undefined ? { ok: true, value } : { ok: false, text: rewriting.problem }
  } catch (error) {
    if (error instanceof Stopped) return { ok: false, text: error.message }
    throw error
  }
}

/** What ends Go's decoding at once, and so comes before whatever else is wrong. */
class Stopped extends Error {}

class Rewriting {
  readonly #strict: boolean
  /** The first. */
  problem: string | undefined
  #struct = ''

  constructor(strict: boolean) {
    this.#strict = strict
  }

  struct(value: Json, type: Struct, path: readonly string[]): JsonObject {
    const outer = this.#struct
    const given = this.#object(value, type, path)
    const members = new Map<string, Json>()
    const unknown: [string, Json][] = []
    for (const [key, member] of Object.entries(given)) {
      const name = Object.hasOwn(type.fields, key) ? key : nameInAnyCase(type, key)
      if (name === undefined) {
        if (this.#strict) this.problem ??= `json: unknown field ${quotedInGo(key)}`
        unknown.push([key, member])
        continue
      }
      this.#struct = bare(type.name)
      const field = type.fields[name]
      const read = field && member !== null ? this.#value(member, field.type, [...path, name]) : undefined
      if (read !== undefined) members.set(name, read)
    }
    this.#struct = outer
    const written = Object.entries(type.fields).flatMap(([name, field]) => {
      const read = members.get(name)
      if (field.written === 'always') return [[name, read ?? zeroOf(field.type)] as const]
      const isLeftOut = read === undefined || (field.written === 'unless-zero' && isZero(read))
      return isLeftOut ? [] : [[name, read] as const]
    })
    return Object.fromEntries([...written, ...unknown])
  }

  /** Undefined where the value has another type, which is noted. */
  #value(value: Json, type: Type, path: readonly string[]): Json | undefined {
    switch (type.is) {
      case 'anything':
        return value
      case 'open':
        return isJsonObject(value) ? value : this.#wrong(value, type, path)
      case 'text':
        return typeof value === 'string' ? value : this.#wrong(value, type, path)
      case 'flag':
        return typeof value === 'boolean' ? value : this.#wrong(value, type, path)
      case 'url':
        return this.#url(value, path)
      case 'bytes':
        return typeof value === 'string' ? this.#bytes(value) : this.#wrong(value, type, path)
      case 'list':
        if (!Array.isArray(value)) return this.#wrong(value, type, path)
        return (value as readonly Json[]).map((v) => (v === null ? undefined : this.#value(v, type.of, path)) ?? zeroOf(type.of))
      case 'map':
        if (!isJsonObject(value)) return this.#wrong(value, type, path)
        return Object.fromEntries(
          Object.entries(value).map(([k, v]) => [k, (v === null ? undefined : this.#value(v, type.of, path)) ?? zeroOf(type.of)]),
        )
      case 'struct':
        return isJsonObject(value) ? this.struct(value, type, path) : this.#wrong(value, type, path)
    }
  }

  #object(value: Json, type: Struct, path: readonly string[]): JsonObject {
    if (isJsonObject(value)) return value
    if (value !== null) this.#wrong(value, type, path)
    return {}
  }

  #url(value: Json, path: readonly string[]): Json {
    if (typeof value !== 'string') throw new Stopped(this.#mismatch(value, { is: 'text' }, path))
    const read = readUrl(value)
    if (read.ok) return this.#strict ? read.url.text : value
    if (this.#strict) throw new Stopped(read.detail)
    return value
  }

  #bytes(value: string): Json | undefined {
    const wrong = whereNotBase64(value)
    if (wrong === undefined) return value.replace(/[\r\n]/g, '')
    this.problem ??= `illegal base64 data at input byte ${wrong}`
    return undefined
  }

  #wrong(value: Json, type: Type, path: readonly string[]): undefined {
    this.problem ??= this.#mismatch(value, type, path)
  }

  #mismatch(value: Json, type: Type, path: readonly string[]): string {
    const into = path.length === 0 ? 'Go value' : `Go struct field ${this.#struct}.${path.join('.')}`
    return `json: cannot unmarshal ${goKind(value)} into ${into} of type ${nameOf(type)}`
  }
}

function nameInAnyCase(type: Struct, key: string): string | undefined {
  const lower = key.toLowerCase()
  return Object.keys(type.fields).find((name) => name.toLowerCase() === lower)
}

/**
 * The byte at which Go's decoder says that text is no base64 (RFC 4648, line breaks skipped); undefined: it is. Four characters are a group:
 * where the text ends within one that is the group's beginning, as long as no `=` stands in it.
 */
function whereNotBase64(text: string): number | undefined {
  const isBreak = (at: number): boolean => text[at] === '\n' || text[at] === '\r'
  let at = 0
  let inGroup = 0
  for (; at < text.length; at++) {
    if (isBreak(at)) continue
    if (!/[A-Za-z0-9+/]/.test(text[at] ?? '')) break
    inGroup = (inGroup + 1) % 4
  }
  // All before is ASCII, so that characters are bytes. Go counts an unfinished group back from the end, as if no line break stood in it.
  if (at === text.length) return inGroup === 0 ? undefined : at - inGroup
  if (text[at] !== '=' || inGroup < 2) return at
  let end = at + 1
  const skipBreaks = (): void => {
    while (isBreak(end)) end++
  }
  skipBreaks()
  if (inGroup === 2) {
    if (end === text.length) return end
    if (text[end] !== '=') return end - 1
    end++
    skipBreaks()
  }
  return end === text.length ? undefined : end
}

/** Without its package. */
function bare(name: string): string {
  return name.slice(name.indexOf('.') + 1)
}

function nameOf(type: Type): string {
  switch (type.is) {
    case 'text':
    case 'url':
      return 'string'
    case 'flag':
      return 'bool'
    case 'bytes':
      return '[]uint8'
    case 'anything':
      return 'interface {}'
    case 'list':
      return `[]${nameOf(type.of)}`
    case 'map':
      return `map[string]${nameOf(type.of)}`
    case 'open':
    case 'struct':
      return type.name
  }
}

function zeroOf(type: Type): Json {
  switch (type.is) {
    case 'text':
    case 'url':
      return ''
    case 'flag':
      return false
    case 'open':
      return {}
    case 'struct':
      return new Rewriting(false).struct({}, type, [])
    case 'bytes':
    case 'anything':
    case 'list':
    case 'map':
      return null
  }
}

function isZero(value: Json): boolean {
  if (value === '' || value === false || value === null) return true
  return Array.isArray(value) ? value.length === 0 : isJsonObject(value) && Object.keys(value).length === 0
}
