import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Loopback } from '../../../fakes/sigstore/loopback.ts'

const server = await Loopback.start(({ method, path, body }) => ({ status: 200, body: `${method} ${path} ${body.toString()}` }))
after(() => server.close())

test('it answers what it is told to, and remembers what it was asked', async () => {
  server.misbehave()
  const answer = await fetch(`${server.url}/a%20b?c`, { method: 'POST', body: 'x' })
  assert.equal(await answer.text(), 'POST /a b x')
  assert.deepEqual(server.seen.at(-1)?.path, '/a b')
})

test('it can answer late, with another status or body, for the paths that are meant', async () => {
  server.misbehave({ path: 'late', late: 30 }, { path: 'bad', status: 503 }, { path: 'odd', body: 'odd' })
  const began = performance.now()
  assert.equal(await (await fetch(`${server.url}/late`)).text(), 'GET /late ')
  assert.ok(performance.now() - began >= 25)
  assert.equal((await fetch(`${server.url}/bad`)).status, 503)
  assert.equal(await (await fetch(`${server.url}/odd`)).text(), 'odd')
  assert.equal((await fetch(`${server.url}/good`)).status, 200)
})

test('it can be silent, and send without end', async () => {
  server.misbehave({ path: 'silent', isSilent: true }, { path: 'endless', isEndless: true })
  await assert.rejects(fetch(`${server.url}/silent`, { signal: AbortSignal.timeout(50) }))
  const reader = (await fetch(`${server.url}/endless`)).body?.getReader()
  let bytes = 0
  while (bytes < 1_000_000) bytes += (await reader?.read())?.value?.length ?? Infinity
  assert.ok(Number.isFinite(bytes))
  await reader?.cancel()
})
