/**
 * Readers for foreign JSON: each answers the value in its shape, or notes what is wrong and answers undefined. Nothing is coerced, and
 * a field that no reader names is a problem: a policy is never judged by half of what it says.
 */
export type Problem = { readonly at: string; readonly found: string; readonly wanted: string }
export type Reader<T> = (value: unknown, at: string, problems: Problem[]) => T | undefined

const MAX_NAME = 200 // characters of a field's name that nobody knows, for the message
const MAX_ITEMS = 10_000 // per list; the largest policies seen have a few dozen

function wrong(at: string, found: unknown, wanted: string, problems: Problem[]): undefined {
  problems.push({ at, found: typeName(found), wanted })
  return undefined
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

export const text: Reader<string> = (value, at, problems) => (typeof value === 'string' ? value : wrong(at, value, 'a string', problems))
export const flag: Reader<boolean> = (value, at, problems) =>
  typeof value === 'boolean' ? value : wrong(at, value, 'true or false', problems)
/** Anything: read later, by what carries it out. */
export const anything: Reader<unknown> = (value) => value

export function list<T>(item: Reader<T>): Reader<readonly T[]> {
  return (value, at, problems) => {
    if (!Array.isArray(value)) return wrong(at, value, 'a list', problems)
    if (value.length > MAX_ITEMS) return wrong(at, value, `at most ${MAX_ITEMS} items`, problems)
    return value.map((v, i) => item(v, `${at}[${i}]`, problems)).filter((v) => v !== undefined)
  }
}

export function mapOf<T>(item: Reader<T>): Reader<Readonly<Record<string, T>>> {
  return (value, at, problems) => {
    if (!isObject(value)) return wrong(at, value, 'an object', problems)
    const entries = Object.entries(value).map(([k, v]) => [k, item(v, `${at}.${k}`, problems)] as const)
    return Object.fromEntries(entries.filter((e): e is [string, T & {}] => e[1] !== undefined))
  }
}

type Fields = Readonly<Record<string, Reader<unknown>>>
export type Shape<F extends Fields> = { readonly [K in keyof F]: (F[K] extends Reader<infer T> ? T : never) | undefined }

/** An object with these fields and no others. Absent and null are the same, as in Go. The result's fields stand in the order given here. */
export function object<F extends Fields>(fields: F): Reader<Shape<F>> {
  return (value, at, problems) => {
    if (!isObject(value)) return wrong(at, value, 'an object', problems)
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(fields, key))
        problems.push({
          at: `${at === '' ? '' : `${at}.`}${key.slice(0, MAX_NAME)}`,
          found: 'an unknown field',
          wanted: `one of ${Object.keys(fields).join(', ')}`,
        })
    }
    const read: Record<string, unknown> = {}
    for (const [key, reader] of Object.entries(fields)) {
      const found = Object.hasOwn(value, key) ? value[key] : undefined
      read[key] = found === undefined || found === null ? undefined : reader(found, at === '' ? key : `${at}.${key}`, problems)
    }
    return read as Shape<F>
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
