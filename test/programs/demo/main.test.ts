import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'

const root = join(import.meta.dirname, '../../..')
const denied = 'Error from server (BadRequest): admission webhook "policy.sigstore.dev" denied the request: validation failed: '

/** The demonstration, once it has printed everything; it ends by SIGINT at the latest when the test does. */
async function started(...options: readonly string[]) {
  const child = spawn('bin/sealgate', ['demo', ...options], { cwd: root })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString()))
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const limit = performance.now() + 20_000
  while (!out.includes('Ctrl-C ends it')) {
    if (performance.now() > limit || child.exitCode !== null) throw new Error(`the demonstration did not start:\n${out}`)
    await setTimeout(20)
  }
  const end = async (): Promise<number | null> => {
    child.kill('SIGINT')
    return ended
  }
  return { out, end, [Symbol.asyncDispose]: async () => void (await end()) }
}

function shell(command: string): Promise<{ status: number; out: string }> {
  return new Promise((resolve) =>
    execFile('sh', ['-c', command], { cwd: root }, (error, out) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? 1 : 0, out }),
    ),
  )
}

test('the three requests of the documentation are answered as kubectl prints them, every printed command works, and Ctrl-C leaves nothing', async () => {
  await using demo = await started('--port', '0', '--metrics-port', '0')
  const { out } = demo
  assert.match(out, /\npod\/cosign created \(server dry run\)\n/)
  assert.ok(out.includes(`${denied}no matching policies: spec.containers[0].image\nindex.docker.io/library/busybox:latest@sha256:`))
  assert.ok(out.includes(`${denied}failed policy: image-policy: spec.containers[0].image\ngcr.io/projectsigstore/cosign:v0.3.0@sha256:`))
  assert.match(
    out,
    /for authority official-cosign-key for gcr\.io\/projectsigstore\/cosign@sha256:[0-9a-f]{64}: no matching signatures: invalid signature/,
  )

  const commands = out
    .slice(out.indexOf('Try next:'))
    .split('\n')
    .filter((line) => /^(curl|sed|\S*sealgate) /.test(line))
  assert.equal(commands.length, 4)
  const [ask, review, edit, metrics] = commands as [string, string, string, string]
  assert.match((await shell(ask)).out, /"allowed":false.*no matching signatures/)
  const offline = await shell(review)
  assert.equal(offline.status, 1)
  assert.match(offline.out, /"allowed":false.*no matching signatures/)
  assert.equal((await shell(review.replace('cosign-fail.json', 'bundled.json'))).status, 0)
  assert.equal((await shell(review.replace('cosign-fail.json', 'multi.json'))).status, 0)
  assert.equal((await shell(review.replace('cosign-fail.json', 'moving-signed.json'))).status, 0)
  assert.equal((await shell(review.replace('cosign-fail.json', 'moving-unsigned.json'))).status, 1)
  assert.match((await shell(metrics)).out, /sealgate_decisions/)

  assert.equal((await shell(edit)).status, 0)
  const limit = performance.now() + 10_000
  while (!(await shell(ask)).out.includes('"allowed":true')) {
    assert.ok(performance.now() < limit, 'the edited policy is in force')
    await setTimeout(50)
  }

  const folder = /policies {2}(\S+)\/policies/.exec(out)?.[1] ?? ''
  assert.ok(existsSync(folder))
  assert.equal(await demo.end(), 0)
  assert.ok(!existsSync(folder))
})

test('a port that is taken is replaced by another one, and it says so', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as AddressInfo
  {
    await using demo = await started('--port', String(port), '--metrics-port', '0')
    assert.match(demo.out, new RegExp(`port ${port} is taken, so the webhook has \\d+`))
  }
  taken.close()
})
