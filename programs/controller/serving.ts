import type { ApiServer } from '../../src/world/cluster/api-server.ts'
import { type ApiObject, failure, isConflict, metadataOf } from '../../src/world/cluster/change.ts'
import type { Cluster } from '../../src/world/cluster/cluster.ts'
import { type ReconcileTimes, Reconciler, type Worked } from '../../src/world/cluster/reconcile.ts'
import type { Log } from '../../src/world/log.ts'
import { describe } from '../webhook/certificate.ts'
import type { Names, Pair, Serving } from './serving-secret.ts'
import { SECRET, annotationsAfter, askedFor, dataOf, firstServing, isGivenSecret, nextServing, servingIn } from './serving-secret.ts'

const CONFLICT_PAUSE = 100 // ms until the Secret is looked at again that another replica wrote meanwhile

export type ServingParts = {
  readonly api: ApiServer
  readonly cluster: Cluster
  readonly names: Names
  /** ms for which both CAs are trusted when they are exchanged, before the new one signs and after. */
  readonly overlap: number
  readonly isReadOnly: boolean
  readonly log: Log
  /** ms for which every configuration has held these authorities; undefined: one does not yet. */
  readonly publishedFor: (authorities: readonly string[]) => number | undefined
  readonly times?: ReconcileTimes
}

/**
 * The certificate that all replicas serve with, in one Secret. Whoever finds it empty fills it: the API server takes the first, and the others use
 * that. Only the replica that leads renews it. What was served with once is remembered, so a Secret that is deleted or spoilt is put back.
 */
export class ServingCertificates {
  readonly #parts: ServingParts
  readonly #reconciler: Reconciler
  readonly #listeners: (() => void)[] = []
  #serving: Serving | undefined
  #seen: object | undefined
  #isLeading = false
  #isStarted = false

  constructor(parts: ServingParts) {
    this.#parts = parts
    this.#reconciler = new Reconciler('secret', (_, signal) => this.#work(signal), parts.log, parts.times)
    parts.cluster.onChange(() => this.#look())
    this.#look()
  }

  /** What is served with; undefined: nothing yet. */
  get serving(): Serving | undefined {
    return this.#serving
  }

  /** Why there is nothing to serve with; undefined: there is. */
  get why(): string | undefined {
    if (this.#serving) return undefined
    const { cluster, isReadOnly } = this.#parts
    const waits = `a serving certificate in the Secret ${SECRET}`
    const failed = this.#reconciler.why(SECRET)
    if (failed !== undefined) return `${waits}: ${failed}`
    if (isGivenSecret(cluster.objects().secrets.get(SECRET))) return `${waits}, from whoever writes it`
    return isReadOnly ? `${waits}; with --read-only none is made: give --tls-cert` : waits
  }

  /** A pair for the first moment, one that nobody trusts where there is no other: TLS answers, and `why` says what is missing. */
  async first(): Promise<Pair> {
    return this.#serving ?? firstServing([], this.#parts.names, new Date())
  }

  /** Called when it is served with something else, or when others are trusted. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  start(): void {
    this.#isStarted = true
    this.look()
  }

  /** Whether this replica is the one that renews. */
  lead(isLeading: boolean): void {
    this.#isLeading = isLeading
    this.look()
  }

  /** Something changed that renewing may wait for. */
  look(): void {
    if (this.#isStarted && !this.#parts.isReadOnly) this.#reconciler.ask(SECRET)
  }

  close(): Promise<void> {
    return this.#reconciler.close()
  }

  get #host(): string {
    const { service, namespace } = this.#parts.names
    return `${service}.${namespace}.svc`
  }

  #look(): void {
    const secret = this.#parts.cluster.objects().secrets.get(SECRET)
    if (secret === this.#seen) return
    this.#seen = secret
    this.#take(servingIn(secret, this.#host, new Date()))
    this.look()
  }

  #take(serving: Serving | undefined): void {
    if (!serving) return
    const before = this.#serving
    this.#serving = serving
    if (before?.certificate === serving.certificate && before.authorities.join() === serving.authorities.join()) return
    if (before?.certificate !== serving.certificate)
      this.#parts.log.info('serving with the certificate of a Secret', {
        secret: SECRET,
        ends: describe(serving.certificate).ends.toISOString(),
      })
    for (const listener of this.#listeners) listener()
  }

  async #work(signal: AbortSignal): Promise<Worked> {
    const { api, names, overlap, publishedFor } = this.#parts
    const now = new Date()
    const read = await api.get(this.#path, {}, signal)
    if (read.state !== 'answered' && failure(read).state === 'failed') return failure(read) as Extract<Worked, { state: 'failed' }>
    const secret = read.state === 'answered' ? read.body : undefined
    if (isGivenSecret(secret)) return { state: 'done' }
    const there = servingIn(secret, this.#host, now)
    if (!there) return this.#write(secret, await this.#restored(now), 'a serving certificate is written', undefined, signal)
    this.#take(there)
    if (!this.#isLeading) return { state: 'done' }
    const asked = askedFor(secret)
    const next = await nextServing(there, { names, now, overlap, publishedFor, isAsked: asked !== undefined })
    if (next.do === 'wait') return { state: 'done', again: Math.max(1, next.again) }
    return this.#write(secret, next.serving, next.why, asked, signal)
  }

  /** What was served with last, where it still serves; else something new. */
  async #restored(now: Date): Promise<Serving> {
    const last = this.#serving
    const isGood = last && !last.isGiven && servingIn({ data: dataOf(last) }, this.#host, now) !== undefined
    return isGood ? last : firstServing(last?.authorities ?? [], this.#parts.names, now)
  }

  async #write(
    secret: ApiObject | undefined,
    serving: Serving,
    why: string,
    asked: string | undefined,
    signal: AbortSignal,
  ): Promise<Worked> {
    const { api, log, names } = this.#parts
    const metadata = { ...metadataOf(secret), name: SECRET, namespace: names.namespace }
    const annotated = asked === undefined ? metadata : { ...metadata, annotations: annotationsAfter(secret, asked) }
    const wanted = { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', ...secret, metadata: annotated, data: dataOf(serving) }
    const written = secret
      ? await api.write('replace', this.#path, wanted, signal)
      : await api.write('create', this.#collection, wanted, signal)
    if (written.state === 'answered') {
      log.info(why, { secret: SECRET })
      this.#take(serving)
      return { state: 'done', again: CONFLICT_PAUSE }
    }
    if (isConflict(written)) return { state: 'done', again: CONFLICT_PAUSE }
    const failed = failure(written)
    return failed.state === 'absent' ? { state: 'done', again: CONFLICT_PAUSE } : failed
  }

  get #collection(): string {
    return `/api/v1/namespaces/${encodeURIComponent(this.#parts.names.namespace)}/secrets`
  }

  get #path(): string {
    return `${this.#collection}/${SECRET}`
  }
}
