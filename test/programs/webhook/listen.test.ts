import { deepEqual, equal, match } from 'node:assert/strict'
import { createServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import { listen } from '../../../programs/webhook/listen.ts'

function server(t: TestContext) {
  const made = createServer()
  t.after(() => made.close())
  return made
}

test('port 0 is any free one, and said', async (t) => {
  const at = await listen(server(t), '127.0.0.1', 0, '--port')
  equal(at.ok && at.address, at.ok && `127.0.0.1:${at.port}`)
})

test(':: listens, with IPv6 or without', async (t) => {
  const at = await listen(server(t), '::', 0, '--port')
  match(at.ok ? at.address : at.text, /^(\[::\]|0\.0\.0\.0):\d+$/)
})

test('a port that is taken is an error that names the option which chooses another', async (t) => {
  const first = await listen(server(t), '127.0.0.1', 0, '--port')
  const port = first.ok ? first.port : 0
  const second = await listen(server(t), '127.0.0.1', port, '--metrics-port')
  deepEqual(second, { ok: false, text: `127.0.0.1:${port} is taken: choose another port with --metrics-port` })
})

test('an address of another machine is an error that names the option for addresses', async (t) => {
  const at = await listen(server(t), '192.0.2.1', 8443, '--port')
  deepEqual(at, { ok: false, text: '192.0.2.1:8443 is no address of this machine: choose another with --address' })
})

test('a server that could not listen can try another port', async (t) => {
  const first = await listen(server(t), '127.0.0.1', 0, '--port')
  const again = server(t)
  await listen(again, '127.0.0.1', first.ok ? first.port : 0, '--port')
  equal((await listen(again, '127.0.0.1', 0, '--port')).ok, true)
})
