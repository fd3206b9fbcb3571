import { isObject } from '../../src/policy/shape.ts'
import type { ApiObject } from '../../src/world/cluster/change.ts'
import { metadataOf } from '../../src/world/cluster/change.ts'

/** A webhook configuration that is kept up to date, or a CustomResourceDefinition whose conversion is (specification 4.4). */
export type Configuration = {
  readonly kind: 'ValidatingWebhookConfiguration' | 'MutatingWebhookConfiguration' | 'CustomResourceDefinition'
  readonly name: string
  readonly path: string
  readonly rules: readonly Rule[]
}

export type Rule = {
  readonly apiGroups: readonly string[]
  readonly apiVersions: readonly string[]
  readonly operations: readonly string[]
  readonly resources: readonly string[]
}

export type ConfigurationNames = {
  readonly workloads: string
  readonly defaulting: string
  readonly validating: string
}

const POLICIES = 'clusterimagepolicies.policy.sigstore.dev'

const WRITTEN = ['CREATE', 'UPDATE'] as const
const rule = (
  apiGroup: string,
  apiVersions: readonly string[],
  resources: readonly string[],
  operations: readonly string[] = WRITTEN,
): Rule => ({ apiGroups: [apiGroup], apiVersions, operations, resources })

// No `.../status`: an outage of the webhook must not stop kubelets and controllers from reporting (Q29).
const workloads: readonly Rule[] = [
  rule('', ['v1'], ['pods', 'pods/ephemeralcontainers', 'replicationcontrollers']),
  rule('apps', ['v1'], ['daemonsets', 'deployments', 'replicasets', 'statefulsets']),
  rule('batch', ['v1', 'v1beta1'], ['cronjobs', 'jobs']),
]
const resources = (operations: readonly string[]): readonly Rule[] => [
  rule('policy.sigstore.dev', ['v1alpha1', 'v1beta1'], ['clusterimagepolicies', 'clusterimagepolicies/status'], operations),
  rule('policy.sigstore.dev', ['v1alpha1'], ['trustroots', 'trustroots/status'], operations),
]

/** Everything that is kept up to date. */
export function configurations(names: ConfigurationNames): readonly Configuration[] {
  const validating = 'ValidatingWebhookConfiguration'
  const mutating = 'MutatingWebhookConfiguration'
  return [
    { kind: validating, name: names.workloads, path: '/validations', rules: workloads },
    { kind: mutating, name: names.workloads, path: '/mutations', rules: workloads },
    { kind: validating, name: names.validating, path: '/validating', rules: resources([...WRITTEN, 'DELETE']) },
    { kind: mutating, name: names.defaulting, path: '/defaulting', rules: resources(WRITTEN) },
    { kind: 'CustomResourceDefinition', name: POLICIES, path: '/resource-conversion', rules: [] },
  ]
}

/** Where the API server keeps it. */
export function collectionOf({ kind }: Pick<Configuration, 'kind'>): string {
  switch (kind) {
    case 'ValidatingWebhookConfiguration':
      return '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
    case 'MutatingWebhookConfiguration':
      return '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations'
    case 'CustomResourceDefinition':
      return '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  }
}

export type Wanted = {
  /** The CAs that the API server has to trust, PEM. None: whoever gave the certificate tells it. */
  readonly authorities: readonly string[]
  /** The namespace of the controller: what it keeps goes when that goes. Undefined: it may not be read, and owners stay as they are. */
  readonly owner: { readonly name: string; readonly uid: string } | undefined
}

/**
 * `object` as it has to be, or undefined where it is. Only what the controller answers for is touched: rules, path, CA, reinvocation, the label that
 * keeps a namespace out, the owner. Selectors, failure policy, timeouts and whatever else somebody wrote stay.
 */
export function configurationAfter(configuration: Configuration, object: ApiObject, wanted: Wanted): ApiObject | undefined {
  const bundle = isInjected(object) || wanted.authorities.length === 0 ? undefined : base64(wanted.authorities.join(''))
  const after =
    configuration.kind === 'CustomResourceDefinition'
      ? withConversion(configuration, object, bundle)
      : withOwner(withWebhook(configuration, object, bundle), wanted.owner)
  return JSON.stringify(after) === JSON.stringify(object) ? undefined : after
}

/** Whether API servers are told by it to trust these authorities, or somebody else sees to what they trust. An object that asks nobody tells nobody. */
export function isTold(configuration: Configuration, object: ApiObject, authorities: readonly string[]): boolean {
  if (isInjected(object)) return true
  const clients = configuration.kind === 'CustomResourceDefinition' ? [conversionOf(object)] : webhooksOf(configuration, object)
  return clients.every((client) => {
    const config = client && isObject(client['clientConfig']) ? client['clientConfig'] : undefined
    return config === undefined || config['caBundle'] === base64(authorities.join(''))
  })
}

const INJECTED = ['cert-manager.io/inject-ca-from', 'cert-manager.io/inject-ca-from-secret', 'cert-manager.io/inject-apiserver-ca']

/** Whether cert-manager writes the CA. */
function isInjected(object: ApiObject): boolean {
  const { annotations } = metadataOf(object)
  return isObject(annotations) && INJECTED.some((name) => name in annotations)
}

function webhooksOf({ name }: Configuration, object: ApiObject): readonly ApiObject[] {
  const list: readonly unknown[] = Array.isArray(object['webhooks']) ? object['webhooks'] : []
  return list.filter((webhook): webhook is ApiObject => isObject(webhook) && webhook['name'] === name)
}

function withWebhook(configuration: Configuration, object: ApiObject, bundle: string | undefined): ApiObject {
  const ours = webhooksOf(configuration, object)
  if (ours.length === 0) return object
  const webhooks = (object['webhooks'] as readonly unknown[]).map((webhook) =>
    isObject(webhook) && ours.includes(webhook) ? webhookAfter(configuration, webhook, bundle) : webhook,
  )
  return { ...object, webhooks }
}

function webhookAfter({ kind, path, rules }: Configuration, webhook: ApiObject, bundle: string | undefined): ApiObject {
  const isSame = Array.isArray(webhook['rules']) && textOf(webhook['rules']) === textOf(rules)
  return {
    ...webhook,
    clientConfig: clientAfter(webhook['clientConfig'], path, bundle),
    ...(!isSame && { rules: rules.map((r) => ({ ...r, scope: '*' })) }),
    ...(kind === 'MutatingWebhookConfiguration' && { reinvocationPolicy: 'IfNeeded' }),
    namespaceSelector: selectorAfter(webhook['namespaceSelector']),
  }
}

/** A client that is reached by a URL, as when the webhook runs beside the API server, has its path there. */
function clientAfter(client: unknown, path: string, bundle: string | undefined): ApiObject {
  const before = isObject(client) ? client : {}
  return {
    ...before,
    ...(isObject(before['service']) && { service: { ...before['service'], path } }),
    ...(bundle !== undefined && { caBundle: bundle }),
  }
}

const EXCLUDE = 'webhooks.knative.dev/exclude'

/** A namespace with that label is never looked at, whatever the selector says. */
function selectorAfter(selector: unknown): ApiObject {
  const before = isObject(selector) ? selector : {}
  const expressions: readonly unknown[] = Array.isArray(before['matchExpressions']) ? before['matchExpressions'] : []
  if (expressions.some((e) => isObject(e) && e['key'] === EXCLUDE && e['operator'] === 'DoesNotExist')) return before
  return { ...before, matchExpressions: [{ key: EXCLUDE, operator: 'DoesNotExist' }, ...expressions] }
}

function withOwner(object: ApiObject, owner: Wanted['owner']): ApiObject {
  if (!owner) return object
  const reference = {
    apiVersion: 'v1',
    kind: 'Namespace',
    name: owner.name,
    uid: owner.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
  const { ownerReferences: before, ...metadata } = metadataOf(object)
  const isSame = Array.isArray(before) && before.length === 1 && sorted(before[0]) === sorted(reference)
  return isSame ? object : { ...object, metadata: { ...metadata, ownerReferences: [reference] } }
}

/** The webhook that converts, where one does: with the strategy None the API server converts by itself. */
function conversionOf(object: ApiObject): ApiObject | undefined {
  const conversion = isObject(object['spec']) ? object['spec']['conversion'] : undefined
  if (!isObject(conversion) || conversion['strategy'] !== 'Webhook') return undefined
  return isObject(conversion['webhook']) ? conversion['webhook'] : {}
}

function withConversion({ path }: Configuration, object: ApiObject, bundle: string | undefined): ApiObject {
  const webhook = conversionOf(object)
  if (!webhook) return object
  const spec = object['spec'] as ApiObject
  const after = { ...webhook, clientConfig: clientAfter(webhook['clientConfig'], path, bundle) }
  return { ...object, spec: { ...spec, conversion: { ...(spec['conversion'] as ApiObject), webhook: after } } }
}

/** Rules as text, with what the API server adds. */
function textOf(rules: readonly unknown[]): string {
  return JSON.stringify(rules.map((r) => (isObject(r) ? sorted({ scope: '*', ...r }) : r)))
}

function sorted(fields: unknown): string {
  return JSON.stringify(isObject(fields) ? Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1)) : fields)
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
