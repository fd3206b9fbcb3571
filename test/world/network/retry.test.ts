import assert from 'node:assert/strict'
import { test } from 'node:test'
import { delayBeforeRetry, pause } from '../../../src/world/network/retry.ts'

const NOW = Date.parse('2026-11-23T18:00:00Z')
const after = (status: number, retryAfter?: string): { status: number; retryAfter: string | undefined } => ({ status, retryAfter })

for (const [ended, attempt, chance, expected] of [
  [after(500), 0, 0, 75],
  [after(500), 0, 1, 225],
  [after(503), 1, 0.5, 450],
  [after(500), 2, 0, undefined], // three attempts are all
  ['transient', 0, 0.5, 150],
  ['transient', 2, 0.5, undefined],
  [after(408), 0, 0.5, 150],
  [after(499), 0, 0.5, 150],
  [after(502), 0, 0.5, 150],
  [after(504), 0, 0.5, 150],
  [after(522), 0, 0.5, 150],
  [after(501), 0, 0.5, undefined],
  [after(404), 0, 0.5, undefined],
  [after(401), 0, 0.5, undefined],
  [after(200), 0, 0.5, undefined],
  [after(429), 0, 0.5, undefined],
  [after(429, '1'), 0, 0.5, 1000],
  [after(429, '0'), 0, 0.5, 150],
  [after(429, '3'), 0, 0.5, undefined],
  [after(429, 'soon'), 0, 0.5, undefined],
  [after(503, '2'), 0, 0.5, 2000],
  [after(503, '3600'), 0, 0.5, undefined],
  [after(503, 'soon'), 0, 0.5, 150],
  [after(503, 'Mon, 23 Nov 2026 18:00:01 GMT'), 0, 0.5, 1000],
  [after(503, 'Mon, 23 Nov 2026 17:00:00 GMT'), 0, 0.5, 150],
  [after(503, 'Mon, 23 Nov 2026 19:00:00 GMT'), 0, 0.5, undefined],
] as const)
  test(`${JSON.stringify(ended)} after attempt ${attempt + 1}: ${expected === undefined ? 'not again' : `again after ${expected} ms`}`, () =>
    assert.equal(delayBeforeRetry(ended, attempt, chance, NOW), expected))

test('a pause ends early when its signal does', async () => {
  assert.equal(await pause(1, new AbortController().signal), true)
  assert.equal(await pause(60_000, AbortSignal.timeout(5)), false)
  assert.equal(await pause(60_000, AbortSignal.abort()), false)
})
