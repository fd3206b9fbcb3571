import { deepEqual, equal, match, notEqual } from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { FakeCluster } from '../../../fakes/cluster.ts'
import { dataOf, firstServing, servingIn } from '../../../programs/controller/serving-secret.ts'
import { ServingCertificates, type ServingParts } from '../../../programs/controller/serving.ts'
import { openKubernetes } from '../../../src/world/cluster/kubernetes.ts'
import { silent } from '../../../src/world/log.ts'

const names = { service: 'webhook', namespace: 'cosign-system' }
const AT = { kind: 'Secret', metadata: { namespace: 'cosign-system', name: 'webhook-certs' } }
const first = await firstServing([], names, new Date())

async function started(t: TestContext, before: (fake: FakeCluster) => void = () => undefined): Promise<FakeCluster> {
  const fake = await FakeCluster.start()
  before(fake)
  t.after(() => fake.stop())
  return fake
}

async function replica(t: TestContext, fake: FakeCluster, more: Partial<ServingParts> = {}): Promise<ServingCertificates> {
  const folder = await mkdtemp(join(tmpdir(), 'serving-'))
  await writeFile(join(folder, 'config'), fake.kubeconfig())
  const cluster = await openKubernetes({
    kubeconfig: join(folder, 'config'),
    systemNamespace: 'cosign-system',
    log: silent,
    times: { firstPause: 10, longestPause: 100 },
  })
  const serving = new ServingCertificates({
    api: cluster.api!,
    cluster,
    names,
    overlap: 200,
    isReadOnly: false,
    log: silent,
    publishedFor: () => 1_000,
    times: { firstPause: 10, longestPause: 100 },
    ...more,
  })
  serving.start()
  t.after(async () => {
    await serving.close()
    await cluster.close()
    await rm(folder, { recursive: true })
  })
  return serving
}

const stored = (fake: FakeCluster): object | undefined => {
  const at = fake.store.locate('/api/v1/namespaces/cosign-system/secrets')!
  return fake.store.get(at.resource, 'cosign-system', 'webhook-certs')
}
const kept = (fake: FakeCluster) => servingIn(stored(fake), 'webhook.cosign-system.svc', new Date())

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !isSo(); i++) await wait(10)
  equal(isSo(), true, what)
}

for (const [what, before] of [
  ['without the Secret', () => undefined],
  ['with the empty one that was installed', (fake: FakeCluster) => fake.store.put({ ...AT, type: 'Opaque' })],
] as const)
  test(`lesson 34: at the first start, ${what}, all replicas serve with one certificate, and nobody has to lead`, async (t) => {
    const fake = await started(t, before)
    const replicas = await Promise.all([1, 2, 3].map(() => replica(t, fake)))
    match(replicas[0]!.why ?? '', /^a serving certificate in the Secret webhook-certs/)
    await until('all serve', () => replicas.every((r) => r.serving && r.serving.certificate === kept(fake)?.certificate))
    deepEqual(
      replicas.map((r) => r.why),
      [undefined, undefined, undefined],
    )
  })

test('a certificate that is there is used at once and not written', async (t) => {
  const fake = await started(t, (f) => f.store.put({ ...AT, type: 'Opaque', data: dataOf(first) }))
  const { version } = fake.store
  const serving = await replica(t, fake)
  await until('it serves', () => serving.serving !== undefined)
  serving.lead(true)
  await wait(100)
  deepEqual([serving.serving, fake.store.version], [first, version])
  equal((await serving.first()).certificate, first.certificate)
})

test('a Secret that is deleted or spoilt while it is served with is put back as it was', async (t) => {
  const fake = await started(t, (f) => f.store.put({ ...AT, type: 'Opaque', data: dataOf(first) }))
  const replicas = await Promise.all([1, 2].map(() => replica(t, fake)))
  await until('they serve', () => replicas.every((r) => r.serving))
  fake.store.remove('Secret', 'cosign-system', 'webhook-certs')
  await until('it is back', () => kept(fake)?.certificate === first.certificate)
  fake.store.put({ ...AT, type: 'Opaque', data: { 'server-cert.pem': 'eA==' } })
  await until('it is back again', () => kept(fake)?.certificate === first.certificate)
  deepEqual(kept(fake), first)
  deepEqual(
    replicas.map((r) => r.serving?.certificate),
    [first.certificate, first.certificate],
  )
})

test('only the replica that leads renews; the others follow', async (t) => {
  const fake = await started(t, (f) =>
    f.store.put({
      ...AT,
      metadata: { ...AT.metadata, annotations: { 'policy.sigstore.dev/refresh': '1', 'kept': 'yes' } },
      type: 'Opaque',
      data: dataOf(first),
    }),
  )
  const replicas = await Promise.all([1, 2].map(() => replica(t, fake)))
  await until('they serve', () => replicas.every((r) => r.serving))
  await wait(100)
  equal(kept(fake)?.authorities.length, 1)
  replicas[0]!.lead(true)
  const seen = new Set<number>()
  await until('it is exchanged', () => {
    const now = kept(fake)!
    seen.add(now.authorities.length)
    return now.certificate !== first.certificate && now.authorities.length === 1
  })
  deepEqual([...seen], [1, 2])
  await until('the other follows', () => replicas.every((r) => r.serving?.certificate === kept(fake)?.certificate))
  notEqual(kept(fake)?.authorities[0], first.authorities[0])
  deepEqual((stored(fake) as { metadata: { annotations: object } }).metadata.annotations, {
    'policy.sigstore.dev/refresh': '1',
    'policy.sigstore.dev/refreshed': '1',
    'kept': 'yes',
  })
})

test('another CA does not sign before every API server was told of it', async (t) => {
  const published: { for: number | undefined } = { for: undefined }
  const annotations = { 'policy.sigstore.dev/refresh': '1' }
  const fake = await started(t, (f) =>
    f.store.put({ ...AT, metadata: { ...AT.metadata, annotations }, type: 'Opaque', data: dataOf(first) }),
  )
  const serving = await replica(t, fake, { publishedFor: () => published.for })
  serving.lead(true)
  await until('it is told of', () => kept(fake)?.authorities.length === 2)
  await wait(500)
  equal(kept(fake)?.certificate, first.certificate)
  published.for = 1_000
  await until('it signs', () => kept(fake)?.certificate !== first.certificate)
})

test('a Secret that cert-manager writes is served with and never written', async (t) => {
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const tls = (certificate: string, key: string) => ({
    ...AT,
    type: 'kubernetes.io/tls',
    data: { 'tls.crt': base64(certificate), 'tls.key': base64(key) },
  })
  const fake = await started(t, (f) => f.store.put(tls('', '')))
  const serving = await replica(t, fake)
  serving.lead(true)
  await until('it waits', () => serving.why === 'a serving certificate in the Secret webhook-certs, from whoever writes it')
  await wait(50)
  fake.store.put(tls(first.certificate, first.key))
  await until('it serves', () => serving.serving?.certificate === first.certificate)
  fake.store.put(tls('', ''))
  await wait(100)
  equal(serving.serving?.certificate, first.certificate)
  deepEqual([fake.count('update'), fake.count('create')], [0, 0])
})

test('without the rights, or with --read-only, it says what it waits for, and answers TLS all the same', async (t) => {
  const fake = await started(t, (f) => f.deny('create', 'secrets', 'cosign-system'))
  const serving = await replica(t, fake)
  await until('it says why', () => /^a serving certificate .*: secrets is forbidden/.test(serving.why ?? ''))
  match((await serving.first()).certificate, /BEGIN CERTIFICATE/)
  equal(serving.serving, undefined)
  const idle = await replica(t, fake, { isReadOnly: true })
  match(idle.why ?? '', /--read-only none is made: give --tls-cert$/)
})
