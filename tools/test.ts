import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { finished } from 'node:stream/promises'
import { run } from 'node:test'
import { inspect } from 'node:util'
import { root } from './project.ts'

/**
 * `npm test`: the checks, then every test, then loudly what was left out.
 *
 *   npm test                         everything
 *   npm test -- FILE…                only these test files, without the checks
 *   npm test -- --leave-out-nothing  a test that was left out is a failure, but for those of `--may-leave-out=FILE`
 *
 * A test that needs what is not there is skipped with a reason that says how to get it; the reasons are listed at the end.
 */
const AT_ONCE = 2 // test files; on two cores, more would only make each other late
const MAX_SILENCE = Number(process.env['SEALGATE_TEST_SILENCE'] ?? 240_000) // ms without any news after which the files under way are given up; the session needs 3 minutes

const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const leaveOutNothing = process.argv.includes('--leave-out-nothing')
const mayBeLeftOut = process.argv.flatMap((argument) => (argument.startsWith('--may-leave-out=') ? [argument.slice(16)] : []))

let checksFailed = false
if (named.length === 0)
  checksFailed = spawnSync(process.execPath, [`${root}tools/check.ts`], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }).status !== 0

const total = { passed: 0, failed: 0 }
const failures: string[] = []
const leftOut = new Map<string, number>()
let leftOutAgainstTheRule = false

if (named.length > 0) await runAll(named, AT_ONCE)
else {
  await runAll(globSync(['test/**/*.test.ts', 'cases/*.test.ts'], { cwd: root }).toSorted(), AT_ONCE)
  // Real servers, and what must be in force within a second: these have the machine to themselves.
  await runAll(globSync('e2e/*.test.ts', { cwd: root }).toSorted(), 1)
}

async function runAll(files: readonly string[], atOnce: number): Promise<void> {
  console.log(`\n${files.length} test files`)
  // A file whose tests have ended is ended: under npm a connection that a child left open would hold it, and the whole run, for minutes.
  // A file that leaves something open never ends. It is ended here and fails; forcing it to exit with its tests would hide what it left.
  const silence = new AbortController()
  const underWay = new Set<string>()
  const clock = setTimeout(() => {
    for (const file of underWay) failures.push(`${file}\n  does not end: it leaves a server, a timer or a process open`)
    silence.abort()
  }, MAX_SILENCE)
  const events = run({ files, cwd: root, concurrency: atOnce, signal: silence.signal })
  events.on('data', ({ data }: { readonly data: { readonly file?: string } }) => {
    clock.refresh()
    if (data.file !== undefined) underWay.add(data.file)
  })
  events.on('test:pass', ({ skip, name, file }) => {
    if (skip === undefined) return
    if (leaveOutNothing && !mayBeLeftOut.includes((file ?? '').replace(root, ''))) leftOutAgainstTheRule = true
    const why = typeof skip === 'string' && skip !== '' ? skip : name
    leftOut.set(why, (leftOut.get(why) ?? 0) + 1)
  })
  events.on('test:fail', ({ name, file, line, todo, details: { error } }) => {
    if (todo !== undefined || ('failureType' in error && error.failureType === 'subtestsFailed')) return
    failures.push(`${file ?? ''}:${line ?? ''}\n  ${name}\n  ${inspect(error.cause ?? error).replaceAll('\n', '\n  ')}`)
  })
  events.on('test:stdout', ({ message }) => process.stderr.write(message))
  events.on('test:stderr', ({ message }) => process.stderr.write(message))
  events.on('test:summary', ({ file, counts, duration_ms, success }) => {
    if (file === undefined) {
      total.passed += counts.passed
      total.failed += counts.tests - counts.passed - counts.skipped - counts.todo
    } else {
      underWay.delete(file)
      const name = file.replace(root, '')
      console.log(`${success ? 'ok' : 'FAILED'} ${name}: ${counts.passed} of ${counts.tests} passed, ${Math.round(duration_ms)} ms`)
    }
  })
  await finished(events)
  clearTimeout(clock)
}

for (const failure of failures) console.log(`\nFAILED ${failure.replaceAll(`file://${root}`, '').replaceAll(root, '')}`)
if (leftOut.size > 0)
  console.log(`\n———— LEFT OUT ————\n${[...leftOut].map(([why, tests]) => `${tests} × ${why}`).join('\n')}\n——————————————————`)
if (checksFailed) console.log('\nA check failed: see the top, or npm run check')

if (leftOutAgainstTheRule) console.log(`\nNothing may be left out here${mayBeLeftOut.map((file) => `, but of ${file}`).join('')}.`)
const number = [...leftOut.values()].reduce((sum, tests) => sum + tests, 0)
console.log(`\n${total.passed} passed, ${total.failed} failed, ${number} left out`)
process.exitCode = checksFailed || leftOutAgainstTheRule || failures.length + total.failed > 0 || total.passed === 0 ? 1 : 0
