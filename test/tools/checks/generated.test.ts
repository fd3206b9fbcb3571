import assert from 'node:assert/strict'
import { test } from 'node:test'
import { staleAmong } from '../../../tools/checks/generated.ts'

test('a generated file that is missing or edited by hand is named', () => {
  const made = { 'same.md': () => 'a', 'edited.md': () => 'b', 'missing.md': () => 'c' }
  const there: Record<string, string> = { 'same.md': 'a', 'edited.md': 'B' }
  assert.deepEqual(
    staleAmong(made, Object.keys(there), (file) => there[file] ?? ''),
    ['edited.md: is not what its generator makes; npm run generate', 'missing.md: is not what its generator makes; npm run generate'],
  )
})
