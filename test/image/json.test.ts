import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Json } from '../../src/image/json.ts'
import { filledIn, isJsonObject, isJsonText, readJson, readJsonWithout } from '../../src/image/json.ts'

const BOUNDS = { bytes: 1024 * 1024, depth: 8, values: 100 }

function read(text: string | Uint8Array, bounds = BOUNDS): ReturnType<typeof readJson> {
  return readJson(typeof text === 'string' ? Buffer.from(text) : text, bounds)
}

// The words are those of Go's encoding/json.
for (const [text, detail] of [
  ['', 'unexpected end of JSON input'],
  ['   ', 'unexpected end of JSON input'],
  ['hello', "invalid character 'h' looking for beginning of value"],
  ['this is not json', "invalid character 'h' in literal true (expecting 'r')"],
  ['nul', "invalid character ' ' in literal null (expecting 'l')"],
  ['{"a":tru', "invalid character ' ' in literal true (expecting 'e')"],
  ['-', "invalid character ' ' in numeric literal"],
  ['1.', "invalid character ' ' after decimal point in numeric literal"],
  ['1e+', "invalid character ' ' in exponent of numeric literal"],
  ['[1', 'unexpected end of JSON input'],
  ['nulL', "invalid character 'L' in literal null (expecting 'l')"],
  ['\ufeff{}', "invalid character 'ï' looking for beginning of value"],
  ['<html>', "invalid character '<' looking for beginning of value"],
  ['{} trailing', "invalid character 't' after top-level value"],
  ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b":2}', `invalid character '"' after object key:value pair`],
  ['[1 2]', "invalid character '2' after array element"],
  ['[1,]', "invalid character ']' looking for beginning of value"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
  ['"abc', 'unexpected end of JSON input'],
  ['-x', "invalid character 'x' in numeric literal"],
  ['01', "invalid character '1' after top-level value"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['1ex', "invalid character 'x' in exponent of numeric literal"],
  ["'", "invalid character '\\'' looking for beginning of value"],
  ['\u0000', "invalid character '\\x00' looking for beginning of value"],
] as const) {
  test(`${JSON.stringify(text)} is not JSON: ${detail}`, () => assert.deepEqual(read(text), { ok: false, detail }))
}

test('what JSON.parse takes is read the same, and what it refuses is refused', () => {
  const bounds = { bytes: 1e6, depth: 1000, values: 1e6 }
  const same = (text: string): void => {
    let expected: unknown
    let parses = true
    try {
      expected = JSON.parse(text)
    } catch {
      parses = false
    }
    const got = read(text, bounds)
    assert.equal(got.ok, parses, text)
    if (got.ok) assert.deepEqual(got.value, expected)
  }
  // Lone surrogates do not survive UTF-8, so texts are well-formed here.
  fc.assert(fc.property(fc.json(), (text) => same(text.toWellFormed())))
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    '\\',
    '\\u00',
    'a',
    '0',
    '1',
    '-',
    '.',
    'e',
    '+',
    ' ',
    '\n',
    'true',
    'false',
    'null',
    '"k"',
    '\u0001',
    'ü',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => same(parts.join(''))),
    { numRuns: 5000 },
  )
})

test('lesson 41: a document deeper than the bound is refused, one as deep is read', () => {
  assert.deepEqual(read('['.repeat(9) + ']'.repeat(9)), { ok: false, detail: 'exceeded max depth' })
  assert.equal(read('['.repeat(8) + ']'.repeat(8)).ok, true)
  assert.deepEqual(read('{"a":'.repeat(1_000_000 / 5)), { ok: false, detail: 'exceeded max depth' })
})

test('lesson 41: a document of more values or bytes than the bound is refused before anything is built from it', () => {
  assert.deepEqual(read(`[${'1,'.repeat(99)}1]`), { ok: false, detail: 'number of values exceeded the limit (100)' })
  assert.equal(read(`[${'1,'.repeat(98)}1]`).ok, true)
  assert.deepEqual(read(`{${'"a":1,'.repeat(99)}"a":1}`), { ok: false, detail: 'number of values exceeded the limit (100)' })
  assert.deepEqual(read(JSON.stringify('\n'.repeat(100))), { ok: false, detail: 'number of values exceeded the limit (100)' })
  assert.deepEqual(read(' '.repeat(11), { ...BOUNDS, bytes: 10 }), { ok: false, detail: 'size of document (11) exceeded the limit (10)' })
})

test('one long string costs neither the stack nor an exception', () => {
  const long = JSON.stringify('x'.repeat(4_000_000))
  assert.equal(read(long, { ...BOUNDS, bytes: 1e7 }).ok, true)
})

test('bytes that are not UTF-8 are read as replacement characters, never as an exception', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => typeof read(bytes).ok === 'boolean'))
})

test('a member named __proto__ is a member like others', () => {
  const got = read('{"__proto__":{"digest":"x"}}')
  assert.ok(got.ok && isJsonObject(got.value))
  assert.equal(got.value['digest'], undefined)
  assert.deepEqual(Object.keys(got.value), ['__proto__'])
})

test('what is missing is filled in, and the document stays as it was', () => {
  const document = { a: [{ b: 1 }, { c: 2 }], d: 'x' }
  const filled = filledIn<object>(document, [
    { at: ['a', 1, 'b'], value: 'new' },
    { at: ['e'], value: null },
  ])
  assert.deepEqual(filled, { a: [{ b: 1 }, { c: 2, b: 'new' }], d: 'x', e: null })
  assert.deepEqual(document, { a: [{ b: 1 }, { c: 2 }], d: 'x' })
  assert.equal(filledIn(document, []), document)
})

/** As `readJsonWithout`, `piece` bytes at a time, with the turns that others had. */
async function without(text: string, path: readonly string[], piece: number | undefined, bounds = BOUNDS) {
  let turns = 0
  const read = await readJsonWithout(Buffer.from(text), path, bounds, async () => void turns++, piece)
  return { read, turns }
}

for (const [text, path, rest, cut] of [
  ['{"a":1,"b":{"c":"long"}}', ['b', 'c'], { a: 1, b: { c: 'AAAA' } }, '"long"'],
  ['{"a": [1, {"a": 2}] , "b": 3}', ['a'], { a: 'AAAA', b: 3 }, '[1, {"a": 2}]'],
  ['{"a":-1.5e3}', ['a'], { a: 'AAAA' }, '-1.5e3'],
  ['{"a":{}}', ['a'], { a: 'AAAA' }, '{}'],
  ['{"b":{"a":1},"c":[{"a":1}]}', ['a'], { b: { a: 1 }, c: [{ a: 1 }] }, undefined],
  ['{"b":{"c":{"a":1}},"a":1}', ['b', 'a'], { b: { c: { a: 1 } }, a: 1 }, undefined],
  ['{"b":[{"a":1}]}', ['b', 'a'], { b: [{ a: 1 }] }, undefined],
  ['[{"a":1}]', ['a'], [{ a: 1 }], undefined],
  ['"a"', ['a'], 'a', undefined],
  // The last of two equal names counts, however they are written.
  ['{"a":1,"a":2}', ['a'], { a: 'AAAA' }, '2'],
  ['{"\\u0061":1}', ['a'], { a: 'AAAA' }, '1'],
  ['{"b":{"a":1},"b":{"a":2}}', ['b', 'a'], { b: { a: 'AAAA' } }, '2'],
  ['{"b":{"a":1},"b":{}}', ['b', 'a'], { b: {} }, '1'],
] as const) {
  test(`${text} without ${path.join('.')} is ${JSON.stringify(rest)}`, async () => {
    for (const piece of [1, 3, 100]) {
      const { read } = await without(text, path, piece)
      assert.ok(read.ok, read.ok ? '' : read.detail)
      assert.deepEqual(read.value.rest, rest)
      assert.equal(read.value.cut && Buffer.from(read.value.cut).toString(), cut)
    }
  })
}

test('read piece by piece, a document is what it is in one go, and what is wrong with it too', async () => {
  const pieces = fc.constantFrom('{', '}', '[', ']', ':', ',', '"', '\\', 'a', '0', '-1', '.5', 'e+', ' ', 'true', '"a"', '"a":', '{"a":')
  const same = async (text: string, piece: number): Promise<void> => {
    const whole = read(text)
    const { read: inPieces } = await without(text, ['a'], piece)
    if (!whole.ok) return assert.deepEqual(inPieces, whole)
    assert.ok(inPieces.ok)
    const { rest, cut } = inPieces.value
    const value: Json = whole.value
    const isThere = isJsonObject(value) && Object.hasOwn(value, 'a')
    assert.equal(cut !== undefined, isThere)
    assert.deepEqual(cut ? filledIn(rest, [{ at: ['a'], value: JSON.parse(Buffer.from(cut).toString()) as Json }]) : rest, value)
  }
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { maxLength: 12 }), fc.integer({ min: 1, max: 5 }), (parts, n) => same(parts.join(''), n)),
    {
      numRuns: 3000,
    },
  )
  const documents = fc.dictionary(fc.constantFrom('a', 'b'), fc.jsonValue())
  await fc.assert(
    fc.asyncProperty(documents, fc.integer({ min: 1, max: 5 }), (document, n) => same(JSON.stringify(document).toWellFormed(), n)),
  )
})

test('lesson 41: others have their turn while a large document is read, and all of it but what is cut has at most 1 MiB', async () => {
  const bounds = { bytes: 1e7, depth: 8, values: 100 }
  const { read: large, turns } = await without(JSON.stringify({ a: 'x'.repeat(4e6), b: 1 }), ['a'], undefined, bounds)
  assert.ok(large.ok)
  assert.deepEqual(large.value.rest, { a: 'AAAA', b: 1 })
  assert.equal(large.value.cut?.length, 4e6 + 2)
  assert.ok(turns > 10, `${turns} turns`)
  const { read: rest } = await without(JSON.stringify({ b: 'x'.repeat(4e6), a: 1 }), ['a'], undefined, bounds)
  assert.deepEqual(rest, { ok: false, detail: 'size of document without a (4000019) exceeded the limit (1048576)' })
  const { read: beyond } = await without(JSON.stringify({ a: 'x'.repeat(1e7) }), ['a'], undefined, bounds)
  assert.deepEqual(beyond, { ok: false, detail: 'size of document (10000008) exceeded the limit (10000000)' })
})

test('a value is a text when it is written as one', () => {
  assert.deepEqual(
    ['"a"', '1', '{"a":"b"}', ''].map((written) => isJsonText(Buffer.from(written))),
    [true, false, false, false],
  )
})
