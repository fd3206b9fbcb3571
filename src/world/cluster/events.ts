import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Log } from '../log.ts'
import { pause } from '../network/retry.ts'
import type { ApiServer } from './api-server.ts'
import { failure } from './change.ts'

const MAX_KNOWN = 1_000 // events of which it is remembered that they were told, so that the next is counted instead; also the objects
const MAX_WAITING = 200 // events that wait to be told; more are forgotten, for they tell the same
const BURST = 20 // events that are told at once
const EVERY = 250 // ms for one more
const BURST_OF_ONE = 10 // different events about one object that are told at once
const EVERY_OF_ONE = 30_000 // ms for one more about the same object
const AGAIN = 30_000 // ms between two writes of how often the same has happened
const PATIENCE = 5_000 // ms of pause after the API server could not be told
const TIME = 5_000 // ms for one write

/** What an event is about. A namespace of '' is none. */
export type Regarding = {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly namespace: string
  readonly uid: string
}

export type Event = {
  readonly regarding: Regarding
  readonly type: 'Normal' | 'Warning'
  /** One word, in capitals as Kubernetes writes it. */
  readonly reason: string
  /** At most 1024 bytes; no secrets. */
  readonly message: string
}

type Known = {
  readonly event: Event
  readonly name: string
  readonly first: string
  last: string
  count: number
  /** Of which the API server knows. */
  told: number
  toldAt: number
  isWaiting: boolean
}

export type EventTimes = { readonly every?: number; readonly everyOfOne?: number; readonly again?: number; readonly patience?: number }

/**
 * Tells Kubernetes what happened (core/v1 Events, which users of the sigstore policy controller have the rights for). Never in anybody's way: what is
 * too much, or cannot be told, is forgotten. The same event is told once and then counted.
 */
export class Events {
  readonly #api: ApiServer
  readonly #instance: string
  readonly #log: Log
  readonly #times: Required<EventTimes>
  readonly #known = new LRUCache<string, Known>({ max: MAX_KNOWN })
  readonly #spent = new LRUCache<string, Budget>({ max: MAX_KNOWN })
  readonly #all: Budget
  readonly #waiting = new Set<Known>()
  readonly #ended = new AbortController()
  #telling: Promise<void> | undefined
  #why: string | undefined

  /** `instance`: who tells it. */
  constructor(api: ApiServer, instance: string, log: Log, times: EventTimes = {}) {
    this.#api = api
    this.#instance = instance
    this.#log = log
    this.#times = { every: EVERY, everyOfOne: EVERY_OF_ONE, again: AGAIN, patience: PATIENCE, ...times }
    this.#all = new Budget(BURST, this.#times.every)
  }

  record(event: Event): void {
    if (this.#ended.signal.aborted) return
    const { regarding, reason, message } = event
    const object = `${regarding.kind} ${regarding.namespace}/${regarding.name} ${regarding.uid}`
    const key = `${object}\n${reason}\n${message}`
    const known = this.#known.get(key)
    const now = time()
    if (known) {
      known.count++
      known.last = now
      return this.#wait(known, Math.max(0, known.toldAt + this.#times.again - performance.now()))
    }
    let budget = this.#spent.get(object)
    if (!budget) this.#spent.set(object, (budget = new Budget(BURST_OF_ONE, this.#times.everyOfOne)))
    if (!budget.take()) return
    const name = `${regarding.name.slice(0, 200)}.${randomBytes(8).toString('hex')}`
    const fresh: Known = { event, name, first: now, last: now, count: 1, told: 0, toldAt: -Infinity, isWaiting: false }
    this.#known.set(key, fresh)
    this.#wait(fresh, 0)
  }

  async close(): Promise<void> {
    this.#ended.abort()
    await this.#telling
  }

  #wait(known: Known, milliseconds: number): void {
    if (known.isWaiting) return
    if (milliseconds > 0) {
      known.isWaiting = true
      const later = (): void => {
        known.isWaiting = false
        this.#wait(known, 0)
      }
      setTimeout(later, milliseconds).unref()
      return
    }
    if (this.#waiting.size >= MAX_WAITING || this.#ended.signal.aborted) return
    known.isWaiting = true
    this.#waiting.add(known)
    this.#telling ??= this.#tell().finally(() => (this.#telling = undefined))
  }

  async #tell(): Promise<void> {
    const { signal } = this.#ended
    // A turn for the request that this may come from.
    await new Promise((resolve) => setImmediate(resolve))
    for (const known of this.#waiting) {
      while (!this.#all.take()) if (!(await pause(this.#times.every, signal))) return
      if (signal.aborted) return
      this.#waiting.delete(known)
      known.isWaiting = false
      const { count } = known
      known.toldAt = performance.now()
      const why = await this.#write(known, count, signal)
      if (signal.aborted) return
      if (why === undefined) {
        known.told = count
        this.#why = undefined
      } else {
        if (this.#why !== why) this.#log.warn('an event could not be told; it is forgotten', { why })
        this.#why = why
        await pause(this.#times.patience, signal)
      }
    }
  }

  /** Answers why that was not possible. */
  async #write(known: Known, count: number, signal: AbortSignal): Promise<string | undefined> {
    const { event, name, first, last } = known
    const { regarding } = event
    // Events about what has no namespace lie in this one.
    const namespace = regarding.namespace === '' ? 'default' : regarding.namespace
    const collection = `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`
    if (known.told > 0) {
      const changed = await this.#api.write('merge', `${collection}/${name}`, { count, lastTimestamp: last }, signal, TIME)
      if (changed.state === 'answered') return undefined
      const failed = failure(changed)
      if (failed.state === 'failed') return failed.text
      // After an hour the API server has forgotten it.
    }
    const body = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: { ...regarding, namespace: regarding.namespace || undefined },
      type: event.type,
      reason: event.reason,
      message: event.message,
      source: { component: 'sealgate' },
      reportingComponent: 'sealgate',
      reportingInstance: this.#instance,
      firstTimestamp: first,
      lastTimestamp: last,
      count,
    }
    const created = await this.#api.write('create', collection, body, signal, TIME)
    if (created.state === 'answered') return undefined
    const failed = failure(created)
    return failed.state === 'failed' ? failed.text : `namespace ${namespace} not found`
  }
}

/** So many at once, then one more each time. */
class Budget {
  readonly #most: number
  readonly #every: number
  #left: number
  #since = performance.now()

  constructor(most: number, every: number) {
    this.#most = most
    this.#every = every
    this.#left = most
  }

  take(): boolean {
    const now = performance.now()
    const more = Math.floor((now - this.#since) / this.#every)
    if (more > 0) {
      this.#left = Math.min(this.#most, this.#left + more)
      this.#since += more * this.#every
    }
    if (this.#left === 0) return false
    this.#left--
    return true
  }
}

/** As core/v1 has it: whole seconds. */
function time(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z')
}
