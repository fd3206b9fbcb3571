import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fields } from '../../src/admission/field.ts'

test('what is absent or null is empty, as in Go', () => {
  const fields = new Fields()
  for (const nothing of [undefined, null]) {
    assert.deepEqual(fields.object(nothing, 'A.b', 'v1.B'), {})
    assert.deepEqual(fields.list(nothing, 'A.b', '[]v1.B'), [])
    assert.equal(fields.text(nothing, 'A.b'), '')
  }
  assert.equal(fields.problem, undefined)
})

for (const [value, found] of [
  ['x', 'string'],
  [1, 'number'],
  [true, 'bool'],
  [[], 'array'],
] as const) {
  test(`a ${found} is no object, and is said in Go's words`, () => {
    const fields = new Fields()
    assert.deepEqual(fields.object(value, 'PodSpec.spec', 'v1.PodSpec'), {})
    assert.equal(fields.problem, `json: cannot unmarshal ${found} into Go struct field PodSpec.spec of type v1.PodSpec`)
  })
}

test('a whole document of another type has no field name', () => {
  const fields = new Fields()
  fields.object('x', '', 'v1.Pod')
  assert.equal(fields.problem, 'json: cannot unmarshal string into Go value of type v1.Pod')
})

test('the first problem is the one that is told, and what was read before and after it stays read', () => {
  const fields = new Fields()
  fields.list({}, 'A.list', '[]v1.B')
  fields.text(1, 'A.text')
  assert.equal(fields.text('kept', 'A.text'), 'kept')
  assert.equal(fields.problem, 'json: cannot unmarshal object into Go struct field A.list of type []v1.B')
})
