import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Decision, Question } from '../../src/verdict/decision.ts'
import { allOf, anyOf, because } from '../../src/verdict/decision.ts'
import type { Outcome } from '../../src/verdict/reason.ts'

const question: Question = { about: 'check', check: 'it holds' }
const ifNone = { code: 'no-signatures' } as const
const pass = because(question, { code: 'static-pass' })
const fail = because(question, { code: 'no-matching-policies' })
const unknown = because(question, { code: 'deadline' })

const rows: readonly [readonly Decision[], Outcome, Outcome][] = [
  [[pass], 'pass', 'pass'],
  [[fail], 'fail', 'fail'],
  [[unknown], 'unknown', 'unknown'],
  [[pass, pass], 'pass', 'pass'],
  [[pass, fail], 'fail', 'pass'],
  [[pass, unknown], 'unknown', 'pass'],
  [[fail, unknown], 'fail', 'unknown'],
  [[fail, fail], 'fail', 'fail'],
  [[unknown, unknown], 'unknown', 'unknown'],
  [[pass, fail, unknown], 'fail', 'pass'],
]

for (const [parts, all, any] of rows) {
  const names = parts.map((p) => p.outcome).join(', ')
  test(`all of ${names} is ${all}`, () => assert.equal(allOf(question, parts, ifNone).outcome, all))
  test(`any of ${names} is ${any}`, () => assert.equal(anyOf(question, parts, ifNone).outcome, any))
}

test('an empty list answers with the stated reason, and never passes by silence', () => {
  for (const empty of [allOf(question, [], ifNone), anyOf(question, [], ifNone)]) {
    assert.equal(empty.outcome, 'fail')
    assert.deepEqual(empty.reason, ifNone)
  }
})

test('the outcome of a leaf is what the catalogue says of its reason', () => {
  assert.equal(pass.outcome, 'pass')
  assert.equal(fail.outcome, 'fail')
  assert.equal(unknown.outcome, 'unknown')
})
