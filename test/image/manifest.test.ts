import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { digestOf } from '../../src/image/digest.ts'
import { MANIFEST_ACCEPT, readManifest } from '../../src/image/manifest.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const DIGEST = digestOf(Buffer.from('a layer'))
const LAYER = { mediaType: 'application/octet-stream', digest: DIGEST, size: 7 }

function read(document: unknown, mediaType: string | undefined = MANIFEST): ReturnType<typeof readManifest> {
  return readManifest(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)), mediaType)
}

function detailOf(answer: ReturnType<typeof readManifest>): string {
  return answer.ok ? 'read' : answer.detail
}

test('an image manifest tells its layers, annotations, subject and artifact type', () => {
  const got = read({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { ...LAYER, mediaType: 'application/vnd.dev.cosign.artifact.sig.v1+json' },
    layers: [{ ...LAYER, annotations: { a: 'b' } }],
    subject: LAYER,
    annotations: { c: 'd' },
  })
  assert.ok(got.ok && got.value.kind === 'manifest')
  assert.deepEqual(got.value.layers[0]?.annotations, { a: 'b' })
  assert.equal(got.value.subject?.digest, DIGEST)
  assert.deepEqual(got.value.annotations, { c: 'd' })
  // OCI 1.1: without an artifactType of its own, the config's media type is it.
  assert.equal(got.value.artifactType, 'application/vnd.dev.cosign.artifact.sig.v1+json')
})

test('an index tells its manifests with platform and artifact type', () => {
  const got = read(
    { mediaType: INDEX, manifests: [{ ...LAYER, artifactType: 'x/y', platform: { os: 'linux', architecture: 'arm', variant: 'v7' } }] },
    INDEX,
  )
  assert.ok(got.ok && got.value.kind === 'index')
  assert.deepEqual(got.value.manifests[0]?.platform, { os: 'linux', architecture: 'arm', variant: 'v7' })
  assert.equal(got.value.manifests[0]?.artifactType, 'x/y')
})

test('an entry of an index that is no descriptor by SHA-256 is left out and counted: it must not hide the others', () => {
  const got = read({ manifests: [{ ...LAYER, digest: `sha512:${'0'.repeat(128)}` }, 5, LAYER] }, INDEX)
  assert.ok(got.ok && got.value.kind === 'index')
  assert.deepEqual([got.value.manifests.length, got.value.unreadable], [1, 2])
})

for (const mediaType of MANIFEST_ACCEPT) {
  test(`${mediaType} is taken, with parameters and in any case`, () => {
    const body = /index|list/.test(mediaType) ? { manifests: [] } : { layers: [] }
    assert.equal(detailOf(read(body, `${mediaType.toUpperCase()}; charset=utf-8`)), 'read')
  })
}

test('layers of null are none', () => {
  const got = read({ layers: null })
  assert.ok(got.ok && got.value.kind === 'manifest')
  assert.deepEqual(got.value.layers, [])
})

test('a document under an unknown media type is read by what it says itself', () => {
  for (const [document, kind] of [
    [{ mediaType: INDEX, manifests: [] }, 'index'],
    [{ manifests: [] }, 'index'],
    [{ layers: [] }, 'manifest'],
    [{}, 'manifest'],
  ] as const) {
    const got = read(document, 'application/json')
    assert.ok(got.ok)
    assert.equal(got.value.kind, kind)
  }
})

// Two readers must never see two things in the same bytes.
for (const [title, document, mediaType] of [
  ['has both layers and manifests', { layers: [], manifests: [] }, MANIFEST],
  ['calls itself an index under the media type of an image', { mediaType: INDEX }, MANIFEST],
  ['calls itself an image under the media type of an index', { mediaType: MANIFEST }, INDEX],
  ['has a config under the media type of an index', { config: LAYER, manifests: [] }, INDEX],
] as const) {
  test(`a document that ${title} is refused`, () => {
    assert.equal(detailOf(read(document, mediaType)), 'the manifest can be read both as an image and as an index')
  })
}

for (const [document, detail] of [
  ['this is not json', "invalid character 'h' in literal true (expecting 'r')"],
  ['[]', 'the manifest is not an object'],
  [{ mediaType: 5 }, 'mediaType is not a text'],
  [{ layers: {} }, 'layers is not a list'],
  [{ layers: [{ ...LAYER, digest: 'sha256:short' }] }, 'layers[0] is not a descriptor by SHA-256'],
  [{ layers: [LAYER, { ...LAYER, size: -1 }] }, 'layers[1] is not a descriptor by SHA-256'],
  [{ layers: [{ ...LAYER, size: 1.5 }] }, 'layers[0] is not a descriptor by SHA-256'],
  [{ layers: [{ ...LAYER, annotations: { a: 1 } }] }, 'layers[0] is not a descriptor by SHA-256'],
  [{ layers: [], config: 'x' }, 'config is not a descriptor by SHA-256'],
  [{ subject: {} }, 'subject is not a descriptor by SHA-256'],
  [{ annotations: [] }, 'annotations are not texts by name'],
  [{ artifactType: 1 }, 'artifactType is not a text'],
  // lesson 37: endless signatures
  [{ layers: new Array(1001).fill(LAYER) }, 'number of layers (1001) exceeded the limit (1000)'],
  [{ annotations: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`a${i}`, ''])) }, 'annotations are not texts by name'],
] as const) {
  test(`a manifest is refused: ${detail}`, () => assert.equal(detailOf(read(document)), detail))
}

test('lesson 37: a thousand layers are read, 2500 entries of an index, and not one more', () => {
  assert.equal(detailOf(read({ layers: new Array(1000).fill(LAYER) })), 'read')
  assert.equal(detailOf(read({ manifests: new Array(2500).fill(LAYER) }, INDEX)), 'read')
  assert.equal(detailOf(read({ manifests: new Array(2501).fill(LAYER) }, INDEX)), 'number of manifests (2501) exceeded the limit (2500)')
})

test('lesson 40: what refers to an image is bounded as every manifest is: depth, number of values, annotations', () => {
  const nested = '['.repeat(40) + ']'.repeat(40)
  assert.match(detailOf(read(`{"layers":[],"x":${nested}}`)), /depth/)
  const many = `[${new Array(50_001).fill('0').join(',')}]`
  assert.match(detailOf(read(`{"layers":[],"x":${many}}`)), /50000/)
  const annotations = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`a${i}`, '']))
  assert.equal(detailOf(read({ layers: [{ ...LAYER, annotations }] })), 'layers[0] is not a descriptor by SHA-256')
  assert.equal(detailOf(read({ layers: [], subject: { ...LAYER, annotations } })), 'subject is not a descriptor by SHA-256')
})

test('lesson 38: a manifest of more than 4 MiB is refused', () => {
  assert.equal(detailOf(read(' '.repeat(4 * 1024 * 1024 + 1))), 'size of document (4194305) exceeded the limit (4194304)')
})

test('whatever the bytes are, reading answers and never throws', () => {
  const named = fc.record(
    {
      mediaType: fc.constantFrom(MANIFEST, INDEX, '', 5),
      layers: fc.array(fc.jsonValue()),
      manifests: fc.array(fc.jsonValue()),
      config: fc.jsonValue(),
      subject: fc.jsonValue(),
      annotations: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(
      fc.oneof(named, fc.jsonValue()),
      fc.constantFrom(MANIFEST, INDEX, undefined),
      (document, type) => typeof read(document, type).ok === 'boolean',
    ),
  )
  fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof readManifest(bytes, undefined).ok === 'boolean'))
})
