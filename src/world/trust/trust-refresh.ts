import type { TrustMaterial } from '../../trust/material.ts'
import type { Log, Values } from '../log.ts'
import { pause } from '../network/retry.ts'
import type { Slots } from '../slots.ts'
import type { Metadata, Refreshed } from './tuf.ts'

const FIRST_PAUSE = 5_000 // ms before a refresh that failed is tried again, doubled each time: a mirror that fails is not asked by all at once
const LONGEST_PAUSE = 15 * 60_000 // ms; soon enough to be back well before metadata of a day or a week expires
const SOONEST = 5_000 // ms between two refreshes that succeed, however soon what they bring expires
const SOON = 30 * 24 * 60 * 60_000 // ms before an end at which it is told, where nothing is fetched that could put it off
const LONGEST_TIMER = 2 ** 31 - 1 // ms; a longer one of Node.js ends at once

export type RefreshTimes = { readonly firstPause?: number; readonly longestPause?: number; readonly soonest?: number }

export type RefreshOptions = {
  /** Brings what is trusted now; begins with what the last one brought. Undefined: nothing is fetched. */
  readonly fetch: ((known: Metadata | undefined, signal: AbortSignal) => Promise<Refreshed>) | undefined
  /** ms between refreshes that succeed; 0: only so that what is fetched does not expire. */
  readonly resync: number
  /** So many are fetched at a time. */
  readonly slots: Slots
  readonly log: Log
  /** What log lines name it by. */
  readonly about: Values
  /** Whether what is fetched is always the same: then it is tried again after `resync` only, and its end is told long before. */
  readonly isFixed: boolean
  /** What was fetched is believed until then, in ms since 1970, even where its metadata expires earlier: what it took the place of is believed so long too. */
  readonly atLeast: number | undefined
  /** Called after every refresh, and when what is in force is about to expire and has expired. */
  readonly changed: () => void
  readonly times?: RefreshTimes
}

/** How refreshing goes. Times are in ms since 1970. */
export type RefreshState = {
  /** What was fetched last. Past its `until` it is not believed. */
  readonly material: TrustMaterial | undefined
  /** When what it says was first fetched. */
  readonly since: number | undefined
  /** When the last refresh that succeeded ended. */
  readonly refreshed: number | undefined
  /** When the next one begins; undefined: it is under way. */
  readonly next: number | undefined
  /** Why the last one failed, and when; undefined: it did not. */
  readonly error: { readonly text: string; readonly at: number } | undefined
}

/** What a refresh goes on from: of the same repository, whatever else has changed. */
export type Known = { readonly state: RefreshState; readonly metadata: Metadata | undefined; readonly stale: number | undefined }

/**
 * Keeps what a TUF repository says is trusted fresh: fetches it now, and again after `resync`, and before it expires. What was fetched stays
 * while refreshes fail, which are then tried again after longer and longer pauses. Nobody waits for it.
 */
export class TrustRefresh {
  readonly #options: RefreshOptions
  readonly #ended = new AbortController()
  readonly #end: ExpiryWatch
  #state: RefreshState = { material: undefined, since: undefined, refreshed: undefined, next: undefined, error: undefined }
  #metadata: Metadata | undefined
  /** When the metadata expires that was fetched last. */
  #stale: number | undefined
  #failures = 0
  #running: Promise<void> | undefined

  constructor(options: RefreshOptions, known?: Known) {
    this.#options = options
    this.#end = new ExpiryWatch(options.log, options.about, options.changed)
    if (known) {
      this.#state = { ...known.state, next: undefined }
      this.#metadata = known.metadata
      this.#stale = known.stale
    }
  }

  start(): void {
    this.#watchEnd()
    const { fetch } = this.#options
    if (fetch) this.#running ??= this.#run(fetch)
  }

  get state(): RefreshState {
    return this.#state
  }

  get known(): Known {
    return { state: this.#state, metadata: this.#metadata, stale: this.#stale }
  }

  async close(): Promise<void> {
    this.#ended.abort()
    this.#end.close()
    await this.#running
  }

  async #run(fetch: NonNullable<RefreshOptions['fetch']>): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      const refreshed = await this.#fetch(fetch, signal)
      if (signal.aborted) return
      const wait = refreshed.ok ? this.#succeeded(refreshed) : this.#failed(refreshed.why)
      this.#watchEnd()
      this.#options.changed()
      if (!(await pause(wait, signal))) return
      this.#state = { ...this.#state, next: undefined }
    }
  }

  async #fetch(fetch: NonNullable<RefreshOptions['fetch']>, signal: AbortSignal): Promise<Refreshed> {
    const { slots, log, about } = this.#options
    if ((await slots.take(signal)) !== 'taken') return { ok: false, why: 'too many trust roots are fetched at the same time' }
    try {
      return await fetch(this.#metadata, signal)
    } catch (error) {
      log.error('fetching a trust root failed in a way that nothing expected', { ...about, error })
      return { ok: false, why: 'an internal error; the log has the stack' }
    } finally {
      slots.release()
    }
  }

  /** Answers ms until the next one. */
  #succeeded({ material: fetched, metadata }: Refreshed & { readonly ok: true }): number {
    const { log, about, atLeast } = this.#options
    const now = Date.now()
    const before = this.#state
    const isNew = before.material?.hash !== fetched.hash
    const material =
      atLeast === undefined || fetched.until === undefined ? fetched : { ...fetched, until: Math.max(fetched.until, atLeast) }
    this.#stale = fetched.until
    this.#metadata = metadata
    const wait = this.#usual(now)
    this.#failures = 0
    this.#state = { material, since: isNew ? now : before.since, refreshed: now, next: now + wait, error: undefined }
    const values = { ...about, until: timeOf(material.until), next: timeOf(now + wait) }
    if (isNew) {
      log.info(before.material ? 'a trust root says something else now' : 'a trust root was fetched', { ...values, ...countsOf(material) })
      for (const warning of material.warnings ?? []) log.warn('a trust root has a warning', { ...about, warning })
    } else if (before.error) log.info('a trust root is refreshed again', values)
    else log.debug('a trust root was refreshed', values)
    return wait
  }

  /** Answers ms until the next one. */
  #failed(why: string): number {
    const { log, about, times } = this.#options
    const now = Date.now()
    const { material, error } = this.#state
    const usual = this.#usual(now)
    const first = times?.firstPause ?? FIRST_PAUSE
    const longest = times?.longestPause ?? LONGEST_PAUSE
    const backoff = Math.min(first * 2 ** Math.min(this.#failures++, 20), longest) * (0.5 + Math.random() / 2)
    const wait = this.#options.isFixed ? usual : Math.min(backoff, usual)
    this.#state = { ...this.#state, next: now + wait, error: { text: why, at: now } }
    if (error?.text === why) return wait
    const values = { ...about, why, next: timeOf(now + wait) }
    if (!material) log.warn('a trust root cannot be fetched: who needs it is refused', values)
    else if (isPast(material.until, now)) log.warn('a trust root cannot be refreshed, and what it said has expired', values)
    else log.warn('a trust root cannot be refreshed; what was in force stays in force', { ...values, until: timeOf(material.until) })
    return wait
  }

  /**
   * ms after a success. Half of what is left: where the mirror has nothing newer yet, it is asked more and more often. Spread, so that
   * replicas do not all come at once.
   */
  #usual(now: number): number {
    const { resync, isFixed, times } = this.#options
    const left = this.#stale === undefined || isFixed ? Infinity : Math.max((this.#stale - now) / 2, times?.soonest ?? SOONEST)
    return Math.min(Math.min(resync === 0 ? Infinity : resync, left) * (0.8 + Math.random() / 5), LONGEST_TIMER)
  }

  #watchEnd(): void {
    const { fetch, isFixed, atLeast } = this.#options
    const { material, refreshed, error } = this.#state
    const isPutOff = atLeast !== undefined && refreshed !== undefined && !error
    if (isPutOff) this.#end.watch(undefined, undefined)
    else this.#end.watch(material?.until, !fetch || isFixed || atLeast !== undefined ? SOON : undefined)
  }
}

/** Tells in time when something ends that is trusted, and that it has ended. */
export class ExpiryWatch {
  readonly #log: Log
  readonly #about: Values
  readonly #changed: () => void
  #until: number | undefined
  #tellAt = 0
  #told: 'nothing' | 'soon' | 'ended' = 'nothing'
  #timer: NodeJS.Timeout | undefined

  constructor(log: Log, about: Values, changed: () => void) {
    this.#log = log
    this.#about = about
    this.#changed = changed
  }

  /** `until` in ms since 1970, `before` in ms; without it, when three quarters of the time from now on are over, since until then it should have been put off. */
  watch(until: number | undefined, before: number | undefined): void {
    if (until === this.#until) return
    this.#until = until
    this.#told = 'nothing'
    if (until !== undefined) this.#tellAt = until - Math.min(SOON, before ?? Math.max(0, until - Date.now()) / 4)
    this.#arm()
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const until = this.#until
    if (until === undefined) return
    const now = Date.now()
    if (this.#told !== 'ended' && now > until) this.#tell('ended', until)
    else if (this.#told === 'nothing' && now >= this.#tellAt) this.#tell('soon', until)
    if (this.#told === 'ended') return
    const next = this.#told === 'nothing' ? this.#tellAt : until + 1
    this.#timer = setTimeout(() => this.#arm(), Math.min(Math.max(next - Date.now(), 1), LONGEST_TIMER)).unref()
  }

  #tell(what: 'soon' | 'ended', until: number): void {
    this.#told = what
    const values = { ...this.#about, until: timeOf(until) }
    if (what === 'soon') this.#log.warn('what a trust root says is about to expire', values)
    else this.#log.error('what a trust root says has expired: it is not believed any more', values)
    this.#changed()
  }
}

/** How much is trusted, for people. */
export function countsOf(material: TrustMaterial): Values {
  return {
    certificateAuthorities: material.certificateAuthorities.length,
    certificateLogs: material.certificateLogs.length,
    transparencyLogs: material.transparencyLogs.length,
    timestampAuthorities: material.timestampAuthorities.length,
  }
}

export function isPast(until: number | undefined, now: number): boolean {
  return until !== undefined && now > until
}

function timeOf(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString()
}
