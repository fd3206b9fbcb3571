import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patterns } from '../../../tools/checks/patterns.ts'
import { inMemory } from '../../../tools/project.ts'

for (const code of ['const p = new RegExp(glob)', 'return RegExp(text).test(image)', 'eval(policy)', 'const f = new Function(body)'])
  test(`lesson 35: src/ may not hold: ${code}`, async () => {
    assert.deepEqual(await patterns.violations(inMemory({ 'src/policy/a.ts': `\n${code}` })), [`src/policy/a.ts:2: ${code}`])
  })

test('a literal pattern is allowed, and so is a word about RegExp in a comment', async () => {
  assert.deepEqual(await patterns.violations(inMemory({ 'src/policy/a.ts': '// never new RegExp(foreign)\nconst p = /^a+$/' })), [])
})
