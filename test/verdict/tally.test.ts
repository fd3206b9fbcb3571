import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Decision } from '../../src/verdict/decision.ts'
import { allOf, anyOf, because } from '../../src/verdict/decision.ts'
import { tally } from '../../src/verdict/tally.ts'

const none = { code: 'nothing-to-check' } as const
const image = (...parts: Decision[]): Decision =>
  allOf({ about: 'image', written: 'busybox', paths: ['spec.containers[0].image'] }, parts, { code: 'no-matching-policies' })
const policy = (name: string, mode: 'enforce' | 'warn', ...parts: Decision[]): Decision =>
  anyOf({ about: 'policy', name, mode }, parts, { code: 'policy-without-authorities', policy: name })
const check = { about: 'check', check: 'x' } as const
const request = (...images: Decision[]): Decision => allOf({ about: 'request' }, images, none)

test('each policy is counted once an image, by what decided it', () => {
  const passed = policy('a', 'enforce', because(check, { code: 'no-signatures' }), because(check, { code: 'static-pass' }))
  const failed = policy('b', 'warn', because(check, { code: 'no-signatures' }), because(check, { code: 'no-referrers' }))
  const unknown = policy('c', 'enforce', because(check, { code: 'no-signatures' }), because(check, { code: 'deadline' }))
  deepEqual(tally(request(image(passed, failed), image(unknown))), [
    { policy: 'a', mode: 'enforce', outcome: 'pass', code: 'static-pass' },
    { policy: 'b', mode: 'warn', outcome: 'fail', code: 'no-signatures' },
    { policy: 'c', mode: 'enforce', outcome: 'unknown', code: 'deadline' },
  ])
})

test('an image that no policy spoke about is counted without one', () =>
  deepEqual(tally(request(image())), [{ policy: undefined, mode: undefined, outcome: 'fail', code: 'no-matching-policies' }]))

test('an image refused before policies were asked is counted by its reason', () => {
  const unparsable = because({ about: 'image', written: '//', paths: ['p'] }, { code: 'image-unparsable', image: '//' })
  deepEqual(tally(request(unparsable)), [{ policy: undefined, mode: undefined, outcome: 'fail', code: 'image-unparsable' }])
})

test('a request without images is counted once', () => {
  const [counted, ...more] = tally(request())
  deepEqual([counted?.code, more], ['nothing-to-check', []])
})
