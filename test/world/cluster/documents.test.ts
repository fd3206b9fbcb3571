import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDocuments } from '../../../src/world/cluster/documents.ts'

const laughs = [
  'a: &a [x,x,x,x,x,x,x,x,x]',
  ...'b c d e f g'.split(' ').map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdef'[i]}`).join(',')}]`),
].join('\n')

for (const [what, text, documents] of [
  ['nothing', '', []],
  ['only comments and separators', '# x\n---\n# y\n---\n', []],
  ['null', 'null', []],
  ['one document', 'a: 1', [{ number: 1, line: 1, value: { a: 1 } }]],
  [
    'two documents, CRLF, a comment behind the separator',
    '# c\r\n\r\na: 1\r\n--- # hi\r\n\r\nb: 2\r\n',
    [
      { number: 1, line: 3, value: { a: 1 } },
      { number: 2, line: 6, value: { b: 2 } },
    ],
  ],
  ['a separator before the first document', '# licence\n---\na: 1\n', [{ number: 1, line: 3, value: { a: 1 } }]],
  [
    'an empty document between two',
    'a: 1\n---\n---\nb: 2',
    [
      { number: 1, line: 1, value: { a: 1 } },
      { number: 3, line: 4, value: { b: 2 } },
    ],
  ],
  [
    'content on the line of the separator',
    '--- {a: 1}\n--- {b: 2}',
    [
      { number: 1, line: 1, value: { a: 1 } },
      { number: 2, line: 2, value: { b: 2 } },
    ],
  ],
  ['a byte order mark', '\ufeffa: 1', [{ number: 1, line: 1, value: { a: 1 } }]],
  ['JSON indented with tabs', '{\n\t"a": ["\\ud83d\\ude00"]\n}\n', [{ number: 1, line: 1, value: { a: ['😀'] } }]],
  [
    'YAML 1.2 scalars: yes and dates are texts',
    'a: yes\nb: 2020-01-01\nc: 1:30',
    [{ number: 1, line: 1, value: { a: 'yes', b: '2020-01-01', c: '1:30' } }],
  ],
  ['aliases and merge keys', 'x: &x {a: 1}\ny: {<<: *x, b: 2}', [{ number: 1, line: 1, value: { x: { a: 1 }, y: { a: 1, b: 2 } } }]],
] as const) {
  test(`${what} can be read`, async () => assert.deepEqual(await readDocuments(text), { ok: true, documents }))
}

for (const [what, text, problem] of [
  ['a broken document is named with its number and line', 'a: 1\n---\nb: [\n---\nc: 1', /^document 2, line [34]: Flow sequence /],
  ['equal keys are an error', 'a: 1\nb: 1\na: 2', /^document 1, line 3: Map keys must be unique$/],
  ['equal keys in JSON are an error', '{"a":1,\n"a":2}', /^document 1, line 2: Map keys must be unique$/],
  ['an unknown tag is an error', 'a: !!js/function x', /^document 1, line 1: Unresolved tag/],
  ['an alias without anchor is an error', 'a: *b', /^document 1, line 1: Unresolved alias/],
  [
    'what stands behind an end of document is not passed over',
    'a: 1\n...\nb: 2',
    /^document 1, line \d: Source contains multiple documents/,
  ],
  ['two JSON documents without separator are an error', '{"a":1}\n{"b":2}', /^document 1, line 2: /],
  ['directives are an error', '%YAML 1.1\n---\na: yes\n', /^document 1, line \d: /],
  ['what JSON cannot hold is an error: infinity', 'a: .inf', /^document 1, line 1: a number that JSON cannot hold$/],
  ['what JSON cannot hold is an error: bytes', 'a: !!binary aGk=', /^document 1, line 1: a value that JSON cannot hold$/],
  ['a cycle is an error', 'a: &a [*a]', /^document 1, line 1: nested more than 100 deep$/],
  ['a billion laughs are an error', laughs, /^document 1, line 1: Excessive alias count/],
  ['101 levels are an error', '{"a":'.repeat(101) + '1' + '}'.repeat(101), /nested more than 100 deep$/],
  ['20,000 levels are an error', '['.repeat(20_000), /nested too deep$/],
] as const) {
  test(what, async () => {
    const read = await readDocuments(text)
    assert.ok(!read.ok)
    assert.match(read.problem, problem)
    assert.ok(!read.problem.includes('\n'))
  })
}

test('a hundred levels can be read', async () => {
  assert.ok((await readDocuments('{"a":'.repeat(100) + '1' + '}'.repeat(100))).ok)
})

test('a key __proto__ is an ordinary member', async () => {
  const read = await readDocuments('{"__proto__": {"kind": "Secret"}}')
  assert.ok(read.ok)
  const value = read.documents[0]?.value as Record<string, unknown>
  assert.deepEqual(Object.keys(value), ['__proto__'])
  assert.equal(value['kind'], undefined)
})

test('more documents than the bound are an error', async () => {
  const read = await readDocuments('---\n'.repeat(10_002))
  assert.deepEqual(read, { ok: false, problem: 'more than 10000 documents' })
})

test('others get their turn while a large file is read', async () => {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  await readDocuments('---\na: {b: [1, 2, 3]}\n'.repeat(2_000))
  clearInterval(timer)
  assert.ok(turns > 2, `${turns} turns`)
})

test('keys that are no texts become texts, and merge keys merge', async () => {
  const read = await readDocuments('base: &base {a: 1}\nmerged: {<<: *base, b: 2}\n1: one\ntrue: yes\n')
  assert.ok(read.ok)
  assert.deepEqual(read.documents[0]?.value, { base: { a: 1 }, merged: { a: 1, b: 2 }, 1: 'one', true: 'yes' })
})

test('a map or list as the key of a map is an error, as JSON cannot hold it', async () => {
  for (const text of ['? [a, b]\n: c', '? {a: b}\n: c'])
    assert.deepEqual(await readDocuments(text), {
      ok: false,
      problem: 'document 1, line 1: a map or list is the key of a map, which JSON cannot hold',
    })
})
