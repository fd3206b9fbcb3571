import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import { clusterImagePolicies, inForce, inForceOfPolicy, trustRoots } from '../../tools/crds.ts'
import { root } from '../../tools/project.ts'

type Schema = { type?: string; properties?: Record<string, Schema>; items?: Schema; required?: string[] } & Record<string, unknown>
type Column = { name: string; jsonPath: string; type: string; priority?: number }
type Version = {
  name: string
  served: boolean
  storage: boolean
  subresources: object
  additionalPrinterColumns: Column[]
  schema: { openAPIV3Schema: Schema }
}
type Definition = { metadata: { name: string }; spec: { group: string; scope: string; names: object; versions: Version[] } }

const definition = parse(clusterImagePolicies()) as Definition
const ofTrustRoots = parse(trustRoots()) as Definition
const versionOf = ({ spec }: Definition, name: string): Version => {
  const version = spec.versions.find((v) => v.name === name)
  assert.ok(version)
  return version
}
const schemaOf = (name: string): Schema => versionOf(definition, name).schema.openAPIV3Schema
const schemaOfTrustRoots = versionOf(ofTrustRoots, 'v1alpha1').schema.openAPIV3Schema
const bothKinds = [
  ['ClusterImagePolicy', schemaOf('v1beta1')],
  ['TrustRoot', schemaOfTrustRoots],
] as const

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

test('TrustRoots have the names that users know, and one version', () => {
  assert.equal(ofTrustRoots.metadata.name, 'trustroots.policy.sigstore.dev')
  assert.equal(ofTrustRoots.spec.scope, 'Cluster')
  assert.deepEqual(ofTrustRoots.spec.names, {
    kind: 'TrustRoot',
    listKind: 'TrustRootList',
    plural: 'trustroots',
    singular: 'trustroot',
    categories: ['all', 'sigstore'],
  })
  const versions = ofTrustRoots.spec.versions.map(({ name, served, storage, subresources }) => ({ name, served, storage, subresources }))
  assert.deepEqual(versions, [{ name: 'v1alpha1', served: true, storage: true, subresources: { status: {} } }])
})

for (const [kind, schema] of bothKinds) {
  test(`the schema of ${kind} leaves every refusal that has a text of its own to the webhooks`, () => {
    for (const [path, part] of walk(schema)) {
      for (const keyword of [
        'default',
        'enum',
        'pattern',
        'format',
        'minItems',
        'minLength',
        'maxLength',
        'oneOf',
        'x-kubernetes-validations',
      ])
        assert.ok(!(keyword in part) || path === 'status.observedGeneration', `${path}: ${keyword}`)
      assert.deepEqual(part.required, path === 'status.conditions[]' ? ['type', 'status'] : undefined, path)
    }
  })

  test(`every field of ${kind} is described, so that kubectl explain teaches`, () => {
    for (const [path, { description }] of walk(schema)) {
      if (path.endsWith('[]') || path === 'metadata') continue
      assert.match(String(description), /^[A-Za-z].*[.]$/s, path)
    }
  })

  test(`what is in force of a ${kind} is a text that the definition of the sigstore policy controller keeps too`, () => {
    const annotations = schema.properties?.['status']?.properties?.['annotations']
    assert.equal(annotations?.['x-kubernetes-preserve-unknown-fields'], true)
    assert.deepEqual(Object.keys(annotations?.properties ?? {}), Object.keys(kind === 'TrustRoot' ? inForce : inForceOfPolicy))
    for (const { type } of Object.values(annotations?.properties ?? {})) assert.equal(type, 'string')
  })
}

test('every column shows a field that there is', () => {
  for (const [{ additionalPrinterColumns }, schema] of [
    [versionOf(definition, 'v1beta1'), schemaOf('v1beta1')],
    [versionOf(ofTrustRoots, 'v1alpha1'), schemaOfTrustRoots],
  ] as const) {
    const paths = new Set([...walk(schema)].map(([path]) => path))
    for (const { name, jsonPath } of additionalPrinterColumns) {
      const path = jsonPath.slice(1).replaceAll(/\[[^\]]*\]/g, '[]')
      assert.ok(path === 'metadata.creationTimestamp' || paths.has(path), `${name}: ${jsonPath}`)
    }
  }
})

test('policies are listed with mode, images, authorities, ready and age', () => {
  const columns = versionOf(definition, 'v1beta1').additionalPrinterColumns.filter(({ priority = 0 }) => priority === 0)
  assert.deepEqual(
    columns.map(({ name }) => name),
    ['Mode', 'Images', 'Authorities', 'Ready', 'Age'],
  )
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
    'status.observedGeneration',
    ...under('status.annotations', Object.keys(inForceOfPolicy)),
    ...under('status.conditions[]', ['type', 'status', 'severity', 'lastTransitionTime', 'reason', 'message']),
    'apiVersion',
    'kind',
    'metadata',
  ]
  const leaves = [...walk(schemaOf('v1beta1'))].filter(([, { properties, items }]) => !properties && !items).map(([path]) => path)
  assert.deepEqual(leaves.toSorted(), specified.toSorted())
})

test('every field of a TrustRoot, and no other, is kept; a trusted root is kept whole', () => {
  const tuf = ['root', 'targets', 'trustedRootTarget']
  const authority = ['subject.organization', 'subject.commonName', 'uri', 'certChain']
  const log = ['baseURL', 'hashAlgorithm', 'publicKey']
  const specified = [
    ...under('spec.remote', [...tuf, 'mirror']),
    ...under('spec.repository', [...tuf, 'mirrorFS']),
    ...under('spec.sigstoreKeys.certificateAuthorities[]', authority),
    ...under('spec.sigstoreKeys.timestampAuthorities[]', authority),
    ...under('spec.sigstoreKeys.tLogs[]', log),
    ...under('spec.sigstoreKeys.ctLogs[]', log),
    'spec.trustedRoot',
    'status.observedGeneration',
    ...under('status.annotations', Object.keys(inForce)),
    ...under('status.conditions[]', ['type', 'status', 'severity', 'lastTransitionTime', 'reason', 'message']),
    'apiVersion',
    'kind',
    'metadata',
  ]
  const leaves = [...walk(schemaOfTrustRoots)].filter(([, { properties, items }]) => !properties && !items).map(([path]) => path)
  assert.deepEqual(leaves.toSorted(), specified.toSorted())
  const trustedRoot = schemaOfTrustRoots.properties?.['spec']?.properties?.['trustedRoot']
  // Without a type it may be an object, and a text.
  assert.deepEqual(Object.keys(trustedRoot ?? {}), ['description', 'x-kubernetes-preserve-unknown-fields'])
})

/** What the API server would say of `value` by its type, or would cut off. */
function* objections(schema: Schema, value: unknown, path: string): Generator<string> {
  if (schema.properties && typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [name, part] of Object.entries(value)) {
      const property = schema.properties[name]
      if (property) yield* objections(property, part, `${path}.${name}`)
      else if (schema['x-kubernetes-preserve-unknown-fields'] !== true && path !== '.metadata') yield `${path}.${name} is cut off`
    }
    return
  }
  const type = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value
  if (schema.type === undefined || (schema.type === 'integer' && type === 'number')) return
  if (schema.type !== type) yield `${path} is ${type}, wanted ${schema.type}`
  if (schema.items && Array.isArray(value))
    for (const [at, item] of value.entries()) yield* objections(schema.items, item, `${path}[${at}]`)
}

test('every object that the sigstore policy controller was seen to accept is accepted, and nothing of it is cut off', () => {
  type Recorded = { request: { kind: { kind: string }; object: Record<string, unknown> | null } }
  const read = (file: string): unknown => JSON.parse(readFileSync(root + file, 'utf8'))
  let seen = 0
  for (const folder of globSync('cases/recorded/*/case.json', { cwd: root }).map((file) => file.slice(0, -'/case.json'.length))) {
    if ((read(`${folder}/case.json`) as { path?: string }).path !== '/validating') continue
    if (!(read(`${folder}/expect.json`) as { allowed?: boolean }).allowed) continue
    const { kind, object } = (read(`${folder}/review.json`) as Recorded).request
    const schema = bothKinds.find(([name]) => name === kind.kind)?.[1]
    if (!schema || !object) continue
    const { metadata: _, ...rest } = object
    assert.deepEqual([...objections(schema, rest, '')], [], folder)
    seen++
  }
  assert.ok(seen > 40, `${seen}`)
  assert.deepEqual(
    [...objections(schemaOf('v1beta1'), { spec: { mode: 1, images: [{ regex: 'x' }] } }, '')],
    ['.spec.mode is number, wanted string', '.spec.images[0].regex is cut off'],
  )
})
