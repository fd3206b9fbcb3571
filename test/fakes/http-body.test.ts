import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { endless, received } from '../../fakes/http-body.ts'

const server = createServer((request, response) => {
  if (request.url === '/endless') return endless(response)
  received(request, 10).then(
    (body) => response.end(body.toString('hex')),
    () => response.writeHead(413).end(),
  )
})
let url: string
before(async () => {
  await new Promise<void>((listening) => void server.listen(0, '127.0.0.1', listening))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(() => {
  server.closeAllConnections()
  server.close()
})

test('a body is received whole, up to its bound and not beyond', async () => {
  const body = Buffer.from('0123456789')
  assert.equal(await (await fetch(url, { method: 'POST', body })).text(), body.toString('hex'))
  assert.equal((await fetch(url, { method: 'POST', body: `${body.toString()}x` })).status, 413)
})

test('an endless answer goes on until the client hangs up', async () => {
  const { status, body } = await fetch(`${url}/endless`)
  assert.equal(status, 200)
  assert.ok(body)
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes > 8 * 1024 * 1024) break
  }
  assert.ok(bytes > 8 * 1024 * 1024)
})
