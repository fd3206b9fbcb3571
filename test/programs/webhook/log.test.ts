import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { logTo, textOf } from '../../../programs/webhook/log.ts'
import type { Level, Log } from '../../../src/world/log.ts'
import { Secret } from '../../../src/world/log.ts'

function written(level: Level, write: (log: Log) => void): string[] {
  const lines: string[] = []
  write(logTo({ write: (line) => void lines.push(line) }, level))
  return lines
}

test('a line is one JSON object with time, level, message and named values', () => {
  const [line = ''] = written('info', (log) => log.info('policy compiled', { policy: 'p', images: 2 }))
  const { time, ...rest } = JSON.parse(line) as Record<string, unknown>
  deepEqual(rest, { level: 'info', policy: 'p', images: 2, msg: 'policy compiled' })
  match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
})

test('lines below the level are not written, until the level changes', () => {
  const lines = written('warn', (log) => {
    log.info('a')
    log.warn('b')
    log.setLevel('debug')
    log.debug('c')
  })
  deepEqual(
    lines.map((l) => (JSON.parse(l) as { msg: string }).msg),
    ['b', 'c'],
  )
})

test('a secret is never written, however deep it lies', () => {
  const [line = ''] = written('info', (log) =>
    log.info('asked', { password: new Secret('hunter2'), auth: [{ token: new Secret('hunter2') }] }),
  )
  ok(!line.includes('hunter2'))
  match(line, /"password":"\[redacted\]"/)
})

test('an error is written with its stack', () => {
  const [line = ''] = written('info', (log) => log.error('failed', { error: new TypeError('why') }))
  const { error } = JSON.parse(line) as { error: { type: string; message: string; stack: string } }
  deepEqual([error.type, error.message], ['TypeError', 'why'])
  match(error.stack, /log\.test\.ts/)
})

const at = '"time":"2026-01-31T12:00:01.250Z","level":"warn"'
for (const [what, line, text] of [
  ['plain values', `{${at},"policy":"p","images":2,"msg":"odd"}`, '12:00:01.250 warn  odd  policy=p  images=2\n'],
  ['values with spaces', `{${at},"why":"no authorities","msg":"odd"}`, '12:00:01.250 warn  odd  why="no authorities"\n'],
  ['an empty value', `{${at},"name":"","msg":"odd"}`, '12:00:01.250 warn  odd  name=""\n'],
  [
    'a value that would forge a line',
    `{${at},"name":"a\\n12:00:02.000 info ready","msg":"odd"}`,
    '12:00:01.250 warn  odd  name="a\\n12:00:02.000 info ready"\n',
  ],
  [
    'a value that would move the cursor',
    `{${at},"name":"\\u001b[2J\\u009b2J","msg":"odd"}`,
    '12:00:01.250 warn  odd  name="\\u001b[2J 2J"\n',
  ],
  ['a list', `{${at},"codes":["a","b"],"msg":"odd"}`, '12:00:01.250 warn  odd  codes=["a","b"]\n'],
  [
    'a certificate, to be copied',
    `{${at},"pem":"-----BEGIN-----\\nMII\\n-----END-----\\n","msg":"odd"}`,
    '12:00:01.250 warn  odd\n-----BEGIN-----\nMII\n-----END-----\n',
  ],
  ['a stack', `{${at},"error":{"stack":"Error: x\\n  at y"},"msg":"odd"}`, '12:00:01.250 warn  odd\n    Error: x\n      at y\n'],
] as const)
  test(`as text: ${what}`, () => equal(textOf(line), text))

const module = new URL('../../../programs/webhook/log.ts', import.meta.url).href

test('lines are buffered, and all there when the log is flushed before the process ends', () => {
  const script = `const { openLog } = await import(${JSON.stringify(module)})
    const log = openLog({ level: 'info', format: 'json', to: 'stdout' })
    for (let i = 0; i < 1000; i++) log.info('line', { i })
    await log.flush()
    process.exit(0)`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  equal(stdout.trimEnd().split('\n').length, 1000)
})

test('a process ends although whoever read its log is gone', async () => {
  const script = `const { openLog } = await import(${JSON.stringify(module)})
    const log = openLog({ level: 'info', format: 'json', to: 'stdout' })
    process.stderr.write('open')
    await new Promise((told) => process.stdin.once('data', told))
    log.info('nobody reads this')
    await log.flush()
    process.exit(7)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  await new Promise((opened) => child.stderr.once('data', opened))
  child.stdout.destroy()
  await new Promise((closed) => child.stdout.once('close', closed))
  child.stdin.end('now')
  const kill = setTimeout(() => child.kill('SIGKILL'), 20_000)
  equal(await new Promise((ended) => child.once('exit', ended)), 7)
  clearTimeout(kill)
})
