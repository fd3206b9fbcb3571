import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { ApiServer } from '../../../programs/demo/cluster.ts'
import { renewed } from '../../../programs/webhook/certificate.ts'

/** A webhook that answers what it is told, by path, and keeps what it was asked. */
async function webhook(answers: Readonly<Record<string, object>>) {
  const { certificate, key, ca } = await renewed(undefined, ['127.0.0.1', 'localhost'], new Date())
  const asked: { path: string; image: string }[] = []
  const server = createServer({ cert: certificate, key }, (request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const path = request.url?.split('?')[0] ?? ''
      const review = JSON.parse(body) as { request: { object: { spec: { containers: { image: string }[] } } } }
      asked.push({ path, image: review.request.object.spec.containers[0]?.image ?? '' })
      response.end(JSON.stringify({ response: answers[path] }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const api = new ApiServer(`https://127.0.0.1:${(server.address() as AddressInfo).port}`, ca)
  const close = async () => {
    await api[Symbol.asyncDispose]()
    server.close().closeAllConnections()
  }
  return { api, asked, [Symbol.asyncDispose]: close }
}

test('a Pod is mutated first, and what came of it is validated', async () => {
  const patch = Buffer.from(JSON.stringify([{ op: 'replace', path: '/spec/containers/0/image', value: 'app@sha256:aa' }])).toString(
    'base64',
  )
  await using w = await webhook({ '/mutations': { allowed: true, patch }, '/validations': { allowed: true } })
  assert.deepEqual(await w.api.run('app', 'app:v1'), ['pod/app created (server dry run)'])
  assert.deepEqual(w.asked, [
    { path: '/mutations', image: 'app:v1' },
    { path: '/validations', image: 'app@sha256:aa' },
  ])
})

test('warnings come first, one a line, and a denial is kubectl’s', async () => {
  await using w = await webhook({
    '/mutations': { allowed: true },
    '/validations': { allowed: false, status: { message: 'validation failed: no\nwhy', reason: 'BadRequest' }, warnings: ['a', 'b'] },
  })
  assert.deepEqual(await w.api.run('app', 'app:v1'), [
    'Warning: a',
    'Warning: b',
    'Error from server (BadRequest): admission webhook "policy.sigstore.dev" denied the request: validation failed: no',
    'why',
  ])
})

test('what the mutating webhook denies is not validated', async () => {
  await using w = await webhook({ '/mutations': { allowed: false, status: { message: 'mutation failed: no', reason: 'BadRequest' } } })
  assert.deepEqual(await w.api.run('app', 'app:v1'), [
    'Error from server (BadRequest): admission webhook "policy.sigstore.dev" denied the request: mutation failed: no',
  ])
  assert.equal(w.asked.length, 1)
})
