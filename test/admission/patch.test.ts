import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patchOf } from '../../src/admission/patch.ts'
import type { WorkloadImage } from '../../src/admission/workload.ts'
import type { Digest } from '../../src/image/digest.ts'
import type { Reference } from '../../src/image/reference.ts'
import { readReference, withDigest } from '../../src/image/reference.ts'

const D: Digest = `sha256:${'3'.repeat(64)}`

function imagesOf(...written: string[]): readonly WorkloadImage[] {
  return written.map((w, i) => ({ written: w, path: `spec.containers[${i}].image`, pointer: `/spec/containers/${i}/image` }))
}

function resolved(...written: string[]): ReadonlyMap<string, Reference & { readonly digest: Digest }> {
  return new Map(written.map((w) => [w, withDigest(readReference(w)!, D)]))
}

for (const [written, keepTag, digestOnly] of [
  ['busybox', 'index.docker.io/library/busybox:latest', 'index.docker.io/library/busybox'],
  ['docker.io/a/b:1', 'index.docker.io/a/b:1', 'index.docker.io/a/b'],
  ['ghcr.io/a/b', 'ghcr.io/a/b:latest', 'ghcr.io/a/b'],
  ['ghcr.io/a/b:v1', 'ghcr.io/a/b:v1', 'ghcr.io/a/b'],
  ['GHCR.io:443/a/b:v1', 'ghcr.io/a/b:v1', 'ghcr.io/a/b'],
  ['registry.local:5000/a/b', 'registry.local:5000/a/b:latest', 'registry.local:5000/a/b'],
  ['localhost/ab', 'index.docker.io/localhost/ab:latest', 'index.docker.io/localhost/ab'],
] as const) {
  test(`${written} is pinned as ${keepTag}@sha256:…, with digest-only as ${digestOnly}@sha256:…`, () => {
    const pinned = (how: 'keep-tag' | 'digest-only') => patchOf(imagesOf(written), resolved(written), how)
    assert.deepEqual(pinned('keep-tag'), [{ op: 'replace', path: '/spec/containers/0/image', value: `${keepTag}@${D}` }])
    assert.deepEqual(pinned('digest-only'), [{ op: 'replace', path: '/spec/containers/0/image', value: `${digestOnly}@${D}` }])
  })
}

test('what a patch writes reads as the image that was asked for', () => {
  for (const written of ['busybox', 'GHCR.io./a/b:v1', 'localhost:443/a/b', '[0::1]:5000/a/b:x']) {
    for (const how of ['keep-tag', 'digest-only'] as const) {
      const [operation] = patchOf(imagesOf(written), resolved(written), how)
      assert.equal(readReference(operation!.value)?.name, withDigest(readReference(written)!, D).name)
    }
  }
})

test('an image whose tag was not resolved stays as it is', () => {
  assert.deepEqual(
    patchOf(imagesOf('busybox', 'alpine', 'not a reference'), resolved('alpine'), 'keep-tag').map((o) => o.path),
    ['/spec/containers/1/image'],
  )
})

test('an image that is named by digest stays exactly as written, with its tag and in its spelling', () => {
  const written = `GHCR.io/a/b:v1@${D}`
  assert.deepEqual(patchOf(imagesOf(written), resolved(written), 'digest-only'), [])
})

test('every container with the same tag is pinned, in the order of the object', () => {
  assert.deepEqual(
    patchOf(imagesOf('busybox', 'alpine', 'busybox'), resolved('busybox', 'alpine'), 'keep-tag').map((o) => o.path),
    ['/spec/containers/0/image', '/spec/containers/1/image', '/spec/containers/2/image'],
  )
})
