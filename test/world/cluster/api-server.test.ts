import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { mintCertificates } from '../../../fakes/certificates.ts'
import { FakeCluster, type FakeClusterOptions } from '../../../fakes/cluster.ts'
import { ApiServer, Lines, statusText } from '../../../src/world/cluster/api-server.ts'
import type { Access, Credentials } from '../../../src/world/cluster/kubeconfig.ts'

const SECRETS = '/api/v1/namespaces/demo/secrets'
const never = new AbortController().signal

async function served(
  t: TestContext,
  options: FakeClusterOptions = {},
  credentials: Credentials = { tls: {}, headers: {} },
  proxy?: string,
): Promise<{ fake: FakeCluster; api: ApiServer }> {
  const fake = await FakeCluster.start(options)
  const access: Access = { server: fake.url, proxy, credentials: async () => credentials }
  const api = new ApiServer(access)
  t.after(async () => {
    await api.close()
    await fake.stop()
  })
  return { fake, api }
}

test('an answer is JSON; a refusal is the message of the API server', async (t) => {
  const { fake, api } = await served(t)
  fake.store.put({ kind: 'Secret', metadata: { namespace: 'demo', name: 's' } })
  const found = await api.get(`${SECRETS}/s`, {}, never)
  assert.ok(found.state === 'answered' && found.body['metadata'])
  assert.deepEqual(await api.get(`${SECRETS}/t`, {}, never), {
    state: 'refused',
    status: 404,
    text: 'secrets "t" not found',
    retryAfter: undefined,
  })
  fake.fail({ how: 'status', status: 429, message: 'too many\nrequests', retryAfter: 3 })
  assert.deepEqual(await api.get(SECRETS, {}, never), { state: 'refused', status: 429, text: 'too many requests', retryAfter: 3000 })
})

test('an object is created, replaced, merged and deleted; what came too late is a refusal', async (t) => {
  const { fake, api } = await served(t)
  const secret = (data: object, more: object = {}) => ({ kind: 'Secret', metadata: { name: 's', ...more }, data })
  const created = await api.write('create', SECRETS, secret({ a: 'MQ==' }), never)
  assert.ok(created.state === 'answered')
  assert.equal((await api.write('create', SECRETS, secret({}), never)).state, 'refused')
  const { resourceVersion } = created.body['metadata'] as { resourceVersion: string }
  assert.equal((await api.write('merge', `${SECRETS}/s`, { data: { b: 'Mg==' } }, never)).state, 'answered')
  const late = await api.write('replace', `${SECRETS}/s`, secret({}, { resourceVersion }), never)
  assert.deepEqual(
    [late.state === 'refused' && late.status, late.state === 'refused' && late.text],
    [
      409,
      'Operation cannot be fulfilled on secrets "s": the object has been modified; please apply your changes to the latest version and try again',
    ],
  )
  const found = await api.get(`${SECRETS}/s`, {}, never)
  assert.deepEqual(found.state === 'answered' && found.body['data'], { a: 'MQ==', b: 'Mg==' })
  assert.equal((await api.write('delete', `${SECRETS}/s`, {}, never)).state, 'answered')
  assert.equal((await api.get(`${SECRETS}/s`, {}, never)).state, 'refused')
  assert.deepEqual([fake.count('create'), fake.count('patch'), fake.count('update'), fake.count('delete')], [2, 1, 1, 1])
})

test('a write without an answer is a failure, and is not repeated', async (t) => {
  const { fake, api } = await served(t)
  fake.fail({ verb: 'create', how: 'written' })
  const failed = await api.write('create', SECRETS, { kind: 'Secret', metadata: { name: 's' } }, never)
  assert.equal(failed.state, 'failed')
  assert.equal(fake.count('create'), 1)
  assert.equal((await api.get(`${SECRETS}/s`, {}, never)).state, 'answered')
})

test('an object that is too large is not sent', async (t) => {
  const { fake, api } = await served(t)
  const large = { kind: 'Secret', metadata: { name: 's' }, data: { a: 'x'.repeat(3 * 1024 * 1024) } }
  assert.deepEqual(await api.write('create', SECRETS, large, never), { state: 'too-large' })
  assert.equal(fake.requests.length, 0)
})

test('an API server that does not answer in time, or at all, is a failure', async (t) => {
  const { fake, api } = await served(t)
  const takeBack = fake.fail({ how: 'hang' })
  assert.deepEqual(await api.get(SECRETS, {}, never, 50), { state: 'failed', text: 'no answer within 0.05 s' })
  takeBack()
  await fake.stop()
  const failed = await api.get(SECRETS, {}, never)
  assert.match(failed.state === 'failed' ? failed.text : '', /ECONNREFUSED/)
})

test('an answer that is too large is not read to its end', async (t) => {
  const { fake, api } = await served(t)
  for (let i = 0; i < 20; i++)
    fake.store.put({ kind: 'Secret', metadata: { namespace: 'demo', name: `s${i}` }, data: 'x'.repeat(1_000_000) })
  assert.deepEqual(await api.get(SECRETS, {}, never), { state: 'too-large' })
  assert.equal((await api.get(SECRETS, { limit: '10' }, never)).state, 'answered')
})

test('a watch gives lines, whole wherever they were cut, and says how it ended', async (t) => {
  const { fake, api } = await served(t, { pieces: 1 })
  const lines: string[] = []
  const ended = api.watch(SECRETS, { resourceVersion: '100', timeoutSeconds: '1' }, 5_000, never, {
    opened: () => fake.store.put({ kind: 'Secret', metadata: { namespace: 'demo', name: 's', annotations: { a: 'ü😀' } } }),
    line: (line) => lines.push(line),
  })
  assert.deepEqual(await ended, { state: 'ended' })
  assert.deepEqual(
    lines.map((l) => (JSON.parse(l) as { object: { metadata: { annotations: object } } }).object.metadata.annotations),
    [{ a: 'ü😀' }],
  )
})

test('a watch that is not ended when it should be is silent', async (t) => {
  const { fake, api } = await served(t)
  const end = api.watch(SECRETS, { resourceVersion: '100', timeoutSeconds: '1' }, 200, never, {
    opened: () => fake.silence(),
    line: () => undefined,
  })
  assert.deepEqual(await end, { state: 'silent' })
})

test('a watch that is refused, or whose connection is closed, says so', async (t) => {
  const { fake, api } = await served(t)
  const allow = fake.deny('watch', 'secrets', 'demo')
  const on = { opened: () => undefined, line: () => undefined }
  const refused = await api.watch(SECRETS, { resourceVersion: '100' }, 5_000, never, on)
  assert.deepEqual([refused.state, refused.state === 'refused' && refused.status], ['refused', 403])
  allow()
  assert.equal(
    (await api.watch(SECRETS, { resourceVersion: '100' }, 5_000, never, { ...on, opened: () => fake.closeConnections() })).state,
    'failed',
  )
})

test('the time since the API server was last heard of grows until it is heard of', async (t) => {
  const { api } = await served(t)
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.ok(api.lastContactAge() >= 25)
  await api.get(SECRETS, {}, never)
  assert.ok(api.lastContactAge() < 25)
})

test("the API server must have a certificate of the CA for its name, and is shown the client's", async (t) => {
  const certificates = await mintCertificates(['kube.example.com'])
  const options = { tls: { ...certificates.server, clientCa: certificates.ca } }
  const { ca } = certificates
  const client = { cert: certificates.client.cert, key: certificates.client.key }
  const ask = async (tls: Credentials['tls']) => {
    const { api } = await served(t, options, { tls, headers: {} })
    const answer = await api.get(SECRETS, {}, never)
    return answer.state === 'failed' ? answer.text.replace(/^(\w+).*/, '$1') : answer.state
  }
  assert.equal(await ask({ ca, servername: 'kube.example.com', ...client }), 'answered')
  assert.equal(await ask({ ca, servername: 'kube.example.com' }), 'refused')
  assert.equal(await ask({ rejectUnauthorized: false, ...client }), 'answered')
  assert.equal(await ask({ ca, ...client }), 'Hostname')
  assert.notEqual(await ask({ servername: 'kube.example.com', ...client }), 'answered')
})

test('a 401 asks for credentials anew, once', async (t) => {
  const fake = await FakeCluster.start({ tokens: ['new'] })
  const asked: boolean[] = []
  const credentials = async (anew: boolean) => {
    asked.push(anew)
    return { tls: {}, headers: { authorization: `Bearer ${anew ? 'new' : 'old'}` } }
  }
  const api = new ApiServer({ server: fake.url, proxy: undefined, credentials })
  t.after(async () => {
    await api.close()
    await fake.stop()
  })
  assert.equal((await api.get(SECRETS, {}, never)).state, 'answered')
  assert.deepEqual(asked, [false, true])
})

test('credentials that cannot be had are a failure that says why', async () => {
  const api = new ApiServer({
    server: 'http://127.0.0.1:1',
    proxy: undefined,
    credentials: () => Promise.reject(new Error('/token: ENOENT')),
  })
  assert.deepEqual(await api.get(SECRETS, {}, never), { state: 'failed', text: '/token: ENOENT' })
})

/** A proxy that counts the tunnels it digs. */
async function proxy(t: TestContext): Promise<{ url: string; tunnels: string[] }> {
  const tunnels: string[] = []
  const server = createServer((_, response) => response.writeHead(500).end())
  server.on('connect', (request, socket, head) => {
    tunnels.push(request.url ?? '')
    const [host = '', port = ''] = (request.url ?? '').split(':')
    const target = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      target.write(head)
      target.pipe(socket).pipe(target)
    })
    target.on('error', () => socket.destroy())
    socket.on('error', () => target.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, tunnels }
}

test('requests go through the proxy of the kubeconfig, and through no other', async (t) => {
  const { url, tunnels } = await proxy(t)
  const certificates = await mintCertificates(['127.0.0.1'])
  const tls = { ca: certificates.ca }
  const through = await served(t, { tls: certificates.server }, { tls, headers: {} }, url)
  assert.equal((await through.api.get(SECRETS, {}, never)).state, 'answered')
  assert.deepEqual(tunnels, [through.fake.url.replace('https://', '')])

  const before = { ...process.env }
  for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY']) process.env[name] = url
  t.after(() => (process.env = before))
  const direct = await served(t, { tls: certificates.server }, { tls, headers: {} })
  assert.equal((await direct.api.get(SECRETS, {}, never)).state, 'answered')
  assert.equal(tunnels.length, 1)
})

test('lines are put together from pieces, in the middle of a character too, up to a bound', () => {
  const lines = new Lines(10)
  const bytes = Buffer.from('ü1\n\nü2\r\nrest')
  const seen = [...bytes].flatMap((byte) => lines.after(Buffer.from([byte])))
  assert.deepEqual(seen, ['ü1', 'ü2\r'])
  assert.ok(!lines.isTooLong())
  lines.after(Buffer.alloc(7, 'x'))
  assert.ok(lines.isTooLong())
  assert.equal(lines.after(Buffer.from('\n'))[0]?.length, 11)
  assert.ok(!lines.isTooLong())
})

test('what the API server says is one line of bounded length', () => {
  assert.equal(statusText({ message: 'a\nb' }, 500), 'a b')
  assert.equal(statusText('<html>', 502), 'HTTP 502')
  assert.equal(statusText({ message: 'x'.repeat(10_000) }, 500).length, 500)
})

test('what time it is there is that of its last answer', async (t) => {
  const { api } = await served(t)
  assert.equal(api.clock(), undefined)
  await api.get(SECRETS, {}, never)
  assert.ok(Math.abs((api.clock() ?? 0) - Date.now()) < 3_000)
})
