import type { ClusterObjects } from '../../policy/objects.ts'
import { isObject } from '../../policy/shape.ts'
import type { Log } from '../log.ts'
import { type ApiAnswer, ApiServer } from './api-server.ts'
import type { Cluster, Got, PullSecret } from './cluster.ts'
import { type AccessOptions, openAccess } from './kubeconfig.ts'
import { isName, pullSecretNames } from './objects.ts'
import { PullSecrets, pullSecretOf } from './pull-secrets.ts'
import { Watch, type WatchTimes } from './watch.ts'

const OBJECTS_OF_A_PAGE = 100 // policies, Secrets and ConfigMaps may be 1 MB each
const ACCOUNTS_OF_A_PAGE = 500 // ServiceAccounts are about 1 KB each
const SECRET_TIME = 3_000 // ms for a pull secret: a request waits for it, and has 10 s in all
const SECRET_TRIES = 2
const SECRET_PAUSE = 200 // ms between them

export type KubernetesOptions = Omit<AccessOptions, 'env'> & {
  /** The controller's namespace: its Secrets and ConfigMaps are watched. */
  readonly systemNamespace: string
  readonly log: Log
  readonly env?: NodeJS.ProcessEnv
  /** Other times than the usual ones. */
  readonly times?: WatchTimes & { readonly pullSecretsKept?: number }
}

/**
 * A cluster through its API server: policies, TrustRoots, Secrets and ConfigMaps of the controller's namespace, and every ServiceAccount's pull
 * secrets, all watched. Rejects with a `KubeconfigError` when it is not known how to reach it; does not wait until it can be reached.
 */
export async function openKubernetes(options: KubernetesOptions): Promise<Cluster> {
  const access = await openAccess({ ...options, env: options.env ?? process.env })
  return new Kubernetes(new ApiServer(access), options)
}

class Kubernetes implements Cluster {
  readonly api: ApiServer
  readonly #policies: Watch<object>
  readonly #trustRoots: Watch<object>
  readonly #secrets: Watch<object>
  readonly #configMaps: Watch<object>
  readonly #accounts: Watch<readonly string[]>
  readonly #pullSecrets: PullSecrets
  readonly #listeners: (() => void)[] = []
  readonly #ended = new AbortController()
  #objects: ClusterObjects | undefined
  #telling: NodeJS.Immediate | undefined

  constructor(api: ApiServer, options: KubernetesOptions) {
    const { systemNamespace, log, times } = options
    const namespace = `/api/v1/namespaces/${encodeURIComponent(systemNamespace)}`
    const changed = () => this.#changed()
    const byName = (_: string, name: string) => name
    this.api = api
    this.#policies = new Watch(
      api,
      {
        resource: 'clusterimagepolicies.policy.sigstore.dev',
        // Both versions say the same (specification 1.3). The one that is stored comes first: to read the other, the API server may need the
        // conversion webhook, which is us, not ready before the policies are read.
        paths: ['/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies', '/apis/policy.sigstore.dev/v1beta1/clusterimagepolicies'],
        query: {},
        pageSize: OBJECTS_OF_A_PAGE,
        key: byName,
        keep: withoutBookkeeping,
        isSame: isSameButStatus,
      },
      log,
      changed,
      times,
    )
    this.#trustRoots = new Watch(
      api,
      {
        resource: 'trustroots.policy.sigstore.dev',
        paths: ['/apis/policy.sigstore.dev/v1alpha1/trustroots'],
        query: {},
        pageSize: OBJECTS_OF_A_PAGE,
        key: byName,
        keep: withoutBookkeeping,
        isSame: isSameButStatus,
      },
      log,
      changed,
      times,
    )
    this.#secrets = new Watch(
      api,
      // Helm keeps its releases in Secrets of up to 1 MB; no policy asks for one.
      {
        resource: 'secrets',
        paths: [`${namespace}/secrets`],
        query: { fieldSelector: 'type!=helm.sh/release.v1' },
        pageSize: OBJECTS_OF_A_PAGE,
        key: byName,
        keep: withoutBookkeeping,
      },
      log,
      changed,
      times,
    )
    this.#configMaps = new Watch(
      api,
      {
        resource: 'configmaps',
        paths: [`${namespace}/configmaps`],
        query: {},
        pageSize: OBJECTS_OF_A_PAGE,
        key: byName,
        keep: withoutBookkeeping,
      },
      log,
      changed,
      times,
    )
    this.#accounts = new Watch(
      api,
      {
        resource: 'serviceaccounts',
        paths: ['/api/v1/serviceaccounts'],
        query: {},
        pageSize: ACCOUNTS_OF_A_PAGE,
        key: (ns, name) => `${ns}/${name}`,
        keep: pullSecretNames,
      },
      log,
      () => undefined,
      times,
    )
    this.#pullSecrets = new PullSecrets((ns, name) => this.#readPullSecret(ns, name), times?.pullSecretsKept)
    for (const watch of this.#watches()) watch.start()
  }

  objects(): ClusterObjects {
    this.#objects ??= {
      policies: new Map(this.#policies.items),
      policiesIncomplete: this.#policies.why && `${this.#policies.resource}: ${this.#policies.why}`,
      secrets: new Map(this.#secrets.items),
      configMaps: new Map(this.#configMaps.items),
      configMapsUnread: this.#configMaps.isListed ? undefined : `${this.#configMaps.resource}: ${this.#configMaps.why ?? ''}`,
      trustRoots: new Map(this.#trustRoots.items),
      trustRootsIncomplete: this.#trustRoots.why && `${this.#trustRoots.resource}: ${this.#trustRoots.why}`,
    }
    return this.#objects
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  waitingFor(): readonly string[] {
    return this.#watches().flatMap((watch) =>
      watch.isListed || this.#isDispensable(watch) ? [] : [`${watch.resource}: ${watch.why ?? ''}`],
    )
  }

  pullSecretsOf(namespace: string, serviceAccount: string): Got<readonly string[]> {
    const found = this.#accounts.items.get(`${namespace}/${serviceAccount}`)
    if (found) return { state: 'found', value: found }
    return this.#accounts.isListed ? { state: 'absent' } : { state: 'failed', text: `serviceaccounts: ${this.#accounts.why ?? ''}` }
  }

  pullSecret(namespace: string, name: string, fresh: boolean): Promise<Got<PullSecret>> {
    // No object can have another name, and a name such as `..` would ask for something else.
    if (!isName(namespace) || !isName(name)) return Promise.resolve({ state: 'absent' })
    return this.#pullSecrets.get(namespace, name, fresh)
  }

  lastContactAge(): number {
    return this.api.lastContactAge()
  }

  async close(): Promise<void> {
    this.#ended.abort()
    clearImmediate(this.#telling)
    await Promise.all(this.#watches().map((watch) => watch.close()))
    await this.api.close()
  }

  /** A cluster may have no TrustRoots, or not let them be read: then policies that name one refuse, and nobody else need wait. */
  #isDispensable(watch: Watch<unknown>): boolean {
    return watch === this.#trustRoots && watch.hasFailed
  }

  #watches(): readonly Watch<unknown>[] {
    return [this.#policies, this.#trustRoots, this.#secrets, this.#configMaps, this.#accounts]
  }

  /** Many events that come together are one change. */
  #changed(): void {
    this.#objects = undefined
    this.#telling ??= setImmediate(() => {
      this.#telling = undefined
      for (const listener of this.#listeners) listener()
    })
  }

  async #readPullSecret(namespace: string, name: string): Promise<Got<PullSecret>> {
    let answer: ApiAnswer
    for (let tries = 1; ; tries++) {
      answer = await this.api.get(`/api/v1/namespaces/${namespace}/secrets/${name}`, {}, this.#ended.signal, SECRET_TIME)
      const mayPass = answer.state === 'failed' || (answer.state === 'refused' && (answer.status === 429 || answer.status >= 500))
      if (!mayPass || tries === SECRET_TRIES || this.#ended.signal.aborted) break
      await new Promise((resolve) => setTimeout(resolve, SECRET_PAUSE * (0.5 + Math.random())))
    }
    switch (answer.state) {
      case 'answered':
        return { state: 'found', value: pullSecretOf(namespace, name, answer.body) }
      case 'refused':
        return answer.status === 404 ? { state: 'absent' } : { state: 'failed', text: answer.text }
      case 'too-large':
        return { state: 'failed', text: `secrets "${name}" is too large` }
      case 'failed':
        return { state: 'failed', text: `secrets "${name}" could not be read: ${answer.text}` }
    }
  }
}

/** Whether only what controllers note about an object differs: nothing need be compiled anew when they do. */
function isSameButStatus(before: object, after: object): boolean {
  const rest = (object: object): string => {
    const { status: _, metadata, ...others } = object as Readonly<Record<string, unknown>>
    const { resourceVersion: __, ...named } = isObject(metadata) ? metadata : {}
    // A list and an event may put fields in another order.
    return JSON.stringify([named, Object.entries(others).toSorted(([a], [b]) => (a < b ? -1 : 1))])
  }
  return rest(before) === rest(after)
}

/** An object without what the API server notes about who wrote it: often longer than the object. */
function withoutBookkeeping(object: Readonly<Record<string, unknown>>): object {
  if (!isObject(object['metadata'])) return object
  const { managedFields: _, annotations, ...metadata } = object['metadata']
  if (!isObject(annotations)) return { ...object, metadata }
  const { 'kubectl.kubernetes.io/last-applied-configuration': __, ...others } = annotations
  return { ...object, metadata: { ...metadata, annotations: others } }
}
