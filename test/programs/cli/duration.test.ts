import { equal } from 'node:assert/strict'
import { test } from 'node:test'
import { readDuration } from '../../../programs/cli/duration.ts'

for (const [text, milliseconds] of [
  ['10s', 10_000],
  ['1m30s', 90_000],
  ['1.5h', 5_400_000],
  ['300ms', 300],
  ['.5s', 500],
  ['1.s', 1_000],
  ['2µs', 0.002],
  ['0', 0],
  ['0s', 0],
] as const)
  test(`${text} is ${milliseconds} ms`, () => equal(readDuration(text), milliseconds))

for (const text of ['', '10', '-5s', '+5s', '10 s', 's', '.s', '1s2', '1d', 'Infinity', '1e3s', `${'9'.repeat(40)}s`])
  test(`\`${text}\` is no duration`, () => equal(readDuration(text), undefined))
