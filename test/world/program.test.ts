import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Program } from '../../src/world/program.ts'
import { run } from '../../src/world/program.ts'

/** A program that is a piece of JavaScript. */
const script = (text: string, more: Partial<Program> = {}) =>
  run({ command: process.execPath, args: ['-e', text], env: {}, ms: 5_000, maxBytes: 1024, ...more })

test('a program answers on standard output, and is told things on standard input and in its environment', async () => {
  const text = "process.stdin.on('data', (d) => process.stdout.write(`${d} ${process.env.NAME}`))"
  assert.deepEqual(await script(text, { input: 'in', env: { NAME: 'value' } }), {
    how: 'ended',
    code: 0,
    answer: 'in value',
    complaint: '',
  })
})

test('one that fails has a code and a complaint', async () => {
  assert.deepEqual(await script("console.error('no'); process.exit(3)"), { how: 'ended', code: 3, answer: '', complaint: 'no\n' })
})

test('one that does not read its input still answers', async () => {
  const ended = await script("process.stdin.destroy(); process.stdout.write('out')", { input: 'x'.repeat(1_000_000) })
  assert.equal(ended.how === 'ended' && ended.answer, 'out')
})

test('one that says too much, or takes too long, is killed, whoever else holds its output', async () => {
  assert.deepEqual(await script("process.stdout.write('x'.repeat(100000))"), { how: 'killed' })
  assert.deepEqual(await script('setTimeout(() => {}, 60000)', { ms: 200 }), { how: 'killed' })
  const child =
    "require('child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 3000)'], { stdio: 'inherit' }); setTimeout(() => {}, 60000)"
  const before = performance.now()
  assert.deepEqual(await script(child, { ms: 400 }), { how: 'killed' })
  assert.ok(performance.now() - before < 2_500)
})

test('one that does not exist is not run', async () => {
  const ended = await run({ command: 'no-such-program', args: [], env: {}, ms: 1_000, maxBytes: 10 })
  assert.match(ended.how === 'not-run' ? ended.why : '', /ENOENT/)
})
