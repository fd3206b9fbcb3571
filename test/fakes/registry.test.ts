import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { OCI_INDEX, OCI_MANIFEST } from '../../fakes/registry-content.ts'
import { FakeRegistry } from '../../fakes/registry.ts'
import { digestOf } from '../../src/image/digest.ts'

const registry = await FakeRegistry.start()
after(() => registry.close())
const ask = (path: string, init?: RequestInit): Promise<Response> => fetch(`${registry.url}${path}`, init)

test('what clients push, they can pull: blobs in one piece, in several, or from another repository; manifests under a tag', async () => {
  const payload = Buffer.from('payload')
  const digest = digestOf(payload)
  assert.equal((await ask(`/v2/a/blobs/uploads/?digest=${digest}`, { method: 'POST', body: payload })).status, 201)

  const begun = await ask('/v2/b/blobs/uploads/', { method: 'POST' })
  assert.equal(begun.status, 202)
  const location = begun.headers.get('location') ?? ''
  assert.equal((await ask(location, { method: 'PATCH', body: 'pay' })).headers.get('range'), '0-2')
  assert.equal((await ask(`${location}?digest=${digest}`, { method: 'PUT', body: 'load' })).status, 201)

  assert.equal((await ask(`/v2/c/blobs/uploads/?mount=${digest}&from=a`, { method: 'POST' })).status, 201)
  assert.equal((await ask(`/v2/d/blobs/uploads/?mount=${digest}&from=nowhere`, { method: 'POST' })).status, 202)
  for (const repository of ['a', 'b', 'c']) assert.equal(await (await ask(`/v2/${repository}/blobs/${digest}`)).text(), 'payload')

  const manifest = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [] })
  const put = await ask('/v2/a/manifests/v1', { method: 'PUT', body: manifest, headers: { 'content-type': OCI_MANIFEST } })
  assert.equal(put.headers.get('docker-content-digest'), digestOf(Buffer.from(manifest)))
  assert.equal(await (await ask('/v2/a/manifests/v1')).text(), manifest)
  assert.equal((await ask('/v2/a/manifests/v1', { method: 'HEAD' })).headers.get('content-length'), String(manifest.length))
  assert.deepEqual(await (await ask('/v2/a/tags/list')).json(), { name: 'a', tags: ['v1'] })
})

test('what does not fit its digest is not stored', async () => {
  const other = digestOf(Buffer.from('other'))
  assert.equal((await ask(`/v2/a/blobs/uploads/?digest=${other}`, { method: 'POST', body: 'payload' })).status, 400)
  assert.equal((await ask(`/v2/a/manifests/${other}`, { method: 'PUT', body: '{}' })).status, 400)
})

test('referrers are listed after a push that announces the subject', async () => {
  const subject = registry.manifest('refs', { schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [] })
  const body = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: 'x/y', layers: [], subject })
  const put = await ask('/v2/refs/manifests/r', { method: 'PUT', body, headers: { 'content-type': OCI_MANIFEST } })
  assert.equal(put.headers.get('oci-subject'), subject.digest)
  const listed = await ask(`/v2/refs/referrers/${subject.digest}`)
  assert.equal(listed.headers.get('content-type'), OCI_INDEX)
  assert.equal(((await listed.json()) as { manifests: unknown[] }).manifests.length, 1)
})

test('what it does not have is answered in the words of the specification', async () => {
  for (const [path, code] of [
    ['/v2/a/manifests/none', 'MANIFEST_UNKNOWN'],
    [`/v2/a/blobs/${digestOf(Buffer.from('none'))}`, 'BLOB_UNKNOWN'],
    ['/nothing', 'NAME_UNKNOWN'],
  ] as const) {
    const answer = await ask(path)
    assert.equal(answer.status, 404)
    assert.equal(((await answer.json()) as { errors: [{ code: string }] }).errors[0].code, code)
  }
  assert.equal((await ask('/v2/')).status, 200)
})

test('it misbehaves so many times as told, where told, and remembers what it was asked', async () => {
  const before = registry.seen.length
  registry.blob('odd', 'x')
  registry.misbehave('/odd/', { status: 503 }, 1)
  const path = `/v2/odd/blobs/${digestOf(Buffer.from('x'))}`
  assert.deepEqual([(await ask(path)).status, (await ask(path)).status], [503, 200])
  registry.misbehave(({ method }) => method === 'DELETE', { cut: 'at once' })
  await assert.rejects(ask(path, { method: 'DELETE' }))
  registry.behave()
  assert.deepEqual(
    registry.seen.slice(before).map(({ method }) => method),
    ['GET', 'GET', 'DELETE'],
  )
})
