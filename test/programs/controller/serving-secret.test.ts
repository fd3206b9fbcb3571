import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import type { Next, Serving } from '../../../programs/controller/serving-secret.ts'
import {
  annotationsAfter,
  askedFor,
  dataOf,
  firstServing,
  isGivenSecret,
  nextServing,
  servingIn,
} from '../../../programs/controller/serving-secret.ts'
import { mint, mintAuthority, servingNames } from '../../../programs/webhook/certificate.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const names = { service: 'webhook', namespace: 'cosign-system' }
const HOST = 'webhook.cosign-system.svc'
const start = new Date('2026-01-31T12:00:00Z')
const after = (milliseconds: number): Date => new Date(start.getTime() + milliseconds)
const first = await firstServing([], names, start)
const secretOf = (serving: Serving, more: object = {}) => ({ type: 'Opaque', data: dataOf(serving), ...more })
const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** What is done `later` than the start, where every configuration has told of the CAs for `published` ms. */
const next = (serving: Serving, later: number, more: { published?: number | undefined; isAsked?: boolean } = {}): Promise<Next> =>
  nextServing(serving, {
    names,
    now: after(later),
    overlap: 5 * MINUTE,
    publishedFor: () => ('published' in more ? more.published : DAY),
    isAsked: more.isAsked ?? false,
  })
const writes = async (...given: Parameters<typeof next>): Promise<Serving> => {
  const step = await next(...given)
  if (step.do !== 'write') throw new Error(`waits ${step.again}`)
  return step.serving
}
const vouchedBy = (serving: Serving): readonly number[] =>
  serving.authorities.flatMap((ca, i) => (new X509Certificate(serving.certificate).checkIssued(new X509Certificate(ca)) ? [i] : []))

test('the Secret has the entries that the policy controller reads, and the key of the CA besides', () => {
  const data = dataOf(first)
  deepEqual(Object.keys(data), ['server-cert.pem', 'server-key.pem', 'ca-cert.pem', 'ca-key.pem'])
  deepEqual(servingIn(secretOf(first), HOST, start), first)
})

test('what the policy controller has made is served with, without a key of its CA', async () => {
  const { 'ca-key.pem': _key, ...theirs } = dataOf(first)
  equal(_key?.length === 0, false)
  deepEqual(servingIn({ data: theirs }, HOST, start), { ...first, caKey: undefined })
})

for (const [what, secret] of [
  ['no Secret', undefined],
  ['an empty one', { type: 'Opaque' }],
  ['nonsense', { data: { 'server-cert.pem': base64('x'), 'server-key.pem': 1, 'ca-cert.pem': 'x' } }],
  ['a key of another certificate', { data: { ...dataOf(first), 'server-key.pem': dataOf(first)['ca-key.pem'] } }],
  ['a CA that did not sign', { data: { ...dataOf(first), 'ca-cert.pem': base64((await mintAuthority(start)).ca) } }],
  ['no CA', { data: { ...dataOf(first), 'ca-cert.pem': '' } }],
] as const)
  test(`nothing can be served with ${what}`, () => equal(servingIn(secret, HOST, start), undefined))

test('nothing can be served with a certificate that has ended, has not begun, or is for another Service', () => {
  for (const now of [after(90 * DAY), after(-DAY)]) equal(servingIn(secretOf(first), HOST, now), undefined)
  equal(servingIn(secretOf(first), 'webhook.elsewhere.svc', start), undefined)
})

test('a certificate that serves for long is left alone', async () => {
  const step = await next(first, 0)
  ok(step.do === 'wait' && step.again > MINUTE)
  equal((await next(first, 59 * DAY)).do, 'wait')
})

test('a certificate that ends within 30 days is renewed under the same CA, at once: nobody has to be told', async () => {
  const renewed = await writes(first, 61 * DAY)
  deepEqual([renewed.authorities, renewed.caKey], [first.authorities, first.caKey])
  notEqual(renewed.certificate, first.certificate)
  ok(servingIn(secretOf(renewed), HOST, after(61 * DAY)))
})

test('another CA is told of first, then signs, and only then the old one goes', async () => {
  const told = await writes(first, DAY, { isAsked: true })
  deepEqual([told.certificate, told.authorities.length, told.authorities[0]], [first.certificate, 2, first.authorities[0]])
  deepEqual(vouchedBy(told), [0])

  // Not while an API server may not have heard of it.
  for (const published of [undefined, 0, 4 * MINUTE]) equal((await next(told, DAY + 10 * MINUTE, { published })).do, 'wait')
  const exchanged = await writes(told, DAY + 10 * MINUTE, { published: 5 * MINUTE })
  deepEqual([exchanged.authorities, vouchedBy(exchanged)], [told.authorities, [1]])

  // Not while a replica may still serve with what it signed.
  equal((await next(exchanged, DAY + 14 * MINUTE)).do, 'wait')
  const last = await writes(exchanged, DAY + 16 * MINUTE)
  deepEqual([last.authorities, vouchedBy(last)], [told.authorities.slice(1), [0]])
  equal((await next(last, DAY + 17 * MINUTE)).do, 'wait')
})

test('what the policy controller has made is exchanged in the same steps when two thirds of its week are over', async () => {
  // Its CA and certificate last for seven days, and the key of the CA is nowhere.
  const ca = await mintAuthority(start)
  const signed = await mint(ca, servingNames('webhook', 'cosign-system', ''), after(-85 * DAY))
  const theirs: Serving = { certificate: signed.certificate, key: signed.key, authorities: [ca.ca], caKey: undefined, isGiven: false }
  const told = await writes(theirs, 0)
  deepEqual([told.certificate, told.authorities.length], [theirs.certificate, 2])
  ok(told.caKey)
  equal((await next({ ...first, caKey: undefined }, DAY)).do, 'wait')
})

test('a certificate that is about to end is exchanged though not everybody may have been told', async () => {
  const told = await writes(first, DAY, { isAsked: true })
  equal((await next(told, 90 * DAY - 20 * MINUTE, { published: undefined })).do, 'wait')
  deepEqual(vouchedBy(await writes(told, 90 * DAY - 9 * MINUTE, { published: undefined })), [1])
})

test('a CA is exchanged a year before it ends', async () => {
  const late = 4.1 * 365 * DAY
  const again = await mint({ ca: first.authorities[0]!, caKey: first.caKey! }, servingNames('webhook', 'cosign-system', ''), after(late))
  const told = await writes({ ...first, certificate: again.certificate, key: again.key }, late)
  equal(told.authorities.length, 2)
})

test('however often another is asked for, few CAs are trusted', async () => {
  let serving = first
  for (let i = 0; i < 20; i++) serving = await writes(serving, i * MINUTE, { isAsked: true })
  equal(serving.authorities.length, 2)
})

test('a Secret that cert-manager writes is served with and recognised', () => {
  const tls = {
    type: 'kubernetes.io/tls',
    data: { 'tls.crt': base64(first.certificate), 'tls.key': base64(first.key), 'ca.crt': base64(first.authorities.join('')) },
  }
  deepEqual(servingIn(tls, HOST, start), { ...first, caKey: undefined, isGiven: true })
  ok(isGivenSecret({ type: 'Opaque', metadata: { annotations: { 'cert-manager.io/certificate-name': 'webhook' } } }))
  equal(isGivenSecret(secretOf(first)), false)
  equal(servingIn({ type: 'kubernetes.io/tls', data: { 'tls.crt': '', 'tls.key': '' } }, HOST, start), undefined)
})

test('what was asked for with an annotation is done once', () => {
  const asking = (annotations: object) => ({ metadata: { name: 'webhook-certs', annotations } })
  const asked = asking({ 'policy.sigstore.dev/refresh': 'now' })
  equal(askedFor(asked), 'now')
  const done = annotationsAfter(asked, 'now')
  equal(askedFor(asking(done)), undefined)
  match(JSON.stringify(done), /"policy.sigstore.dev\/refreshed":"now"/)
  equal(askedFor(asking({ ...done, 'policy.sigstore.dev/refresh': 'again' })), 'again')
  equal(askedFor(undefined), undefined)
})
