import { equal } from 'node:assert/strict'
import { test } from 'node:test'
import { levelIn } from '../../../programs/webhook/level.ts'

for (const [what, data, level] of [
  ['the level of the component', { 'loglevel.policy-controller': 'debug' }, 'debug'],
  ["the component's level before the logger's", { 'loglevel.policy-controller': 'warn', 'zap-logger-config': '{"level":"debug"}' }, 'warn'],
  ["the logger's level", { 'zap-logger-config': '{"level":"error"}' }, 'error'],
  ['a level worse than an error', { 'loglevel.policy-controller': 'FATAL' }, 'error'],
  ['a level that does not exist', { 'loglevel.policy-controller': 'loud' }, undefined],
  ['another component', { 'loglevel.queue': 'debug' }, undefined],
  ['a logger that is not JSON', { 'zap-logger-config': 'level: debug' }, undefined],
  ['a level that is no text', { 'loglevel.policy-controller': 3 }, undefined],
] as const)
  test(`${what} ${level === undefined ? 'changes nothing' : `is ${level}`}`, () => equal(levelIn({ data }), level))

for (const none of [undefined, {}, { data: null }, { data: 'debug' }])
  test(`${JSON.stringify(none) ?? 'no ConfigMap'} changes nothing`, () => equal(levelIn(none), undefined))
