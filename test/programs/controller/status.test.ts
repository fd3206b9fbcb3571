import { deepEqual, equal, match } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { FakeCluster } from '../../../fakes/cluster.ts'
import { Statuses, type Tell, type Told } from '../../../programs/controller/status.ts'
import { compile, nothingKnown } from '../../../src/policy/compile.ts'
import type { ClusterObjects } from '../../../src/policy/objects.ts'
import { ApiServer } from '../../../src/world/cluster/api-server.ts'
import { silent } from '../../../src/world/log.ts'

const POLICIES = '/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies'
const ROOTS = '/apis/policy.sigstore.dev/v1alpha1/trustroots'
const PASS = [{ static: { action: 'pass' } }]
const MISSING = [{ key: { secretRef: { name: 'cosign-key' } } }]
const policy = (name: string, authorities: readonly object[] = PASS, more: object = {}) => ({
  kind: 'ClusterImagePolicy',
  metadata: { name, uid: `uid-${name}`, generation: 1, ...more },
  spec: { images: [{ glob: '**' }], authorities },
})

async function cluster(t: TestContext, tell?: Tell) {
  const fake = await FakeCluster.start()
  const api = new ApiServer({ server: fake.url, proxy: undefined, credentials: async () => ({ tls: {}, headers: {} }) })
  const turned: unknown[][] = []
  const statuses = new Statuses({
    api,
    log: silent,
    ...(tell && { tell: () => tell }),
    turned: (kind, object, why) => turned.push([kind, (object['metadata'] as { name: string }).name, why?.message]),
    times: { firstPause: 10, longestPause: 50 },
  })
  t.after(async () => {
    await statuses.close()
    await api.close()
    await fake.stop()
  })
  const list = (path: string) => {
    const at = fake.store.locate(path)!
    const { items } = fake.store.list(at.resource, '', '', 0, '') as { items: { metadata: { name: string } }[] }
    return new Map(items.map((o) => [o.metadata.name, o as object]))
  }
  const get = (path: string, name: string) =>
    fake.store.get(fake.store.locate(path)!.resource, '', name) as
      | { metadata: { finalizers?: string[] }; status?: { conditions?: { type: string; status: string; message?: string }[] } }
      | undefined
  const compiled = (secrets: ClusterObjects['secrets'] = new Map(), configMaps: ClusterObjects['configMaps'] = new Map()) => {
    const objects: ClusterObjects = {
      policies: list(POLICIES),
      policiesIncomplete: undefined,
      secrets,
      configMaps,
      trustRoots: list(ROOTS),
    }
    return { snapshot: compile(objects, 'cosign-system', nothingKnown), objects }
  }
  const look = (): void => {
    const { snapshot, objects } = compiled()
    statuses.look(snapshot, objects)
  }
  const ready = (name: string, path = POLICIES) => get(path, name)?.status?.conditions?.find((c) => c.type === 'Ready')?.status
  return { fake, statuses, compiled, look, get, ready, turned }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !isSo(); i++) await wait(10)
  equal(isSo(), true)
}

test('a policy that is in force says so, one whose key is missing says why, and each is written once', async (t) => {
  const { fake, look, ready, get, turned } = await cluster(t)
  fake.store.put(policy('sound'))
  fake.store.put(policy('broken', MISSING))
  look()
  await until(() => ready('sound') === 'True' && ready('broken') === 'False')
  const conditions = get(POLICIES, 'broken')?.status?.conditions
  deepEqual(
    conditions?.map((c) => `${c.type} ${c.status} ${c.message ?? ''}`.trim()),
    [
      'ConfigMapUpdated Unknown',
      'KeysInlined False secret "cosign-key" not found',
      'PoliciesInlined Unknown',
      'Ready False secret "cosign-key" not found',
    ],
  )
  await until(() => turned.length > 0)
  deepEqual(turned, [['ClusterImagePolicy', 'broken', 'secret "cosign-key" not found']])
  look()
  await wait(50)
  equal(fake.count('patch'), 2)
})

test('a policy whose text is not where it says names the ConfigMap, until that is there', async (t) => {
  const { fake, statuses, compiled, get, ready } = await cluster(t)
  const sound = policy('worded')
  fake.store.put({ ...sound, spec: { ...sound.spec, policy: { type: 'cue', configMapRef: { name: 'texts', key: 'a' } } } })
  const conditions = () => get(POLICIES, 'worded')?.status?.conditions?.map((c) => `${c.type} ${c.status} ${c.message ?? ''}`.trim())
  const look = (configMaps: ClusterObjects['configMaps']): void => {
    const { snapshot, objects } = compiled(new Map(), configMaps)
    statuses.look(snapshot, objects)
  }
  look(new Map())
  await until(() => ready('worded') === 'False')
  deepEqual(conditions(), [
    'ConfigMapUpdated Unknown',
    'KeysInlined True',
    'PoliciesInlined False configmap "texts" not found',
    'Ready False configmap "texts" not found',
  ])
  look(new Map([['texts', { data: { a: 'x: 1' } }]]))
  await until(() => conditions()?.includes('PoliciesInlined True') === true)
  // It is known, and not carried out.
  equal(ready('worded'), 'False')
})

test('of many policies only those that changed are looked at again', async (t) => {
  const { fake, look, ready } = await cluster(t)
  for (let i = 0; i < 50; i++) fake.store.put(policy(`p${i}`))
  look()
  await until(() => Array.from({ length: 50 }, (_, i) => ready(`p${i}`)).every((r) => r === 'True'))
  const reads = fake.count('get')
  fake.store.put({ ...policy('p7', MISSING, { generation: 2 }), status: { observedGeneration: 1 } })
  look()
  await until(() => ready('p7') === 'False')
  equal(fake.count('get'), reads + 1)
})

test('a status is about the generation that was compiled, never about one that came meanwhile', async (t) => {
  const { fake, look, get, ready } = await cluster(t)
  fake.store.put(policy('p'))
  const takeBack = fake.fail({ verb: 'get', how: 'status', status: 500, message: 'busy' })
  look()
  await wait(20)
  fake.store.put(policy('p', MISSING, { generation: 2 }))
  takeBack()
  await wait(100)
  equal(get(POLICIES, 'p')?.status, undefined)
  look()
  await until(() => ready('p') === 'False')
})

test('what somebody else writes meanwhile is not overwritten', async (t) => {
  const { fake, look, get, ready } = await cluster(t)
  fake.store.put(policy('p'))
  fake.fail({ verb: 'patch', how: 'status', status: 409, message: 'the object has been modified', times: 1 })
  look()
  await until(() => ready('p') === 'True')
  equal(get(POLICIES, 'p')?.metadata.finalizers, undefined)
})

test('of an object that is deleted exactly the finalizers of the policy controller are taken away, and none is added', async (t) => {
  const { fake, look, get } = await cluster(t)
  const upstream = 'clusterimagepolicies.policy.sigstore.dev'
  const deletionTimestamp = '2026-01-01T00:00:00Z'
  fake.store.put(policy('going', PASS, { finalizers: [upstream], deletionTimestamp }))
  fake.store.put(policy('held', PASS, { finalizers: ['theirs', upstream], deletionTimestamp }))
  fake.store.put(policy('staying', PASS, { finalizers: [upstream] }))
  fake.store.put({
    kind: 'TrustRoot',
    metadata: { name: 'root', generation: 1, finalizers: ['trustroots.policy.sigstore.dev'], deletionTimestamp },
  })
  const told: Told = { steps: { keys: 'done', inForce: 'done' }, facts: { keys: 1, hash: 'a' } }
  const roots = await cluster(t, { policy: () => undefined, trustRoot: () => told })
  roots.fake.store.put({
    kind: 'TrustRoot',
    metadata: { name: 'root', generation: 1, finalizers: ['trustroots.policy.sigstore.dev'], deletionTimestamp },
  })
  look()
  roots.look()
  await until(() => get(POLICIES, 'going') === undefined && get(POLICIES, 'held')?.metadata.finalizers?.length === 1)
  await until(() => roots.get(ROOTS, 'root') === undefined)
  deepEqual([get(POLICIES, 'held')?.metadata.finalizers, get(POLICIES, 'staying')?.metadata.finalizers], [['theirs'], [upstream]])
})

test('a trust root tells how it is, and nothing is written while nothing is known of it', async (t) => {
  let told: Told | undefined
  const { fake, look, ready, get } = await cluster(t, { policy: () => undefined, trustRoot: () => told })
  fake.store.put({ kind: 'TrustRoot', metadata: { name: 'root', generation: 1 }, spec: {} })
  look()
  await wait(30)
  equal(fake.count('get'), 0)
  told = { steps: { keys: { failed: 'no certificate authorities found' }, inForce: 'done' }, facts: { keys: 0, hash: '' } }
  look()
  await until(() => ready('root', ROOTS) === 'False')
  told = { steps: { keys: 'done', inForce: 'done' }, facts: { keys: 3, hash: 'x', expires: Date.parse('2030-01-01T00:00:00Z') } }
  look()
  await until(() => ready('root', ROOTS) === 'True')
  match(JSON.stringify(get(ROOTS, 'root')?.status), /"keys":"3".*"expires":"2030-01-01T00:00:00Z"/)
})

test('an API server that is away is written to when it is back', async (t) => {
  const { fake, look, ready, turned } = await cluster(t)
  fake.store.put(policy('p', MISSING))
  await fake.stop()
  look()
  await wait(50)
  await fake.start()
  await until(() => ready('p') === 'False' && turned.length === 1)
})

test('thousands of policies are looked at without holding up a request', async (t) => {
  const { fake, statuses, compiled } = await cluster(t)
  for (let i = 0; i < 6_000; i++) fake.store.put(policy(`p${i}`))
  const { snapshot, objects } = compiled()
  const began = performance.now()
  statuses.look(snapshot, objects)
  const held = performance.now() - began
  await until(() => fake.count('patch') > 50)
  // All at once takes some 80 ms on a quiet machine.
  equal(held < 40, true, `${held} ms`)
})
