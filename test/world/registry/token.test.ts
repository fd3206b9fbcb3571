import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { FakeRegistry } from '../../../fakes/registry.ts'
import type { Fault } from '../../../fakes/registry.ts'
import { NO_PROXY } from '../../../src/world/network/proxy.ts'
import { Transport } from '../../../src/world/network/transport.ts'
import type { Credential } from '../../../src/world/registry/fetched.ts'
import { Tokens } from '../../../src/world/registry/token.ts'
import type { TokenRead, TokenWish } from '../../../src/world/registry/token.ts'

const transport = new Transport({ ca: () => [], proxy: NO_PROXY, userAgent: 'test', count: () => {} })
const realm = await FakeRegistry.start()
realm.protect('team/', { scheme: 'bearer', username: 'puller', password: 's3cret' })
realm.protect('short/', { scheme: 'bearer', username: 'puller', password: 's3cret', expiresIn: 15 })
after(() => Promise.all([transport.close(), realm.close()]))

const puller: Credential = { kind: 'basic', source: 'Secret demo/right', username: 'puller', password: 's3cret' }
const wish = (more: Partial<TokenWish> = {}, query = ''): TokenWish => ({
  challenge: { kind: 'bearer', realm: new URL(`${realm.url}/token${query}`), service: 'fake', scope: undefined },
  scope: 'repository:team/app:pull',
  credential: puller,
  kind: 'loopback',
  ...more,
})
const soon = (): AbortSignal => AbortSignal.timeout(4000)
async function requests(work: () => Promise<unknown>): Promise<number> {
  const before = realm.seen.length
  await work()
  return realm.seen.length - before
}
const token = (read: TokenRead): string => (read.ok ? read.token : read.reason.code)

test('a token is kept, and given to whoever asks the same with the same credential', async () => {
  const tokens = new Tokens(transport)
  const first = token(await tokens.get(wish(), undefined, soon()))
  assert.equal(await requests(async () => assert.equal(token(await tokens.get(wish(), undefined, soon())), first)), 0)
  for (const other of [
    wish({ scope: 'repository:team/other:pull' }),
    wish({ credential: { ...puller, password: 'other' } }),
    wish({}, '?x=1'),
  ])
    assert.equal(await requests(() => tokens.get(other, undefined, soon())), 1)
})

test('a token that was rejected is not given again', async () => {
  const tokens = new Tokens(transport)
  const first = token(await tokens.get(wish(), undefined, soon()))
  assert.notEqual(token(await tokens.get(wish(), first, soon())), first)
})

test('a token that ends within the margin is used, but not kept', async () => {
  const tokens = new Tokens(transport)
  const short = wish({ scope: 'repository:short/app:pull' })
  assert.equal(await requests(async () => assert.ok((await tokens.get(short, undefined, soon())).ok)), 1)
  assert.equal(await requests(() => tokens.get(short, undefined, soon())), 1)
})

test('equal wishes at the same time are one request, which outlives the first of them', async () => {
  const tokens = new Tokens(transport)
  realm.misbehave('/token', { late: 100 }, 1)
  const count = await requests(async () => {
    const impatient = tokens.get(wish(), undefined, AbortSignal.timeout(20))
    const patient = tokens.get(wish(), undefined, soon())
    assert.equal(token(await impatient), 'registry-timeout')
    assert.ok((await patient).ok)
  })
  assert.equal(count, 1)
})

test('a refusal shows the realm with what was asked for; what else stands in its query is redacted', async () => {
  const read = await new Tokens(transport).get(
    wish({ credential: { kind: 'anonymous', source: 'anonymous' } }, '?key=secret'),
    undefined,
    soon(),
  )
  assert.deepEqual(read, {
    ok: false,
    refused: true,
    reason: {
      code: 'registry-refused',
      text: `GET ${realm.url}/token?key=REDACTED&scope=repository%3Ateam%2Fapp%3Apull&service=fake: UNAUTHORIZED: incorrect username or password`,
    },
  })
  assert.equal(realm.seen.at(-1)?.query.get('key'), 'secret')
})

test('several scopes are asked for one by one', async () => {
  await new Tokens(transport).get(wish({ scope: 'repository:team/app:pull repository:team/base:pull' }), undefined, soon())
  assert.deepEqual(realm.seen.at(-1)?.query.getAll('scope'), ['repository:team/app:pull', 'repository:team/base:pull'])
})

const answered = (body: string): Fault => ({ status: 200, body })
for (const [what, fault, expected] of [
  ['access_token in place of token', answered('{"access_token":"abc"}'), 'abc'],
  ['no token', answered('{}'), 'registry-malformed'],
  ['a token that would break the header', answered('{"token":"a\\r\\nX: y"}'), 'registry-malformed'],
  ['a number', answered('{"token":1}'), 'registry-malformed'],
  ['a web page', answered('<html>'), 'registry-malformed'],
  ['more than 64 KiB', answered(`{"token":"${'x'.repeat(70_000)}"}`), 'registry-malformed'],
  ['deep JSON', answered('['.repeat(50_000)), 'registry-malformed'],
  ['a lifetime that is none', answered('{"token":"abc","expires_in":"soon"}'), 'abc'],
  ['an error of the server', { status: 501 }, 'registry-failed'],
  ['not found', { status: 404 }, 'registry-failed'],
] as const)
  test(`a realm that answers ${what}: ${expected}`, async () => {
    realm.misbehave('/token', fault, 1)
    assert.equal(token(await new Tokens(transport).get(wish(), undefined, soon())), expected)
  })
