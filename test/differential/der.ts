import type { Random } from './random.ts'

/** A value of DER that can be changed. `length`: how its length is written. */
type Node = { tag: number; content: Buffer | Node[]; length: 'short' | 'long' | 'indefinite' }

/** DER with one change to its structure, all lengths around it right again; undefined where it is not DER. `others`: DER to take parts of. */
export function mutatedDer(bytes: Buffer, others: readonly Buffer[], random: Random): Buffer | undefined {
  const root = parse(bytes)
  if (!root || root.length === 0) return undefined
  const places = placesIn(root)
  const { list, at } = random.pick(places)
  const node = list[at] as Node
  const donors = others.flatMap((other) => placesIn(parse(other) ?? [])).map((place) => place.list[place.at] as Node)
  switch (random.below(10)) {
    case 0:
      list.splice(at, 1)
      break
    case 1:
      list.splice(at, 0, structuredCopy(node))
      break
    case 2:
      list.reverse()
      break
    case 3:
      node.length = random.pick(['long', 'indefinite'])
      break
    case 4:
      node.tag = random.pick([node.tag ^ 0x20, node.tag ^ 0x80, node.tag ^ (1 << random.below(5)), 0x30, 0x04])
      break
    case 5:
      node.content = Buffer.alloc(0)
      break
    case 6:
      list[at] = structuredCopy(donors.length > 0 ? random.pick(donors) : nodeAt(random.pick(places)))
      break
    case 7:
      list.splice(random.below(list.length + 1), 0, structuredCopy(donors.length > 0 ? random.pick(donors) : nodeAt(random.pick(places))))
      break
    default:
      if (Array.isArray(node.content)) node.content.push({ tag: 0x05, content: Buffer.alloc(0), length: 'short' })
      else node.content = random.pick([padded, flipped])(node.content, random)
  }
  return encode(root)
}

type Place = { readonly list: Node[]; readonly at: number }

function nodeAt({ list, at }: Place): Node {
  return list[at] as Node
}

function placesIn(list: Node[]): Place[] {
  return list.flatMap((node, at) => [{ list, at }, ...(Array.isArray(node.content) ? placesIn(node.content) : [])])
}

function structuredCopy({ tag, content, length }: Node): Node {
  return { tag, content: Array.isArray(content) ? content.map(structuredCopy) : Buffer.from(content), length }
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(1), content])
}

function flipped(content: Buffer, random: Random): Buffer {
  const copy = Buffer.from(content)
  if (copy.length > 0) {
    const at = random.below(copy.length)
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8))
  }
  return copy
}

const OCTET_STRING = 0x04
const CONSTRUCTED = 0x20

/** Values with single-byte tags and definite lengths, one after the other; undefined where it is anything else. */
function parse(bytes: Buffer): Node[] | undefined {
  const nodes: Node[] = []
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] ?? 0
    const first = bytes[at + 1]
    if (first === undefined || (tag & 0x1f) === 0x1f) return undefined
    const more = first < 0x80 ? 0 : first & 0x7f
    if (more > 4 || (first >= 0x80 && more === 0) || at + 2 + more > bytes.length) return undefined
    const length = more === 0 ? first : bytes.readUIntBE(at + 2, more)
    const from = at + 2 + more
    if (from + length > bytes.length) return undefined
    const content = bytes.subarray(from, from + length)
    const inner = tag & CONSTRUCTED || tag === OCTET_STRING ? parse(content) : undefined
    if (tag & CONSTRUCTED && !inner) return undefined
    // An octet string that happens to read as DER may be a digest: then its changes are only stranger.
    nodes.push({ tag, content: inner && inner.length > 0 ? inner : Buffer.from(content), length: 'short' })
    at = from + length
  }
  return nodes
}

function encode(nodes: readonly Node[]): Buffer {
  return Buffer.concat(
    nodes.map(({ tag, content, length }) => {
      const inner = Array.isArray(content) ? encode(content) : content
      if (length === 'indefinite') return Buffer.concat([Buffer.from([tag, 0x80]), inner, Buffer.alloc(2)])
      return Buffer.concat([Buffer.from([tag]), lengthOf(inner.length, length === 'long'), inner])
    }),
  )
}

function lengthOf(length: number, isLong: boolean): Buffer {
  if (length < 0x80 && !isLong) return Buffer.from([length])
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  const significant = isLong ? bytes : bytes.subarray(bytes.findIndex((byte) => byte !== 0))
  return Buffer.concat([Buffer.from([0x80 | significant.length]), significant])
}

/** An OCTET STRING whose second value reaches behind it to the end, and so on in what follows: each level is parsed twice. */
export function overlapping(levels: number): Buffer {
  let rest = Buffer.from('0500', 'hex')
  for (let level = 0; level < levels; level++) {
    const content = Buffer.concat([Buffer.from('0500', 'hex'), headOf(0x04, rest.length)])
    rest = Buffer.concat([headOf(0x04, content.length), content, rest])
  }
  return Buffer.concat([headOf(0x30, rest.length), rest])
}

function headOf(tag: number, length: number): Buffer {
  return Buffer.from(length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff])
}
