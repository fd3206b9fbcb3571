import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'

const root = join(import.meta.dirname, '../../..')
const denied = 'Error from server (BadRequest): admission webhook "policy.sigstore.dev" denied the request: validation failed: '

// As a person's shell has it: what npm and the test runner tell the tests is not meant for what the tests start.
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_TEST_)/.test(name)))

/** The demonstration, once it has printed everything; its temporary folder lies in `temporary`, alone. */
async function started(command: readonly string[]) {
  const temporary = mkdtempSync(join(tmpdir(), 'sealgate-test-'))
  const [program = '', ...args] = command
  // A process group of its own, so that a signal reaches it as Ctrl-C does: npm and what npm started.
  const child = spawn(program, args, { cwd: root, env: { ...environment, TMPDIR: temporary, INIT_CWD: root }, detached: true })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString()))
  const ended = new Promise<number | string | null>((resolve) => child.on('close', (status, signal) => resolve(status ?? signal)))
  const end = async (signal: NodeJS.Signals): Promise<number | string | null> => {
    if (isRunning(child)) process.kill(-(child.pid as number), signal)
    return ended
  }
  const limit = performance.now() + 20_000
  while (!out.includes('Ctrl-C ends it')) {
    if (performance.now() > limit || !isRunning(child)) {
      await end('SIGKILL')
      throw new Error(`the demonstration did not start:\n${out}`)
    }
    await setTimeout(20)
  }
  return {
    printed: () => out,
    // A recent npm, run by a recent Node, keeps its own compile cache there.
    left: () => readdirSync(temporary).filter((name) => name !== 'node-compile-cache'),
    end,
    [Symbol.asyncDispose]: async () => {
      await end('SIGINT')
      rmSync(temporary, { recursive: true, force: true })
    },
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

function shell(command: string): Promise<{ status: number; out: string }> {
  return new Promise((resolve) =>
    execFile('sh', ['-c', command], { cwd: root }, (error, out, err) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? 1 : 0, out: out + err }),
    ),
  )
}

test('the three requests of the documentation are answered as kubectl prints them, and every printed command works', async () => {
  await using demo = await started(['bin/sealgate', 'demo', '--port', '0', '--metrics-port', '0'])
  const printed = demo.printed()
  assert.ok(
    printed.includes(
      '\n$ kubectl run cosign --image=gcr.io/projectsigstore/cosign:v1.2.1 --dry-run=server\npod/cosign created (server dry run)\n',
    ),
  )
  assert.ok(
    printed.includes(
      `\n$ kubectl run busybox --image=busybox --dry-run=server\n${denied}no matching policies: spec.containers[0].image\nindex.docker.io/library/busybox:latest@sha256:`,
    ),
  )
  assert.ok(
    printed.includes(
      `\n$ kubectl run cosign-fail --image=gcr.io/projectsigstore/cosign:v0.3.0 --dry-run=server\n${denied}failed policy: image-policy: spec.containers[0].image\ngcr.io/projectsigstore/cosign:v0.3.0@sha256:`,
    ),
  )
  assert.match(
    printed,
    /signature key validation failed for authority official-cosign-key for gcr\.io\/projectsigstore\/cosign@sha256:[0-9a-f]{64}: no matching signatures: invalid signature/,
  )
  assert.equal(printed, printed.replaceAll('\u001b', ''), 'no colours where there is no terminal')

  const commands = printed
    .slice(printed.indexOf('Try next'))
    .split(/\n+# .*\n/)
    .slice(1)
    .map((command) => command.split('\n\n')[0] ?? '')
  assert.equal(commands.length, 5)
  const [ask, pin, review, edit, metrics] = commands as [string, string, string, string, string]

  const asked = await shell(ask)
  assert.equal(asked.status, 0)
  assert.match(asked.out, /"allowed":false.*no matching signatures.*\}\n$/)

  const pins = [await shell(pin), await shell(pin)]
  for (const { out } of pins) assert.match(out, /"value":"registry\.demo\.example\/team\/moving:v1@sha256:[0-9a-f]{64}"\}\]\n$/)
  assert.notEqual(pins[0]?.out, pins[1]?.out)

  const reviewed = await shell(review)
  assert.equal(reviewed.status, 1)
  const verdicts = reviewed.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { file: string; answer: { response: { allowed: boolean } } })
  assert.deepEqual(Object.fromEntries(verdicts.map(({ file, answer }) => [/([^/]*)\.json$/.exec(file)?.[1], answer.response.allowed])), {
    'bundled': true,
    'busybox': false,
    'cosign': true,
    'cosign-fail': false,
    'moving-signed': true,
    'moving-unsigned': false,
    'multi': true,
    'referred': true,
    'released': true,
    'released-fork': false,
  })

  assert.match((await shell(metrics)).out, /^sealgate_decisions_total\{.*code="no-matching-policies"/m)

  assert.equal((await shell(edit)).status, 0)
  const limit = performance.now() + 10_000
  while (!/"allowed":true.*"warnings":\["failed policy: image-policy/.test((await shell(ask)).out)) {
    assert.ok(performance.now() < limit, 'the edited policy is in force')
    await setTimeout(50)
  }
  assert.equal(await demo.end('SIGINT'), 0)
  assert.match(demo.printed(), /policy changed/)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test(`${signal} ends it with status 0, and nothing is left behind`, async () => {
    await using demo = await started(['bin/sealgate', 'demo', '--port', '0', '--metrics-port', '0'])
    assert.equal(demo.left().length, 1)
    assert.equal(await demo.end(signal), 0)
    assert.deepEqual(demo.left(), [])
  })

test('Ctrl-C ends npm start with status 0, and ports that are taken are replaced and said', async (t) => {
  const taken = [createServer(), createServer()]
  t.after(() => taken.forEach((server) => server.close()))
  for (const server of taken) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const [port, metricsPort] = taken.map((server) => (server.address() as AddressInfo).port)
  await using demo = await started(['npm', 'start', '--', '--port', String(port), '--metrics-port', String(metricsPort)])
  assert.match(demo.printed(), new RegExp(`^webhook .*:(?!${port})\\d+/validations.*\\(${port} is taken\\)$`, 'm'))
  assert.match(demo.printed(), new RegExp(`^metrics .*:(?!${metricsPort})\\d+/metrics.*\\(${metricsPort} is taken\\)$`, 'm'))
  assert.equal(await demo.end('SIGINT'), 0)
  assert.deepEqual(demo.left(), [])
})

test('what cannot be started is said in a line, with status 2, and nothing is left behind', async () => {
  const temporary = mkdtempSync(join(tmpdir(), 'sealgate-test-'))
  const { status, out } = await shell(`TMPDIR=${temporary} bin/sealgate demo --port 0 --metrics-port 0 --registry-ca /nowhere/ca.pem`)
  assert.equal(status, 2)
  assert.match(out, /^sealgate demo: .*\/nowhere\/ca\.pem.*\n$/)
  assert.deepEqual(readdirSync(temporary), [])
  rmSync(temporary, { recursive: true })
})
