import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { mintCertificates } from '../../../fakes/certificates.ts'
import { FakeRegistry } from '../../../fakes/registry.ts'
import type { FakeRegistryOptions } from '../../../fakes/registry.ts'
import { digestOf } from '../../../src/image/digest.ts'
import { NO_PROXY, proxySettings } from '../../../src/world/network/proxy.ts'
import { Transport } from '../../../src/world/network/transport.ts'
import type { Answer, Request, Target, TransportOptions, Trouble } from '../../../src/world/network/transport.ts'

const opened: { close(): Promise<void> }[] = []
after(() => Promise.all(opened.map((one) => one.close())))
async function fake(options?: FakeRegistryOptions): Promise<FakeRegistry> {
  const registry = await FakeRegistry.start(options)
  registry.blob('app', 'hello')
  opened.push(registry)
  return registry
}
const counted: string[] = []
function transport(options: Partial<TransportOptions> = {}): Transport {
  const made = new Transport({
    ca: () => [],
    proxy: NO_PROXY,
    userAgent: 'sealgate/test',
    count: (outcome, host) => counted.push(`${outcome} ${host}`),
    ...options,
  })
  opened.push(made)
  return made
}

const HELLO = digestOf(Buffer.from('hello'))
const path = `/v2/app/blobs/${HELLO}`
const target = (base: string, at = path): Target => ({
  url: new URL(at, base),
  shown: `http://r${at}`,
  shownBase: `${new URL(base).protocol}//r/v2/`,
  kind: 'loopback',
})
const get = (targets: Target | Target[], more: Partial<Request> = {}): Request => ({
  method: 'GET',
  targets: [targets].flat(),
  headers: {},
  maxBytes: 1000,
  ...more,
})
const soon = (ms = 4000): AbortSignal => AbortSignal.timeout(ms)
const told = (result: Answer | Trouble): string =>
  'status' in result ? `${result.status} ${Buffer.from(result.body).toString()}` : `${result.reason.code} ${result.reason.text}`

const registry = await fake()
const http = transport()

test('an answer is its status, headers, whole body and its digest; who asks says so', async () => {
  const answer = await http.ask(get(target(registry.url)), soon())
  assert.equal(told(answer), '200 hello')
  assert.ok('status' in answer)
  assert.equal(answer.digest, HELLO)
  assert.equal(registry.seen.at(-1)?.headers['user-agent'], 'sealgate/test')
  assert.equal(registry.seen.at(-1)?.headers['accept-encoding'], 'identity')
  assert.equal(counted.at(-1), 'found loopback')
})

for (const [fault, requests] of [
  [{ status: 500 }, 2],
  [{ status: 503, headers: { 'retry-after': '0' } }, 2],
  [{ status: 429, headers: { 'retry-after': '0' } }, 2],
  [{ status: 429 }, 1],
  [{ status: 503, headers: { 'retry-after': '3600' } }, 1],
  [{ status: 503, headers: { 'retry-after': 'Wed, 21 Oct 2099 07:28:00 GMT' } }, 1],
  [{ status: 501 }, 1],
  [{ status: 400 }, 1],
  [{ status: 404 }, 1],
  [{ cut: 'at once' }, 2],
  [{ cut: Buffer.from('hel') }, 2],
] as const)
  test(`${JSON.stringify(fault).replace(/\{"type.*?\}/, 'bytes')} once is ${requests === 1 ? 'not asked again' : 'asked again'}`, async () => {
    const flaky = await fake()
    flaky.misbehave(path, fault, 1)
    const result = await http.ask(get(target(flaky.url)), soon())
    assert.equal(flaky.seen.length, requests)
    assert.equal(told(result), requests === 2 ? '200 hello' : `${'status' in fault ? fault.status : 0} `)
  })

test('after three attempts it is over, within a second and a half', async () => {
  const broken = await fake()
  broken.misbehave(path, { status: 500, body: 'boom' })
  const start = performance.now()
  assert.equal(told(await http.ask(get(target(broken.url)), soon())), '500 boom')
  assert.equal(broken.seen.length, 3)
  assert.ok(performance.now() - start < 1500)
})

test('a budget that ends between two attempts does not hide what the registry said', async () => {
  const broken = await fake()
  broken.misbehave(path, { status: 503, headers: { 'retry-after': '2' } })
  assert.equal(told(await http.ask(get(target(broken.url)), soon(150))), '503 ')
})

test('a registry that does not answer, or only drop by drop, is a timeout when the budget ends', async () => {
  const slow = await fake()
  for (const fault of [{ silence: true }, { drip: 20 }] as const) {
    slow.misbehave(path, fault, 1)
    assert.equal(told(await http.ask(get(target(slow.url)), soon(200))), `registry-timeout GET http://r${path}: context deadline exceeded`)
  }
  assert.equal(
    told(await http.ask(get(target(slow.url)), AbortSignal.abort())),
    `registry-timeout GET http://r${path}: context deadline exceeded`,
  )
})

test('one slow registry does not hold up another, however many requests wait for it', async () => {
  const slow = await fake()
  slow.misbehave(path, { silence: true })
  const giveUp = new AbortController()
  const waiting = Array.from({ length: 100 }, () => http.ask(get(target(slow.url)), giveUp.signal))
  assert.equal(told(await http.ask(get(target(registry.url)), soon(2000))), '200 hello')
  giveUp.abort()
  for (const result of await Promise.all(waiting)) assert.match(told(result), /registry-timeout/)
  assert.ok(slow.seen.length <= 16, `${slow.seen.length} connections`)
})

test('beyond a bound requests for one registry do not even wait', async () => {
  const slow = await fake()
  slow.misbehave(path, { silence: true })
  const giveUp = new AbortController()
  const waiting = Array.from({ length: 1040 }, () => http.ask(get(target(slow.url)), giveUp.signal))
  assert.match(told(await http.ask(get(target(slow.url)), soon())), /registry-failed .*too many requests to this registry are waiting/)
  giveUp.abort()
  await Promise.all(waiting)
})

test('without memory nothing further is fetched, what waits for its turn included', async () => {
  const slow = await fake()
  slow.misbehave(path, { late: 50 })
  let isShort = false
  const short = transport({ isShort: () => isShort })
  const asked = Array.from({ length: 40 }, () => short.ask(get(target(slow.url)), soon()))
  while (slow.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  isShort = true
  const answers = (await Promise.all(asked)).map(told)
  assert.ok(answers.filter((a) => a === '200 hello').length <= 16)
  assert.ok(answers.includes(`registry-not-asked GET http://r${path}: too much memory is in use to take an answer`))
  isShort = false
  assert.equal(told(await short.ask(get(target(slow.url)), soon())), '200 hello')
})

test('lesson 38: a body is read to its bound and no further', async () => {
  const big = await fake()
  const wrong = async (fault: Parameters<FakeRegistry['misbehave']>[1], more: Partial<Request>): Promise<string> => {
    big.misbehave(path, fault, 1)
    return told(await http.ask(get(target(big.url), more), soon()))
  }
  assert.match(await wrong({ status: 200, body: 'x'.repeat(1001) }, {}), /registry-malformed .*larger than the limit \(1000 bytes\)/)
  assert.match(await wrong({ drip: 1 }, { maxBytes: 5 }), /registry-malformed .*larger than the limit \(5 bytes\)/)
  assert.match(await wrong({ drip: 1 }, { size: 5 }), /registry-malformed .*error verifying size; got more, want 5/)
  assert.equal((await wrong({ status: 501, body: 'x'.repeat(1_000_000) }, {})).length <= 4 + 64 * 1024, true)
  assert.match(await wrong({ status: 200, headers: { big: 'x'.repeat(40_000) } }, {}), /registry-malformed .*malformed HTTP response/)
})

test('lesson 41: a compressed body is refused unread', async () => {
  const zip = await fake()
  zip.misbehave(path, { status: 200, headers: { 'content-encoding': 'gzip' }, body: 'bomb' })
  assert.match(told(await http.ask(get(target(zip.url)), soon())), /registry-malformed .*compressed/)
})

test('lesson 43: a redirect is followed without the credentials when it leads to another host', async () => {
  const store = await fake()
  const front = await fake()
  front.misbehave('/away', { status: 307, headers: { location: `${store.url}${path}?signature=secret` } })
  front.misbehave('/beside', { status: 302, headers: { location: path } })
  const headers = { authorization: 'Basic c2VjcmV0' }
  assert.equal(told(await http.ask(get(target(front.url, '/v2/away'), { headers }), soon())), '200 hello')
  assert.equal(store.seen[0]?.authorization, undefined)
  assert.equal(told(await http.ask(get(target(front.url, '/v2/beside'), { headers }), soon())), '200 hello')
  assert.equal(front.seen.at(-1)?.authorization, headers.authorization)
})

test('lesson 43: redirects are bounded, and lead neither to a metadata address nor to something that is not http', async () => {
  const front = await fake()
  for (const [at, location, expected] of [
    ['/loop', '/v2/loop', /registry-malformed .*stopped after 5 redirects/],
    ['/metadata', 'http://169.254.169.254/latest', /registry-address-refused .*169\.254\.169\.254 is a link-local or metadata address/],
    ['/mapped', 'http://[::ffff:a9fe:a9fe]/', /registry-address-refused/],
    ['/decimal', 'http://2852039166/', /registry-address-refused/],
    ['/file', 'file:///etc/passwd', /registry-malformed .*redirected to a URL that is not http$/],
    ['/userinfo', 'http://u:p@127.0.0.1/', /registry-malformed .*credentials in it/],
    ['/nowhere', 'http://[', /registry-malformed .*redirected to nowhere/],
  ] as const) {
    front.misbehave(`/v2${at}`, { status: 302, headers: { location } })
    assert.match(told(await http.ask(get(target(front.url, `/v2${at}`)), soon())), expected)
  }
  assert.equal(front.seen.filter(({ path }) => path === '/v2/loop').length, 6)
})

test('lesson 43: an error after a redirect shows the URL that was asked, not the one that the registry named', async () => {
  const front = await fake()
  front.misbehave('/v2/away', { status: 307, headers: { location: 'http://127.0.0.1:1/x?X-Amz-Signature=secret' } })
  const text = told(await http.ask(get(target(front.url, '/v2/away')), soon()))
  assert.equal(text, 'registry-unreachable Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused')
})

test('lesson 43: a name that resolves to a metadata address is not connected to', async () => {
  const rebound = transport({ lookup: (_name, _options, callback) => callback(null, [{ address: '169.254.169.254', family: 4 }]) })
  assert.match(told(await rebound.ask(get(target('http://r.example')), soon())), /^registry-address-refused .*169\.254\.169\.254/)
})

test('who is not there is told with every way that was tried', async () => {
  const gone = [target('https://127.0.0.1:1'), target('http://127.0.0.1:1')]
  assert.equal(
    told(await http.ask(get(gone), soon())),
    'registry-unreachable Get "https://r/v2/": dial tcp 127.0.0.1:1: connect: connection refused; Get "http://r/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
  )
  const nowhere = transport({ lookup: (_name, _options, callback) => callback(Object.assign(new Error(), { code: 'ENOTFOUND' }), '') })
  assert.equal(
    told(await nowhere.ask(get(target('http://nowhere.local')), soon())),
    'registry-unreachable Get "http://r/v2/": dial tcp: lookup nowhere.local: no such host',
  )
})

test('IPv6 literals work', async (t) => {
  const six = await FakeRegistry.start({ address: '::1' }).catch(() => undefined)
  if (!six) return t.skip('this machine has no IPv6 loopback')
  opened.push(six)
  six.blob('app', 'hello')
  assert.match(six.host, /^\[::1\]:\d+$/)
  assert.equal(told(await http.ask(get(target(six.url)), soon())), '200 hello')
})

const { ca, server: tls } = await mintCertificates(['127.0.0.1', 'r.example'])
const secure = await fake({ tls })
const toLoopback: NonNullable<TransportOptions['lookup']> = (_name, _options, callback) =>
  callback(null, [{ address: '127.0.0.1', family: 4 }])

test('https is believed when a CA that was given signs it, for the name that was asked', async () => {
  const trusting = transport({ ca: () => [ca], lookup: toLoopback })
  const { port } = new URL(secure.url)
  assert.equal(told(await trusting.ask(get(target(secure.url)), soon())), '200 hello')
  assert.equal(told(await trusting.ask(get(target(`https://r.example:${port}`)), soon())), '200 hello')
  assert.match(
    told(await trusting.ask(get(target(`https://other.example:${port}`)), soon())),
    /tls: failed to verify certificate: x509: certificate is valid for other names/,
  )
  assert.match(
    told(await http.ask(get(target(secure.url)), soon())),
    /tls: failed to verify certificate: x509: certificate signed by unknown authority/,
  )
})

test('a certificate that cannot be read does not take the others along', async () => {
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'
  assert.equal(told(await transport({ ca: () => [broken, ca] }).ask(get(target(secure.url)), soon())), '200 hello')
})

test('plain http is no way around a certificate that is not believed', async () => {
  const before = registry.seen.length
  const result = await http.ask(get([target(secure.url), target(registry.url)]), soon())
  assert.match(told(result), /^registry-unreachable .*signed by unknown authority$/)
  assert.equal(registry.seen.length, before)
})

test('plain http is asked when there is no https, and the answer says by which it came', async () => {
  const targets = [target(registry.url.replace('http:', 'https:')), target(registry.url)]
  const result = await http.ask(get(targets), soon())
  assert.ok('status' in result)
  assert.equal(result.target, targets[1])
})

test('a redirect from https to plain http is refused', async () => {
  const trusting = transport({ ca: () => [ca] })
  secure.misbehave('/v2/away', { status: 302, headers: { location: `${registry.url}${path}` } })
  assert.match(
    told(await trusting.ask(get(target(secure.url, '/v2/away')), soon())),
    /registry-malformed .*redirected to a URL that is not https/,
  )
})

/** A forward proxy: CONNECT for https, absolute URLs for http. Every name leads to loopback. */
async function proxy(): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server: Server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? '-'}`)
    response.end('hello')
  })
  server.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization'] ?? '-'}`)
    const port = Number(request.url?.split(':').at(-1))
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    for (const one of [onward, socket]) one.on('error', () => one.destroy())
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  opened.push({
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  })
  return { url: `http://user:pw@127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

test('through a proxy: https by CONNECT, http by whole URLs, with its own credentials; exceptions directly', async () => {
  const { url, asked } = await proxy()
  const settings = proxySettings({ HTTPS_PROXY: url, HTTP_PROXY: url, NO_PROXY: '127.0.0.0/8,direct.example' })
  assert.ok(!('error' in settings))
  const { port } = new URL(secure.url)
  const proxied = transport({ ca: () => [ca], proxy: settings, lookup: toLoopback })
  assert.equal(told(await proxied.ask(get(target(`https://r.example:${port}`)), soon())), '200 hello')
  assert.equal(told(await proxied.ask(get(target('http://plain.example')), soon())), '200 hello')
  const auth = `Basic ${btoa('user:pw')}`
  assert.deepEqual(asked, [`CONNECT r.example:${port} ${auth}`, `GET http://plain.example${path} ${auth}`])
  assert.equal(told(await proxied.ask(get(target(registry.url.replace('127.0.0.1', 'direct.example'))), soon())), '200 hello')
  assert.equal(asked.length, 2)
})

test('lesson 43: a proxy is not asked for a metadata address either; one that is not there is told', async () => {
  const { url, asked } = await proxy()
  const settings = proxySettings({ HTTPS_PROXY: url, HTTP_PROXY: url })
  assert.ok(!('error' in settings))
  const proxied = transport({ proxy: settings })
  for (const base of ['http://169.254.169.254', 'https://[fd00:ec2::254]'])
    assert.match(told(await proxied.ask(get(target(base)), soon())), /^registry-address-refused/)
  assert.deepEqual(asked, [])
  const gone = proxySettings({ HTTPS_PROXY: 'http://127.0.0.1:1' })
  assert.ok(!('error' in gone))
  assert.match(
    told(await transport({ proxy: gone }).ask(get(target('https://r.example')), soon())),
    /registry-unreachable Get "https:\/\/r\/v2\/": proxyconnect: dial tcp 127\.0\.0\.1:1: connect: connection refused/,
  )
})
