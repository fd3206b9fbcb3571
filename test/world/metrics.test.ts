import { equal } from 'node:assert/strict'
import { test } from 'node:test'
import { uncounted } from '../../src/world/metrics.ts'

test('an offline command counts nothing, and has nothing to show for it', async () => {
  uncounted.requested('/validations', 'CREATE', 'Pod', true, 0.1)
  uncounted.wentOn()
  equal(await uncounted.text(), '')
})
