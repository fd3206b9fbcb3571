import assert from 'node:assert/strict'
import { test } from 'node:test'
import { names } from '../../../tools/checks/names.ts'
import { inMemory } from '../../../tools/project.ts'

for (const file of [
  'src/policy/utils.ts',
  'src/common/glob.ts',
  'src/image/index.ts',
  'test/helpers.test.ts',
  'src/types.ts',
  'tools/misc.mjs',
])
  test(`${file} says nothing`, async () => assert.equal((await names.violations(inMemory({ [file]: '' }))).length, 1))

for (const file of ['src/policy/glob.ts', 'src/world/indexed.ts', 'docs/reference/settings.md', 'src/image/typesetting.ts'])
  test(`${file} says what is in it`, async () => assert.deepEqual(await names.violations(inMemory({ [file]: '' })), []))
