import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Field, Struct, Type } from '../../src/admission/struct.ts'
import { rewritten } from '../../src/admission/struct.ts'
import type { Json } from '../../src/image/json.ts'

const text: Type = { is: 'text' }
const field = (type: Type, written: Field['written']): Field => ({ type, written })
const struct = (name: string, fields: Struct['fields']): Struct => ({ is: 'struct', name, fields })

const inner = struct('v1.Inner', { always: field(text, 'always'), perhaps: field(text, 'unless-zero'), pointer: field(text, 'when-given') })
const outer = struct('v1.Outer', {
  list: field({ is: 'list', of: inner }, 'always'),
  inner: field(inner, 'when-given'),
  names: field({ is: 'list', of: text }, 'unless-zero'),
  map: field({ is: 'map', of: text }, 'unless-zero'),
  flag: field({ is: 'flag' }, 'when-given'),
  url: field({ is: 'url' }, 'when-given'),
  bytes: field({ is: 'bytes' }, 'unless-zero'),
  any: field({ is: 'anything' }, 'when-given'),
  status: field({ is: 'open', name: 'v1.Status' }, 'always'),
})

function write(object: Json, reading: 'strict' | 'lenient' = 'strict'): Json {
  const read = rewritten(object, outer, reading)
  assert.ok(read.ok, read.ok ? '' : read.text)
  return read.value
}

function why(object: Json, reading: 'strict' | 'lenient' = 'strict'): string | undefined {
  const read = rewritten(object, outer, reading)
  return read.ok ? undefined : read.text
}

test('what is always written is written as its zero value, and nothing else is added', () => {
  assert.deepEqual(write({}), { list: null, status: {} })
  assert.deepEqual(write({ list: [{}], inner: {} }), { list: [{ always: '' }], inner: { always: '' }, status: {} })
})

test('null is the zero value, in a list too', () => {
  assert.deepEqual(write({ list: [null, { always: null }], inner: null, flag: null }), {
    list: [{ always: '' }, { always: '' }],
    status: {},
  })
  assert.deepEqual(write({ names: [null], map: { a: null } }), { list: null, names: [''], map: { a: '' }, status: {} })
})

test('what is empty is left out, but for what was given and may be empty', () => {
  const given = { list: [], inner: { always: 'x', perhaps: '', pointer: '' }, names: [], map: {}, bytes: '', flag: false, url: '' }
  assert.deepEqual(write(given), { list: [], inner: { always: 'x', pointer: '' }, flag: false, url: '', status: {} })
})

test('names are taken in any case and written in the one that the type has', () => {
  assert.deepEqual(write({ INNER: { Perhaps: 'x' } }), { list: null, inner: { always: '', perhaps: 'x' }, status: {} })
})

test('what nobody here looks into stays as it is', () => {
  const status = { conditions: [{ type: 'Ready' }], newer: 1 }
  assert.deepEqual(write({ status, any: [1, { a: null }] }), { list: null, any: [1, { a: null }], status })
})

test('base64 may have line breaks, and is written without', () => {
  assert.deepEqual(write({ bytes: 'YWJj\nZGVm\r\n' }), { list: null, bytes: 'YWJjZGVm', status: {} })
  assert.deepEqual(write({ bytes: 'YW=\n=\n' }), { list: null, bytes: 'YW==', status: {} })
})

for (const [object, wrong] of [
  [{ foo: 1 }, 'json: unknown field "foo"'],
  [{ list: [{ 'b"r': 1 }] }, 'json: unknown field "b\\"r"'],
  [{ list: {} }, 'json: cannot unmarshal object into Go struct field Outer.list of type []v1.Inner'],
  [{ list: [1] }, 'json: cannot unmarshal number into Go struct field Outer.list of type v1.Inner'],
  [{ list: [{ always: true }] }, 'json: cannot unmarshal bool into Go struct field Inner.list.always of type string'],
  [{ inner: 'x' }, 'json: cannot unmarshal string into Go struct field Outer.inner of type v1.Inner'],
  [{ inner: {}, flag: 'yes' }, 'json: cannot unmarshal string into Go struct field Outer.flag of type bool'],
  [{ map: { a: 1 } }, 'json: cannot unmarshal number into Go struct field Outer.map of type string'],
  [{ map: [] }, 'json: cannot unmarshal array into Go struct field Outer.map of type map[string]string'],
  [{ bytes: 1 }, 'json: cannot unmarshal number into Go struct field Outer.bytes of type []uint8'],
  [{ bytes: 'ab!' }, 'illegal base64 data at input byte 2'],
  [{ bytes: 'abc' }, 'illegal base64 data at input byte 0'],
  [{ bytes: 'abcde' }, 'illegal base64 data at input byte 4'],
  [{ bytes: 'abcd\nab' }, 'illegal base64 data at input byte 5'],
  [{ bytes: 'ab\nc' }, 'illegal base64 data at input byte 1'],
  [{ bytes: 'ab=' }, 'illegal base64 data at input byte 3'],
  [{ bytes: 'ab=c' }, 'illegal base64 data at input byte 2'],
  [{ bytes: 'ab==c' }, 'illegal base64 data at input byte 4'],
  [{ bytes: 'abc=\n=' }, 'illegal base64 data at input byte 5'],
  [{ bytes: 'a===' }, 'illegal base64 data at input byte 1'],
  [{ bytes: '\n=' }, 'illegal base64 data at input byte 1'],
  [{ url: 1 }, 'json: cannot unmarshal number into Go struct field Outer.url of type string'],
  [{ url: '::bad::' }, 'parse "::bad::": missing protocol scheme'],
  [{ status: 'x' }, 'json: cannot unmarshal string into Go struct field Outer.status of type v1.Status'],
  ['x', 'json: cannot unmarshal string into Go value of type v1.Outer'],
] as const satisfies readonly (readonly [Json, string])[])
  test(`${JSON.stringify(object)} is refused: ${wrong}`, () => assert.equal(why(object), wrong))

test('the first thing that is wrong is said, but what ends the reading comes before it', () => {
  assert.equal(why({ foo: 1, bar: 1 }), 'json: unknown field "foo"')
  assert.equal(why({ foo: 1, url: '::bad::' }), 'parse "::bad::": missing protocol scheme')
})

test('read leniently, unknown fields and URLs that are none are kept; wrong types are not', () => {
  assert.deepEqual(write({ foo: { a: 1 }, inner: { bar: null }, url: '::bad::' }, 'lenient'), {
    list: null,
    inner: { always: '', bar: null },
    url: '::bad::',
    status: {},
    foo: { a: 1 },
  })
  assert.match(why({ list: 'x', foo: 1 }, 'lenient') ?? '', /^json: cannot unmarshal string/)
})

test('a URL is written as Go writes it', () => {
  assert.deepEqual(write({ url: 'HTTPS://a/b c' }), { list: null, url: 'https://a/b%20c', status: {} })
})

test('whatever comes, it is rewritten or refused, and what was rewritten stays the same', () => {
  const name = fc.oneof(fc.constantFrom(...Object.keys(outer.fields), 'always', '__proto__'), fc.string())
  const object = fc.dictionary(name, fc.jsonValue(), { noNullPrototype: true })
  fc.assert(
    fc.property(object, fc.constantFrom('strict', 'lenient'), (given, reading) => {
      const once = rewritten(JSON.parse(JSON.stringify(given)) as Json, outer, reading)
      if (once.ok) assert.deepEqual(rewritten(once.value, outer, reading), once)
      else assert.notEqual(once.text, '')
    }),
  )
})
