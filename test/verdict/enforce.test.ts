import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Decision, Question } from '../../src/verdict/decision.ts'
import { allOf, anyOf, because } from '../../src/verdict/decision.ts'
import { errorText, warningLines } from '../../src/verdict/diagnostic.ts'
import { enforce } from '../../src/verdict/enforce.ts'

const nobody = { code: 'no-matching-policies' } as const

function request(...images: Decision[]): Decision {
  return allOf({ about: 'request' }, images, { code: 'nothing-to-check' })
}
function image(...policies: Decision[]): Decision {
  return allOf({ about: 'image', written: 'app@sha256:aa', paths: ['spec.containers[0].image'] }, policies, nobody)
}
function policy(name: string, mode: 'enforce' | 'warn', ...parts: Decision[]): Decision {
  return anyOf({ about: 'policy', name, mode }, parts, { code: 'policy-without-authorities', policy: name })
}
const authority: Question = { about: 'authority', name: 'a', by: 'static', image: 'registry/app@sha256:aa' }
const pass = because(authority, { code: 'static-pass' })
const fail = because(authority, { code: 'static-fail', message: 'no' })
const unknown = because(authority, { code: 'deadline' })

for (const [name, decision, allowed, errors, warnings] of [
  ['a policy that passes admits', policy('p', 'enforce', pass), true, '', []],
  [
    'a policy that fails refuses, with image and reason on the next line',
    policy('p', 'enforce', fail),
    false,
    'failed policy: p: spec.containers[0].image\napp@sha256:aa disallowed by static policy: no',
    [],
  ],
  [
    'a policy that could not be decided refuses',
    policy('p', 'enforce', unknown),
    false,
    'failed policy: p: spec.containers[0].image\napp@sha256:aa context was canceled before validation completed',
    [],
  ],
  [
    'a policy in warn mode that fails admits with a warning',
    policy('p', 'warn', fail),
    true,
    '',
    ['failed policy: p: spec.containers[0].image', 'app@sha256:aa disallowed by static policy: no'],
  ],
  [
    'a policy in warn mode that could not be decided admits with a warning',
    policy('p', 'warn', unknown),
    true,
    '',
    ['failed policy: p: spec.containers[0].image', 'app@sha256:aa context was canceled before validation completed'],
  ],
  ['one authority that passes is enough', policy('p', 'enforce', fail, unknown, pass), true, '', []],
  [
    'the reasons of several authorities stand on one line in the order of the policy',
    policy('p', 'enforce', fail, unknown),
    false,
    'failed policy: p: spec.containers[0].image\napp@sha256:aa disallowed by static policy: no context was canceled before validation completed',
    [],
  ],
  [
    'a policy without authorities admits nobody',
    policy('p', 'enforce'),
    false,
    'failed policy: p: spec.containers[0].image\napp@sha256:aa failed to process policy: p',
    [],
  ],
] as const) {
  test(name, () => {
    const ruling = enforce(request(image(decision)), 'deny', 'spec')
    assert.equal(ruling.allowed, allowed)
    assert.equal(errorText(ruling.diagnostics), errors)
    assert.deepEqual(warningLines(ruling.diagnostics), warnings)
  })
}

test('every matching policy has to pass, and each failure is told in its own mode', () => {
  const ruling = enforce(
    request(image(policy('a', 'warn', fail), policy('b', 'enforce', fail), policy('c', 'enforce', pass))),
    'deny',
    'spec',
  )
  assert.equal(ruling.allowed, false)
  assert.match(errorText(ruling.diagnostics), /^failed policy: b:/)
  assert.equal(warningLines(ruling.diagnostics)[0], 'failed policy: a: spec.containers[0].image')
})

for (const [setting, allowed, errors, warnings] of [
  ['deny', false, 'no matching policies: spec.containers[0].image\napp@sha256:aa', []],
  ['warn', true, '', ['no matching policies: spec.containers[0].image', 'app@sha256:aa']],
  ['allow', true, '', []],
] as const) {
  test(`an image that no policy speaks about is ${allowed ? 'admitted' : 'refused'} when no-match-policy is ${setting}`, () => {
    const ruling = enforce(request(image()), setting, 'spec')
    assert.equal(ruling.allowed, allowed)
    assert.equal(errorText(ruling.diagnostics), errors)
    assert.deepEqual(warningLines(ruling.diagnostics), warnings)
  })
}

test('no-match-policy allow lets through the image that it is about, and no other of the same object', () => {
  assert.equal(enforce(request(image(), image(policy('p', 'enforce', fail))), 'allow', 'spec').allowed, false)
})

test('an image that is not a reference is refused in every mode', () => {
  const unparsable = because(
    { about: 'image', written: 'in@valid', paths: ['spec.containers[0].image'] },
    { code: 'image-unparsable', image: 'in@valid' },
  )
  const ruling = enforce(request(unparsable), 'allow', 'spec')
  assert.equal(ruling.allowed, false)
  assert.equal(errorText(ruling.diagnostics), 'could not parse reference: in@valid: spec.containers[0].image')
})

test('credentials that cannot be read are reported at the pod spec, and warn mode covers them too', () => {
  const unreadable = (mode: 'enforce' | 'warn') =>
    because({ about: 'policy', name: 'p', mode }, { code: 'credentials-unreadable', text: 'secrets "x" is forbidden' })
  const enforced = enforce(request(image(unreadable('enforce'))), 'deny', 'spec.template.spec')
  assert.equal(enforced.allowed, false)
  assert.equal(errorText(enforced.diagnostics), 'secrets "x" is forbidden: spec.template.spec')
  const warned = enforce(request(image(unreadable('warn'))), 'deny', 'spec')
  assert.equal(warned.allowed, true)
  assert.deepEqual(warningLines(warned.diagnostics), ['secrets "x" is forbidden: spec'])
})

test('an object without images has nothing to check', () => {
  assert.equal(enforce(request(), 'deny', 'spec').allowed, true)
})

test('the reason codes of everything that did not pass are told, each once and sorted', () => {
  assert.deepEqual(enforce(request(image(policy('a', 'warn', fail), policy('b', 'enforce', unknown, fail))), 'deny', 'spec').codes, [
    'deadline',
    'static-fail',
  ])
  assert.deepEqual(enforce(request(image(policy('a', 'enforce', fail, pass))), 'deny', 'spec').codes, [])
})
