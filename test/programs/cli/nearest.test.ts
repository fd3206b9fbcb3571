import { equal } from 'node:assert/strict'
import { test } from 'node:test'
import { distance, nearest } from '../../../programs/cli/nearest.ts'

const names = ['mirror', 'manifests', 'port', 'metrics-port', 'address', 'log-level']

for (const [typed, name] of [
  ['mirorr', 'mirror'],
  ['mirrors', 'mirror'],
  ['prot', 'port'],
  ['metric-port', 'metrics-port'],
  ['loglevel', 'log-level'],
  ['addr', 'address'],
  ['colour', undefined],
  ['x', undefined],
] as const)
  test(`${typed} was ${name === undefined ? 'meant to be nothing that is known' : `meant to be ${name}`}`, () =>
    equal(nearest(typed, names), name))

test('two neighbours that changed places are one mistake', () => equal(distance('prot', 'port'), 1))
test('a very long name is compared by its beginning', () => equal(nearest('p'.repeat(100_000), names), undefined))
