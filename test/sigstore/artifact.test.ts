import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { makeSigner } from '../../fakes/signer.ts'
import { DEFAULT_SUBJECT } from '../../fakes/sigstore/authority.ts'
import type { SignOptions } from '../../fakes/sigstore/sigstore.ts'
import { SIGNED_AT, Sigstore } from '../../fakes/sigstore/sigstore.ts'
import type { Artifact, VerifiedArtifact } from '../../src/sigstore/artifact.ts'
import { verifyArtifactBundle } from '../../src/sigstore/artifact.ts'
import type { Terms } from '../../src/sigstore/terms.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { byKey, keyOf, keyless } from './demands.ts'

const sigstore = await Sigstore.create()
const bytes = Buffer.from('a file')
const digest = createHash('sha256').update(bytes).digest('hex')
const LATER = SIGNED_AT + 30 * 24 * 60 * 60 * 1000
const other = Buffer.from('another file')
const otherDigest = createHash('sha256').update(other).digest('hex')

function encoded(bundle: object): Buffer {
  return Buffer.from(JSON.stringify(bundle))
}

function signed(options: SignOptions = {}): Buffer {
  return encoded(sigstore.signBlob({ bytes, ...options }).bundle)
}

function attested(options: SignOptions = {}): Buffer {
  const about = { digest: `sha256:${digest}`, form: 'bundle', predicateType: 'https://slsa.dev/provenance/v1', predicate: {} } as const
  return encoded(sigstore.attest({ ...about, ...options }).bundle)
}

function said(bundle: Buffer, artifact: Artifact, terms: Terms = keyless(sigstore)): string {
  const answer = verifyArtifactBundle(bundle, artifact, terms, LATER)
  return answer.ok ? 'verified' : sentenceOf(answer.reason)
}

for (const version of ['0.1', '0.2', '0.3'] as const) {
  test(`a bundle ${version} over a file, or with a statement about it, says who signed it and when`, () => {
    for (const bundle of [signed({ version }), attested({ version })]) {
      const answer = verifyArtifactBundle(bundle, { digest, bytes }, keyless(sigstore), LATER)
      assert.ok(answer.ok, answer.ok ? '' : sentenceOf(answer.reason))
      const { signer, times, digest: of } = answer.value
      assert.deepEqual([signer.by === 'certificate' && signer.subjects, times, of], [[DEFAULT_SUBJECT], [SIGNED_AT + 1000], digest])
    }
  })
}

describe('another file is refused', () => {
  for (const [what, artifact] of [
    ['with its bytes', { digest: otherDigest, bytes: other }],
    ['by its digest', { digest: otherDigest }],
  ] as const) {
    test(what, () => {
      assert.notEqual(said(signed(), artifact), 'verified')
      const words = 'failed to verify signature: provided artifact digest does not match any digest in statement'
      assert.equal(said(attested(), artifact), words)
    })
  }
})

describe('a digest may stand for the file where the key hashes with SHA-256', () => {
  for (const keyType of ['p256', 'rsa2048'] as const)
    test(keyType, () => {
      assert.equal(said(signed({ signer: { keyType } }), { digest }), 'verified')
      assert.equal(
        said(signed({ signer: { keyType }, broken: 'signature-by-another-key' }), { digest }),
        'failed to verify signature: could not verify message: invalid signature',
      )
    })
  for (const keyType of ['p384', 'p521', 'ed25519'] as const)
    test(`and not for ${keyType}`, () => {
      const needed = 'the key signs the artifact itself, and only its digest was given'
      const terms = keyless(sigstore, { log: 'ignored', time: 'required' })
      const bundle = signed({ signer: { keyType }, log: 'none', timestamp: true })
      assert.equal(said(bundle, { digest }, terms), needed)
      assert.equal(said(bundle, { digest, bytes }, terms), 'verified')
    })
})

for (const type of ['p256', 'p384', 'p521', 'rsa2048', 'ed25519'] as const)
  test(`by a key of type ${type}, and by no other`, () => {
    const signer = makeSigner(type)
    const terms = byKey(sigstore, keyOf(signer.pem), { log: 'ignored' })
    for (const bundle of [signed({ signer, log: 'none' }), attested({ signer, log: 'none' })]) {
      assert.equal(said(bundle, { digest, bytes }, terms), 'verified')
      assert.notEqual(said(bundle, { digest, bytes }, byKey(sigstore, keyOf(makeSigner(type).pem), { log: 'ignored' })), 'verified')
    }
    assert.equal(said(signed(), { digest, bytes }, terms), 'the bundle was not signed with a key')
  })

test('a digest beside the signature that is not that of the file is refused, although nobody signed it', () => {
  const { bundle } = sigstore.signBlob({ bytes })
  const OTHER = 'provided artifact digest does not match digest in message signature'
  const with384 = (of: Buffer) => ({ algorithm: 'SHA2_384', digest: createHash('sha384').update(of).digest('base64') })
  for (const [messageDigest, words] of [
    [{ algorithm: 'SHA2_256', digest: Buffer.from(otherDigest, 'hex').toString('base64') }, `failed to verify signature: ${OTHER}`],
    [with384(other), `failed to verify signature: ${OTHER}`],
    [with384(bytes), 'verified'],
    [
      { algorithm: null, digest: 'AAAA' },
      'failed to verify signature: the algorithm of the digest in message signature is not one of SHA2_256, SHA2_384, SHA2_512',
    ],
  ] as const) {
    const mixed = encoded({ ...bundle, messageSignature: { ...bundle.messageSignature, messageDigest } })
    assert.equal(said(mixed, { digest, bytes }), words)
  }
})

test('what was not verified is no verified artifact', () => {
  const claimed = { digest, signer: { by: 'key', keyId: '' }, times: [], until: undefined, statement: undefined } as const
  // @ts-expect-error: only verifying makes one
  const artifact: VerifiedArtifact = claimed
  assert.equal(Object.getOwnPropertySymbols(artifact).length, 0)
})

test('whatever the bytes are, verifying answers and never throws', () => {
  const good = signed()
  const changed = fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => Uint8Array.from(good).fill(byte, at, at + 1))
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array(), changed),
      (bundle) => typeof verifyArtifactBundle(bundle, { digest, bytes }, keyless(sigstore), LATER).ok === 'boolean',
    ),
    { numRuns: 200 },
  )
})
