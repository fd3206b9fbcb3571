import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { RFC3161Timestamp } from '@sigstore/core'
import fc from 'fast-check'
import { readTimestampAnnotation, verifyTimestamp } from '../../src/sigstore/timestamp.ts'
import type { CertificateAuthority } from '../../src/trust/material.ts'
import { outcomeOf, sentenceOf } from '../../src/verdict/reason.ts'
import type { Made, Said } from './timestamp-authority.ts'
import { makeTimestampAuthority, NOON } from './timestamp-authority.ts'

const SIGNED = Buffer.from('a signature')
const HOUR = 60 * 60 * 1000
const tsa = await makeTimestampAuthority('tsa')
const other = await makeTimestampAuthority('other')

function why(
  token: Uint8Array,
  authorities: readonly CertificateAuthority[] = [tsa.trusted],
  signed: Uint8Array = SIGNED,
): string | undefined {
  const got = verifyTimestamp(token, signed, authorities)
  if (got.ok) return undefined
  assert.equal(got.reason.code, 'timestamp-invalid')
  assert.equal(outcomeOf(got.reason), 'fail')
  return sentenceOf(got.reason).replace(/^unable to verify RFC3161 timestamp bundle: /, '')
}

test('a timestamp is verified, and says when what was signed existed and who says so', () => {
  const got = verifyTimestamp(tsa.stamp(SIGNED), SIGNED, [tsa.trusted])
  assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
  assert.equal(got.value.at, NOON)
  assert.equal(got.value.authority, 'https://tsa.example')
})

test('the timestamps of these tests are ones that another implementation takes', () => {
  const stamp = RFC3161Timestamp.parse(Buffer.from(tsa.stamp(SIGNED)))
  stamp.verify(SIGNED, createPublicKey({ key: tsa.leaf.certificate.publicKey, format: 'der', type: 'spki' }))
  assert.equal(stamp.signingTime.getTime(), NOON)
})

for (const [title, said] of [
  ['without the answer around its token', { tokenOnly: true }],
  ['granted with modifications', { status: 1 }],
  ['over SHA-384', { hash: 'sha384' }],
  ['over SHA-512', { hash: 'sha512', digestHash: 'sha512' }],
  ['with a nonce, whatever it is', { nonce: 42 }],
  ['whose signer is named by its key', { names: 'by key' }],
  ['that calls its certificate by SHA-512', { certificateId: 'v2 with SHA-512' }],
  ['that calls its certificate by SHA-1', { certificateId: 'v1' }],
  ['that does not call its certificate by a digest', { certificateId: 'none' }],
] as [string, Said][]) {
  test(`a timestamp ${title} is verified`, () => assert.equal(why(tsa.stamp(SIGNED, said)), undefined))
}

for (const algorithm of ['RSA', 'Ed25519'] as const) {
  test(`a timestamp by an authority with a key of the type ${algorithm} is verified`, async () => {
    const { stamp, trusted } = await makeTimestampAuthority('keys', { algorithm })
    assert.equal(why(stamp(SIGNED), [trusted]), undefined)
    const stranger = await makeTimestampAuthority('keys', { algorithm })
    assert.equal(why(stamp(SIGNED, { signedWith: stranger.leaf.key }), [trusted]), 'signature verification failed')
  })
}

test('a time with a fraction of a second is cut to milliseconds', () => {
  const got = verifyTimestamp(tsa.stamp(SIGNED, { time: '20260115120000.1239Z' }), SIGNED, [tsa.trusted])
  assert.ok(got.ok)
  assert.equal(got.value.at, NOON + 123)
})

const strangerKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
for (const [title, said, detail] of [
  ['that was refused', { status: 2 }, 'its status is 2, not granted'],
  ['over SHA-1', { hash: 'sha1' }, 'its hash algorithm `1.3.14.3.2.26` is not one of SHA-256, SHA-384, SHA-512'],
  ['of another version', { infoVersion: 2 }, 'its version is not 1'],
  ['with a critical extension', { criticalExtension: true }, 'it has a critical extension'],
  ['whose content is something else', { infoType: '1.2.840.113549.1.7.1' }, 'its content is not a TSTInfo'],
  [
    'whose signer speaks of other content',
    { attributeType: '1.2.840.113549.1.7.1' },
    'its content-type attribute is not that of a TSTInfo',
  ],
  ['whose signer signed other content', { messageDigest: Buffer.alloc(32) }, 'its message digest is not that of its content'],
  ['without signed attributes', { attributes: 'none' }, 'it has no signed attributes'],
  ['with a signed attribute twice', { attributes: 'twice' }, 'it has a signed attribute twice'],
  ['with 43 signed attributes', { attributes: 'too many' }, 'it has too many signed attributes'],
  ['with two signatures', { signers: 2 }, 'it has two values, or none, where one is wanted'],
  ['without a signature', { signers: 0 }, 'it has two values, or none, where one is wanted'],
  ['signed with another key', { signedWith: strangerKey }, 'signature verification failed'],
  [
    'that calls another certificate its own',
    { certificateId: 'of another' },
    'its signing-certificate attribute names another certificate',
  ],
  [
    'without the certificate of its signer',
    { embedded: [] },
    'error while verifying with chain: pkcs7: failed to verify certificate chain: x509: certificate signed by unknown authority',
  ],
  ['on the 30th of February', { time: '20260230120000Z' }, 'its time cannot be read'],
  ['in local time', { time: '20260115120000' }, 'its time cannot be read'],
  ["at 24 o'clock", { time: '20260115240000Z' }, 'its time cannot be read'],
] as [string, Said, string][]) {
  test(`a timestamp ${title} is refused`, () => assert.equal(why(tsa.stamp(SIGNED, said)), detail))
}

test('a timestamp of something else is refused', () => {
  assert.equal(why(tsa.stamp(SIGNED), [tsa.trusted], Buffer.from('another signature')), `hashed messages don't match`)
})

test('without an authority no timestamp is believed', () => {
  assert.equal(why(tsa.stamp(SIGNED), []), 'no TSA root certificate(s) provided to verify timestamp')
})

test('a timestamp of an authority that nobody trusts is refused', () => {
  assert.match(why(other.stamp(SIGNED)) ?? '', /^error while verifying with chain: /)
})

test('lesson 20: of several authorities each counts, not only the first or the last', () => {
  const authorities = [tsa.trusted, other.trusted]
  for (const token of [tsa.stamp(SIGNED), other.stamp(SIGNED)]) {
    assert.equal(why(token, authorities), undefined)
    assert.equal(why(token, authorities.toReversed()), undefined)
  }
})

test('a timestamp says what is wrong with the authority that made it, not with others', () => {
  const said: Said = { signedWith: strangerKey }
  for (const authorities of [
    [tsa.trusted, other.trusted],
    [other.trusted, tsa.trusted],
  ])
    assert.equal(why(tsa.stamp(SIGNED, said), authorities), 'signature verification failed')
})

test('the certificate of the signer may be in the trust root instead of the token', () => {
  const trusted = { ...tsa.trusted, intermediates: [tsa.leaf.certificate, tsa.intermediate.certificate] }
  assert.equal(why(tsa.stamp(SIGNED, { embedded: [] }), [trusted]), undefined)
  assert.equal(why(tsa.stamp(SIGNED), [trusted]), undefined)
  assert.equal(why(tsa.stamp(SIGNED, { embedded: [], signedWith: strangerKey }), [trusted]), 'signature verification failed')
})

test('an authority that names its own signing certificate is believed with no other of its root', async () => {
  const trusted = { ...tsa.trusted, intermediates: [other.leaf.certificate, tsa.intermediate.certificate] }
  assert.equal(
    why(tsa.stamp(SIGNED), [trusted]),
    'error while verifying with chain: pkcs7: failed to verify certificate chain: x509: certificate signed by unknown authority',
  )
})

test('intermediates in the token are links, and nothing more', () => {
  const rootOnly = { ...tsa.trusted, intermediates: [] }
  const chain = [tsa.leaf.certificate, tsa.intermediate.certificate, tsa.root.certificate]
  assert.equal(why(tsa.stamp(SIGNED, { embedded: chain }), [rootOnly]), undefined)
  assert.match(why(tsa.stamp(SIGNED), [rootOnly]) ?? '', /^error while verifying with chain: /)
  const othersChain = [other.leaf.certificate, other.intermediate.certificate, other.root.certificate]
  assert.match(why(other.stamp(SIGNED, { embedded: othersChain }), [rootOnly]) ?? '', /^error while verifying with chain: /)
})

test("lesson 21: a certificate put in front of the signer's changes nothing, and lends nothing", () => {
  const mixed = [other.leaf.certificate, tsa.leaf.certificate]
  assert.equal(why(tsa.stamp(SIGNED, { embedded: mixed })), undefined)
  // Signed by a key that nobody trusts, with the certificates of one that somebody does.
  assert.match(
    why(other.stamp(SIGNED, { embedded: [tsa.leaf.certificate, other.leaf.certificate] })) ?? '',
    /^error while verifying with chain: /,
  )
  assert.equal(why(tsa.stamp(SIGNED, { embedded: mixed, signedWith: other.leaf.key })), 'signature verification failed')
})

for (const [title, made, said] of [
  ['for code signing', { usages: ['1.3.6.1.5.5.7.3.3'] }, {}],
  ['for time stamping and something else', { usages: ['1.3.6.1.5.5.7.3.8', '1.3.6.1.5.5.7.3.3'] }, {}],
  ['for anything', { usages: [] }, {}],
  ['for time stamping, but not critically', { isCritical: false }, {}],
  ['that expired before', { leafValid: { from: NOON - 2 * HOUR, until: NOON - HOUR } }, {}],
  ['that was not valid yet', { leafValid: { from: NOON + HOUR, until: NOON + 2 * HOUR } }, {}],
] as [string, Made, Said][]) {
  test(`a timestamp by a certificate ${title} is refused`, async () => {
    const { stamp, trusted, leaf, intermediate } = await makeTimestampAuthority('wrong', made)
    const named = { ...trusted, intermediates: [leaf.certificate, intermediate.certificate] }
    for (const authority of [trusted, named])
      assert.match(why(stamp(SIGNED, said), [authority]) ?? '', /^error while verifying with chain: /)
  })
}

test('lesson 19: the certificate must be valid at the time that the timestamp says, both ends included', async () => {
  const { stamp, trusted } = await makeTimestampAuthority('short', { leafValid: { from: NOON - HOUR, until: NOON + HOUR } })
  for (const at of [NOON - HOUR, NOON + HOUR]) assert.equal(why(stamp(SIGNED, { at }), [trusted]), undefined)
  for (const at of [NOON - HOUR - 1000, NOON + HOUR + 1000]) assert.match(why(stamp(SIGNED, { at }), [trusted]) ?? '', /^error while/)
})

test('lesson 19: an authority is believed only for the time that it was in service', () => {
  const within = (from: number, until: number | undefined) => why(tsa.stamp(SIGNED), [{ ...tsa.trusted, valid: { from, until } }])
  assert.equal(within(NOON, NOON), undefined)
  assert.equal(within(NOON - 1, undefined), undefined)
  assert.match(within(NOON + 1, undefined) ?? '', /was not in service at 2026-01-15T12:00:00.000Z|error while/)
  assert.match(within(NOON - HOUR, NOON - 1) ?? '', /was not in service at 2026-01-15T12:00:00.000Z|error while/)
})

test('lesson 39: a timestamp is bounded in bytes and certificates', () => {
  assert.equal(why(Buffer.alloc(16 * 1024 + 1)), 'size of timestamp (16385) exceeded the limit (16384)')
  const certificates = (length: number) => Array.from({ length }, () => tsa.leaf.certificate)
  assert.equal(why(tsa.stamp(SIGNED, { embedded: certificates(8) })), undefined)
  assert.equal(why(tsa.stamp(SIGNED, { embedded: certificates(9) })), 'number of certificates (9) exceeded the limit (8)')
})

test('bytes behind a timestamp are refused', () => {
  assert.equal(why(Buffer.concat([tsa.stamp(SIGNED), Buffer.from([0])])), 'it is not a timestamp in DER')
})

test('no byte of a timestamp can be changed to another time, content or signer', () => {
  const token = tsa.stamp(SIGNED)
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.integer({ min: 1, max: 255 }), (index, xor) => {
      const changed = Buffer.from(token)
      changed[index] = (changed[index] ?? 0) ^ xor
      const got = verifyTimestamp(changed, SIGNED, [tsa.trusted])
      // What no signature covers, as the version of a structure, may change.
      if (got.ok) assert.equal(got.value.at, NOON)
    }),
    { numRuns: 1000 },
  )
})

test('any bytes are refused with a reason', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => assert.ok(why(bytes))))
})

// — the annotation

test('the annotation of cosign holds the timestamp in base64', () => {
  const got = readTimestampAnnotation(JSON.stringify({ SignedRFC3161Timestamp: tsa.stamp(SIGNED).toString('base64') }))
  assert.ok(got.ok)
  assert.equal(why(got.value), undefined)
})

for (const [title, json] of [
  ['no JSON', '{'],
  ['a list', '[]'],
  ['an object without it', '{}'],
  ['an empty text', '{"SignedRFC3161Timestamp":""}'],
  ['a number', '{"SignedRFC3161Timestamp":1}'],
  ['base64 of the other alphabet', '{"SignedRFC3161Timestamp":"__--"}'],
  ['32 KiB and one byte', `{"SignedRFC3161Timestamp":"${'A'.repeat(32 * 1024 - 28)}"}`],
] as const) {
  test(`an annotation that is ${title} is refused`, () => {
    const got = readTimestampAnnotation(json)
    assert.ok(!got.ok)
    assert.match(sentenceOf(got.reason), /^unable to verify RFC3161 timestamp bundle: /)
  })
}
