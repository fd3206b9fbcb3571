import { equal, ok } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { root } from '../../tools/project.ts'

function warmed(t: TestContext, environment: NodeJS.ProcessEnv): { readonly cache: string; readonly said: ReturnType<typeof spawnSync> } {
  const folder = mkdtempSync(join(tmpdir(), 'warm-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const cache = join(folder, 'compiled')
  const env = { ...process.env, NODE_COMPILE_CACHE: cache, TMPDIR: folder, ...environment }
  return { cache, said: spawnSync(process.execPath, [`${root}tools/warm.ts`], { env, encoding: 'utf8' }) }
}

test('what the webhook needs is compiled and kept, and nothing is said', (t) => {
  const { cache, said } = warmed(t, {})
  equal(`${said.status} ${said.stdout}${said.stderr}`, '0 ')
  // Programs with other flags of V8 have folders of their own.
  const kept = Math.max(...readdirSync(cache).map((flags) => readdirSync(join(cache, flags)).length))
  ok(kept > 100, `${kept} files`)
})

test('where it cannot start it is quiet all the same, and no failure', (t) => {
  const { cache, said } = warmed(t, { NODE_OPTIONS: '--no-such-option' })
  equal(`${said.stdout}`, '')
  ok(!existsSync(cache) || readdirSync(cache).length <= 1)
})
