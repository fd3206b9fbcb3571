import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameOf, workloadKind, workloadKinds } from '../../src/admission/kind.ts'

/** Every kind of the API server that holds a pod spec, and what is done about it. */
const podSpecs: readonly (readonly [group: string, version: string, kind: string, at: string | undefined, why: string])[] = [
  ['', 'v1', 'Pod', 'spec', 'also as pods/ephemeralcontainers, which sends the whole Pod'],
  ['', 'v1', 'ReplicationController', 'spec.template.spec', ''],
  ['apps', 'v1', 'ReplicaSet', 'spec.template.spec', ''],
  ['apps', 'v1', 'Deployment', 'spec.template.spec', ''],
  ['apps', 'v1', 'StatefulSet', 'spec.template.spec', ''],
  ['apps', 'v1', 'DaemonSet', 'spec.template.spec', ''],
  ['batch', 'v1', 'Job', 'spec.template.spec', ''],
  ['batch', 'v1', 'CronJob', 'spec.jobTemplate.spec.template.spec', ''],
  ['batch', 'v1beta1', 'CronJob', 'spec.jobTemplate.spec.template.spec', 'gone since Kubernetes 1.25, still asked for'],
  ['', 'v1', 'PodTemplate', undefined, 'makes no pods by itself; whoever does makes Pods, which are judged'],
  ['apps', 'v1', 'ControllerRevision', undefined, 'holds a template as opaque data; the Pods made of it are judged'],
  ['autoscaling', 'v1', 'Scale', undefined, 'what /scale sends: replicas and no image; the Pods it makes are judged'],
  ['', 'v1', 'Binding', undefined, 'what pods/binding sends: a node and no image'],
  ['policy', 'v1', 'Eviction', undefined, 'what pods/eviction sends: ends a pod'],
  ['apps', 'v1beta1', 'Deployment', undefined, 'gone since Kubernetes 1.16'],
  ['extensions', 'v1beta1', 'DaemonSet', undefined, 'gone since Kubernetes 1.16'],
  ['serving.knative.dev', 'v1', 'Service', undefined, 'custom resources make Pods, which are judged'],
]

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
