import { deepEqual, equal } from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { FakeCluster } from '../../../fakes/cluster.ts'
import { Controller, type ControllerSettings } from '../../../programs/controller/controller.ts'
import { followPolicies } from '../../../programs/webhook/policies.ts'
import { openMetrics } from '../../../programs/webhook/prometheus.ts'
import { startWebhook } from '../../../programs/webhook/start.ts'
import { denied } from '../../../src/admission/response.ts'
import type { Review } from '../../../src/admission/review.ts'
import { allOf, because } from '../../../src/verdict/decision.ts'
import { openKubernetes } from '../../../src/world/cluster/kubernetes.ts'
import { silent } from '../../../src/world/log.ts'
import { together } from '../../../src/world/outside.ts'
import { allowing, post, review } from '../webhook/client.ts'

const settings: ControllerSettings = {
  systemNamespace: 'cosign-system',
  readOnly: false,
  disableHa: false,
  podName: undefined,
  leaderElectionConfigMap: 'config-leader-election',
  tlsCert: undefined,
  tlsFolder: undefined,
  serviceName: 'webhook',
  certificateOverlap: 300,
  webhookName: 'policy.sigstore.dev',
  mutatingWebhookName: 'defaulting.clusterimagepolicy.sigstore.dev',
  validatingWebhookName: 'validating.clusterimagepolicy.sigstore.dev',
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
async function replica(t: TestContext, fake: FakeCluster, podName: string, more: Partial<ControllerSettings> = {}, isServing = false) {
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
  const serving = { port: 0 }
  if (isServing) {
    const started = await startWebhook(
      {
        address: '127.0.0.1',
        port: 0,
        metricsAddress: undefined,
        metricsPort: 0,
        probePort: undefined,
        tlsCert: undefined,
        tlsKey: undefined,
        tlsFolder: undefined,
        tlsMinVersion: '1.3',
        serviceName: 'webhook',
        systemNamespace: 'cosign-system',
      },
      {
        answerers: new Map([['/validations', async (body) => allowing(body)]]),
        readiness: () => ({ ready: true }),
        log: silent,
        metrics,
        environment: {},
        pair: await controller.firstPair(),
      },
    )
    if (!started.ok) throw new Error(started.text)
    t.after(() => started.webhook.stop(0, 0))
    controller.start(started.webhook)
    serving.port = started.webhook.port
  } else controller.start({ use: () => undefined })
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
  return { controller, metrics, kill, port: serving.port }
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

const CONFIGURATION = {
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'policy.sigstore.dev' },
  webhooks: [{ name: 'policy.sigstore.dev', clientConfig: { service: { name: 'webhook', namespace: 'cosign-system' } } }],
}
const bundleIn = (fake: FakeCluster): string | undefined => {
  const at = fake.store.locate('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations')!
  const object = fake.store.get(at.resource, '', 'policy.sigstore.dev') as unknown as typeof CONFIGURATION
  const { caBundle } = object.webhooks[0]!.clientConfig as { caBundle?: string }
  return caBundle === undefined ? undefined : Buffer.from(caBundle, 'base64').toString()
}
const LAG = 150 // ms after which an API server notices a configuration that changed

test('CA and certificate are exchanged without a refused connection, by API servers that are late to hear of it too', async (t) => {
  const fake = await started(t, (f) => f.store.put(CONFIGURATION))
  const replicas = [await replica(t, fake, 'a', {}, true), await replica(t, fake, 'b', {}, true)]
  await until('the API server is told', () => bundleIn(fake) !== undefined)
  await until('all serve', () => replicas.every((r) => r.controller.waitingFor().length === 0))
  await wait(LAG)

  const told: { readonly at: number; readonly bundle: string | undefined }[] = [{ at: -Infinity, bundle: bundleIn(fake) }]
  fake.store.onEvent(() => {
    if (told.at(-1)?.bundle !== bundleIn(fake)) told.push({ at: performance.now(), bundle: bundleIn(fake) })
  })
  const refusals: string[] = []
  let answered = 0
  let isOver = false
  const apiServer = async (): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      const now = performance.now()
      const ca = told.findLast(({ at }) => at <= now - LAG)?.bundle ?? ''
      const { port } = replicas[n % 2]!
      const options = { ca, servername: 'webhook.cosign-system.svc' }
      await post(port, '/validations?timeout=10s', review('u'), undefined, options).then(
        ({ status }) => (status === 200 ? answered++ : refusals.push(`HTTP ${status}`)),
        (error: Error) => refusals.push(error.message),
      )
      await wait(2)
    }
  }
  const running = apiServer()

  for (const value of ['1', '2']) {
    const secrets = fake.store.locate('/api/v1/namespaces/cosign-system/secrets')!
    const secret = fake.store.get(secrets.resource, 'cosign-system', 'webhook-certs')!
    const before = bundleIn(fake)!
    fake.store.put({ ...secret, metadata: { ...secret.metadata, annotations: { 'policy.sigstore.dev/refresh': value } } })
    await until('another CA alone is told', () => {
      const now = bundleIn(fake)!
      return now !== before && now.split('BEGIN CERTIFICATE').length === 2
    })
    fake.store.remove('Secret', 'cosign-system', 'webhook-certs')
    await wait(2 * LAG)
  }
  isOver = true
  await running
  deepEqual(refusals, [])
  // The first CA; with each other one first beside it, then alone.
  equal(new Set(told.map(({ bundle }) => bundle)).size, 5)
  equal(answered > 50, true)
})

test('with a certificate of one’s own neither the Secret nor the CA is touched, and rules are', async (t) => {
  const fake = await started(t, (f) => f.store.put(CONFIGURATION))
  const { controller } = await replica(t, fake, 'one', { tlsCert: '/tls.crt' })
  equal(await controller.firstPair(), undefined)
  await until('it is brought up to date', () => fake.count('update', 'validatingwebhookconfigurations') === 1)
  equal(bundleIn(fake), undefined)
  deepEqual(
    fake.requests.filter((r) => r.resource === 'secrets' && r.verb !== 'list' && r.verb !== 'watch'),
    [],
  )
})

test('a refusal is told on the policy and on what made the Pod, by every replica; a policy that breaks is told by the one that leads', async (t) => {
  const fake = await started(t, (f) => f.store.put(policy('p')))
  const replicas = [await replica(t, fake, 'a'), await replica(t, fake, 'b')]
  await until('a status', () => statusOf(fake, 'p') !== undefined)
  const follower = replicas.find((r) => !r.controller.isLeading)!
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'u', controller: true }
  const asked: Review = {
    uid: 'r',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    operation: 'CREATE',
    subResource: '',
    namespace: 'shop',
    name: 'web-x',
    user: '',
    object: { metadata: { name: 'web-x', ownerReferences: [owner] } },
    oldObject: null,
  }
  const failing = because({ about: 'policy', name: 'p', mode: 'enforce' }, { code: 'static-fail', message: 'no' })
  const absent = because({ about: 'policy', name: '(none)', mode: 'enforce' }, { code: 'static-fail', message: 'no' })
  const image = allOf({ about: 'image', written: 'a/b', paths: [] }, [failing, absent], { code: 'no-matching-policies' })
  follower.controller.judged(asked, denied(asked, 'no'), allOf({ about: 'request' }, [image], { code: 'nothing-to-check' }))
  fake.store.put({ ...policy('p', { generation: 2 }), spec: { authorities: [] } })
  const told = () => {
    const at = fake.store.locate('/api/v1/events')!
    const { items } = fake.store.list(at.resource, '', '', 0, '') as { items: { reason: string; involvedObject: { kind: string } }[] }
    return items.map((e) => `${e.reason} ${e.involvedObject.kind}`).toSorted()
  }
  await until('all are told', () => told().length === 3)
  deepEqual(told(), ['Refused ClusterImagePolicy', 'Refused ReplicaSet', 'UpdatingConfigMap ClusterImagePolicy'])
})

test('with --read-only nothing is written', async (t) => {
  const fake = await started(t, (f) => {
    f.store.put(policy('p'))
    f.store.put(CONFIGURATION)
  })
  const { version } = fake.store
  const { controller } = await replica(t, fake, 'one', { readOnly: true })
  await wait(300)
  deepEqual([controller.isLeading, fake.store.version], [false, version])
})
