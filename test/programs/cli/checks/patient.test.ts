import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { at, listAt, textAt, unread } from '../../../../programs/cli/checks/patient.ts'
import { ward } from './ward.ts'

test('an object is read once, however many checks look at it', async (t) => {
  const { cluster, reader } = await ward(t)
  const path = '/api/v1/namespaces/cosign-system/services/webhook'
  const [first, second] = await Promise.all([reader.one(path), reader.one(path)])
  equal(first, second)
  equal(cluster.count('get', 'services'), 1)
})

test('what does not exist is no failure', async (t) =>
  deepEqual(await (await ward(t)).reader.one('/api/v1/namespaces/cosign-system/services/other'), { ok: true, value: undefined }))

test('a collection is read page by page', async (t) => {
  const { cluster, reader } = await ward(t)
  for (let i = 0; i < 700; i++) cluster.store.put({ kind: 'Pod', metadata: { name: `p-${i}`, namespace: 'many' } })
  const got = await reader.all('/api/v1/namespaces/many/pods')
  equal(got.ok && got.value.length, 700)
  equal(cluster.count('list', 'pods'), 2)
})

test('what may not be read is not known, and what to do says so', async (t) => {
  const { cluster, reader } = await ward(t)
  cluster.deny('list', 'pods', 'shop')
  const got = await reader.all('/api/v1/namespaces/shop/pods')
  if (got.ok) throw new Error('it was read')
  const { level, what, mend } = unread('Pods', got)
  equal(level, 'unknown')
  equal(what.startsWith('Pods may not be read: pods is forbidden'), true)
  equal(mend, 'use a kubeconfig of somebody who may')
})

test('fields are read whatever the object is', () => {
  const object = { a: { b: [{ c: 'd' }, 7] } }
  equal(at(object, 'a', 'b', 1), 7)
  equal(textAt(object, 'a', 'b', 0, 'c'), 'd')
  equal(textAt(object, 'a', 'b', 1), '')
  deepEqual(listAt(object, 'a', 'b'), [{ c: 'd' }])
  deepEqual([at(undefined, 'a'), listAt('text', 'a')], [undefined, []])
})
