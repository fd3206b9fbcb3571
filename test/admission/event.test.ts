import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { happenings } from '../../src/admission/event.ts'
import { allowed, denied } from '../../src/admission/response.ts'
import type { Review } from '../../src/admission/review.ts'
import { allOf, because, type Decision } from '../../src/verdict/decision.ts'

const OWNER = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'u-1', controller: true }
const review = (metadata: object = { name: 'web-1-x', ownerReferences: [OWNER] }, more: Partial<Review> = {}): Review => ({
  uid: 'r',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  operation: 'CREATE',
  subResource: '',
  namespace: 'shop',
  name: '',
  user: 'system:serviceaccount:kube-system:replicaset-controller',
  object: { metadata } as unknown as Review['object'],
  oldObject: null,
  ...more,
})
const policy = (name: string, mode: 'enforce' | 'warn', passes = false): Decision =>
  because({ about: 'policy', name, mode }, passes ? { code: 'static-pass' } : { code: 'static-fail', message: 'not today' })
const decision = (...policies: Decision[]): Decision =>
  allOf({ about: 'request' }, [allOf({ about: 'image', written: 'a/b:c', paths: [] }, policies, { code: 'no-matching-policies' })], {
    code: 'nothing-to-check',
  })
const refusal = (r: Review) => denied(r, 'validation failed: failed policy: p: spec.containers[0].image\na/b:c disallowed')

test('a refusal is told on each policy that refused, and on what made the object', () => {
  const r = review()
  deepEqual(happenings(r, refusal(r), decision(policy('p', 'enforce'), policy('q', 'enforce', true), policy('w', 'warn'))), [
    {
      reason: 'Refused',
      about: { is: 'owner', apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'u-1', namespace: 'shop' },
      message: 'Pod shop/web-1-x: validation failed: failed policy: p: spec.containers[0].image\na/b:c disallowed',
    },
    {
      reason: 'Refused',
      about: { is: 'policy', name: 'p' },
      message: 'Pod shop/web-1-x: a/b:c disallowed by static policy: not today',
    },
    {
      reason: 'Warned',
      about: { is: 'policy', name: 'w' },
      message: 'Pod shop/web-1-x: a/b:c disallowed by static policy: not today',
    },
  ])
})

test('warnings are told as well: nobody sees those that a controller gets', () => {
  const r = review()
  deepEqual(
    happenings(r, allowed(r, ['failed policy: w']), decision(policy('w', 'warn'))).map((h) => [h.reason, h.about.is]),
    [
      ['Warned', 'owner'],
      ['Warned', 'policy'],
    ],
  )
})

test('what is let in, and a dry run, leave no trace', () => {
  const r = review()
  deepEqual(happenings(r, allowed(r), decision(policy('q', 'enforce', true))), [])
  const dry = review(undefined, { isDryRun: true })
  deepEqual(happenings(dry, refusal(dry), decision(policy('p', 'enforce'))), [])
})

test('an object of nobody has no owner to be told, and one without a name is called after what makes its name', () => {
  for (const metadata of [
    { generateName: 'web-' },
    { generateName: 'web-', ownerReferences: 'nonsense' },
    { generateName: 'web-', ownerReferences: [{ ...OWNER, controller: false }, 7, null] },
    { generateName: 'web-', ownerReferences: [{ ...OWNER, name: 'x'.repeat(254) }] },
    { generateName: 'web-', ownerReferences: [{ ...OWNER, uid: '' }] },
  ]) {
    const r = review(metadata)
    deepEqual(
      happenings(r, refusal(r), decision(policy('p', 'enforce'))).map((h) => h.message.slice(0, 14)),
      ['Pod shop/web-:'],
    )
  }
  const r = review(undefined, { object: null })
  equal(happenings(r, refusal(r), undefined).length, 0)
})

test('a message is no longer than the API server takes, whatever stands in the request', () => {
  const r = review({ name: 'web', ownerReferences: [OWNER] })
  const [told] = happenings(r, denied(r, 'ü😀'.repeat(2_000)), undefined)
  const bytes = Buffer.byteLength(told?.message ?? '')
  equal(bytes > 900 && bytes <= 1024, true)
  equal(told?.message.includes('\uFFFD'), false)
})

test('of one request few policies are told', () => {
  const r = review({ name: 'web' })
  const many = Array.from({ length: 100 }, (_, i) => policy(`p${i}`, 'enforce'))
  equal(happenings(r, refusal(r), decision(...many, policy('p0', 'enforce'))).length, 16)
})
