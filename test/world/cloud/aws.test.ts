import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { AwsAccount } from '../../../fakes/cloud/aws.ts'
import { Internet } from '../../../fakes/internet.ts'
import type { KmsKey } from '../../../src/policy/kms.ts'
import { awsPublicKey, ecrLogin, ecrPublicLogin } from '../../../src/world/cloud/aws.ts'
import { Cloud } from '../../../src/world/cloud/cloud.ts'
import { uncounted } from '../../../src/world/metrics.ts'

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const PEM = publicKey.export({ format: 'pem', type: 'spki' }).toString()
const ARN = 'arn:aws:kms:us-east-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab'
const KEY: Extract<KmsKey, { service: 'aws' }> = { service: 'aws', endpoint: undefined, region: 'us-east-2', arn: ARN }
const CHINA = 'arn:aws-cn:kms:cn-north-1:111122223333:alias/signing'

let folder: string
let internet: Internet
let account: AwsAccount
let cloud: Cloud

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aws-'))
  internet = await Internet.start(
    'kms.us-east-2.amazonaws.com',
    'kms.cn-north-1.amazonaws.com.cn',
    'sts.us-east-2.amazonaws.com',
    'api.ecr.us-east-2.amazonaws.com',
    'api.ecr-fips.us-east-2.amazonaws.com',
    'api.ecr.cn-north-1.amazonaws.com.cn',
    'api.ecr-public.us-east-1.amazonaws.com',
  )
})

after(async () => {
  await internet.close()
  await rm(folder, { recursive: true })
})

beforeEach(async () => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name]
  // Nothing of the machine that runs the tests.
  Object.assign(process.env, {
    HOME: folder,
    AWS_CONFIG_FILE: join(folder, 'config'),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'),
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI',
  })
  account = new AwsAccount()
  account.keys.set(ARN, { key: publicKey })
  account.keys.set(CHINA, { key: publicKey })
  internet.seen.length = 0
  internet.host('kms.us-east-2.amazonaws.com', account.kms('us-east-2'))
  internet.host('kms.cn-north-1.amazonaws.com.cn', account.kms('cn-north-1'))
  internet.host('sts.us-east-2.amazonaws.com', account.sts())
  internet.host('api.ecr.us-east-2.amazonaws.com', account.ecr('us-east-2'))
  internet.host('api.ecr-fips.us-east-2.amazonaws.com', account.ecr('us-east-2'))
  internet.host('api.ecr.cn-north-1.amazonaws.com.cn', account.ecr('cn-north-1'))
  internet.host('api.ecr-public.us-east-1.amazonaws.com', account.ecrPublic())
  internet.host('metadata', account.podIdentity())
  for (const name of ['kms.us-east-2.amazonaws.com']) internet.trouble(name, undefined)
  await cloud?.close()
  cloud = new Cloud({ HTTPS_PROXY: internet.proxy }, uncounted, () => [internet.ca])
})

after(() => cloud.close())

const signal = (): AbortSignal => AbortSignal.timeout(10_000)

test('the public key of AWS KMS is asked for in the region of its ARN, signed, through the proxy', async () => {
  assert.deepEqual(await awsPublicKey(KEY, cloud, signal()), { state: 'found', value: PEM })
  const [asked, ...more] = internet.seen
  assert.equal(asked?.host, 'kms.us-east-2.amazonaws.com')
  assert.match(asked.headers['authorization'] ?? '', /^AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE\/\d+\/us-east-2\/kms\/aws4_request/)
  assert.deepEqual(JSON.parse(asked.body), { KeyId: ARN })
  assert.equal(more.length, 0)
})

test('the public key of another partition is asked for there', async () => {
  const key = { ...KEY, region: 'cn-north-1', arn: CHINA }
  assert.deepEqual(await awsPublicKey(key, cloud, signal()), { state: 'found', value: PEM })
  assert.equal(internet.seen[0]?.host, 'kms.cn-north-1.amazonaws.com.cn')
})

test('a reference with an endpoint is asked for there: by plain http where a loopback address has no https', async () => {
  internet.host('metadata', account.kms('us-east-2'))
  assert.deepEqual(await awsPublicKey({ ...KEY, endpoint: internet.plain }, cloud, signal()), { state: 'found', value: PEM })
  assert.equal(internet.seen[0]?.host, 'metadata')
})

test('AWS_ENDPOINT_URL leads to another endpoint', async () => {
  internet.host('metadata', account.kms('us-east-2'))
  process.env['AWS_ENDPOINT_URL'] = `http://${internet.plain}`
  assert.deepEqual(await awsPublicKey(KEY, cloud, signal()), { state: 'found', value: PEM })
  assert.equal(internet.seen[0]?.host, 'metadata')
})

for (const type of ['NotFoundException', 'DisabledException', 'KMSInvalidStateException', 'UnsupportedOperationException'])
  test(`a key of which KMS says ${type} is wrong`, async () => {
    account.keys.set(ARN, { error: type })
    assert.deepEqual(await awsPublicKey(KEY, cloud, signal()), { state: 'wrong', why: `${type}: ${ARN} says ${type}` })
  })

for (const type of [
  'KMSInternalException',
  'KeyUnavailableException',
  'DependencyTimeoutException',
  'ThrottlingException',
  'AccessDeniedException',
])
  test(`of a key of which KMS says ${type} nothing is known`, async () => {
    account.keys.set(ARN, { error: type })
    assert.deepEqual(await awsPublicKey(KEY, cloud, signal()), { state: 'unknown', why: `${type}: ${ARN} says ${type}` })
  })

test('a key that does not sign is wrong', async () => {
  account.keys.set(ARN, { key: publicKey, usage: 'KEY_AGREEMENT' })
  assert.deepEqual(await awsPublicKey(KEY, cloud, signal()), { state: 'wrong', why: 'the key is for KEY_AGREEMENT, not for SIGN_VERIFY' })
})

test('without credentials nothing is asked', async () => {
  delete process.env['AWS_ACCESS_KEY_ID']
  const read = await awsPublicKey(KEY, cloud, signal())
  assert.equal(read.state, 'none')
  assert.match(read.state === 'none' ? read.why : '', /^CredentialsProviderError: Could not load credentials from any providers/)
  assert.equal(internet.seen.length, 0)
})

test('no credential stands in a message', async () => {
  account.accessKeys.clear()
  const read = await awsPublicKey(KEY, cloud, signal())
  assert.deepEqual(read, { state: 'unknown', why: 'UnrecognizedClientException: The security token included in the request is invalid.' })
})

for (const trouble of ['silence', 'endless'] as const)
  test(`${trouble} of KMS is bounded`, async () => {
    internet.trouble('kms.us-east-2.amazonaws.com', trouble)
    const read = await awsPublicKey(KEY, cloud, AbortSignal.timeout(500))
    assert.equal(read.state, 'unknown')
    assert.match(read.state === 'unknown' ? read.why : '', trouble === 'silence' ? /deadline exceeded|abort/i : /larger than the limit/)
  })

test('a role is assumed with the token of the ServiceAccount (IRSA), through the proxy', async () => {
  delete process.env['AWS_ACCESS_KEY_ID']
  const file = join(folder, 'token')
  await writeFile(file, 'token-of-the-service-account')
  account.webIdentities.add('token-of-the-service-account')
  Object.assign(process.env, {
    AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/sealgate',
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_REGION: 'us-east-2',
  })
  assert.deepEqual(await awsPublicKey(KEY, cloud, signal()), { state: 'found', value: PEM })
  assert.deepEqual(
    internet.seen.map(({ host }) => host),
    ['sts.us-east-2.amazonaws.com', 'kms.us-east-2.amazonaws.com'],
  )
})

test('a role that may not be assumed is no missing identity', async () => {
  delete process.env['AWS_ACCESS_KEY_ID']
  const file = join(folder, 'token')
  await writeFile(file, 'token-of-another')
  Object.assign(process.env, {
    AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/sealgate',
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_REGION: 'us-east-2',
  })
  const read = await ecrLogin('us-east-2', false, cloud, signal())
  assert.deepEqual(read, { state: 'unknown', why: 'AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity' })
})

test('a pod identity is asked of its agent, without the proxy', async () => {
  delete process.env['AWS_ACCESS_KEY_ID']
  const file = join(folder, 'pod-token')
  await writeFile(file, 'token-of-the-pod')
  account.podIdentities.add('token-of-the-pod')
  Object.assign(process.env, {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://${internet.plain}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
  })
  const connected = internet.connected.length
  assert.deepEqual(await awsPublicKey(KEY, cloud, signal()), { state: 'found', value: PEM })
  assert.deepEqual(
    internet.seen.map(({ host }) => host),
    ['metadata', 'kms.us-east-2.amazonaws.com'],
  )
  assert.deepEqual(internet.connected.slice(connected), ['kms.us-east-2.amazonaws.com:443'])
})

for (const [region, fips, host] of [
  ['us-east-2', false, 'api.ecr.us-east-2.amazonaws.com'],
  ['us-east-2', true, 'api.ecr-fips.us-east-2.amazonaws.com'],
  ['cn-north-1', false, 'api.ecr.cn-north-1.amazonaws.com.cn'],
] as const)
  test(`a login for ${region}${fips ? ' (FIPS)' : ''} is asked of ${host}`, async () => {
    const login = await ecrLogin(region, fips, cloud, signal())
    assert.ok(login.state === 'found', JSON.stringify(login))
    const { username, password, ends = 0 } = login.value
    assert.deepEqual({ username, password }, { username: 'AWS', password: 'ecr-password' })
    assert.ok(Math.abs(ends - Date.now() - 12 * 3_600_000) < 10_000)
    assert.equal(internet.seen[0]?.host, host)
  })

test('a login for the public registry is asked of its only region', async () => {
  process.env['AWS_REGION'] = 'eu-west-1'
  const login = await ecrPublicLogin(cloud, signal())
  assert.ok(login.state === 'found', JSON.stringify(login))
  assert.equal(login.value.password, 'ecr-password')
  assert.equal(internet.seen[0]?.host, 'api.ecr-public.us-east-1.amazonaws.com')
})
