import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { ApiServer } from '../src/world/cluster/api-server.ts'
import { openAccess } from '../src/world/cluster/kubeconfig.ts'
import type { Manifest } from './chart.ts'
import type { Cluster } from './cluster.ts'
import type { Endpoint, Service } from './service.ts'

const LOOK_EVERY = 100 // ms

/** A process that stands for a Pod. It is behind the Service that it was given from when it starts until it says that it ends. */
export type Pod = Endpoint & {
  readonly name: string
  start(): Promise<void>
  /** Ends it, as the kubelet does or without a word, and waits until it has ended. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  log(): string
}

/** Makes the Pod of a Deployment as it is now. */
export type PodMaker = (name: string, deployment: Manifest, service: Pick<Service, 'add' | 'remove'>) => Pod

type Running = {
  readonly pod: Pod
  readonly object: Manifest
  readonly of: string
  readonly template: string
  isReady: boolean
  ends?: Promise<void>
}

/**
 * What a cluster has besides its API server: whoever makes Pods of Deployments, exchanges them one by one when their template changes, and leads a
 * Service to those that it selects and that are ready; all for one namespace. Pods, endpoints and the status of Deployments can be read as ever.
 */
export class Nodes {
  readonly #api: ApiServer
  readonly #namespace: string
  readonly #service: Service
  readonly #make: PodMaker
  readonly #running = new Map<string, Running>()
  readonly #behind = new Set<Running>()
  readonly #over = new AbortController()
  #count = 0
  #written = ''
  #loop: Promise<void> | undefined
  #trouble: unknown

  private constructor(api: ApiServer, namespace: string, service: Service, make: PodMaker) {
    this.#api = api
    this.#namespace = namespace
    this.#service = service
    this.#make = make
  }

  static async start(cluster: Cluster, namespace: string, service: Service, make: PodMaker): Promise<Nodes> {
    const nodes = new Nodes(new ApiServer(await openAccess({ kubeconfig: cluster.adminKubeconfig, env: {} })), namespace, service, make)
    nodes.#loop = nodes.#go()
    return nodes
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await this.#loop
    await Promise.all([...this.#running.values()].map(({ pod }) => pod.stop('SIGKILL')))
    await this.#api.close()
  }

  /** Who runs, who of them is ready, what they said last, and what could not be done. */
  toString(): string {
    const pods = [...this.#running.values()].map(
      ({ pod, isReady }) => `${pod.name}: ${isReady ? '' : 'not '}ready\n${pod.log().slice(-2_000)}`,
    )
    return [...pods, ...(this.#trouble === undefined ? [] : [inspect(this.#trouble)])].join('\n')
  }

  async #go(): Promise<void> {
    while (!this.#over.signal.aborted) {
      // As controllers do: what could not be done now is tried again.
      await this.#look().catch((error: unknown) => (this.#trouble = error))
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY))
    }
  }

  async #look(): Promise<void> {
    const deployments = await this.#list('/apis/apps/v1', 'deployments')
    const [service] = (await this.#list('/api/v1', 'services')) ?? []
    if (!deployments || !service) return
    const probed = [...this.#running.values()].map(async (one) => {
      const isReady = await one.pod.isReady()
      one.isReady = isReady && !one.ends
    })
    await Promise.all(probed)
    for (const deployment of deployments) await this.#exchange(deployment)
    for (const one of this.#running.values()) if (!deployments.some(({ metadata }) => metadata.name === one.of)) this.#end(one)
    this.#lead((service.spec?.selector ?? {}) as Readonly<Record<string, string>>)
    await this.#tell(service, deployments)
  }

  /** As with `maxUnavailable: 0`: who is new comes first, and who is old goes when all who are new are ready. */
  async #exchange(deployment: Manifest): Promise<void> {
    const { name } = deployment.metadata
    const wanted = deployment.spec?.replicas ?? 1
    const template = hashOf(deployment.spec?.template)
    const all = [...this.#running.values()].filter((one) => one.of === name && !one.ends)
    const [current, old] = [all.filter((one) => one.template === template), all.filter((one) => one.template !== template)]
    for (const one of current.slice(wanted)) this.#end(one)
    if (current.filter(({ isReady }) => isReady).length >= wanted) for (const one of old) this.#end(one)
    for (let i = current.length; i < wanted; i++) await this.#begin(deployment, template)
  }

  async #begin(deployment: Manifest, template: string): Promise<void> {
    const { name: of } = deployment.metadata
    const name = `${of}-${++this.#count}`
    const { metadata, spec } = deployment.spec?.template as unknown as Manifest
    const object = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name, namespace: this.#namespace }, spec } as Manifest
    // Whoever has started is behind the Service once that selects it, which is seen to below.
    const pod = this.#make(name, deployment, { add: () => {}, remove: (endpoint) => this.#service.remove(endpoint) })
    this.#running.set(name, { pod, object, of, template, isReady: false })
    await this.#api.write('create', this.#pods(), object, this.#over.signal)
    await pod.start()
  }

  #end(one: Running): void {
    if (one.ends) return
    one.isReady = false
    one.ends = one.pod.stop().then(() => {
      this.#running.delete(one.pod.name)
      this.#behind.delete(one)
    })
    void this.#api.write('delete', `${this.#pods()}/${one.pod.name}`, { gracePeriodSeconds: 0 }, this.#over.signal)
  }

  /** Whoever is selected is behind the Service, which asks by itself who of them is ready. */
  #lead(selector: Readonly<Record<string, string>>): void {
    const isSelected = ({ object }: Running): boolean =>
      Object.entries(selector).every(([label, value]) => object.metadata.labels?.[label] === value)
    for (const one of this.#running.values()) {
      if (one.ends) continue
      if (isSelected(one) === this.#behind.has(one)) continue
      if (isSelected(one)) this.#behind.add(one)
      else this.#behind.delete(one)
      if (isSelected(one)) this.#service.add(one.pod)
      else this.#service.remove(one.pod)
    }
  }

  /** Tells the API server how it is, where that has changed. */
  async #tell(service: Manifest, deployments: readonly Manifest[]): Promise<void> {
    const behind = [...this.#behind].filter(({ ends }) => !ends)
    const endpoints = behind.map(({ pod, isReady }) => ({
      // The API server takes no address on loopback, where they are.
      addresses: [`192.0.2.${Number(/\d+$/.exec(pod.name)?.[0]) % 256}`],
      conditions: { ready: isReady, serving: isReady },
      targetRef: { kind: 'Pod', namespace: this.#namespace, name: pod.name },
    }))
    const statuses = deployments.map((deployment) => this.#statusOf(deployment))
    const text = JSON.stringify([endpoints, statuses])
    if (text === this.#written) return
    const { name } = service.metadata
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${this.#namespace}/endpointslices`
    const slice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints,
      ports: [{ name: '', port: 8443, protocol: 'TCP' }],
    }
    const replaced = await this.#api.write('merge', `${slices}/${name}-1`, slice, this.#over.signal)
    const made = replaced.state === 'answered' ? replaced : await this.#api.write('create', slices, slice, this.#over.signal)
    if (made.state !== 'answered') return
    for (const [i, { metadata }] of deployments.entries()) {
      const told = await this.#api.write(
        'merge',
        `/apis/apps/v1/namespaces/${this.#namespace}/deployments/${metadata.name}/status`,
        { status: statuses[i] },
        this.#over.signal,
      )
      if (told.state !== 'answered') return
    }
    this.#written = text
  }

  #statusOf(deployment: Manifest): object {
    const { name, generation } = deployment.metadata as Manifest['metadata'] & { generation: number }
    const all = [...this.#running.values()].filter((one) => one.of === name && !one.ends)
    const updated = all.filter(({ template }) => template === hashOf(deployment.spec?.template))
    const ready = all.filter(({ isReady }) => isReady).length
    return {
      observedGeneration: generation,
      replicas: all.length,
      updatedReplicas: updated.length,
      readyReplicas: ready,
      availableReplicas: ready,
    }
  }

  async #list(api: string, plural: string): Promise<readonly Manifest[] | undefined> {
    const got = await this.#api.get(`${api}/namespaces/${this.#namespace}/${plural}`, {}, this.#over.signal)
    return got.state === 'answered' ? (got.body['items'] as readonly Manifest[]) : undefined
  }

  #pods(): string {
    return `/api/v1/namespaces/${this.#namespace}/pods`
  }
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 10)
}
