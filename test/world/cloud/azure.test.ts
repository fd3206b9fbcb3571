import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { AzureTenant } from '../../../fakes/cloud/azure.ts'
import { Internet } from '../../../fakes/internet.ts'
import type { KmsKey } from '../../../src/policy/kms.ts'
import { acrLogin, azurePublicKey } from '../../../src/world/cloud/azure.ts'
import { Cloud } from '../../../src/world/cloud/cloud.ts'
import { uncounted } from '../../../src/world/metrics.ts'

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey
const PEM = publicKey.export({ format: 'pem', type: 'spki' }).toString()
const RSA = rsa.export({ format: 'pem', type: 'spki' }).toString()
const KEY: Extract<KmsKey, { service: 'azure' }> = { service: 'azure', vault: 'myvault', key: 'signing', version: undefined }

let folder: string
let internet: Internet
let tenant: AzureTenant

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'azure-'))
  internet = await Internet.start(
    'login.microsoftonline.com',
    'login.private.example',
    'myvault.vault.azure.net',
    'myvault.vault.azure.cn',
    'vault.evil.example',
    'myregistry.azurecr.io',
  )
})
after(async () => {
  await internet.close()
  await rm(folder, { recursive: true })
})
beforeEach(() => {
  tenant = new AzureTenant()
  tenant.keys.set('signing', [{ key: publicKey }, { key: rsa, isOfHardware: true }])
  internet.host('login.microsoftonline.com', tenant.entra())
  internet.host('login.private.example', tenant.entra())
  internet.host('metadata', tenant.metadata())
  for (const name of ['myvault.vault.azure.net', 'myvault.vault.azure.cn', 'vault.evil.example']) internet.host(name, tenant.vault())
  internet.host('myregistry.azurecr.io', tenant.registry())
  for (const name of ['metadata', 'myvault.vault.azure.net']) internet.trouble(name, undefined)
  internet.seen.length = 0
})

type Environment = Readonly<Record<string, string>>

/** The vendor's library reads the environment of the process. */
async function within<T>(environment: Environment, work: (cloud: Cloud, signal: AbortSignal) => Promise<T>): Promise<T> {
  const all = { HTTPS_PROXY: internet.proxy, AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://${internet.plain}`, ...environment }
  for (const name of Object.keys(process.env)) if (name.startsWith('AZURE_')) delete process.env[name]
  Object.assign(process.env, all)
  delete process.env['HTTPS_PROXY']
  const cloud = new Cloud(all, uncounted, () => [internet.ca])
  try {
    return await work(cloud, AbortSignal.timeout(5_000))
  } finally {
    await cloud.close()
  }
}

const key = (environment: Environment, one: typeof KEY = KEY) => within(environment, (cloud, signal) => azurePublicKey(one, cloud, signal))
const login = (environment: Environment) => within(environment, (cloud, signal) => acrLogin('myregistry.azurecr.io', cloud, signal))
const secret = () => ({ AZURE_TENANT_ID: tenant.id, AZURE_CLIENT_ID: tenant.client, AZURE_CLIENT_SECRET: tenant.secret })

async function federated(): Promise<Environment> {
  const file = join(folder, 'token')
  await writeFile(file, 'token-of-the-service-account')
  return { AZURE_TENANT_ID: tenant.id, AZURE_CLIENT_ID: tenant.client, AZURE_FEDERATED_TOKEN_FILE: file }
}

test('the current version of a key is read with the secret of the environment, through the proxy', async () => {
  assert.deepEqual(await key(secret()), { state: 'found', value: PEM })
  assert.equal(internet.seen.at(-1)?.host, 'myvault.vault.azure.net')
  assert.deepEqual([...tenant.tokens.values()], ['https://vault.azure.net/.default'])
})

test('the version that a policy names is read, and one of a hardware module too', async () => {
  assert.deepEqual(await key(secret(), { ...KEY, version: 'v1' }), { state: 'found', value: RSA })
  assert.deepEqual(await key(secret(), { ...KEY, vault: 'myvault.vault.azure.net', version: 'v2' }), { state: 'found', value: PEM })
})

test('AZURE_ENVIRONMENT says in which cloud a vault is that is named without a domain', async () => {
  tenant.audience = 'https://vault.azure.cn'
  assert.equal((await key({ ...secret(), AZURE_ENVIRONMENT: 'AzureChinaCloud' })).state, 'found')
  assert.equal(internet.seen.at(-1)?.host, 'myvault.vault.azure.cn')
})

test('a workload identity is exchanged for a token', async () => {
  const environment = await federated()
  tenant.assertions.add('token-of-the-service-account')
  assert.deepEqual(await key(environment), { state: 'found', value: PEM })
})

test('a workload identity that is not taken is no missing identity, and its message has nothing secret and nothing that changes', async () => {
  const refused = await key(await federated())
  assert.equal(refused.state, 'unknown')
  assert.deepEqual(await key(await federated()), refused)
  assert.match(JSON.stringify(refused), /AADSTS700213: No matching federated identity record found/)
  assert.ok(!JSON.stringify(refused).includes('token-of-the-service-account'))
})

test('a managed identity is asked of the metadata service, without the proxy', async () => {
  const connected = internet.connected.length
  assert.deepEqual(await key({}), { state: 'found', value: PEM })
  assert.deepEqual(new Set(internet.connected.slice(connected)), new Set(['myvault.vault.azure.net:443']))
})

test('where there is no metadata service there is no identity', async () => {
  const got = await login({ AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://127.0.0.1:1' })
  assert.match(JSON.stringify(got), /"none".*no secret, workload identity or managed identity: GET .*ECONNREFUSED/)
  tenant.hasIdentity = false
  assert.match(JSON.stringify(await login({})), /"none".*the machine has none \(HTTP 400\)/)
})

test('a metadata service that cannot say is no missing identity', async () => {
  internet.trouble('metadata', { status: 500 })
  assert.deepEqual(await login({}), { state: 'unknown', why: 'the metadata service answered HTTP 500 without a token' })
})

test('no token goes to a host that is not what its challenge says', async () => {
  const got = await key(secret(), { ...KEY, vault: 'vault.evil.example' })
  assert.equal(got.state, 'unknown')
  assert.match(JSON.stringify(got), /challenge resource/i)
  assert.ok(internet.seen.every(({ host, headers }) => host !== 'vault.evil.example' || headers['authorization'] === undefined))
})

test('a key or version that does not exist, is disabled, or is of a curve that nobody verifies with here, is wrong', async () => {
  assert.match(JSON.stringify(await key(secret(), { ...KEY, key: 'other' })), /"wrong".*A key with \(name\/id\) other\/ was not found/)
  assert.equal((await key(secret(), { ...KEY, version: 'v9' })).state, 'wrong')
  tenant.keys.set('signing', [{ key: publicKey, enabled: false }])
  assert.deepEqual(await key(secret()), { state: 'wrong', why: 'the key is disabled' })
  tenant.keys.set('signing', [{ key: secp256k1 }])
  assert.equal((await key(secret())).state, 'found') // what it is good for is judged where the policy is compiled
})

test('a refusal, an error of the service, silence and an answer without end say nothing about the key', async () => {
  tenant.refuses = 403
  assert.match(JSON.stringify(await key(secret())), /"unknown".*The user does not have keys get permission/)
  for (const trouble of [{ status: 501 }, 'endless'] as const) {
    internet.trouble('myvault.vault.azure.net', trouble)
    assert.equal((await key(secret())).state, 'unknown')
  }
  internet.trouble('myvault.vault.azure.net', 'silence')
  const before = performance.now()
  assert.equal((await key(secret())).state, 'unknown')
  assert.ok(performance.now() - before < 8_000)
})

test('another authority than those of Microsoft is asked without asking Microsoft about it', async () => {
  const environment = { ...secret(), AZURE_AUTHORITY_HOST: 'https://login.private.example' }
  assert.equal((await login(environment)).state, 'found')
  assert.ok(internet.seen.every(({ host }) => host !== 'login.microsoftonline.com'))
})

test('a registry gives a refresh token for one that is good for registries only', async () => {
  tenant.assertions.add('token-of-the-service-account')
  const got = await login(await federated())
  assert.ok(got.state === 'found', JSON.stringify(got))
  const { username, password, ends = 0 } = got.value
  assert.equal(username, '00000000-0000-0000-0000-000000000000')
  assert.equal(tenant.refreshTokens.get(password), 'myregistry.azurecr.io')
  assert.ok(Math.abs(ends - Date.now() - 3 * 3_600_000) < 5_000)
  assert.match([...tenant.tokens.values()].join(' '), /^https:\/\/containerregistry\.azure\.net\/\.default/)
})

test('without AZURE_TENANT_ID the tenant is the one that gave the token', async () => {
  assert.equal((await login({})).state, 'found')
})

test('a registry that does not take the token says nothing', async () => {
  internet.host('myregistry.azurecr.io', () => ({ status: 401 }))
  assert.deepEqual(await login(secret()), { state: 'unknown', why: 'POST https://myregistry.azurecr.io/oauth2/exchange: HTTP 401' })
})
