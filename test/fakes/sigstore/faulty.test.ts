import assert from 'node:assert/strict'
import { test } from 'node:test'
import { signingFaults } from '../../../fakes/sigstore/fault.ts'
import { faulty, showsIn } from '../../../fakes/sigstore/faulty.ts'

const digest = `sha256:${'ab'.repeat(32)}`

for (const row of signingFaults)
  for (const form of ['annotations', 'bundle'] as const) {
    if (!showsIn(row, form)) continue
    test(`${row.fault}: what is made as ${form} has what the fault is about`, async () => {
      const { made } = await faulty(row, form, digest, {}, true)
      const text = JSON.stringify(made)
      const { log, timestamp, certificate } = row.needs
      if (log !== undefined) assert.match(text, /cosign\/bundle|tlogEntries":\[\{/)
      if (timestamp) assert.match(text, /rfc3161/i)
      if (certificate) assert.match(text, /certificate/)
      assert.equal('bundle' in made, form === 'bundle')
    })
  }
