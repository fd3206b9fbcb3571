import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Problem } from '../../src/policy/shape.ts'
import { anything, flag, list, mapOf, object, text } from '../../src/policy/shape.ts'

const shape = object({ name: text, on: flag, items: list(object({ id: text })), labels: mapOf(text), rest: anything })

function read(value: unknown) {
  const problems: Problem[] = []
  return { value: shape(value, '', problems), problems: problems.map((p) => `${p.at}: ${p.found}`) }
}

test('a value in its shape is read without problems', () => {
  const { value, problems } = read({ name: 'n', on: false, items: [{ id: 'a' }], labels: { k: 'v' }, rest: 3 })
  assert.deepEqual(value, { name: 'n', on: false, items: [{ id: 'a' }], labels: { k: 'v' }, rest: 3 })
  assert.deepEqual(problems, [])
})

test('absent and null are the same', () => {
  assert.deepEqual(read({ name: null }), read({}))
})

for (const [value, problem] of [
  [{ name: 5 }, 'name: a number'],
  [{ on: 'true' }, 'on: a string'],
  [{ items: {} }, 'items: an object'],
  [{ items: [{ id: [] }] }, 'items[0].id: a list'],
  [{ labels: { k: 1 } }, 'labels.k: a number'],
  [{ nmae: 'n' }, 'nmae: an unknown field'],
  [{ items: [{ idd: 'x' }] }, 'items[0].idd: an unknown field'],
  [JSON.parse('{"__proto__": {"name": "x"}}'), '__proto__: an unknown field'],
  ['text', ': a string'],
  [null, ': null'],
] as const) {
  test(`${JSON.stringify(value)} is a problem that names the field and what was found`, () =>
    assert.deepEqual(read(value).problems, [problem]))
}

test('a list has a bound', () => {
  assert.equal(read({ items: Array.from({ length: 10_001 }, () => ({})) }).problems.length, 1)
})

test('of a name that nobody knows only the beginning is told', () => {
  assert.deepEqual(read({ ['x'.repeat(1000)]: 1 }).problems, [`${'x'.repeat(200)}: an unknown field`])
})
