import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Judged } from '../admit.ts'
import type { Digest } from '../image/digest.ts'
import type { Decision } from '../verdict/decision.ts'
import type { Held } from './metrics.ts'
import type { PressureLevel } from './pressure.ts'
import { Slots } from './slots.ts'

const ENTRY_OVERHEAD = 250 // bytes of a map entry besides its key, measured over 100,000 entries
const SMALL = 4 * 1024 // bytes of content that are kept as a text: a buffer takes some 600 bytes besides, and may hold on to all of the answer that it came in

const MAX_LARGE = 4 // large blobs that are fetched at the same time: of 16 MiB each, 64 MiB and what collecting them takes
const MAX_LARGE_WAITING = 1_000 // that wait for it; one object may have a thousand images

const MAX_TAGS = 10_000 // tags whose digest is remembered; about 3 MB

export type MemoryOptions = {
  /** Bytes that remembered passes may take. */
  readonly maxPassBytes: number
  /** Bytes that manifests and blobs may take. */
  readonly maxContentBytes: number
  /** Counts hits and misses; `what` is one of a few fixed names. */
  readonly count?: (what: 'pass' | 'content' | 'tag', hit: boolean) => void
  /** How near the process is to the memory that it may have. */
  readonly pressure?: () => PressureLevel
}

/**
 * The only memory. Keys are content hashes, so a changed policy, key, Secret or setting simply has another key. A pass is remembered for the
 * time that the setting gives; `fail` and `unknown` never are. Everything is bounded by bytes, and equal questions asked at the same time are asked once.
 */
export class Memory {
  /** By `shortened` keys. */
  readonly #passes: LRUCache<string, string>
  /** By `shortened` keys; what is small as a text of Latin-1. */
  readonly #content: LRUCache<string, Uint8Array | string>
  readonly #tags = new LRUCache<string, Digest>({ max: MAX_TAGS })
  readonly #running = new Map<string, Promise<unknown>>()
  readonly #count: NonNullable<MemoryOptions['count']>
  readonly #pressure: NonNullable<MemoryOptions['pressure']>
  /** What fetches a large blob takes a slot first: whoever may create Pods chooses how many there are, and how large. */
  readonly large = new Slots(MAX_LARGE, MAX_LARGE_WAITING)

  constructor(options: MemoryOptions) {
    const passSize = (note: string, key: string) => 2 * note.length + key.length + ENTRY_OVERHEAD
    this.#passes = new LRUCache({ maxSize: options.maxPassBytes, sizeCalculation: passSize, ttlAutopurge: false })
    this.#content = new LRUCache({
      maxSize: options.maxContentBytes,
      sizeCalculation: (content, key) => content.length + key.length + ENTRY_OVERHEAD,
    })
    this.#count = options.count ?? (() => {})
    this.#pressure = options.pressure ?? (() => 'none')
  }

  /** Answers a remembered pass, joins the same work under way, or does it. Only a pass is kept, for `ttl` ms and not past what it rests on; 0 keeps nothing. */
  judged(key: string, ttl: number, work: () => Promise<Judged>): Promise<Decision | { readonly remembered: string }> {
    const kept = shortened(within(ttl, key))
    const remembered = ttl > 0 ? this.#passes.get(kept) : undefined
    this.#count('pass', remembered !== undefined)
    if (remembered !== undefined) return Promise.resolve({ remembered })
    return this.single(`judged\n${key}`, async () => {
      const { decision, goodFor, note } = await work()
      const time = Math.min(ttl, goodFor ?? Infinity)
      if (decision.outcome === 'pass' && time > 0) this.#passes.set(kept, note, { ttl: time })
      return decision
    })
  }

  /** Content by digest and the scope of the credentials that could read it. Immutable, so kept until room is needed. */
  content(key: string): Uint8Array | undefined {
    const kept = this.#content.get(shortened(key))
    this.#count('content', kept !== undefined)
    return typeof kept === 'string' ? Buffer.from(kept, 'latin1') : kept
  }

  keepContent(key: string, bytes: Uint8Array): void {
    const isSmall = bytes.length <= SMALL
    this.#content.set(shortened(key), isSmall ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1') : bytes)
  }

  /** The digest that a tag had within the last `ttl` ms; 0 remembers nothing. */
  tag(key: string, ttl: number): Digest | undefined {
    if (ttl === 0) return undefined
    const digest = this.#tags.get(within(ttl, key))
    this.#count('tag', digest !== undefined)
    return digest
  }

  /** Keeps a tag's digest for `ttl` ms; 0 keeps nothing. */
  keepTag(key: string, digest: Digest, ttl: number): void {
    if (ttl > 0) this.#tags.set(within(ttl, key), digest, { ttl })
  }

  /** How near the process is to the memory that it may have. Under pressure, what could be fetched again is given up at once. */
  pressure(): PressureLevel {
    const level = this.#pressure()
    if (level !== 'none') this.#content.clear()
    return level
  }

  /** What it holds now: passes and content in bytes, tags by number. */
  held(): Held {
    return { passes: this.#passes.calculatedSize, content: this.#content.calculatedSize, tags: this.#tags.size }
  }

  /** One run at a time for equal keys. */
  single<T>(key: string, work: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key) as Promise<T> | undefined
    if (running) return running
    const started = work().finally(() => this.#running.delete(key))
    this.#running.set(key, started)
    return started
  }
}

/** Keys are long, and there are tens of thousands: what is kept of one is its SHA-256. */
function shortened(key: string): string {
  return hash('sha256', key, 'base64url')
}

/** What was kept for another time is not remembered any more: who shortens it means what is remembered already. */
function within(ttl: number, key: string): string {
  return `${ttl} ${key}`
}
