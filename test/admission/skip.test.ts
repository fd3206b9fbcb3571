import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { workloadKinds } from '../../src/admission/kind.ts'
import type { WorkloadKind } from '../../src/admission/kind.ts'
import type { Review } from '../../src/admission/review.ts'
import { whySkipped } from '../../src/admission/skip.ts'
import type { Json, JsonObject } from '../../src/image/json.ts'

const kindNamed = (kind: string): WorkloadKind => workloadKinds.find((k) => k.kind === kind)!
const scalable = workloadKinds.filter((k) => k.scalable)

type Parts = { replicas?: Json; podSpec?: JsonObject; template?: JsonObject; metadata?: JsonObject }

/** An object of the kind; `template` adds to the pod template beside its spec. */
function objectOf(
  kind: WorkloadKind,
  { replicas, podSpec = { containers: [{ name: 'c', image: 'a/b:1' }] }, template = {}, metadata = {} }: Parts,
): JsonObject {
  if (kind.podSpec.length === 1) return { metadata, spec: podSpec }
  const filled = { spec: { ...(replicas === undefined ? {} : { replicas }), template: { ...template, spec: podSpec } } }
  return { metadata, ...(kind.kind === 'CronJob' ? { spec: { jobTemplate: filled } } : filled) }
}

function updating(kind: WorkloadKind, object: Parts, oldObject: Parts | null): Review {
  return {
    uid: 'u',
    kind,
    operation: 'UPDATE',
    subResource: '',
    namespace: 'demo',
    name: 'app',
    user: 'admin',
    object: objectOf(kind, object),
    oldObject: oldObject && objectOf(kind, oldObject),
  }
}

const isSkipped = (review: Review, recheckUnchanged = true): boolean => whySkipped(review, { recheckUnchanged }) !== undefined
const other = { containers: [{ name: 'c', image: 'evil/b:1' }] }
const container = { name: 'c', image: 'a/b:1' }
/** Pod specs whose images are not those of the default one. */
const changed: readonly JsonObject[] = [
  other,
  { containers: [container, { name: 'd', image: 'a/b:1' }] },
  { containers: [container], initContainers: [{ name: 'i', image: 'a/b:1' }] },
  { containers: [container], ephemeralContainers: [{ name: 'e', image: 'a/b:1' }] },
  { containers: [container], volumes: [{ name: 'v', image: { reference: 'a/b:1' } }] },
  { initContainers: [container] },
  {},
  { containers: 'x' },
]

for (const [operation, skipped] of [
  ['CREATE', false],
  ['UPDATE', false],
  ['DELETE', true],
  ['CONNECT', true],
  ['', true],
] as const) {
  test(`${operation || 'an unnamed operation'} ${skipped ? 'runs no image, so it is not judged' : 'is judged'}`, () => {
    for (const kind of workloadKinds) assert.equal(isSkipped({ ...updating(kind, {}, {}), operation }), skipped)
  })
}

for (const [subResource, skipped] of [
  ['status', true],
  ['', false],
  ['ephemeralcontainers', false],
  ['resize', false],
  ['scale', false],
  ['binding', false],
  ['exec', false],
  ['Status', false],
] as const) {
  test(`an update of ${subResource === '' ? 'the object itself' : `the subresource ${subResource}`} is ${skipped ? 'not ' : ''}judged (lessons 27, 29)`, () => {
    assert.equal(isSkipped({ ...updating(kindNamed('Pod'), {}, {}), subResource }), skipped)
  })
}

test('a creation under the name of the status subresource is judged', () => {
  assert.equal(isSkipped({ ...updating(kindNamed('Pod'), {}, null), operation: 'CREATE', subResource: 'status' }), false)
})

test('an update that changes no image is judged all the same: policies may have come since', () => {
  for (const kind of workloadKinds) assert.equal(isSkipped(updating(kind, { metadata: { labels: { a: 'b' } } }, {})), false)
})

for (const kind of scalable) {
  for (const [object, oldObject, skipped, what] of [
    [{ replicas: 1 }, { replicas: 3 }, true, 'from 3 to 1'],
    [{ replicas: 0 }, { replicas: 3 }, true, 'from 3 to 0'],
    [{ replicas: 1, metadata: { labels: { a: 'b' } } }, { replicas: 3 }, true, 'from 3 to 1 with other labels of its own'],
    [{ replicas: 1, podSpec: other }, { replicas: 3 }, false, 'from 3 to 1 with another image (lesson 15)'],
    [
      { replicas: 1, template: { metadata: { labels: { a: 'b' } } } },
      { replicas: 3 },
      false,
      'from 3 to 1 with another template (lesson 15)',
    ],
    [
      { replicas: 1, podSpec: { containers: [{ name: 'c', image: 'a/b:1' }], initContainers: [] } },
      { replicas: 3 },
      false,
      'from 3 to 1 with one more field in the pod spec (lesson 15)',
    ],
    [{ replicas: 3 }, { replicas: 3 }, false, 'from 3 to 3'],
    [{ replicas: 3 }, { replicas: 1 }, false, 'from 1 to 3'],
    [{ replicas: 1 }, { replicas: 0 }, false, 'from 0 to 1 (lesson 14)'],
    [{ replicas: 1 }, {}, false, 'to 1 from a number that is not there'],
    [{}, { replicas: 3 }, false, 'from 3 to a number that is not there'],
    [{ replicas: null }, { replicas: 3 }, false, 'from 3 to null'],
    [{ replicas: '1' }, { replicas: '3' }, false, 'between texts'],
    [{ replicas: 1 }, null, false, 'to 1 without an old object'],
  ] as const) {
    test(`a ${kind.kind} scaled ${what} is ${skipped ? 'not ' : ''}judged`, () =>
      assert.equal(isSkipped(updating(kind, object, oldObject)), skipped))
  }
}

for (const kind of workloadKinds.filter((k) => !k.scalable)) {
  test(`a ${kind.kind} (${kind.version}) has no replicas that could shrink`, () =>
    assert.equal(isSkipped(updating(kind, { replicas: 1 }, { replicas: 3 })), false))
}

test('scaling down without any template is judged', () => {
  const kind = kindNamed('Deployment')
  const review = { ...updating(kind, {}, {}), object: { spec: { replicas: 1 } }, oldObject: { spec: { replicas: 3 } } }
  assert.equal(isSkipped(review), false)
})

test("the order of a template's members is no difference, that of its lists is", () => {
  const kind = kindNamed('Deployment')
  const [a, b] = [
    { name: 'a', image: 'a/a:1' },
    { image: 'b/b:1', name: 'b' },
  ]
  assert.equal(
    isSkipped(
      updating(
        kind,
        { replicas: 1, podSpec: { containers: [a, { name: 'b', image: 'b/b:1' }] } },
        { replicas: 3, podSpec: { containers: [a, b] } },
      ),
    ),
    true,
  )
  assert.equal(
    isSkipped(updating(kind, { replicas: 1, podSpec: { containers: [b, a] } }, { replicas: 3, podSpec: { containers: [a, b] } })),
    false,
  )
})

test('templates that nest deeper than any real one count as different', () => {
  const deep = (): JsonObject => JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`) as JsonObject
  const kind = kindNamed('Deployment')
  assert.equal(isSkipped(updating(kind, { replicas: 1, podSpec: deep() }, { replicas: 3, podSpec: deep() })), false)
})

const ending = { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['x/y'] }
for (const kind of workloadKinds) {
  test(`a ${kind.kind} (${kind.version}) that is being deleted is not judged while its images stay (lesson 16)`, () => {
    assert.equal(isSkipped(updating(kind, { metadata: ending }, {})), true)
    assert.equal(isSkipped(updating(kind, { metadata: ending }, { metadata: ending })), true)
  })

  test(`a ${kind.kind} (${kind.version}) that is being deleted is judged when an image changes, comes or goes (lesson 16)`, () => {
    for (const podSpec of changed)
      assert.equal(isSkipped(updating(kind, { metadata: ending, podSpec }, {})), false, JSON.stringify(podSpec))
  })

  test(`with recheck-unchanged: false a ${kind.kind} (${kind.version}) is judged only when an image changes, comes or goes (lesson 16)`, () => {
    const metadata = { labels: { app: 'other' }, annotations: { touched: 'now' } }
    const podSpec = { containers: [{ name: 'renamed', image: 'a/b:1', env: [{ name: 'A', value: 'b' }] }] }
    assert.equal(isSkipped(updating(kind, { metadata, podSpec }, {}), false), true)
    assert.equal(isSkipped(updating(kind, { metadata, podSpec }, {}), true), false)
    for (const podSpec of changed) assert.equal(isSkipped(updating(kind, { podSpec }, {}), false), false, JSON.stringify(podSpec))
    assert.equal(isSkipped({ ...updating(kind, {}, {}), operation: 'CREATE' }, false), false)
    assert.equal(isSkipped(updating(kind, {}, null), false), false)
    assert.equal(isSkipped({ ...updating(kind, { podSpec: other }, {}), subResource: 'ephemeralcontainers' }, false), false)
  })

  test(`a ${kind.kind} (${kind.version}) is judged when it is created with a deletion date, or nothing is known of what it was (lesson 16)`, () => {
    assert.equal(isSkipped({ ...updating(kind, { metadata: ending }, {}), operation: 'CREATE' }), false)
    assert.equal(isSkipped(updating(kind, { metadata: ending }, null)), false)
    assert.equal(isSkipped(updating(kind, { metadata: { deletionTimestamp: '' } }, {})), false)
    assert.equal(isSkipped(updating(kind, { metadata: { deletionTimestamp: null } }, {})), false)
    assert.equal(isSkipped({ ...updating(kind, { metadata: ending }, {}), oldObject: 'x' }), false)
  })
}

test('no annotation and no owner exempts an object (lessons 13, 14)', () => {
  const metadata = {
    annotations: { 'policy.sigstore.dev/verified': 'true', 'example.com/images-verified': 'a/b:1' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'parent', uid: '1', controller: true }],
  }
  assert.equal(isSkipped(updating(kindNamed('Pod'), { metadata }, { metadata })), false)
})

test('a kind that nothing is known about is not skipped, so it is refused', () => {
  assert.equal(
    isSkipped({
      ...updating(kindNamed('Deployment'), { replicas: 1 }, { replicas: 3 }),
      kind: { group: 'x', version: 'v1', kind: 'Deployment' },
    }),
    false,
  )
})

test('whatever the objects are, there is an answer, and never one that skips a changed image', () => {
  const image = fc.constantFrom('a/b:1', 'c/d:1')
  const parts = fc.record({ replicas: fc.nat({ max: 2 }), ending: fc.boolean(), image, init: fc.option(image) })
  const made = (p: { replicas: number; ending: boolean; image: string; init: string | null }): Parts => ({
    replicas: p.replicas,
    metadata: p.ending ? ending : {},
    podSpec: { containers: [{ image: p.image }], ...(p.init === null ? {} : { initContainers: [{ image: p.init }] }) },
  })
  fc.assert(
    fc.property(fc.constantFrom(...workloadKinds), parts, parts, fc.jsonValue(), (kind, now, before, anything) => {
      if (isSkipped(updating(kind, made(now), made(before)))) assert.deepEqual([now.image, now.init], [before.image, before.init])
      if (isSkipped(updating(kind, made(now), made(before)), false)) assert.deepEqual([now.image, now.init], [before.image, before.init])
      for (const recheck of [true, false])
        isSkipped({ ...updating(kind, {}, {}), object: anything as Json, oldObject: anything as Json }, recheck)
    }),
    { numRuns: 1000 },
  )
})
