import assert from 'node:assert/strict'
import { test } from 'node:test'
import { machines } from '../../../tools/checks/machines.ts'
import { inMemory } from '../../../tools/project.ts'

const users = `/${'home'}/alice/` // in pieces, since this file is looked at too

for (const [file, text] of [
  ['docs/try.md', `cd ${users}sealgate`],
  ['test/a.test.ts', `const file = '${users}key.pem'`],
] as const)
  test(`${file} may not name a user's folder`, async () =>
    assert.deepEqual(await machines.violations(inMemory({ [file]: text })), [`${file}:1: ${text}`]))

test('folders that every machine or container has may be named', async () => {
  const text = "'/var/run/secrets/kubernetes.io/serviceaccount/token' $HOME/.docker/config.json https://example.com/home/alice/"
  assert.deepEqual(await machines.violations(inMemory({ 'src/world/a.ts': text })), [])
})
