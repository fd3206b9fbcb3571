import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameOf, workloadKind, workloadKinds } from '../../src/admission/kind.ts'
import { podSpecs } from './pod-specs.ts'

for (const [group, version, kind, at, why] of podSpecs) {
  test(`${nameOf({ group, version, kind })} ${at === undefined ? 'is not judged' : `is judged by ${at}`}${why && `: ${why}`} (lesson 29)`, () => {
    assert.equal(workloadKind({ group, version, kind })?.podSpec.join('.'), at)
  })
}

test('the table above has every kind that is judged (lesson 29)', () => {
  const listed = podSpecs.filter(([, , , at]) => at !== undefined).map(([group, version, kind]) => nameOf({ group, version, kind }))
  assert.deepEqual(listed.toSorted(), workloadKinds.map(nameOf).toSorted())
})

test('a kind is named as Go prints it', () => {
  assert.equal(nameOf({ group: '', version: 'v1', kind: 'ReplicationController' }), '/v1, Kind=ReplicationController')
  assert.equal(nameOf({ group: 'apps', version: 'v1beta1', kind: 'Deployment' }), 'apps/v1beta1, Kind=Deployment')
})

test('no kind is taken for another by a name with a comma or a slash in it', () => {
  assert.equal(workloadKind({ group: 'apps/v1, Kind=Deployment', version: '', kind: '' }), undefined)
  assert.equal(workloadKind({ group: '', version: 'v1, Kind=Pod', kind: '' }), undefined)
  assert.equal(workloadKind({ group: '', version: 'v1', kind: 'pod' }), undefined)
})
