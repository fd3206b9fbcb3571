import assert from 'node:assert/strict'
import { test } from 'node:test'
import { absentPullSecrets } from '../../src/policy/pull-secret.ts'
import { readPolicy } from '../../src/policy/read.ts'

const { spec } = readPolicy('p', {
  spec: {
    authorities: [
      { source: [{ signaturePullSecrets: [{ name: 'there' }, { name: 'nope' }, {}] }] },
      { source: [{ signaturePullSecrets: [{ name: 'nope' }] }] },
      {},
    ],
  },
})

test('a pull secret that is not in the namespace of the controller is told of once', () => {
  assert.deepEqual(absentPullSecrets(spec, new Map([['there', {}]]), 'cosign-system'), [
    'secret "nope" of signaturePullSecrets is not in cosign-system: the namespace of each workload needs it',
  ])
})

test('of those that are there nothing is said', () => {
  const secrets = new Map([
    ['there', {}],
    ['nope', {}],
  ])
  assert.deepEqual(absentPullSecrets(spec, secrets, 'cosign-system'), [])
})
