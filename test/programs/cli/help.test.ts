import { ok } from 'node:assert/strict'
import { test } from 'node:test'
import { helpOf, optionsReference, overview } from '../../../programs/cli/help.ts'
import { commands, flagOf, optionsOf } from '../../../programs/cli/options.ts'
import { notedEnvironment, notedFlags } from '../../../programs/cli/upstream.ts'

test('the overview names every command', () => {
  for (const command of commands) ok(overview().includes(`  ${command} `), command)
})

for (const command of commands.filter((c) => c !== 'help')) {
  test(`the help of ${command} names each of its options`, () => {
    for (const [name] of optionsOf(command)) ok(helpOf(command).includes(`--${flagOf(name)}`), name)
  })
  test(`the lines of the help of ${command} fit a wide terminal`, () => {
    for (const line of helpOf(command).split('\n')) ok(line.length <= 128, line)
  })
}

test('the help of an option says what holds without it, and its other names', () => {
  const help = helpOf('serve')
  for (const part of ['default 8443; also --secure-port', 'METRICS_PROMETHEUS_PORT', 'default none; repeatable'])
    ok(help.includes(part), part)
})

test('the reference page lists everything that is accepted', () => {
  const page = optionsReference()
  for (const flag of Object.keys(notedFlags)) ok(page.includes(`\`--${flag}\``), flag)
  for (const variable of Object.keys(notedEnvironment)) ok(page.includes(`\`${variable}\``), variable)
})
