import type { ApiServer } from '../../src/world/cluster/api-server.ts'
import { type ApiObject, change, metadataOf } from '../../src/world/cluster/change.ts'
import { type ReconcileTimes, Reconciler, type Worked } from '../../src/world/cluster/reconcile.ts'
import { Watch, type WatchTimes } from '../../src/world/cluster/watch.ts'
import { type Log, silent } from '../../src/world/log.ts'
import type { Configuration, ConfigurationNames } from './configuration.ts'
import { collectionOf, configurationAfter, configurations, isTold } from './configuration.ts'

export type ConfigurationsParts = {
  readonly api: ApiServer
  readonly systemNamespace: string
  readonly names: ConfigurationNames
  /** The CAs that API servers have to trust, PEM; undefined: that is not known, or somebody else tells them. */
  readonly authorities: () => readonly string[] | undefined
  readonly log: Log
  readonly times?: ReconcileTimes & WatchTimes
}

type Kept = { readonly configuration: Configuration; readonly watch: Watch<ApiObject> }

/**
 * Keeps webhook configurations, and the conversion of policies, as they have to be. For one replica at a time. Each is watched by its name, so what
 * somebody takes away is back before many requests have failed. What does not exist is not made: which webhooks there are is for whoever installs.
 */
export class Configurations {
  readonly #parts: ConfigurationsParts
  readonly #kept: ReadonlyMap<string, Kept>
  readonly #reconciler: Reconciler
  #owner: { readonly name: string; readonly uid: string } | undefined
  #told: { readonly authorities: string; readonly since: number } | undefined

  constructor(parts: ConfigurationsParts) {
    this.#parts = parts
    this.#reconciler = new Reconciler('configuration', (key, signal) => this.#work(key, signal), parts.log, parts.times)
    this.#kept = new Map(
      configurations(parts.names).map((configuration) => {
        const key = `${configuration.kind} ${configuration.name}`
        const watched = {
          resource: key,
          paths: [collectionOf(configuration)],
          query: { fieldSelector: `metadata.name=${configuration.name}` },
          pageSize: 1,
          key: (_: string, name: string) => name,
          keep: (object: ApiObject) => object,
        }
        // What it may not do it says where it would write.
        const watch = new Watch<ApiObject>(parts.api, watched, silent, () => this.#reconciler.ask(key), parts.times)
        return [key, { configuration, watch }]
      }),
    )
    for (const { watch } of this.#kept.values()) watch.start()
    this.look()
  }

  /** What API servers have to trust has changed. */
  look(): void {
    for (const key of this.#kept.keys()) this.#reconciler.ask(key)
  }

  /** ms for which all that exist have told API servers to trust these authorities, as far as this replica has seen; undefined: one does not. */
  publishedFor(authorities: readonly string[]): number | undefined {
    const isPublished = [...this.#kept.values()].every(
      ({ configuration, watch }) => watch.isListed && [...watch.items.values()].every((o) => isTold(configuration, o, authorities)),
    )
    const text = authorities.join('')
    if (!isPublished) this.#told = undefined
    else if (this.#told?.authorities !== text) this.#told = { authorities: text, since: performance.now() }
    return this.#told && performance.now() - this.#told.since
  }

  async close(): Promise<void> {
    await Promise.all([this.#reconciler.close(), ...[...this.#kept.values()].map(({ watch }) => watch.close())])
  }

  async #work(key: string, signal: AbortSignal): Promise<Worked> {
    const kept = this.#kept.get(key)
    if (!kept) return { state: 'done' }
    const { configuration, watch } = kept
    // The watch shows what there is; only what has to change is read anew and written.
    const shown = watch.items.get(configuration.name)
    const authorities = this.#parts.authorities() ?? []
    if (watch.isListed && shown === undefined) return { state: 'done' }
    const owner = await this.#namespace(signal)
    if (shown && configurationAfter(configuration, shown, { authorities, owner }) === undefined) return { state: 'done' }
    const path = `${collectionOf(configuration)}/${encodeURIComponent(configuration.name)}`
    const changed = await change(this.#parts.api, path, (now) => configurationAfter(configuration, now, { authorities, owner }), signal)
    switch (changed.state) {
      case 'changed':
        this.#parts.log.info('a configuration was brought up to date', { kind: configuration.kind, name: configuration.name })
        return { state: 'done' }
      case 'unchanged':
      case 'absent':
        return { state: 'done' }
      case 'failed':
        return changed
    }
  }

  /** The namespace of the controller, read once; undefined where that is not possible. */
  async #namespace(signal: AbortSignal): Promise<{ readonly name: string; readonly uid: string } | undefined> {
    if (this.#owner) return this.#owner
    const name = this.#parts.systemNamespace
    const read = await this.#parts.api.get(`/api/v1/namespaces/${encodeURIComponent(name)}`, {}, signal)
    const uid = read.state === 'answered' ? metadataOf(read.body)['uid'] : undefined
    if (typeof uid === 'string') this.#owner = { name, uid }
    return this.#owner
  }
}
