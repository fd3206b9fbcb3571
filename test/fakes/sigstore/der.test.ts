import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bits,
  bool,
  explicit,
  generalizedTime,
  implicit,
  integer,
  octets,
  oid,
  pem,
  sequence,
  setOf,
  time,
  tlv,
  utf8,
} from '../../../fakes/sigstore/der.ts'

for (const [what, der, hex] of [
  ['a small integer', integer(5), '020105'],
  ['an integer whose first bit is set', integer(0x80), '02020080'],
  ['an integer with zeros before it', integer(Buffer.from([0, 0, 1, 0])), '02020100'],
  ['an OID with arcs above 127', oid('1.2.840.113549'), '06062a864886f70d'],
  ['true', bool(true), '0101ff'],
  ['octets in a sequence', sequence(octets(Buffer.from([1]))), '3003040101'],
  ['bits, none of them unused', bits(Buffer.from([1])), '03020001'],
  ['explicit and implicit tags', explicit(0, implicit(1, Buffer.from('a'))), 'a003810161'],
  ['a set, whose members are sorted', setOf(utf8('b'), utf8('a')), '31060c01610c0162'],
  ['a length of two bytes', tlv(4, Buffer.alloc(200)).subarray(0, 3), '0481c8'],
  ['a length of three bytes', tlv(4, Buffer.alloc(300)).subarray(0, 4), '0482012c'],
] as const)
  test(`${what} is ${hex}`, () => assert.equal(der.toString('hex'), hex))

test('a time is a UTCTime up to 2049, then a GeneralizedTime', () => {
  assert.equal(
    time(Date.UTC(2026, 0, 2, 3, 4, 5, 678))
      .subarray(2)
      .toString(),
    '260102030405Z',
  )
  assert.equal(time(Date.UTC(2050)).subarray(2).toString(), '20500101000000Z')
  assert.equal(generalizedTime(Date.UTC(2026)).at(0), 0x18)
})

test('PEM has lines of 64 characters and a newline at its end', () => {
  assert.equal(pem('X', Buffer.alloc(49)), `-----BEGIN X-----\n${'A'.repeat(64)}\nAA==\n-----END X-----\n`)
})
