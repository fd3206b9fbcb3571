import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compile } from '../../src/policy/compile.ts'
import { matching } from '../../src/policy/matching.ts'
import type { Subject } from '../../src/policy/subject.ts'

const digest = `sha256:${'a'.repeat(64)}`
const pod: Subject = { group: '', version: 'v1', kind: 'Pod', resource: 'pods', namespace: 'demo', name: 'app', labels: { team: 'a' } }
const authorities = [{ static: { action: 'pass' } }]

function speaking(specs: Readonly<Record<string, object>>, name = `registry.example/app@${digest}`, subject = pod) {
  const policies = new Map(Object.entries(specs).map(([policy, spec]) => [policy, { spec: { authorities, ...spec } } as object]))
  const snapshot = compile(
    { policies, policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map() },
    'cosign-system',
  )
  const answer = matching(snapshot.policies, name, subject)
  return answer.ok ? answer.value.map((p) => p.name) : answer.reason.code
}

const here = { images: [{ glob: 'registry.example/*' }] }
const elsewhere = { images: [{ glob: 'other.example/*' }] }

test('the policies with a glob that fits speak, in name order', () =>
  assert.deepEqual(speaking({ c: here, b: elsewhere, a: here }), ['a', 'c']))
test('one glob of several suffices', () => assert.deepEqual(speaking({ a: { images: [...elsewhere.images, ...here.images] } }), ['a']))
test('without match a policy is about every object', () =>
  assert.deepEqual(speaking({ a: here }, undefined, { ...pod, resource: 'deployments', group: 'apps' }), ['a']))
test('one entry of match suffices', () => {
  const match = [
    { group: 'apps', version: 'v1', resource: 'deployments' },
    { group: '', version: '*', resource: 'pods', selector: { matchLabels: { team: 'a' } } },
  ]
  assert.deepEqual(speaking({ a: { ...here, match } }), ['a'])
  assert.deepEqual(speaking({ a: { ...here, match } }, undefined, { ...pod, labels: {} }), [])
})
test('a broken selector of any policy that is about such objects refuses the image, whatever its globs', () => {
  const match = [
    { group: '', version: 'v1', resource: 'pods', selector: { matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1'] }] } },
  ]
  assert.equal(speaking({ a: here, b: { ...elsewhere, match } }), 'match-selector-broken')
})
test('a broken glob of a policy whose match fits refuses the image; of one whose match does not fit it is not looked at', () => {
  const broken = { images: [{ glob: 'a?' }] }
  assert.equal(speaking({ a: here, b: broken }), 'glob-broken')
  assert.deepEqual(speaking({ a: here, b: { ...broken, match: [{ group: 'apps', version: 'v1', resource: 'deployments' }] } }), ['a'])
})
