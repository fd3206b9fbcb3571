import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pullSecretNames, readObjects } from '../../../src/world/cluster/objects.ts'

const policy = {
  apiVersion: 'policy.sigstore.dev/v1beta1',
  kind: 'ClusterImagePolicy',
  metadata: { name: 'p' },
  spec: { images: 'not even a list' },
}
const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'cosign-system' }, data: { a: 'aGk=' } }

function read(...values: unknown[]): ReturnType<typeof readObjects> {
  return readObjects(values.map((value, i) => ({ number: i + 1, line: 10 * i + 1, value })))
}

function places(...values: unknown[]): string[] {
  const answer = read(...values)
  assert.ok(answer.ok, answer.ok ? '' : answer.problem)
  return answer.objects.map((o) => `${o.kind} ${o.namespace}/${o.name} at ${o.at}`)
}

test('every kind that a decision needs is taken, in both versions of policies', () => {
  assert.deepEqual(
    places(
      policy,
      { ...policy, apiVersion: 'policy.sigstore.dev/v1alpha1', metadata: { name: 'q' } },
      { ...policy, kind: 'TrustRoot', apiVersion: 'policy.sigstore.dev/v1alpha1' },
      secret,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'x' }, data: { a: 'b' } },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'a', namespace: 'x' } },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } },
    ),
    [
      'ClusterImagePolicy /p at document 1, line 1',
      'ClusterImagePolicy /q at document 2, line 11',
      'TrustRoot /p at document 3, line 21',
      'Secret cosign-system/s at document 4, line 31',
      'ConfigMap x/c at document 5, line 41',
      'ServiceAccount x/a at document 6, line 51',
      'Namespace /n at document 7, line 61',
    ],
  )
})

test('an object that names no namespace is in default, as with kubectl', () => {
  assert.deepEqual(places({ ...secret, metadata: { name: 's' } }, { ...secret, metadata: { name: 't', namespace: '' } }), [
    'Secret default/s at document 1, line 1',
    'Secret default/t at document 2, line 11',
  ])
})

test('Lists of any kind are expanded; items of a typed list need no kind', () => {
  const { apiVersion: _, kind: __, ...bare } = policy
  const list = {
    apiVersion: 'v1',
    kind: 'List',
    items: [secret, { apiVersion: policy.apiVersion, kind: 'ClusterImagePolicyList', items: [bare] }],
  }
  assert.deepEqual(places(list), [
    'Secret cosign-system/s at document 1, line 1, items[0]',
    'ClusterImagePolicy /p at document 1, line 1, items[1], items[0]',
  ])
})

test('other kinds are ignored and told of', () => {
  const answer = read({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' } }, policy)
  assert.ok(answer.ok)
  assert.deepEqual(answer.ignored, ['Deployment (apps/v1)'])
  assert.equal(answer.objects.length, 1)
})

test('stringData is folded into data, and wins', () => {
  const answer = read({ ...secret, data: { a: 'aGk=', b: 'aGk=' }, stringData: { b: 'B', c: 'ü' } })
  assert.ok(answer.ok)
  assert.deepEqual(answer.objects[0]?.object, { ...secret, data: { a: 'aGk=', b: 'Qg==', c: 'w7w=' } })
})

test('what a ClusterImagePolicy says is not judged here: a wrong one is kept, so that it refuses', () => {
  const answer = read(policy)
  assert.ok(answer.ok)
  assert.equal(answer.objects[0]?.object, policy)
})

for (const [what, value, problem] of [
  ['a scalar', 'hello', 'not a Kubernetes object'],
  ['a list', [policy], 'not a Kubernetes object'],
  ['no kind', { apiVersion: 'v1' }, 'kind is missing'],
  ['no apiVersion', { kind: 'Secret' }, 'apiVersion is missing'],
  ['no name', { ...policy, metadata: {} }, 'metadata.name of a ClusterImagePolicy is missing, wanted a DNS name'],
  ['a name that is none', { ...policy, metadata: { name: '../x' } }, 'metadata.name of a ClusterImagePolicy is "../x", wanted a DNS name'],
  [
    'a namespace that is none',
    { ...secret, metadata: { name: 's', namespace: 7 } },
    'metadata.namespace of Secret s is 7, wanted a DNS label',
  ],
  [
    'a policy of an unknown version',
    { ...policy, apiVersion: 'policy.sigstore.dev/v1' },
    'apiVersion of a ClusterImagePolicy is "policy.sigstore.dev/v1", wanted policy.sigstore.dev/v1beta1 or policy.sigstore.dev/v1alpha1',
  ],
  [
    'a policy of another group',
    { ...policy, apiVersion: 'cosigned.sigstore.dev/v1alpha1' },
    'apiVersion of a ClusterImagePolicy is "cosigned.sigstore.dev/v1alpha1", wanted policy.sigstore.dev/v1beta1 or policy.sigstore.dev/v1alpha1',
  ],
  [
    "a misspelt kind of the policies' group",
    { ...policy, kind: 'ClusterImagepolicy' },
    'no kind "ClusterImagepolicy" in policy.sigstore.dev',
  ],
  ['items that are no list', { apiVersion: 'v1', kind: 'List', items: {} }, 'items is not a list'],
  ['a wrong item', { apiVersion: 'v1', kind: 'List', items: [secret, {}] }, 'items[1]: kind is missing'],
  [
    'data that is not base64',
    { ...secret, data: { 'cosign.pub': 'hunter2!' } },
    'Secret s: data.cosign.pub: illegal base64 data at input byte 7',
  ],
  ['data that is no text', { ...secret, data: { a: 1 } }, 'Secret s: data.a is not a text: put it in quotes'],
  ['stringData that is no text', { ...secret, stringData: { a: true } }, 'Secret s: stringData.a is not a text: put it in quotes'],
  [
    'settings that are no text',
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { 'enable-oci11': true } },
    'ConfigMap c: data.enable-oci11 is not a text: put it in quotes',
  ],
] as const) {
  test(`${what} is an error that names the document`, () =>
    assert.deepEqual(read(policy, value), { ok: false, problem: `document 2, line 11: ${problem}` }))
}

test('names of pull secrets that no Secret can have are left out', () => {
  assert.deepEqual(pullSecretNames({ imagePullSecrets: [{ name: 'a' }, { name: '../../x' }, {}, 'b', { name: 'c.d-e' }] }), ['a', 'c.d-e'])
  assert.deepEqual(pullSecretNames({}), [])
  assert.deepEqual(pullSecretNames({ imagePullSecrets: 'a' }), [])
})

test('at most a hundred pull secrets of a ServiceAccount count', () => {
  assert.equal(pullSecretNames({ imagePullSecrets: Array.from({ length: 1000 }, (_, i) => ({ name: `s${i}` })) }).length, 100)
})
