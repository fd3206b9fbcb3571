import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compile } from '../../src/policy/compile.ts'
import { conflictsOf } from '../../src/policy/conflict.ts'
import type { Policy } from '../../src/policy/policy.ts'

const pods = { version: 'v1', resource: 'pods' }
const tap = { ...pods, selector: { matchLabels: { app: 'tap' } } }

function policy(name: string, globs: readonly string[], action: 'pass' | 'fail', more: object = {}): Policy {
  const spec = { images: globs.map((glob) => ({ glob })), authorities: [{ static: { action } }], ...more }
  const objects = { policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map() }
  const [compiled] = compile({ ...objects, policies: new Map<string, object>([[name, { spec }]]) }, 'cosign-system').policies
  assert.ok(compiled)
  return compiled
}

for (const [title, mine, other] of [
  ['every image', policy('a', ['ghcr.io/a/**'], 'pass'), policy('b', ['**'], 'fail')],
  ['the same images', policy('a', ['ghcr.io/a/*'], 'pass'), policy('b', ['x', 'ghcr.io/a/*'], 'fail')],
  ['a folder above them', policy('a', ['ghcr.io/a/b*', 'ghcr.io/a/c@**'], 'pass'), policy('b', ['ghcr.io/a/**'], 'fail')],
  ['the same objects', policy('a', ['x.y/z*'], 'pass', { match: [tap] }), policy('b', ['**'], 'fail', { match: [pods, tap] })],
] as const) {
  test(`a policy conflicts with one that refuses ${title}, and the other way round`, () => {
    assert.deepEqual(conflictsOf(mine, [other]), [
      'no image can satisfy this policy and `b`, which refuses every image that this one speaks about',
    ])
    assert.deepEqual(conflictsOf(other, [mine]), [
      'no image can satisfy `a` any more: this policy refuses every image that it speaks about',
    ])
  })
}

for (const [title, mine, other] of [
  ['only some of its images are refused', policy('a', ['ghcr.io/a/**', 'x.y/**'], 'pass'), policy('b', ['ghcr.io/a/**'], 'fail')],
  ['a part of its images is refused', policy('a', ['ghcr.io/**'], 'pass'), policy('b', ['ghcr.io/a/**'], 'fail')],
  ['a name only begins alike', policy('a', ['ghcr.io/*'], 'pass'), policy('b', ['ghcr.io/a**'], 'fail')],
  ['the other is about other objects', policy('a', ['**'], 'pass'), policy('b', ['**'], 'fail', { match: [tap] })],
  ['its labels are other ones', policy('a', ['**'], 'pass', { match: [pods] }), policy('b', ['**'], 'fail', { match: [tap] })],
  ['the other only warns', policy('a', ['**'], 'pass'), policy('b', ['**'], 'fail', { mode: 'warn' })],
  [
    'the other has an authority that may pass',
    policy('a', ['**'], 'pass'),
    policy('b', ['**'], 'pass', { authorities: [{ static: { action: 'fail' } }, { static: { action: 'pass' } }] }),
  ],
  ['both refuse', policy('a', ['**'], 'fail'), policy('b', ['**'], 'fail')],
  ['it is the same policy as it was before', policy('a', ['**'], 'pass'), policy('a', ['**'], 'fail')],
] as const) {
  test(`there is no conflict where ${title}`, () => assert.deepEqual([...conflictsOf(mine, [other]), ...conflictsOf(other, [mine])], []))
}
