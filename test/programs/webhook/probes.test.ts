import { deepEqual, equal, match } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { openProbes } from '../../../programs/webhook/probes.ts'
import { openMetrics } from '../../../programs/webhook/prometheus.ts'
import type { Readiness } from '../../../programs/webhook/server.ts'
import { uncounted } from '../../../src/world/metrics.ts'

async function probes(
  t: TestContext,
  readiness: () => Readiness,
  metrics = uncounted,
  isStuck?: () => boolean,
): Promise<(path: string, method?: string) => Promise<[number, string]>> {
  const server = openProbes(readiness, metrics, isStuck)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close().closeAllConnections())
  const at = server.address()
  const port = typeof at === 'object' && at !== null ? at.port : 0
  return async (path, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
    return [response.status, await response.text()]
  }
}

for (const path of ['/readyz', '/readiness', '/readyz?verbose'])
  test(`${path} says whether requests can be answered, and what is waited for`, async (t) => {
    let state: Readiness = { ready: false, text: 'waiting for secrets' }
    const get = await probes(t, () => state)
    deepEqual(await get(path), [503, 'waiting for secrets\n'])
    state = { ready: true }
    deepEqual(await get(path), [200, 'ok\n'])
  })

for (const path of ['/healthz', '/health'])
  test(`${path} answers as long as the process does, ready or not`, async (t) => {
    const get = await probes(t, () => ({ ready: false, text: 'shutting down' }))
    deepEqual(await get(path), [200, 'ok\n'])
  })

test('/healthz fails when only a new start helps', async (t) => {
  let isStuck = false
  const get = await probes(
    t,
    () => ({ ready: true }),
    uncounted,
    () => isStuck,
  )
  deepEqual(await get('/healthz'), [200, 'ok\n'])
  isStuck = true
  deepEqual(await get('/healthz'), [503, 'there has been too little memory for a minute\n'])
})

test('/metrics is what Prometheus reads', async (t) => {
  const get = await probes(t, () => ({ ready: true }), openMetrics())
  const [status, text] = await get('/metrics')
  equal(status, 200)
  match(text, /^# HELP sealgate_requests_total /m)
})

test('metrics that cannot be written are an error of that request alone', async (t) => {
  const get = await probes(t, () => ({ ready: true }), { ...uncounted, text: () => Promise.reject(new Error('no')) })
  equal((await get('/metrics'))[0], 500)
  equal((await get('/healthz'))[0], 200)
})

test('anything else is not there, and only reading is allowed', async (t) => {
  const get = await probes(t, () => ({ ready: true }))
  equal((await get('/validations'))[0], 404)
  equal((await get('/metrics', 'POST'))[0], 405)
  deepEqual(await get('/healthz', 'HEAD'), [200, ''])
})
