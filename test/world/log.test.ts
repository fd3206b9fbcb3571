import { doesNotReject, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { format, inspect } from 'node:util'
import { Secret, silent } from '../../src/world/log.ts'

const secret = new Secret('hunter2')

for (const [how, text] of [
  ['String', String(secret)],
  ['a template', `${secret}`],
  ['JSON.stringify', JSON.parse(JSON.stringify(secret)) as string],
  ['util.inspect', inspect(secret)],
  [
    'util.inspect, deep',
    inspect({ a: { b: [secret] } }, { depth: null })
      .replaceAll(/[^[\]a-z]/g, '')
      .slice('ab['.length, -1),
  ],
  ['util.format', format('%s', secret)],
  ['Object.values', Object.values(secret).join() || '[redacted]'],
] as const)
  test(`${how} shows [redacted] instead of a secret`, () => equal(text, '[redacted]'))

test('who uses a secret asks for it', () => equal(secret.reveal(), 'hunter2'))

test('a silent log takes every line and keeps none', () =>
  doesNotReject(async () => {
    for (const level of ['debug', 'info', 'warn', 'error'] as const) silent[level]('message', { value: 1 })
    silent.setLevel('debug')
    await silent.flush()
  }))
