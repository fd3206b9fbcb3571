import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Diagnostic } from '../../src/verdict/diagnostic.ts'
import { below, byBytes, errorText, warningLines } from '../../src/verdict/diagnostic.ts'

function leaf(message: string, path: string | undefined, details = '', more: Partial<Diagnostic> = {}): Diagnostic {
  return { level: 'error', message, paths: path === undefined ? [] : [path], details, added: [], ...more }
}

test('a leaf is its message, its paths, and its details on the next line', () => {
  assert.equal(
    errorText([leaf('failed policy: p', 'spec.containers[0].image', 'app no')]),
    'failed policy: p: spec.containers[0].image\napp no',
  )
})

test('leaves that say the same are one leaf with sorted paths, each once', () => {
  const text = errorText([
    leaf('m', 'spec.initContainers[0].image', 'd'),
    leaf('m', 'spec.containers[0].image', 'd'),
    leaf('m', 'spec.containers[0].image', 'd'),
  ])
  assert.equal(text, 'm: spec.containers[0].image, spec.initContainers[0].image\nd')
})

test('leaves that differ in details stay apart, ordered by message and then details', () => {
  assert.equal(errorText([leaf('m', 'p2', 'b'), leaf('m', 'p1', 'a'), leaf('k', 'p3', 'z')]), 'k: p3\nz\nm: p1\na\nm: p2\nb')
})

test('a leaf without a path keeps the colon and the space', () => {
  assert.equal(
    errorText([leaf('context was canceled before validation completed', undefined)]),
    'context was canceled before validation completed: ',
  )
})

test('added lines follow the leaf that they explain, whatever it is merged with', () => {
  const text = errorText([leaf('m', 'p', 'd', { added: ['why', 'why not'] }), leaf('m', 'q', 'd', { added: ['why'] }), leaf('n', 'p', 'e')])
  assert.equal(text, 'm: p, q\nd\nwhy\nwhy not\nn: p\ne')
})

test('warnings are one entry a line and stay out of the error text', () => {
  const both = [leaf('m', 'p', 'd', { level: 'warning' }), leaf('e', 'p')]
  assert.deepEqual(warningLines(both), ['m: p', 'd'])
  assert.equal(errorText(both), 'e: p')
})

test('order is by bytes, not by UTF-16 units', () => {
  assert.ok(byBytes('\u{ffee}', '\u{1f600}') < 0)
  assert.ok(byBytes('a', 'b') < 0)
  assert.equal(byBytes('a', 'a'), 0)
})

test('a prefix goes before every path', () => {
  const inner = below('images[0]', [leaf('m', 'glob'), leaf('n', undefined)])
  assert.equal(errorText(below('spec', inner)), 'm: spec.images[0].glob\nn: ')
})

test('nothing in a text controls the terminal that kubectl prints it to, whoever wrote it', () => {
  const leaf = { level: 'error', message: 'm', paths: ['p'], details: 'one\u001b[2J\ntwo\r\u009b1A', added: ['\u202eadded'] } as const
  assert.equal(errorText([leaf]), 'm: p\none\ufffd[2J\ntwo\ufffd\ufffd1A\n\ufffdadded')
})

test('names stand in the order of their UTF-8 bytes, whatever they are made of', () => {
  const texts = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }))
  fc.assert(fc.property(texts, texts, (a, b) => byBytes(a, b) === Buffer.compare(Buffer.from(a), Buffer.from(b))))
})

test('what is wrong is shown as it is written, ends of lines of Windows too, and nothing that moves a cursor', () => {
  const wrong = (value: string): string =>
    errorText([{ level: 'error', message: `invalid value: ${value}`, paths: ['spec.authorities[0].key.data'], details: '', added: [] }])
  assert.equal(wrong('a\r\n\tb\r\n'), 'invalid value: a\r\n\tb\r\n: spec.authorities[0].key.data')
  assert.equal(wrong('a\rb\u001b[2J\r'), 'invalid value: a\ufffdb\ufffd[2J\ufffd: spec.authorities[0].key.data')
})
