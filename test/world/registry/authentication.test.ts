import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { mintCertificates } from '../../../fakes/certificates.ts'
import { OCI_MANIFEST } from '../../../fakes/registry-content.ts'
import { FakeRegistry } from '../../../fakes/registry.ts'
import type { FakeRegistryOptions } from '../../../fakes/registry.ts'
import { NO_PROXY } from '../../../src/world/network/proxy.ts'
import type { Credential, Fetched, GivenCredential, Got, Keychain } from '../../../src/world/registry/fetched.ts'
import { Registry } from '../../../src/world/registry/registry.ts'
import type { RegistryOptions } from '../../../src/world/registry/registry.ts'

const opened: { close(): Promise<void> }[] = []
after(() => Promise.all(opened.map((one) => one.close())))
async function fake(options?: FakeRegistryOptions): Promise<FakeRegistry> {
  const registry = await FakeRegistry.start(options)
  opened.push(registry)
  return registry
}
function client(options: Partial<RegistryOptions> = {}): Registry {
  const registry = new Registry({
    mirrors: [],
    insecureRegistries: [],
    ca: () => [],
    proxy: NO_PROXY,
    userAgent: 'test',
    count: () => {},
    ...options,
  })
  opened.push(registry)
  return registry
}

const IMAGE = { schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [] }
const ANONYMOUS: Credential = { kind: 'anonymous', source: 'anonymous' }
const login = (name: string, password = 's3cret'): Credential => ({
  kind: 'basic',
  source: `Secret demo/${name}`,
  username: 'puller',
  password,
})
const right = login('right')
const wrong = login('wrong', 'not it')
const PULLER = { username: 'puller', password: 's3cret' }
const chain = (...credentials: Credential[]): Keychain => ({ credentialsFor: () => credentials, scope: () => JSON.stringify(credentials) })
const soon = (): AbortSignal => AbortSignal.timeout(4000)
/** What came of it: the state with the credentials tried, and the text of a failure. */
const told = (fetched: Fetched<unknown>): [string, readonly string[], string?] =>
  fetched.state === 'found'
    ? ['found', fetched.tried]
    : [fetched.state, fetched.tried, 'text' in fetched.reason ? fetched.reason.text : fetched.reason.code]
/** What was sent since: path and kind of authorization of each request. */
const sent = (registry: FakeRegistry, since = 0): string[] =>
  registry.seen
    .slice(since)
    .map(
      ({ method, path, authorization }) =>
        `${method === 'GET' ? '' : `${method} `}${path.replace(/^\/v2\/.*\//, '')} ${authorization?.split(' ')[0] ?? '-'}`,
    )

async function guarded(scheme: 'basic' | 'bearer', more: object = {}): Promise<FakeRegistry> {
  const registry = await fake()
  for (const repository of ['team/app', 'team/other']) registry.manifest(repository, IMAGE, 'v1')
  registry.protect('team/', { scheme, ...PULLER, ...more })
  return registry
}

test('Basic: asked first without a password, then with it; from then on at once', async () => {
  const registry = await guarded('basic')
  const reader = client()
  const place = { registry: registry.host, repository: 'team/app' }
  assert.deepEqual(told(await reader.manifest(place, 'v1', chain(right, ANONYMOUS), soon())), ['found', ['Secret demo/right']])
  assert.deepEqual(sent(registry), ['v1 -', 'v1 Basic'])
  await reader.manifest({ ...place, repository: 'team/other' }, 'v1', chain(right, ANONYMOUS), soon())
  assert.deepEqual(sent(registry, 2), ['v1 Basic'])
})

test('Bearer: the token costs one request, once for a repository and a credential; the next repository needs no 401', async () => {
  const registry = await guarded('bearer')
  const reader = client()
  const place = { registry: registry.host, repository: 'team/app' }
  assert.deepEqual(told(await reader.manifest(place, 'v1', chain(right, ANONYMOUS), soon())), ['found', ['Secret demo/right']])
  assert.deepEqual(sent(registry), ['v1 -', '/token Basic', 'v1 Bearer'])
  await reader.manifest(place, 'v1', chain(right, ANONYMOUS), soon())
  assert.deepEqual(sent(registry, 3), ['v1 Bearer'])
  await reader.manifest({ ...place, repository: 'team/other' }, 'v1', chain(right, ANONYMOUS), soon())
  assert.deepEqual(sent(registry, 4), ['/token Basic', 'v1 Bearer'])
  assert.equal(registry.seen[1]?.query.toString(), 'scope=repository%3Ateam%2Fapp%3Apull&service=fake')
})

test('Bearer: whoever has no credentials reads a public repository with an anonymous token', async () => {
  const registry = await guarded('bearer', { anonymous: true })
  const reader = client()
  assert.deepEqual(told(await reader.manifest({ registry: registry.host, repository: 'team/app' }, 'v1', chain(ANONYMOUS), soon())), [
    'found',
    ['anonymous'],
  ])
  assert.deepEqual(sent(registry), ['v1 -', '/token -', 'v1 Bearer'])
})

test('Bearer: ten requests at once fetch one token', async () => {
  const registry = await guarded('bearer')
  const reader = client()
  const place = { registry: registry.host, repository: 'team/app' }
  await reader.manifest({ ...place, repository: 'team/other' }, 'v1', chain(right), soon()) // now it is known what the registry wants
  const before = registry.seen.length
  await Promise.all(Array.from({ length: 10 }, () => reader.manifest(place, 'v1', chain(right), soon())))
  assert.equal(sent(registry, before).filter((request) => request.startsWith('/token')).length, 1)
})

test('Bearer: a token that the registry does not know any more is fetched anew', async () => {
  const registry = await guarded('bearer')
  const reader = client()
  const place = { registry: registry.host, repository: 'team/app' }
  await reader.manifest(place, 'v1', chain(right), soon())
  registry.revoke()
  const before = registry.seen.length
  assert.equal((await reader.manifest(place, 'v1', chain(right), soon())).state, 'found')
  assert.deepEqual(sent(registry, before), ['v1 Bearer', '/token Basic', 'v1 Bearer'])
})

test('Bearer: an identity token goes to the realm by POST, a registry token to the registry as it is', async () => {
  const registry = await guarded('bearer', { refreshToken: 'refresh' })
  const place = { registry: registry.host, repository: 'team/app' }
  const identity: Credential = { kind: 'identity-token', source: 'Docker config', username: '', token: 'refresh' }
  assert.equal((await client().manifest(place, 'v1', chain(identity), soon())).state, 'found')
  assert.deepEqual(sent(registry), ['v1 -', 'POST /token -', 'v1 Bearer'])
  const ready: Credential = { kind: 'registry-token', source: 'Docker config', token: 'unknown' }
  const before = registry.seen.length
  assert.equal((await client().manifest(place, 'v1', chain(ready), soon())).state, 'failed')
  assert.deepEqual(sent(registry, before), ['v1 -', 'v1 Bearer'])
})

for (const scheme of ['basic', 'bearer'] as const) {
  test(`${scheme}: the next credential is tried after a refusal, and the one that worked is remembered for the place`, async () => {
    const registry = await guarded(scheme)
    const reader = client()
    const place = { registry: registry.host, repository: 'team/app' }
    assert.deepEqual(told(await reader.manifest(place, 'v1', chain(wrong, right, ANONYMOUS), soon())), [
      'found',
      ['Secret demo/wrong', 'Secret demo/right'],
    ])
    const before = registry.seen.length
    assert.deepEqual(told(await reader.manifest(place, 'v1', chain(wrong, right, ANONYMOUS), soon())), ['found', ['Secret demo/right']])
    assert.equal(registry.seen.length - before, 1)
  })
}

test('a refusal of all credentials is told in the words for the last of them, and names those tried', async () => {
  const basic = await guarded('basic')
  assert.deepEqual(told(await client().manifest({ registry: basic.host, repository: 'team/app' }, 'v1', chain(wrong, ANONYMOUS), soon())), [
    'failed',
    ['Secret demo/wrong', 'anonymous'],
    `GET http://${basic.host}/v2/team/app/manifests/v1: UNAUTHORIZED: authentication required`,
  ])
  assert.deepEqual(sent(basic), ['v1 -', 'v1 Basic']) // that nobody may read it anonymously was known from the first answer
  const bearer = await guarded('bearer', { namesScope: false })
  assert.deepEqual(told(await client().manifest({ registry: bearer.host, repository: 'team/app' }, 'v1', chain(ANONYMOUS), soon())), [
    'failed',
    ['anonymous'],
    `GET ${bearer.url}/token?scope=repository%3Ateam%2Fapp%3Apull&service=fake: UNAUTHORIZED: incorrect username or password`,
  ])
})

test('signaturePullSecrets are not followed by anybody else after a 401', async () => {
  const registry = await guarded('basic')
  assert.deepEqual(
    told(await client().manifest({ registry: registry.host, repository: 'team/app' }, 'v1', chain(wrong), soon())).slice(0, 2),
    ['failed', ['Secret demo/wrong']],
  )
})

test('an open repository is read without sending the password that is there for its host', async () => {
  const registry = await fake()
  registry.manifest('team/app', IMAGE, 'v1')
  assert.deepEqual(
    told(await client().manifest({ registry: registry.host, repository: 'team/app' }, 'v1', chain(right, ANONYMOUS), soon())),
    ['found', ['anonymous']],
  )
  assert.deepEqual(sent(registry), ['v1 -'])
})

test('a repository that is hidden from strangers by a 404 is asked for again with credentials, when /v2/ asks for them', async () => {
  const registry = await guarded('basic')
  registry.misbehave(({ path, authorization }) => path.endsWith('/manifests/v1') && authorization === undefined, { status: 404 })
  registry.misbehave(({ path, authorization }) => path === '/v2/' && authorization === undefined, {
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="r"' },
  })
  assert.deepEqual(
    told(await client().manifest({ registry: registry.host, repository: 'team/app' }, 'v1', chain(right, ANONYMOUS), soon())),
    ['found', ['Secret demo/right']],
  )
  assert.deepEqual(sent(registry), ['v1 -', '/v2/ -', 'v1 Basic'])
})

test('what an open registry does not have is absent after one further question, once', async () => {
  const registry = await fake()
  const reader = client()
  for (let i = 0; i < 3; i++)
    assert.equal(
      (await reader.manifest({ registry: registry.host, repository: 'team/app' }, 'nothing', chain(right, ANONYMOUS), soon())).state,
      'absent',
    )
  assert.deepEqual(sent(registry), ['nothing -', '/v2/ -', 'nothing -', 'nothing -'])
})

test('a realm that fails is no refusal: it is not known what the credential may do', async () => {
  for (const [status, code] of [
    [404, 'registry-failed'],
    [501, 'registry-failed'],
    [403, 'registry-refused'],
    [400, 'registry-refused'],
  ] as const) {
    const registry = await guarded('bearer')
    registry.misbehave('/token', { status })
    const fetched = await client().manifest({ registry: registry.host, repository: 'team/app' }, 'v1', chain(right), soon())
    assert.ok(fetched.state === 'failed')
    assert.equal(fetched.reason.code, code)
  }
})

test('credentials of a registry go to its mirror only when the operator said so', async () => {
  const mirror = await guarded('basic')
  const place = { registry: 'r.example', repository: 'team/app' }
  const silent = client({ mirrors: [{ host: 'r.example', url: mirror.url, credentials: false }] })
  assert.deepEqual(told(await silent.manifest(place, 'v1', chain(right, ANONYMOUS), soon())), [
    'failed',
    ['Secret demo/right (not sent to the mirror)', 'anonymous'],
    'GET http://r.example/v2/team/app/manifests/v1: UNAUTHORIZED: authentication required',
  ])
  assert.ok(mirror.seen.every(({ authorization }) => authorization === undefined))
  const trusting = client({ mirrors: [{ host: 'r.example', url: mirror.url, credentials: true }] })
  assert.equal((await trusting.manifest(place, 'v1', chain(right, ANONYMOUS), soon())).state, 'found')
})

test('the token for a mirror with a path is for the repository as the mirror calls it, when it names scopes', async () => {
  const mirror = await fake()
  for (const repository of ['proxy/team/app', 'proxy/team/other']) mirror.manifest(repository, IMAGE, 'v1')
  mirror.protect('proxy/', { scheme: 'bearer', ...PULLER })
  const reader = client({ mirrors: [{ host: 'r.example', url: `${mirror.url}/proxy`, credentials: true }] })
  for (const repository of ['team/app', 'team/other'])
    assert.equal((await reader.manifest({ registry: 'r.example', repository }, 'v1', chain(right), soon())).state, 'found')
  assert.deepEqual(sent(mirror), ['v1 -', '/token Basic', 'v1 Bearer', '/token Basic', 'v1 Bearer'])
})

// Names are resolved to loopback here, so that hosts of every kind can be played.
const lookup: NonNullable<RegistryOptions['lookup']> = (_name, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }])

test('a private host is asked by plain http when there is no https, but without credentials', async () => {
  const registry = await guarded('basic')
  const place = { registry: `registry.local:${new URL(registry.url).port}`, repository: 'team/app' }
  assert.deepEqual(told(await client({ lookup }).manifest(place, 'v1', chain(right, ANONYMOUS), soon())), [
    'failed',
    ['Secret demo/right (not sent by plain http)', 'anonymous'],
    `GET http://${place.registry}/v2/team/app/manifests/v1: UNAUTHORIZED: authentication required`,
  ])
  assert.ok(registry.seen.every(({ authorization }) => authorization === undefined))
})

test('a host named in --insecure-registry gets credentials by plain http, a public one otherwise not even a request', async () => {
  const registry = await guarded('basic')
  const place = { registry: `r.example:${new URL(registry.url).port}`, repository: 'team/app' }
  const fetched = await client({ lookup }).manifest(place, 'v1', chain(right, ANONYMOUS), soon())
  assert.ok(fetched.state === 'failed')
  assert.equal(fetched.reason.code, 'registry-unreachable')
  assert.equal(registry.seen.length, 0)
  assert.equal(
    (await client({ lookup, insecureRegistries: [place.registry] }).manifest(place, 'v1', chain(right, ANONYMOUS), soon())).state,
    'found',
  )
})

test('lesson 43: a password goes to no realm but the one that the registry names, and not to a metadata address', async () => {
  const registry = await fake()
  registry.manifest('team/app', IMAGE, 'v1')
  registry.protect('team/', { scheme: 'bearer', ...PULLER, realm: 'http://169.254.169.254/token' })
  const fetched = await client().manifest({ registry: registry.host, repository: 'team/app' }, 'v1', chain(right), soon())
  assert.ok(fetched.state === 'failed')
  assert.equal(fetched.reason.code, 'registry-address-refused')
})

test('lesson 43: a registry that speaks https names a realm that does, or no password leaves; one of plain http may name either', async () => {
  const { ca, server: tls } = await mintCertificates(['127.0.0.1'])
  const realm = await fake()
  realm.misbehave('/token', { status: 200, body: '{"token":"t"}' })
  const secure = await fake({ tls })
  for (const registry of [secure, await fake()]) {
    registry.manifest('team/app', IMAGE, 'v1')
    registry.protect('team/', { scheme: 'bearer', ...PULLER, realm: `${realm.url}/token` })
    const before = realm.seen.length
    const place = { registry: registry.host, repository: 'team/app' }
    const fetched = await client({ ca: () => [ca] }).manifest(place, 'v1', chain(right, ANONYMOUS), soon())
    const reached = realm.seen.length > before
    assert.equal(reached, registry !== secure)
    if (registry === secure) assert.match(told(fetched)[2] ?? '', /: the token realm that the registry names is not https$/)
  }
})

test('lesson 43: what another host asks for, to which a registry redirects, is no demand of the registry: nothing secret goes there', async () => {
  for (const challenge of ['Basic realm="x"', 'Bearer realm="REALM",service="x"']) {
    const elsewhere = await fake()
    const registry = await fake()
    const realm = `${elsewhere.url}/token`
    for (const path of ['/v2/team/app/manifests/v1', '/v2/'])
      registry.misbehave(path, { status: 307, headers: { location: `${elsewhere.url}/asks` } })
    elsewhere.misbehave('/asks', { status: 401, headers: { 'www-authenticate': challenge.replace('REALM', realm) } })
    const reader = client()
    const place = { registry: registry.host, repository: 'team/app' }
    for (const _ of ['first', 'when something was learnt']) {
      const fetched = await reader.manifest(place, 'v1', chain(right, ANONYMOUS), soon())
      assert.equal(fetched.state === 'failed' && fetched.reason.code, 'registry-refused')
    }
    assert.deepEqual([...new Set([...sent(elsewhere), ...sent(registry)].map((line) => line.split(' ')[1]))], ['-'], challenge)
    assert.equal(elsewhere.seen.filter(({ path }) => path === '/token').length, 0, challenge)
  }
})

test('what cannot be a registry is asked for nowhere', async () => {
  for (const registry of ['user@r.example', 'r.example/x', 'r.example?x'])
    assert.deepEqual(told(await client().manifest({ registry, repository: 'app' }, 'v1', chain(right), soon())), [
      'failed',
      [],
      `could not parse registry: ${registry}`,
    ])
})

/** A credential that somebody has to be asked for; `gets` counts how often that was done. */
function asked(answer: Got): { credential: Credential; gets: number; refusals: number } {
  const counted = { gets: 0, refusals: 0, credential: ANONYMOUS as Credential }
  counted.credential = {
    kind: 'asked',
    source: 'Amazon ECR',
    identity: 'ecr',
    get: async () => {
      counted.gets++
      return answer
    },
    refused: () => void counted.refusals++,
  }
  return counted
}
const found = (credential: Credential): Got => ({ state: 'found', credential: credential as GivenCredential })

for (const scheme of ['basic', 'bearer'] as const)
  test(`a credential that has to be asked for is asked for once a registry wants one, and sent as what it is (${scheme})`, async () => {
    const registry = await guarded(scheme)
    const open = registry.manifest('open/app', IMAGE, 'v1')
    const own = asked(found(right))
    const from = client()
    const keychain = chain(own.credential, ANONYMOUS)
    assert.equal((await from.manifest({ registry: registry.host, repository: 'open/app' }, 'v1', keychain, soon())).state, 'found')
    assert.equal(own.gets, 0)
    const fetched = await from.manifest({ registry: registry.host, repository: 'team/app' }, 'v1', keychain, soon())
    assert.deepEqual(told(fetched), ['found', ['Amazon ECR']])
    assert.deepEqual([own.gets, own.refusals], [1, 0])
    assert.ok(open.digest)
  })

test('one that there is not is passed over, and why is told', async () => {
  const registry = await guarded('basic')
  const own = asked({ state: 'none', why: 'not on AWS' })
  const place = { registry: registry.host, repository: 'team/app' }
  const [state, tried] = told(await client().manifest(place, 'v1', chain(own.credential, right, ANONYMOUS), soon()))
  assert.deepEqual([state, tried], ['found', ['Amazon ECR (not on AWS)', 'Secret demo/right']])
})

test('one that could not be had leaves open whether something is there that strangers are told is not', async () => {
  const registry = await fake()
  const place = { registry: registry.host, repository: 'team/app' }
  const hidden = asked({ state: 'unknown', why: 'connection refused' })
  registry.protect('team/', { scheme: 'bearer', ...PULLER, anonymous: true })
  const fetched = await client().manifest(place, 'none', chain(hidden.credential, ANONYMOUS), soon())
  assert.ok(fetched.state === 'failed', JSON.stringify(fetched))
  assert.deepEqual(fetched.reason, {
    code: 'registry-credentials-unknown',
    text: `GET http://${registry.host}/v2/team/app/manifests/none: the credentials of Amazon ECR could not be had: connection refused`,
  })
  assert.deepEqual(fetched.tried, ['Amazon ECR (connection refused)', 'anonymous'])
  const none = asked({ state: 'none', why: 'not on AWS' })
  assert.equal((await client().manifest(place, 'none', chain(none.credential, ANONYMOUS), soon())).state, 'absent')
})

test('one that a registry does not take is told so, and the next one is tried', async () => {
  const registry = await guarded('basic')
  const own = asked(found(wrong))
  const place = { registry: registry.host, repository: 'team/app' }
  const fetched = await client().manifest(place, 'v1', chain(own.credential, right), soon())
  assert.deepEqual(told(fetched), ['found', ['Amazon ECR', 'Secret demo/right']])
  assert.equal(own.refusals, 1)
})

test('it is not asked for where it would not be sent', async () => {
  const registry = await guarded('basic')
  const own = asked(found(right))
  const mirrored = client({ mirrors: [{ host: 'registry.example', url: registry.url, credentials: false }] })
  const fetched = await mirrored.manifest(
    { registry: 'registry.example', repository: 'team/app' },
    'v1',
    chain(own.credential, ANONYMOUS),
    soon(),
  )
  assert.deepEqual(told(fetched)[1], ['Amazon ECR (not sent to the mirror)', 'anonymous'])
  assert.equal(own.gets, 0)
})
