import { isObject } from '../../policy/shape.ts'
import type { Log } from '../log.ts'
import { pause } from '../network/retry.ts'
import type { ApiServer } from './api-server.ts'
import { type ApiObject, failure, isConflict, metadataOf } from './change.ts'

/** All in ms. */
export type LeaseTimes = {
  /** After which others may take a lease that was not renewed. */
  readonly duration: number
  /** After which its holder gives up what it could not renew; less than `duration`, so that there are never two who believe to hold it. */
  readonly deadline: number
  /** Between two attempts to take or to renew it. */
  readonly retry: number
}

export const usualLeaseTimes: LeaseTimes = { duration: 15_000, deadline: 10_000, retry: 2_000 }

const RELEASE = 1_500 // ms for each of the two requests that give it up: a process that ends does not wait for an API server that is away
const MAX_LEFT_OVER = 60_000 // ms that a lease is waited for which nobody renews, whatever duration stands in it: one that was left behind must not block for long

export type LeaseOptions = {
  readonly namespace: string
  readonly name: string
  /** Whom the lease names as its holder; no two processes have the same. */
  readonly identity: string
  readonly times: () => LeaseTimes
  readonly log: Log
}

/**
 * One holder among all who want it (coordination.k8s.io Lease). Nobody's clock is compared with anybody's: a lease counts as abandoned when
 * this process has seen it unchanged for its duration, and as held until `deadline` after the begin of the last renewal that was answered.
 * What its holder writes must still be safe twice: between asking `isHeld` and a write arriving, any time may pass.
 */
export class Lease {
  readonly #api: ApiServer
  readonly #options: LeaseOptions
  readonly #ended = new AbortController()
  readonly #listeners: ((held: boolean) => void)[] = []
  /** The lease as it was read or written last, and since when it has been like that. */
  #seen: { readonly object: ApiObject; readonly version: unknown; readonly since: number } | undefined
  #heldUntil = -Infinity
  #told = false
  #lapse: NodeJS.Timeout | undefined
  #why: string | undefined
  #running: Promise<void> | undefined

  constructor(api: ApiServer, options: LeaseOptions) {
    this.#api = api
    this.#options = options
  }

  /** Whether this process holds it now. */
  get isHeld(): boolean {
    return performance.now() < this.#heldUntil
  }

  /** Who holds it, as far as is known. */
  get holder(): string | undefined {
    const holder = this.#spec()['holderIdentity']
    return typeof holder === 'string' && holder !== '' ? holder : undefined
  }

  /** Called when this process comes to hold it, and when it no longer does. */
  onChange(listener: (held: boolean) => void): void {
    this.#listeners.push(listener)
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Stops wanting it. Where it was held it is deleted, so that another may take it at once and nothing is left behind. */
  async release(): Promise<void> {
    this.#ended.abort()
    await this.#running
    clearTimeout(this.#lapse)
    const wasHeld = this.isHeld
    this.#heldUntil = -Infinity
    this.#tell()
    if (!wasHeld) return
    // A renewal that was cut off may have been written, so its version is looked up.
    const { signal } = new AbortController()
    if (!(await this.#look(signal, RELEASE)) || !this.#seen || this.holder !== this.#options.identity) return
    const { uid, resourceVersion } = metadataOf(this.#seen.object)
    await this.#api.write('delete', this.#path, { preconditions: { uid, resourceVersion } }, signal, RELEASE)
  }

  get #collection(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(this.#options.namespace)}/leases`
  }

  get #path(): string {
    return `${this.#collection}/${encodeURIComponent(this.#options.name)}`
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      try {
        await this.#attempt(signal)
      } catch (error) {
        this.#options.log.error('the lease could not be dealt with', { lease: this.#options.name, error })
      }
      this.#tell()
      const { retry } = this.#options.times()
      // Spread for those who wait, so that they do not ask together; whoever holds it is alone.
      await pause(this.isHeld ? retry : retry * (0.75 + Math.random() / 2), signal)
    }
  }

  /** Renews it, takes it, or sees that it is somebody else's. */
  async #attempt(signal: AbortSignal): Promise<void> {
    const times = this.#options.times()
    if ((!this.isHeld || !this.#seen) && !(await this.#look(signal, times.deadline / 2))) return
    const began = performance.now()
    if (!this.#seen) return this.#write('create', this.#collection, this.#mine(undefined, times), began, times, signal)
    if (this.#isTaken(times)) {
      this.#heldUntil = -Infinity
      return
    }
    await this.#write('replace', this.#path, this.#mine(this.#seen.object, times), began, times, signal)
  }

  /** Reads it. Answers whether it is known now what is there. */
  async #look(signal: AbortSignal, time: number): Promise<boolean> {
    const read = await this.#api.get(this.#path, {}, signal, time)
    if (read.state === 'answered') {
      this.#see(read.body)
      return true
    }
    const failed = failure(read)
    if (failed.state === 'failed') this.#failed(failed.text)
    else this.#seen = undefined
    return failed.state === 'absent'
  }

  /** Whether it is somebody else's, who may still be there. */
  #isTaken(times: LeaseTimes): boolean {
    const { holder } = this
    if (holder === undefined || holder === this.#options.identity || !this.#seen) return false
    const seconds = this.#spec()['leaseDurationSeconds']
    const written = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : times.duration
    const patience = Math.min(written, Math.max(MAX_LEFT_OVER, times.duration))
    return performance.now() - this.#seen.since <= patience
  }

  async #write(
    what: 'create' | 'replace',
    path: string,
    lease: ApiObject,
    began: number,
    times: LeaseTimes,
    signal: AbortSignal,
  ): Promise<void> {
    const written = await this.#api.write(what, path, lease, signal, times.deadline / 2)
    if (written.state === 'answered') {
      this.#see(written.body)
      this.#heldUntil = began + times.deadline
      this.#why = undefined
      return
    }
    // Looked at anew: somebody else may have been first, and without an answer it may have been written.
    this.#seen = undefined
    const failed = failure(written)
    if (isConflict(written) || failed.state === 'absent') this.#heldUntil = -Infinity
    else if (failed.state === 'failed') this.#failed(failed.text)
  }

  #see(object: ApiObject): void {
    const version = metadataOf(object)['resourceVersion']
    if (this.#seen?.version === version) return
    this.#seen = { object, version, since: performance.now() }
  }

  #spec(): ApiObject {
    const spec = this.#seen?.object['spec']
    return isObject(spec) ? spec : {}
  }

  /** The lease as this process writes it. */
  #mine(before: ApiObject | undefined, times: LeaseTimes): ApiObject {
    const { identity, name, namespace } = this.#options
    const spec = before ? this.#spec() : {}
    const isMine = spec['holderIdentity'] === identity
    const now = microTime(new Date())
    const transitions = typeof spec['leaseTransitions'] === 'number' ? spec['leaseTransitions'] : 0
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...(before && metadataOf(before)), name, namespace },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(times.duration / 1000),
        acquireTime: isMine ? spec['acquireTime'] : now,
        renewTime: now,
        leaseTransitions: isMine || !before ? transitions : transitions + 1,
      },
    }
  }

  #tell(): void {
    const held = this.isHeld
    clearTimeout(this.#lapse)
    // What is not renewed lapses by itself, even while an attempt to renew it is under way.
    if (held) this.#lapse = setTimeout(() => this.#tell(), Math.max(1, this.#heldUntil - performance.now() + 1)).unref()
    if (held === this.#told) return
    this.#told = held
    this.#options.log.info(held ? 'this replica leads' : 'this replica no longer leads', { lease: this.#options.name })
    for (const listener of this.#listeners) listener(held)
  }

  #failed(why: string): void {
    if (this.#ended.signal.aborted || this.#why === why) return
    this.#why = why
    this.#options.log.warn('the lease could not be read or written', { lease: this.#options.name, why })
  }
}

/** Kubernetes' MicroTime. */
function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z')
}
