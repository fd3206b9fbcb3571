import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './project.ts'

const PATIENCE = 20_000 // ms; on a busy machine it takes a few seconds

/**
 * Starts the webhook once and ends it when it is ready, so that Node keeps what it compiled: run by `npm ci`, after which the first start takes no
 * longer than every other (docs/decisions/no-build.md). Nothing depends on it, so it is quiet and never fails.
 */
const folder = mkdtempSync(join(tmpdir(), 'sealgate-warm-'))
const given = [
  'serve',
  '--manifests',
  folder,
  '--address',
  '127.0.0.1',
  '--port',
  '0',
  '--metrics-port',
  '0',
  '--tls-folder',
  join(folder, 'tls'),
]
const child = spawn(`${root}bin/sealgate`, [...given, '--disable-tuf', '--log-format', 'json'], { stdio: ['ignore', 'pipe', 'ignore'] })
const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE)
child.stdout.on('data', (chunk: Buffer) => {
  if (chunk.includes('"msg":"ready"')) child.kill('SIGTERM')
})
child.on('error', () => undefined)
child.on('close', () => {
  clearTimeout(late)
  rmSync(folder, { recursive: true, force: true })
})
