import assert from 'node:assert/strict'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { FakeCluster } from '../../../fakes/cluster.ts'
import type { Cluster } from '../../../src/world/cluster/cluster.ts'
import { type KubernetesOptions, openKubernetes } from '../../../src/world/cluster/kubernetes.ts'
import { silent } from '../../../src/world/log.ts'

const policy = (name: string, more: object = {}) => ({
  kind: 'ClusterImagePolicy',
  metadata: { name, ...more },
  spec: { images: [{ glob: '**' }] },
})
const trustRoot = (name: string, more: object = {}) => ({ kind: 'TrustRoot', metadata: { name }, spec: { trustedRoot: {} }, ...more })
const secret = (namespace: string, name: string, more: object = {}) => ({
  kind: 'Secret',
  metadata: { namespace, name },
  type: 'Opaque',
  data: { a: 'aGk=' },
  ...more,
})
const account = (namespace: string, name: string, ...names: string[]) => ({
  kind: 'ServiceAccount',
  metadata: { namespace, name, annotations: { large: 'x' } },
  imagePullSecrets: names.map((n) => ({ name: n })),
})
const pull = { type: 'kubernetes.io/dockercfg', data: { '.dockercfg': 'e30=' } }

async function opened(
  t: TestContext,
  before: (fake: FakeCluster) => void = () => undefined,
  options: Partial<KubernetesOptions> = {},
): Promise<{ fake: FakeCluster; cluster: Cluster }> {
  const fake = await FakeCluster.start()
  before(fake)
  const kubeconfig = join(await mkdtemp(join(tmpdir(), 'sealgate-kubernetes-')), 'config')
  await writeFile(kubeconfig, fake.kubeconfig())
  const cluster = await openKubernetes({
    kubeconfig,
    systemNamespace: 'cosign-system',
    log: silent,
    times: { firstPause: 10, longestPause: 100 },
    ...options,
  })
  t.after(async () => {
    await cluster.close()
    await fake.stop()
  })
  return { fake, cluster }
}

/** Waits, at most 4 s, until something has come about. */
async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 800 && !isSo(); i++) await wait(5)
  assert.ok(isSo())
}

const ready = ({ fake, cluster }: { fake: FakeCluster; cluster: Cluster }) =>
  until(() => cluster.waitingFor().length === 0 && fake.count('watch') >= 5)

test("policies, TrustRoots, Secrets and ConfigMaps of the controller's namespace, and every ServiceAccount, are known once the first lists are in", async (t) => {
  const setting = await opened(t, (fake) => {
    fake.store.put(policy('p'))
    fake.store.put(trustRoot('ours'))
    fake.store.put(secret('cosign-system', 'key'))
    fake.store.put(secret('demo', 'elsewhere'))
    fake.store.put({ kind: 'ConfigMap', metadata: { namespace: 'cosign-system', name: 'config-policy-controller' }, data: { a: 'b' } })
    fake.store.put({ kind: 'ConfigMap', metadata: { namespace: 'demo', name: 'config-policy-controller' }, data: { a: 'c' } })
    fake.store.put(account('demo', 'default', 'pull'))
    fake.store.put(account('other', 'default'))
  })
  const { cluster, fake } = setting
  assert.equal(cluster.waitingFor().length, 5)
  assert.equal(cluster.objects().policiesIncomplete, 'clusterimagepolicies.policy.sigstore.dev: not read yet')
  assert.equal(cluster.objects().trustRootsIncomplete, 'trustroots.policy.sigstore.dev: not read yet')
  assert.deepEqual(cluster.pullSecretsOf('demo', 'default'), { state: 'failed', text: 'serviceaccounts: not read yet' })
  await ready(setting)
  const { policies, policiesIncomplete, secrets, configMaps, trustRoots, trustRootsIncomplete } = cluster.objects()
  assert.deepEqual([policiesIncomplete, trustRootsIncomplete, [...trustRoots.keys()]], [undefined, undefined, ['ours']])
  assert.deepEqual([[...policies.keys()], [...secrets.keys()], [...configMaps.keys()]], [['p'], ['key'], ['config-policy-controller']])
  assert.deepEqual((configMaps.get('config-policy-controller') as { data: object }).data, { a: 'b' })
  assert.deepEqual(cluster.pullSecretsOf('demo', 'default'), { state: 'found', value: ['pull'] })
  assert.deepEqual(cluster.pullSecretsOf('other', 'default'), { state: 'found', value: [] })
  assert.deepEqual(cluster.pullSecretsOf('demo', 'nobody'), { state: 'absent' })
  assert.ok(cluster.lastContactAge() < 4_000)
  const asked = fake.requests.map((r) => `${r.verb} ${r.resource} ${r.namespace}`)
  assert.deepEqual([...new Set(asked)].toSorted(), [
    'list clusterimagepolicies ',
    'list configmaps cosign-system',
    'list secrets cosign-system',
    'list serviceaccounts ',
    'list trustroots ',
    'watch clusterimagepolicies ',
    'watch configmaps cosign-system',
    'watch secrets cosign-system',
    'watch serviceaccounts ',
    'watch trustroots ',
  ])
})

test('a change gives a new snapshot, and one call for many events; without a change it is the same', async (t) => {
  const setting = await opened(t, (fake) => fake.store.put(policy('p')))
  const { cluster, fake } = setting
  await ready(setting)
  await wait(20)
  const before = cluster.objects()
  assert.equal(cluster.objects(), before)
  let calls = 0
  cluster.onChange(() => calls++)
  for (let i = 0; i < 100; i++) fake.store.put(policy(`q${i}`))
  fake.store.remove('ClusterImagePolicy', '', 'p')
  await until(() => cluster.objects().policies.size === 100)
  await wait(20)
  assert.ok(calls >= 1 && calls <= 20, `${calls} calls`)
  assert.deepEqual([...before.policies.keys()], ['p'])
})

test('a change of a ServiceAccount is known, and changes no snapshot', async (t) => {
  const setting = await opened(t, (fake) => fake.store.put(account('demo', 'default', 'one')))
  const { cluster, fake } = setting
  await ready(setting)
  await wait(20)
  const before = cluster.objects()
  fake.store.put(account('demo', 'default', 'two'))
  await until(() => JSON.stringify(cluster.pullSecretsOf('demo', 'default')).includes('two'))
  assert.equal(cluster.objects(), before)
  fake.store.remove('ServiceAccount', 'demo', 'default')
  await until(() => cluster.pullSecretsOf('demo', 'default').state === 'absent')
})

test('a status that is written is no change: nothing is compiled anew', async (t) => {
  const setting = await opened(t, (fake) => fake.store.put(policy('p')))
  const { cluster, fake } = setting
  await ready(setting)
  const before = cluster.objects()
  fake.store.put({ ...policy('p'), status: { observedGeneration: 1 } })
  fake.store.put(secret('cosign-system', 's'))
  await until(() => cluster.objects().secrets.has('s'))
  assert.equal(cluster.objects().policies.get('p'), before.policies.get('p'))
  fake.store.put({ ...policy('p', { labels: { a: 'b' } }), status: { observedGeneration: 1 } })
  await until(() => JSON.stringify(cluster.objects().policies.get('p')).includes('observedGeneration'))
})

test('a policy that is being deleted stays in force until it is gone', async (t) => {
  const setting = await opened(t, (fake) => fake.store.put(policy('p')))
  const { cluster, fake } = setting
  await ready(setting)
  fake.store.put(policy('p', { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['x'] }))
  await until(() => JSON.stringify(cluster.objects().policies.get('p')).includes('deletionTimestamp'))
  fake.store.remove('ClusterImagePolicy', '', 'p')
  await until(() => cluster.objects().policies.size === 0)
  assert.equal(cluster.objects().policiesIncomplete, undefined)
})

test('lesson 10: a list that is forbidden is told of, and is never the complete list of nothing', async (t) => {
  const { cluster, fake } = await opened(t, (fake) => {
    fake.deny('list', 'clusterimagepolicies')
    fake.deny('list', 'serviceaccounts')
  })
  await until(() => cluster.waitingFor().length === 2 && cluster.waitingFor().every((w) => w.includes('is forbidden')))
  assert.match(
    cluster.objects().policiesIncomplete ?? '',
    /^clusterimagepolicies\.policy\.sigstore\.dev: clusterimagepolicies is forbidden: User "tester" cannot list/,
  )
  const got = cluster.pullSecretsOf('demo', 'default')
  assert.match(got.state === 'failed' ? got.text : '', /^serviceaccounts: serviceaccounts is forbidden/)
  assert.equal(fake.count('watch', 'clusterimagepolicies'), 0)
})

test('lesson 10: an API server that is away, or no longer knows policies, makes the list incomplete; what was known stays', async (t) => {
  const setting = await opened(t, (fake) => fake.store.put(policy('p')))
  const { cluster, fake } = setting
  await ready(setting)
  await fake.stop()
  await until(() => cluster.objects().policiesIncomplete !== undefined)
  assert.equal(cluster.objects().policies.size, 1)
  fake.store.servePolicies()
  await fake.start()
  await until(
    () =>
      cluster.objects().policiesIncomplete?.endsWith('the API server does not serve it; is its CustomResourceDefinition installed?') ===
      true,
  )
  assert.equal(cluster.objects().policies.size, 1)
  fake.store.servePolicies('v1beta1')
  await until(() => cluster.objects().policiesIncomplete === undefined)
  assert.equal(cluster.objects().policies.size, 1)
})

test('lesson 10: settings that cannot be read are told of, and are never the usual ones; those that were read once stay', async (t) => {
  const { cluster, fake } = await opened(t, (fake) => fake.deny('list', 'configmaps', 'cosign-system'))
  await until(() => cluster.objects().configMapsUnread?.includes('is forbidden') === true)
  assert.equal(fake.count('watch', 'configmaps'), 0)
  const setting = await opened(t)
  await ready(setting)
  await setting.fake.stop()
  await until(() => setting.cluster.objects().policiesIncomplete !== undefined)
  assert.equal(setting.cluster.objects().configMapsUnread, undefined)
})

test('a missing CRD is not ready, and never no policy at all', async (t) => {
  const { cluster } = await opened(t, (fake) => fake.store.servePolicies())
  await until(() => cluster.waitingFor().length === 1 && !cluster.waitingFor()[0]?.endsWith('not read yet'))
  assert.deepEqual(cluster.waitingFor(), [
    'clusterimagepolicies.policy.sigstore.dev: the API server does not serve it; is its CustomResourceDefinition installed?',
  ])
  assert.ok(cluster.objects().policiesIncomplete)
})

test('a missing CRD of TrustRoots, or one that may not be read, keeps nobody waiting, and the list says why it lacks them', async (t) => {
  for (const [before, why] of [
    [
      (fake: FakeCluster) => fake.store.serveTrustRoots(false),
      'trustroots.policy.sigstore.dev: the API server does not serve it; is its CustomResourceDefinition installed?',
    ],
    [(fake: FakeCluster) => void fake.deny('list', 'trustroots'), 'trustroots.policy.sigstore.dev: trustroots is forbidden: '],
  ] as const) {
    const { cluster, fake } = await opened(t, (f) => {
      f.store.put(policy('p'))
      before(f)
    })
    await until(() => cluster.waitingFor().length === 0)
    const { policies, policiesIncomplete, trustRoots, trustRootsIncomplete } = cluster.objects()
    assert.deepEqual([policies.size, policiesIncomplete, trustRoots.size], [1, undefined, 0])
    assert.equal(trustRootsIncomplete?.slice(0, why.length), why)
    assert.equal(fake.count('watch', 'trustroots'), 0)
  }
})

test('a CRD of TrustRoots that is installed later is found, and what is known of them stays while the list cannot be read', async (t) => {
  const setting = await opened(t, (f) => f.store.serveTrustRoots(false))
  const { cluster, fake } = setting
  await until(() => cluster.objects().trustRootsIncomplete?.endsWith('installed?') === true)
  fake.store.serveTrustRoots(true)
  fake.store.put(trustRoot('ours'))
  await until(() => cluster.objects().trustRoots.has('ours') && cluster.objects().trustRootsIncomplete === undefined)
  await fake.stop()
  await until(() => cluster.objects().trustRootsIncomplete !== undefined)
  assert.ok(cluster.objects().trustRoots.has('ours'))
})

test('a status that is written to a TrustRoot is no change; a spec is', async (t) => {
  const setting = await opened(t, (f) => f.store.put(trustRoot('ours')))
  const { cluster, fake } = setting
  await ready(setting)
  const before = cluster.objects().trustRoots.get('ours')
  fake.store.put(trustRoot('ours', { status: { observedGeneration: 1 } }))
  fake.store.put(secret('cosign-system', 's'))
  await until(() => cluster.objects().secrets.has('s'))
  assert.equal(cluster.objects().trustRoots.get('ours'), before)
  fake.store.put(trustRoot('ours', { spec: { trustedRoot: { mediaType: 'x' } } }))
  await until(() => cluster.objects().trustRoots.get('ours') !== before)
})

test('an API server that is not there yet is waited for', async (t) => {
  const fake = await FakeCluster.start()
  const kubeconfig = join(await mkdtemp(join(tmpdir(), 'sealgate-kubernetes-')), 'config')
  await writeFile(kubeconfig, fake.kubeconfig())
  await fake.stop()
  const cluster = await openKubernetes({
    kubeconfig,
    systemNamespace: 'cosign-system',
    log: silent,
    times: { firstPause: 10, longestPause: 100 },
  })
  t.after(async () => {
    await cluster.close()
    await fake.stop()
  })
  await until(() => cluster.waitingFor().every((w) => w.includes('ECONNREFUSED')))
  await fake.start()
  await until(() => cluster.waitingFor().length === 0)
})

test('a pull secret is read on demand, once for all who ask, and remembered; fresh reads anew', async (t) => {
  const setting = await opened(t, (fake) => fake.store.put(secret('demo', 'pull', pull)))
  const { cluster, fake } = setting
  const found = { state: 'found', value: { namespace: 'demo', name: 'pull', ...pull } }
  assert.deepEqual(await Promise.all([cluster.pullSecret('demo', 'pull', false), cluster.pullSecret('demo', 'pull', false)]), [
    found,
    found,
  ])
  await cluster.pullSecret('demo', 'pull', false)
  assert.equal(fake.count('get', 'secrets'), 1)
  fake.store.remove('Secret', 'demo', 'pull')
  assert.deepEqual(await cluster.pullSecret('demo', 'pull', false), found)
  assert.deepEqual(await cluster.pullSecret('demo', 'pull', true), { state: 'absent' })
  assert.deepEqual(await cluster.pullSecret('demo', 'pull', false), { state: 'absent' })
  assert.equal(fake.count('get', 'secrets'), 2)
})

test('a pull secret that may not be read is a failure in the words of the API server, and is asked for again', async (t) => {
  const setting = await opened(t, (fake) => fake.store.put(secret('demo', 'pull', pull)))
  const { cluster, fake } = setting
  const allow = fake.deny('get', 'secrets', 'demo')
  const text = 'secrets "pull" is forbidden: User "tester" cannot get resource "secrets" in API group "" in the namespace "demo"'
  assert.deepEqual(await cluster.pullSecret('demo', 'pull', false), { state: 'failed', text })
  allow()
  assert.equal((await cluster.pullSecret('demo', 'pull', false)).state, 'found')
})

test('a pull secret is tried twice where the API server is busy or the connection is lost', async (t) => {
  const setting = await opened(t, (fake) => fake.store.put(secret('demo', 'pull', pull)))
  const { cluster, fake } = setting
  for (const fault of [{ how: 'status', status: 429 }, { how: 'close' }] as const) {
    fake.fail({ ...fault, verb: 'get', times: 1 })
    assert.equal((await cluster.pullSecret('demo', 'pull', true)).state, 'found')
  }
  fake.fail({ how: 'status', status: 500, message: 'etcd is away', verb: 'get', times: 2 })
  assert.deepEqual(await cluster.pullSecret('demo', 'pull', true), { state: 'failed', text: 'etcd is away' })
})

for (const name of ['..', '.', 'a/b', 'a%2fb', '', 'A', 'x'.repeat(300)]) {
  test(`no Secret has the name ${JSON.stringify(name.slice(0, 10))}, so the API server is not asked`, async (t) => {
    const { cluster, fake } = await opened(t)
    assert.deepEqual(await cluster.pullSecret('demo', name, false), { state: 'absent' })
    assert.deepEqual(await cluster.pullSecret(name, 'pull', false), { state: 'absent' })
    assert.equal(fake.count('get'), 0)
  })
}

test("of Secrets in the controller's namespace, those that Helm keeps its releases in are left out", async (t) => {
  const setting = await opened(t, (fake) => {
    fake.store.put(secret('cosign-system', 'key'))
    fake.store.put(secret('cosign-system', 'sh.helm.release.v1.x', { type: 'helm.sh/release.v1' }))
  })
  await ready(setting)
  setting.fake.store.put(secret('cosign-system', 'sh.helm.release.v1.y', { type: 'helm.sh/release.v1' }))
  setting.fake.store.put(secret('cosign-system', 'key2'))
  await until(() => setting.cluster.objects().secrets.size === 2)
  assert.deepEqual([...setting.cluster.objects().secrets.keys()], ['key', 'key2'])
})

test('what the API server notes about who wrote an object is not kept', async (t) => {
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', 'mine': 'x' }
  const setting = await opened(t, (fake) => fake.store.put(policy('p', { managedFields: [{ manager: 'kubectl' }], annotations, uid: 'u' })))
  await ready(setting)
  const { metadata, kind, apiVersion } = setting.cluster.objects().policies.get('p') as {
    metadata: Record<string, unknown>
    kind: string
    apiVersion: string
  }
  assert.deepEqual(
    [kind, apiVersion, Object.keys(metadata).toSorted(), metadata['annotations']],
    ['ClusterImagePolicy', 'policy.sigstore.dev/v1alpha1', ['annotations', 'name', 'resourceVersion', 'uid'], { mine: 'x' }],
  )
})
