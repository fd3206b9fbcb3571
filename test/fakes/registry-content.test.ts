import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Content, OCI_INDEX, OCI_MANIFEST } from '../../fakes/registry-content.ts'
import { digestOf } from '../../src/image/digest.ts'

const MANIFEST = { schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [] }

test('a manifest is found by its digest and by its tags, in its repository only', () => {
  const content = new Content()
  const { digest, mediaType } = content.manifest('team/app', MANIFEST, 'v1')
  assert.equal(mediaType, OCI_MANIFEST)
  assert.equal(content.find('team/app', digest)?.digest, digest)
  assert.equal(content.find('team/app', 'v1')?.digest, digest)
  assert.equal(content.find('team/other', digest), undefined)
  assert.deepEqual(content.tags('team/app'), ['v1'])
})

test('a manifest that does not say its media type is an index when it has manifests', () => {
  const content = new Content()
  assert.equal(content.manifest('a', { manifests: [] }).mediaType, OCI_INDEX)
  assert.equal(content.manifest('a', { layers: [] }).mediaType, OCI_MANIFEST)
  assert.equal(content.manifest('a', Buffer.from('garbage')).mediaType, OCI_MANIFEST)
})

test('a tag with several digests gives one after the other', () => {
  const content = new Content()
  const one = content.manifest('a', { ...MANIFEST, n: 1 }).digest
  const two = content.manifest('a', { ...MANIFEST, n: 2 }).digest
  content.tag('a', 'moving', [one, two])
  assert.deepEqual(
    [1, 2, 3].map(() => content.find('a', 'moving')?.digest),
    [one, two, one],
  )
})

test('referrers are listed in the order in which they came, with artifact type and annotations', () => {
  const content = new Content()
  const subject = content.manifest('a', MANIFEST).digest
  const first = content.manifest('a', { ...MANIFEST, artifactType: 'x/y', subject: { digest: subject }, annotations: { k: 'v' } })
  const second = content.manifest('a', { ...MANIFEST, config: { mediaType: 'c/d' }, subject: { digest: subject } })
  assert.deepEqual(content.referrers('a', subject, undefined), [
    { ...first, artifactType: 'x/y', annotations: { k: 'v' } },
    { ...second, artifactType: 'c/d' },
  ])
  assert.equal(content.referrers('a', subject, 'c/d').length, 1)
  assert.equal(content.subjectOf('a', first.digest), subject)
  assert.equal(content.subjectOf('a', subject), undefined)
})

test('content can be made to contradict its digest', () => {
  const content = new Content()
  const { digest } = content.blob('a', 'right')
  content.falsify('a', digest, Buffer.from('wrong'))
  assert.notEqual(digestOf(content.readBlob('a', digest) ?? new Uint8Array()), digest)
})
