import { equal, match } from 'node:assert/strict'
import { test } from 'node:test'
import { certificates } from '../../../../programs/cli/checks/certificates.ts'
import { changed, sound, ward } from './ward.ts'

const KEY = 'Secret webhook-certs'

test('it says until when the certificate is good, and who renews it', async (t) => {
  const [found = '', ...more] = await (await ward(t)).found(certificates)
  match(found, /^ok: it is good until \d{4}-.*Z, and the controller renews it$/)
  equal(more.length, 0)
})

test('one that is about to end was not renewed', async (t) => {
  const one = await ward(t)
  const ends = Date.parse((await one.found(certificates))[0]?.match(/until (\S+),/)?.[1] ?? '')
  one.patient = { ...one.patient, now: new Date(ends - 60 * 60 * 1000) }
  match((await one.found(certificates))[0] ?? '', /^warning: it ends at /)
})

test('a Secret that is missing or holds nothing is told', async (t) => {
  const objects = sound()
  objects.set(KEY, changed(objects.get(KEY), ['data'], {}))
  match(
    (await (await ward(t, objects)).found(certificates))[0] ?? '',
    /^wrong: the Secret webhook-certs holds no certificate that API servers believe for webhook\.cosign-system\.svc$/,
  )
  objects.delete(KEY)
  equal((await (await ward(t, objects)).found(certificates))[0], 'wrong: there is no Secret webhook-certs in cosign-system')
})
