import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64, decodeBase64In, hasRoomBefore, ROOM_BEFORE } from '../../src/sigstore/base64.ts'

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

const noTurn = async (): Promise<void> => {}
/** As JSON writes it, with characters beyond ASCII escaped, for those are counted as one. */
const written = (text: string): Buffer =>
  Buffer.from(JSON.stringify(text).replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`))

test('in JSON, and piece by piece, a text is decoded as it is in one go, and refused at the same place', async () => {
  const parts = fc.constantFrom('QUJD', 'QUI=', 'QQ==', 'QQ', 'Q', '=', '\n', '\r\n', '-', '!', 'ü', 'QUJDQUJDQUJD')
  const texts = fc.oneof(
    fc.array(parts, { maxLength: 8 }).map((some) => some.join('')),
    fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64')),
  )
  await fc.assert(
    fc.asyncProperty(texts, fc.integer({ min: 1, max: 12 }), async (text, piece) => {
      assert.deepEqual(await decodeBase64In(written(text), true, noTurn, piece), decodeBase64(text))
    }),
    { numRuns: 5000 },
  )
})

test('where any text will do, what is no letter is passed over, as Node does', async () => {
  const texts = fc.array(fc.constantFrom('QUJD', 'QU', '-', '_', ' ', '!', '\n', 'QUI='), { maxLength: 8 }).map((some) => some.join(''))
  await fc.assert(
    fc.asyncProperty(texts, fc.integer({ min: 1, max: 12 }), async (text, piece) => {
      // Node takes two texts one behind the other for one, if the first is padded; that alone is not compared.
      if (/=[^=]/.test(text)) return
      const decoded = await decodeBase64In(written(text), false, noTurn, piece)
      assert.ok(decoded.ok)
      assert.deepEqual(decoded.bytes, Buffer.from(text, 'base64'))
    }),
    { numRuns: 3000 },
  )
})

test('escaped characters count for what they are, as Java writes the padding', async () => {
  assert.deepEqual(await decodeBase64In(Buffer.from('"QQ\\u003d\\u003d"'), true, noTurn, 1), { ok: true, bytes: Buffer.from('A') })
})

test('others have their turn while a long text is decoded, and there is room before what it gives', async () => {
  const bytes = Buffer.alloc(3 * 1024 * 1024, 'sealgate')
  let turns = 0
  const decoded = await decodeBase64In(written(bytes.toString('base64')), true, async () => void turns++)
  assert.ok(decoded.ok && decoded.bytes.equals(bytes))
  assert.ok(turns > 10, `${turns} turns`)
  assert.ok(hasRoomBefore(decoded.bytes) && decoded.bytes.byteOffset >= ROOM_BEFORE)
  assert.equal(hasRoomBefore(bytes), false)
})
