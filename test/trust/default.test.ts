import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missingInTrustRoot } from '../../src/trust/default.ts'

for (const [spec, missing] of [
  [{ remote: { root: '', mirror: '' } }, [{ at: ['remote', 'targets'], value: 'targets' }]],
  [{ repository: { targets: '' } }, [{ at: ['repository', 'targets'], value: 'targets' }]],
  [{ repository: { targets: 'files' } }, []],
  [{ remote: null, sigstoreKeys: {} }, []],
  [{}, []],
] as const) {
  test(`of ${JSON.stringify(spec)}, ${missing.length} field is filled in`, () => assert.deepEqual(missingInTrustRoot(spec), missing))
}
