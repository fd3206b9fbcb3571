import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPathPattern } from '../../src/policy/path-pattern.ts'

for (const [text, is] of [
  ['', true],
  ['ghcr.io/**', true],
  ['[a-z]*', true],
  ['[^a]', true],
  ['[\\]]', true],
  ['[a*b]', true],
  ['a]', true],
  ['a-', true],
  ['\\*', true],
  ['é[é-ü]', true],
  ['[', false],
  ['[a', false],
  ['[]', false],
  ['[]a]', false],
  ['[^]', false],
  ['[-a]', false],
  ['[a-]', false],
  ['[a-', false],
  ['[\\', false],
  ['a\\', false],
  ['*[', false],
  ['[a]*[', false],
] as const)
  test(`${JSON.stringify(text)} ${is ? 'is' : 'is not'} a pattern of paths in Go`, () => assert.equal(isPathPattern(text), is))
