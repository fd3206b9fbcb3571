import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { happenings } from '../../src/admission/event.ts'
import type { AdmissionAnswer } from '../../src/admission/response.ts'
import type { Review } from '../../src/admission/review.ts'
import type { Snapshot } from '../../src/policy/compile.ts'
import type { ClusterObjects } from '../../src/policy/objects.ts'
import type { Decision } from '../../src/verdict/decision.ts'
import type { ApiServer } from '../../src/world/cluster/api-server.ts'
import { metadataOf } from '../../src/world/cluster/change.ts'
import type { Cluster } from '../../src/world/cluster/cluster.ts'
import { Events, type Regarding } from '../../src/world/cluster/events.ts'
import { Lease, type LeaseTimes } from '../../src/world/cluster/lease.ts'
import type { Log } from '../../src/world/log.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import type { Settings } from '../cli/options.ts'
import type { Webhook } from '../webhook/start.ts'
import { Configurations } from './configurations.ts'
import { leaseTimesIn } from './leader-election.ts'
import type { Pair } from './serving-secret.ts'
import { ServingCertificates } from './serving.ts'
import { type Kind, Statuses, type Tell } from './status.ts'

const LEASE = 'sealgate-webhook'

export type ControllerSettings = Pick<
  Settings,
  | 'systemNamespace'
  | 'readOnly'
  | 'disableHa'
  | 'podName'
  | 'leaderElectionConfigMap'
  | 'tlsCert'
  | 'tlsFolder'
  | 'serviceName'
  | 'certificateOverlap'
  | 'webhookName'
  | 'mutatingWebhookName'
  | 'validatingWebhookName'
>

export type ControllerParts = {
  readonly api: ApiServer
  readonly cluster: Cluster
  readonly settings: ControllerSettings
  readonly log: Log
  readonly metrics: Metrics
  /** What is known of keys and roots that lie outside of the cluster. */
  readonly tell?: () => Tell
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
  /** Undefined where the certificate comes from files: then nothing of it is ours to tell. */
  readonly #serving: ServingCertificates | undefined
  readonly #events: Events | undefined
  #configurations: Configurations | undefined
  #statuses: Statuses | undefined
  #compiled: { readonly snapshot: Snapshot; readonly objects: ClusterObjects } | undefined

  constructor(parts: ControllerParts) {
    this.#parts = parts
    const { api, settings, cluster, log, leaseTimes } = parts
    if (settings.tlsCert === undefined && settings.tlsFolder === undefined) {
      this.#serving = new ServingCertificates({
        api,
        cluster,
        names: { service: settings.serviceName, namespace: settings.systemNamespace },
        overlap: settings.certificateOverlap,
        isReadOnly: settings.readOnly,
        log,
        publishedFor: (authorities) => this.#configurations?.publishedFor(authorities),
      })
      this.#serving.onChange(() => this.#configurations?.look())
    }
    if (settings.readOnly) return
    this.#events = new Events(api, settings.podName ?? hostname(), log)
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

  /** What to serve with until there is another; undefined: whatever the settings say. */
  async firstPair(): Promise<Pair | undefined> {
    return this.#serving?.first()
  }

  /** Begins to keep the certificate of `webhook`, and to write. */
  start(webhook: Pick<Webhook, 'use'>): void {
    const { serving } = this.#serving ?? {}
    if (serving) webhook.use(serving)
    this.#serving?.onChange(() => this.#serving?.serving && webhook.use(this.#serving.serving))
    this.#serving?.start()
    if (this.#lease) this.#lease.start()
    else if (!this.#parts.settings.readOnly) this.#lead(true)
  }

  /** Why requests cannot be answered well yet. */
  waitingFor(): readonly string[] {
    const why = this.#serving?.why
    return why === undefined ? [] : [why]
  }

  /** Called when there is another certificate. */
  onCertificate(listener: () => void): void {
    this.#serving?.onChange(listener)
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

  /** A workload was judged: of what was refused or warned about, people are told where they look. */
  judged(review: Review, answer: AdmissionAnswer, decision: Decision | undefined): void {
    if (!this.#events) return
    try {
      for (const { about, reason, message } of happenings(review, answer, decision)) {
        const regarding = about.is === 'owner' ? about : this.#policy(about.name)
        if (regarding) this.#events.record({ regarding, type: 'Warning', reason, message })
      }
    } catch (error) {
      // The answer stands, whatever can be told of it.
      this.#parts.metrics.failedInside('answer')
      this.#parts.log.error('an exception that nothing expected', { error })
    }
  }

  /** Something changed of what is known outside of the cluster. */
  look(): void {
    if (this.#compiled) this.#statuses?.look(this.#compiled.snapshot, this.#compiled.objects)
  }

  /** Ends writing, so that another replica may begin at once. */
  async stop(): Promise<void> {
    await this.#lease?.release()
    this.#lead(false)
    await Promise.all([this.#serving?.close(), this.#events?.close()])
  }

  #lead(held: boolean): void {
    if (held === this.isLeading) return
    this.#parts.metrics.leads(held)
    for (const ended of [this.#statuses?.close(), this.#configurations?.close()])
      ended?.catch((error: unknown) => this.#parts.log.error('an exception that nothing expected', { error }))
    this.#statuses = held ? this.#openStatuses() : undefined
    this.#configurations = held ? this.#openConfigurations() : undefined
    this.#serving?.lead(held)
    this.look()
  }

  /** Where an event about a policy belongs. Undefined: there is no such object, as there is none of the policy that stands for none. */
  #policy(name: string): Regarding | undefined {
    const { uid } = metadataOf(this.#parts.cluster.objects().policies.get(name))
    return typeof uid === 'string' ? regardingOf('ClusterImagePolicy', name, uid) : undefined
  }

  #openStatuses(): Statuses {
    return new Statuses({
      ...this.#parts,
      turned: (kind, object, why) => {
        const { name, uid } = metadataOf(object)
        if (typeof name !== 'string' || typeof uid !== 'string') return
        const said = why
          ? ({ type: 'Warning', ...why } as const)
          : ({ type: 'Normal', reason: 'Ready', message: 'it is in force' } as const)
        this.#events?.record({ regarding: regardingOf(kind, name, uid), ...said })
      },
    })
  }

  #openConfigurations(): Configurations {
    const { api, settings, log } = this.#parts
    return new Configurations({
      api,
      systemNamespace: settings.systemNamespace,
      names: {
        workloads: settings.webhookName,
        defaulting: settings.mutatingWebhookName,
        validating: settings.validatingWebhookName,
      },
      authorities: () => this.#serving?.serving?.authorities,
      log,
    })
  }
}

function regardingOf(kind: Kind, name: string, uid: string): Regarding {
  return { apiVersion: 'policy.sigstore.dev/v1alpha1', kind, name, namespace: '', uid }
}
