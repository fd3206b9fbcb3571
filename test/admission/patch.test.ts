import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PatchOperation } from '../../src/admission/patch.ts'
import { differenceOf, patchOf } from '../../src/admission/patch.ts'
import type { WorkloadImage } from '../../src/admission/workload.ts'
import type { Digest } from '../../src/image/digest.ts'
import type { Json } from '../../src/image/json.ts'
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
  ['localhost/ab', 'localhost:443/ab:latest', 'localhost:443/ab'],
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

for (const [before, after, operations] of [
  [{ a: 1 }, { a: 1 }, []],
  [{}, { a: { b: null } }, [{ op: 'add', path: '/a', value: { b: null } }]],
  [{ a: 1, b: 2 }, { b: 2 }, [{ op: 'remove', path: '/a' }]],
  [
    { a: [{ b: 1 }] },
    { a: [{ b: 2, c: '' }] },
    [
      { op: 'replace', path: '/a/0/b', value: 2 },
      { op: 'add', path: '/a/0/c', value: '' },
    ],
  ],
  [{ a: [1] }, { a: [1, 2] }, [{ op: 'replace', path: '/a', value: [1, 2] }]],
  [{ a: [] }, { a: {} }, [{ op: 'replace', path: '/a', value: {} }]],
  [{ a: null }, { a: '' }, [{ op: 'replace', path: '/a', value: '' }]],
  [{}, { 'a/b~c': 1 }, [{ op: 'add', path: '/a~1b~0c', value: 1 }]],
] as const satisfies readonly (readonly [Json, Json, readonly PatchOperation[]])[]) {
  test(`${JSON.stringify(after)} is made of ${JSON.stringify(before)} by ${operations.length} operations`, () => {
    assert.deepEqual(differenceOf(before, after), operations)
  })
}

test('whatever two objects are, the difference makes one of the other', () => {
  const object = fc.dictionary(fc.string({ maxLength: 2 }), fc.jsonValue({ maxDepth: 3 }), { noNullPrototype: true })
  fc.assert(
    fc.property(object, object, (before, after) => {
      const made = differenceOf(before as Json, after as Json).reduce<unknown>(applied, structuredClone(before))
      assert.equal(JSON.stringify(ordered(made)), JSON.stringify(ordered(after)))
    }),
  )
})

/** RFC 6902, for members and elements that are there. */
function applied(document: unknown, operation: PatchOperation): unknown {
  const keys = operation.path
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
  const last = keys.pop()
  if (last === undefined) return operation.op === 'remove' ? undefined : operation.value
  let holder = document as Record<string, unknown>
  for (const key of keys) holder = holder[key] as Record<string, unknown>
  if (operation.op === 'remove') delete holder[last]
  else Object.defineProperty(holder, last, { value: operation.value, enumerable: true, configurable: true, writable: true })
  return document
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .map(([k, v]) => [k, ordered(v)])
    .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))
}
