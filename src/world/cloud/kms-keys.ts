import { createHash } from 'node:crypto'
import type { KmsKey } from '../../policy/kms.ts'
import { kmsUrisOf, readKmsKey } from '../../policy/kms.ts'
import type { ClusterObjects, Outside } from '../../policy/objects.ts'
import { isObject } from '../../policy/shape.ts'
import type { Read } from '../../verdict/read.ts'
import type { Reason } from '../../verdict/reason.ts'
import { sentenceOf } from '../../verdict/reason.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { fanOut } from '../fan-out.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Fetching } from '../outside.ts'
import { Slots } from '../slots.ts'
import type { Obtained } from './cloud.ts'

const MAX_AT_A_TIME = 4 // keys that are read; services of clouds limit how often they are asked
const MAX_WAITING = 10_000 // keys that wait for their turn; beyond it they are tried again later
const FIRST_PAUSE = 2_000 // ms before a key that could not be read is asked for again, doubled each time, times 0.5 to 1
const LONGEST_PAUSE = 10 * 60_000 // ms
const RESYNC_SPREAD = 0.1 // of the resync period, so that keys read together are not always read together
const FIRST_READ = 10_000 // ms after the start for which a first read may keep a replica from being ready
const LONGEST_TIMER = 2 ** 31 - 1 // ms; a longer one of Node.js ends at once

/** The annotation whose change has the keys of a policy read anew. */
const REFRESH = 'policy.sigstore.dev/refresh'

export type KmsKeysOptions = {
  readonly cluster: Pick<Cluster, 'objects' | 'onChange'>
  readonly read: (key: KmsKey, signal: AbortSignal) => Promise<Obtained<string>>
  /** ms after which each key is read again; 0: only when a policy changes. */
  readonly resync: number
  readonly log: Log
  readonly metrics: Pick<Metrics, 'kmsRead' | 'kmsKeys'>
  readonly firstPause?: number
  readonly longestPause?: number
}

/** How it stands with one key, for the status of policies, the log and metrics. Times are in ms since 1970. */
export type KmsKeyStatus = {
  readonly uri: string
  /** What policies are compiled with; undefined: it was not read yet. */
  readonly read: Read<string> | undefined
  /** When the service last gave what is in force; undefined: never. */
  readonly readAt: number | undefined
  /** Why what is in force could not be read again, and since when. */
  readonly error: { readonly since: number; readonly why: string } | undefined
  /** When it is read next; undefined: now, or when a policy changes. */
  readonly next: number | undefined
}

type Known = Pick<Outside, 'kmsKeys'>

/**
 * The public keys that policies name in key management services, kept fresh: each is read when a policy with it arrives or changes, when the
 * annotation `policy.sigstore.dev/refresh` does, and again after `resync`. While a service cannot be asked, the last good key stays. A key of
 * which the service says that it is gone, or that it is none to verify with, stops counting at once. Forgotten with the last policy that names
 * it.
 */
export class KmsKeys implements Fetching<Known> {
  readonly #options: KmsKeysOptions
  readonly #slots = new Slots(MAX_AT_A_TIME, MAX_WAITING)
  readonly #closed = new AbortController()
  readonly #entries = new Map<string, Entry>()
  readonly #listeners: (() => void)[] = []
  readonly #statusListeners: (() => void)[] = []
  readonly #began = performance.now()
  #policies: ClusterObjects['policies'] | undefined
  /** What each policy names, by the object, which is another one after a change. */
  readonly #named = new WeakMap<object, Named>()
  #known: Known = { kmsKeys: new Map() }

  constructor(options: KmsKeysOptions) {
    this.#options = options
    this.#follow()
    options.cluster.onChange(() => this.#follow())
  }

  known(): Known {
    return this.#known
  }

  /** Called when `known()` changed. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** How it stands with each key that a policy names, by its reference. */
  statuses(): ReadonlyMap<string, KmsKeyStatus> {
    return new Map([...this.#entries].map(([uri, { read, readAt, error, next }]) => [uri, { uri, read, readAt, error, next }]))
  }

  /** Called when a status changed: after every read, at least. */
  onStatus(listener: () => void): void {
    this.#statusListeners.push(listener)
  }

  /** Keys that are read for the first time, in the first seconds of a replica: so long it need not take requests that it would refuse. */
  waitingFor(): readonly string[] {
    if (performance.now() - this.#began > FIRST_READ) return []
    return [...this.#entries.values()].flatMap(({ uri, read }) => (read ? [] : [`the public key of ${uri}`]))
  }

  close(): void {
    this.#closed.abort()
    for (const entry of this.#entries.values()) clearTimeout(entry.timer)
  }

  /** Takes the policies in. */
  #follow(): void {
    const { policies, policiesIncomplete } = this.#options.cluster.objects()
    if (this.#closed.signal.aborted || policies === this.#policies) return
    this.#policies = policies
    const wanted = new Map<string, Set<string>>()
    for (const policy of policies.values()) {
      const { uris, mark } = this.#namedBy(policy)
      for (const uri of uris) (wanted.get(uri) ?? wanted.set(uri, new Set()).get(uri))?.add(mark)
    }
    let changed = false
    for (const [uri, entry] of this.#entries) {
      // Of a list that is not complete, what is not in it may still be there.
      if (wanted.has(uri) || policiesIncomplete !== undefined) continue
      clearTimeout(entry.timer)
      this.#entries.delete(uri)
      this.#options.log.info('a key of a key management service is no longer needed', { uri })
      changed = true
    }
    for (const [uri, marks] of wanted) {
      const entry = this.#entries.get(uri) ?? { uri, marks: new Set(), failures: 0, isUnderWay: false, isStale: false, ...NOT_READ }
      const isNews = [...marks].some((mark) => !entry.marks.has(mark))
      entry.marks = marks
      this.#entries.set(uri, entry)
      if (isNews) this.#start(entry)
    }
    if (changed) this.#changed()
    this.#report()
  }

  #namedBy(policy: object): Named {
    let named = this.#named.get(policy)
    if (!named) {
      const uris = kmsUrisOf(policy)
      const { spec, metadata } = policy as { readonly spec?: unknown; readonly metadata?: unknown }
      const { uid, annotations } = (isObject(metadata) ? metadata : {}) as { readonly uid?: unknown; readonly annotations?: unknown }
      const refresh = isObject(annotations) ? annotations[REFRESH] : undefined
      const content = uris.length > 0 ? JSON.stringify([uid, spec, refresh]) : ''
      named = { uris, mark: createHash('sha256').update(content).digest('base64url') }
      this.#named.set(policy, named)
    }
    return named
  }

  /** Reads a key now; while it is being read, again after that: what comes may be from before the change. */
  #start(entry: Entry): void {
    clearTimeout(entry.timer)
    entry.next = undefined
    if (entry.isUnderWay) {
      entry.isStale = true
      return
    }
    entry.isUnderWay = true
    entry.isStale = false
    this.#readOne(entry).catch((error: unknown) => this.#options.log.error('reading a key ended in an error', { uri: entry.uri, error }))
  }

  async #readOne(entry: Entry): Promise<void> {
    const { uri } = entry
    const named = readKmsKey(uri)
    const got = named.ok ? await this.#ask(named.key) : ({ state: 'wrong', why: named.detail } as const)
    entry.isUnderWay = false
    if (this.#closed.signal.aborted || this.#entries.get(uri) !== entry) return
    if (named.ok) this.#options.metrics.kmsRead(named.key.service, got.state)
    const before = entry.read
    this.#take(entry, got)
    if (entry.isStale) this.#start(entry)
    // What cannot be read as a reference stays so until the policy changes.
    else if (named.ok) this.#schedule(entry, got)
    if (!isSame(before, entry.read)) this.#changed()
    this.#report()
    for (const listener of this.#statusListeners) listener()
  }

  async #ask(key: KmsKey): Promise<Obtained<string>> {
    const { signal } = this.#closed
    const slot = await this.#slots.take(signal)
    if (slot !== 'taken') return { state: 'unknown', why: 'too many keys are being read' }
    try {
      return await this.#options.read(key, signal)
    } finally {
      this.#slots.release()
    }
  }

  #take(entry: Entry, got: Obtained<string>): void {
    const { uri, read, error } = entry
    const { log } = this.#options
    const now = Date.now()
    if (got.state === 'found' || got.state === 'wrong') {
      entry.read =
        got.state === 'found' ? { ok: true, value: got.value } : { ok: false, reason: { code: 'kms-key-wrong', uri, why: got.why } }
      entry.readAt = now
      entry.error = undefined
      if (isSame(read, entry.read) && !error) return
      if (!entry.read.ok) log.warn('a key of a key management service cannot be used', { uri, why: got.state === 'wrong' ? got.why : '' })
      else
        log.info(
          read?.ok && !isSame(read, entry.read)
            ? 'a key of a key management service changed'
            : 'a key of a key management service was read',
          {
            uri,
          },
        )
      return
    }
    const since = error?.since ?? now
    entry.error = { since, why: got.why }
    // What a service said once counts until it says something else: a key, and also that there is none.
    if (!read || (!read.ok && read.reason.code === 'kms-key-unknown')) {
      const reason: Reason = { code: 'kms-key-unknown', uri, why: got.why }
      entry.read = { ok: false, reason }
    }
    if (error?.why !== got.why)
      log.warn(
        entry.read?.ok
          ? 'a key of a key management service could not be read again; the last good one stays in force'
          : 'a key of a key management service could not be read; policies with it refuse',
        { uri, why: got.why, since: new Date(since).toISOString() },
      )
  }

  #schedule(entry: Entry, got: Obtained<string>): void {
    const { resync, firstPause = FIRST_PAUSE, longestPause = LONGEST_PAUSE } = this.#options
    entry.failures = got.state === 'found' ? 0 : entry.failures + 1
    const backoff = Math.min(firstPause * 2 ** (entry.failures - 1), longestPause) * (0.5 + Math.random() / 2)
    const delay = got.state === 'found' ? resync * (1 - Math.random() * RESYNC_SPREAD) : backoff
    if (delay === 0) return
    entry.next = Date.now() + delay
    entry.timer = setTimeout(() => this.#start(entry), Math.min(delay, LONGEST_TIMER)).unref()
  }

  #changed(): void {
    const kmsKeys = new Map([...this.#entries.values()].flatMap(({ uri, read }) => (read ? [[uri, read] as const] : [])))
    this.#known = { kmsKeys }
    for (const listener of this.#listeners) listener()
  }

  #report(): void {
    const entries = [...this.#entries.values()]
    const good = entries.filter(({ read }) => read?.ok)
    const stale = good.filter(({ error }) => error)
    this.#options.metrics.kmsKeys(good.length - stale.length, stale.length, entries.length - good.length)
  }
}

const NOT_READ = { read: undefined, readAt: undefined, error: undefined, next: undefined, timer: undefined }

/** `mark` changes with everything after which the keys are read anew. */
type Named = { readonly uris: readonly string[]; readonly mark: string }

type Entry = {
  readonly uri: string
  marks: ReadonlySet<string>
  read: Read<string> | undefined
  readAt: number | undefined
  error: KmsKeyStatus['error']
  next: number | undefined
  failures: number
  isUnderWay: boolean
  /** Whether a policy changed while it was being read. */
  isStale: boolean
  timer: NodeJS.Timeout | undefined
}

/** The keys that policies name, read once: for commands that end with their answer. What could not be had is a reason. */
export async function fetchKmsKeys(objects: ClusterObjects, read: KmsKeysOptions['read'], signal: AbortSignal): Promise<Known> {
  const uris = [...new Set([...objects.policies.values()].flatMap((policy) => kmsUrisOf(policy)))]
  const keys = await fanOut(uris, async (uri): Promise<readonly [string, Read<string>]> => {
    const named = readKmsKey(uri)
    const got = named.ok ? await read(named.key, signal) : ({ state: 'wrong', why: named.detail } as const)
    if (got.state === 'found') return [uri, { ok: true, value: got.value }]
    return [uri, { ok: false, reason: { code: got.state === 'wrong' ? 'kms-key-wrong' : 'kms-key-unknown', uri, why: got.why } }]
  })
  return { kmsKeys: new Map(keys) }
}

function isSame(a: Read<string> | undefined, b: Read<string> | undefined): boolean {
  if (!a || !b) return a === b
  if (a.ok || b.ok) return a.ok && b.ok && a.value === b.value
  return sentenceOf(a.reason) === sentenceOf(b.reason)
}
