import type { ClusterObjects, Outside } from '../../policy/objects.ts'
import { isObject } from '../../policy/shape.ts'
import { trustNamed } from '../../policy/trust-root-ref.ts'
import type { TrustMaterial } from '../../trust/material.ts'
import { publicRoot } from '../../trust/public-root.ts'
import type { TrustRoot } from '../../trust/trust-root.ts'
import { readTrustRoot } from '../../trust/trust-root.ts'
import type { Read } from '../../verdict/read.ts'
import type { Reason } from '../../verdict/reason.ts'
import { sentenceOf } from '../../verdict/reason.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Log } from '../log.ts'
import type { Metrics, TrustShown } from '../metrics.ts'
import type { Fetching } from '../outside.ts'
import { Slots } from '../slots.ts'
import type { Known, RefreshOptions, RefreshState, RefreshTimes } from './trust-refresh.ts'
import { countsOf, isPast, TrustRefresh } from './trust-refresh.ts'
import type { Elsewhere, Reach, SigstoreInstance } from './trust-source.ts'
import { fetchInstance, fetchTrustRoot, nameOfInstance, whyNotFetched } from './trust-source.ts'

const MAX_AT_A_TIME = 4 // repositories that are fetched; each takes some seconds, and an archive that is unpacked up to 32 MiB
const MAX_WAITING = 10_000 // that wait for their turn; beyond them fetching fails, and is tried again
const AFTER_START = 10_000 // ms, more or less, before that is fetched which is embedded: it is in force, and the first requests need not wait for the TUF client to be imported, some 20 ms
const FIRST_FETCH = 3_000 // ms for which those that are fetched for the first time may keep a replica from being ready

export type TrustOptions = Reach & {
  readonly cluster: Pick<Cluster, 'objects' | 'onChange'>
  /** ms after which each repository is asked again; 0: only so that what was fetched does not expire. */
  readonly resync: number
  /** Undefined: none is asked, and what is embedded of the public one stays in force until it expires. */
  readonly instance: SigstoreInstance | undefined
  readonly log: Log
  readonly metrics: Pick<Metrics, 'trust'>
  readonly times?: RefreshTimes & { readonly afterStart?: number }
}

export type Trust = Pick<Outside, 'publicRoot' | 'trustRoots'>

/** How it stands with one trust root, for its status, the log and metrics. Times are in ms since 1970. */
export type TrustStatus = Omit<RefreshState, 'material'> & {
  /** `metadata.generation` of the object that this is about. */
  readonly generation: number | undefined
  /** What is trusted; past its `until` it is not believed any more. Or why nothing is. */
  readonly read: Read<TrustMaterial>
}

/**
 * What is trusted, kept fresh: the TrustRoots of a cluster and the Sigstore instance that is meant where none is named. Keys that stand in the
 * objects count at once; what lies in TUF repositories is fetched in the background, again after `resync`, when the object changes, and before
 * its metadata expires. What was fetched stays in force while a refresh fails, until it expires; not past a change of whom the object trusts.
 */
export class FollowedTrust implements Fetching<Trust> {
  readonly #options: TrustOptions
  readonly #slots = new Slots(MAX_AT_A_TIME, MAX_WAITING)
  readonly #entries = new Map<string, Entry>()
  readonly #instance: TrustRefresh
  readonly #listeners: (() => void)[] = []
  readonly #statusListeners: (() => void)[] = []
  /** When the first TrustRoot was seen. */
  #began: number | undefined
  #patience: NodeJS.Timeout | undefined
  #afterStart: NodeJS.Timeout | undefined
  /** TrustRoots that policies name and that may or may not exist. */
  #unlisted: Trust['trustRoots'] = new Map()
  #known: Trust
  #isClosed = false

  constructor(options: TrustOptions) {
    this.#options = options
    this.#instance = this.#instanceRefresh()
    this.#follow()
    this.#known = this.#trust()
    this.#startInstance()
    options.cluster.onChange(() => {
      if (!this.#isClosed && this.#follow()) this.#changed()
    })
    this.#report()
  }

  known(): Trust {
    return this.#known
  }

  /** Called when `known()` changed. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** How it stands with each TrustRoot, by name. */
  statuses(): ReadonlyMap<string, TrustStatus> {
    return new Map([...this.#entries].map(([name, entry]) => [name, statusOf(name, entry)]))
  }

  /** How it stands with the Sigstore instance that is meant where no TrustRoot is named. */
  instanceStatus(): TrustStatus {
    const name = nameOfInstance(this.#options.instance)
    return fetchedStatus(this.#instance.state, undefined, (why) => whyNotFetched(name, 'remote', why), name)
  }

  /** Called when a status changed: after every refresh, at least. */
  onStatus(listener: () => void): void {
    this.#statusListeners.push(listener)
  }

  /** TrustRoots that are fetched for the first time, for some seconds: so long a replica that starts need not take requests that it would refuse. */
  waitingFor(): readonly string[] {
    if (this.#began !== undefined && performance.now() - this.#began >= FIRST_FETCH) return []
    return [...this.#entries].flatMap(([name, { refresh }]) =>
      refresh && !refresh.state.material && !refresh.state.error ? [`trust root ${name}`] : [],
    )
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#patience)
    clearTimeout(this.#afterStart)
    await Promise.all([this.#instance.close(), ...[...this.#entries.values()].map(({ refresh }) => refresh?.close())])
  }

  /** Takes the objects in. Answers whether anything changed. */
  #follow(): boolean {
    const { policies, trustRoots, trustRootsIncomplete } = this.#options.cluster.objects()
    let changed = false
    for (const [name, entry] of this.#entries) {
      if (trustRoots.has(name)) continue
      this.#entries.delete(name)
      this.#end(entry)
      this.#options.log.info('a trust root is no longer in force', { trustRoot: name })
      changed = true
    }
    for (const [name, object] of trustRoots) changed = this.#take(name, object) || changed
    const before = this.#unlisted
    this.#unlisted = trustRootsIncomplete === undefined ? new Map() : unlisted(policies, trustRoots, trustRootsIncomplete)
    return changed || !isSame(before, this.#unlisted)
  }

  #take(name: string, object: object): boolean {
    const { log } = this.#options
    const before = this.#entries.get(name)
    if (before?.object === object) return false
    const key = keyOf(object)
    if (before?.key === key) {
      // Something else of the object, such as its status, which we may have written ourselves.
      this.#entries.set(name, { ...before, object })
      return generationOf(before.object) !== generationOf(object)
    }
    const root = readTrustRoot(object, name)
    const refresh = root.ok && root.value.from !== 'itself' ? this.#refresh(name, root.value, before) : undefined
    if (before) this.#end(before)
    this.#entries.set(name, { object, key, root, refresh, since: Date.now() })
    if (!root.ok) log.warn('a trust root is wrong: who needs it is refused', { trustRoot: name, why: sentenceOf(root.reason) })
    else if (root.value.from === 'itself') {
      const { material } = root.value
      log.info(before ? 'a trust root says something else now' : 'a trust root is in force', { trustRoot: name, ...countsOf(material) })
      for (const warning of material.warnings ?? []) log.warn('a trust root has a warning', { trustRoot: name, warning })
    }
    refresh?.start()
    if (this.#began === undefined) {
      this.#began = performance.now()
      this.#patience = setTimeout(() => this.#changed(), FIRST_FETCH).unref()
    }
    return true
  }

  #refresh(name: string, root: Elsewhere, before: Entry | undefined): TrustRefresh {
    const options = {
      ...this.#shared(),
      about: { trustRoot: name },
      fetch: (...[known, signal]: FetchArguments) => fetchTrustRoot(name, root, this.#options, known, signal),
      isFixed: root.from === 'repository',
      atLeast: undefined,
    }
    return new TrustRefresh(options, before && knownOf(before, root))
  }

  #instanceRefresh(): TrustRefresh {
    const { instance } = this.#options
    const embedded = !instance || instance.isPublic ? publicRoot() : undefined
    const options = {
      ...this.#shared(),
      about: { trustRoot: nameOfInstance(instance) },
      fetch: instance && ((...[known, signal]: FetchArguments) => fetchInstance(instance, this.#options, known, signal)),
      isFixed: false,
      // Without network, what is embedded is believed so long after every start. What was fetched since is newer, and no worse.
      atLeast: embedded?.until,
    }
    const state = embedded && { ...NOT_FETCHED, material: embedded, since: Date.now() }
    return new TrustRefresh(options, state && { state, metadata: undefined, stale: undefined })
  }

  /** What is embedded does for the first seconds; without it, nobody is admitted until it is fetched. */
  #startInstance(): void {
    const { material } = this.#instance.state
    const { instance, times } = this.#options
    if (!instance || !material || isPast(material.until, Date.now())) return this.#instance.start()
    const wait = (times?.afterStart ?? AFTER_START) * (0.5 + Math.random())
    this.#afterStart = setTimeout(() => this.#instance.start(), wait).unref()
  }

  #shared(): Pick<RefreshOptions, 'resync' | 'slots' | 'log' | 'changed' | 'times'> {
    const { resync, log, times } = this.#options
    return { resync, slots: this.#slots, log, changed: () => this.#changed(), ...(times && { times }) }
  }

  #end({ refresh }: Entry): void {
    refresh?.close().catch((error: unknown) => this.#options.log.error('fetching a trust root could not be ended', { error }))
  }

  #changed(): void {
    if (this.#isClosed) return
    const now = this.#trust()
    const isNews = !isEqual(this.#known.publicRoot, now.publicRoot) || !isSame(this.#known.trustRoots, now.trustRoots)
    if (isNews) this.#known = now
    this.#report()
    if (isNews) for (const listener of this.#listeners) listener()
    for (const listener of this.#statusListeners) listener()
  }

  #trust(): Trust {
    const roots = [...this.statuses()].map(([name, { read }]) => [name, read] as const)
    return { publicRoot: this.instanceStatus().read, trustRoots: new Map([...this.#unlisted, ...roots]) }
  }

  #report(): void {
    const now = Date.now()
    const shown = (of: TrustShown['of'], name: string, { read, refreshed, error }: TrustStatus): TrustShown => ({
      of,
      name,
      state: !read.ok || isPast(read.value.until, now) ? 'broken' : error ? 'stale' : 'in-force',
      ends: read.ok ? read.value.until : undefined,
      refreshed,
    })
    const roots = [...this.statuses()].map(([name, status]) => shown('trust-root', name, status))
    this.#options.metrics.trust([shown('sigstore', '', this.instanceStatus()), ...roots])
  }
}

type FetchArguments = Parameters<NonNullable<RefreshOptions['fetch']>>

const NOT_FETCHED = { refreshed: undefined, next: undefined, error: undefined }

/** A TrustRoot that there is. */
type Entry = {
  readonly object: object
  /** Equal where nothing changed that matters. */
  readonly key: string
  readonly root: Read<TrustRoot>
  /** Where something has to be fetched. */
  readonly refresh: TrustRefresh | undefined
  /** When it was taken. */
  readonly since: number
}

function statusOf(name: string, { object, root, refresh, since }: Entry): TrustStatus {
  const generation = generationOf(object)
  if (!root.ok) return { ...NOT_FETCHED, generation, read: root, since: undefined }
  const { value } = root
  if (value.from === 'itself' || !refresh)
    return {
      ...NOT_FETCHED,
      generation,
      read: value.from === 'itself' ? { ok: true, value: value.material } : { ok: false, reason: { code: 'trust-root-not-fetched', name } },
      since,
    }
  return fetchedStatus(refresh.state, generation, (why) => whyNotFetched(name, value.from, why), name)
}

function fetchedStatus(
  { material, ...state }: RefreshState,
  generation: number | undefined,
  why: (detail: string) => Reason,
  name: string,
): TrustStatus {
  if (material) return { ...state, generation, read: { ok: true, value: material } }
  const reason: Reason = state.error ? why(state.error.text) : { code: 'trust-root-not-fetched', name }
  return { ...state, generation, read: { ok: false, reason } }
}

/**
 * What a changed TrustRoot goes on from. With the same TUF root it is the same repository, wherever its mirror is: nothing older of it is taken
 * any more, and where the same target is meant, what it said stays in force until it was fetched. Anything else begins anew: whoever changed
 * whom it trusts does not trust what was there before. An archive is as old as it is, and whoever gives it means it.
 */
function knownOf({ root, refresh }: Entry, next: Elsewhere): Known | undefined {
  if (!root.ok || root.value.from !== 'remote' || next.from !== 'remote' || !refresh) return undefined
  const [last, now] = [root.value.repository, next.repository]
  if (!Buffer.from(last.root).equals(now.root)) return undefined
  const { known } = refresh
  const isSameTarget = last.target === now.target && last.targets === now.targets
  return isSameTarget ? known : { ...known, state: { ...NOT_FETCHED, material: undefined, since: undefined } }
}

/** Whoever names one that may exist is told why that is not known, instead of that it does not exist. */
function unlisted(policies: ClusterObjects['policies'], trustRoots: ReadonlyMap<string, object>, why: string): Trust['trustRoots'] {
  const names = [...trustNamed(policies).trustRoots].filter((name) => !trustRoots.has(name))
  return new Map(names.map((name) => [name, { ok: false, reason: { code: 'trust-roots-not-known', why } }]))
}

const REFRESH = 'policy.sigstore.dev/refresh' // an annotation; whatever it says, another value means: fetch it again

function keyOf(object: object): string {
  const { spec, metadata } = object as { readonly spec?: unknown; readonly metadata?: unknown }
  const { uid, annotations } = isObject(metadata) ? metadata : {}
  return JSON.stringify([uid, isObject(annotations) ? annotations[REFRESH] : undefined, spec])
}

function generationOf(object: object): number | undefined {
  const { metadata } = object as { readonly metadata?: unknown }
  const generation = isObject(metadata) ? metadata['generation'] : undefined
  return typeof generation === 'number' ? generation : undefined
}

function isSame(before: Trust['trustRoots'], now: Trust['trustRoots']): boolean {
  return (
    before.size === now.size &&
    [...now].every(([name, read]) => {
      const last = before.get(name)
      return last !== undefined && isEqual(last, read)
    })
  )
}

function isEqual(before: Read<TrustMaterial>, now: Read<TrustMaterial>): boolean {
  if (before.ok && now.ok) return before.value.hash === now.value.hash && before.value.until === now.value.until
  return before.ok === now.ok && JSON.stringify(before) === JSON.stringify(now)
}
