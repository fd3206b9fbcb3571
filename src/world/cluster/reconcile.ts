import type { Log } from '../log.ts'

const FIRST_PAUSE = 250 // ms before what failed is tried again, doubled each time, times 0.5 to 1.5
const LONGEST_PAUSE = 15_000 // ms; what is mended is noticed soon
const MAX_LOGGED = 20 // keys that fail at a time and are each logged; when all of thousands do, some of them say why
const AT_A_TIME = 4 // keys worked on together: thousands of policies must not load the API server at once

/** How working on a key ended. `again`: it is to be looked at again after so many ms, though nothing changed. `retryAfter` in ms. */
export type Worked =
  | { readonly state: 'done'; readonly again?: number | undefined }
  | { readonly state: 'failed'; readonly text: string; readonly retryAfter?: number | undefined }

export type ReconcileTimes = { readonly firstPause?: number; readonly longestPause?: number }

type Key = { failures: number; isRunning: boolean; isAsked: boolean; timer: NodeJS.Timeout | undefined; why: string | undefined }

/**
 * Brings things to where they should be, each named by a key. However often a key is asked for while it waits, it is worked on once more; never
 * twice at a time. What fails is tried again, later each time, and logged once for each reason. An exception is a failure like another.
 */
export class Reconciler {
  readonly #what: string
  readonly #work: (key: string, signal: AbortSignal) => Promise<Worked>
  readonly #log: Log
  readonly #times: Required<ReconcileTimes>
  readonly #keys = new Map<string, Key>()
  readonly #waiting = new Set<string>()
  readonly #ended = new AbortController()
  readonly #running = new Set<Promise<void>>()

  /** `what` names the key in the log: `policy`. */
  constructor(what: string, work: (key: string, signal: AbortSignal) => Promise<Worked>, log: Log, times: ReconcileTimes = {}) {
    this.#what = what
    this.#work = work
    this.#log = log
    this.#times = { firstPause: FIRST_PAUSE, longestPause: LONGEST_PAUSE, ...times }
  }

  /** Works on it soon. One that failed keeps its pause: what is asked for with every change would never have one. */
  ask(key: string): void {
    if (this.#ended.signal.aborted) return
    const known: Key = this.#keys.get(key) ?? { failures: 0, isRunning: false, isAsked: false, timer: undefined, why: undefined }
    this.#keys.set(key, known)
    if (known.failures > 0 && known.timer !== undefined) return
    this.#now(key, known)
  }

  #now(key: string, known: Key): void {
    known.isAsked = true
    clearTimeout(known.timer)
    known.timer = undefined
    if (!known.isRunning) this.#waiting.add(key)
    this.#begin()
  }

  /** Why a key could not be brought to where it should be; undefined: it is there, or is being worked on for the first time. */
  why(key: string): string | undefined {
    return this.#keys.get(key)?.why
  }

  /** Nothing is begun any more; what is under way is cut off. */
  async close(): Promise<void> {
    this.#ended.abort()
    for (const { timer } of this.#keys.values()) clearTimeout(timer)
    this.#waiting.clear()
    await Promise.all(this.#running)
  }

  #begin(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= AT_A_TIME) return
      this.#waiting.delete(key)
      const running: Promise<void> = this.#run(key).finally(() => {
        this.#running.delete(running)
        this.#begin()
      })
      this.#running.add(running)
    }
  }

  async #run(key: string): Promise<void> {
    const known = this.#keys.get(key)
    if (!known) return
    known.isRunning = true
    known.isAsked = false
    // A turn for whoever is asking for many keys.
    await Promise.resolve()
    const worked = await this.#work(key, this.#ended.signal).catch((error: unknown): Worked => {
      this.#log.error('an exception that nothing expected', { [this.#what]: key, error })
      return { state: 'failed', text: 'an internal error; the log has the stack' }
    })
    known.isRunning = false
    if (this.#ended.signal.aborted) return
    const again = worked.state === 'failed' ? this.#failed(key, known, worked) : this.#succeeded(key, known, worked.again)
    if (known.isAsked) this.#waiting.add(key)
    else if (again !== undefined) known.timer = setTimeout(() => this.#now(key, known), again).unref()
    else if (worked.state === 'done') this.#keys.delete(key)
  }

  #succeeded(key: string, known: Key, again: number | undefined): number | undefined {
    if (known.why !== undefined) this.#log.info('what failed before has succeeded', { [this.#what]: key })
    known.failures = 0
    known.why = undefined
    return again
  }

  #failed(key: string, known: Key, { text, retryAfter }: Extract<Worked, { state: 'failed' }>): number {
    const failing = [...this.#keys.values()].filter((k) => k.why !== undefined).length
    if (known.why !== text && failing < MAX_LOGGED)
      this.#log.warn('could not be written; it is tried again', { [this.#what]: key, why: text })
    known.why = text
    const { firstPause, longestPause } = this.#times
    const pause = Math.min(firstPause * 2 ** Math.min(known.failures++, 20), longestPause)
    return (retryAfter ?? 0) + pause * (0.5 + Math.random())
  }
}
