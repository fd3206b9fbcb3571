import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeSigner, signBundle } from '../../fakes/signer.ts'
import { digestOf } from '../../src/image/digest.ts'
import { MAX_ATTESTATION_BYTES, MAX_BUNDLE_BYTES, readBundle, readBundleInTurns } from '../../src/sigstore/bundle.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

const BUNDLE = signBundle(makeSigner(), digestOf(Buffer.from('an image')))
const ENTRY = {
  logIndex: '1',
  logId: { keyId: 'AAAA' },
  kindVersion: { kind: 'dsse', version: '0.0.1' },
  integratedTime: '1',
  inclusionPromise: { signedEntryTimestamp: 'AAAA' },
  inclusionProof: { logIndex: '1', rootHash: 'AAAA', treeSize: '2', hashes: [], checkpoint: { envelope: 'x' } },
  canonicalizedBody: 'AAAA',
}

function read(document: unknown): ReturnType<typeof readBundle> {
  return readBundle(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)))
}

function wrong(document: unknown): string {
  const got = read(document)
  assert.ok(!got.ok, 'no bundle was expected')
  assert.equal(got.reason.code, 'bundle-malformed')
  return sentenceOf(got.reason).replace('the bundle cannot be read: ', '')
}

for (const mediaType of [
  'application/vnd.dev.sigstore.bundle+json;version=0.1',
  'application/vnd.dev.sigstore.bundle+json;version=0.2',
  'application/vnd.dev.sigstore.bundle+json;version=0.3',
  'application/vnd.dev.sigstore.bundle.v0.3+json',
]) {
  test(`a bundle of the media type ${mediaType} is read, log entries and all`, () => {
    const got = read({ ...BUNDLE, mediaType, verificationMaterial: { ...BUNDLE.verificationMaterial, tlogEntries: [ENTRY] } })
    assert.ok(got.ok)
    assert.equal(got.value.content.$case, 'dsseEnvelope')
    assert.equal(got.value.verificationMaterial.content.$case, 'publicKey')
    assert.equal(got.value.verificationMaterial.tlogEntries.length, 1)
  })
}

const [SIGNATURE] = BUNDLE.dsseEnvelope.signatures
for (const [title, document, detail] of [
  ['no JSON', 'hello', "invalid character 'h' looking for beginning of value"],
  ['a list', '[]', 'it is not an object'],
  [
    'a later version',
    { ...BUNDLE, mediaType: 'application/vnd.dev.sigstore.bundle.v0.4+json' },
    'its media type is not that of a bundle v0.1, v0.2 or v0.3',
  ],
  [
    'a media type of two versions',
    { ...BUNDLE, mediaType: ['application/vnd.dev.sigstore.bundle.v0.3+json'] },
    'its media type is not that of a bundle v0.1, v0.2 or v0.3',
  ],
  ['no content', { ...BUNDLE, dsseEnvelope: undefined }, 'missing or wrong: content'],
  ['no verification material', { ...BUNDLE, verificationMaterial: undefined }, 'missing or wrong: verificationMaterial'],
  ['no key and no certificate', { ...BUNDLE, verificationMaterial: {} }, 'missing or wrong: verificationMaterial.content'],
  [
    'an envelope without signatures',
    { ...BUNDLE, dsseEnvelope: { ...BUNDLE.dsseEnvelope, signatures: [] } },
    'missing or wrong: content.dsseEnvelope.signatures',
  ],
  [
    'an envelope of two signatures',
    { ...BUNDLE, dsseEnvelope: { ...BUNDLE.dsseEnvelope, signatures: [SIGNATURE, SIGNATURE] } },
    'missing or wrong: content.dsseEnvelope.signatures',
  ],
  [
    'a number for a payload',
    { ...BUNDLE, dsseEnvelope: { ...BUNDLE.dsseEnvelope, payload: 5 } },
    'a field has another type than the format says',
  ],
  [
    'log entries that are no list',
    { ...BUNDLE, verificationMaterial: { publicKey: {}, tlogEntries: [null] } },
    'a field has another type than the format says',
  ],
] as const) {
  test(`a bundle with ${title} is refused: ${detail}`, () => assert.equal(wrong(document), detail))
}

test('lesson 39: a bundle beyond its bounds is refused', () => {
  const material = BUNDLE.verificationMaterial
  assert.equal(read({ ...BUNDLE, verificationMaterial: { ...material, tlogEntries: new Array(32).fill(ENTRY) } }).ok, true)
  assert.equal(
    wrong({ ...BUNDLE, verificationMaterial: { ...material, tlogEntries: new Array(33).fill(ENTRY) } }),
    'number of log entries (33) exceeded the limit (32)',
  )
  const timestampVerificationData = { rfc3161Timestamps: new Array(33).fill({ signedTimestamp: 'AAAA' }) }
  assert.equal(
    wrong({ ...BUNDLE, verificationMaterial: { ...material, timestampVerificationData } }),
    'number of timestamps (33) exceeded the limit (32)',
  )
  assert.equal(
    wrong(' '.repeat(MAX_BUNDLE_BYTES + 1)),
    `size of document (${MAX_BUNDLE_BYTES + 1}) exceeded the limit (${MAX_BUNDLE_BYTES})`,
  )
  assert.equal(wrong({ ...BUNDLE, x: new Array(20_001).fill(0) }), 'number of values exceeded the limit (20000)')
  assert.equal(wrong(`{"x":${'['.repeat(100_000)}`), 'exceeded max depth')
})

test('whatever the bytes are, reading answers and never throws', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof readBundle(bytes).ok === 'boolean'))
  const { verificationMaterial, dsseEnvelope } = BUNDLE
  const part = fc.jsonValue()
  fc.assert(
    fc.property(part, part, part, part, (a, b, c, d) => {
      for (const document of [
        { ...BUNDLE, verificationMaterial: a },
        { ...BUNDLE, dsseEnvelope: a },
        { ...BUNDLE, verificationMaterial: { ...verificationMaterial, tlogEntries: a, timestampVerificationData: b } },
        { ...BUNDLE, verificationMaterial: { publicKey: a, certificate: b, x509CertificateChain: c, tlogEntries: [d] } },
        { ...BUNDLE, dsseEnvelope: { ...dsseEnvelope, signatures: a, payload: b, payloadType: c } },
        { ...BUNDLE, messageSignature: a },
      ]) {
        assert.equal(typeof read(document).ok, 'boolean')
      }
    }),
  )
})

test('however large its payload is, a bundle is read as a small one is, and others have their turn', async () => {
  let turns = 0
  const inTurns = (document: unknown) =>
    readBundleInTurns(
      Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)),
      MAX_ATTESTATION_BYTES,
      async () => void turns++,
    )
  const withPayload = (payload: unknown): object => ({ ...BUNDLE, dsseEnvelope: { ...BUNDLE.dsseEnvelope, payload } })
  for (const document of [
    BUNDLE,
    withPayload(''),
    withPayload('QUI'),
    withPayload('Q!UJD'),
    withPayload(5),
    withPayload({}),
    { ...BUNDLE, dsseEnvelope: undefined },
    { ...BUNDLE, mediaType: 'other' },
    {
      ...BUNDLE,
      dsseEnvelope: undefined,
      messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest: 'AAAA' }, signature: 'AAAA' },
    },
    'hello',
    '[]',
  ])
    assert.deepEqual(await inTurns(document), read(document))
  const bytes = Buffer.alloc(6 * 1024 * 1024, 'payload')
  turns = 0
  const large = await inTurns(withPayload(bytes.toString('base64')))
  assert.ok(large.ok && large.value.content.$case === 'dsseEnvelope' && large.value.content.dsseEnvelope.payload.equals(bytes))
  assert.ok(turns > 40, `${turns} turns`)
})

test('lesson 38: beside its payload a large bundle has at most 1 MiB', async () => {
  const tlogEntries = [{ ...ENTRY, canonicalizedBody: 'A'.repeat(1024 * 1024) }]
  const document = { ...BUNDLE, verificationMaterial: { ...BUNDLE.verificationMaterial, tlogEntries } }
  const got = await readBundleInTurns(Buffer.from(JSON.stringify(document)), MAX_ATTESTATION_BYTES, async () => {})
  assert.ok(!got.ok)
  assert.match(sentenceOf(got.reason), /size of document without dsseEnvelope\.payload \([0-9]+\) exceeded the limit \(1048576\)$/)
})
