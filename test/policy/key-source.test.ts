import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { nothingFetched } from '../../src/policy/objects.ts'
import type { Read } from '../../src/verdict/read.ts'
import { outcomeOf, sentenceOf } from '../../src/verdict/reason.ts'
import { compiled, keyed, only, otherPem, pem, secret } from './one-policy.ts'

describe('the key of a Secret', () => {
  const spec = { images: [{ glob: '**' }], authorities: [{ name: 'a', key: { secretRef: { name: 'cosign-pub' } } }, keyed] }
  test('is used when the Secret has exactly one entry with a public key', () => {
    const policy = only(compiled(spec, secret({ 'cosign.pub': pem })))
    assert.deepEqual(policy.refuses, [])
    assert.equal(policy.authorities[0]?.check.by, 'key')
  })
  for (const [name, objects, cause] of [
    ['that is missing', {}, 'secret "cosign-pub" not found'],
    ['that is empty', secret({}), 'secret "cosign-pub" contains no data'],
    ['with two entries', secret({ a: pem, b: pem }), 'secret "cosign-pub" contains multiple data entries, only one is supported'],
    ['that holds no key', secret({ a: 'nothing' }), 'secret "cosign-pub" contains an invalid public key: PEM decoding failed'],
  ] as const) {
    test(`of a Secret ${name} refuses the whole policy, good neighbours included`, () =>
      assert.deepEqual(only(compiled(spec, objects)).refuses, [{ code: 'key-unusable', cause }]))
  }
  test('is looked for in the namespace of the controller only', () => {
    const elsewhere = { images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 'cosign-pub', namespace: 'demo' } } }] }
    assert.match(sentenceOf(only(compiled(elsewhere, secret({ a: pem }))).refuses[0]!), /read from cosign-system only/)
    const own = { images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 'cosign-pub', namespace: 'cosign-system' } } }] }
    assert.deepEqual(only(compiled(own, secret({ a: pem }))).refuses, [])
  })
  test('changes the hash that passes are remembered under when it changes, and stops counting when it is gone', () => {
    const first = compiled(spec, secret({ a: pem }))
    const second = compiled(spec, secret({ a: otherPem }), first)
    const gone = compiled(spec, {}, second)
    assert.notEqual(only(first).hash, only(second).hash)
    assert.notEqual(only(second).hash, only(gone).hash)
    assert.ok(only(gone).refuses.length > 0)
  })
})

for (const [name, key, cause] of [
  [
    'nothing',
    {},
    'expected exactly one, got neither: spec.authorities[0].key.data, spec.authorities[0].key.kms, spec.authorities[0].key.secretref',
  ],
  [
    'data and a Secret',
    { data: pem, secretRef: { name: 's' } },
    'expected exactly one, got both: spec.authorities[0].key.data, spec.authorities[0].key.kms, spec.authorities[0].key.secretref',
  ],
] as const) {
  test(`a key of ${name} refuses`, () =>
    assert.equal(sentenceOf(only(compiled({ images: [{ glob: '**' }], authorities: [{ key }] })).refuses[0]!), cause))
}

describe('the key of a key management service', () => {
  const uri = 'hashivault://cosign'
  const spec = { images: [{ glob: '**' }], authorities: [{ name: 'a', key: { kms: uri } }, keyed] }
  const read = (key: Read<string> | undefined) =>
    only(compiled(spec, {}, undefined, { ...nothingFetched(), kmsKeys: new Map(key ? [[uri, key]] : []) }))
  const unknown = { code: 'kms-key-unknown', uri, why: 'connection refused' } as const

  test('is used as it was read', () => {
    const policy = read({ ok: true, value: pem })
    assert.deepEqual(policy.refuses, [])
    assert.equal(policy.authorities[0]?.check.by, 'key')
    assert.notEqual(policy.hash, read({ ok: true, value: otherPem }).hash)
  })
  test('refuses the whole policy, good neighbours included, for its own reason where it could not be read', () => {
    assert.deepEqual(read({ ok: false, reason: unknown }).refuses, [unknown])
    assert.deepEqual(read(undefined).refuses, [{ code: 'kms-key-unknown', uri, why: 'it was not read yet' }])
    assert.equal(outcomeOf(unknown), 'unknown')
    assert.equal(outcomeOf({ code: 'kms-key-wrong', uri, why: '' }), 'fail')
  })
  test('that is no key refuses', () => {
    const [reason] = read({ ok: true, value: 'nothing' }).refuses
    assert.equal(reason && sentenceOf(reason), `${uri} contains an invalid public key: PEM decoding failed`)
  })
  test('whose reference is none refuses in the words of the validating webhook', () => {
    const bad = { images: [{ glob: '**' }], authorities: [{ key: { kms: 'awskms:///alias/x' } }] }
    const [reason] = only(compiled(bad)).refuses
    assert.equal(
      reason && sentenceOf(reason),
      'invalid value: awskms:///alias/x: spec.authorities[0].key.kms\nfailed to parse either key or alias arn: arn: invalid prefix',
    )
  })
})
