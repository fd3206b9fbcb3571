import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { attestedFixtureNames, readFixture } from '../../e2e/fixtures.ts'
import { certificateOf } from '../../fakes/certificates.ts'
import { attestedEvidence, bundleEvidence, makeSigner, signBundle } from '../../fakes/signer.ts'
import type { AuthorityFault, SigningFault } from '../../fakes/sigstore/fault.ts'
import { authorityFaults, faults } from '../../fakes/sigstore/fault.ts'
import { showsIn } from '../../fakes/sigstore/faulty.ts'
import type { SignOptions } from '../../fakes/sigstore/sigstore.ts'
import { SIGNED_AT, Sigstore } from '../../fakes/sigstore/sigstore.ts'
import type { Digest } from '../../src/image/digest.ts'
import { digestOf, hexOf } from '../../src/image/digest.ts'
import type { VerifiedStatement } from '../../src/sigstore/attestation.ts'
import type { PredicateTypes } from '../../src/sigstore/attestation.ts'
import { verifyAttestation, verifyAttestationInTurns } from '../../src/sigstore/attestation.ts'
import type { SignatureEvidence } from '../../src/sigstore/evidence.ts'
import { termsOf, verifySignature } from '../../src/sigstore/signature.ts'
import type { Terms } from '../../src/sigstore/terms.ts'
import { readPublicKey } from '../../src/trust/key.ts'
import type { Reason } from '../../src/verdict/reason.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { fetched, keyless } from './demands.ts'

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
      assert.ok(typeof statement !== 'string', typeof statement === 'string' ? statement : '')
      assert.equal(statement.digest, digest)
      assert.deepEqual(statement.signer, { by: 'key', keyId: key.id })
      assert.equal(statement.statement.predicateType, PROVENANCE)
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
      'whose statement is no JSON',
      attestedEvidence([signer], digest, { payload: Buffer.from('hello') }),
      "invalid character 'h' looking for beginning of value",
    ],
    [
      'in a bundle, whose statement is no JSON',
      bundleEvidence(signBundle(signer, digest, { payload: Buffer.from('hello') })),
      "the bundle cannot be read: its statement: invalid character 'h' looking for beginning of value",
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
      assert.ok(typeof refusal === 'string')
      assert.equal(refusal, words)
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
    assert.ok(typeof statement !== 'string', typeof statement === 'string' ? statement : '')
    assert.equal(statement.until, to)
    for (const at of [from - 1, to + 1, undefined])
      assert.equal(verified(beside, digest, at), 'expected a signed timestamp to verify an expired certificate')
  })
})

describe('a keyless attestation', async () => {
  const sigstore = await Sigstore.create()
  const LATER = SIGNED_AT + 30 * 24 * 60 * 60 * 1000
  const attested = (form: 'annotations' | 'bundle', options: SignOptions = {}, about: Digest = digest): SignatureEvidence =>
    fetched(sigstore.attest({ digest: about, form, ...provenance, ...options }))
  const saidOf = (evidence: SignatureEvidence, types: PredicateTypes = [PROVENANCE]): string => {
    const answer = verifyAttestation(evidence, digest, keyless(sigstore), types, LATER)
    return answer.ok ? 'verified' : sentenceOf(answer.reason)
  }

  for (const form of ['annotations', 'bundle'] as const) {
    test(`${form}: stands, and says who attested when, and of which type it is`, () => {
      const answer = verifyAttestation(attested(form), digest, keyless(sigstore), 'any', LATER)
      assert.ok(answer.ok)
      const { signer: by, times, until, statement } = answer.statement
      assert.deepEqual([by.by, times, until, statement.predicateType], ['certificate', [SIGNED_AT + 1000], undefined, PROVENANCE])
    })
    test(`${form}: stands by a timestamp over ${form === 'bundle' ? 'its signature' : 'the whole envelope'}`, () => {
      const terms = keyless(sigstore, { log: 'ignored', time: 'required' })
      const evidence = attested(form, { log: 'none', timestamp: true })
      assert.equal(verifyAttestation(evidence, digest, terms, [PROVENANCE], LATER).ok, true)
    })
    test(`${form}: lesson 1: of another type than one that is wanted it is refused`, () => {
      assert.equal(saidOf(attested(form), ['https://spdx.dev/Document', PROVENANCE]), 'verified')
      const words = (wanted: string) =>
        `no matching attestations with type ${wanted}, checked the following predicateTypes: "https://slsa.dev/provenance/v1"`
      assert.equal(saidOf(attested(form), ['https://spdx.dev/Document']), words('https://spdx.dev/Document'))
      assert.equal(saidOf(attested(form), ['https://slsa.dev/provenance']), words('https://slsa.dev/provenance'))
      assert.equal(saidOf(attested(form), []), words(''))
    })
  }

  test('is refused in the specified words', () => {
    const UNTRIED = 'could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1'
    assert.equal(saidOf(attested('bundle', { broken: 'signature-by-another-key' })), `failed to verify signature: ${UNTRIED}`)
    assert.equal(
      saidOf(attested('annotations', { broken: 'signature-by-another-key' })),
      'accepted signatures do not match threshold, Found: 0, Expected 1',
    )
    const words = 'failed to verify signature: provided artifact digest does not match any digest in statement'
    assert.equal(saidOf(attested('bundle', {}, another)), words)
    assert.equal(saidOf(attested('annotations', {}, another)), 'no matching subject digest found')
    assert.equal(
      saidOf(attested('annotations', { broken: 'payload-type-other' })),
      'invalid payloadType application/json on envelope. Expected application/vnd.in-toto+json',
    )
    const { bundle } = sigstore.signBlob({ bytes: Buffer.from('an image') })
    assert.equal(saidOf(fetched({ bundle })), 'bundle does not contain a DSSE envelope')
  })

  test('lesson 1, lesson 2: no attestation signs an image, and no signature of an image attests to anything', () => {
    for (const form of ['annotations', 'bundle'] as const) {
      assert.equal(verifySignature(attested(form), digest, keyless(sigstore), LATER).ok, false)
      const signature = fetched(sigstore.signImage({ digest, form }))
      assert.notEqual(saidOf(signature), 'verified')
    }
  })

  test('lesson 39: a statement of some MiB is verified, one beyond the bound is refused', () => {
    const large = (bytes: number) =>
      fetched(sigstore.attest({ digest, form: 'bundle', predicateType: PROVENANCE, predicate: 'x'.repeat(bytes) }))
    assert.equal(saidOf(large(4 * 1024 * 1024)), 'verified')
    assert.match(saidOf(large(13 * 1024 * 1024)), /exceeded the limit/)
  })
})

test('lesson 2: what was not verified is no verified statement', () => {
  const claimed = { digest, signer: { by: 'key', keyId: key.id }, form: 'bundle', manifest: digest, layer: 0, until: undefined } as const
  // @ts-expect-error: only verifying makes one
  const statement: VerifiedStatement = { ...claimed, statement: { predicateType: PROVENANCE, subjects: [hexOf(digest)] } }
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

describe('a large attestation is judged as in one go, and others have their turn meanwhile', async () => {
  const large = { ...provenance, predicate: { text: 'x'.repeat(200_000) } }
  const sound = await Sigstore.create()
  const compared = async (evidence: SignatureEvidence, terms: Terms, about: Digest = digest) => {
    const inOneGo: Reason[] = []
    const inTurns: Reason[] = []
    let turns = 0
    const expected = verifyAttestation(evidence, about, terms, [PROVENANCE], SIGNED_AT, (step) => inOneGo.push(step))
    const answer = await verifyAttestationInTurns(
      evidence,
      about,
      terms,
      [PROVENANCE],
      SIGNED_AT,
      (step) => inTurns.push(step),
      async () => void turns++,
    )
    assert.deepEqual(answer, expected)
    assert.deepEqual(inTurns, inOneGo)
    return { answer, turns }
  }
  const said = ({ answer }: Awaited<ReturnType<typeof compared>>): string => (answer.ok ? 'verified' : answer.reason.code)

  for (const form of ['annotations', 'bundle'] as const) {
    test(`${form}: a good one stands, by key and by identity, with a log and with a timestamp`, async () => {
      const evidence = form === 'bundle' ? bundleEvidence(signBundle(signer, digest, large)) : attestedEvidence([signer], digest, large)
      const byKey = await compared(evidence, termsOf(key))
      assert.equal(said(byKey), 'verified')
      assert.ok(byKey.turns >= 3, `${byKey.turns} turns`)
      const attest = (options: SignOptions): SignatureEvidence => fetched(sound.attest({ digest, form, ...large, ...options }))
      assert.equal(said(await compared(attest({}), keyless(sound))), 'verified')
      const stamped = keyless(sound, { log: 'ignored', time: 'required' })
      assert.equal(said(await compared(attest({ log: 'none', timestamp: true }), stamped)), 'verified')
    })
    test(`${form}: its neighbours are refused: by another key, altered, about another image, without its log entry`, async () => {
      const by = (one: typeof signer): SignatureEvidence =>
        form === 'bundle' ? bundleEvidence(signBundle(one, digest, large)) : attestedEvidence([one], digest, large)
      assert.equal(said(await compared(by(other), termsOf(key))), 'signature-invalid')
      assert.equal(said(await compared(by(signer), termsOf(key), another)), 'statement-other-image')
      const evidence = by(signer)
      const bytes = Buffer.from((evidence.form === 'bundle' ? evidence.bytes : evidence.payload) as Uint8Array)
      // A letter in the middle of the payload.
      bytes[bytes.length >> 1] = bytes[bytes.length >> 1] === 0x41 ? 0x42 : 0x41
      const altered = evidence.form === 'bundle' ? { ...evidence, bytes } : { ...evidence, payload: bytes }
      assert.equal(said(await compared(altered, termsOf(key))), 'signature-invalid')
      const unlogged = fetched(sound.attest({ digest, form, ...large, log: 'none' }))
      assert.match(said(await compared(unlogged, keyless(sound))), /^log-/)
    })
    for (const row of faults.filter((one) => showsIn(one, form)))
      test(`${form}: ${row.fault}: is refused as in one go`, async () => {
        const isOfAuthority = authorityFaults.some(({ fault }) => fault === row.fault)
        const sigstore = await Sigstore.create(isOfAuthority ? { broken: row.fault as AuthorityFault } : {})
        const stamps = row.needs.timestamp === true
        const broken = isOfAuthority ? {} : { broken: row.fault as SigningFault }
        const log = stamps && row.needs.log === undefined ? 'none' : 'v1'
        const made = sigstore.attest({ digest, form, ...large, log, timestamp: stamps, ...broken })
        const terms = keyless(sigstore, log === 'none' ? { log: 'ignored', time: 'required' } : {})
        assert.notEqual(said(await compared(fetched(made), terms)), 'verified')
      })
  }

  test('one that would have to be searched for in a log is too large for that', async () => {
    const much = { ...large, predicate: { text: 'x'.repeat(1_500_000) } }
    const evidence = fetched(sound.attest({ digest, form: 'annotations', ...much, log: 'none' }))
    const { answer } = await compared(evidence, keyless(sound, { log: 'search' }))
    assert.ok(!answer.ok && answer.reason.code === 'log-search-failed')
    assert.equal(answer.search, undefined)
  })
})
