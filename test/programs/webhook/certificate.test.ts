import { deepEqual, equal, notEqual, ok } from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { describe, renewed, servingNames, whyNotServing } from '../../../programs/webhook/certificate.ts'

const DAY = 24 * 60 * 60 * 1000
const now = new Date('2026-01-31T12:00:00Z')
const names = servingNames('webhook', 'cosign-system', '::')
const made = await renewed(undefined, names, now)
const leaf = new X509Certificate(made.certificate)

test('the certificate is good for the Service under all its names, and for this machine', () => {
  for (const name of [
    'webhook',
    'webhook.cosign-system',
    'webhook.cosign-system.svc',
    'webhook.cosign-system.svc.cluster.local',
    'localhost',
  ])
    ok(leaf.checkHost(name), name)
  for (const ip of ['127.0.0.1', '::1']) ok(leaf.checkIP(ip), ip)
  equal(leaf.checkHost('webhook.other.svc'), undefined)
})

test('an address of its own is one of the names', () => ok(servingNames('webhook', 'x', '10.0.0.7').includes('10.0.0.7')))

test('the certificate is signed by the CA, which may sign nothing but certificates of servers', () => {
  const ca = new X509Certificate(made.ca)
  ok(leaf.checkIssued(ca) && leaf.verify(ca.publicKey))
  deepEqual([ca.ca, leaf.ca, leaf.keyUsage], [true, false, ['1.3.6.1.5.5.7.3.1']])
  equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
})

test('what still serves is used again', async () => equal(await renewed(made, names, new Date(now.getTime() + 50 * DAY)), made))

for (const [what, later, more] of [
  ['it ends within 30 days', 61 * DAY, names],
  ['a name is missing', 0, [...names, '10.0.0.7']],
] as const)
  test(`when ${what}, the same CA signs another`, async () => {
    const next = await renewed(made, more, new Date(now.getTime() + later))
    equal(next.ca, made.ca)
    notEqual(next.certificate, made.certificate)
    ok(new X509Certificate(next.certificate).checkIssued(new X509Certificate(next.ca)))
  })

test('when the CA ends within a year, all is new', async () => {
  const next = await renewed(made, names, new Date(now.getTime() + 4.1 * 365 * DAY))
  notEqual(next.ca, made.ca)
})

for (const [what, before] of [
  ['a key of another certificate', { ...made, key: made.caKey }],
  ['a CA that is none', { ...made, ca: made.certificate, caKey: made.key }],
  ['no PEM at all', { certificate: 'a', key: 'b', ca: 'c', caKey: 'd' }],
] as const)
  test(`${what} is not used again`, async () => {
    const next = await renewed(before, names, now)
    notEqual(next.certificate, made.certificate)
    equal(whyNotServing(next.certificate, next.key), undefined)
  })

for (const [what, certificate, key, why] of [
  ['a pair', made.certificate, made.key, undefined],
  ['a foreign key', made.certificate, made.caKey, 'the key is not that of the certificate'],
  ['a key that is none', made.certificate, 'x', 'the key cannot be read'],
  ['a certificate that is none', 'x', made.key, 'the certificate cannot be read'],
] as const)
  test(`${what} ${why === undefined ? 'serves' : `does not serve: ${why}`}`, () => equal(whyNotServing(certificate, key), why))

test('a description says when it ends, and the fingerprint as openssl prints it', () => {
  const { ends, fingerprint } = describe(made.certificate)
  equal(ends.getTime(), now.getTime() + 90 * DAY)
  ok(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/.test(fingerprint))
})
