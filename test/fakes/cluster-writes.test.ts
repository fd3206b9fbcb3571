import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterStore, type StoredObject } from '../../fakes/cluster-store.ts'
import { write, type WriteVerb } from '../../fakes/cluster-writes.ts'

const POLICIES = '/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies'
const policy = { kind: 'ClusterImagePolicy', metadata: { name: 'p' }, spec: { mode: 'warn' } }

function cluster() {
  const store = new ClusterStore()
  const send = (verb: WriteVerb, path: string, body: object, type = 'application/merge-patch+json') => {
    const asked = store.locate(path)
    assert.ok(asked, path)
    const { code, object, message } = write(store, verb, asked, JSON.stringify(body), type)
    return { code, message, object: object as StoredObject }
  }
  return { store, send }
}

test('what is created has a uid, a generation and a version, and not the status that was sent', () => {
  const { send } = cluster()
  const { code, object } = send('create', POLICIES, { ...policy, status: { observedGeneration: 7 } })
  assert.deepEqual([code, object['status'], object.metadata['generation']], [201, undefined, 1])
  assert.ok(object.metadata['uid'] && object.metadata.resourceVersion)
  assert.equal(send('create', POLICIES, policy).code, 409)
})

test('a status is written by itself and makes no generation; a spec does', () => {
  const { send } = cluster()
  send('create', POLICIES, policy)
  const written = send('patch', `${POLICIES}/p/status`, { spec: { mode: 'enforce' }, status: { observedGeneration: 1 } }).object
  assert.deepEqual([written['spec'], written['status'], written.metadata['generation']], [{ mode: 'warn' }, { observedGeneration: 1 }, 1])
  const changed = send('patch', `${POLICIES}/p`, { spec: { mode: 'enforce' }, status: null }).object
  assert.deepEqual(
    [changed['spec'], changed['status'], changed.metadata['generation']],
    [{ mode: 'enforce' }, { observedGeneration: 1 }, 2],
  )
})

test('a write against an older version is a conflict, and one that changes nothing makes no version', () => {
  const { send, store } = cluster()
  const { resourceVersion } = send('create', POLICIES, policy).object.metadata
  const labelled = { ...policy, metadata: { name: 'p', resourceVersion, labels: { a: 'b' } } }
  assert.equal(send('update', `${POLICIES}/p`, labelled).code, 200)
  const { version } = store
  assert.equal(send('update', `${POLICIES}/p`, labelled).code, 409)
  assert.equal(send('update', `${POLICIES}/p`, { ...labelled, metadata: { name: 'p', labels: { a: 'b' } } }).code, 200)
  assert.equal(store.version, version)
})

test('what has finalizers is deleted when the last one is gone', () => {
  const { send, store } = cluster()
  send('create', POLICIES, { ...policy, metadata: { name: 'p', finalizers: ['a', 'b'] } })
  assert.ok(send('delete', `${POLICIES}/p`, {}).object.metadata['deletionTimestamp'])
  assert.equal(send('patch', `${POLICIES}/p`, { metadata: { finalizers: ['b'] } }).code, 200)
  assert.ok(store.get(store.locate(POLICIES)!.resource, '', 'p'))
  send('patch', `${POLICIES}/p`, { metadata: { finalizers: [] } })
  assert.equal(store.get(store.locate(POLICIES)!.resource, '', 'p'), undefined)
})

test('a deletion may depend on the version that was seen', () => {
  const { send } = cluster()
  const { resourceVersion, uid } = send('create', POLICIES, policy).object.metadata
  const refused = send('delete', `${POLICIES}/p`, { preconditions: { resourceVersion: '1' } })
  assert.match(refused.message ?? '', /^Operation cannot be fulfilled .* the resourceVersion in the precondition \("1"\)/)
  assert.equal(send('delete', `${POLICIES}/p`, { preconditions: { uid, resourceVersion } }).code, 200)
})

test('what is not there, of another name, or not understood is refused', () => {
  const { send } = cluster()
  assert.match(send('update', `${POLICIES}/p`, policy).message ?? '', /not found$/)
  send('create', POLICIES, policy)
  assert.equal(send('update', `${POLICIES}/p`, { ...policy, metadata: { name: 'q' } }).code, 400)
  assert.equal(send('patch', `${POLICIES}/p`, {}, 'application/strategic-merge-patch+json').code, 415)
  assert.equal(send('create', POLICIES, { kind: 'ClusterImagePolicy' }).code, 422)
})

test('a status is only there where the resource has one', () => {
  const { store } = cluster()
  assert.equal(store.locate(`${POLICIES}/p/status`)?.isStatus, true)
  assert.equal(store.locate('/api/v1/namespaces/demo/secrets/s/status'), undefined)
})
