import { deepEqual, equal } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { FakeCluster } from '../../../fakes/cluster.ts'
import { Configurations } from '../../../programs/controller/configurations.ts'
import { ApiServer } from '../../../src/world/cluster/api-server.ts'
import { silent } from '../../../src/world/log.ts'

const names = {
  workloads: 'policy.sigstore.dev',
  defaulting: 'defaulting.clusterimagepolicy.sigstore.dev',
  validating: 'validating.clusterimagepolicy.sigstore.dev',
}
const shipped = (kind: string, name: string) => ({
  kind,
  metadata: { name },
  webhooks: [{ name, clientConfig: { service: { name: 'webhook', namespace: 'cosign-system' } }, failurePolicy: 'Fail' }],
})
const ALL = [
  shipped('ValidatingWebhookConfiguration', names.workloads),
  shipped('MutatingWebhookConfiguration', names.workloads),
  shipped('ValidatingWebhookConfiguration', names.validating),
  shipped('MutatingWebhookConfiguration', names.defaulting),
]

async function cluster(t: TestContext, before: (fake: FakeCluster) => void = (f) => ALL.forEach((c) => f.store.put(c))) {
  const fake = await FakeCluster.start()
  fake.store.put({ kind: 'Namespace', metadata: { name: 'cosign-system', uid: 'u-1' } })
  before(fake)
  const api = new ApiServer({ server: fake.url, proxy: undefined, credentials: async () => ({ tls: {}, headers: {} }) })
  const trusted: { authorities: readonly string[] | undefined } = { authorities: ['one'] }
  const kept = new Configurations({
    api,
    systemNamespace: 'cosign-system',
    names,
    authorities: () => trusted.authorities,
    log: silent,
    times: { firstPause: 10, longestPause: 50 },
  })
  t.after(async () => {
    await kept.close()
    await api.close()
    await fake.stop()
  })
  const bundles = () =>
    ['validating', 'mutating'].flatMap((kind) => {
      const at = fake.store.locate(`/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations`)!
      const { items } = fake.store.list(at.resource, '', '', 0, '') as { items: { webhooks: { clientConfig: { caBundle?: string } }[] }[] }
      return items.map((i) => Buffer.from(i.webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString())
    })
  return { fake, kept, trusted, bundles }
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !isSo(); i++) await wait(10)
  equal(isSo(), true, what)
}

test('all configurations are told of the CA, each is written once', async (t) => {
  const { fake, bundles, kept } = await cluster(t)
  await until('all are told', () => bundles().every((b) => b === 'one'))
  await until('it counts', () => (kept.publishedFor(['one']) ?? -1) > 0)
  await wait(50)
  equal(fake.count('update'), 4)
  equal(kept.publishedFor(['two']), undefined)
})

test('what somebody takes away is back soon; what they change besides stays', async (t) => {
  const { fake, bundles } = await cluster(t)
  await until('all are told', () => bundles().every((b) => b === 'one'))
  const replaced = shipped('ValidatingWebhookConfiguration', names.workloads)
  fake.store.put({ ...replaced, webhooks: replaced.webhooks.map((w) => ({ ...w, failurePolicy: 'Ignore' })) })
  await until('it is back', () => bundles().every((b) => b === 'one'))
  const at = fake.store.locate('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations')!
  const { webhooks } = fake.store.get(at.resource, '', names.workloads) as unknown as { webhooks: { failurePolicy: string }[] }
  equal(webhooks[0]?.failurePolicy, 'Ignore')
})

test('another CA is told as soon as it is known, and counts from when all are told', async (t) => {
  const { fake, bundles, kept, trusted } = await cluster(t)
  await until('all are told', () => bundles().every((b) => b === 'one'))
  const takeBack = fake.deny('update', 'mutatingwebhookconfigurations')
  trusted.authorities = ['one', 'two']
  kept.look()
  await until('those that may be are told', () => bundles().filter((b) => b === 'onetwo').length === 2)
  await wait(50)
  equal(kept.publishedFor(['one', 'two']), undefined)
  takeBack()
  await until('all are told', () => bundles().every((b) => b === 'onetwo'))
  await until('it counts', () => kept.publishedFor(['one', 'two']) !== undefined)
})

test('what does not exist is not made, and is told when it is', async (t) => {
  const { fake, bundles, kept } = await cluster(t, () => undefined)
  await until('nothing is to be told', () => kept.publishedFor(['one']) !== undefined)
  equal(fake.count('create'), 0)
  fake.store.put(ALL[0]!)
  await until('it is told', () => bundles()[0] === 'one')
})

test('without the right to watch, they are brought up to date at the begin and with each change of the CA', async (t) => {
  const { bundles, kept, trusted } = await cluster(t, (f) => {
    for (const c of ALL) f.store.put(c)
    for (const kind of ['validating', 'mutating']) f.deny('list', `${kind}webhookconfigurations`)
  })
  await until('all are told', () => bundles().every((b) => b === 'one'))
  trusted.authorities = ['two']
  kept.look()
  await until('all are told again', () => bundles().every((b) => b === 'two'))
})

test('while the namespace may not be read, owners stay as they are and all else is kept', async (t) => {
  const { fake, bundles } = await cluster(t, (f) => {
    for (const c of ALL) f.store.put(c)
    f.deny('get', 'namespaces')
  })
  await until('all are told', () => bundles().every((b) => b === 'one'))
  const at = fake.store.locate('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations')!
  deepEqual(fake.store.get(at.resource, '', names.workloads)?.metadata['ownerReferences'], undefined)
})

test('while no CA is known, none is taken away', async (t) => {
  const { fake, bundles } = await cluster(t, (f) => {
    const object = shipped('ValidatingWebhookConfiguration', names.workloads)
    f.store.put({ ...object, webhooks: object.webhooks.map((w) => ({ ...w, clientConfig: { ...w.clientConfig, caBundle: 'b25l' } })) })
  })
  await wait(100)
  deepEqual(bundles(), ['one'])
  equal(fake.count('update') > 0, true)
})
