import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { RepositoryContent } from '../../e2e/fixtures.ts'
import { fixtureNames, readFixture } from '../../e2e/fixtures.ts'
import { certificateOf } from '../../fakes/certificates.ts'
import type { KeyType, OldOptions } from '../../fakes/signer.ts'
import { bundleEvidence, makePayload, makeSigner, oldEvidence, signBundle, signBytes, signOldForm } from '../../fakes/signer.ts'
import type { Digest } from '../../src/image/digest.ts'
import { digestOf, hexOf } from '../../src/image/digest.ts'
import { readManifest } from '../../src/image/manifest.ts'
import {
  CERTIFICATE_ANNOTATION,
  SIGNATURE_ANNOTATION,
  mayHoldSignature,
  referrerOf,
  signatureLayers,
} from '../../src/sigstore/annotations.ts'
import type { SignatureLayer } from '../../src/sigstore/annotations.ts'
import type { SignatureEvidence } from '../../src/sigstore/evidence.ts'
import type { Verification } from '../../src/sigstore/signature.ts'
import { verifySignature } from '../../src/sigstore/signature.ts'
import type { PublicKey } from '../../src/trust/key.ts'
import { readPublicKey } from '../../src/trust/key.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

const SIGNER = makeSigner()
const OTHER = makeSigner()
const DIGEST = digestOf(Buffer.from('an image'))
const OTHER_DIGEST = digestOf(Buffer.from('another image'))
const NOT_SIGNED = 'invalid signature when validating ASN.1 encoded signature'

function keyOf(pem: string, hash = ''): PublicKey {
  const read = readPublicKey(pem, hash)
  assert.ok(read.ok)
  return read.value
}

const KEY = keyOf(SIGNER.pem)

function verdict(verification: Verification): string {
  return verification.ok ? 'verified' : sentenceOf(verification.reason)
}

function old(options: OldOptions = {}, signer = SIGNER): SignatureEvidence & { form: 'annotations' } {
  return oldEvidence(signOldForm(signer, DIGEST, options))
}

test('a signature of the old form becomes a verified one, which says who signed what, and where it lay', () => {
  const evidence = oldEvidence(signOldForm(SIGNER, DIGEST, { optional: { env: 'prod' } }), 3)
  const got = verifySignature(evidence, DIGEST, KEY)
  assert.ok(got.ok)
  const { digest, signer, form, manifest, layer, annotations, until } = got.signature
  assert.deepEqual(
    { digest, signer, form, manifest, layer, annotations, until },
    {
      digest: DIGEST,
      signer: { by: 'key', keyId: KEY.id },
      form: 'annotations',
      manifest: evidence.manifest,
      layer: 3,
      annotations: { env: 'prod' },
      until: undefined,
    },
  )
})

test('a bundle becomes a verified signature too', () => {
  const got = verifySignature(bundleEvidence(signBundle(SIGNER, DIGEST)), DIGEST, KEY)
  assert.ok(got.ok)
  assert.deepEqual([got.signature.digest, got.signature.signer, got.signature.form], [DIGEST, { by: 'key', keyId: KEY.id }, 'bundle'])
})

test('a verified signature does not survive JSON: what is stored must be verified again', () => {
  const got = verifySignature(old(), DIGEST, KEY)
  assert.ok(got.ok)
  assert.notDeepEqual(JSON.parse(JSON.stringify(got.signature)), got.signature)
})

for (const type of ['p256', 'p384', 'p521', 'rsa2048', 'rsa4096', 'ed25519'] as const satisfies KeyType[]) {
  test(`what ${type} signed is verified in both forms, with its own key only`, () => {
    const signer = makeSigner(type)
    const key = keyOf(signer.pem)
    for (const evidence of [old({}, signer), bundleEvidence(signBundle(signer, DIGEST))]) {
      assert.equal(verdict(verifySignature(evidence, DIGEST, key)), 'verified')
      assert.equal(verifySignature(evidence, DIGEST, KEY).ok, false)
      assert.equal(verifySignature(evidence, OTHER_DIGEST, key).ok, false)
    }
  })
}

test('an old-form signature is verified with the digest of the policy, SHA-256 when it names none', () => {
  const signer = makeSigner('p384')
  assert.equal(verdict(verifySignature(old({ hash: 'sha384' }, signer), DIGEST, keyOf(signer.pem))), NOT_SIGNED)
  assert.equal(verdict(verifySignature(old({ hash: 'sha384' }, signer), DIGEST, keyOf(signer.pem, 'sha384'))), 'verified')
  assert.equal(verdict(verifySignature(old({ hash: 'sha256' }, signer), DIGEST, keyOf(signer.pem, 'sha384'))), NOT_SIGNED)
})

test('a signature by another key, over another payload or of another image is refused in the specified words', () => {
  assert.equal(verdict(verifySignature(old({}, OTHER), DIGEST, KEY)), NOT_SIGNED)
  assert.equal(verdict(verifySignature({ ...old(), payload: makePayload(DIGEST, 'elsewhere') }, DIGEST, KEY)), NOT_SIGNED)
  assert.equal(verdict(verifySignature(old(), OTHER_DIGEST, KEY)), `invalid or missing digest in claim: ${DIGEST}`)
  assert.equal(verdict(verifySignature(old({ payload: Buffer.from('{}') }), DIGEST, KEY)), 'invalid or missing digest in claim: ')
  assert.equal(
    verdict(verifySignature(old({ payload: makePayload(DIGEST.toUpperCase()) }), DIGEST, KEY)),
    `invalid or missing digest in claim: ${DIGEST.toUpperCase()}`,
  )
})

test('nothing of a payload is read before its signature stands', () => {
  const unread = { ...old(), payload: Buffer.from('hello') }
  assert.equal(verdict(verifySignature(unread, DIGEST, KEY)), NOT_SIGNED)
  assert.equal(
    verdict(verifySignature(old({ payload: Buffer.from('hello') }), DIGEST, KEY)),
    "invalid character 'h' looking for beginning of value",
  )
})

test('media type, type and docker-reference of a payload are not looked at, nor are a log entry or timestamp beside it', () => {
  const payload = Buffer.from(
    JSON.stringify({
      critical: { identity: { 'docker-reference': 'other.example/x' }, image: { 'docker-manifest-digest': DIGEST }, type: 'something' },
    }),
  )
  const evidence = old({ payload })
  const annotations = {
    ...evidence.annotations,
    'dev.sigstore.cosign/bundle': 'nonsense',
    'dev.sigstore.cosign/rfc3161timestamp': 'nonsense',
  }
  assert.equal(verdict(verifySignature({ ...evidence, annotations }, DIGEST, KEY)), 'verified')
})

const BASE64 = old().annotations[SIGNATURE_ANNOTATION] ?? ''
for (const [title, signature, words] of [
  ['with line breaks', BASE64.replace(/.{20}/g, '$&\r\n'), 'verified'],
  ['that is empty', '', 'ecdsa: Invalid IEEE_P1363 encoded bytes'],
  ['that is no base64', '!!! not base64 !!!', 'illegal base64 data at input byte 0'],
  ['with a letter of the URL alphabet', `${BASE64.slice(0, 30)}-${BASE64.slice(31)}`, 'illegal base64 data at input byte 30'],
  ['of 20 KiB', 'A'.repeat(20 * 1024), 'size of signature (20480) exceeded the limit (16384)'], // lesson 38
] as const) {
  test(`a signature annotation ${title}: ${words}`, () => {
    const evidence = { ...old(), payload: signOldFormPayload(), annotations: { [SIGNATURE_ANNOTATION]: signature } }
    assert.equal(verdict(verifySignature(evidence, DIGEST, KEY)), words)
  })
}

function signOldFormPayload(): Buffer {
  return makePayload(DIGEST)
}

test('a layer without the signature annotation is named by its digest', () => {
  const evidence = { ...old(), annotations: {} }
  const words = `signature layer ${digestOf(makePayload(DIGEST))} is missing "dev.cosignproject.cosign/signature" annotation`
  assert.equal(verdict(verifySignature(evidence, DIGEST, KEY)), words)
})

test('what could not be fetched is refused with the reason why', () => {
  const reason = {
    code: 'registry-absent',
    text: 'GET http://registry.example/v2/app/blobs/sha256:00: BLOB_UNKNOWN: Unknown blob',
  } as const
  assert.deepEqual(verifySignature({ ...old(), payload: reason }, DIGEST, KEY), { ok: false, reason })
  assert.deepEqual(verifySignature({ ...old(), payload: reason, annotations: {} }, DIGEST, KEY), { ok: false, reason })
  assert.deepEqual(verifySignature({ ...bundleEvidence({}), bytes: reason }, DIGEST, KEY), { ok: false, reason })
})

test('lesson 38: a payload of more than 1 MiB is refused before it is hashed', () => {
  const evidence = { ...old(), payload: Buffer.alloc(1024 * 1024 + 1) }
  assert.equal(verdict(verifySignature(evidence, DIGEST, KEY)), 'size of layer (1048577) exceeded the limit (1048576)')
})

// — lesson 18: key material comes only from the policy

test('lesson 18: a public key in the certificate annotation verifies nothing', () => {
  const evidence = old({ certificate: OTHER.pem }, OTHER)
  assert.equal(verdict(verifySignature(evidence, DIGEST, KEY)), NOT_SIGNED)
  assert.equal(verdict(verifySignature(old({ certificate: OTHER.pem }), DIGEST, KEY)), 'the certificate of the signature cannot be parsed')
})

test('lesson 18: neither the key hint nor the key id of a bundle chooses a key', () => {
  const foreign = signBundle(OTHER, DIGEST)
  const hint = signBundle(SIGNER, DIGEST).verificationMaterial
  assert.equal(verdict(verifySignature(bundleEvidence({ ...foreign, verificationMaterial: hint }), DIGEST, KEY)), NOT_SIGNED)
  const mine = signBundle(SIGNER, DIGEST, { verificationMaterial: { publicKey: { hint: 'somebody else' } } })
  assert.equal(verdict(verifySignature(bundleEvidence(mine), DIGEST, KEY)), 'verified')
})

test('lesson 18: a bundle that carries a certificate is none that was signed with a key', () => {
  for (const material of [{ certificate: { rawBytes: 'AAAA' } }, { certificate: { rawBytes: 'AAAA' }, publicKey: undefined }]) {
    const bundle = { ...signBundle(SIGNER, DIGEST), verificationMaterial: material }
    assert.equal(verdict(verifySignature(bundleEvidence(bundle), DIGEST, KEY)), 'the bundle was not signed with a key')
  }
})

test('a certificate beside a signature by key must be valid now, and the signature counts no longer than it', async () => {
  const [from, to] = [Date.parse('2026-01-15T12:00:00Z'), Date.parse('2026-01-15T12:10:00Z')]
  const evidence = old({ certificate: await certificateOf(from, to) })
  const expired = 'expected a signed timestamp to verify an expired certificate'
  assert.equal(verdict(verifySignature(evidence, DIGEST, KEY, from - 1000)), expired)
  const got = verifySignature(evidence, DIGEST, KEY, from)
  assert.ok(got.ok)
  assert.equal(got.signature.until, to)
  assert.equal(verdict(verifySignature(evidence, DIGEST, KEY, to)), 'verified')
  assert.equal(verdict(verifySignature(evidence, DIGEST, KEY, to + 1000)), expired)
  assert.equal(verdict(verifySignature(evidence, DIGEST, KEY)), expired)
  assert.equal(
    verdict(verifySignature({ ...evidence, annotations: { ...evidence.annotations, [CERTIFICATE_ANNOTATION]: '' } }, DIGEST, KEY)),
    'verified',
  )
})

// — bundles

for (const [title, bundle, words] of [
  ['of bundle version 0.1', signBundle(SIGNER, DIGEST, { mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1' }), 'verified'],
  ['with a statement v0.1', signBundle(SIGNER, DIGEST, { statementType: 'https://in-toto.io/Statement/v0.1' }), 'verified'],
  ['with several subjects', signBundle(SIGNER, DIGEST, { subjects: ['00', hexOf(DIGEST)] }), 'verified'],
  ['signed by another key', signBundle(OTHER, DIGEST), NOT_SIGNED],
  ['about another image', signBundle(SIGNER, OTHER_DIGEST), 'no matching subject digest found'],
  ['about nothing', signBundle(SIGNER, DIGEST, { subjects: [] }), 'no matching subject digest found'],
  [
    'of an attestation',
    signBundle(SIGNER, DIGEST, { predicateType: 'https://slsa.dev/provenance/v1' }),
    'the statement is a `https://slsa.dev/provenance/v1`, not an image signature',
  ], // lesson 1
  [
    'with another payload type',
    signBundle(SIGNER, DIGEST, { payloadType: 'text/plain' }),
    'invalid payloadType text/plain on envelope. Expected application/vnd.in-toto+json',
  ],
  [
    'with a payload that is no statement',
    signBundle(SIGNER, DIGEST, { payload: Buffer.from('hello') }),
    "the bundle cannot be read: its statement: invalid character 'h' looking for beginning of value",
  ],
  [
    'with a simple-signing payload',
    signBundle(SIGNER, DIGEST, { payload: makePayload(DIGEST) }),
    'the bundle cannot be read: its payload is not an in-toto statement v0.1 or v1',
  ],
] as const) {
  test(`a bundle ${title}: ${words}`, () => assert.equal(verdict(verifySignature(bundleEvidence(bundle), DIGEST, KEY)), words))
}

test('a bundle whose signature is over the bytes of the manifest is not an image signature', () => {
  const { mediaType, verificationMaterial } = signBundle(SIGNER, DIGEST)
  const messageDigest = { algorithm: 'SHA2_256', digest: Buffer.from(hexOf(DIGEST), 'hex').toString('base64') }
  const messageSignature = { messageDigest, signature: signBytes(SIGNER, Buffer.from('an image')).toString('base64') }
  const evidence = bundleEvidence({ mediaType, verificationMaterial, messageSignature })
  assert.equal(verdict(verifySignature(evidence, DIGEST, KEY)), 'the bundle signs bytes, not a statement about an image')
})

test('log entries of a bundle are not looked at where the policy asks for no log', () => {
  const tlogEntries = [
    { logId: { keyId: 'AAAA' }, kindVersion: { kind: 'x', version: 'y' }, inclusionProof: { checkpoint: { envelope: 'nonsense' } } },
  ]
  const bundle = signBundle(SIGNER, DIGEST, { verificationMaterial: { tlogEntries } })
  assert.equal(verdict(verifySignature(bundleEvidence(bundle), DIGEST, KEY)), 'verified')
})

test('no change of a byte of evidence makes it a signature of another image, or breaks anything', () => {
  const oldOne = old()
  const bundle = bundleEvidence(signBundle(SIGNER, DIGEST)).bytes
  assert.ok(bundle instanceof Uint8Array && oldOne.payload instanceof Uint8Array)
  const payload = oldOne.payload
  const edit = fc.record({ at: fc.nat(), byte: fc.nat(255) })
  const edited = (bytes: Uint8Array, edits: readonly { at: number; byte: number }[]): Buffer => {
    const copy = Buffer.from(bytes)
    for (const { at, byte } of edits) copy[at % copy.length] = byte
    return copy
  }
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      const changed = edited(payload, edits)
      const stillSame = changed.equals(payload)
      assert.equal(verifySignature({ ...oldOne, payload: changed }, DIGEST, KEY).ok, stillSame)
      assert.equal(verifySignature({ ...oldOne, payload: changed }, OTHER_DIGEST, KEY).ok, false)
      const evidence = { ...bundleEvidence({}), bytes: edited(bundle, edits) }
      assert.equal(verifySignature(evidence, OTHER_DIGEST, KEY).ok, false)
      assert.equal(typeof verifySignature(evidence, DIGEST, KEY).ok, 'boolean')
    }),
    { numRuns: 500 },
  )
})

test('whatever annotations and bytes are, verifying answers and never throws', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.uint8Array(), (signature, certificate, payload) => {
      const annotations = { [SIGNATURE_ANNOTATION]: signature, [CERTIFICATE_ANNOTATION]: certificate }
      assert.equal(verifySignature({ ...old(), annotations, payload }, DIGEST, KEY, 0).ok, false)
      assert.equal(verifySignature({ ...bundleEvidence({}), bytes: payload }, DIGEST, KEY).ok, false)
    }),
  )
})

// — what real cosign wrote: see made.json of each fixture for version and command

/** All that a repository holds about `digest`, by tag, referrers API and fallback tag. */
function evidenceIn({ tags, manifests, blobs, referrers }: RepositoryContent, digest: Digest): SignatureEvidence[] {
  const read = (of: string | undefined) => {
    const found = of === undefined ? undefined : manifests[of]
    const got = found && readManifest(Buffer.from(found.text), found.mediaType)
    return got?.ok ? got.value : undefined
  }
  const asEvidence = (manifest: Digest, layers: readonly SignatureLayer[]): SignatureEvidence[] =>
    layers.map(({ layer, payload, annotations }) => ({
      form: 'annotations',
      manifest,
      layer,
      annotations,
      payload: Buffer.from(blobs[payload.digest] ?? ''),
    }))
  const tagged = Object.entries(tags).flatMap(([tag, of]) => {
    const manifest = tag.endsWith(`sha256-${hexOf(digest)}.sig`) ? read(of) : undefined
    const layers = manifest && signatureLayers(manifest, tag)
    return layers?.ok ? asEvidence(of as Digest, layers.value) : []
  })
  const answer = referrers[digest]
  const api = answer === undefined ? undefined : readManifest(Buffer.from(answer), 'application/vnd.oci.image.index.v1+json')
  const lists = [read(tags[`sha256-${hexOf(digest)}`]), api?.ok ? api.value : undefined].filter((l) => l?.kind === 'index')
  const entries = lists.flatMap((l) => l.manifests).filter(mayHoldSignature)
  const referring = entries.flatMap((entry): SignatureEvidence[] => {
    const manifest = read(entry.digest)
    const held = manifest && referrerOf(manifest, digest)
    if (held?.holds === 'signatures') return asEvidence(entry.digest, held.layers)
    return held ? [{ form: 'bundle', manifest: entry.digest, layer: held.layer, bytes: Buffer.from(blobs[held.bundle.digest] ?? '') }] : []
  })
  return [...tagged, ...referring]
}

for (const name of fixtureNames()) {
  const fixture = readFixture(name)
  const digest = fixture.image.slice(fixture.image.indexOf('@') + 1) as Digest
  const evidence = Object.values(fixture.repositories).flatMap((repository) => evidenceIn(repository, digest))
  // In the old form cosign hashes by the curve too, while a policy means SHA-256 unless it names a digest.
  const hash = /-tag-p(384|521)$/.test(name) ? (fixture.kind === 'p384' ? 'sha384' : 'sha512') : ''

  test(`what cosign wrote in ${name} is verified with its key${hash === '' ? '' : ` and hashAlgorithm ${hash}`}, and with no other`, () => {
    const verified = (pem: string, of: Digest, named = ''): number =>
      evidence.filter((e) => verifySignature(e, of, keyOf(pem, named)).ok).length
    assert.equal(
      verified(fixture.key, digest, hash),
      name.endsWith('two-signatures') || name === 'both-forms' ? evidence.length - 1 : evidence.length,
    )
    assert.ok(evidence.length > 0)
    assert.equal(verified(fixture.key, OTHER_DIGEST, hash), 0)
    assert.equal(verified(makeSigner(fixture.kind).pem, digest, hash), 0)
    if (hash !== '') assert.equal(verified(fixture.key, digest), 0)
  })
}
