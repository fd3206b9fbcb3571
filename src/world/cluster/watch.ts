import { setTimeout as wait } from 'node:timers/promises'
import { isObject } from '../../policy/shape.ts'
import type { Log } from '../log.ts'
import type { ApiAnswer, ApiServer, WatchEnd } from './api-server.ts'
import { statusText } from './api-server.ts'

const WATCH_SHORTEST = 25 // s after which the API server is asked to end a watch; with those below, a silent connection is noticed within 45 s
const WATCH_LONGEST = 40 // s; spread, so that watches of several resources and replicas do not end together
const WATCH_GRACE = 5_000 // ms that an end may come late before the connection counts as silent
const FIRST_PAUSE = 250 // ms before a failed request is made again, doubled each time
const LONGEST_PAUSE = 10_000 // ms; long enough for a struggling API server, short enough to be back soon after it
const SHORT_WATCH = 1_000 // ms; a watch that ends sooner, time and again, is paused between too
const RELIST_AFTER = 3 // failed watches in a row after which the list is read anew: what is asked for may be what fails
const NOT_READ = 'not read yet'

/** What is watched, and what of each object is kept. */
export type Watched<T> = {
  /** As RBAC names it: `secrets`, `clusterimagepolicies.policy.sigstore.dev`. */
  readonly resource: string
  /** Where it is served; the first that answers. One resource may be served in several versions. */
  readonly paths: readonly string[]
  readonly query: Readonly<Record<string, string>>
  /** Objects of a page; a page that turns out too large is asked for again in smaller ones. */
  readonly pageSize: number
  key(namespace: string, name: string): string
  /** Everything else of the object is forgotten. Undefined: nothing of it is needed. */
  keep(object: Readonly<Record<string, unknown>>): T | undefined
  /** Whether a change is none to whoever watches: what was kept stays, and nobody is told. */
  isSame?(before: T, after: T): boolean
}

export type WatchTimes = {
  readonly shortest?: number
  readonly longest?: number
  readonly grace?: number
  readonly firstPause?: number
  readonly longestPause?: number
}

/**
 * One resource, listed and then watched, for ever. What was known stays known while the API server cannot be asked; `why` says so.
 * After an interruption it goes on where it was (`resourceVersion`), and lists anew only when that is too long ago.
 */
export class Watch<T> {
  readonly #api: ApiServer
  readonly #watched: Watched<T>
  readonly #log: Log
  readonly #changed: () => void
  readonly #times: Required<WatchTimes>
  readonly #ended = new AbortController()
  #items: Map<string, T> = new Map()
  #isListed = false
  #why: string | undefined = NOT_READ
  #path = 0
  #resourceVersion: string | undefined
  #failures = 0
  #running: Promise<void> | undefined

  constructor(api: ApiServer, watched: Watched<T>, log: Log, changed: () => void, times: WatchTimes = {}) {
    this.#api = api
    this.#watched = watched
    this.#log = log
    this.#changed = changed
    this.#times = {
      shortest: WATCH_SHORTEST,
      longest: WATCH_LONGEST,
      grace: WATCH_GRACE,
      firstPause: FIRST_PAUSE,
      longestPause: LONGEST_PAUSE,
      ...times,
    }
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  get resource(): string {
    return this.#watched.resource
  }

  /** What is kept of each object, by key. It changes with the cluster. */
  get items(): ReadonlyMap<string, T> {
    return this.#items
  }

  /** Whether a complete list was ever read. */
  get isListed(): boolean {
    return this.#isListed
  }

  /** Whether it was tried to read it, and could not be. */
  get hasFailed(): boolean {
    return this.#why !== undefined && this.#why !== NOT_READ
  }

  /** Why `items` may not be what the cluster holds now; undefined: it is, as far as the API server has told. */
  get why(): string | undefined {
    return this.#why
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      try {
        if (this.#resourceVersion === undefined) await this.#list()
        else await this.#watch()
      } catch (error) {
        // A mistake of ours with one answer must not end the watch for good.
        this.#log.error('an answer of the API server could not be dealt with', { resource: this.resource, error })
        this.#resourceVersion = undefined
        await this.#failed('an answer could not be dealt with', undefined)
      }
    }
  }

  /** Reads the whole list, page by page, and only then replaces what was known. */
  async #list(): Promise<void> {
    let listed: List<T> | ListFailure | undefined
    for (let i = 0; i < this.#watched.paths.length; i++) {
      listed = await this.#listAt(this.#watched.paths[this.#path] ?? '')
      if (listed.state === 'listed' || this.#ended.signal.aborted || !isOfVersion(listed)) break
      this.#path = (this.#path + 1) % this.#watched.paths.length
    }
    if (listed?.state !== 'listed') {
      if (listed) await this.#failed(textOf(listed), retryAfterOf(listed))
      return
    }
    this.#items = listed.items
    this.#resourceVersion = listed.resourceVersion
    if (!this.#isListed)
      this.#log.info('list read', {
        resource: this.resource,
        path: this.#watched.paths[this.#path],
        objects: listed.objects,
        pages: listed.pages,
      })
    this.#isListed = true
    this.#well()
    this.#changed()
  }

  async #listAt(path: string): Promise<List<T> | ListFailure> {
    const items = new Map<string, T>()
    let limit = this.#watched.pageSize
    let token = ''
    let pages = 0
    let objects = 0
    for (;;) {
      const query = { ...this.#watched.query, limit: `${limit}`, ...(token !== '' && { continue: token }) }
      const answer = await this.#api.get(path, query, this.#ended.signal)
      if (answer.state === 'too-large' && limit > 1) {
        limit = Math.ceil(limit / 8)
        continue
      }
      if (answer.state !== 'answered') return answer
      const { items: page, metadata, apiVersion, kind } = answer.body
      if (!Array.isArray(page) || !isObject(metadata) || typeof metadata['resourceVersion'] !== 'string')
        return { state: 'failed', text: 'the answer is not a list' }
      // The items of a list leave out what they are; an object by itself says it.
      const typed = typeof kind === 'string' && kind.endsWith('List') ? { apiVersion, kind: kind.slice(0, -'List'.length) } : {}
      for (const object of page as unknown[]) if (isObject(object)) this.#put(items, { ...typed, ...object })
      pages++
      objects += page.length
      const next = metadata['continue']
      if (typeof next !== 'string' || next === '')
        return { state: 'listed', items, pages, objects, resourceVersion: metadata['resourceVersion'] }
      token = next
    }
  }

  async #watch(): Promise<void> {
    const { shortest, longest, grace } = this.#times
    const seconds = Math.ceil(shortest + Math.random() * (longest - shortest))
    const query = {
      ...this.#watched.query,
      allowWatchBookmarks: 'true',
      timeoutSeconds: `${seconds}`,
      resourceVersion: this.#resourceVersion ?? '',
    }
    const began = performance.now()
    // Set by what is called back; in an object, for the compiler does not see that it is.
    const told: { opened: boolean; end: WatchEnd | undefined } = { opened: false, end: undefined }
    const stop = new AbortController()
    const end = await this.#api.watch(
      this.#watched.paths[this.#path] ?? '',
      query,
      seconds * 1000 + grace,
      AbortSignal.any([this.#ended.signal, stop.signal]),
      {
        opened: () => {
          told.opened = true
          this.#well()
        },
        line: (line) => {
          told.end ??= this.#event(line)
          if (told.end) stop.abort()
        },
      },
    )
    if (this.#ended.signal.aborted) return
    const lasted = performance.now() - began
    // Connections get closed; only when the next one fails too, something is wrong.
    const isClosed = told.opened && lasted >= SHORT_WATCH && end.state === 'failed'
    await this.#goOn(told.end ?? (isClosed ? { state: 'ended' } : end), lasted)
  }

  async #goOn(end: WatchEnd, lasted: number): Promise<void> {
    switch (end.state) {
      case 'ended':
        if (lasted < SHORT_WATCH) await this.#pause(undefined)
        else this.#failures = 0
        return
      case 'silent':
        return this.#failed('the API server went silent', undefined)
      case 'too-large':
        this.#resourceVersion = undefined
        return this.#failed('an event is too large', undefined)
      case 'failed':
        return this.#failed(end.text, undefined)
      case 'refused':
        // Gone: changes since then are no longer known. Not found: the version may no longer be served.
        if (end.status === 410 || end.status === 404) this.#resourceVersion = undefined
        // Anything else that goes on may be about what is asked for.
        else if (end.status !== 429 && end.status !== 403 && end.status !== 401 && this.#failures >= RELIST_AFTER)
          this.#resourceVersion = undefined
        if (end.status === 410) return this.#pause(undefined)
        return this.#failed(end.text, end.retryAfter)
    }
  }

  /** Takes one event in. Answers how the watch ended where it says that. */
  #event(line: string): WatchEnd | undefined {
    let event: unknown
    try {
      event = JSON.parse(line)
    } catch {
      event = undefined
    }
    const object = isObject(event) ? event['object'] : undefined
    if (!isObject(event) || !isObject(object)) {
      this.#resourceVersion = undefined
      return { state: 'failed', text: 'an event is not JSON' }
    }
    if (event['type'] === 'ERROR') {
      const status = typeof object['code'] === 'number' ? object['code'] : 500
      return { state: 'refused', status, text: statusText(object, status), retryAfter: undefined }
    }
    const version = isObject(object['metadata']) ? object['metadata']['resourceVersion'] : undefined
    switch (event['type']) {
      case 'ADDED':
      case 'MODIFIED':
        if (this.#put(this.#items, object)) this.#changed()
        break
      case 'DELETED':
        this.#items.delete(this.#keyOf(object))
        this.#changed()
        break
      case 'BOOKMARK':
        break
      default:
        this.#resourceVersion = undefined
        return { state: 'failed', text: 'an event is of no known type' }
    }
    this.#failures = 0
    if (typeof version === 'string') this.#resourceVersion = version
    return undefined
  }

  /** Answers whether that is a change. */
  #put(items: Map<string, T>, object: Readonly<Record<string, unknown>>): boolean {
    const kept = this.#watched.keep(object)
    const key = this.#keyOf(object)
    const before = items.get(key)
    if (kept === undefined) items.delete(key)
    else if (before !== undefined && this.#watched.isSame?.(before, kept)) return false
    else items.set(key, kept)
    return true
  }

  #keyOf(object: Readonly<Record<string, unknown>>): string {
    const metadata = isObject(object['metadata']) ? object['metadata'] : {}
    const { namespace, name } = metadata
    return this.#watched.key(typeof namespace === 'string' ? namespace : '', typeof name === 'string' ? name : '')
  }

  #well(): void {
    if (this.#why === undefined) return
    if (this.#isListed && this.#failures > 0) this.#log.info('watched again', { resource: this.resource })
    this.#why = undefined
    this.#changed()
  }

  async #failed(why: string, retryAfter: number | undefined): Promise<void> {
    if (this.#ended.signal.aborted) return
    if (this.#why !== why) {
      this.#log.warn(this.#isListed ? 'watch failed; what was known stays in force' : 'list cannot be read', {
        resource: this.resource,
        why,
      })
      this.#why = why
      this.#changed()
    }
    await this.#pause(retryAfter)
  }

  /**
   * Longer with each failure in a row, and never the same for two: a struggling API server is not asked by all at once. What only waits for the
   * API server to be back goes on soon after it is.
   */
  async #pause(retryAfter: number | undefined): Promise<void> {
    const { firstPause, longestPause } = this.#times
    const usual = Math.min(firstPause * 2 ** Math.min(this.#failures++, 20), longestPause)
    const spread = 0.5 + Math.random() / 2
    const back = new AbortController()
    const forget = retryAfter === undefined ? this.#api.whenBack(() => back.abort()) : (): void => undefined
    const pause = (ms: number, signal: AbortSignal): Promise<unknown> => wait(ms, undefined, { signal }).catch(() => undefined)
    const least = Math.min(usual, firstPause) * spread
    await pause((retryAfter ?? 0) + least, this.#ended.signal)
    await pause((usual - Math.min(usual, firstPause)) * spread, AbortSignal.any([this.#ended.signal, back.signal]))
    forget()
  }
}

type List<T> = {
  readonly state: 'listed'
  readonly items: Map<string, T>
  readonly resourceVersion: string
  readonly pages: number
  readonly objects: number
}
type ListFailure = Exclude<ApiAnswer, { readonly state: 'answered' }>

/** Whether a failure may be of one version of a resource: not served, or a conversion that fails. */
function isOfVersion(failure: ListFailure): boolean {
  return failure.state === 'refused' && (failure.status === 404 || failure.status >= 500)
}

function textOf(failure: ListFailure): string {
  if (failure.state === 'refused' && failure.status === 404)
    return 'the API server does not serve it; is its CustomResourceDefinition installed?'
  return failure.state === 'too-large' ? 'an object is too large' : failure.text
}

function retryAfterOf(failure: ListFailure): number | undefined {
  return failure.state === 'refused' ? failure.retryAfter : undefined
}
