import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { leftOver } from '../../../../programs/cli/checks/left-over.ts'
import { sound, ward } from './ward.ts'

const configMap = (name: string, data: object) => ({ kind: 'ConfigMap', metadata: { name, namespace: 'cosign-system' }, data })
const policy = (name: string, metadata: object = {}) => ({ kind: 'ClusterImagePolicy', metadata: { name, ...metadata }, spec: {} })
const FINALIZER = 'clusterimagepolicies.policy.sigstore.dev'

test('a cluster that never had another controller has nothing left over', async (t) => deepEqual(await (await ward(t)).found(leftOver), []))

test('entries that no policy stands behind are told: here nobody goes by them', async (t) => {
  const one = await ward(t)
  one.cluster.store.put(policy('p'))
  one.cluster.store.put(configMap('config-image-policies', { _example: '', p: '{}', mine: '{}', yours: '{}' }))
  one.cluster.store.put(configMap('config-sigstore-keys', { _example: '' }))
  deepEqual(await one.found(leftOver), [
    'warning: config-image-policies holds what no ClusterImagePolicy says (mine, yours): the sigstore policy controller goes by it, Sealgate does not',
  ])
})

test('entries of policies are noted, and so are finalizers and Leases', async (t) => {
  const one = await ward(t)
  one.cluster.store.put(policy('p', { finalizers: [FINALIZER] }))
  one.cluster.store.put(configMap('config-image-policies', { p: '{}' }))
  one.cluster.store.put({ kind: 'Lease', metadata: { name: 'policy-controller.webhookcertificates.00-of-01', namespace: 'cosign-system' } })
  one.cluster.store.put({ kind: 'Lease', metadata: { name: 'sealgate-webhook', namespace: 'cosign-system' } })
  deepEqual(await one.found(leftOver), [
    'note: config-image-policies holds 1 entry of objects that exist: it is neither read nor written, and may be deleted once nobody goes back',
    'note: 1 ClusterImagePolicy carries a finalizer of the sigstore policy controller: Sealgate takes it away when the object is deleted',
    'note: 1 Lease of the sigstore policy controller: they hold nobody up, and may be deleted once it is gone',
  ])
})

test('several are told in the plural', async (t) => {
  const one = await ward(t)
  for (const name of ['p', 'q']) one.cluster.store.put(policy(name, { finalizers: [FINALIZER] }))
  deepEqual(await one.found(leftOver), [
    'note: 2 ClusterImagePolicies carry a finalizer of the sigstore policy controller: Sealgate takes it away when the object is deleted',
  ])
})

test('a policy that a finalizer keeps from going is told', async (t) => {
  const one = await ward(t, sound())
  one.cluster.store.put(policy('p', { finalizers: [FINALIZER], deletionTimestamp: '2026-01-01T00:00:00Z' }))
  deepEqual(await one.found(leftOver), ['warning: ClusterImagePolicies are being deleted and still in force, held by a finalizer: p'])
})
