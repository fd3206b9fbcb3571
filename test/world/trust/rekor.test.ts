import assert from 'node:assert/strict'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import type { Read } from '../../../src/verdict/read.ts'
import { sentenceOf } from '../../../src/verdict/reason.ts'
import { NO_PROXY } from '../../../src/world/network/proxy.ts'
import { Transport } from '../../../src/world/network/transport.ts'
import { MAX_SEARCH_ANSWER_BYTES, searchLog } from '../../../src/world/trust/rekor.ts'

const counted: string[] = []
const transport = new Transport({
  ca: () => [],
  proxy: NO_PROXY,
  userAgent: 'sealgate-test',
  count: (outcome, host) => counted.push(`${outcome} ${host}`),
})
const servers: Server[] = []
after(async () => {
  await transport.close()
  for (const server of servers) server.closeAllConnections()
  for (const server of servers) server.close()
})

type Asked = { readonly method: string; readonly url: string; readonly type: string | undefined; readonly body: string }

/** A log that answers as told, and what it was asked. */
async function log(answer: (response: ServerResponse) => void): Promise<{ readonly url: string; readonly asked: Asked[] }> {
  const asked: Asked[] = []
  const server = createServer((request: IncomingMessage, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      asked.push({ method: request.method ?? '', url: request.url ?? '', type: request.headers['content-type'], body })
      answer(response)
    })
  })
  servers.push(server)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

const soon = (): AbortSignal => AbortSignal.timeout(4_000)
const told = (read: Read<Uint8Array>): string =>
  read.ok ? Buffer.from(read.value).toString() : `${read.reason.code} ${sentenceOf(read.reason)}`

test('what is proposed is posted to the log, and its answer comes back as it is, counted as other requests are', async () => {
  const { url, asked } = await log((response) => response.end('[{"a":{}}]'))
  assert.equal(told(await searchLog(`${url}/tenant/`, [{ kind: 'hashedrekord' }], transport, soon())), '[{"a":{}}]')
  assert.deepEqual(asked, [
    { method: 'POST', url: '/tenant/api/v1/log/entries/retrieve', type: 'application/json', body: '{"entries":[{"kind":"hashedrekord"}]}' },
  ])
  assert.equal(counted.at(-1), 'found log')
})

for (const status of [404, 405])
  test(`a log that answers ${status} has no search, which is another reason than «not found»`, async () => {
    const { url } = await log((response) => response.writeHead(status).end('page not found'))
    assert.match(
      told(await searchLog(url, [], transport, soon())),
      /^log-without-search the log http:\/\/127\.0\.0\.1:\d+\/ cannot be searched: Rekor v2/,
    )
  })

for (const status of [400, 501])
  test(`a status ${status} is not known to be anything`, async () => {
    const { url } = await log((response) => response.writeHead(status).end('secret of an inner service'))
    const text = told(await searchLog(url, [], transport, soon()))
    assert.match(
      text,
      /^log-search-failed searching log query: POST http:\/\/127\.0\.0\.1:\d+\/api\/v1\/log\/entries\/retrieve: unexpected status code \d+/,
    )
    assert.ok(!text.includes('secret'))
  })

test('a log that fails once is asked again', async () => {
  let times = 0
  const { url, asked } = await log((response) => (times++ === 0 ? response.writeHead(503).end() : response.end('[]')))
  assert.equal(told(await searchLog(url, [], transport, soon())), '[]')
  assert.equal(asked.length, 2)
})

test('a log that does not answer in time is a reason of its own, and unknown', async () => {
  const { url } = await log(() => {})
  assert.match(
    told(await searchLog(url, [], transport, AbortSignal.timeout(100))),
    /^log-search-timeout searching log query: .*context deadline exceeded$/,
  )
})

test('an answer without end is refused', async () => {
  const { url } = await log((response) => response.end(Buffer.alloc(MAX_SEARCH_ANSWER_BYTES + 1, ' ')))
  assert.match(told(await searchLog(url, [], transport, soon())), /^log-search-failed .* is larger than the limit/)
})

test('a redirect is not followed: what a policy names is what is asked', async () => {
  const { url } = await log((response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end())
  assert.match(told(await searchLog(url, [], transport, soon())), /^log-search-failed .* unexpected status code 307/)
})

test('a log that is not there is told as registries are', async () => {
  assert.match(
    told(await searchLog('http://127.0.0.1:1', [], transport, soon())),
    /^log-search-failed searching log query: .*connection refused$/,
  )
})

for (const [url, why] of [
  ['http://rekor.sigstore.dev', 'plain http over the internet'],
  ['https://user:secret@rekor.sigstore.dev', 'a URL with credentials'],
  ['https://rekor.sigstore.dev/?a=b', 'a URL with a query'],
  ['ftp://rekor.sigstore.dev', 'another scheme'],
  ['', 'no URL'],
] as const)
  test(`${why} is not asked`, async () => {
    const before = counted.length
    assert.match(told(await searchLog(url, [], transport, soon())), /^log-search-failed searching log query: ".*" is not a URL of a log/)
    assert.equal(counted.length, before)
  })

test('lesson 43: an address of a metadata service is not asked', async () => {
  assert.match(told(await searchLog('https://169.254.169.254', [], transport, soon())), /^log-search-failed .*link-local or metadata/)
})
