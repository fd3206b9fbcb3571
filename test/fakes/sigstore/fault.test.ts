import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authorityFaults, faults, signingFaults } from '../../../fakes/sigstore/fault.ts'

test('every fault has one row', () => {
  assert.equal(new Set(faults.map(({ fault }) => fault)).size, faults.length)
  assert.equal(faults.length, authorityFaults.length + signingFaults.length)
})
