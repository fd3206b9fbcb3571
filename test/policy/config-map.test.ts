import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missingConfigMaps } from '../../src/policy/config-map.ts'
import { readPolicy } from '../../src/policy/read.ts'

const configMaps = new Map<string, object>([
  ['pol', { data: { there: 'a: 1', empty: '' } }],
  ['bare', {}],
])

test('a ConfigMap that a policy names, or its entry, may not be there', () => {
  const attestation = (name: string, key: string) => ({
    name: 'n',
    predicateType: 'https://x/y',
    policy: { type: 'cue', configMapRef: { name, key } },
  })
  const { spec } = readPolicy('p', {
    spec: {
      policy: { type: 'cue', configMapRef: { name: 'nopol', key: 'k' } },
      authorities: [
        {
          attestations: [
            attestation('pol', 'there'),
            attestation('pol', 'nope'),
            attestation('pol', 'constructor'),
            attestation('pol', 'empty'),
          ],
        },
        { attestations: [attestation('bare', 'k'), attestation('nopol', 'k')] },
      ],
    },
  })
  assert.deepEqual(missingConfigMaps(spec, configMaps), [
    'configmap "pol" does not contain key nope',
    'configmap "pol" does not contain key constructor',
    'configmap "pol" does not contain key empty',
    'configmap "bare" contains no data',
    'configmap "nopol" not found',
  ])
})

test('what names none misses none', () => {
  assert.deepEqual(missingConfigMaps(readPolicy('p', { spec: { policy: { configMapRef: { name: 'x' } } } }).spec, configMaps), [])
  assert.deepEqual(missingConfigMaps(readPolicy('p', { spec: {} }).spec, configMaps), [])
})
