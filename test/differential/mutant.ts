/** Numbers that a seed gives, the same each time (mulberry32). */
export type Random = { below(n: number): number; pick<T>(of: readonly T[]): T }

export function randomOf(seed: number): Random {
  let state = seed >>> 0
  const below = (n: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n)
  }
  return { below, pick: (of) => of[below(of.length)] as (typeof of)[number] }
}

type Value = null | boolean | number | string | Value[] | { [key: string]: Value }
/** A member of an object or an element of an array. */
type Slot = { readonly path: string; get(): Value; set(value: Value): void; remove(): void; again(): void }

/** One to three changes somewhere in a bundle: of its text, its structure, or what is encoded in it; or a part of another bundle in the place of its own. */
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
  switch (random.below(8)) {
    case 0:
      return slot.remove()
    case 1:
      return slot.again()
    case 2:
      return slot.set(structuredClone(random.pick(slots).get()))
    case 3:
    case 4: {
      const theirs = donors.length > 0 ? slotsOf(random.pick(donors), '').find(({ path }) => path === slot.path) : undefined
      if (theirs) return slot.set(structuredClone(theirs.get()))
      return slot.set(scalar(slot.get(), random, depth))
    }
    default:
      return slot.set(scalar(slot.get(), random, depth))
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

function scalar(value: Value, random: Random, depth: number): Value {
  switch (typeof value) {
    case 'string':
      return text(value, random, depth)
    case 'number':
      return random.pick([value + 1, value - 1, 0, -1, 2 ** 53, String(value)])
    case 'boolean':
      return !value
    default:
      return random.pick<Value>([null, {}, [], '', 0])
  }
}

function text(value: string, random: Random, depth: number): Value {
  if (/^-?\d{1,18}$/.test(value)) {
    const number = BigInt(value)
    return String(random.pick([number + 1n, number - 1n, 0n, -number, number * 1000n, number + 86_400n, 2n ** 63n]))
  }
  if (value.length >= 16 && BASE64.test(value)) return encoded(Buffer.from(value, 'base64'), random, depth).toString('base64')
  const bytes = Buffer.from(value)
  return random.pick<() => Value>([
    () => '',
    () => value + value,
    () => flip(bytes, random).toString('latin1'),
    () => null,
    () => value.toUpperCase(),
  ])()
}

function encoded(bytes: Buffer, random: Random, depth: number): Buffer {
  // Bodies of log entries and statements are JSON within base64, and hold JSON, PEM and base64 themselves.
  if (depth < 3 && bytes[0] === 0x7b && random.below(4) > 0) {
    try {
      const inner = JSON.parse(bytes.toString()) as Value
      change(inner, [], random, depth + 1)
      return Buffer.from(JSON.stringify(inner))
    } catch {
      return flip(bytes, random)
    }
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

function flip(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return bytes
  const at = random.below(bytes.length)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
  return bytes
}
