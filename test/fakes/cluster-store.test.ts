import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterStore } from '../../fakes/cluster-store.ts'

const secret = (namespace: string, name: string, type = 'Opaque') => ({ kind: 'Secret', metadata: { namespace, name }, type })
type List = {
  readonly metadata: { readonly continue?: string; readonly resourceVersion: string }
  readonly items: readonly { readonly metadata: { readonly name: string } }[]
}

function resourceOf(store: ClusterStore, path: string) {
  const found = store.locate(path)
  assert.ok(found)
  return found.resource
}

for (const [path, resource, namespace, name] of [
  ['/api/v1/secrets', 'secrets', '', ''],
  ['/api/v1/namespaces/demo/secrets', 'secrets', 'demo', ''],
  ['/api/v1/namespaces/demo/secrets/s', 'secrets', 'demo', 's'],
  ['/apis/policy.sigstore.dev/v1beta1/clusterimagepolicies', 'clusterimagepolicies', '', ''],
  ['/apis/policy.sigstore.dev/v2/clusterimagepolicies', undefined, '', ''],
  ['/apis/v1/secrets', undefined, '', ''],
] as const) {
  test(`${path} is ${resource ?? 'nothing'}`, () => {
    const found = new ClusterStore().locate(path)
    assert.deepEqual(found && [found.resource.resource, found.namespace, found.name], resource && [resource, namespace, name])
  })
}

test('a list comes in pages of one version, whatever changes between them', () => {
  const store = new ClusterStore()
  for (const name of ['a', 'b', 'c']) store.put(secret('demo', name))
  store.put(secret('other', 'd'))
  const secrets = resourceOf(store, '/api/v1/secrets')
  const first = store.list(secrets, 'demo', '', 2, '') as List
  store.remove('Secret', 'demo', 'c')
  const second = store.list(secrets, 'demo', '', 2, first.metadata.continue ?? '') as List
  assert.deepEqual(
    [first, second].map((l) => l.items.map((i) => i.metadata.name)),
    [['a', 'b'], ['c']],
  )
  assert.equal(first.metadata.resourceVersion, second.metadata.resourceVersion)
  assert.equal(second.metadata.continue, undefined)
})

test('after compaction neither pages nor events before it are known', () => {
  const store = new ClusterStore()
  for (const name of ['a', 'b']) store.put(secret('demo', name))
  const secrets = resourceOf(store, '/api/v1/secrets')
  const page = store.list(secrets, '', '', 1, '') as List
  const { version } = store
  assert.deepEqual(
    store.since(secrets, version - 1)?.map((e) => e.object.metadata.name),
    ['b'],
  )
  store.put(secret('demo', 'c'))
  store.compact()
  assert.equal(store.list(secrets, '', '', 1, page.metadata.continue ?? ''), undefined)
  assert.equal(store.since(secrets, version), undefined)
  assert.deepEqual(store.since(secrets, store.version), [])
})

test('events say whether an object is new, changed or gone', () => {
  const store = new ClusterStore()
  const types: string[] = []
  store.onEvent((event) => types.push(event.type))
  store.put(secret('demo', 'a'))
  store.put(secret('demo', 'a'))
  store.remove('Secret', 'demo', 'a')
  assert.deepEqual(types, ['ADDED', 'MODIFIED', 'DELETED'])
})

for (const [selector, isSelected] of [
  ['', true],
  ['metadata.name=a', true],
  ['metadata.name=b', false],
  ['type!=helm.sh/release.v1', false],
  ['type=helm.sh/release.v1,metadata.name=a', true],
] as const) {
  test(`the selector "${selector}" ${isSelected ? 'selects' : 'leaves out'} a release of helm named a`, () => {
    assert.equal(new ClusterStore().isSelected(secret('demo', 'a', 'helm.sh/release.v1'), selector), isSelected)
  })
}

test('a version that is not served is not found', () => {
  const store = new ClusterStore()
  store.servePolicies('v1alpha1')
  assert.ok(store.locate('/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies'))
  assert.equal(store.locate('/apis/policy.sigstore.dev/v1beta1/clusterimagepolicies'), undefined)
})
