import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { AwsAccount } from '../../../fakes/cloud/aws.ts'
import { AzureTenant } from '../../../fakes/cloud/azure.ts'
import { GoogleProject } from '../../../fakes/cloud/google.ts'
import { Internet } from '../../../fakes/internet.ts'
import { Cloud } from '../../../src/world/cloud/cloud.ts'
import { uncounted } from '../../../src/world/metrics.ts'
import { cloudHostOf, CloudLogins } from '../../../src/world/registry/cloud-registry.ts'
import type { Got } from '../../../src/world/registry/fetched.ts'

const ECR = '123456789012.dkr.ecr.eu-west-1.amazonaws.com'

for (const [registry, host] of [
  [ECR, { of: 'Amazon ECR', region: 'eu-west-1', fips: false }],
  ['123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com', { of: 'Amazon ECR', region: 'us-gov-west-1', fips: true }],
  ['123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn', { of: 'Amazon ECR', region: 'cn-north-1', fips: false }],
  ['123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu', { of: 'Amazon ECR', region: 'eusc-de-east-1', fips: false }],
  ['123456789012.dkr-ecr.ap-southeast-2.on.aws', { of: 'Amazon ECR', region: 'ap-southeast-2', fips: false }],
  ['123456789012.dkr-ecr-fips.us-east-1.on.aws', { of: 'Amazon ECR', region: 'us-east-1', fips: true }],
  ['public.ecr.aws', { of: 'Amazon ECR Public' }],
  ['gcr.io', { of: 'Google' }],
  ['eu.gcr.io', { of: 'Google' }],
  ['europe-west1-docker.pkg.dev', { of: 'Google' }],
  ['registry.google.com', { of: 'Google' }],
  ['myregistry.azurecr.io', { of: 'Azure ACR', host: 'myregistry.azurecr.io' }],
  ['myregistry.azurecr.cn', { of: 'Azure ACR', host: 'myregistry.azurecr.cn' }],
  ['myregistry.azurecr.us', { of: 'Azure ACR', host: 'myregistry.azurecr.us' }],
  ['ghcr.io', { of: 'GitHub' }],
] as const)
  test(`${registry} is a registry of ${host.of}`, () => assert.deepEqual(cloudHostOf(registry), host))

describe('lesson 32: no cloud’s credential goes to a host that only looks like one of its own', () => {
  const good = [
    ECR,
    'public.ecr.aws',
    'gcr.io',
    'eu.gcr.io',
    'europe-west1-docker.pkg.dev',
    'x.google.com',
    'myregistry.azurecr.io',
    'ghcr.io',
  ]
  const lookalikes = (host: string): string[] => [
    `${host}.evil.com`,
    `${host}.`,
    `${host}:443`,
    `${host}:5000`,
    `${host}@evil.com`,
    `user@${host}`,
    `user:pw@${host}`,
    `${host}/evil.com`,
    `evil.com/${host}`,
    `evil.com#${host}`,
    `evil.com?${host}`,
    `evil.com\\.${host}`,
    `evil.com%2f.${host}`,
    ` ${host}`,
    `${host} `,
    `${host}\n`,
    `evil.com\n${host}`,
    `${host}\nevil.com`,
    `${host}\u0000.evil.com`,
    host.toUpperCase(),
    host.replace(/o/, '\u043e'), // Cyrillic
    host.replace(/\./, '\u3002'), // the ideographic full stop, which IDNA takes for a dot
    host.replace('.', 'x'),
    host.replaceAll('.', '-'),
    `-.${host}`,
    `..${host}`,
    `${'a.'.repeat(200)}${host}`,
    `xn--${host.replaceAll('.', '-')}.evil.com`,
  ]
  for (const host of good) {
    assert.notEqual(cloudHostOf(host), undefined)
    test(host, () => {
      for (const evil of lookalikes(host)) if (evil !== host) assert.equal(cloudHostOf(evil), undefined, JSON.stringify(evil))
    })
  }
  for (const evil of [
    'evilgcr.io',
    'gcr.io.pkg.dev.evil.com',
    'evilpkg.dev',
    'pkg.dev',
    'google.com',
    'evilgoogle.com',
    'google.com.evil.com',
    'azurecr.io',
    'evilazurecr.io',
    'x.evilazurecr.io',
    'x.azurecr.io.azurecr.evil.com',
    'x.y.azurecr.io',
    'x.azurecr.com',
    'evil.ghcr.io',
    'ghcr.io.io',
    'evil.public.ecr.aws',
    'public.ecr.aws.com',
    '12345678901.dkr.ecr.eu-west-1.amazonaws.com',
    'evil-123456789012.dkr.ecr.eu-west-1.amazonaws.com',
    '123456789012.dkr.ecr.eu-west-1.evil.amazonaws.com',
    '123456789012.dkr.ecr.eu-west-1.s3.amazonaws.com',
    '123456789012.dkr.ecr.evil.com.amazonaws.com',
    '123456789012.dkr.ecr..amazonaws.com',
    '123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn.evil.com',
    '123456789012.dkr.ecr.eu-west-1.amazonaws.cn',
    'dkr.ecr.eu-west-1.amazonaws.com',
    'localhost',
    '',
  ])
    test(JSON.stringify(evil), () => assert.equal(cloudHostOf(evil), undefined))
})

describe('a login', () => {
  let internet: Internet
  let cloud: Cloud
  let account: AwsAccount
  let now = Date.now()
  const project = new GoogleProject()
  const tenant = new AzureTenant()

  before(async () => {
    internet = await Internet.start('api.ecr.eu-west-1.amazonaws.com', 'api.ecr-public.us-east-1.amazonaws.com', 'myregistry.azurecr.io')
    internet.host('metadata', (request) => (request.path.startsWith('/metadata/') ? tenant.metadata() : project.metadata())(request))
    internet.host('myregistry.azurecr.io', tenant.registry())
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' })
    const environment = {
      HTTPS_PROXY: internet.proxy,
      GCE_METADATA_HOST: internet.plain,
      AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://${internet.plain}`,
      GITHUB_TOKEN: 'ghp_token',
    }
    cloud = new Cloud(environment, uncounted, () => [internet.ca])
  })
  beforeEach(() => {
    account = new AwsAccount()
    internet.host('api.ecr.eu-west-1.amazonaws.com', account.ecr('eu-west-1'))
    internet.host('api.ecr-public.us-east-1.amazonaws.com', account.ecrPublic())
    internet.trouble('api.ecr.eu-west-1.amazonaws.com', undefined)
    internet.seen.length = 0
    now = Date.now()
  })
  after(async () => {
    await cloud.close()
    await internet.close()
  })

  const logins = (): CloudLogins => new CloudLogins(cloud, () => now)
  const get = async (from: CloudLogins, registry = ECR, signal = AbortSignal.timeout(10_000)): Promise<Got> => {
    const credential = from.credentialFor(registry)
    assert.ok(credential)
    return credential.get(signal)
  }
  const password = (got: Got): string =>
    got.state === 'found' && got.credential.kind === 'basic' ? got.credential.password : JSON.stringify(got)

  for (const [registry, source, username] of [
    [ECR, 'Amazon ECR', 'AWS'],
    ['public.ecr.aws', 'Amazon ECR Public', 'AWS'],
    ['europe-docker.pkg.dev', 'Google', 'oauth2accesstoken'],
    ['myregistry.azurecr.io', 'Azure ACR', '00000000-0000-0000-0000-000000000000'],
    ['ghcr.io', 'GitHub', 'token'],
  ] as const)
    test(`to ${registry} is got of ${source}`, async () => {
      const got = await get(logins(), registry)
      assert.ok(got.state === 'found', JSON.stringify(got))
      assert.deepEqual([got.credential.source, 'username' in got.credential && got.credential.username], [source, username])
    })

  test('is asked for when it is wanted, once for all who want it, and remembered until shortly before it ends', async () => {
    const from = logins()
    account.registry = { password: 'first', seconds: 3600 }
    assert.ok(from.credentialFor(ECR))
    assert.equal(internet.seen.length, 0)
    assert.deepEqual((await Promise.all([get(from), get(from), get(from, ECR.replace('1234', '9999'))])).map(password), [
      'first',
      'first',
      'first',
    ])
    assert.equal(internet.seen.length, 1)
    account.registry = { password: 'second', seconds: 3600 }
    now += 50 * 60_000
    assert.equal(password(await get(from)), 'first')
    now += 6 * 60_000 // four minutes before its end
    assert.equal(password(await get(from)), 'second')
  })

  test('that a registry does not take is asked for anew, unless that was only just done', async () => {
    const from = logins()
    const credential = from.credentialFor(ECR)
    assert.equal(password(await get(from)), 'ecr-password')
    account.registry = { password: 'rotated', seconds: 3600 }
    now += 10_000
    credential?.refused()
    assert.equal(password(await get(from)), 'ecr-password')
    now += 30_000
    credential?.refused()
    assert.equal(password(await get(from)), 'rotated')
  })

  test('that could not be had is unknown, says why, and is tried again soon', async () => {
    const from = logins()
    internet.trouble('api.ecr.eu-west-1.amazonaws.com', { status: 501 })
    assert.equal((await get(from)).state, 'unknown')
    internet.trouble('api.ecr.eu-west-1.amazonaws.com', undefined)
    assert.equal((await get(from)).state, 'unknown')
    now += 11_000
    assert.equal((await get(from)).state, 'found')
  })

  test('is none where this process has no identity', async () => {
    project.hasAccount = false
    assert.deepEqual(await get(logins(), 'gcr.io'), { state: 'none', why: 'no default credentials: the machine has no service account' })
    const nobody = new CloudLogins(new Cloud({}, uncounted))
    assert.deepEqual(await get(nobody, 'ghcr.io'), { state: 'none', why: 'GITHUB_TOKEN is not set' })
    project.hasAccount = true
  })

  test('is not waited for longer than there is time', async () => {
    internet.trouble('api.ecr.eu-west-1.amazonaws.com', 'silence')
    assert.deepEqual(await get(logins(), ECR, AbortSignal.timeout(100)), { state: 'unknown', why: 'there was no answer in time' })
  })

  test('stands in a scope as whose it is, not as what it is', () => {
    const from = logins()
    assert.equal(from.credentialFor(ECR)?.identity, '{"of":"Amazon ECR","region":"eu-west-1","fips":false}')
    assert.equal(from.credentialFor('registry.example'), undefined)
  })
})
