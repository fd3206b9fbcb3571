import { mutatedDer } from './der.ts'
import type { Random } from './random.ts'

type Value = null | boolean | number | string | Value[] | { [key: string]: Value }
/** A member of an object or an element of an array. */
type Slot = { readonly path: string; get(): Value; set(value: Value): void; remove(): void; again(): void }

const MAX_DEPTH = 3 // JSON within base64 within JSON

/**
 * One or two changes somewhere in a bundle: of its text, its structure, or what is encoded in it (JSON, DER, checkpoints); or a part of another
 * bundle, a donor, in the place of its own.
 */
export function mutant(bundle: object, donors: readonly object[], random: Random): Buffer {
  const root = structuredClone(bundle) as Value
  for (let left = 1 + random.below(2); left > 0; left--) change(root, donors as readonly Value[], random, 0)
  const bytes = Buffer.from(JSON.stringify(root))
  if (random.below(20) === 0) flip(bytes, random)
  return bytes
}

function change(root: Value, donors: readonly Value[], random: Random, depth: number): void {
  const slots = slotsOf(root, '')
  if (slots.length === 0) return
  const slot = random.pick(slots)
  const theirs = donors.flatMap((donor) => slotsOf(donor, '').filter(({ path }) => path === slot.path)).map((one) => one.get())
  switch (random.below(8)) {
    case 0:
      return slot.remove()
    case 1:
      return slot.again()
    case 2:
      return slot.set(structuredClone(random.pick(slots).get()))
    case 3:
    case 4:
      return slot.set(theirs.length > 0 ? structuredClone(random.pick(theirs)) : scalar(slot.get(), [], random, depth))
    default:
      return slot.set(scalar(slot.get(), theirs, random, depth))
  }
}

function slotsOf(value: Value, path: string): Slot[] {
  if (Array.isArray(value)) {
    return value.flatMap((element, i) => [
      {
        path: `${path}[]`,
        get: () => value[i] ?? null,
        set: (to) => void (value[i] = to),
        remove: () => void value.splice(i, 1),
        again: () => void value.push(structuredClone(element)),
      },
      ...slotsOf(element, `${path}[]`),
    ])
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.keys(value).flatMap((key) => [
    {
      path: `${path}.${key}`,
      get: () => value[key] ?? null,
      set: (to) => void (value[key] = to),
      remove: () => void delete value[key],
      again: () => void (value[`${key} again`] = structuredClone(value[key] ?? null)),
    },
    ...slotsOf(value[key] ?? null, `${path}.${key}`),
  ])
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** `theirs`: what other bundles have in the same place. */
function scalar(value: Value, theirs: readonly Value[], random: Random, depth: number): Value {
  switch (typeof value) {
    case 'string':
      return text(value, theirs, random, depth)
    case 'number':
      return random.pick([value + 1, value - 1, 0, -1, 2 ** 53, String(value)])
    case 'boolean':
      return !value
    default:
      return random.pick<Value>([null, {}, [], '', 0])
  }
}

function text(value: string, theirs: readonly Value[], random: Random, depth: number): Value {
  if (/^-?\d{1,18}$/.test(value)) {
    const number = BigInt(value)
    return String(random.pick([number + 1n, number - 1n, 0n, -number, number * 1000n, number + 86_400n, 2n ** 63n]))
  }
  if (value.length >= 16 && BASE64.test(value)) {
    const others = theirs.flatMap((one) => (typeof one === 'string' && BASE64.test(one) ? [Buffer.from(one, 'base64')] : []))
    return encoded(Buffer.from(value, 'base64'), others, random, depth).toString('base64')
  }
  if (value.includes('\n') && random.below(3) > 0) return lines(value, theirs, random)
  const bytes = Buffer.from(value)
  return random.pick<() => Value>([
    () => '',
    () => value + value,
    () => flip(bytes, random).toString('latin1'),
    () => null,
    () => value.toUpperCase(),
    () => `${value} `,
  ])()
}

/** Of a checkpoint: a line less, more, twice, elsewhere, or from another one. */
function lines(value: string, theirs: readonly Value[], random: Random): string {
  const own = value.split('\n')
  const others = theirs.flatMap((one) => (typeof one === 'string' ? one.split('\n') : []))
  const at = random.below(own.length)
  const line = own[at] ?? ''
  const put = (...instead: readonly string[]): string => own.toSpliced(at, 1, ...instead).join('\n')
  return random.pick<() => string>([
    () => put(),
    () => put(line, line),
    () => put('', line),
    () => put(random.pick(own)),
    () => put(line, random.pick([...others, 'x'])),
    () => put(random.pick([...others, 'x'])),
    () => put(`${line}\r`),
    () => put(line.replace(/^— [^ ]+/, '— else.example')),
  ])()
}

function encoded(bytes: Buffer, others: readonly Buffer[], random: Random, depth: number): Buffer {
  // Bodies of log entries and statements are JSON within base64, and hold JSON, PEM and base64 themselves.
  if (depth < MAX_DEPTH && bytes[0] === 0x7b && random.below(4) > 0) {
    const inner = jsonOf(bytes)
    if (inner === undefined) return flip(bytes, random)
    change(
      inner,
      others.flatMap((other) => jsonOf(other) ?? []),
      random,
      depth + 1,
    )
    return Buffer.from(JSON.stringify(inner))
  }
  if (bytes[0] === 0x30 && random.below(2) > 0) return mutatedDer(bytes, others, random) ?? flip(bytes, random)
  // Bodies hold certificates and keys as PEM.
  const pem = /^(-----BEGIN [A-Z ]+-----\n)([A-Za-z0-9+/=\n]+)(-----END [A-Z ]+-----\n?)$/.exec(bytes.toString('latin1'))
  if (pem && random.below(2) > 0) {
    const der = Buffer.from(pem[2] ?? '', 'base64')
    return Buffer.from(`${pem[1]}${(mutatedDer(der, [], random) ?? flip(der, random)).toString('base64')}\n${pem[3]}`)
  }
  switch (random.below(6)) {
    case 0:
      return bytes.subarray(0, random.below(bytes.length + 1))
    case 1:
      return Buffer.concat([bytes, Buffer.alloc(1 + random.below(3), random.below(256))])
    case 2: {
      const at = random.below(bytes.length + 1)
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
    }
    default:
      return flip(Buffer.from(bytes), random)
  }
}

function jsonOf(bytes: Buffer): Value | undefined {
  try {
    return JSON.parse(bytes.toString()) as Value
  } catch {
    return undefined
  }
}

export function flip(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return bytes
  const at = random.below(bytes.length)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
  return bytes
}
