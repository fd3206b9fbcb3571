import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { clusterImagePolicies } from '../../tools/crds.ts'

type Schema = { type?: string; properties?: Record<string, Schema>; items?: Schema; required?: string[] } & Record<string, unknown>
type Version = { name: string; served: boolean; storage: boolean; subresources: object; schema: { openAPIV3Schema: Schema } }
type Definition = { metadata: { name: string }; spec: { group: string; scope: string; names: object; versions: Version[] } }

const definition = parse(clusterImagePolicies()) as Definition
const schemaOf = (name: string): Schema => {
  const version = definition.spec.versions.find((v) => v.name === name)
  assert.ok(version)
  return version.schema.openAPIV3Schema
}

function* walk(schema: Schema, path = ''): Generator<[string, Schema]> {
  yield [path, schema]
  for (const [name, property] of Object.entries(schema.properties ?? {})) yield* walk(property, path === '' ? name : `${path}.${name}`)
  if (schema.items) yield* walk(schema.items, `${path}[]`)
}

test('the resource has the names that users know', () => {
  assert.equal(definition.metadata.name, 'clusterimagepolicies.policy.sigstore.dev')
  assert.equal(definition.spec.scope, 'Cluster')
  assert.deepEqual(definition.spec.names, {
    kind: 'ClusterImagePolicy',
    listKind: 'ClusterImagePolicyList',
    plural: 'clusterimagepolicies',
    singular: 'clusterimagepolicy',
    shortNames: ['cip'],
    categories: ['all', 'sigstore'],
  })
})

test('v1alpha1 is stored, both versions are served and have the same fields', () => {
  const versions = definition.spec.versions.map(({ name, served, storage, subresources }) => ({ name, served, storage, subresources }))
  assert.deepEqual(versions, [
    { name: 'v1alpha1', served: true, storage: true, subresources: { status: {} } },
    { name: 'v1beta1', served: true, storage: false, subresources: { status: {} } },
  ])
  assert.deepEqual(schemaOf('v1alpha1'), schemaOf('v1beta1'))
})

test('the schema leaves every refusal that has a text of its own to the webhooks', () => {
  for (const [path, schema] of walk(schemaOf('v1beta1'))) {
    for (const keyword of ['default', 'enum', 'pattern', 'minItems', 'minLength', 'oneOf', 'x-kubernetes-validations'])
      assert.ok(!(keyword in schema), `${path}: ${keyword}`)
    assert.deepEqual(schema.required, path === 'status.conditions[]' ? ['type', 'status'] : undefined, path)
  }
})

test('every field is described, so that kubectl explain teaches', () => {
  for (const [path, schema] of walk(schemaOf('v1beta1').properties?.['spec'] ?? {}, 'spec'))
    if (!path.endsWith('[]')) assert.equal(typeof schema['description'], 'string', path)
})

const keyFields = ['secretRef.name', 'secretRef.namespace', 'data', 'kms', 'hashAlgorithm']
const policyFields = [
  'type',
  'data',
  'remote.url',
  'remote.sha256sum',
  'configMapRef.name',
  'configMapRef.namespace',
  'configMapRef.key',
  'fetchConfigFile',
  'includeSpec',
  'includeObjectMeta',
  'includeTypeMeta',
]
const under = (prefix: string, names: readonly string[]): string[] => names.map((name) => `${prefix}.${name}`)

test('every field of the specification, and no other, is kept', () => {
  const specified = [
    ...under('spec', ['images[].glob', 'mode', ...under('policy', policyFields)]),
    ...under('spec.match[]', ['group', 'version', 'resource', 'selector.matchLabels']),
    ...under('spec.match[].selector.matchExpressions[]', ['key', 'operator', 'values[]']),
    ...under('spec.authorities[]', [
      'name',
      'static.action',
      'static.message',
      'ctlog.url',
      'ctlog.trustRootRef',
      'rfc3161timestamp.trustRootRef',
      'signatureFormat',
    ]),
    ...under('spec.authorities[].key', keyFields),
    ...under('spec.authorities[].keyless', ['url', 'trustRootRef', 'insecureIgnoreSCT', ...under('ca-cert', keyFields)]),
    ...under('spec.authorities[].keyless.identities[]', ['issuer', 'issuerRegExp', 'subject', 'subjectRegExp']),
    ...under('spec.authorities[].source[]', ['oci', 'signaturePullSecrets[].name', 'tagPrefix']),
    ...under('spec.authorities[].attestations[]', ['name', 'predicateType', ...under('policy', policyFields)]),
    ...under('status', ['observedGeneration', 'annotations']),
    ...under('status.conditions[]', ['type', 'status', 'severity', 'lastTransitionTime', 'reason', 'message']),
    'apiVersion',
    'kind',
    'metadata',
  ]
  const leaves = [...walk(schemaOf('v1beta1'))].filter(([, { properties, items }]) => !properties && !items).map(([path]) => path)
  assert.deepEqual(leaves.toSorted(), specified.toSorted())
})
