import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { FakeCluster, type FakeClusterOptions } from '../../fakes/cluster.ts'

const secret = (name: string) => ({ kind: 'Secret', metadata: { namespace: 'demo', name } })

async function started(t: TestContext, options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const cluster = await FakeCluster.start(options)
  t.after(() => cluster.stop())
  return cluster
}

type Event = {
  readonly type: string
  readonly object: { readonly kind: string; readonly code?: number; readonly metadata: { readonly name?: string } }
}

/** The first events of a watch. */
async function events(url: string, count: number): Promise<Event[]> {
  const ended = new AbortController()
  const response = await fetch(url, { signal: ended.signal })
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true })
    if (text.split('\n').length > count) break
  }
  ended.abort()
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Event)
}

test('an object that is asked for is answered, or told to be absent', async (t) => {
  const cluster = await started(t)
  cluster.store.put(secret('s'))
  const found = await fetch(`${cluster.url}/api/v1/namespaces/demo/secrets/s`)
  assert.equal(((await found.json()) as Event['object']).metadata.name, 's')
  const absent = await fetch(`${cluster.url}/api/v1/namespaces/demo/secrets/t`)
  assert.deepEqual([absent.status, ((await absent.json()) as { message: string }).message], [404, 'secrets "t" not found'])
  assert.deepEqual([cluster.count('get', 'secrets'), cluster.count('list')], [2, 0])
})

test('a watch gives what happened since its version, and what happens', async (t) => {
  const cluster = await started(t, { pieces: 3 })
  const { version } = cluster.store
  cluster.store.put(secret('a'))
  setTimeout(() => cluster.store.remove('Secret', 'demo', 'a'), 20)
  const seen = await events(`${cluster.url}/api/v1/secrets?watch=true&resourceVersion=${version}`, 2)
  assert.deepEqual(
    seen.map((e) => [e.type, e.object.metadata.name]),
    [
      ['ADDED', 'a'],
      ['DELETED', 'a'],
    ],
  )
})

test('a version that is too old ends a watch with an ERROR event', async (t) => {
  const cluster = await started(t)
  cluster.store.put(secret('a'))
  cluster.store.compact()
  const [event] = await events(`${cluster.url}/api/v1/secrets?watch=true&resourceVersion=1`, 1)
  assert.deepEqual([event?.type, event?.object.kind, event?.object.code], ['ERROR', 'Status', 410])
})

test('a watch gives bookmarks and ends when it was asked to', async (t) => {
  const cluster = await started(t, { bookmarks: 50 })
  const response = await fetch(`${cluster.url}/api/v1/secrets?watch=true&resourceVersion=100&allowWatchBookmarks=true&timeoutSeconds=1`)
  assert.match(await response.text(), /^(\{"type":"BOOKMARK".*\n)+$/)
})

test('requests fail as they are told to, as often as they are told to', async (t) => {
  const cluster = await started(t)
  cluster.fail({ verb: 'list', resource: 'secrets', how: 'status', status: 429, retryAfter: 2, times: 1 })
  const limited = await fetch(`${cluster.url}/api/v1/secrets`)
  assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '2'])
  assert.equal((await fetch(`${cluster.url}/api/v1/secrets`)).status, 200)
  const takeBack = cluster.fail({ how: 'close' })
  await assert.rejects(fetch(`${cluster.url}/api/v1/secrets`))
  takeBack()
  assert.equal((await fetch(`${cluster.url}/api/v1/secrets`)).status, 200)
})

test('what is denied is forbidden, in the words of RBAC', async (t) => {
  const cluster = await started(t)
  const allow = cluster.deny('get', 'secrets', 'demo')
  const denied = await fetch(`${cluster.url}/api/v1/namespaces/demo/secrets/s`)
  assert.equal(denied.status, 403)
  assert.match(
    await denied.text(),
    /secrets \\"s\\" is forbidden: User \\"tester\\" cannot get resource \\"secrets\\" in API group \\"\\" in the namespace \\"demo\\"/,
  )
  allow()
  assert.equal((await fetch(`${cluster.url}/api/v1/namespaces/demo/secrets/s`)).status, 404)
})

test('only known tokens are taken', async (t) => {
  const cluster = await started(t, { tokens: ['good'] })
  const ask = (token: string) => fetch(`${cluster.url}/api/v1/secrets`, { headers: { authorization: `Bearer ${token}` } })
  assert.deepEqual([(await ask('good')).status, (await ask('bad')).status], [200, 401])
})

test('it comes back on the same port with what it held', async (t) => {
  const cluster = await started(t)
  cluster.store.put(secret('s'))
  const { url } = cluster
  await cluster.stop()
  await assert.rejects(fetch(`${url}/api/v1/secrets`))
  await cluster.start()
  assert.equal(cluster.url, url)
  assert.equal((await fetch(`${url}/api/v1/namespaces/demo/secrets/s`)).status, 200)
})

test('connections that are silenced stay open, and nothing comes any more', async (t) => {
  const cluster = await started(t)
  const ended = new AbortController()
  const response = await fetch(`${cluster.url}/api/v1/secrets?watch=true&resourceVersion=100`, { signal: ended.signal })
  const reading = response.text().then(
    () => 'ended',
    () => 'aborted',
  )
  cluster.silence()
  cluster.store.put(secret('a'))
  assert.equal(await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, 50, 'silent'))]), 'silent')
  ended.abort()
  assert.equal(await reading, 'aborted')
})

test('an object that is only tried is not kept, and what an admission says of it is answered', async (t) => {
  const cluster = await started(t)
  const pods = `${cluster.url}/api/v1/namespaces/demo/pods`
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } })
  const sent = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }
  assert.equal((await fetch(`${pods}?dryRun=All`, sent)).status, 201)
  assert.equal((await fetch(`${pods}/p`)).status, 404)
  cluster.admission = ({ kind }) => (kind === 'Pod' ? { code: 400, message: 'denied the request' } : undefined)
  const refused = await fetch(`${pods}?dryRun=All`, sent)
  assert.deepEqual([refused.status, ((await refused.json()) as { message: string }).message], [400, 'denied the request'])
})

test('access reviews say what is denied, and asking for somebody else may be denied itself', async (t) => {
  const cluster = await started(t)
  cluster.deny('list', 'secrets', 'demo')
  const review = async (kind: string, resource: string, namespace: string): Promise<[number, boolean | undefined]> => {
    const response = await fetch(`${cluster.url}/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`, {
      method: 'POST',
      body: JSON.stringify({ kind, spec: { user: 'x', resourceAttributes: { verb: 'list', resource, namespace } } }),
    })
    return [response.status, ((await response.json()) as { status: { allowed?: boolean } }).status.allowed]
  }
  assert.deepEqual(await review('SelfSubjectAccessReview', 'secrets', 'demo'), [201, false])
  assert.deepEqual(await review('SubjectAccessReview', 'secrets', 'other'), [201, true])
  cluster.deny('create', 'subjectaccessreviews')
  assert.equal((await review('SubjectAccessReview', 'secrets', 'other'))[0], 403)
  assert.equal((await review('SelfSubjectAccessReview', 'secrets', 'other'))[0], 201)
})

test('a list can be of those with a label, and the API server tells its version', async (t) => {
  const cluster = await started(t)
  cluster.store.put({ kind: 'Pod', metadata: { namespace: 'demo', name: 'a', labels: { role: 'webhook' } } })
  cluster.store.put({ kind: 'Pod', metadata: { namespace: 'demo', name: 'b' } })
  const list = await fetch(`${cluster.url}/api/v1/namespaces/demo/pods?labelSelector=role%3Dwebhook`)
  assert.deepEqual(
    ((await list.json()) as { items: { metadata: { name: string } }[] }).items.map((i) => i.metadata.name),
    ['a'],
  )
  assert.equal(((await (await fetch(`${cluster.url}/version`)).json()) as { gitVersion: string }).gitVersion, 'v1.34.2')
})
