import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Internet } from '../../../fakes/internet.ts'
import { Cloud, jsonOf, NoAnswer, whyOf } from '../../../src/world/cloud/cloud.ts'
import type { Metrics } from '../../../src/world/metrics.ts'
import { uncounted } from '../../../src/world/metrics.ts'

let internet: Internet
const counted: string[] = []
const metrics: Metrics = { ...uncounted, registryAsked: (outcome, host) => void counted.push(`${host} ${outcome}`) }
const signal = (): AbortSignal => AbortSignal.timeout(2_000)

before(async () => {
  internet = await Internet.start('service.example')
})
after(() => internet.close())
beforeEach(() => {
  internet.seen.length = 0
  counted.length = 0
  internet.host('service.example', ({ method, body }) => ({ status: 200, body: `${method} ${body}` }))
  internet.host('metadata', () => ({ status: 200, body: 'token' }))
  internet.trouble('service.example', undefined)
  internet.trouble('metadata', undefined)
})

async function within<T>(environment: Readonly<Record<string, string>>, work: (cloud: Cloud) => Promise<T>): Promise<T> {
  const cloud = new Cloud({ HTTPS_PROXY: internet.proxy, HTTP_PROXY: internet.proxy, ...environment }, metrics, () => [internet.ca])
  try {
    return await work(cloud)
  } finally {
    await cloud.close()
  }
}

const service = { method: 'POST', url: new URL('https://service.example/a?b=c'), headers: { 'X-Name': 'value' }, body: 'text' }
const metadata = (host: string) => ({ method: 'GET', url: new URL(`http://${host}/token`), headers: {} })

test('a service is asked through the proxy, and counted as a cloud whatever its name is', () =>
  within({}, async (cloud) => {
    const { status, body } = await cloud.ask(service, signal())
    assert.deepEqual([status, Buffer.from(body).toString()], [200, 'POST text'])
    assert.equal(internet.seen[0]?.headers['x-name'], 'value')
    assert.deepEqual(counted, ['cloud found'])
  }))

test('an error is an answer, and so is a redirect: nothing is sent on', () =>
  within({}, async (cloud) => {
    internet.host('service.example', () => ({ status: 302, headers: { location: 'https://service.example/b' } }))
    assert.equal((await cloud.ask({ ...service, method: 'GET' }, signal())).status, 302)
    assert.equal(internet.seen.length, 1)
  }))

test('only what is believed by its certificate answers', () =>
  within({}, async (cloud) => {
    const other = cloud.trusting([])
    await assert.rejects(other.ask(service, signal()), /certificate/)
    await other.close()
  }))

test('an answer without end and one that does not come are no answers', () =>
  within({}, async (cloud) => {
    internet.trouble('service.example', 'endless')
    await assert.rejects(cloud.ask(service, signal()), /larger than the limit \(524288 bytes\)/)
    internet.trouble('service.example', 'silence')
    await assert.rejects(cloud.ask(service, AbortSignal.timeout(200)), /deadline exceeded/)
  }))

test('a proxy that is none is refused with a sentence that does not show it', () => {
  assert.throws(() => new Cloud({ HTTPS_PROXY: 'socks9://user:secret@x' }, uncounted), {
    message: 'HTTPS_PROXY is not the URL of a proxy (http://, https:// or socks5://)',
  })
})

test('link-local addresses are no services', () =>
  within({ NO_PROXY: '*' }, async (cloud) => {
    await assert.rejects(cloud.ask({ ...service, url: new URL('https://169.254.169.254/') }, signal()), /link-local or metadata address/)
  }))

test('a metadata service that the environment names is asked without the proxy', () =>
  within({ GCE_METADATA_HOST: internet.plain }, async (cloud) => {
    const before = internet.connected.length
    const { body } = await cloud.askMetadata(metadata(internet.plain), signal())
    assert.equal(Buffer.from(body).toString(), 'token')
    assert.equal(internet.connected.length, before)
  }))

test('nothing but a metadata service is asked as one', () =>
  within({}, async (cloud) => {
    for (const host of [internet.plain, 'service.example', '10.0.0.1'])
      await assert.rejects(cloud.askMetadata(metadata(host), signal()), /is not the address of a metadata service/)
    await assert.rejects(cloud.askMetadata({ ...metadata('x'), url: new URL('https://169.254.169.254/') }, signal()), NoAnswer)
    assert.equal(internet.seen.length, 0)
  }))

for (const [url, is] of [
  ['http://169.254.169.254/x', true],
  ['http://[fd00:ec2::254]/x', true],
  ['http://metadata.google.internal/x', true],
  ['http://metadata.google.internal.evil.example/x', false],
  ['http://127.0.0.1:9/x', true],
  ['http://127.0.0.2/x', false],
  ['http://localhost/x', false],
] as const)
  test(`${url} is ${is ? 'a' : 'no'} metadata service where AZURE_POD_IDENTITY_AUTHORITY_HOST is http://127.0.0.1:9`, () =>
    within({ AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://127.0.0.1:9' }, async (cloud) => assert.equal(cloud.isMetadata(new URL(url)), is)))

test('a metadata service that is silent or does not stop is left', () =>
  within({ GCE_METADATA_HOST: internet.plain }, async (cloud) => {
    internet.trouble('metadata', 'endless')
    await assert.rejects(cloud.askMetadata(metadata(internet.plain), signal()), /larger than the limit \(65536 bytes\)/)
    internet.trouble('metadata', 'silence')
    await assert.rejects(cloud.askMetadata(metadata(internet.plain), AbortSignal.timeout(200)), /deadline exceeded/)
  }))

test('why something failed is one line without the ids that differ each time', () => {
  const id = '1b39c8e0-e25f-4e98-ad84-bab6c136d5ec'
  assert.equal(
    whyOf(new Error(`no such identity.\r\nTrace ID: ${id} Correlation ID: ${id} Timestamp: 2026-11-23 08:00:00Z`)),
    'no such identity.',
  )
  assert.equal(whyOf(Object.assign(new Error('not allowed'), { name: 'AccessDenied' })), 'AccessDenied: not allowed')
  assert.equal(whyOf('text'), 'text')
  assert.equal(whyOf(new Error('x'.repeat(1000))).length, 301)
})

test('what is no JSON object is an empty one', () => {
  for (const body of ['', 'x', '1', 'null']) assert.deepEqual(jsonOf(Buffer.from(body)), {})
  assert.deepEqual(jsonOf(Buffer.from('{"a":1}')), { a: 1 })
})
