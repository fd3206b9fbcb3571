import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { quotedInGo } from '../../src/image/quote.ts'

for (const [text, quoted] of [
  ['', '""'],
  ['foo', '"foo"'],
  ['a"b\\c', '"a\\"b\\\\c"'],
  ['a\n\t\r\u0007\b\f\v', '"a\\n\\t\\r\\a\\b\\f\\v"'],
  ['\u0000\u007f', '"\\x00\\x7f"'],
  ['é*', '"é*"'],
  ['\u00a0\u2028', '"\\u00a0\\u2028"'],
  ['🙂', '"🙂"'],
  ['\u{e0001}', '"\\U000e0001"'],
  ['\ud800', '"\ufffd"'],
] as const)
  test(`${JSON.stringify(text)} is quoted as ${quoted}`, () => assert.equal(quotedInGo(text), quoted))

test('what is quoted is on one line and printable', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => /^"[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*"$/.test(quotedInGo(text))))
})
