import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { targetOf } from '../../../programs/webhook/budget.ts'

for (const [url, path, useful, last] of [
  ['/validations?timeout=10s', '/validations', 9_700, 9_850],
  ['/validations', '/validations', 9_700, 9_850],
  ['/mutations?timeout=1s', '/mutations', 900, 950],
  ['/mutations?a=b&timeout=30s', '/mutations', 29_700, 29_850],
  ['/validations?timeout=10m', '/validations', 29_700, 29_850], // never more than the API server may wait
  ['/validations?timeout=0s', '/validations', 9_700, 9_850],
  ['/validations?timeout=-1s', '/validations', 9_700, 9_850],
  ['/validations?timeout=soon', '/validations', 9_700, 9_850],
  ['/validations?timeout', '/validations', 9_700, 9_850],
  ['', '', 9_700, 9_850],
] as const)
  test(`${url === '' ? 'an empty target' : url} gives a useful answer ${useful} ms`, () => deepEqual(targetOf(url), { path, useful, last }))

test('a client that invents targets does not fill the memory', () => {
  const heap = process.memoryUsage().heapUsed
  for (let i = 0; i < 50_000; i++) targetOf(`/validations?timeout=10s&${i}`)
  deepEqual(targetOf('/validations?timeout=2s').useful, 1_800)
  deepEqual(process.memoryUsage().heapUsed - heap < 32 * 1024 * 1024, true)
})
