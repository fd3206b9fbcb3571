import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { test } from 'node:test'
import {
  BUNDLE_V03_TYPE,
  bundleReferrer,
  makePayload,
  makeSigner,
  signBundle,
  signOldForm,
  signatureManifest,
  signatureReferrer,
  signerOf,
} from '../../fakes/signer.ts'
import { digestOf, hexOf } from '../../src/image/digest.ts'

const DIGEST = digestOf(Buffer.from('an image'))
const IMAGE = { digest: DIGEST, size: 8, mediaType: 'application/vnd.oci.image.manifest.v1+json' }
const SIGNER = makeSigner()

test('a payload has the bytes that cosign 2 writes', () => {
  assert.equal(
    makePayload(DIGEST, 'registry.example/app').toString(),
    `{"critical":{"identity":{"docker-reference":"registry.example/app"},"image":{"docker-manifest-digest":"${DIGEST}"},"type":"cosign container image signature"},"optional":null}`,
  )
})

test('a bundle’s statement has the bytes that cosign 3 writes', () => {
  const { dsseEnvelope, mediaType } = signBundle(SIGNER, DIGEST)
  assert.equal(mediaType, BUNDLE_V03_TYPE)
  assert.equal(
    Buffer.from(dsseEnvelope.payload, 'base64').toString(),
    `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"${hexOf(DIGEST)}"},"annotations":{}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`,
  )
})

test('a signature manifest lies under the tag that names the image’s digest, behind the prefix', () => {
  const { tag, blobs } = signatureManifest(DIGEST, [signOldForm(SIGNER, DIGEST)], 'v1-')
  assert.equal(tag, `v1-sha256-${hexOf(DIGEST)}.sig`)
  assert.equal(blobs.length, 2)
})

test('referrers name the image as their subject and have no tag', () => {
  for (const pushed of [signatureReferrer(IMAGE, [signOldForm(SIGNER, DIGEST)]), bundleReferrer(IMAGE, signBundle(SIGNER, DIGEST))]) {
    assert.equal(pushed.tag, undefined)
    assert.deepEqual((JSON.parse(pushed.manifest.bytes.toString()) as { subject: unknown }).subject, IMAGE)
    for (const { bytes, digest } of [pushed.manifest, ...pushed.blobs]) assert.equal(digestOf(bytes), digest)
  }
})

test('a signer can be made again from its private key', () => {
  const pem = SIGNER.privateKey.export({ format: 'pem', type: 'pkcs8' })
  assert.equal(signerOf('p256', createPrivateKey(pem)).pem, SIGNER.pem)
})
