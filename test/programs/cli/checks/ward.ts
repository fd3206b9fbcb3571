import type { TestContext } from 'node:test'
import type { StoredObject } from '../../../../fakes/cluster-store.ts'
import { FakeCluster } from '../../../../fakes/cluster.ts'
import type { Check, Patient } from '../../../../programs/cli/checks/patient.ts'
import { Reader } from '../../../../programs/cli/checks/patient.ts'
import { parse } from '../../../../programs/cli/parse.ts'
import { configurationAfter, configurations } from '../../../../programs/controller/configuration.ts'
import { dataOf, firstServing } from '../../../../programs/controller/serving-secret.ts'
import type { ClusterObjects } from '../../../../src/policy/objects.ts'
import { nothingFetched } from '../../../../src/policy/objects.ts'
import { ApiServer } from '../../../../src/world/cluster/api-server.ts'
import { NO_PROXY } from '../../../../src/world/network/proxy.ts'
import { Registry } from '../../../../src/world/registry/registry.ts'

const NAMESPACE = 'cosign-system'
const names = {
  workloads: 'policy.sigstore.dev',
  defaulting: 'defaulting.clusterimagepolicy.sigstore.dev',
  validating: 'validating.clusterimagepolicy.sigstore.dev',
}

export const serving = await firstServing([], { service: 'webhook', namespace: NAMESPACE }, new Date())

/** A cluster in which nothing is wrong, objects by `KIND NAME`, to be spoilt. */
export function sound(): Map<string, StoredObject> {
  const objects: StoredObject[] = [
    ...['clusterimagepolicies', 'trustroots'].map((plural) => definition(plural)),
    ...configurations(names)
      .filter(({ kind }) => kind !== 'CustomResourceDefinition')
      .map((configuration) => {
        const shipped = {
          apiVersion: 'admissionregistration.k8s.io/v1',
          kind: configuration.kind,
          metadata: { name: configuration.name },
          webhooks: [
            {
              name: configuration.name,
              failurePolicy: 'Fail',
              timeoutSeconds: 10,
              clientConfig: { service: { name: 'webhook', namespace: NAMESPACE } },
              ...(configuration.name === names.workloads && {
                namespaceSelector: { matchExpressions: [{ key: 'policy.sigstore.dev/include', operator: 'In', values: ['true'] }] },
              }),
            },
          ],
        }
        return (configurationAfter(configuration, shipped, { authorities: serving.authorities, owner: undefined }) ??
          shipped) as StoredObject
      }),
    {
      kind: 'Service',
      metadata: { name: 'webhook', namespace: NAMESPACE },
      spec: { ports: [{ port: 443, targetPort: 8443 }], selector: { role: 'webhook' } },
    },
    slice([{ conditions: { ready: true } }, { conditions: {} }]),
    { kind: 'Secret', metadata: { name: 'webhook-certs', namespace: NAMESPACE }, data: dataOf(serving) },
    pod('webhook-1', 'sealgate:0.1.0'),
    pod('webhook-2', 'sealgate:0.1.0'),
    { kind: 'Namespace', metadata: { name: NAMESPACE, labels: { 'policy.sigstore.dev/include': 'false' } } },
    { kind: 'Namespace', metadata: { name: 'shop', labels: { 'policy.sigstore.dev/include': 'true' } } },
    { kind: 'Namespace', metadata: { name: 'kube-system' } },
  ]
  return new Map(objects.map((object) => [`${object.kind} ${object.metadata.name}`, object]))
}

export function slice(endpoints: readonly object[]): StoredObject {
  return {
    kind: 'EndpointSlice',
    metadata: { name: 'webhook-abc', namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': 'webhook' } },
    endpoints,
  }
}

export function pod(name: string, image: string, namespace = NAMESPACE): StoredObject {
  return { kind: 'Pod', metadata: { name, namespace, labels: { role: 'webhook' } }, spec: { containers: [{ name: 'c', image }] } }
}

function definition(plural: string): StoredObject {
  const isPolicy = plural === 'clusterimagepolicies'
  const versions = [
    { name: 'v1alpha1', served: true, storage: true },
    ...(isPolicy ? [{ name: 'v1beta1', served: true, storage: false }] : []),
  ]
  const service = { name: 'webhook', namespace: NAMESPACE, path: '/resource-conversion' }
  const caBundle = Buffer.from(serving.authorities.join('')).toString('base64')
  const webhook = { clientConfig: { service, caBundle }, conversionReviewVersions: ['v1'] }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.policy.sigstore.dev` },
    spec: { versions, ...(isPolicy && { conversion: { strategy: 'Webhook', webhook } }) },
    status: { conditions: [{ type: 'Established', status: 'True' }] },
  }
}

export type Ward = {
  readonly cluster: FakeCluster
  readonly reader: Reader
  /** What the check finds, as `level: what`. */
  found(check: Check): Promise<readonly string[]>
  patient: Patient
}

export const nothing: ClusterObjects = {
  policies: new Map(),
  policiesIncomplete: undefined,
  secrets: new Map(),
  configMaps: new Map(),
  trustRoots: new Map(),
}

/** A cluster to be examined. `objects` are what the controller knows of it. */
export async function ward(
  t: TestContext,
  stored: ReadonlyMap<string, StoredObject> = sound(),
  objects: Partial<ClusterObjects> = {},
  given: readonly string[] = [],
): Promise<Ward> {
  const cluster = await FakeCluster.start()
  for (const object of stored.values()) cluster.store.put(object)
  const api = new ApiServer({ server: cluster.url, proxy: undefined, credentials: async () => ({ tls: {}, headers: {} }) })
  const registry = new Registry({
    mirrors: [],
    insecureRegistries: [],
    ca: () => [],
    proxy: NO_PROXY,
    userAgent: 'sealgate-test',
    count: () => {},
  })
  t.after(async () => {
    await Promise.all([api.close(), registry.close()])
    await cluster.stop()
  })
  const parsed = parse('doctor', given, {})
  if (!parsed.ok) throw new Error(parsed.text)
  const reader = new Reader(api)
  const patient: Patient = {
    settings: parsed.settings,
    objects: clusterOf({ ...nothing, ...objects }),
    reader,
    registry,
    access: async () => ({ ok: false, reason: { code: 'credentials-unreadable', text: 'nobody has any' } }),
    outside: nothingFetched(),
    now: new Date(),
  }
  const one: Ward = {
    cluster,
    reader,
    patient,
    found: async (check) => (await check.run(one.patient)).map(({ level, what }) => `${level}: ${what}`),
  }
  return one
}

function clusterOf(objects: ClusterObjects): Patient['objects'] {
  return {
    objects: () => objects,
    onChange: () => undefined,
    waitingFor: () => [],
    pullSecretsOf: () => ({ state: 'absent' }),
    pullSecret: async () => ({ state: 'absent' }),
    lastContactAge: () => 0,
    close: async () => undefined,
  }
}

/** A copy with a field changed; undefined takes it away. */
export function changed(object: StoredObject | undefined, path: readonly (string | number)[], value: unknown): StoredObject {
  const copy = structuredClone(object) as unknown
  let inner = copy as Record<string | number, unknown>
  for (const name of path.slice(0, -1)) inner = (inner[name] ??= {}) as Record<string | number, unknown>
  const last = path.at(-1) ?? ''
  if (value === undefined) delete inner[last]
  else inner[last] = value
  return copy as StoredObject
}
