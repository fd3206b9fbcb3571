import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kmsUrisOf, readKmsKey, whyInvalidKms } from '../../src/policy/kms.ts'

const ID = '1234abcd-12ab-34cd-56ef-1234567890ab'
const KEY = `arn:aws:kms:us-east-2:111122223333:key/${ID}`
const ALIAS = 'arn:aws:kms:us-east-2:111122223333:alias/ExampleAlias'
const RING = 'projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k'

for (const [uri, key] of [
  [`awskms:///${KEY}`, { service: 'aws', endpoint: undefined, region: 'us-east-2', arn: KEY }],
  [`awskms://localhost:4566/${ALIAS}`, { service: 'aws', endpoint: 'localhost:4566', region: 'us-east-2', arn: ALIAS }],
  [`awskms://[::1]:4566/${ALIAS}`, { service: 'aws', endpoint: '[::1]:4566', region: 'us-east-2', arn: ALIAS }],
  [`awskms:///${ALIAS}/of/a/team`, { service: 'aws', endpoint: undefined, region: 'us-east-2', arn: `${ALIAS}/of/a/team` }],
  [
    'awskms:///arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab',
    {
      service: 'aws',
      endpoint: undefined,
      region: 'cn-north-1',
      arn: 'arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab',
    },
  ],
  [`gcpkms://${RING}`, { service: 'google', name: RING, version: undefined }],
  [`gcpkms://${RING}/cryptoKeyVersions/3`, { service: 'google', name: RING, version: '3' }],
  [`gcpkms://${RING}/versions/3`, { service: 'google', name: RING, version: '3' }],
  [
    'gcpkms://projects/example.com:p/locations/global/keyRings/r/cryptoKeys/k',
    { service: 'google', name: 'projects/example.com:p/locations/global/keyRings/r/cryptoKeys/k', version: undefined },
  ],
  ['azurekms://myvault/signing', { service: 'azure', vault: 'myvault', key: 'signing', version: undefined }],
  [
    'azurekms://MyVault.vault.azure.net/signing',
    { service: 'azure', vault: 'myvault.vault.azure.net', key: 'signing', version: undefined },
  ],
  [
    'azurekms://myvault.vault.azure.net/signing/0123456789abcdef',
    { service: 'azure', vault: 'myvault.vault.azure.net', key: 'signing', version: '0123456789abcdef' },
  ],
  ['hashivault://cosign', { service: 'vault', key: 'cosign' }],
  ['hashivault://team-a.cosign_2', { service: 'vault', key: 'team-a.cosign_2' }],
] as const)
  test(`${uri} names a key`, () => {
    assert.deepEqual(readKmsKey(uri), { ok: true, key })
    assert.equal(whyInvalidKms(uri), undefined)
  })

const PARTS =
  "malformed AWS KMS format 'awskms://$ENDPOINT/$KEYID', should be conformant with KMS standard documented here: https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id"
const FORM = 'kms key should be in the format awskms://[ENDPOINT]/[ID/ALIAS/ARN] (endpoint optional)'
const NO_ARN = 'failed to parse either key or alias arn: arn: invalid prefix'
const PREFIX = 'malformed KMS format, should be prefixed by any of the supported providers: [awskms:// azurekms:// hashivault:// gcpkms://]'

for (const [uri, detail] of [
  ['awskms://localhost:4566', PARTS],
  ['awskms:///nokey', FORM],
  [`awskms:///${KEY}/more`, FORM],
  ['awskms:///arn:aws:kms:us-east-2:1111:alias/x', FORM],
  ['awskms:///arn:aws:sns:us-east-2:111122223333:alias/x', FORM],
  [`awskms://${KEY}`, FORM],
  [`awskms://alias/x/${KEY}`, FORM],
  [`awskms://localhost/${KEY}`, 'malformed endpoint: address localhost: missing port in address'],
  [`awskms://a:b:1/${KEY}`, 'malformed endpoint: address a:b:1: too many colons in address'],
  [`awskms://[::1/${KEY}`, "malformed endpoint: address [::1: missing ']' in address"],
  [`awskms://[::1]/${KEY}`, 'malformed endpoint: address [::1]: missing port in address'],
  [`awskms://[::1]x:1/${KEY}`, 'malformed endpoint: address [::1]x:1: missing port in address'],
  [`awskms://user@evil.example:1/${KEY}`, 'malformed endpoint: address user@evil.example:1: it is no host with a port'],
  [`awskms://a?b:1/${KEY}`, 'malformed endpoint: address a?b:1: it is no host with a port'],
  [`awskms:///${ID}`, NO_ARN],
  [`awskms://localhost:4566/${ID}`, NO_ARN],
  ['awskms:///alias/ExampleAlias', NO_ARN],
  ['awskms://localhost:4566/alias/ExampleAlias', NO_ARN],
  ['gcp://x', PREFIX],
  ['k', PREFIX],
  ['AWSKMS:///x', PREFIX],
] as const)
  test(`${uri} is refused at admission`, () => {
    assert.deepEqual(readKmsKey(uri), { ok: false, detail })
    assert.equal(whyInvalidKms(uri), detail)
  })

for (const uri of [
  'gcpkms://projects/p/locations/l/keyRings/r',
  `gcpkms://${RING}/cryptoKeyVersions/latest`,
  `gcpkms://${RING}/../../x`,
  'gcpkms://projects/p?x/locations/l/keyRings/r/cryptoKeys/k',
  'azurekms://myvault',
  'azurekms://user@myvault.vault.azure.net/signing',
  'azurekms://myvault.vault.azure.net/a/b/c',
  'azurekms://myvault.vault.azure.net#/a',
  'hashivault://',
  'hashivault://a/b',
  'hashivault://../x',
  'hashivault://a?b',
])
  test(`${uri} names no key, which admission does not look at`, () => {
    const read = readKmsKey(uri)
    assert.match(read.ok ? '' : read.detail, /^kms specification should be in the format /)
    assert.equal(whyInvalidKms(uri), undefined)
  })

test('a reference without end is refused', () => {
  assert.deepEqual(readKmsKey(`hashivault://${'a'.repeat(3000)}`), { ok: false, detail: 'longer than 2048 characters' })
})

test('the references of a policy are those of its keys, each once', () => {
  const authorities = [
    { key: { kms: 'hashivault://a' } },
    { key: { kms: 'hashivault://b' } },
    { key: { kms: 'hashivault://a', hashAlgorithm: 'sha512' } },
    { key: { data: 'x' } },
    { keyless: { 'ca-cert': { kms: 'hashivault://never' } } },
  ]
  assert.deepEqual(kmsUrisOf({ spec: { authorities } }), ['hashivault://a', 'hashivault://b'])
  assert.deepEqual(kmsUrisOf({ spec: { authorities: 'x' } }), [])
  assert.deepEqual(kmsUrisOf(undefined), [])
  for (const authority of [null, 'x', { key: 'x' }, { key: null }, { key: { kms: 5 } }, { key: { kms: null } }, { key: { kms: '' } }, {}])
    assert.deepEqual(kmsUrisOf({ spec: { authorities: [authority, { key: { kms: 'hashivault://a' } }] } }), ['hashivault://a'])
})
