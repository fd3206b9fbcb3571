import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaulted, missingInPolicy } from '../../src/policy/default.ts'
import { readPolicy } from '../../src/policy/read.ts'

const read = (spec: object) => readPolicy('p', { spec }).spec

test('defaults: the mode is enforce, authorities are called by index, keyless alone means the public Fulcio', () => {
  const spec = read({ authorities: [{ keyless: {} }, { name: 'b', keyless: { 'ca-cert': {} } }, { key: {}, keyless: {} }] })
  const { mode, authorities } = defaulted(spec)
  assert.equal(mode, 'enforce')
  assert.deepEqual(
    authorities?.map((a) => a.name),
    ['authority-0', 'b', 'authority-2'],
  )
  assert.deepEqual(
    authorities?.map((a) => a.keyless?.url),
    ['https://fulcio.sigstore.dev', undefined, undefined],
  )
})

test('what was written stays as it was written, an empty url too', () => {
  const spec = read({
    mode: 'warn',
    authorities: [
      { name: 'a', keyless: { url: 'https://fulcio.example' } },
      { name: 'b', keyless: { url: '' } },
    ],
  })
  assert.deepEqual(missingInPolicy(spec), [])
  assert.equal(defaulted(spec), spec)
})

test('what is missing is told with its place, so that a patch can say it', () => {
  assert.deepEqual(missingInPolicy(read({ authorities: [{ name: 'a' }, { name: '', keyless: {} }] })), [
    { at: ['authorities', 1, 'name'], value: 'authority-1' },
    { at: ['authorities', 1, 'keyless', 'url'], value: 'https://fulcio.sigstore.dev' },
    { at: ['mode'], value: 'enforce' },
  ])
})
