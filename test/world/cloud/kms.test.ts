import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import { AwsAccount } from '../../../fakes/cloud/aws.ts'
import { AzureTenant } from '../../../fakes/cloud/azure.ts'
import { GoogleProject } from '../../../fakes/cloud/google.ts'
import { Vault } from '../../../fakes/cloud/vault.ts'
import { Internet } from '../../../fakes/internet.ts'
import { readKmsKey } from '../../../src/policy/kms.ts'
import { Cloud } from '../../../src/world/cloud/cloud.ts'
import { readKmsPublicKey } from '../../../src/world/cloud/kms.ts'
import { uncounted } from '../../../src/world/metrics.ts'

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const PEM = publicKey.export({ format: 'pem', type: 'spki' }).toString()
const ARN = 'arn:aws:kms:eu-west-1:111122223333:alias/signing'
const RING = 'projects/p/locations/global/keyRings/r/cryptoKeys/k'

let internet: Internet
let cloud: Cloud
const vault = new Vault()

before(async () => {
  const [aws, google, azure] = [new AwsAccount(), new GoogleProject(), new AzureTenant()]
  aws.keys.set(ARN, { key: publicKey })
  google.keys.set(RING, new Map([['1', { state: 'ENABLED', key: publicKey }]]))
  azure.keys.set('signing', [{ key: publicKey }])
  vault.keys.set('signing', { type: 'ecdsa-p256', versions: [publicKey] })
  internet = await Internet.start('kms.eu-west-1.amazonaws.com', 'cloudkms.googleapis.com', 'v.vault.azure.net', 'vault.example.com')
  internet.host('kms.eu-west-1.amazonaws.com', aws.kms('eu-west-1'))
  internet.host('cloudkms.googleapis.com', google.kms())
  internet.host('v.vault.azure.net', azure.vault())
  internet.host('vault.example.com', vault.host())
  internet.host('metadata', (request) => (request.path.startsWith('/metadata/') ? azure.metadata() : google.metadata())(request))
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' })
  cloud = new Cloud(
    {
      HTTPS_PROXY: internet.proxy,
      GCE_METADATA_HOST: internet.plain,
      AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://${internet.plain}`,
      VAULT_ADDR: 'https://vault.example.com',
      VAULT_TOKEN: vault.token,
    },
    uncounted,
    () => [internet.ca],
  )
})
after(async () => {
  await cloud.close()
  await internet.close()
})

function read(uri: string, signal: AbortSignal = AbortSignal.timeout(10_000)) {
  const named = readKmsKey(uri)
  assert.ok(named.ok)
  return readKmsPublicKey(named.key, cloud, signal)
}

for (const uri of [`awskms:///${ARN}`, `gcpkms://${RING}`, 'azurekms://v.vault.azure.net/signing', 'hashivault://signing'])
  test(`${uri} is read with what its vendor gives for it`, async () => assert.deepEqual(await read(uri), { state: 'found', value: PEM }))

test('a service that is silent is left in time', async () => {
  internet.trouble('vault.example.com', 'silence')
  const before = performance.now()
  assert.equal((await read('hashivault://signing', AbortSignal.timeout(100))).state, 'unknown')
  assert.ok(performance.now() - before < 2_000)
  assert.deepEqual(await read('hashivault://signing', AbortSignal.abort()), { state: 'unknown', why: 'there was no answer in time' })
})
