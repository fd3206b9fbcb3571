/** A resource in one of its versions. */
export type Resource = {
  readonly group: string
  readonly apiVersion: string
  readonly resource: string
  readonly kind: string
  readonly isNamespaced: boolean
  /** Whether `status` is written by itself, at `/status`. */
  readonly hasStatus?: boolean
}

/** An object as it is stored; what a client sends is completed by the store. */
export type StoredObject = {
  readonly apiVersion?: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly resourceVersion?: string
    readonly [field: string]: unknown
  }
  readonly [field: string]: unknown
}

export type WatchEvent = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly resource: Resource
  readonly object: StoredObject
  readonly version: number
}

/** What a path means. */
export type Located = {
  readonly resource: Resource
  readonly namespace: string
  readonly name: string
  /** Whether it is the object's status. */
  readonly isStatus: boolean
}

const core = (resource: string, kind: string, isNamespaced = true): Resource => ({
  group: '',
  apiVersion: 'v1',
  resource,
  kind,
  isNamespaced,
})
const policies = (version: string): Resource => ({
  group: 'policy.sigstore.dev',
  apiVersion: `policy.sigstore.dev/${version}`,
  resource: 'clusterimagepolicies',
  kind: 'ClusterImagePolicy',
  isNamespaced: false,
  hasStatus: true,
})
const grouped = (apiVersion: string, resource: string, kind: string, more: Partial<Resource> = {}): Resource => ({
  group: apiVersion.split('/')[0] ?? '',
  apiVersion,
  resource,
  kind,
  isNamespaced: false,
  ...more,
})

const trustRoots = grouped('policy.sigstore.dev/v1alpha1', 'trustroots', 'TrustRoot', { hasStatus: true })

/** The objects of a cluster, their versions, and the events since some version. */
export class ClusterStore {
  #resources: readonly Resource[] = [
    core('secrets', 'Secret'),
    core('configmaps', 'ConfigMap'),
    core('serviceaccounts', 'ServiceAccount'),
    core('namespaces', 'Namespace', false),
    core('events', 'Event'),
    core('pods', 'Pod'),
    core('services', 'Service'),
    grouped('apps/v1', 'deployments', 'Deployment', { isNamespaced: true }),
    grouped('discovery.k8s.io/v1', 'endpointslices', 'EndpointSlice', { isNamespaced: true }),
    grouped('coordination.k8s.io/v1', 'leases', 'Lease', { isNamespaced: true }),
    grouped('admissionregistration.k8s.io/v1', 'validatingwebhookconfigurations', 'ValidatingWebhookConfiguration'),
    grouped('admissionregistration.k8s.io/v1', 'mutatingwebhookconfigurations', 'MutatingWebhookConfiguration'),
    grouped('apiextensions.k8s.io/v1', 'customresourcedefinitions', 'CustomResourceDefinition', { hasStatus: true }),
    trustRoots,
    policies('v1alpha1'),
    policies('v1beta1'),
  ]
  #version = 100
  #oldest = 100
  #events: WatchEvent[] = []
  readonly #objects = new Map<string, StoredObject>()
  readonly #pages = new Map<string, { readonly rest: readonly StoredObject[]; readonly version: number }>()
  readonly #listeners: ((event: WatchEvent) => void)[] = []

  get version(): number {
    return this.#version
  }

  onEvent(listener: (event: WatchEvent) => void): void {
    this.#listeners.push(listener)
  }

  /** Which versions of ClusterImagePolicy are served; none, and the CRD is missing. */
  servePolicies(...versions: readonly string[]): void {
    this.#resources = [...this.#resources.filter((r) => r.kind !== 'ClusterImagePolicy'), ...versions.map(policies)]
  }

  /** Whether TrustRoots are served; else their CRD is missing. */
  serveTrustRoots(areServed: boolean): void {
    this.#resources = [...this.#resources.filter((r) => r.kind !== 'TrustRoot'), ...(areServed ? [trustRoots] : [])]
  }

  /** Creates an object, or replaces it. */
  put(object: StoredObject): void {
    const resource = this.#resources.find((r) => r.kind === object.kind)
    if (!resource) throw new Error(`no kind ${object.kind}`)
    const namespace = resource.isNamespaced ? { namespace: object.metadata.namespace ?? 'default' } : {}
    const key = keyOf(resource, object.metadata.namespace ?? (resource.isNamespaced ? 'default' : ''), object.metadata.name)
    const version = ++this.#version
    const stored = { ...object, metadata: { ...object.metadata, ...namespace, resourceVersion: `${version}` } }
    const type = this.#objects.has(key) ? 'MODIFIED' : 'ADDED'
    this.#objects.set(key, stored)
    this.#tell({ type, resource, object: stored, version })
  }

  remove(kind: string, namespace: string, name: string): void {
    const resource = this.#resources.find((r) => r.kind === kind)
    const key = resource ? keyOf(resource, namespace, name) : ''
    const object = this.#objects.get(key)
    if (!resource || !object) throw new Error(`no ${kind} ${namespace}/${name}`)
    this.#objects.delete(key)
    const version = ++this.#version
    this.#tell({
      type: 'DELETED',
      resource,
      object: { ...object, metadata: { ...object.metadata, resourceVersion: `${version}` } },
      version,
    })
  }

  /** Forgets what happened before now: who asks for it, or for the next page of a list, is told that it is too old. */
  compact(): void {
    this.#oldest = this.#version
    this.#events = []
    this.#pages.clear()
  }

  get(resource: Resource, namespace: string, name: string): StoredObject | undefined {
    const object = this.#objects.get(keyOf(resource, namespace, name))
    return object && { ...object, apiVersion: resource.apiVersion }
  }

  /** A page of a list; undefined where `token` is no longer known. */
  list(resource: Resource, namespace: string, selector: string, limit: number, token: string): object | undefined {
    const known = token === '' ? { rest: this.#matching(resource, namespace, selector), version: this.#version } : this.#pages.get(token)
    if (!known) return undefined
    const size = limit > 0 ? limit : known.rest.length
    const page = known.rest.slice(0, size)
    const rest = known.rest.slice(size)
    const next = rest.length === 0 ? undefined : `page-${this.#pages.size}-${known.version}`
    if (next !== undefined) this.#pages.set(next, { rest, version: known.version })
    // Built-in kinds leave out kind and apiVersion of items, custom resources do not.
    const items = page.map((object) => {
      const { apiVersion: _, kind, ...rest } = object
      return resource.group === '' ? rest : { apiVersion: resource.apiVersion, kind, ...rest }
    })
    const metadata = { resourceVersion: `${known.version}`, ...(next !== undefined && { continue: next, remainingItemCount: rest.length }) }
    return { kind: `${resource.kind}List`, apiVersion: resource.apiVersion, metadata, items }
  }

  /** The events of a resource after a version; undefined where they are no longer known. */
  since(resource: Resource, version: number): readonly WatchEvent[] | undefined {
    return version < this.#oldest ? undefined : this.#events.filter((e) => e.version > version && e.resource.resource === resource.resource)
  }

  /** `metadata.name=x`, `type!=y`, `label:a/b=z`; several joined by commas. */
  isSelected(object: StoredObject, selector: string): boolean {
    return selector
      .split(',')
      .filter((term) => term !== '')
      .every((term) => {
        const [, field, operator, value] = /^([^!=]+)(!?=)=?(.*)$/.exec(term) ?? []
        const labels = (object.metadata['labels'] ?? {}) as Readonly<Record<string, string>>
        if (field?.startsWith('label:')) return labels[field.slice('label:'.length)] === value
        const found = field === 'metadata.name' ? object.metadata.name : field === 'type' ? (object['type'] ?? 'Opaque') : undefined
        return operator === '!=' ? found !== value : found === value
      })
  }

  /** The resource, namespace, name and subresource that a path means. */
  locate(path: string): Located | undefined {
    const found =
      /^\/(?:api\/(?<core>v1)|apis\/(?<group>[^/]+\/[^/]+))(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<resource>[^/]+)(?:\/(?<name>[^/]+))?(?:\/(?<sub>status))?$/.exec(
        path,
      )?.groups
    const resource = this.#resources.find(
      (r) => r.resource === found?.['resource'] && r.apiVersion === (found?.['core'] ?? found?.['group']),
    )
    if (!found || !resource || (found['sub'] !== undefined && resource.hasStatus !== true)) return undefined
    return { resource, namespace: found['namespace'] ?? '', name: found['name'] ?? '', isStatus: found['sub'] !== undefined }
  }

  #matching(resource: Resource, namespace: string, selector: string): StoredObject[] {
    const prefix = `${resource.resource}/${namespace === '' ? '' : `${namespace}/`}`
    return [...this.#objects]
      .filter(([key, object]) => key.startsWith(prefix) && this.isSelected(object, selector))
      .map(([, object]) => object)
  }

  #tell(event: WatchEvent): void {
    this.#events.push(event)
    for (const listener of this.#listeners) listener(event)
  }
}

function keyOf(resource: Resource, namespace: string, name: string): string {
  return `${resource.resource}/${resource.isNamespaced ? namespace : ''}/${name}`
}
