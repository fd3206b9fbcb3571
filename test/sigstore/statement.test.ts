import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { digestOf, hexOf } from '../../src/image/digest.ts'
import { isAbout, readStatement, readStatementInTurns } from '../../src/sigstore/statement.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

const DIGEST = digestOf(Buffer.from('an image'))
const STATEMENT = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: 'app', digest: { sha256: hexOf(DIGEST) } }],
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: { builder: 'x' },
}

function read(document: unknown): ReturnType<typeof readStatement> {
  return readStatement(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)))
}

for (const version of ['v0.1', 'v1']) {
  test(`an in-toto statement ${version} tells of which type it is and the images it is about`, () => {
    const got = read({ ...STATEMENT, _type: `https://in-toto.io/Statement/${version}` })
    assert.deepEqual(got, {
      ok: true,
      value: { predicateType: STATEMENT.predicateType, subjects: [hexOf(DIGEST)] },
    })
  })
}

test('a statement is about an image when one of its subjects has the image’s SHA-256, spelled the same', () => {
  const about = (...subject: unknown[]): boolean => {
    const got = read({ ...STATEMENT, subject })
    return got.ok && isAbout(got.value, DIGEST)
  }
  assert.equal(about({ digest: { sha256: '00' } }, { digest: { sha256: hexOf(DIGEST) } }), true)
  assert.equal(about(), false)
  assert.equal(about({ digest: { sha256: '00' } }), false)
  assert.equal(about({ digest: { sha512: hexOf(DIGEST) } }), false)
  assert.equal(about({ digest: { sha256: hexOf(DIGEST).toUpperCase() } }), false)
  assert.equal(about({ digest: { sha256: DIGEST } }), false)
  assert.equal(about({ digest: { sha256: [hexOf(DIGEST)] } }, null, 5, { digest: null }), false)
})

for (const [document, detail] of [
  ['hello', "its statement: invalid character 'h' looking for beginning of value"],
  ['[]', 'its statement is not an object'],
  [{ ...STATEMENT, _type: 'https://in-toto.io/Statement/v2' }, 'its payload is not an in-toto statement v0.1 or v1'],
  [{ ...STATEMENT, _type: null }, 'its payload is not an in-toto statement v0.1 or v1'],
  [{ ...STATEMENT, predicateType: 1 }, 'its statement has no predicateType'],
  [{ ...STATEMENT, subject: {} }, 'the subject of its statement is not a list'],
  [{ ...STATEMENT, subject: new Array(1025).fill({}) }, 'number of subjects (1025) exceeded the limit (1024)'], // lesson 39
] as const) {
  test(`a statement is refused: ${detail}`, () => {
    const got = read(document)
    assert.ok(!got.ok)
    assert.equal(sentenceOf(got.reason), `the bundle cannot be read: ${detail}`)
  })
}

test('whatever the bytes are, reading answers and never throws', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof readStatement(bytes).ok === 'boolean'))
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (subject, predicate) => typeof read({ ...STATEMENT, subject, predicate }).ok === 'boolean'),
  )
})

test('however large its predicate is, a statement is read as a small one is, and others have their turn', async () => {
  let turns = 0
  const inTurns = (document: unknown) =>
    readStatementInTurns(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)), async () => void turns++)
  for (const document of [
    STATEMENT,
    { ...STATEMENT, predicate: undefined },
    { ...STATEMENT, _type: null },
    { ...STATEMENT, predicateType: 1 },
    { ...STATEMENT, subject: {} },
    { ...STATEMENT, subject: new Array(1025).fill({}) },
    'hello',
    '[]',
    '{"predicate":{"predicateType":"x"',
  ])
    assert.deepEqual(await inTurns(document), read(document))
  assert.equal(turns, 0)
  const large = { ...STATEMENT, predicate: Array.from({ length: 200_000 }, (_, i) => `package ${i}`) }
  assert.deepEqual(await inTurns(large), read(large))
  assert.ok(turns > 5, `${turns} turns`)
})
