import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nothingFetched } from '../../src/policy/objects.ts'
import { publicRoot } from '../../src/trust/public-root.ts'

test('before anything is fetched, the embedded root of the public Sigstore instance is trusted and nothing else', () => {
  const { publicRoot: root, trustRoots, kmsKeys } = nothingFetched()
  assert.ok(root.ok)
  assert.equal(root.value, publicRoot())
  assert.deepEqual([trustRoots.size, kmsKeys.size], [0, 0])
})
