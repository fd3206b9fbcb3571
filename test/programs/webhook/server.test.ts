import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { connect } from 'node:tls'
import { openMetrics } from '../../../programs/webhook/prometheus.ts'
import type { Answerer, Readiness, Serving } from '../../../programs/webhook/server.ts'
import { openServer } from '../../../programs/webhook/server.ts'
import { silent } from '../../../src/world/log.ts'
import { uncounted } from '../../../src/world/metrics.ts'
import type { PressureLevel } from '../../../src/world/pressure.ts'
import { allowing, certificate, keeping, post, review } from './client.ts'

/** A webhook on a free port, closed after the test. */
async function webhook(t: TestContext, answerer: Answerer, more: Partial<Serving> = {}): Promise<number> {
  const server = openServer({
    answerers: new Map([['/validations', answerer]]),
    tls: { cert: certificate.certificate, key: certificate.key, minVersion: 'TLSv1.3' },
    readiness: () => ({ ready: true }),
    closing: () => false,
    log: silent,
    metrics: uncounted,
    ...more,
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close().closeAllConnections())
  const at = server.address()
  return typeof at === 'object' && at !== null ? at.port : 0
}

const allows: Answerer = async (body) => allowing(body)

test('a review is answered with JSON', async (t) => {
  const { status, headers, body } = await post(await webhook(t, allows), '/validations?timeout=10s', review('u1'))
  deepEqual([status, headers['content-type'], body], [200, 'application/json', '{"answers":"u1"}'])
})

test('one connection carries many reviews', async (t) => {
  const port = await webhook(t, allows)
  const got = await Promise.all(Array.from({ length: 50 }, (_, i) => post(port, '/validations', review(`u${i}`))))
  deepEqual(
    got.map((g) => g.body),
    got.map((_, i) => `{"answers":"u${i}"}`),
  )
})

for (const [what, path, headers, status, body] of [
  [
    'a Content-Type that is not exactly application/json',
    '/validations',
    { 'Content-Type': 'application/json; charset=utf-8' },
    415,
    'invalid Content-Type, want `application/json`\n',
  ],
  ['no Content-Type', '/validations', {}, 415, 'invalid Content-Type, want `application/json`\n'],
  ['a wrong Content-Type on an unknown path', '/nope', {}, 415, 'invalid Content-Type, want `application/json`\n'],
  ['an unknown path', '/nope', { 'Content-Type': 'application/json' }, 400, 'no controller registered for: /nope\n'],
  [
    'an unknown path with a timeout',
    '/nope?timeout=10s',
    { 'Content-Type': 'application/json' },
    400,
    'no controller registered for: /nope\n',
  ],
  [
    'a path of another spelling',
    '/Validations',
    { 'Content-Type': 'application/json' },
    400,
    'no controller registered for: /Validations\n',
  ],
] as const)
  test(`${what} is answered ${status}`, async (t) => {
    const got = await post(await webhook(t, allows), path, review('u1'), headers)
    deepEqual([got.status, got.headers['content-type'], got.body], [status, 'text/plain; charset=utf-8', body])
  })

test('an answer that is not 200 is text', async (t) => {
  const port = await webhook(t, async () => ({ status: 400, body: 'could not decode body:EOF' }))
  const got = await post(port, '/validations', '')
  deepEqual([got.status, got.body, got.headers['x-content-type-options']], [400, 'could not decode body:EOF\n', 'nosniff'])
})

for (const [what, headers] of [
  ['the header K-Kubelet-Probe', { 'K-Kubelet-Probe': 'webhook' }],
  ['the User-Agent of the kubelet', { 'User-Agent': 'kube-probe/1.34' }],
] as const)
  test(`a probe is known by ${what}, on any path`, async (t) => {
    let state: Readiness = { ready: true }
    const port = await webhook(t, allows, { readiness: () => state })
    const ready = await post(port, '/anything', '', headers)
    deepEqual([ready.status, ready.body], [200, ''])
    state = { ready: false, text: 'shutting down' }
    const draining = await post(port, '/anything', '', headers)
    deepEqual([draining.status, draining.body], [503, 'shutting down\n'])
  })

test('lesson 48: an answer that fails inside is refused under its uid, counted and logged with its stack, and the next request is answered', async (t) => {
  const log = keeping()
  const metrics = openMetrics()
  const fails: Answerer = async (body) => {
    if (body.includes('bad')) throw new Error('never thought of')
    return allowing(body)
  }
  const port = await webhook(t, fails, { log, metrics })
  const got = await post(port, '/validations', review('bad'))
  const { response } = JSON.parse(got.body) as { response: { uid: string; allowed: boolean; status: { message: string; code: number } } }
  deepEqual([got.status, response.uid, response.allowed], [200, 'bad', false])
  deepEqual(response.status.message, 'an internal error; the log has the stack')
  const line = log.lines.find((l) => l.text === 'error an answer failed inside')
  match((line?.values['error'] as Error).stack ?? '', /never thought of[\s\S]*server\.test\.ts/)
  match(await metrics.text(), /sealgate_internal_errors_total\{where="answer"\} 1/)
  equal((await post(port, '/validations', review('good'))).body, '{"answers":"good"}')
})

test('an answer that fails inside where no uid can be read is status 500', async (t) => {
  const port = await webhook(t, async () => Promise.reject(new Error('never thought of')))
  const got = await post(port, '/validations', '{')
  deepEqual([got.status, got.body], [500, 'an internal error; the log has the stack\n'])
})

test('an answerer that throws at once is no different from one that rejects', async (t) => {
  const port = await webhook(t, () => {
    throw new Error('never thought of')
  })
  equal((await post(port, '/validations', '{')).status, 500)
})

test('an answer leaves before the budget ends, even when the answerer does not keep its deadline', async (t) => {
  const port = await webhook(t, () => new Promise(() => undefined))
  const began = performance.now()
  const got = await post(port, '/validations?timeout=400ms', review('u1'))
  ok(performance.now() - began < 400)
  const { response } = JSON.parse(got.body) as { response: { uid: string; allowed: boolean; status: { message: string } } }
  deepEqual([response.uid, response.allowed, response.status.message], ['u1', false, 'context was canceled before validation completed'])
})

test('the deadline that an answerer is told lies 300 ms or a tenth before the end of the budget, whichever is less', async (t) => {
  const left: number[] = []
  const port = await webhook(t, async (body, { at }) => {
    left.push(at - performance.now())
    return allowing(body)
  })
  for (const path of ['/validations?timeout=1s', '/validations?timeout=20s', '/validations']) await post(port, path, review('u1'))
  const wanted = [900, 19_700, 9_700]
  deepEqual(
    left.map((ms, i) => ms <= (wanted[i] ?? 0) && ms > (wanted[i] ?? 0) - 500),
    [true, true, true],
  )
})

test('a body above 8 MiB is refused before it is read', async (t) => {
  let asked = 0
  const port = await webhook(t, async (body) => (asked++, allowing(body)))
  const long = await post(
    port,
    '/validations',
    'x',
    { 'Content-Type': 'application/json', 'Content-Length': String(9 * 1024 * 1024) },
    { timeout: 1000 },
  ).catch((e: unknown) => e as Error)
  ok(long instanceof Error || long.status === 413)
  const chunked = await post(port, '/validations', Buffer.alloc(9 * 1024 * 1024), {
    'Content-Type': 'application/json',
    'Transfer-Encoding': 'chunked',
  }).catch((e: unknown) => e as Error)
  ok(chunked instanceof Error || chunked.status === 413)
  equal(asked, 0)
  equal((await post(port, '/validations', JSON.stringify({ request: { uid: 'u', pad: 'x'.repeat(7 * 1024 * 1024) } }))).status, 200)
})

test('a client that goes away in the middle of its body harms nobody', async (t) => {
  const port = await webhook(t, allows)
  const socket = connect({ host: '127.0.0.1', port, ca: certificate.ca })
  await new Promise<void>((resolve) => socket.once('secureConnect', resolve))
  socket.write('POST /validations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"request"')
  await new Promise((resolve) => setTimeout(resolve, 50))
  socket.destroy()
  equal((await post(port, '/validations', review('u1'))).status, 200)
})

test('bodies that never end are held up to a bound, whatever the number of clients, and are let go with them', async (t) => {
  const port = await webhook(t, allows)
  const body = Buffer.alloc(7 * 1024 * 1024)
  const clients = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = connect({ host: '127.0.0.1', port, ca: certificate.ca })
      const answer = { text: '' }
      socket.on('data', (chunk: Buffer) => (answer.text += chunk.toString())).on('error', () => undefined)
      await new Promise<void>((resolve) => socket.once('secureConnect', resolve))
      socket.write(`POST /validations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length + 1}\r\n\r\n`)
      socket.write(body)
      return { socket, answer }
    }),
  )
  const refused = (): number => clients.filter((c) => c.answer.text.startsWith('HTTP/1.1 503 ')).length
  for (let i = 0; i < 300 && refused() === 0; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  ok(refused() > 0)
  ok(refused() < clients.length)
  for (const { socket } of clients) socket.destroy()
  for (let i = 0; i < 100; i++) if ((await post(port, '/validations', review('u1'))).status === 200) return
  throw new Error('what was held is still held')
})

test('TLS 1.2 is refused, unless the setting allows it', async (t) => {
  const { certificate: cert, key } = certificate
  const old = { maxVersion: 'TLSv1.2' }
  const strict = await post(await webhook(t, allows), '/validations', review('u1'), undefined, old).then(
    () => 'answered',
    (e: unknown) => (e as NodeJS.ErrnoException).code,
  )
  equal(strict, 'EPROTO')
  const lax = await webhook(t, allows, { tls: { cert, key, minVersion: 'TLSv1.2' } })
  equal((await post(lax, '/validations', review('u1'), undefined, old)).status, 200)
})

test('while draining, answers end their connections', async (t) => {
  const { headers, status } = await post(await webhook(t, allows, { closing: () => true }), '/validations', review('u1'))
  deepEqual([status, headers.connection], [200, 'close'])
})

test('each request is one line at info, with what it was about', async (t) => {
  const log = keeping()
  const about = {
    uid: 'u1',
    operation: 'CREATE',
    kind: 'Pod',
    subResource: '',
    namespace: 'shop',
    name: 'web',
    user: 'eve',
    allowed: true,
    codes: ['no-signatures'],
  }
  const port = await webhook(t, async (body) => ({ ...allowing(body), about }), { log })
  await post(port, '/validations', review('u1'))
  const lines = log.lines.filter((l) => l.text.startsWith('info'))
  deepEqual(
    lines.map((l) => l.text),
    ['info request'],
  )
  const { ms, ...values } = lines[0]?.values ?? {}
  deepEqual(values, { path: '/validations', status: 200, ...about })
  equal(typeof ms, 'number')
})

test('under pressure a review with a large body is refused beside others, and told to try again', async (t) => {
  let level: PressureLevel = 'high'
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => (release = resolve))
  const metrics = openMetrics()
  const slow: Answerer = async (body) => {
    await released
    return allowing(body)
  }
  const port = await webhook(t, slow, { metrics, pressure: { level: () => level, limit: 2 ** 30 } })
  const large = (uid: string): string => JSON.stringify({ ...(JSON.parse(review(uid)) as object), filler: 'x'.repeat(100_000) })
  const underWay = Array.from({ length: 4 }, (_, i) => post(port, '/validations', large(`first-${i}`)))
  while (!(await metrics.text()).includes('sealgate_requests_under_way 4')) await new Promise((resolve) => setTimeout(resolve, 5))
  const { response } = JSON.parse((await post(port, '/validations', large('u1'))).body) as {
    response: { uid: string; status: { code: number } }
  }
  deepEqual([response.uid, response.status.code], ['u1', 429])
  const small = post(port, '/validations', review('u2'))
  level = 'none'
  const later = post(port, '/validations', large('u3'))
  release()
  equal((await small).body, '{"answers":"u2"}')
  equal((await later).body, '{"answers":"u3"}')
  for (const each of await Promise.all(underWay)) equal(each.status, 200)
  ok((await metrics.text()).includes('sealgate_requests_turned_away_total{status="429"} 1\n'))
})
