import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OwnDockerConfig } from '../../../src/world/registry/docker-config.ts'
import { readOwnDockerConfig } from '../../../src/world/registry/docker-config.ts'
import type { AskedCredential } from '../../../src/world/registry/fetched.ts'
import { NO_CREDENTIALS, ownCredentials } from '../../../src/world/registry/own-credentials.ts'

const config = (content: object): OwnDockerConfig => {
  const read = readOwnDockerConfig(Buffer.from(JSON.stringify(content)), 'Docker config')
  assert.ok(read.ok)
  return read.value
}
const asked = (source: string): AskedCredential => ({
  kind: 'asked',
  source,
  identity: source,
  get: async () => ({ state: 'none', why: '' }),
  refused: () => {},
})
const helpers = { credentialFor: (name: string, registry: string) => asked(`${name} of ${registry}`) }
const logins = { credentialFor: (registry: string) => (registry === 'r.azurecr.io' ? asked('Azure ACR') : undefined) }
const user = (name: string) => ({ username: name, password: 'x' })

test('of each config its helper before its entries, the configs in their order, the cloud last', () => {
  const configs = [
    config({ credHelpers: { 'r.azurecr.io': 'acr' }, auths: { 'r.azurecr.io': user('a') } }),
    config({ auths: { 'r.azurecr.io': user('b'), 'other.example': user('c') } }),
  ]
  const own = ownCredentials(() => configs, helpers, logins)
  const said = (registry: string): string[] =>
    own()
      .credentialsFor(registry, 'app')
      .map((one) => ('username' in one ? one.username : one.source))
  assert.deepEqual(said('r.azurecr.io'), ['acr of r.azurecr.io', 'a', 'b', 'Azure ACR'])
  assert.deepEqual(said('other.example'), ['c'])
  assert.deepEqual(said('nobody.example'), [])
})

test('they are the same object until the configs are another', () => {
  let configs: readonly OwnDockerConfig[] = []
  const own = ownCredentials(() => configs, helpers, logins)
  const before = own()
  assert.equal(own(), before)
  configs = [config({ credsStore: 'x' })]
  assert.notEqual(own(), before)
  assert.equal(own().credentialsFor('r.example', 'app').length, 1)
  assert.deepEqual(NO_CREDENTIALS.credentialsFor('r.azurecr.io', 'app'), [])
})
