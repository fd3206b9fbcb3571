import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'

/** `high`: beside what is under way nothing further is begun that takes much memory. `critical`: nothing further is fetched. */
export type PressureLevel = 'none' | 'high' | 'critical'

/** Bytes, as `process.memoryUsage` and the heap statistics have them. `limit` of the process, `heapLimit` of what JavaScript allocates. */
export type MemoryUse = {
  readonly rss: number
  readonly heapTotal: number
  readonly heapUsed: number
  readonly external: number
  readonly limit: number
  readonly heapLimit: number
}

const LOOK = 25 // ms between looks: a look costs 15 µs, and in that time a network brings a few MB
const HIGH = 0.75 // of either limit; what requests under way still take must find room above
const CRITICAL = 0.85
const LIMIT_KEPT = 10_000 // ms; a container's limit is read from files
const COLLECTED = 1_000 // ms between collections of garbage that are asked for: one takes some 20 ms
const LASTING = 60_000 // ms of `critical` after which it does not pass by itself

/**
 * How near the process is to the memory that it may have: the container's, and the heap's. Refusing in time is what keeps it from being
 * killed for the memory that others make it take: whoever creates Pods chooses how many images there are, and how large their signatures.
 */
export class Pressure {
  readonly #read: () => MemoryUse
  readonly #clock: () => number
  readonly #collect: () => void
  readonly #base: number
  /** Bytes that the process may have. */
  readonly limit: number
  #looked = -Infinity
  #collected = -Infinity
  #level: PressureLevel = 'none'
  #criticalSince: number | undefined

  constructor(read: () => MemoryUse = memoryUse, clock: () => number = () => performance.now(), collect: () => void = collectGarbage) {
    this.#read = read
    this.#clock = clock
    this.#collect = collect
    const { rss, heapTotal, external, limit } = read()
    this.limit = limit
    // Code, stacks, connections. What is freed later is not always given back to the kernel, but it is there to be used again: so what is
    // in use is counted, not what is resident.
    this.#base = Math.max(0, rss - heapTotal - external)
  }

  level(): PressureLevel {
    const now = this.#clock()
    if (now - this.#looked < LOOK) return this.#level
    this.#looked = now
    const { rss, heapTotal, heapUsed, external, limit, heapLimit } = this.#read()
    const share = Math.max(Math.min(rss, heapTotal + external + this.#base) / limit, heapUsed / heapLimit)
    this.#level = share > CRITICAL ? 'critical' : share > HIGH ? 'high' : 'none'
    if (this.#level !== 'none' && now - this.#collected > COLLECTED) {
      this.#collected = now
      this.#collect()
    }
    this.#criticalSince = this.#level === 'critical' ? (this.#criticalSince ?? now) : undefined
    return this.#level
  }

  /** Whether it has been critical for so long that only a new start helps. */
  isLasting(): boolean {
    const isCritical = this.level() === 'critical'
    return isCritical && this.#criticalSince !== undefined && this.#clock() - this.#criticalSince > LASTING
  }
}

/** Of this process. The limit is that of its cgroup (v1 or v2), else the machine's memory; it may change while the process runs. */
export function memoryUse(): MemoryUse {
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
  return { rss, heapTotal, heapUsed, external, limit: memoryLimit(), heapLimit: getHeapStatistics().heap_size_limit }
}

/**
 * Node collects garbage as JavaScript's own heap grows, and bytes that came from a network lie outside of it: while requests are refused nothing
 * grows, so it has to be told. `--expose-gc` is among the flags of `bin/sealgate`.
 */
function collectGarbage(): void {
  void globalThis.gc?.({ type: 'major', execution: 'async' })
}

let limit = 0
let limitRead = -Infinity

function memoryLimit(): number {
  const now = performance.now()
  if (now - limitRead < LIMIT_KEPT) return limit
  const container = process.constrainedMemory()
  limitRead = now
  limit = Math.min(totalmem(), container > 0 ? container : Infinity)
  return limit
}
