import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { root } from '../../tools/project.ts'

/** What `npm test -- FILE` prints and answers for one file, which `FILE` in `options` stands for. */
function run(t: TestContext, body: string, ...options: string[]): { status: number | null; lines: string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'sealgate-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'a.test.ts')
  writeFileSync(file, `import { suite, test } from 'node:test'\n${body}\n`)
  const { NODE_TEST_CONTEXT: _, ...env } = process.env // else the runner takes itself for a test file of ours
  const { status, stdout } = spawnSync(
    process.execPath,
    [`${root}tools/test.ts`, ...options.map((option) => option.replace('FILE', file)), file],
    { encoding: 'utf8', env },
  )
  return { status, lines: stdout.trimEnd().split('\n') }
}

test('what was left out is listed at the end with its reason, and counted', (t) => {
  const { status, lines } = run(
    t,
    "test('a', () => {})\nsuite('b', { skip: 'without etcd: npm run e2e builds it' }, () => { test('c', () => {}) })",
  )
  assert.equal(status, 0)
  assert.ok(lines.includes('1 × without etcd: npm run e2e builds it'), lines.join('\n'))
  assert.equal(lines.at(-1), '1 passed, 0 failed, 1 left out')
})

test('where nothing may be left out, that is a failure', (t) => {
  assert.equal(run(t, "test('a', () => {})\ntest('b', { skip: 'why' }, () => {})", '--leave-out-nothing').status, 1)
})

test('but for the files that are named, and it is still listed', (t) => {
  const body = "test('a', () => {})\ntest('b', { skip: 'why' }, () => {})"
  const { status, lines } = run(t, body, '--leave-out-nothing', '--may-leave-out=FILE')
  assert.equal(status, 0)
  assert.ok(lines.includes('1 × why'), lines.join('\n'))
  assert.equal(run(t, body, '--leave-out-nothing', '--may-leave-out=e2e/other.test.ts').status, 1)
})

for (const [what, body, summary] of [
  ['a test that fails', "test('a', () => { throw new Error('no') })", '0 passed, 1 failed, 0 left out'],
  ['a file that cannot be loaded', "await import('./gone.ts')", '0 passed, 1 failed, 0 left out'],
  ['a promise that nobody waits for', "test('a', () => { void Promise.reject(new Error('no')) })", undefined],
  [
    'a suite whose preparation fails',
    "import { before } from 'node:test'\nsuite('s', () => { before(() => { throw new Error('no') }); test('a', () => {}) })",
    '0 passed, 1 failed, 0 left out',
  ],
] as const)
  test(`${what} is a failure`, (t) => {
    const { status, lines } = run(t, body)
    assert.equal(status, 1)
    if (summary !== undefined) assert.equal(lines.at(-1), summary)
  })

test('a file that does not end is named, and fails', (t) => {
  process.env['SEALGATE_TEST_SILENCE'] = '2000'
  t.after(() => delete process.env['SEALGATE_TEST_SILENCE'])
  const { status, lines } = run(t, "import { createServer } from 'node:net'\ntest('a', () => { createServer().listen(0) })")
  assert.equal(status, 1)
  assert.ok(lines.includes('  does not end: it leaves a server, a timer or a process open'), lines.join('\n'))
})
