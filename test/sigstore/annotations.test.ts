import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pushed } from '../../fakes/signer.ts'
import { bundleReferrer, makeSigner, signBundle, signOldForm, signatureManifest, signatureReferrer } from '../../fakes/signer.ts'
import { digestOf } from '../../src/image/digest.ts'
import type { Descriptor, ImageIndex, ImageManifest } from '../../src/image/manifest.ts'
import { readManifest } from '../../src/image/manifest.ts'
import { SIGNATURE_ANNOTATION, mayHoldSignature, referrerOf, signatureLayers } from '../../src/sigstore/annotations.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

const SIGNER = makeSigner()
const IMAGE = { digest: digestOf(Buffer.from('an image')), size: 8, mediaType: 'application/vnd.oci.image.manifest.v1+json' }
const OTHER = digestOf(Buffer.from('another image'))
const SIGNATURE = signOldForm(SIGNER, IMAGE.digest)

function read({ manifest }: Pushed): ImageManifest | ImageIndex {
  const got = readManifest(manifest.bytes, manifest.mediaType)
  assert.ok(got.ok)
  return got.value
}

function entry(artifactType: string | undefined): Descriptor {
  return { ...IMAGE, artifactType, annotations: {}, platform: undefined }
}

test('every layer under a .sig tag is a signature, in order', () => {
  const second = signOldForm(makeSigner(), IMAGE.digest)
  const got = signatureLayers(read(signatureManifest(IMAGE.digest, [SIGNATURE, second])), 'registry.example/app:tag')
  assert.ok(got.ok)
  assert.deepEqual(
    got.value.map((l) => [l.layer, l.payload.digest, l.annotations[SIGNATURE_ANNOTATION]]),
    [SIGNATURE, second].map((s, i) => [i, digestOf(s.payload), s.annotations[SIGNATURE_ANNOTATION]]),
  )
})

test('a .sig tag without layers holds no signatures', () => {
  assert.deepEqual(signatureLayers(read(signatureManifest(IMAGE.digest, [])), ''), { ok: true, value: [] })
})

test('a .sig tag that holds an index is refused, whatever the index points to', () => {
  const index = readManifest(Buffer.from('{"manifests":[]}'), 'application/vnd.oci.image.index.v1+json')
  assert.ok(index.ok)
  const got = signatureLayers(index.value, 'registry.example/app:sha256-00.sig')
  assert.ok(!got.ok)
  assert.equal(sentenceOf(got.reason), 'no child with platform linux/amd64 in index registry.example/app:sha256-00.sig')
})

for (const [artifactType, worth] of [
  ['application/vnd.dev.sigstore.bundle.v0.3+json', true],
  ['application/vnd.dev.sigstore.bundle+json;version=0.2', true],
  ['application/vnd.dev.cosign.artifact.sig.v1+json', true],
  ['application/vnd.oci.empty.v1+json', true], // what go-containerregistry writes into the fallback tag for a bundle
  [undefined, true],
  ['application/spdx+json', false],
  ['application/vnd.in-toto+json', false],
] as const) {
  test(`a referrer of the type ${artifactType} is ${worth ? '' : 'not '}fetched`, () =>
    assert.equal(mayHoldSignature(entry(artifactType)), worth))
}

test('a referrer of the image with one layer of a bundle’s type holds a bundle', () => {
  const pushed = bundleReferrer(IMAGE, signBundle(SIGNER, IMAGE.digest))
  const got = referrerOf(read(pushed), IMAGE.digest)
  assert.ok(got?.holds === 'bundle')
  assert.equal(got.bundle.digest, pushed.blobs[1]?.digest)
  assert.equal(got.predicateType, 'https://sigstore.dev/cosign/sign/v1')
})

test('a referrer of the image of cosign’s signature type holds signatures of the old form', () => {
  const got = referrerOf(read(signatureReferrer(IMAGE, [SIGNATURE])), IMAGE.digest)
  assert.ok(got?.holds === 'signatures')
  assert.deepEqual(got.layers[0]?.annotations, SIGNATURE.annotations)
})

test('lesson 5: what refers to another image, or to none, is not this image’s', () => {
  const bundle = bundleReferrer(IMAGE, signBundle(SIGNER, IMAGE.digest))
  const old = signatureReferrer(IMAGE, [SIGNATURE])
  for (const pushed of [bundle, old]) assert.equal(referrerOf(read(pushed), OTHER), undefined)
  assert.equal(referrerOf(read(signatureManifest(IMAGE.digest, [SIGNATURE])), IMAGE.digest), undefined)
})

test('a referrer that is neither a bundle nor a signature is not evidence', () => {
  const manifest = read(bundleReferrer(IMAGE, signBundle(SIGNER, IMAGE.digest)))
  assert.ok(manifest.kind === 'manifest')
  const [layer] = manifest.layers
  assert.ok(layer)
  assert.equal(referrerOf({ ...manifest, layers: [{ ...layer, mediaType: 'application/spdx+json' }] }, IMAGE.digest), undefined)
  assert.equal(referrerOf({ ...manifest, layers: [layer, layer] }, IMAGE.digest), undefined)
})
