import assert from 'node:assert/strict'
import { test } from 'node:test'
import { workloadKinds } from '../../src/admission/kind.ts'
import { compileMatch, matches, RESOURCES, whyNeverFits } from '../../src/policy/match.ts'
import type { MatchSpec } from '../../src/policy/read.ts'
import type { Subject } from '../../src/policy/subject.ts'
import { resourceOf } from '../../src/policy/subject.ts'

const pod: Subject = {
  group: '',
  version: 'v1',
  kind: 'Pod',
  resource: 'pods',
  namespace: 'demo',
  name: 'app',
  labels: { 'app': 'tap', 'env': 'prod', 'example.com/team': 'a' },
}
const deployment: Subject = { ...pod, group: 'apps', kind: 'Deployment', resource: 'deployments' }

function entry(written: { group?: string; version?: string; resource?: string; selector?: MatchSpec['selector'] }): MatchSpec {
  return { group: written.group, version: written.version, resource: written.resource, selector: written.selector }
}

for (const [written, subject, fits, why] of [
  [{ group: '', version: 'v1', resource: 'pods' }, pod, 'yes', ''],
  [{ version: 'v1', resource: 'pods' }, pod, 'yes', 'a group left out is the core group'],
  [{ version: '*', resource: 'pods' }, pod, 'yes', 'a version may be any'],
  [{ group: 'apps', version: '*', resource: 'deployments' }, deployment, 'yes', ''],
  [{ group: '', version: 'v1', resource: 'deployments' }, pod, 'no', 'another resource'],
  [{ group: 'apps', version: 'v1', resource: 'pods' }, pod, 'no', 'another group'],
  [{ version: 'v1', resource: 'deployments' }, deployment, 'no', 'the core group is not apps'],
  [{ group: '*', version: 'v1', resource: 'deployments' }, deployment, 'no', 'a group has no wildcard'],
  [{ version: 'v1beta1', resource: 'pods' }, pod, 'no', 'another version'],
  [{ resource: 'pods' }, pod, 'no', 'a version left out fits nothing'],
  [{ version: 'v1' }, pod, 'no', 'a resource left out fits nothing'],
  [{ version: 'v1', resource: '*' }, pod, 'no', 'a resource has no wildcard'],
  [{ version: 'v1', resource: 'Pods' }, pod, 'no', 'resources are lower case'],
  [{}, pod, 'no', 'an empty entry fits nothing'],
] as const) {
  test(`the entry ${JSON.stringify(written)} ${fits === 'yes' ? 'fits' : 'does not fit'} ${subject.kind}${why && `: ${why}`}`, () => {
    assert.equal(matches(compileMatch(entry(written)), subject), fits)
  })
}

const expression = (key: string, operator: string, ...values: string[]) => ({
  matchLabels: undefined,
  matchExpressions: [{ key, operator, values }],
})
const labels = (matchLabels: Record<string, string>) => ({ matchLabels, matchExpressions: undefined })

for (const [selector, fits] of [
  [undefined, 'yes'],
  [{ matchLabels: undefined, matchExpressions: undefined }, 'yes'],
  [labels({ app: 'tap' }), 'yes'],
  [labels({ app: 'tap', env: 'prod' }), 'yes'],
  [labels({ app: 'tap', env: 'test' }), 'no'],
  [labels({ app: 'other' }), 'no'],
  [labels({ absent: '' }), 'no'],
  [labels({ 'example.com/team': 'a' }), 'yes'],
  [expression('env', 'In', 'test', 'prod'), 'yes'],
  [expression('env', 'In', 'test'), 'no'],
  [expression('absent', 'In', 'a'), 'no'],
  [expression('env', 'NotIn', 'test'), 'yes'],
  [expression('env', 'NotIn', 'prod'), 'no'],
  [expression('absent', 'NotIn', 'a'), 'yes'],
  [expression('env', 'Exists'), 'yes'],
  [expression('absent', 'Exists'), 'no'],
  [expression('env', 'DoesNotExist'), 'no'],
  [expression('absent', 'DoesNotExist'), 'yes'],
  [{ matchLabels: { app: 'tap' }, matchExpressions: [{ key: 'env', operator: 'In', values: ['a'] }] }, 'no'],
  [expression('toString', 'Exists'), 'no'], // no label of the object, though every object of the language has one
  [expression('toString', 'DoesNotExist'), 'yes'],
  [labels({ constructor: 'x' }), 'no'],
  [expression('env', 'Gt', '1'), 'broken'],
  [expression('env', 'in', 'prod'), 'broken'],
  [expression('env', ''), 'broken'],
  [expression('env', 'In'), 'broken'],
  [expression('env', 'NotIn'), 'broken'],
  [expression('env', 'Exists', 'prod'), 'broken'],
  [expression('env', 'DoesNotExist', 'prod'), 'broken'],
  [expression('', 'Exists'), 'broken'],
  [expression('a b', 'Exists'), 'broken'],
  [expression('a/b/c', 'Exists'), 'broken'],
  [expression('Example.com/a', 'Exists'), 'broken'],
  [expression('example..com/a', 'Exists'), 'broken'],
  [expression('/a', 'Exists'), 'broken'],
  [expression('a/', 'Exists'), 'broken'],
  [expression('a'.repeat(64), 'Exists'), 'broken'],
  [expression('a'.repeat(63), 'Exists'), 'no'],
  [expression('env', 'In', 'a b'), 'broken'],
  [expression('env', 'In', 'a'.repeat(64)), 'broken'],
  [expression('env', 'In', '-a'), 'broken'],
  [expression('env', 'In', ''), 'no'],
  [labels({ app: '*' }), 'broken'],
  [{ matchLabels: { app: 'other' }, matchExpressions: [{ key: 'env', operator: 'Gt', values: ['1'] }] }, 'broken'],
] as const) {
  test(`the selector ${JSON.stringify(selector)?.slice(0, 120)} is ${fits}`, () => {
    assert.equal(matches(compileMatch(entry({ version: 'v1', resource: 'pods', selector })), pod), fits)
  })
}

test('a broken selector of an entry about other objects is not looked at', () => {
  const match = compileMatch(entry({ group: 'apps', version: 'v1', resource: 'deployments', selector: expression('env', 'Gt', '1') }))
  assert.equal(matches(match, pod), 'no')
  assert.equal(matches(match, deployment), 'broken')
})

test('the resources that may be named are those that are judged', () => {
  const named = [...RESOURCES].flatMap(([resource, { group, versions }]) => versions.map((version) => `${group}/${version} ${resource}`))
  assert.deepEqual(named.toSorted(), workloadKinds.map(({ group, version, kind }) => `${group}/${version} ${resourceOf(kind)}`).toSorted())
})

for (const [written, why] of [
  [{ version: 'v1', resource: 'pods' }, undefined],
  [{ group: 'batch', version: 'v1beta1', resource: 'cronjobs' }, undefined],
  [{ group: 'apps', version: '*', resource: 'deployments', selector: labels({ app: 'tap' }) }, undefined],
  [{ version: 'v1' }, /names no resource/],
  [{ version: 'v1', resource: 'services' }, /`services`, which run no pods/],
  [{ version: 'v1', resource: 'deployments' }, /says group ``.*of the group `apps`/],
  [{ group: 'core', version: 'v1', resource: 'pods' }, /says group `core`.*of the group ``, the empty text/],
  [{ group: '*', version: 'v1', resource: 'jobs' }, /of the group `batch`/],
  [{ resource: 'pods' }, /names no version/],
  [{ version: 'v2', resource: 'pods' }, /says version `v2`.*come as v1$/],
  [{ version: 'v1', resource: 'pods', selector: expression('a', 'Is', 'b') }, /not accept, so the policy refuses/],
] as const) {
  test(`the entry ${JSON.stringify(written)} ${why ? `never fits: ${why.source}` : 'can fit'}`, () => {
    const said = whyNeverFits(compileMatch(entry(written)))
    if (why === undefined) assert.equal(said, undefined)
    else assert.match(said ?? '', why)
  })
}
