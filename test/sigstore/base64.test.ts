import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64 } from '../../src/sigstore/base64.ts'

for (const [text, decoded] of [
  ['', ''],
  ['QUJD', 'ABC'],
  ['QUI=', 'AB'],
  ['QQ==', 'A'],
  ['QU\nJD\r\n', 'ABC'],
  ['QQ=\n=\n', 'A'],
  ['\nQUI=\r\n', 'AB'],
  ['QR==', 'A'], // bits behind the last byte are not looked at
] as const) {
  test(`${JSON.stringify(text)} is ${JSON.stringify(decoded)}`, () => {
    assert.deepEqual(decodeBase64(text), { ok: true, bytes: Buffer.from(decoded) })
  })
}

// The places are those of Go's encoding/base64.
for (const [text, at, why] of [
  ['!!!not base64', 0, 'no letter of the alphabet'],
  ['QU-D', 2, 'the URL alphabet'],
  ['QU_D', 2, 'the URL alphabet'],
  ['QUJD QUJD', 4, 'a space'],
  ['QUJ', 0, 'padding is missing'],
  ['QUJDQ', 4, 'a letter too many'],
  ['QUJDQU', 4, 'padding is missing'],
  ['QQ=', 3, 'half the padding'],
  ['QQ=x', 2, 'half the padding, then a letter'],
  ['QQ==Q', 4, 'a letter behind the padding'],
  ['QUI=QUI=', 4, 'two texts'],
  ['=', 0, 'padding of nothing'],
  ['Q===', 1, 'padding of one letter'],
  ['QUJD=', 4, 'padding of a full quantum'],
  ['QUJDü', 4, 'a letter beyond ASCII'],
] as const) {
  test(`${JSON.stringify(text)} is refused at ${at}: ${why}`, () => {
    assert.deepEqual(decodeBase64(text), { ok: false, detail: `illegal base64 data at input byte ${at}` })
  })
}

test('what was encoded is decoded, with line breaks anywhere', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.array(fc.nat()), (bytes, places) => {
      let text = Buffer.from(bytes).toString('base64')
      for (const place of places) text = `${text.slice(0, place % (text.length + 1))}\n${text.slice(place % (text.length + 1))}`
      const got = decodeBase64(text)
      assert.ok(got.ok)
      assert.deepEqual(got.bytes, Buffer.from(bytes))
    }),
  )
})

test('whatever the text is, decoding answers and never throws', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => typeof decodeBase64(text).ok === 'boolean'))
})

test('lesson 48: a text of any length is answered, whole, broken into lines or illegal at its end', () => {
  const bytes = Buffer.alloc(18 * 1024 * 1024, 'sealgate')
  const text = bytes.toString('base64')
  const decoded = decodeBase64(text)
  assert.ok(decoded.ok && decoded.bytes.equals(bytes))
  const broken = decodeBase64(`${text}\n`)
  assert.ok(broken.ok && broken.bytes.equals(bytes))
  assert.deepEqual(decodeBase64(`${text}!`), { ok: false, detail: `illegal base64 data at input byte ${text.length}` })
})
