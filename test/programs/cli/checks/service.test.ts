import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { isBeforeChange, service } from '../../../../programs/cli/checks/service.ts'
import { changed, pod, slice, sound, ward } from './ward.ts'

const THEIRS = 'ghcr.io/sigstore/policy-controller/policy-controller@sha256:abc'

test('two replicas that are ready are well', async (t) => deepEqual(await (await ward(t)).found(service), ['ok: 2 replicas are ready']))

for (const [what, endpoints, finding] of [
  ['no replica', [], 'wrong: no replica runs behind the Service'],
  ['none that is ready', [{ conditions: { ready: false } }, { conditions: { ready: false } }], 'wrong: none of 2 replicas is ready'],
  ['a single one', [{ conditions: { ready: true } }], 'warning: one replica is ready: while it is exchanged, nobody answers'],
] as const)
  test(`${what} is told`, async (t) => {
    const objects = sound().set('EndpointSlice webhook-abc', slice(endpoints))
    deepEqual(await (await ward(t, objects)).found(service), [finding])
  })

test('a Service that is missing, or has another port, is told', async (t) => {
  const objects = sound()
  objects.set('Service webhook', changed(objects.get('Service webhook'), ['spec', 'ports'], [{ port: 8443 }]))
  deepEqual(
    (await (await ward(t, objects)).found(service))[0],
    'wrong: the Service webhook has no port 443, which the webhook configurations name',
  )
  objects.delete('Service webhook')
  deepEqual(await (await ward(t, objects)).found(service), ['wrong: there is no Service webhook in cosign-system'])
})

test('the sigstore policy controller behind the Service is what there is before the change-over', async (t) => {
  const objects = sound().set('Pod webhook-1', pod('webhook-1', THEIRS)).set('Pod webhook-2', pod('webhook-2', THEIRS))
  deepEqual((await (await ward(t, objects)).found(service))[1], 'warning: the sigstore policy controller answers behind the Service')
})

test('it is before the change-over while nobody else answers', async (t) => {
  const objects = sound().set('Pod webhook-1', pod('webhook-1', THEIRS))
  const both = await ward(t, objects)
  equal(await isBeforeChange(both.reader, both.patient.settings), false)
  const before = await ward(t, objects.set('Pod webhook-2', pod('webhook-2', THEIRS)))
  equal(await isBeforeChange(before.reader, before.patient.settings), true)
  const after = await ward(t)
  equal(await isBeforeChange(after.reader, after.patient.settings), false)
})

test('two controllers behind one Service are wrong', async (t) => {
  const objects = sound().set('Pod webhook-1', pod('webhook-1', THEIRS))
  deepEqual(
    (await (await ward(t, objects)).found(service))[1],
    'wrong: two controllers answer behind the Service: webhook-1 of the sigstore policy controller, and webhook-2',
  )
})
