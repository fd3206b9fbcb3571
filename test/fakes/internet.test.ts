import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { Internet } from '../../fakes/internet.ts'

/** One request through the proxy; the certificate is checked for `name`. */
function through(internet: Internet, name: string, ca: string): Promise<string> {
  return new Promise((answered, failed) => {
    const proxy = new URL(internet.proxy)
    const asked = request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: `${name}:443` })
    asked.on('connect', (_, socket) => {
      const secure = connect({ socket, servername: name, ca }, () =>
        secure.write(`GET /path HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`),
      )
      let text = ''
      secure.on('data', (chunk: Buffer) => (text += chunk.toString()))
      secure.on('end', () => answered(text))
      secure.on('error', failed)
    })
    asked.on('error', failed)
    asked.end()
  })
}

test('a host answers behind the proxy, with a certificate for its name of a CA that is told', async () => {
  const internet = await Internet.start('a.example', 'b.example')
  const other = await Internet.start('a.example')
  try {
    internet.host('a.example', ({ path }) => ({ status: 200, body: `a says ${path}` }))
    assert.match(await through(internet, 'a.example', internet.ca), /^HTTP\/1\.1 200 [\s\S]*a says \/path\b/)
    assert.match(await through(internet, 'b.example', internet.ca), /^HTTP\/1\.1 404 /)
    await assert.rejects(through(internet, 'c.example', internet.ca), /altnames/i)
    await assert.rejects(through(internet, 'a.example', other.ca), /certificate/)
    assert.deepEqual(internet.connected, ['a.example:443', 'b.example:443', 'c.example:443', 'a.example:443'])
    internet.trouble('a.example', { status: 503 })
    assert.match(await through(internet, 'a.example', internet.ca), /^HTTP\/1\.1 503 /)
  } finally {
    await Promise.all([internet.close(), other.close()])
  }
})

test('what has no name answers by plain http', async () => {
  const internet = await Internet.start('a.example')
  try {
    internet.host('metadata', () => ({ status: 200, body: { plain: true } }))
    assert.deepEqual(await (await fetch(`http://${internet.plain}/x`)).json(), { plain: true })
  } finally {
    await internet.close()
  }
})
