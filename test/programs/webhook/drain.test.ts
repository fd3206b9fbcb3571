import { deepEqual, equal, ok } from 'node:assert/strict'
import { createServer } from 'node:https'
import { test } from 'node:test'
import { Draining } from '../../../programs/webhook/drain.ts'
import { certificate, post, review } from './client.ts'

/** A server whose answers wait until they are let go. */
async function slow(draining: Draining) {
  const waiting: (() => void)[] = []
  const server = createServer({ cert: certificate.certificate, key: certificate.key }, (request, response) => {
    if (draining.isDraining()) response.setHeader('Connection', 'close')
    request.resume()
    if (request.url === '/now') response.end('now')
    else waiting.push(() => response.end('at last'))
  })
  draining.watch(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const at = server.address()
  return { server, waiting, port: typeof at === 'object' && at !== null ? at.port : 0 }
}

const soon = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test('what is under way is answered before the server ends', async () => {
  const draining = new Draining()
  const { server, waiting, port } = await slow(draining)
  const asked = post(port, '/slow', review('u1'))
  while (waiting.length === 0) await soon(5)
  const drained = draining.drain(server, 0, 10_000)
  ok(draining.isDraining())
  await soon(50)
  waiting[0]?.()
  equal((await asked).body, 'at last')
  equal(await drained, 'finished')
})

test('requests are answered during the quiet time, and their connections end', async () => {
  const draining = new Draining()
  const { server, port } = await slow(draining)
  const drained = draining.drain(server, 200, 10_000)
  await soon(20)
  const { body, headers } = await post(port, '/now', review('u1'))
  deepEqual([body, headers.connection], ['now', 'close'])
  equal(await drained, 'finished')
  const refused = await post(port, '/now', review('u2')).then(
    () => 'answered',
    (e: unknown) => (e as NodeJS.ErrnoException).code,
  )
  equal(refused, 'ECONNREFUSED')
})

test('what outlasts the grace is cut off', async () => {
  const draining = new Draining()
  const { server, waiting, port } = await slow(draining)
  const asked = post(port, '/slow', review('u1')).then(
    () => 'answered',
    () => 'cut off',
  )
  while (waiting.length === 0) await soon(5)
  equal(await draining.drain(server, 0, 50), 'cut-off')
  equal(await asked, 'cut off')
})

test('an idle server ends at once', async () => {
  const draining = new Draining()
  const { server } = await slow(draining)
  equal(await draining.drain(server, 0, 10_000), 'finished')
})
