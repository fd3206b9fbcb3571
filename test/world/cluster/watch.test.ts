import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { type Fault, FakeCluster, type FakeClusterOptions } from '../../../fakes/cluster.ts'
import { ApiServer } from '../../../src/world/cluster/api-server.ts'
import { Watch, type Watched, type WatchTimes } from '../../../src/world/cluster/watch.ts'
import { silent, type Values } from '../../../src/world/log.ts'

const POLICIES = '/apis/policy.sigstore.dev/v1beta1/clusterimagepolicies'
const OLD_POLICIES = '/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies'

const policies: Watched<string> = {
  resource: 'clusterimagepolicies',
  paths: [POLICIES, OLD_POLICIES],
  query: {},
  pageSize: 3,
  key: (_, name) => name,
  keep: (object) => JSON.stringify(object['spec']),
}

const policy = (name: string, spec: object = {}) => ({ kind: 'ClusterImagePolicy', metadata: { name }, spec })

type Setting = { fake: FakeCluster; api: ApiServer; watch: Watch<string>; names(): string; changes: string[]; lines: string[] }

async function watched(
  t: TestContext,
  times: WatchTimes = {},
  options: FakeClusterOptions = {},
  before: (fake: FakeCluster) => void = () => undefined,
): Promise<Setting> {
  const fake = await FakeCluster.start(options)
  before(fake)
  const api = new ApiServer({ server: fake.url, proxy: undefined, credentials: async () => ({ tls: {}, headers: {} }) })
  const changes: string[] = []
  const lines: string[] = []
  const line = (message: string, values?: Values) => void lines.push(`${message} ${JSON.stringify(values)}`)
  const watch = new Watch(api, policies, { ...silent, info: line, warn: line, error: line }, () => changes.push(names()), {
    firstPause: 10,
    longestPause: 100,
    ...times,
  })
  const names = () => [...watch.items.keys()].toSorted().join()
  watch.start()
  t.after(async () => {
    await watch.close()
    await api.close()
    await fake.stop()
  })
  return { fake, api, watch, names, changes, lines }
}

/** Waits, at most 4 s, until something has come about. */
async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 800 && !isSo(); i++) await wait(5)
  assert.ok(isSo())
}

/** Waits until the watch is there, so that what comes next is an event. */
const watching = (setting: Setting, times = 1) => until(() => setting.watch.why === undefined && setting.fake.count('watch') >= times)

test('a list is read page by page, and counts only when it is whole', async (t) => {
  const setting = await watched(t, {}, {}, (fake) => {
    for (const name of 'abcdefg') fake.store.put(policy(name))
  })
  assert.equal(setting.watch.isListed, false)
  assert.equal(setting.watch.why, 'not read yet')
  await until(() => setting.watch.isListed)
  assert.equal(setting.names(), 'a,b,c,d,e,f,g')
  assert.equal(setting.fake.count('list'), 3)
  assert.equal(setting.watch.why, undefined)
  assert.ok(setting.changes.every((names) => names === 'a,b,c,d,e,f,g'))
})

test('what comes, changes and goes is known soon, without a further list', async (t) => {
  const setting = await watched(t, {}, { pieces: 5 }, (fake) => fake.store.put(policy('a')))
  await watching(setting)
  setting.fake.store.put(policy('b', { mode: 'warn' }))
  setting.fake.store.put(policy('a', { mode: 'enforce' }))
  await until(() => setting.watch.items.get('a') === '{"mode":"enforce"}' && setting.names() === 'a,b')
  setting.fake.store.remove('ClusterImagePolicy', '', 'a')
  await until(() => setting.names() === 'b')
  assert.equal(setting.fake.count('list'), 1)
})

test('a bookmark moves on where a watch goes on, so that little is missed and much forgotten', async (t) => {
  const setting = await watched(t, {}, { bookmarks: 10 })
  await watching(setting)
  setting.fake.store.put({ kind: 'Secret', metadata: { name: 's' } })
  await wait(50)
  setting.fake.store.compact()
  setting.fake.closeConnections()
  await watching(setting, 2)
  await wait(50)
  assert.equal(setting.fake.count('list'), 1)
})

for (const [what, fault] of [
  ['an event', { verb: 'watch', how: 'in-stream', status: 410, message: 'too old resource version', times: 1 }],
  ['an answer', { verb: 'watch', how: 'status', status: 410, message: 'too old resource version', times: 1 }],
] as const satisfies [string, Fault][]) {
  test(`a version that is too old, told as ${what}, leads to a new list, which loses nothing`, async (t) => {
    const setting = await watched(t, {}, {}, (fake) => {
      fake.store.put(policy('a'))
      fake.store.put(policy('b'))
    })
    await watching(setting)
    setting.fake.fail(fault)
    setting.fake.fail({ verb: 'list', how: 'status', status: 500, times: 2 })
    setting.fake.closeConnections()
    setting.fake.store.remove('ClusterImagePolicy', '', 'a')
    setting.fake.store.put(policy('c'))
    setting.fake.store.compact()
    await until(() => setting.names() === 'b,c')
    assert.ok(
      setting.changes.every((names) => names !== ''),
      setting.changes.join(' '),
    )
  })
}

test('a list whose next page is too old is read anew', async (t) => {
  const setting = await watched(t, {}, {}, (fake) => {
    for (const name of 'abcd') fake.store.put(policy(name))
    fake.fail({ verb: 'list', how: 'status', status: 410, message: 'The provided continue parameter is too old', times: 1 })
  })
  await until(() => setting.names() === 'a,b,c,d')
})

for (const fault of [
  { how: 'status', status: 403, message: 'clusterimagepolicies is forbidden' },
  { how: 'status', status: 500, message: 'etcdserver: leader changed' },
  { how: 'status', status: 429, message: 'too many requests' },
  { how: 'close' },
] as const) {
  const name = 'status' in fault ? `${fault.status}` : 'a closed connection'
  test(`lesson 10: ${name} at the first list is never an empty list, and ends when it ends`, async (t) => {
    const setting = await watched(t, {}, {}, (fake) => {
      fake.store.put(policy('a'))
      fake.fail({ ...fault, times: 5 })
    })
    await until(() => setting.watch.why !== 'not read yet')
    assert.equal(setting.watch.isListed, false)
    if ('message' in fault) assert.equal(setting.watch.why, fault.message)
    await until(() => setting.names() === 'a' && setting.watch.why === undefined)
  })

  test(`${name} while watching keeps what was known, says why, and loses nothing`, async (t) => {
    const setting = await watched(t, {}, {}, (fake) => fake.store.put(policy('a')))
    await watching(setting)
    const takeBack = setting.fake.fail({ ...fault, verb: 'watch' })
    setting.fake.closeConnections()
    await until(() => setting.watch.why !== undefined)
    setting.fake.store.put(policy('b'))
    assert.equal(setting.names(), 'a')
    takeBack()
    await until(() => setting.names() === 'a,b' && setting.watch.why === undefined)
    assert.match(setting.lines.join('\n'), /watch failed; what was known stays in force[\s\S]*watched again/)
  })
}

test('an API server that goes away and comes back is watched again, and what happened meanwhile is known', async (t) => {
  const setting = await watched(t, {}, {}, (fake) => fake.store.put(policy('a')))
  await watching(setting)
  await setting.fake.stop()
  await until(() => setting.watch.why !== undefined)
  assert.equal(setting.names(), 'a')
  setting.fake.store.put(policy('b'))
  setting.fake.store.remove('ClusterImagePolicy', '', 'a')
  await setting.fake.start()
  await until(() => setting.names() === 'b' && setting.watch.why === undefined)
})

for (const how of ['garbage', 'in-stream'] as const) {
  test(`a watch that goes on failing (${how}) leads to a new list`, async (t) => {
    const setting = await watched(t)
    await watching(setting)
    const takeBack = setting.fake.fail({ verb: 'watch', how, status: 500 })
    setting.fake.closeConnections()
    await until(() => setting.fake.count('list') > 1)
    takeBack()
    setting.fake.store.put(policy('a'))
    await until(() => setting.names() === 'a' && setting.watch.why === undefined)
  })
}

test('a watch that waits goes on as soon as anything else hears of the API server again', async (t) => {
  const { fake, api, watch } = await watched(t, { firstPause: 100, longestPause: 60_000 })
  await until(() => watch.isListed && watch.why === undefined)
  await fake.stop()
  await wait(3_000)
  await fake.start()
  const began = performance.now()
  await api.get('/api/v1/namespaces/demo/secrets', {}, new AbortController().signal)
  await until(() => watch.why === undefined)
  assert.ok(performance.now() - began < 400, `${performance.now() - began}`)
})

test('a version that is not served is left for the other', async (t) => {
  const setting = await watched(t, {}, {}, (fake) => {
    fake.store.put(policy('a'))
    fake.store.servePolicies('v1alpha1')
  })
  await watching(setting)
  assert.equal(setting.names(), 'a')
  assert.match(setting.fake.requests.at(-1)?.url ?? '', /v1alpha1.*watch=true/)
})

test('a resource that the API server does not know is never an empty list; once it is known, it is read', async (t) => {
  const setting = await watched(t, {}, {}, (fake) => {
    fake.store.put(policy('a'))
    fake.store.servePolicies()
  })
  await until(() => setting.watch.why === 'the API server does not serve it; is its CustomResourceDefinition installed?')
  assert.equal(setting.watch.isListed, false)
  setting.fake.store.servePolicies('v1beta1')
  await until(() => setting.names() === 'a')
})

test('a resource that is taken away keeps what was known, and says why', async (t) => {
  const setting = await watched(t, {}, {}, (fake) => fake.store.put(policy('a')))
  await watching(setting)
  setting.fake.store.servePolicies()
  setting.fake.closeConnections()
  await until(() => setting.watch.why === 'the API server does not serve it; is its CustomResourceDefinition installed?')
  assert.equal(setting.names(), 'a')
})

suite('what takes its time', { concurrency: true }, () => {
  test('a watch that the API server ends goes on where it was', async (t) => {
    const setting = await watched(t, { shortest: 1, longest: 1 }, {}, (fake) => fake.store.put(policy('a')))
    await watching(setting)
    setting.fake.store.put(policy('b'))
    await until(() => setting.fake.count('watch') === 2)
    setting.fake.store.put(policy('c'))
    await until(() => setting.names() === 'a,b,c')
    assert.equal(setting.fake.count('list'), 1)
    assert.equal(setting.watch.why, undefined)
  })

  test('Retry-After is waited for', async (t) => {
    const setting = await watched(t, {}, {}, (fake) => fake.fail({ how: 'status', status: 429, retryAfter: 1, times: 1 }))
    const since = performance.now()
    await until(() => setting.watch.isListed)
    assert.ok(performance.now() - since >= 995)
  })

  test('a failing API server is asked less and less often', async (t) => {
    const setting = await watched(t, { firstPause: 10, longestPause: 10_000 }, {}, (fake) => fake.fail({ how: 'close' }))
    await wait(700)
    assert.ok(setting.fake.requests.length <= 9, `${setting.fake.requests.length} requests`)
  })

  test('an API server that ends watches at once is not asked in a loop', async (t) => {
    const setting = await watched(t, { firstPause: 50, longestPause: 1_000 }, {}, (fake) =>
      fake.fail({ verb: 'watch', how: 'in-stream', status: 410 }),
    )
    await wait(700)
    assert.ok(setting.fake.requests.length <= 24, `${setting.fake.requests.length} requests`)
  })

  test('a connection that goes silent is noticed, told of, and replaced', async (t) => {
    const setting = await watched(t, { shortest: 1, longest: 1, grace: 200 }, {}, (fake) => fake.store.put(policy('a')))
    await watching(setting)
    setting.fake.silence()
    setting.fake.store.put(policy('b'))
    await until(() => setting.names() === 'a,b')
    assert.match(setting.lines.join('\n'), /the API server went silent/)
  })

  test('a page that is too large is asked for in smaller ones', async (t) => {
    const setting = await watched(t, {}, {}, (fake) => {
      for (const name of 'abc') fake.store.put(policy(name, { large: 'x'.repeat(7_000_000) }))
    })
    await until(() => setting.watch.isListed)
    assert.equal(setting.names(), 'a,b,c')
  })
})
