import { deepEqual, equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import type { Name } from '../../../programs/cli/options.ts'
import { commands, flagOf, options, optionsOf } from '../../../programs/cli/options.ts'
import { notedFlags } from '../../../programs/cli/upstream.ts'

test('the options that every command with images shares are the same everywhere', () => {
  const shared: Name[] = ['systemNamespace', 'mirrors', 'insecureRegistries', 'registryCas', 'logLevel', 'logFormat']
  for (const command of ['serve', 'review', 'explain', 'demo'] as const) {
    const names = optionsOf(command).map(([name]) => name)
    deepEqual(
      shared.filter((name) => !names.includes(name)),
      [],
    )
  }
})

test('the clock of checks is set offline only', () => deepEqual(options.at.commands, ['review', 'explain', 'verify-bundle']))

test('a name is written with dashes, a repeatable one in the singular', () => {
  const names: Name[] = ['metricsPort', 'tlsMinVersion', 'mirrors', 'insecureRegistries', 'registryCas', 'manifests']
  deepEqual(names.map(flagOf), ['metrics-port', 'tls-min-version', 'mirror', 'insecure-registry', 'registry-ca', 'manifests'])
})

test('no flag, alias or accepted flag means two things', () => {
  const flags = (Object.keys(options) as Name[]).flatMap((name) => [
    flagOf(name),
    ...((options[name] as { alias?: readonly string[] }).alias ?? []),
  ])
  equal(new Set([...flags, ...Object.keys(notedFlags)]).size, flags.length + Object.keys(notedFlags).length)
})

test('every command explains itself', () => {
  for (const command of commands)
    ok(
      optionsOf(command).some(([name]) => name === 'help'),
      command,
    )
})
