import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { FakeCluster } from '../../../fakes/cluster.ts'
import { ApiServer } from '../../../src/world/cluster/api-server.ts'
import { Events, type Event, type EventTimes } from '../../../src/world/cluster/events.ts'
import { silent, type Log } from '../../../src/world/log.ts'

const quick: EventTimes = { every: 5, everyOfOne: 60_000, again: 50, patience: 20 }
const regarding = { apiVersion: 'policy.sigstore.dev/v1alpha1', kind: 'ClusterImagePolicy', name: 'p', namespace: '', uid: 'u' }
const refused = (message: string, more: Partial<Event['regarding']> = {}): Event => ({
  regarding: { ...regarding, ...more },
  type: 'Warning',
  reason: 'Refused',
  message,
})

async function opened(t: TestContext, times: EventTimes = quick, log: Log = silent) {
  const fake = await FakeCluster.start()
  const api = new ApiServer({ server: fake.url, proxy: undefined, credentials: async () => ({ tls: {}, headers: {} }) })
  const events = new Events(api, 'webhook-1', log, times)
  t.after(async () => {
    await events.close()
    await api.close()
    await fake.stop()
  })
  type Stored = { message: string; count: number; metadata: { name: string; namespace: string }; involvedObject: object }
  const told = () => {
    const at = fake.store.locate('/api/v1/events')!
    return (fake.store.list(at.resource, '', '', 0, '') as { items: Stored[] }).items
  }
  return { fake, events, told }
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !isSo(); i++) await wait(10)
  assert.ok(isSo(), what)
}

test('what happened is told where kubectl describe looks for it', async (t) => {
  const { events, told } = await opened(t)
  events.record(refused('Pod shop/web: no matching signatures'))
  events.record(
    refused('Pod shop/web: no matching signatures', { kind: 'ReplicaSet', apiVersion: 'apps/v1', namespace: 'shop', name: 'r' }),
  )
  await until('both are told', () => told().length === 2)
  const [policy, replicaSet] = told()
  assert.deepEqual(policy, {
    metadata: { ...policy!.metadata, namespace: 'default' },
    involvedObject: { apiVersion: 'policy.sigstore.dev/v1alpha1', kind: 'ClusterImagePolicy', name: 'p', uid: 'u' },
    type: 'Warning',
    reason: 'Refused',
    message: 'Pod shop/web: no matching signatures',
    source: { component: 'sealgate' },
    reportingComponent: 'sealgate',
    reportingInstance: 'webhook-1',
    firstTimestamp: (policy as unknown as { firstTimestamp: string }).firstTimestamp,
    lastTimestamp: (policy as unknown as { lastTimestamp: string }).lastTimestamp,
    count: 1,
  })
  assert.match((policy as unknown as { firstTimestamp: string }).firstTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  assert.equal(replicaSet?.metadata.namespace, 'shop')
})

test('the same is told once and then counted, and not with every time', async (t) => {
  const { fake, events, told } = await opened(t)
  for (let i = 0; i < 100; i++) events.record(refused('again'))
  await until('it is told', () => told().length === 1)
  for (let i = 0; i < 100; i++) events.record(refused('again'))
  await until('it is counted', () => told()[0]?.count === 200)
  assert.equal(fake.count('create'), 1)
  assert.ok(fake.count('patch') <= 2)
})

test('one that the API server has forgotten is told anew', async (t) => {
  const { fake, events, told } = await opened(t)
  events.record(refused('again'))
  await until('it is told', () => told().length === 1)
  fake.store.remove('Event', 'default', told()[0]!.metadata.name)
  events.record(refused('again'))
  await until('it is told anew', () => told()[0]?.count === 2)
})

test('lesson 42: whoever makes thousands of different events makes few of them known', async (t) => {
  const { fake, events, told } = await opened(t)
  for (let i = 0; i < 5_000; i++) events.record(refused(`Pod shop/web-${i}`))
  await until('some are told', () => told().length === 10)
  await wait(100)
  assert.equal(told().length, 10)
  for (let i = 0; i < 5_000; i++) events.record(refused('another', { name: `p${i}`, uid: `u${i}` }))
  await wait(200)
  assert.ok(fake.count('create') < 100, `${fake.count('create')}`)
})

test('what cannot be told is forgotten, its reason is logged once, and what comes later is told', async (t) => {
  const lines: unknown[] = []
  const log: Log = { ...silent, warn: (text, values) => void lines.push([text, (values as { why: string }).why]) }
  const { fake, events, told } = await opened(t, quick, log)
  const takeBack = fake.deny('create', 'events', 'default')
  for (let i = 0; i < 3; i++) events.record(refused(`${i}`))
  await until('it was tried', () => fake.count('create') === 3)
  takeBack()
  events.record(refused('later'))
  await until('it is told', () => told().some((e) => e.message === 'later'))
  assert.equal(told().length, 1)
  assert.equal(lines.length, 1)
  assert.match(JSON.stringify(lines), /an event could not be told; it is forgotten.*events is forbidden/)
})

test('nothing is told after the end', async (t) => {
  const { fake, events } = await opened(t)
  await events.close()
  events.record(refused('late'))
  await wait(50)
  assert.equal(fake.requests.length, 0)
})
