import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { Vault } from '../../../fakes/cloud/vault.ts'
import { Internet } from '../../../fakes/internet.ts'
import { Cloud } from '../../../src/world/cloud/cloud.ts'
import { vaultPublicKey } from '../../../src/world/cloud/vault.ts'
import { uncounted } from '../../../src/world/metrics.ts'

const old = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed25519 = generateKeyPairSync('ed25519').publicKey
const PEM = publicKey.export({ format: 'pem', type: 'spki' }).toString()

let folder: string
let internet: Internet
let vault: Vault

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vault-'))
  internet = await Internet.start('vault.example.com')
})
after(async () => {
  await internet.close()
  await rm(folder, { recursive: true })
})
beforeEach(() => {
  vault = new Vault()
  vault.keys.set('cosign', { type: 'ecdsa-p256', versions: [old, publicKey] })
  internet.host('metadata', vault.host())
  internet.host('vault.example.com', vault.host())
  internet.trouble('metadata', undefined)
  internet.seen.length = 0
})

async function read(key: string, environment: Readonly<Record<string, string>> = {}, certificates: readonly string[] = []) {
  const cloud = new Cloud(
    { VAULT_ADDR: `http://${internet.plain}`, VAULT_TOKEN: vault.token, ...environment },
    uncounted,
    () => certificates,
  )
  try {
    return await vaultPublicKey({ service: 'vault', key }, cloud, AbortSignal.timeout(2_000))
  } finally {
    await cloud.close()
  }
}

test('the newest version of a key counts', async () => {
  assert.deepEqual(await read('cosign'), { state: 'found', value: PEM })
  assert.equal(internet.seen[0]?.path, '/v1/transit/keys/cosign')
})

test('a key of Ed25519, which is no PEM there, becomes one', async () => {
  vault.keys.set('ed', { type: 'ed25519', versions: [ed25519] })
  assert.deepEqual(await read('ed'), { state: 'found', value: ed25519.export({ format: 'pem', type: 'spki' }).toString() })
})

test('a key that does not exist, or is for encryption, is wrong', async () => {
  assert.deepEqual(await read('other'), { state: 'wrong', why: 'there is no such key' })
  vault.keys.set('aes', { type: 'aes256-gcm96', versions: [publicKey] })
  assert.deepEqual(await read('aes'), { state: 'wrong', why: 'a key of type aes256-gcm96 has no public key' })
})

test('an engine that is mounted elsewhere is named by TRANSIT_SECRET_ENGINE_PATH', async () => {
  vault.engine = 'team/transit'
  assert.deepEqual(await read('cosign'), {
    state: 'wrong',
    why: 'HTTP 404: no handler for route "transit/keys/cosign". route entry not found.',
  })
  assert.equal((await read('cosign', { TRANSIT_SECRET_ENGINE_PATH: '/team/transit/' })).state, 'found')
  await read('cosign', { TRANSIT_SECRET_ENGINE_PATH: '../../sys/x?y' })
  assert.equal(internet.seen.at(-1)?.path, '/v1/sys/x%3Fy/keys/cosign')
})

test('a namespace and the names of OpenBao are taken', async () => {
  vault.namespace = 'team'
  const bao = { VAULT_ADDR: '', VAULT_TOKEN: '', BAO_ADDR: `http://${internet.plain}`, BAO_TOKEN: vault.token, BAO_NAMESPACE: 'team' }
  assert.equal((await read('cosign', bao)).state, 'found')
})

test('without VAULT_TOKEN the token is that of the file in the home folder, read each time', async () => {
  assert.deepEqual(await read('cosign', { VAULT_TOKEN: '', HOME: folder }), {
    state: 'none',
    why: 'neither VAULT_TOKEN nor ~/.vault-token holds a token',
  })
  await writeFile(join(folder, '.vault-token'), `${vault.token}\n`)
  assert.equal((await read('cosign', { VAULT_TOKEN: '', HOME: folder })).state, 'found')
})

test('without an address, or with one that is none, nothing is asked', async () => {
  assert.deepEqual(await read('cosign', { VAULT_ADDR: '' }), { state: 'none', why: 'VAULT_ADDR is not set' })
  for (const address of ['vault:8200', 'https://user:secret@vault.example.com', 'file:///etc/passwd'])
    assert.deepEqual(await read('cosign', { VAULT_ADDR: address }), {
      state: 'unknown',
      why: 'VAULT_ADDR is not a URL (https://vault.example.com:8200)',
    })
  assert.equal(internet.seen.length, 0)
})

test('a refused token, a sealed Vault, silence and an answer without end say nothing about the key, and show no token', async () => {
  assert.deepEqual(await read('cosign', { VAULT_TOKEN: 'hvs.another' }), {
    state: 'unknown',
    why: 'HTTP 403: 1 error occurred: * permission denied',
  })
  vault.isSealed = true
  internet.trouble('metadata', { status: 429 })
  assert.deepEqual(await read('cosign'), { state: 'unknown', why: 'HTTP 429' })
  internet.trouble('metadata', 'endless')
  assert.match(JSON.stringify(await read('cosign')), /"unknown".*larger than the limit/)
  internet.trouble('metadata', 'silence')
  const silent = JSON.stringify(await read('cosign'))
  assert.match(silent, /"unknown".*deadline exceeded/)
  assert.ok(!silent.includes(vault.token))
})

test('the token does not follow a redirect', async () => {
  internet.host('metadata', () => ({ status: 307, headers: { location: 'http://localhost:1/stolen' } }))
  assert.deepEqual(await read('cosign'), { state: 'unknown', why: 'HTTP 307' })
  assert.equal(internet.seen.length, 1)
})

test('VAULT_CACERT names the only CA that is believed', async () => {
  const file = join(folder, 'ca.pem')
  await writeFile(file, internet.ca)
  const there = { VAULT_ADDR: 'https://vault.example.com', HTTPS_PROXY: internet.proxy }
  assert.equal((await read('cosign', { ...there, VAULT_CACERT: file })).state, 'found')
  assert.match(JSON.stringify(await read('cosign', there)), /"unknown".*certificate/)
  const other = await Internet.start('vault.example.com')
  await writeFile(file, other.ca)
  await other.close()
  assert.equal((await read('cosign', { ...there, VAULT_CACERT: file }, [internet.ca])).state, 'unknown')
  await writeFile(file, 'nothing')
  assert.deepEqual(await read('cosign', { ...there, VAULT_CACERT: file }), {
    state: 'unknown',
    why: 'VAULT_CACERT names no file with a certificate',
  })
})
