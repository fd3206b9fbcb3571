import { deepEqual, equal } from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { FakeCluster } from '../../../fakes/cluster.ts'
import { Controller, type ControllerSettings } from '../../../programs/webhook/controller.ts'
import { followPolicies } from '../../../programs/webhook/policies.ts'
import { openMetrics } from '../../../programs/webhook/prometheus.ts'
import { openKubernetes } from '../../../src/world/kubernetes.ts'
import { silent } from '../../../src/world/log.ts'
import { together } from '../../../src/world/outside.ts'

const settings: ControllerSettings = {
  systemNamespace: 'cosign-system',
  disableHa: false,
  podName: undefined,
  leaderElectionConfigMap: 'config-leader-election',
}
const policy = (name: string, more: object = {}) => ({
  kind: 'ClusterImagePolicy',
  metadata: { name, uid: name, generation: 1, ...more },
  spec: { images: [{ glob: '**' }], authorities: [{ static: { action: 'pass' } }] },
})

async function started(t: TestContext, before: (fake: FakeCluster) => void = () => undefined): Promise<FakeCluster> {
  const fake = await FakeCluster.start()
  before(fake)
  t.after(() => fake.stop())
  return fake
}

/** What `serve` runs in a cluster, without the server. */
async function replica(t: TestContext, fake: FakeCluster, podName: string, more: Partial<ControllerSettings> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'controller-'))
  await writeFile(join(folder, 'config'), fake.kubeconfig())
  const cluster = await openKubernetes({
    kubeconfig: join(folder, 'config'),
    systemNamespace: 'cosign-system',
    log: silent,
    times: { firstPause: 10, longestPause: 100 },
  })
  const metrics = openMetrics()
  const controller = new Controller({
    api: cluster.api!,
    cluster,
    settings: { ...settings, podName, ...more },
    log: silent,
    metrics,
    leaseTimes: { duration: 1_000, deadline: 600, retry: 50 },
  })
  followPolicies(cluster, together(), 'cosign-system', silent, metrics, (now, objects) => controller.compiled(now, objects))
  controller.start()
  let isClosed = false
  /** As when the process is killed. */
  const kill = async (): Promise<void> => {
    if (isClosed) return
    isClosed = true
    await cluster.close()
  }
  t.after(async () => {
    await controller.stop()
    await kill()
    await rm(folder, { recursive: true })
  })
  return { controller, metrics, kill }
}

const statusOf = (fake: FakeCluster, name: string) => {
  const at = fake.store.locate('/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies')!
  return fake.store.get(at.resource, '', name)?.['status'] as { observedGeneration: number } | undefined
}
const leases = (fake: FakeCluster) => {
  const at = fake.store.locate('/apis/coordination.k8s.io/v1/leases')!
  return (fake.store.list(at.resource, '', '', 0, '') as { items: { metadata: { name: string }; spec: { holderIdentity: string } }[] })
    .items
}

async function until(what: string, isSo: () => boolean | Promise<boolean>, milliseconds = 10_000): Promise<void> {
  const end = performance.now() + milliseconds
  while (!(await isSo())) {
    equal(performance.now() < end, true, what)
    await wait(10)
  }
}

test('of two replicas one writes what became of each policy, and another goes on when it is gone', async (t) => {
  const fake = await started(t, (f) => f.store.put(policy('p')))
  const replicas = [await replica(t, fake, 'webhook-a'), await replica(t, fake, 'webhook-b')]
  await until('a status', () => statusOf(fake, 'p')?.observedGeneration === 1)
  const leading = replicas.findIndex((r) => r.controller.isLeading)
  equal(replicas.filter((r) => r.controller.isLeading).length, 1)
  equal(fake.count('patch'), 1)
  equal(leases(fake)[0]?.metadata.name, 'sealgate-webhook')
  equal(leases(fake)[0]?.spec.holderIdentity.split('_')[0], leading === 0 ? 'webhook-a' : 'webhook-b')
  const gauges = await Promise.all(replicas.map((r) => r.metrics.text()))
  deepEqual(
    gauges.map((text) => /^sealgate_leader (\d)$/m.exec(text)?.[1]),
    leading === 0 ? ['1', '0'] : ['0', '1'],
  )

  await replicas[leading]!.kill()
  fake.store.put(policy('q'))
  await until('the other goes on', () => statusOf(fake, 'q')?.observedGeneration === 1)
})

test('a replica that ends lets another write at once, and the last one leaves no Lease behind', async (t) => {
  const fake = await started(t)
  const first = await replica(t, fake, 'first')
  await until('the first leads', () => first.controller.isLeading)
  const second = await replica(t, fake, 'second')
  await first.controller.stop()
  equal(first.controller.isLeading, false)
  await until('the second leads', () => second.controller.isLeading, 500)
  await second.controller.stop()
  deepEqual(leases(fake), [])
})

test('the API server goes away and comes back: writing goes on', async (t) => {
  const fake = await started(t)
  const { controller } = await replica(t, fake, 'one')
  await until('it leads', () => controller.isLeading)
  await fake.stop()
  await until('it no longer leads', () => !controller.isLeading)
  fake.store.put(policy('p'))
  await fake.start()
  await until('a status', () => statusOf(fake, 'p')?.observedGeneration === 1)
})

test('while the policies are not known nothing is told of them', async (t) => {
  const fake = await started(t, (f) => {
    f.store.put(policy('p', { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['clusterimagepolicies.policy.sigstore.dev'] }))
    f.store.put(policy('q'))
    f.deny('list', 'clusterimagepolicies')
  })
  const { controller } = await replica(t, fake, 'one')
  await until('it leads', () => controller.isLeading)
  await wait(100)
  equal(fake.count('patch'), 0)
})

test('a single replica may write without a Lease', async (t) => {
  const fake = await started(t, (f) => f.store.put(policy('p')))
  const { controller } = await replica(t, fake, 'one', { disableHa: true })
  equal(controller.isLeading, true)
  await until('a status', () => statusOf(fake, 'p')?.observedGeneration === 1)
  deepEqual(leases(fake), [])
})
