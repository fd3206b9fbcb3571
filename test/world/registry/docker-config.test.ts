import assert from 'node:assert/strict'
import { test } from 'node:test'
import { appliesTo, readDockerCfg, readDockerConfig, readOwnDockerConfig } from '../../../src/world/registry/docker-config.ts'
import type { DockerConfig, DockerConfigRead } from '../../../src/world/registry/docker-config.ts'

const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
const credentials = (read: DockerConfigRead): unknown[] => (read.ok ? read.value.map(({ credential }) => credential) : [read.error])
const login = { username: 'me', password: 'pw' }
const entries = (auths: object): DockerConfig => {
  const read = readDockerConfig(bytes({ auths }), 'test')
  assert.ok(read.ok)
  return read.value
}

for (const [what, entry, expected] of [
  ['username and password', { username: 'me', password: 'p:w' }, [{ kind: 'basic', source: 's', username: 'me', password: 'p:w' }]],
  ['auth alone', { auth: btoa('me:p:w') }, [{ kind: 'basic', source: 's', username: 'me', password: 'p:w' }]],
  [
    'username and auth',
    { username: 'me', password: 'pw', auth: btoa('other:x') },
    [{ kind: 'basic', source: 's', username: 'me', password: 'pw' }],
  ],
  [
    'an identity token',
    { auth: btoa('<token>:'), identitytoken: 'rt' },
    [{ kind: 'identity-token', source: 's', username: '<token>', token: 'rt' }],
  ],
  ['a registry token', { registrytoken: 'jwt' }, [{ kind: 'registry-token', source: 's', token: 'jwt' }]],
  ['a registry token that is no header text', { registrytoken: 'a\r\nb' }, []],
  ['nothing, as credential stores leave it', {}, []],
  ['auth that is not base64 of a pair', { auth: '!!!' }, []],
  ['numbers', { username: 1, password: 2 }, []],
  ['null', null, []],
] as const)
  test(`an entry with ${what}`, () =>
    assert.deepEqual(credentials(readDockerConfig(bytes({ auths: { 'r.example': entry } }), 's')), expected))

test('.dockercfg is the same without auths around it', () => {
  assert.deepEqual(credentials(readDockerCfg(bytes({ 'r.example': login }), 's')), [{ kind: 'basic', source: 's', ...login }])
  assert.deepEqual(readDockerCfg(bytes('[]'), 's'), { ok: false, error: 'is not a JSON object' })
})

test('a config without auths has no credentials; one that is not JSON is an error that shows nothing of it', () => {
  assert.deepEqual(readDockerConfig(bytes({ credsStore: 'desktop' }), 's'), { ok: true, value: [] })
  assert.deepEqual(readDockerConfig(bytes('{"auths": {"r": {"password": "secret"'), 's'), { ok: false, error: 'is not a JSON object' })
  assert.deepEqual(readDockerConfig(bytes({ auths: [] }), 's'), { ok: false, error: 'has auths that are not an object' })
})

// Specification section 9, «Details».
for (const [key, registry, repository, applies] of [
  ['r.example', 'r.example', 'app', true],
  ['r.example', 'r.example', 'team/app', true],
  ['r.example', 'x.r.example', 'app', false],
  ['r.example', 'r.example.evil.com', 'app', false],
  ['r.example', 'r.example:5000', 'app', false],
  ['r.example:5000', 'r.example:5000', 'app', true],
  ['r.example:5000', 'r.example', 'app', false],
  ['https://r.example', 'r.example', 'app', true],
  ['http://r.example/v1/', 'r.example', 'app', true],
  ['https://r.example/v2/', 'r.example', 'app', true],
  ['https://index.docker.io/v1/', 'index.docker.io', 'library/busybox', true],
  ['docker.io', 'index.docker.io', 'library/busybox', false],
  ['R.Example', 'r.example', 'app', true],
  ['r.example/team', 'r.example', 'team/app', true],
  ['r.example/team', 'r.example', 'other/app', false],
  ['r.example/v1/team', 'r.example', 'team/app', true],
  ['r.example/v1', 'r.example', 'team/app', false],
  ['r.example/', 'r.example', 'app', true],
  ['*.example', 'r.example', 'app', true],
  ['*.example', 'a.b.example', 'app', false],
  ['*', 'r.example', 'app', false],
  ['*.*', 'r.example', 'app', true],
  ['*.dkr.ecr.*.amazonaws.com', '1.dkr.ecr.eu-west-1.amazonaws.com', 'app', true],
  ['*.dkr.ecr.*.amazonaws.com', '1.dkr.ecr.eu.amazonaws.com.evil.org', 'app', false],
  ['registry-?.example', 'registry-1.example', 'app', true],
  ['registry-?.example', 'registry-12.example', 'app', false],
  ['a*b*c.example', 'aXbYc.example', 'app', true],
  ['*.example:5000', 'r.example:5000', 'app', true],
  ['[::1]:5000', '[::1]:5000', 'app', true],
  ['[::1]', '[::1]:5000', 'app', false],
  ['10.0.0.1:5000', '10.0.0.1:5000', 'app', true],
] as const)
  test(`the key ${key} ${applies ? 'is' : 'is not'} for ${registry}/${repository}`, () =>
    assert.equal(
      entries({ [key]: login }).some((auth) => appliesTo(auth, registry, repository)),
      applies,
    ))

test('a pattern that a registry could make slow is not', () => {
  const start = performance.now()
  const [auth] = entries({ [`${'*a'.repeat(500)}b.example`]: login })
  assert.ok(auth)
  assert.equal(appliesTo(auth, `${'a'.repeat(5000)}.example`, 'app'), false)
  assert.ok(performance.now() - start < 500)
})

test('of two keys for one place the longer is first', () => {
  const found = entries({ 'r.example': { username: 'host', password: 'x' }, 'r.example/team': { username: 'team', password: 'x' } })
  assert.deepEqual(
    found.map(({ credential }) => ('username' in credential ? credential.username : '')),
    ['team', 'host'],
  )
})

const helper = (config: object, registry: string): string | undefined => {
  const read = readOwnDockerConfig(bytes(config), 's')
  assert.ok(read.ok, JSON.stringify(read))
  return read.value.helperOf(registry)
}

test('a credential helper is that of the registry, else the store, and none where its name is empty', () => {
  const config = {
    credHelpers: { 'r.example': 'ecr-login', 'q.example:5000': 'x', 'none.example': '', 'docker.io': 'hub' },
    credsStore: 'secretservice',
  }
  for (const [registry, name] of [
    ['r.example', 'ecr-login'],
    ['q.example:5000', 'x'],
    ['q.example', 'secretservice'],
    ['none.example', undefined],
    ['index.docker.io', 'hub'],
    ['other.example', 'secretservice'],
  ] as const)
    assert.equal(helper(config, registry), name, registry)
  assert.equal(helper({ credHelpers: { 'https://index.docker.io/v1/': 'hub' } }, 'index.docker.io'), 'hub')
  assert.equal(helper({ auths: {} }, 'r.example'), undefined)
})

for (const name of ['../evil', '/bin/sh', 'a b', 'a;b', '-x', 'x'.repeat(100), '', 7])
  test(`a helper is no program whose name is ${JSON.stringify(name)}`, () => {
    const wrong = { ok: false, error: 'names a credential helper that is not the name of a program' }
    if (name === '') return assert.equal(helper({ credsStore: name }, 'r.example'), undefined)
    assert.deepEqual(readOwnDockerConfig(bytes({ credsStore: name }), 's'), wrong)
    assert.deepEqual(readOwnDockerConfig(bytes({ credHelpers: { 'r.example': name } }), 's'), wrong)
  })

test('the entries of a config with helpers are read too', () => {
  const read = readOwnDockerConfig(bytes({ auths: { 'r.example': login }, credsStore: 'x' }), 's')
  assert.ok(read.ok)
  assert.equal(read.value.auths.length, 1)
  assert.deepEqual(readOwnDockerConfig(bytes('{'), 's'), { ok: false, error: 'is not a JSON object' })
  assert.deepEqual(readOwnDockerConfig(bytes({ credHelpers: [] }), 's'), { ok: false, error: 'has credHelpers that are not an object' })
})
