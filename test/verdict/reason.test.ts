import assert from 'node:assert/strict'
import { test } from 'node:test'
import { catalogue, hintOf, outcomeOf, quoted, sentenceOf } from '../../src/verdict/reason.ts'

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
