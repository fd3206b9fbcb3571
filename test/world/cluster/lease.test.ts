import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { FakeCluster } from '../../../fakes/cluster.ts'
import { ApiServer } from '../../../src/world/cluster/api-server.ts'
import { Lease, type LeaseTimes } from '../../../src/world/cluster/lease.ts'
import { silent } from '../../../src/world/log.ts'

const TIMES: LeaseTimes = { duration: 600, deadline: 400, retry: 40 }
const AT = { kind: 'Lease', namespace: 'cosign-system', name: 'sealgate' } as const

/** A replica that wants the lease, with a connection of its own. */
function replica(t: TestContext, fake: FakeCluster, identity: string, times = TIMES) {
  const api = new ApiServer({ server: fake.url, proxy: undefined, credentials: async () => ({ tls: {}, headers: {} }) })
  const lease = new Lease(api, { namespace: AT.namespace, name: AT.name, identity, times: () => times, log: silent })
  const told: boolean[] = []
  lease.onChange((held) => told.push(held))
  lease.start()
  t.after(async () => {
    await lease.release()
    await api.close()
  })
  return { lease, told, api }
}

async function cluster(t: TestContext): Promise<FakeCluster> {
  const fake = await FakeCluster.start()
  t.after(() => fake.stop())
  return fake
}

type Spec = {
  holderIdentity: string
  leaseDurationSeconds: number
  leaseTransitions: number
  acquireTime: string
  renewTime: string
}

function stored(fake: FakeCluster): Spec | undefined {
  const at = fake.store.locate(`/apis/coordination.k8s.io/v1/namespaces/${AT.namespace}/leases/${AT.name}`)
  return at && (fake.store.get(at.resource, AT.namespace, AT.name)?.['spec'] as Spec | undefined)
}

const left = (spec: object) => ({ kind: AT.kind, metadata: { namespace: AT.namespace, name: AT.name }, spec })

async function until(what: string, isSo: () => boolean, milliseconds = 10_000): Promise<number> {
  const began = performance.now()
  while (!isSo()) {
    assert.ok(performance.now() - began < milliseconds, what)
    await wait(10)
  }
  return performance.now() - began
}

test('of all replicas one leads, and the lease says which', async (t) => {
  const fake = await cluster(t)
  const replicas = ['a', 'b', 'c'].map((name) => replica(t, fake, name))
  await until('one leads', () => replicas.some((r) => r.lease.isHeld))
  await wait(200)
  const leading = replicas.filter((r) => r.lease.isHeld)
  assert.equal(leading.length, 1)
  const holder = ['a', 'b', 'c'][replicas.indexOf(leading[0]!)]
  assert.equal(stored(fake)?.holderIdentity, holder)
  assert.ok(replicas.every((r) => r.lease.isHeld || r.lease.holder === holder))
  assert.match(stored(fake)?.renewTime ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
})

test('a replica that ends hands the lease over at once and leaves nothing behind', async (t) => {
  const fake = await cluster(t)
  const first = replica(t, fake, 'first')
  await until('the first leads', () => first.lease.isHeld)
  const second = replica(t, fake, 'second')
  await wait(100)
  assert.equal(second.lease.isHeld, false)
  await first.lease.release()
  assert.deepEqual(first.told, [true, false])
  assert.ok((await until('the second leads', () => second.lease.isHeld)) < TIMES.duration)
  await second.lease.release()
  assert.equal(stored(fake), undefined)
})

test('a leader that is gone without a word is followed when its time is over', async (t) => {
  const fake = await cluster(t)
  const first = replica(t, fake, 'first')
  await until('the first leads', () => first.lease.isHeld)
  const second = replica(t, fake, 'second')
  await until('the second sees it', () => second.lease.holder === 'first')
  await first.api.close()
  const held: boolean[][] = []
  await until('the second leads', () => {
    held.push([first.lease.isHeld, second.lease.isHeld])
    return second.lease.isHeld
  })
  assert.ok(
    held.every(([one, two]) => !(one && two)),
    'never two at a time',
  )
  assert.deepEqual([stored(fake)?.holderIdentity, stored(fake)?.leaseTransitions], ['second', 1])
})

test('lesson 34: a lease that was left behind blocks for its duration only, whatever its clock says', async (t) => {
  const fake = await cluster(t)
  // Somebody whose clock is a day ahead.
  const renewTime = new Date(Date.now() + 86_400_000).toISOString().replace('Z', '000Z')
  fake.store.put(left({ holderIdentity: 'gone', leaseDurationSeconds: 1, renewTime }))
  const { lease } = replica(t, fake, 'new')
  assert.ok((await until('it leads', () => lease.isHeld)) < 3_000)
})

test('a lease whose holder has a slow clock is not taken while it is renewed', async (t) => {
  const fake = await cluster(t)
  const renew = () =>
    fake.store.put(left({ holderIdentity: 'slow', leaseDurationSeconds: 1, renewTime: '2001-01-01T00:00:00.000000Z', n: Math.random() }))
  renew()
  const renewing = setInterval(renew, 100)
  t.after(() => clearInterval(renewing))
  const { lease } = replica(t, fake, 'new')
  await wait(1_500)
  assert.equal(lease.isHeld, false)
})

test('an empty lease, and one without a duration, can be taken', async (t) => {
  const fake = await cluster(t)
  fake.store.put(left({}))
  const { lease } = replica(t, fake, 'new')
  assert.ok((await until('it leads', () => lease.isHeld)) < 500)
})

test('the API server goes away: the leader stops leading by itself, and leads again when it is back', async (t) => {
  const fake = await cluster(t)
  const { lease, told } = replica(t, fake, 'one')
  await until('it leads', () => lease.isHeld)
  await fake.stop()
  assert.ok((await until('it no longer leads', () => told.length === 2)) < TIMES.duration)
  await fake.start()
  await until('it leads again', () => lease.isHeld)
  assert.deepEqual(told, [true, false, true])
  assert.equal(stored(fake)?.leaseTransitions, 0)
})

test('a write whose answer is lost is not a loss of the lease', async (t) => {
  const fake = await cluster(t)
  const { lease, told } = replica(t, fake, 'one')
  await until('it leads', () => lease.isHeld)
  fake.fail({ verb: 'update', resource: 'leases', how: 'written', times: 2 })
  await wait(300)
  assert.deepEqual([lease.isHeld, told], [true, [true]])
})

test('a lease that somebody else took, or that was deleted, is given up at once', async (t) => {
  const fake = await cluster(t)
  const { lease, told } = replica(t, fake, 'one')
  await until('it leads', () => lease.isHeld)
  fake.store.put(left({ holderIdentity: 'usurper', leaseDurationSeconds: 600 }))
  await until('it is given up', () => !lease.isHeld, TIMES.deadline)
  fake.store.remove('Lease', AT.namespace, AT.name)
  await until('it leads again', () => lease.isHeld)
  assert.deepEqual(told, [true, false, true])
})

test('without the rights it never leads, and says why once', async (t) => {
  const fake = await cluster(t)
  fake.deny('get', 'leases', AT.namespace)
  const api = new ApiServer({ server: fake.url, proxy: undefined, credentials: async () => ({ tls: {}, headers: {} }) })
  const warned: unknown[] = []
  const log = { ...silent, warn: (_: string, values?: object) => void warned.push((values as { why: string }).why) }
  const lease = new Lease(api, { namespace: AT.namespace, name: AT.name, identity: 'one', times: () => TIMES, log })
  lease.start()
  await wait(300)
  assert.equal(lease.isHeld, false)
  assert.equal(warned.length, 1)
  assert.match(String(warned[0]), /^leases "sealgate" is forbidden/)
  await lease.release()
  await api.close()
})
