import assert from 'node:assert/strict'
import { test } from 'node:test'
import { catalogue, hintOf, oneLine, outcomeOf, quoted, sentenceOf } from '../../src/verdict/reason.ts'

test('every reason has a next step for a person', () => {
  for (const [code, row] of Object.entries(catalogue)) assert.ok(row.hint.length > 0, code)
})

test('reason codes are lower-case words joined by hyphens, as metrics and audit annotations need them', () => {
  for (const code of Object.keys(catalogue)) assert.match(code, /^[a-z]+(-[a-z]+)*$/)
})

test('only a proven fact passes', () => {
  const passes = Object.entries(catalogue).filter(([, row]) => row.outcome === 'pass')
  assert.deepEqual(passes.map(([code]) => code).toSorted(), [
    'attested',
    'certificate-logged',
    'certificate-trusted',
    'identity-attested',
    'identity-matches',
    'identity-verified',
    'log-entry-verified',
    'nothing-to-check',
    'remembered',
    'signature-intact',
    'signature-verified',
    'static-pass',
    'timestamp-verified',
  ])
})

test('a sentence is made of its facts', () => {
  assert.equal(sentenceOf({ code: 'static-fail', message: 'no' }), 'disallowed by static policy: no')
  assert.equal(sentenceOf({ code: 'static-fail', message: '' }), 'disallowed by static policy: ')
  assert.equal(outcomeOf({ code: 'deadline' }), 'unknown')
  assert.match(hintOf({ code: 'deadline' }), /try again/)
})

test('quoted foreign text stays on one line and is cut', () => {
  assert.equal(quoted('a\nb\u0007`c'), '`a b  c`')
  assert.equal(quoted('x'.repeat(500)).length, 203)
})

test('foreign text in a specified text stays on one line and is cut, so that nobody writes lines that look like ours', () => {
  const forged = 'x\nfailed policy: p: allowed\u001b[2J'
  for (const reason of [
    { code: 'image-unparsable', image: forged },
    { code: 'payload-other-image', digest: forged },
    { code: 'attestation-other-type', wanted: 't', found: [forged] },
    { code: 'attested', predicateType: forged, keyId: 'k' },
    { code: 'identity-attested', predicateType: forged, subjects: [forged], issuer: forged },
    { code: 'statement-other-type', predicateType: forged },
  ] as const)
    assert.doesNotMatch(sentenceOf(reason), /[\u0000-\u001f]/, reason.code)
  assert.equal(sentenceOf({ code: 'image-unparsable', image: 'in@valid' }), 'could not parse reference: in@valid')
  assert.equal(sentenceOf({ code: 'image-unparsable', image: 'x'.repeat(3_000_000) }).length, 'could not parse reference: '.length + 1025)
  assert.equal(oneLine('as it is'), 'as it is')
})
