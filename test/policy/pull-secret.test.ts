import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doubtfulPullSecrets, whyDoubtful } from '../../src/policy/pull-secret.ts'
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
const there = { type: 'kubernetes.io/dockerconfigjson' }
const missing = 'secret "nope" of signaturePullSecrets is not in cosign-system: the namespace of each workload needs it'

test('a pull secret that is not in the namespace of the controller is told of once', () => {
  assert.deepEqual(doubtfulPullSecrets(spec, new Map([['there', there]]), 'cosign-system'), [missing])
})

test('of those that are there nothing is said', () => {
  const secrets = new Map([
    ['there', there],
    ['nope', { type: 'kubernetes.io/dockercfg' }],
  ])
  assert.deepEqual(doubtfulPullSecrets(spec, secrets, 'cosign-system'), [])
})

for (const [secret, type] of [
  [{ type: 'Opaque' }, 'Opaque'],
  [{}, 'Opaque'],
  [{ type: 'kubernetes.io/tls' }, 'kubernetes.io/tls'],
] as const)
  test(`a pull secret of the type ${type} holds no credentials (${JSON.stringify(secret)})`, () =>
    assert.equal(
      whyDoubtful('x', new Map([['x', secret]]), 'cosign-system'),
      `secret "x" of signaturePullSecrets is of the type ${type}, which holds no credentials for a registry`,
    ))
