import { deepEqual, equal, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { collectionOf, configurationAfter, configurations, isTold } from '../../../programs/controller/configuration.ts'
import type { ApiObject } from '../../../src/world/cluster/change.ts'

const [validating, mutating, resources, defaulting, conversion] = configurations({
  workloads: 'policy.sigstore.dev',
  defaulting: 'defaulting.clusterimagepolicy.sigstore.dev',
  validating: 'validating.clusterimagepolicy.sigstore.dev',
}) as [Configuration, Configuration, Configuration, Configuration, Configuration]
type Configuration = ReturnType<typeof configurations>[number]

const owner = { name: 'cosign-system', uid: 'u-1' }
const authorities = ['-----BEGIN CERTIFICATE-----\nold\n', '-----BEGIN CERTIFICATE-----\nnew\n']
const bundle = Buffer.from(authorities.join('')).toString('base64')
const wanted = { authorities, owner }

type Webhook = {
  readonly name: string
  readonly clientConfig: { readonly service?: object; readonly caBundle?: string }
  readonly rules: readonly { readonly resources: readonly string[]; readonly operations: readonly string[] }[]
  readonly namespaceSelector: { readonly matchExpressions: readonly object[] }
  readonly reinvocationPolicy?: string
  readonly [field: string]: unknown
}
/** As the sigstore policy controller ships it: no rules, no CA. */
const shipped = (name: string, more: object = {}): ApiObject => ({
  metadata: { name },
  webhooks: [
    {
      name,
      admissionReviewVersions: ['v1'],
      clientConfig: { service: { name: 'webhook', namespace: 'cosign-system' } },
      failurePolicy: 'Ignore',
      sideEffects: 'None',
      timeoutSeconds: 7,
      ...more,
    },
  ],
})
const after = (configuration: Configuration, object: ApiObject): Webhook =>
  (configurationAfter(configuration, object, wanted)?.['webhooks'] as Webhook[])[0]!

test('what is shipped without rules and CA gets them, its path, its owner, and nothing else', () => {
  const object = configurationAfter(mutating, shipped('policy.sigstore.dev'), wanted)!
  const [webhook] = object['webhooks'] as Webhook[]
  deepEqual(webhook?.clientConfig, { service: { name: 'webhook', namespace: 'cosign-system', path: '/mutations' }, caBundle: bundle })
  deepEqual(
    webhook.rules.flatMap((r) => r.resources),
    'pods pods/ephemeralcontainers replicationcontrollers daemonsets deployments replicasets statefulsets cronjobs jobs'.split(' '),
  )
  deepEqual([webhook['failurePolicy'], webhook['timeoutSeconds'], webhook.reinvocationPolicy], ['Ignore', 7, 'IfNeeded'])
  deepEqual(webhook.namespaceSelector.matchExpressions, [{ key: 'webhooks.knative.dev/exclude', operator: 'DoesNotExist' }])
  deepEqual((object['metadata'] as { ownerReferences: object[] }).ownerReferences, [
    { apiVersion: 'v1', kind: 'Namespace', name: 'cosign-system', uid: 'u-1', controller: true, blockOwnerDeletion: true },
  ])
  equal(configurationAfter(mutating, object, wanted), undefined)
})

test('what the administrator wrote stays', () => {
  const theirs = {
    namespaceSelector: { matchLabels: { team: 'a' }, matchExpressions: [{ key: 'policy.sigstore.dev/exclude', operator: 'DoesNotExist' }] },
    objectSelector: { matchLabels: { checked: 'yes' } },
    matchPolicy: 'Exact',
    matchConditions: [{ name: 'x', expression: 'true' }],
    unknownField: { of: 'a later version' },
  }
  const { matchConditions, objectSelector, matchPolicy, unknownField, namespaceSelector, reinvocationPolicy } = after(
    validating,
    shipped('policy.sigstore.dev', theirs),
  )
  deepEqual(
    { matchConditions, objectSelector, matchPolicy, unknownField },
    {
      matchConditions: theirs.matchConditions,
      objectSelector: theirs.objectSelector,
      matchPolicy: 'Exact',
      unknownField: theirs.unknownField,
    },
  )
  deepEqual(namespaceSelector, {
    matchLabels: { team: 'a' },
    matchExpressions: [{ key: 'webhooks.knative.dev/exclude', operator: 'DoesNotExist' }, ...theirs.namespaceSelector.matchExpressions],
  })
  equal(reinvocationPolicy, undefined)
})

test('webhooks of other names in the same object are somebody else’s', () => {
  const object = shipped('policy.sigstore.dev')
  const theirs = { name: 'theirs.example.com', clientConfig: { url: 'https://example.com', caBundle: 'x' } }
  const changed = configurationAfter(validating, { ...object, webhooks: [theirs, ...(object['webhooks'] as object[])] }, wanted)
  deepEqual((changed?.['webhooks'] as object[])[0], theirs)
  ok(isTold(validating, { metadata: {}, webhooks: [theirs] }, authorities))
})

test('every write of a policy or trust root is judged, and every deletion; what is deleted is not defaulted', () => {
  const rules = (c: Configuration) => after(c, shipped(c.name)).rules
  deepEqual(
    rules(resources).map((r) => [r.resources, r.operations]),
    [
      [
        ['clusterimagepolicies', 'clusterimagepolicies/status'],
        ['CREATE', 'UPDATE', 'DELETE'],
      ],
      [
        ['trustroots', 'trustroots/status'],
        ['CREATE', 'UPDATE', 'DELETE'],
      ],
    ],
  )
  deepEqual(
    rules(defaulting).map((r) => r.operations),
    [
      ['CREATE', 'UPDATE'],
      ['CREATE', 'UPDATE'],
    ],
  )
})

test('a CA that cert-manager injects is left to it', () => {
  for (const name of ['inject-ca-from', 'inject-ca-from-secret', 'inject-apiserver-ca']) {
    const object = {
      ...shipped('policy.sigstore.dev', { clientConfig: { caBundle: 'theirs' } }),
      metadata: { name: 'policy.sigstore.dev', annotations: { [`cert-manager.io/${name}`]: 'x/y' } },
    }
    equal(after(validating, object).clientConfig.caBundle, 'theirs')
    ok(isTold(validating, object, authorities))
  }
})

test('a certificate that was given has a CA that is not ours to tell', () => {
  const object = shipped('policy.sigstore.dev', { clientConfig: { url: 'https://127.0.0.1:8443/x', caBundle: 'theirs' } })
  const changed = configurationAfter(validating, object, { authorities: [], owner: undefined })
  deepEqual((changed?.['webhooks'] as Webhook[])[0]?.clientConfig, { url: 'https://127.0.0.1:8443/x', caBundle: 'theirs' })
  equal('ownerReferences' in (changed?.['metadata'] as object), false)
})

test('rules that say the same in the API server’s way are not written again', () => {
  const object = configurationAfter(validating, shipped('policy.sigstore.dev'), wanted)!
  const [webhook] = object['webhooks'] as Webhook[]
  const reordered = webhook!.rules.map((r) => Object.fromEntries(Object.entries(r).toReversed()))
  equal(configurationAfter(validating, { ...object, webhooks: [{ ...webhook, rules: reordered }] }, wanted), undefined)
})

test('API servers have been told when every webhook has the CAs', () => {
  const object = configurationAfter(validating, shipped('policy.sigstore.dev'), wanted)!
  equal(isTold(validating, object, authorities), true)
  equal(isTold(validating, object, authorities.slice(1)), false)
  equal(isTold(validating, shipped('policy.sigstore.dev'), authorities), false)
})

test('the conversion of policies is kept up to date where a webhook converts, and left alone where none does', () => {
  const crd = (conversion: object): ApiObject => ({
    metadata: { name: 'clusterimagepolicies.policy.sigstore.dev' },
    spec: { group: 'policy.sigstore.dev', conversion },
  })
  equal(configurationAfter(conversion, crd({ strategy: 'None' }), wanted), undefined)
  ok(isTold(conversion, crd({ strategy: 'None' }), authorities))
  const webhook = {
    conversionReviewVersions: ['v1beta1', 'v1alpha1'],
    clientConfig: { service: { name: 'webhook', namespace: 'cosign-system' } },
  }
  const changed = configurationAfter(conversion, crd({ strategy: 'Webhook', webhook }), wanted)!
  deepEqual(changed['spec'], {
    group: 'policy.sigstore.dev',
    conversion: {
      strategy: 'Webhook',
      webhook: {
        conversionReviewVersions: ['v1beta1', 'v1alpha1'],
        clientConfig: { service: { name: 'webhook', namespace: 'cosign-system', path: '/resource-conversion' }, caBundle: bundle },
      },
    },
  })
  equal(configurationAfter(conversion, changed, wanted), undefined)
})

test('an object that has nothing of what is expected is not made worse', () => {
  for (const object of [{}, { webhooks: null }, { webhooks: 'x' }, { spec: 7 }])
    for (const configuration of [validating, conversion])
      equal(configurationAfter(configuration, object, { authorities, owner: undefined }), undefined)
})

test('what this project ships needs its CA and its owner, and no other rule', () => {
  const manifests = parseAllDocuments(readFileSync(new URL('../../../deploy/manifests/webhooks.yaml', import.meta.url), 'utf8'))
  for (const manifest of manifests.map((d) => d.toJS() as ApiObject & { kind: string; metadata: { name: string } })) {
    const configuration = [validating, mutating, resources, defaulting].find(
      (c) => c.kind === manifest.kind && c.name === manifest.metadata.name,
    )
    ok(configuration, manifest.metadata.name)
    const changed = configurationAfter(configuration, manifest, wanted)!
    const strip = (o: ApiObject) => (o['webhooks'] as Webhook[]).map((w) => ({ ...w, clientConfig: { ...w.clientConfig, caBundle: '' } }))
    deepEqual(strip(changed), strip(manifest), manifest.metadata.name)
  }
})

test('each is where the API server keeps it', () => {
  deepEqual(
    [validating, mutating, conversion].map((c) => collectionOf(c).split('/').at(-1)),
    ['validatingwebhookconfigurations', 'mutatingwebhookconfigurations', 'customresourcedefinitions'],
  )
})
