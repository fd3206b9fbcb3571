import { deepEqual, equal, match } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../../programs/cli/main.ts', import.meta.url))

/** Runs the command line in another folder, as people do. */
function sealgate(...given: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...given], { cwd: tmpdir(), encoding: 'utf8' })
  return { status, stdout, stderr }
}

test('an unknown option is an error that names the nearest one, on standard error, with exit status 2', () =>
  deepEqual(sealgate('serve', '--mirorr=x'), {
    status: 2,
    stdout: '',
    stderr: 'sealgate serve: unknown option --mirorr: did you mean --mirror?\n',
  }))

test('an unknown command is an error that names the nearest one', () =>
  deepEqual(sealgate('sevre'), { status: 2, stdout: '', stderr: 'sealgate: unknown command sevre: did you mean serve?\n' }))

test('serve does not know --at', () =>
  match(sealgate('serve', '--at', '2026-01-31T12:00:00Z').stderr, /unknown option --at: it belongs to sealgate review/))

test('help is what was asked for, whatever else is wrong with the line', () => {
  const { status, stdout } = sealgate('review', '--nonsense', '--help')
  equal(status, 0)
  match(stdout, /^sealgate review /)
})

test('help of a command can be asked for both ways', () => equal(sealgate('help', 'serve').stdout, sealgate('serve', '-h').stdout))

test('without a command the overview goes to standard error', () => {
  const { status, stdout, stderr } = sealgate()
  deepEqual([status, stdout], [2, ''])
  match(stderr, /sealgate COMMAND/)
})

test('version prints one line', () => match(sealgate('--version').stdout, /^sealgate \d+\.\d+\.\d+ .*\n$/))
