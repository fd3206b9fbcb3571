import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Terms } from '../../src/sigstore/terms.ts'
import type { PublicKey } from '../../src/trust/key.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { compiled, keyed, only, pem, withAuthority } from './one-policy.ts'

describe('attestations', () => {
  test('are wanted by name and by the type that is written, or that it is short for', () => {
    const attestations = [
      { name: 'one', predicateType: 'slsaprovenance1' },
      { name: 'two', predicateType: 'https://example.com/type' },
    ]
    const policy = only(compiled(withAuthority({ attestations })))
    assert.deepEqual(policy.refuses, [])
    assert.deepEqual(policy.authorities[0]?.attestations, [
      { name: 'one', written: 'slsaprovenance1', predicateType: 'https://slsa.dev/provenance/v1' },
      { name: 'two', written: 'https://example.com/type', predicateType: 'https://example.com/type' },
    ])
  })

  for (const field of ['name', 'predicateType']) {
    test(`without ${field} the policy refuses and names the field`, () => {
      const attestation = { name: 'n', predicateType: 'custom', [field]: undefined }
      const policy = only(compiled(withAuthority({ attestations: [attestation] })))
      assert.deepEqual(policy.refuses.map(sentenceOf), [`missing field(s): spec.authorities[0].attestations.${field}`])
    })
  }
})

for (const [name, authority, cause] of [
  [
    'none of key, keyless and static',
    { name: 'a' },
    'expected exactly one, got neither: spec.authorities[0].key, spec.authorities[0].keyless, spec.authorities[0].static',
  ],
  [
    'key and static',
    { ...keyed, static: { action: 'pass' } },
    'expected exactly one, got both: spec.authorities[0].key, spec.authorities[0].keyless, spec.authorities[0].static',
  ],
  [
    'a static action that is neither pass nor fail',
    { static: { action: 'maybe' } },
    'invalid value: maybe: spec.authorities[0].static.action\nunsupported action',
  ],
  ['a static action that is missing', { static: { message: 'm' } }, 'missing field(s): spec.authorities[0].static.action'],
  [
    'static beside a source',
    { static: { action: 'pass' }, source: [{ oci: 'registry.example/sigs' }] },
    'expected exactly one, got both: spec.authorities[0].source, spec.authorities[0].static',
  ],
  ['two sources', { ...keyed, source: [{}, {}] }, 'invalid value: source: spec.authorities[0].source\nonly single source is supported'],
  [
    'a pull secret without a name',
    { ...keyed, source: [{ signaturePullSecrets: [{}] }] },
    'missing field(s): spec.authorities[0].source[0].signaturePullSecrets[0].name',
  ],
] as const) {
  test(`${name}: the whole policy refuses`, () =>
    assert.deepEqual(only(compiled({ images: [{ glob: '**' }], authorities: [authority] })).refuses, [
      { code: 'policy-unreadable', cause },
    ]))
}

test('authorities without a name are called by their index', () => {
  const policy = only(
    compiled({
      images: [{ glob: '**' }],
      authorities: [{ key: { data: pem } }, { name: 'named', key: { data: pem } }, { name: '', key: { data: pem } }],
    }),
  )
  assert.deepEqual(
    policy.authorities.map((a) => a.name),
    ['authority-0', 'named', 'authority-2'],
  )
})

test('a source leads to another repository, with a tag prefix and pull secrets of its own', () => {
  const policy = only(
    compiled(withAuthority({ source: [{ oci: 'sigs.example/store', tagPrefix: 'x-', signaturePullSecrets: [{ name: 's' }] }] })),
  )
  assert.deepEqual(policy.authorities[0]?.source, {
    repository: { registry: 'sigs.example', repository: 'store' },
    tagPrefix: 'x-',
    pullSecrets: ['s'],
  })
})

for (const oci of [
  'registry.example',
  'registry.example:5000',
  'registry.example/a@sha256:aa',
  'registry.example/a:tag',
  'https://registry.example/a',
]) {
  test(`source.oci ${oci} is not a repository, so the policy refuses`, () =>
    assert.match(sentenceOf(only(compiled(withAuthority({ source: [{ oci }] }))).refuses[0]!), /a repository with its registry is wanted/))
}

test('signatureFormat restricts where a signature may come from; without it all formats count', () => {
  const format = (signatureFormat?: string) =>
    only(compiled(withAuthority(signatureFormat === undefined ? {} : { signatureFormat }))).authorities[0]?.format
  assert.deepEqual([format(), format('bundle'), format('legacy'), format('other')], ['any', 'bundle', 'annotations', 'any'])
})

test('a hash algorithm that is not known refuses; one that is known counts', () => {
  const hashed = (hashAlgorithm: string) =>
    only(compiled({ images: [{ glob: '**' }], authorities: [{ key: { data: pem, hashAlgorithm } }] }))
  assert.equal(hashed('md5').refuses[0]?.code, 'key-unusable')
  const { check } = hashed(' SHA512 ').authorities[0]!
  assert.equal(check.by === 'key' && keyIn(check.demands[0]?.annotations)?.hash, 'sha512')
})

test('an empty ctlog or rfc3161timestamp asks for nothing, and its author is told so', () => {
  const policy = only(compiled(withAuthority({ ctlog: {}, rfc3161timestamp: {} })))
  assert.deepEqual([policy.refuses, policy.authorities[0]?.refuses], [[], []])
  assert.equal(policy.warnings.length, 2)
})

test('an empty ctlog is told of as far as it reaches: a bundle of a certificate needs its log entry all the same', () => {
  const told = (authority: object): string =>
    only(compiled({ images: [{ glob: '**' }], authorities: [{ ctlog: {}, ...authority }] }))
      .warnings.filter((w) => w.includes('ctlog'))
      .join()
  const keyless = { identities: [{ issuer: 'i', subject: 's' }] }
  assert.equal(told({ key: { data: pem } }), 'spec.authorities[0].ctlog is empty, so no transparency log is checked')
  assert.match(
    told({ keyless }),
    /is empty, so no transparency log is checked for signatures under the \.sig and \.att tags; their certificates must/,
  )
  assert.equal(told({ keyless, signatureFormat: 'bundle' }), '')
})

test('keyless: disabled refuses a keyless authority and names the setting', () => {
  const configMaps = new Map([['config-policy-controller', { data: { keyless: 'disabled' } }]])
  const policy = only(
    compiled({ images: [{ glob: '**' }], authorities: [{ keyless: { identities: [{ issuer: 'i', subject: 's' }] } }] }, { configMaps }),
  )
  assert.deepEqual(policy.authorities[0]?.refuses, [{ code: 'keyless-disabled' }])
})

function keyIn(terms: Terms | undefined): PublicKey | undefined {
  return terms?.signer.by === 'key' ? terms.signer.key : undefined
}
