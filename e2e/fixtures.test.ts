import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import test from 'node:test'
import { fixtureNames, readFixture, type Fixture } from './fixtures.ts'
import { digestOf } from './registry.ts'

/** The hash that both versions take for a kind of key, whatever a policy's `hashAlgorithm` says. */
const HASHES: Readonly<Record<Fixture['kind'], string>> = {
  p256: 'sha256',
  p384: 'sha384',
  p521: 'sha512',
  rsa2048: 'sha256',
  ed25519: 'sha512',
}

// The fixtures are checked without any code of the product, so that a wrong fixture cannot agree with wrong code.
for (const name of fixtureNames()) {
  const fixture = readFixture(name)

  test(`${name}: everything has the digest that it is kept under`, () => {
    for (const content of Object.values(fixture.repositories)) {
      for (const [digest, { text }] of Object.entries(content.manifests)) assert.equal(digestOf(text), digest)
      for (const [digest, text] of Object.entries(content.blobs)) assert.equal(digestOf(text), digest)
    }
  })

  const signatures = [...annotations(fixture), ...bundles(fixture)]
  const key = createPublicKey(fixture.key)

  // Both versions sign with Ed25519 keys as Ed25519ph (RFC 8032 § 5.1: SHA-512 first), which node:crypto does not verify.
  if (fixture.kind === 'ed25519')
    test(`${name}: the signature is Ed25519ph, not Ed25519`, () => {
      assert.ok(signatures.every(({ signed, signature }) => signature.length === 64 && !verify(null, signed, key, signature)))
    })
  else
    test(`${name}: cosign.pub verifies a signature over the image's digest, with ${HASHES[fixture.kind]}`, () => {
      const good = signatures.filter(({ signed, signature }) => verify(HASHES[fixture.kind], signed, key, signature))
      assert.ok(good.some(({ says }) => fixture.image.endsWith(`@${says}`)))
    })
}

type Signature = { signed: Buffer; signature: Buffer; says: string }
type Layer = { mediaType: string; digest: string; annotations?: Record<string, string> }

function* layers(fixture: Fixture): Generator<Layer & { blob: string }> {
  for (const { manifests, blobs } of Object.values(fixture.repositories))
    for (const { text } of Object.values(manifests))
      for (const layer of (JSON.parse(text) as { layers?: Layer[] }).layers ?? []) yield { ...layer, blob: blobs[layer.digest] ?? '' }
}

function* annotations(fixture: Fixture): Generator<Signature> {
  for (const { blob, annotations } of layers(fixture)) {
    const signature = annotations?.['dev.cosignproject.cosign/signature']
    if (signature === undefined) continue
    const says = (JSON.parse(blob) as { critical: { image: { 'docker-manifest-digest': string } } }).critical.image[
      'docker-manifest-digest'
    ]
    yield { signed: Buffer.from(blob), signature: Buffer.from(signature, 'base64'), says }
  }
}

function* bundles(fixture: Fixture): Generator<Signature> {
  for (const { mediaType, blob } of layers(fixture)) {
    if (mediaType !== 'application/vnd.dev.sigstore.bundle.v0.3+json') continue
    const { payload, payloadType, signatures } = (
      JSON.parse(blob) as { dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string }[] } }
    ).dsseEnvelope
    const statement = Buffer.from(payload, 'base64')
    const signed = Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${statement.length} `), statement])
    const { subject } = JSON.parse(statement.toString()) as { subject: { digest: { sha256: string } }[] }
    for (const { sig } of signatures) yield { signed, signature: Buffer.from(sig, 'base64'), says: `sha256:${subject[0]?.digest.sha256}` }
  }
}
