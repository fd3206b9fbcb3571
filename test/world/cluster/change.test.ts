import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { FakeCluster } from '../../../fakes/cluster.ts'
import { ApiServer } from '../../../src/world/cluster/api-server.ts'
import { type ApiObject, change, metadataOf } from '../../../src/world/cluster/change.ts'

const PATH = '/api/v1/namespaces/demo/secrets/s'
const never = new AbortController().signal

async function served(t: TestContext): Promise<{ fake: FakeCluster; api: ApiServer }> {
  const fake = await FakeCluster.start()
  const api = new ApiServer({ server: fake.url, proxy: undefined, credentials: async () => ({ tls: {}, headers: {} }) })
  t.after(async () => {
    await api.close()
    await fake.stop()
  })
  fake.store.put({ kind: 'Secret', metadata: { namespace: 'demo', name: 's', uid: 'u' }, data: { n: '0' } })
  return { fake, api }
}

const dataOf = (object: ApiObject) => object['data'] as Record<string, string>
const plusOne = (now: ApiObject): ApiObject => ({ ...now, data: { ...dataOf(now), n: `${Number(dataOf(now)['n']) + 1}` } })

test('many who change an object together lose none of their changes', async (t) => {
  const { api } = await served(t)
  const changed = await Promise.all([1, 2, 3].map(() => change(api, PATH, plusOne, never)))
  assert.deepEqual(
    changed.map((c) => c.state),
    ['changed', 'changed', 'changed'],
  )
  const last = await change(api, PATH, () => undefined, never)
  assert.ok(last.state === 'unchanged')
  assert.equal(dataOf(last.object)['n'], '3')
})

test('what is as it should be is not written', async (t) => {
  const { fake, api } = await served(t)
  assert.equal((await change(api, PATH, () => undefined, never)).state, 'unchanged')
  assert.equal(fake.count('update'), 0)
})

test('an object that somebody always writes first is given up after a few tries', async (t) => {
  const { fake, api } = await served(t)
  const meddle = (now: ApiObject): ApiObject => {
    fake.store.put({ kind: 'Secret', metadata: { namespace: 'demo', name: 's', uid: 'u' }, data: { n: `${Math.random()}` } })
    return plusOne(now)
  }
  const failed = await change(api, PATH, meddle, never)
  assert.match(failed.state === 'failed' ? failed.text : '', /the object has been modified/)
  assert.equal(fake.count('update'), 6)
})

test('an object that is not there is absent; what is forbidden is told in the API server’s words', async (t) => {
  const { fake, api } = await served(t)
  assert.deepEqual(await change(api, `${PATH}x`, plusOne, never), { state: 'absent' })
  fake.deny('update', 'secrets', 'demo')
  const failed = await change(api, PATH, plusOne, never)
  assert.match(failed.state === 'failed' ? failed.text : '', /^secrets "s" is forbidden: User "tester" cannot update/)
})

test('an object that was made anew meanwhile is another one', async (t) => {
  const { fake, api } = await served(t)
  let uid: unknown
  const changed = await change(
    api,
    PATH,
    (now) => {
      if (uid === undefined) {
        fake.store.remove('Secret', 'demo', 's')
        fake.store.put({ kind: 'Secret', metadata: { namespace: 'demo', name: 's', uid: 'another' }, data: { n: '10' } })
      }
      uid = metadataOf(now)['uid']
      return plusOne(now)
    },
    never,
  )
  assert.equal(uid, 'another')
  assert.ok(changed.state === 'changed')
  assert.equal(dataOf(changed.object)['n'], '11')
})

test('where the API server asks for patience, it is told how long', async (t) => {
  const { fake, api } = await served(t)
  fake.fail({ how: 'status', status: 429, message: 'too many requests', retryAfter: 3 })
  assert.deepEqual(await change(api, PATH, plusOne, never), { state: 'failed', text: 'too many requests', retryAfter: 3000 })
})
