import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { attestedFixtureNames, readFixture } from '../../e2e/fixtures.ts'
import { certificateOf } from '../../fakes/certificates.ts'
import { attestedEvidence, bundleEvidence, makeSigner, signBundle } from '../../fakes/signer.ts'
import type { Digest } from '../../src/image/digest.ts'
import { digestOf, hexOf } from '../../src/image/digest.ts'
import type { VerifiedStatement } from '../../src/sigstore/attestation.ts'
import { verifyAttestation } from '../../src/sigstore/attestation.ts'
import type { SignatureEvidence } from '../../src/sigstore/evidence.ts'
import { readPublicKey } from '../../src/trust/key.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

const signer = makeSigner()
const other = makeSigner()
const digest = digestOf(Buffer.from('an image'))
const another = digestOf(Buffer.from('another image'))
const PROVENANCE = 'https://slsa.dev/provenance/v1'
const provenance = { predicateType: PROVENANCE, predicate: { builder: 'x' } }

function keyOf(pem: string) {
  const read = readPublicKey(pem, '')
  assert.ok(read.ok)
  return read.value
}
const key = keyOf(signer.pem)

/** What the attestation says when it stands, else why it does not. */
function verified(evidence: SignatureEvidence, about: Digest = digest, at?: number): VerifiedStatement | string {
  const answer = verifyAttestation(evidence, about, key, at)
  return answer.ok ? answer.statement : sentenceOf(answer.reason)
}

describe('an attestation by the key about the image stands, and says of which type it is', () => {
  for (const [form, evidence] of [
    ['of the old form', attestedEvidence([signer], digest, provenance)],
    ['in a bundle', bundleEvidence(signBundle(signer, digest, provenance))],
    [
      'of the old form with statement v0.1',
      attestedEvidence([signer], digest, { ...provenance, statementType: 'https://in-toto.io/Statement/v0.1' }),
    ],
    [
      'with several subjects, one of them the image',
      attestedEvidence([signer], digest, { ...provenance, subjects: [hexOf(another), hexOf(digest)] }),
    ],
    ['with a signature of somebody else before', attestedEvidence([other, signer], digest, provenance)],
  ] as const) {
    test(form, () => {
      const statement = verified(evidence)
      assert.ok(typeof statement !== 'string', JSON.stringify(statement))
      assert.equal(statement.digest, digest)
      assert.equal(statement.signer.keyId, key.id)
      assert.equal(statement.statement.predicateType, PROVENANCE)
      assert.deepEqual(statement.statement.predicate, provenance.predicate)
    })
  }
})

describe('an attestation is refused, in the specified words', () => {
  const THRESHOLD = 'accepted signatures do not match threshold, Found: 0, Expected 1'
  const layer = (payload: Uint8Array): SignatureEvidence => ({ ...attestedEvidence([signer], digest), payload })
  for (const [what, evidence, words] of [
    ['lesson 1: signed by nobody', attestedEvidence([], digest, provenance), 'no signature found'],
    ['by another key', attestedEvidence([other], digest, provenance), THRESHOLD],
    ['in a bundle by another key', bundleEvidence(signBundle(other, digest, provenance)), THRESHOLD],
    ['about another image', attestedEvidence([signer], another, provenance), 'no matching subject digest found'],
    ['in a bundle about another image', bundleEvidence(signBundle(signer, another, provenance)), 'no matching subject digest found'],
    ['about nothing', attestedEvidence([signer], digest, { ...provenance, subjects: [] }), 'no matching subject digest found'],
    [
      'of another payload type',
      attestedEvidence([signer], digest, { ...provenance, payloadType: 'text/plain' }),
      'invalid payloadType text/plain on envelope. Expected application/vnd.in-toto+json',
    ],
    ['that is no JSON', layer(Buffer.from('not JSON')), "invalid character 'o' in literal null (expecting 'u')"],
    ['without payload', layer(Buffer.from('{"payloadType":"x"}')), 'the envelope has no payload'],
    [
      'whose statement is none',
      attestedEvidence([signer], digest, { payload: Buffer.from('{}') }),
      'its payload is not an in-toto statement v0.1 or v1',
    ],
    [
      'lesson 18: in a bundle with a certificate of its own',
      bundleEvidence(
        signBundle(signer, digest, { ...provenance, verificationMaterial: { publicKey: undefined, certificate: { rawBytes: 'AAAA' } } }),
      ),
      'the bundle was not signed with a key',
    ],
    [
      'that could not be fetched',
      { ...attestedEvidence([signer], digest), payload: { code: 'registry-timeout', text: 'too slow' } },
      'too slow',
    ],
  ] as const) {
    test(what, () => {
      const refusal = verified(evidence)
      assert.ok(typeof refusal === 'string', 'it stands')
      assert.ok(refusal.endsWith(words), refusal)
    })
  }

  test('when a byte of its statement was changed after it was signed', () => {
    const evidence = attestedEvidence([signer], digest, provenance)
    assert.ok(evidence.payload instanceof Uint8Array)
    const envelope = JSON.parse(Buffer.from(evidence.payload).toString()) as { payload: string }
    const statement = Buffer.from(envelope.payload, 'base64').toString().replace('"x"', '"y"')
    envelope.payload = Buffer.from(statement).toString('base64')
    assert.equal(verified({ ...evidence, payload: Buffer.from(JSON.stringify(envelope)) }), THRESHOLD)
  })

  test('when a certificate beside it is not valid now, and stands while it is', async () => {
    const [from, to] = [Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 2)]
    const pem = await certificateOf(from, to)
    const evidence = attestedEvidence([signer], digest, provenance)
    const beside = { ...evidence, annotations: { ...evidence.annotations, 'dev.sigstore.cosign/certificate': pem } }
    const statement = verified(beside, digest, (from + to) / 2)
    assert.ok(typeof statement !== 'string', JSON.stringify(statement))
    assert.equal(statement.until, to)
    for (const at of [from - 1, to + 1, undefined])
      assert.equal(verified(beside, digest, at), 'expected a signed timestamp to verify an expired certificate')
  })
})

test('lesson 2: what was not verified is no verified statement', () => {
  const claimed = { digest, signer: { by: 'key', keyId: key.id }, form: 'bundle', manifest: digest, layer: 0, until: undefined } as const
  // @ts-expect-error: only verifying makes one
  const statement: VerifiedStatement = { ...claimed, statement: { predicateType: PROVENANCE, predicate: {}, subjects: [hexOf(digest)] } }
  assert.equal(Object.getOwnPropertySymbols(statement).length, 0)
})

test('whatever the bytes are, verifying answers and never throws', () => {
  const good = attestedEvidence([signer], digest, provenance).payload as Uint8Array
  const changed = fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => Uint8Array.from(good).fill(byte, at, at + 1))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), changed), fc.boolean(), (bytes, isBundle) => {
      const form = { manifest: digest, layer: 0 }
      const evidence: SignatureEvidence = isBundle
        ? { ...form, form: 'bundle', bytes }
        : { ...form, form: 'annotations', annotations: {}, payload: bytes }
      const statement = verified(evidence)
      if (typeof statement !== 'string') assert.equal(statement.statement.predicateType, PROVENANCE)
    }),
  )
})

describe('what real cosigns attested stands with their key and with no other', () => {
  for (const name of attestedFixtureNames()) {
    test(name, () => {
      const fixture = readFixture(name)
      const about = fixture.image.slice(fixture.image.indexOf('@') + 1) as Digest
      const pieces = Object.values(fixture.repositories).flatMap(({ manifests, blobs }) =>
        Object.entries(manifests).flatMap(([manifest, { text }]) => {
          const { layers = [] } = JSON.parse(text) as {
            layers?: { mediaType: string; digest: string; annotations?: Record<string, string> }[]
          }
          return layers.flatMap(({ mediaType, digest: blob, annotations = {} }, layer): SignatureEvidence[] => {
            const bytes = Buffer.from(blobs[blob] ?? '')
            const at = { manifest: manifest as Digest, layer }
            if (mediaType.startsWith('application/vnd.dev.sigstore.bundle')) return [{ form: 'bundle', ...at, bytes }]
            return mediaType.includes('dsse') ? [{ form: 'annotations', ...at, annotations, payload: bytes }] : []
          })
        }),
      )
      const standing = (pem: string) => pieces.filter((piece) => verifyAttestation(piece, about, keyOf(pem)).ok).length
      assert.ok(standing(fixture.key) > 0)
      assert.equal(standing(signer.pem), 0)
    })
  }
})
