import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PullSecret } from '../../../src/world/cluster/cluster.ts'
import { appliesTo, readDockerConfig } from '../../../src/world/registry/docker-config.ts'
import type { Keychain } from '../../../src/world/registry/fetched.ts'
import { keychainOf } from '../../../src/world/registry/keychain.ts'
import type { OwnCredentials } from '../../../src/world/registry/own-credentials.ts'
import { NO_CREDENTIALS } from '../../../src/world/registry/own-credentials.ts'

const KEY = Buffer.from('a key made at start')
const auths = (user: string, ...keys: string[]): object => ({
  auths: Object.fromEntries(keys.map((key) => [key, { username: user, password: 'pw' }])),
})
const secret = (name: string, content: object | string, type = 'kubernetes.io/dockerconfigjson'): PullSecret => ({
  name,
  namespace: 'demo',
  type,
  data: { '.dockerconfigjson': btoa(typeof content === 'string' ? content : JSON.stringify(content)) },
})
const config = (content: object): OwnCredentials => {
  const read = readDockerConfig(Buffer.from(JSON.stringify(content)), 'Docker config of the controller')
  assert.ok(read.ok)
  const { value } = read
  return {
    credentialsFor: (registry, repository) => value.filter((auth) => appliesTo(auth, registry, repository)).map((auth) => auth.credential),
  }
}
function keychain(secrets: readonly PullSecret[], own: OwnCredentials | undefined, key: Uint8Array = KEY): Keychain {
  const read = keychainOf(secrets, own, key)
  assert.ok(read.ok)
  return read.value
}
const users = (chain: Keychain, registry = 'r.example', repository = 'team/app'): string[] =>
  chain.credentialsFor(registry, repository).map((credential) => ('username' in credential ? credential.username : credential.kind))

test('every credential that applies is there: secrets in their order, the Docker config, anonymous last', () => {
  const chain = keychain(
    [secret('a', auths('a', 'r.example')), secret('b', auths('b', 'r.example/team', 'r.example'))],
    config(auths('c', 'r.example')),
  )
  assert.deepEqual(users(chain), ['a', 'b', 'b', 'c', 'anonymous'])
  assert.deepEqual(users(chain, 'r.example', 'other'), ['a', 'b', 'c', 'anonymous'])
  assert.deepEqual(users(chain, 'other.example'), ['anonymous'])
})

test('signaturePullSecrets replace all others: where one applies, nothing else is tried, not even anonymous', () => {
  const chain = keychain([secret('sig', auths('sig', 'r.example'))], undefined)
  assert.deepEqual(users(chain), ['sig'])
  assert.deepEqual(users(chain, 'other.example'), ['anonymous'])
})

test('a source names the Secret, and nothing that is in it', () => {
  assert.equal(
    keychain([secret('regcred', auths('a', 'r.example'))], NO_CREDENTIALS).credentialsFor('r.example', 'app')[0]?.source,
    'Secret demo/regcred',
  )
})

test('both Secret types are read, others are passed over', () => {
  const cfg: PullSecret = {
    name: 'old',
    namespace: 'demo',
    type: 'kubernetes.io/dockercfg',
    data: { '.dockercfg': btoa('{"r.example":{"username":"old","password":"x"}}') },
  }
  assert.deepEqual(users(keychain([cfg], NO_CREDENTIALS)), ['old', 'anonymous'])
  assert.deepEqual(users(keychain([secret('opaque', auths('a', 'r.example'), 'Opaque')], NO_CREDENTIALS)), ['anonymous'])
})

test('a pull secret that is not JSON makes the credentials unreadable', () => {
  const read = keychainOf([secret('broken', '{"auths": {"r.example": {"password": "hunter2"')], NO_CREDENTIALS, KEY)
  assert.deepEqual(read, { ok: false, reason: { code: 'credentials-unreadable', text: 'Secret `demo/broken` is not a JSON object' } })
})

test('the scope is the same for the same credentials in the same order, whatever the Secrets are called', () => {
  const scope = (...secrets: PullSecret[]): string => keychain(secrets, NO_CREDENTIALS).scope('r.example', 'team/app')
  const a = secret('a', auths('a', 'r.example'))
  const b = secret('b', auths('b', 'r.example'))
  assert.equal(scope(a), scope(secret('other', auths('a', 'r.example'))))
  assert.equal(scope(a), scope(a, secret('unrelated', auths('x', 'x.example'))))
  assert.notEqual(scope(a, b), scope(b, a))
  assert.notEqual(scope(a), scope(b))
  assert.notEqual(scope(a), scope())
  assert.equal(scope(), keychain([], undefined).scope('other.example', 'x'))
  assert.notEqual(scope(a), keychain([a], undefined).scope('r.example', 'team/app')) // without anonymous behind it, it may see less
})

test('the scope is keyed: it tells nothing about a password to who does not know the key', () => {
  const a = secret('a', auths('a', 'r.example'))
  assert.notEqual(
    keychain([a], NO_CREDENTIALS).scope('r.example', 'app'),
    keychain([a], NO_CREDENTIALS, Buffer.from('another key')).scope('r.example', 'app'),
  )
})
