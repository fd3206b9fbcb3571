import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tested, testOf } from '../../../tools/checks/tested.ts'
import { inMemory } from '../../../tools/project.ts'

for (const [file, its] of [
  ['src/policy/glob.ts', 'test/policy/glob.test.ts'],
  ['src/admit.ts', 'test/admit.test.ts'],
  ['programs/webhook/server.ts', 'test/programs/webhook/server.test.ts'],
  ['fakes/registry.ts', 'test/fakes/registry.test.ts'],
] as const)
  test(`the test of ${file} is ${its}`, () => assert.equal(testOf(file), its))

test('a source file without a test is named', async () => {
  const project = inMemory({ 'src/policy/glob.ts': 'export function compiled() {}', 'programs/cli/main.ts': 'await run(process.argv)' })
  assert.deepEqual(await tested.violations(project), [
    'programs/cli/main.ts: test/programs/cli/main.test.ts is missing',
    'src/policy/glob.ts: test/policy/glob.test.ts is missing',
  ])
})

test('a test without a source file is named', async () => {
  assert.deepEqual(await tested.violations(inMemory({ 'test/policy/gone.test.ts': '' })), [
    'test/policy/gone.test.ts: the file that it tests is missing',
  ])
})

test('a file of types alone needs no test', async () => {
  assert.deepEqual(
    await tested.violations(
      inMemory({
        'src/policy/ask.ts': "import type { A } from './a.ts'\n\nexport type Ask = { a: A }\nexport interface B {\n  read(): void\n}\n",
      }),
    ),
    [],
  )
})
