import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Snapshot } from '../../src/policy/compile.ts'
import type { ClusterObjects } from '../../src/policy/objects.ts'
import type { ApiServer } from '../../src/world/api-server.ts'
import type { Cluster } from '../../src/world/cluster.ts'
import { Lease, type LeaseTimes } from '../../src/world/lease.ts'
import type { Log } from '../../src/world/log.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import type { Settings } from '../cli/options.ts'
import { leaseTimesIn } from './leader-election.ts'
import { Statuses, type Tell } from './status.ts'

const LEASE = 'sealgate-webhook'

export type ControllerSettings = Pick<Settings, 'systemNamespace' | 'disableHa' | 'podName' | 'leaderElectionConfigMap'>

export type ControllerParts = {
  readonly api: ApiServer
  readonly cluster: Cluster
  readonly settings: ControllerSettings
  readonly log: Log
  readonly metrics: Metrics
  /** What is known of keys and roots that lie outside of the cluster. */
  readonly tell?: Tell
  /** Other times than those of the ConfigMap. */
  readonly leaseTimes?: LeaseTimes
}

/**
 * What runs in a cluster besides answering. Every replica answers; the one that holds the Lease writes, and whatever it writes is safe when
 * two do: everything is compared with what is there and written against the version that was read.
 */
export class Controller {
  readonly #parts: ControllerParts
  readonly #lease: Lease | undefined
  #statuses: Statuses | undefined
  #compiled: { readonly snapshot: Snapshot; readonly objects: ClusterObjects } | undefined

  constructor(parts: ControllerParts) {
    this.#parts = parts
    const { api, settings, cluster, log, leaseTimes } = parts
    if (settings.disableHa) return
    this.#lease = new Lease(api, {
      namespace: settings.systemNamespace,
      name: LEASE,
      // A Pod that starts again under its name is another holder.
      identity: `${settings.podName ?? hostname()}_${randomBytes(6).toString('hex')}`,
      times: () => leaseTimes ?? leaseTimesIn(cluster.objects().configMaps.get(settings.leaderElectionConfigMap)),
      log,
    })
    this.#lease.onChange((held) => this.#lead(held))
  }

  start(): void {
    if (this.#lease) this.#lease.start()
    else this.#lead(true)
  }

  /** Whether this replica is the one that writes. */
  get isLeading(): boolean {
    return this.#statuses !== undefined
  }

  /** What is in force now, and what it was made of. */
  compiled(snapshot: Snapshot, objects: ClusterObjects): void {
    // What is not the whole truth is not told: a list that could not be read must not look like a decision.
    if (snapshot.unknownBecause !== undefined) return
    this.#compiled = { snapshot, objects }
    this.#statuses?.look(snapshot, objects)
  }

  /** Something changed of what is known outside of the cluster. */
  look(): void {
    if (this.#compiled) this.#statuses?.look(this.#compiled.snapshot, this.#compiled.objects)
  }

  /** Ends writing, so that another replica may begin at once. */
  async stop(): Promise<void> {
    await this.#lease?.release()
    this.#lead(false)
  }

  #lead(held: boolean): void {
    if (held === this.isLeading) return
    this.#parts.metrics.leads(held)
    void this.#statuses?.close()
    this.#statuses = held ? new Statuses(this.#parts) : undefined
    this.look()
  }
}
