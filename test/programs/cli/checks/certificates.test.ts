import { equal, match } from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../../../fakes/cluster-store.ts'
import { certificates } from '../../../../programs/cli/checks/certificates.ts'
import { firstServing } from '../../../../programs/controller/serving-secret.ts'
import { changed, serving, sound, ward } from './ward.ts'

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

const deployed = (option: string): StoredObject => ({
  kind: 'Deployment',
  metadata: { name: 'webhook', namespace: 'cosign-system' },
  spec: {
    template: {
      spec: {
        containers: [{ args: ['serve', option], volumeMounts: [{ name: 'tls', mountPath: '/tls' }] }],
        volumes: [{ name: 'tls', secret: { secretName: 'webhook-tls' } }],
      },
    },
  },
})
const given = (data: object): StoredObject => ({ kind: 'Secret', metadata: { name: 'webhook-tls', namespace: 'cosign-system' }, data })
const base64 = (text: string): string => Buffer.from(text).toString('base64')

test('a certificate of cert-manager is looked at in its own Secret, and the one that nobody uses is not asked for', async (t) => {
  const objects = sound()
  objects.delete(KEY)
  objects.set('Deployment webhook', deployed('--tls-cert=/tls/tls.crt'))
  const found = async (): Promise<string> => (await (await ward(t, objects)).found(certificates)).join('\n')
  match(await found(), /^wrong: the Secret webhook-tls, where \/tls\/tls\.crt comes from, is missing, so no replica starts$/)
  objects.set('Secret webhook-tls', given({ 'tls.crt': base64('none') }))
  match(await found(), /^wrong: .* has no certificate as tls\.crt$/)
  objects.set('Secret webhook-tls', given({ 'tls.crt': base64(serving.certificate) }))
  match(await found(), /^ok: it is good until \S+Z, and whoever writes the Secret webhook-tls \(cert-manager\) renews it$/)
  const { certificate } = await firstServing([], { service: 'other', namespace: 'cosign-system' }, new Date())
  objects.set('Secret webhook-tls', given({ 'tls.crt': base64(certificate) }))
  match(await found(), /^wrong: .* is not for webhook\.cosign-system\.svc, so API servers do not believe it$/)
})

test('of a certificate in a file that no Secret holds only its place is told', async (t) => {
  const objects = sound()
  objects.set('Deployment webhook', deployed('--tls-cert=/elsewhere/tls.crt'))
  match((await (await ward(t, objects)).found(certificates))[0] ?? '', /^note: it comes from \/elsewhere\/tls\.crt/)
})
