import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { GoogleProject } from '../../../fakes/cloud/google.ts'
import { Internet } from '../../../fakes/internet.ts'
import { Cloud } from '../../../src/world/cloud/cloud.ts'
import { googleLogin, googlePublicKey } from '../../../src/world/cloud/google.ts'
import { uncounted } from '../../../src/world/metrics.ts'

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const old = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
const PEM = publicKey.export({ format: 'pem', type: 'spki' }).toString()
const OLD = old.export({ format: 'pem', type: 'spki' }).toString()
const NAME = 'projects/p/locations/global/keyRings/r/cryptoKeys/k'
const SERVICE_ACCOUNT = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

let folder: string
let internet: Internet
let project: GoogleProject

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'google-'))
  internet = await Internet.start('cloudkms.googleapis.com', 'oauth2.googleapis.com', 'sts.googleapis.com', 'kms.private.example')
})
after(async () => {
  await internet.close()
  await rm(folder, { recursive: true })
})
beforeEach(() => {
  project = new GoogleProject()
  project.keys.set(
    NAME,
    new Map([
      ['9', { state: 'ENABLED', key: old }],
      ['10', { state: 'ENABLED', key: publicKey }],
      ['11', { state: 'DISABLED', key: old }],
    ]),
  )
  internet.host('cloudkms.googleapis.com', project.kms())
  internet.host('kms.private.example', project.kms())
  internet.host('oauth2.googleapis.com', project.oauth())
  internet.host('sts.googleapis.com', project.sts())
  internet.host('metadata', project.metadata())
  internet.trouble('metadata', undefined)
  internet.trouble('cloudkms.googleapis.com', undefined)
  internet.seen.length = 0
})

type Environment = Readonly<Record<string, string>>

async function within<T>(environment: Environment, work: (cloud: Cloud, signal: AbortSignal) => Promise<T>): Promise<T> {
  const shared = { HTTPS_PROXY: internet.proxy, HTTP_PROXY: internet.proxy, HOME: folder, GCE_METADATA_HOST: internet.plain }
  const cloud = new Cloud({ ...shared, ...environment }, uncounted, () => [internet.ca])
  try {
    return await work(cloud, AbortSignal.timeout(3_000))
  } finally {
    await cloud.close()
  }
}

const key = (version?: string, environment: Environment = {}) =>
  within(environment, (cloud, signal) => googlePublicKey({ service: 'google', name: NAME, version }, cloud, signal))
const login = (environment: Environment = {}) => within(environment, googleLogin)

async function file(name: string, content: object): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, JSON.stringify(content))
  return path
}

const serviceAccount = {
  type: 'service_account',
  client_email: 'sealgate@p.iam.gserviceaccount.com',
  private_key: SERVICE_ACCOUNT,
  token_uri: 'https://oauth2.googleapis.com/token',
}

test('the version that a policy names is read with the identity that the metadata service gives, which no proxy sees', async () => {
  const connected = internet.connected.length
  assert.deepEqual(await key('9'), { state: 'found', value: OLD })
  assert.deepEqual(
    internet.seen.map(({ host, path }) => `${host}${path}`),
    [
      'metadata/computeMetadata/v1/instance/service-accounts/default/token',
      `cloudkms.googleapis.com/v1/${NAME}/cryptoKeyVersions/9/publicKey`,
    ],
  )
  assert.deepEqual(internet.connected.slice(connected), ['cloudkms.googleapis.com:443'])
  assert.deepEqual([...project.tokens.values()], ['https://www.googleapis.com/auth/cloudkms'])
})

test('without a version the newest one that is enabled counts', async () => {
  assert.deepEqual(await key(), { state: 'found', value: PEM })
})

test('a key without an enabled version, a version that is none, and a key that does not exist are wrong', async () => {
  assert.deepEqual(await key('11'), {
    state: 'wrong',
    why: `FAILED_PRECONDITION: ${NAME}/cryptoKeyVersions/11 is not enabled, current state is: DISABLED.`,
  })
  assert.deepEqual(await key('12'), { state: 'wrong', why: `NOT_FOUND: CryptoKeyVersion ${NAME}/cryptoKeyVersions/12 not found.` })
  project.keys.set(NAME, new Map([['1', { state: 'DESTROYED', key: old }]]))
  assert.deepEqual(await key(), { state: 'wrong', why: 'the key has no version that is enabled' })
  project.keys.clear()
  assert.deepEqual(await key(), { state: 'wrong', why: `NOT_FOUND: CryptoKey ${NAME} not found.` })
})

test('a refusal, an error of the service, silence and an answer without end say nothing about the key', async () => {
  project.refuses = { status: 403, code: 'PERMISSION_DENIED', message: "Permission 'cloudkms.cryptoKeyVersions.viewPublicKey' denied" }
  assert.deepEqual(await key('9'), {
    state: 'unknown',
    why: "PERMISSION_DENIED: Permission 'cloudkms.cryptoKeyVersions.viewPublicKey' denied",
  })
  internet.trouble('cloudkms.googleapis.com', { status: 501 })
  assert.deepEqual(await key('9'), { state: 'unknown', why: 'HTTP 501: no message' })
  internet.trouble('cloudkms.googleapis.com', 'endless')
  assert.match(JSON.stringify(await key('9')), /"unknown".*larger than the limit/)
  internet.trouble('cloudkms.googleapis.com', 'silence')
  assert.match(JSON.stringify(await key('9')), /"unknown".*deadline exceeded/)
})

test('a service account key that GOOGLE_APPLICATION_CREDENTIALS names goes before the metadata service, through the proxy', async () => {
  const path = await file('service-account.json', serviceAccount)
  assert.deepEqual(await key('9', { GOOGLE_APPLICATION_CREDENTIALS: path }), { state: 'found', value: OLD })
  assert.deepEqual(
    internet.seen.map(({ host }) => host),
    ['oauth2.googleapis.com', 'cloudkms.googleapis.com'],
  )
})

test('the file that gcloud leaves is found', async () => {
  const config = join(folder, 'gcloud')
  await mkdir(config, { recursive: true })
  await writeFile(join(config, 'application_default_credentials.json'), JSON.stringify(serviceAccount))
  assert.equal((await key('9', { CLOUDSDK_CONFIG: config })).state, 'found')
  assert.equal(internet.seen[0]?.host, 'oauth2.googleapis.com')
})

test('an identity of the cluster is exchanged for one of Google (workload identity federation)', async () => {
  await writeFile(join(folder, 'token'), 'token-of-the-service-account')
  project.federated.add('token-of-the-service-account')
  const path = await file('federated.json', {
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: 'https://sts.googleapis.com/v1/token',
    credential_source: { file: join(folder, 'token') },
  })
  assert.deepEqual(await key('9', { GOOGLE_APPLICATION_CREDENTIALS: path }), { state: 'found', value: OLD })
  project.federated.clear()
  const refused = await key('9', { GOOGLE_APPLICATION_CREDENTIALS: path })
  assert.equal(refused.state, 'unknown')
  assert.match(JSON.stringify(refused), /rejected by the attribute condition/)
  assert.ok(!JSON.stringify(refused).includes('token-of-the-service-account'))
})

test('a file of credentials that cannot be read is no missing identity', async () => {
  assert.equal((await key('9', { GOOGLE_APPLICATION_CREDENTIALS: join(folder, 'missing.json') })).state, 'unknown')
  assert.equal((await key('9', { GOOGLE_APPLICATION_CREDENTIALS: await file('empty.json', {}) })).state, 'unknown')
})

test('where there is no metadata service, or another cloud has one, there is no identity', async () => {
  assert.match(JSON.stringify(await login({ GCE_METADATA_HOST: '127.0.0.1:1' })), /"none".*no default credentials: GET .*ECONNREFUSED/)
  internet.host('metadata', () => ({ status: 404 }))
  assert.deepEqual(await login(), { state: 'none', why: 'no default credentials: not on Google Cloud' })
  internet.host('metadata', project.metadata())
  project.hasAccount = false
  assert.deepEqual(await login(), { state: 'none', why: 'no default credentials: the machine has no service account' })
})

test('a metadata service that is silent is not waited for', async () => {
  internet.trouble('metadata', 'silence')
  const before = performance.now()
  assert.match(JSON.stringify(await login()), /"none".*deadline exceeded/)
  assert.ok(performance.now() - before < 5_000)
})

test('another endpoint of Cloud KMS is named as gcloud names it', async () => {
  assert.equal((await key('9', { CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: 'https://kms.private.example/' })).state, 'found')
  assert.equal(internet.seen.at(-1)?.host, 'kms.private.example')
})

test('a login to a registry is an access token, and says when it ends', async () => {
  project.seconds = 1800
  const got = await login()
  assert.ok(got.state === 'found')
  assert.equal(got.value.username, 'oauth2accesstoken')
  assert.equal(project.tokens.get(got.value.password), 'https://www.googleapis.com/auth/cloud-platform')
  assert.ok(Math.abs((got.value.ends ?? 0) - Date.now() - 1_800_000) < 5_000)
})
