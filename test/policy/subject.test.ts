import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resourceOf } from '../../src/policy/subject.ts'

for (const [kind, resource] of [
  ['Pod', 'pods'],
  ['ReplicaSet', 'replicasets'],
  ['Deployment', 'deployments'],
  ['StatefulSet', 'statefulsets'],
  ['DaemonSet', 'daemonsets'],
  ['Job', 'jobs'],
  ['CronJob', 'cronjobs'],
  ['ReplicationController', 'replicationcontrollers'],
  ['Ingress', 'ingresses'],
  ['NetworkPolicy', 'networkpolicies'],
] as const) {
  test(`a policy names ${kind} by the resource ${resource}`, () => assert.equal(resourceOf(kind), resource))
}
