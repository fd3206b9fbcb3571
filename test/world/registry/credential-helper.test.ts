import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { CredentialHelpers } from '../../../src/world/registry/credential-helper.ts'
import type { Got } from '../../../src/world/registry/fetched.ts'

const folder = mkdtempSync(join(tmpdir(), 'helpers-'))
after(() => rmSync(folder, { recursive: true }))
const asked = join(folder, 'asked')

/** A helper on PATH that is a shell script; `$server` is what it was asked for. */
function helper(name: string, script: string): void {
  const path = join(folder, `docker-credential-${name}`)
  writeFileSync(path, `#!/bin/sh\nread -r server\necho "$1 $server" >> ${asked}\n${script}\n`)
  chmodSync(path, 0o755)
}
helper('good', `printf '{"ServerURL":"%s","Username":"me","Secret":"hunter2"}' "$server"`)
helper('token', `echo '{"Username":"<token>","Secret":"refresh"}'`)
helper('none', 'echo "credentials not found in native keychain"; exit 1')
helper('empty', `echo '{"Username":"","Secret":""}'`)
helper('broken', 'echo "hunter2 is wrong"; echo hunter2 >&2; exit 3')
helper('text', 'echo hunter2')
helper('endless', 'exec cat /dev/zero')

const environment = { PATH: `${folder}:${process.env['PATH'] ?? ''}` }
const get = (name: string, registry = 'r.example', helpers = new CredentialHelpers(environment)): Promise<Got> =>
  helpers.credentialFor(name, registry).get(AbortSignal.timeout(5_000))

test('a helper is asked for the registry on standard input, and answers with a user name and a secret', async () => {
  assert.deepEqual(await get('good'), {
    state: 'found',
    credential: { kind: 'basic', source: 'docker-credential-good', username: 'me', password: 'hunter2' },
  })
  assert.equal(readFileSync(asked, 'utf8').trim().split('\n').at(-1), 'get r.example')
})

test('Docker Hub has the name that helpers know it by', async () => {
  await get('good', 'index.docker.io')
  assert.equal(readFileSync(asked, 'utf8').trim().split('\n').at(-1), 'get https://index.docker.io/v1/')
})

test('the user <token> says that the secret is an identity token', async () => {
  const got = await get('token')
  assert.deepEqual(got.state === 'found' && got.credential.kind, 'identity-token')
})

for (const [name, state, why] of [
  ['none', 'none', 'it has none for this registry'],
  ['empty', 'none', 'it has none for this registry'],
  ['broken', 'unknown', 'it ended with 3'],
  ['text', 'unknown', 'it did not answer with a user name and a secret'],
  ['endless', 'unknown', 'it was ended after 10 s or 65536 bytes'],
  ['missing', 'unknown', 'it could not be run: ENOENT'],
] as const)
  test(`docker-credential-${name}: ${why}, and nothing that it said is shown`, async () =>
    assert.deepEqual(await get(name), { state, why }))

test('a helper is asked once for all who want it, and again after a registry did not take what it said', async () => {
  const times = (): number => readFileSync(asked, 'utf8').split('once.example').length - 1
  const helpers = new CredentialHelpers(environment)
  await Promise.all([get('good', 'once.example', helpers), get('good', 'once.example', helpers)])
  await get('good', 'once.example', helpers)
  assert.equal(times(), 1)
  helpers.credentialFor('good', 'once.example').refused()
  await get('good', 'once.example', helpers)
  assert.equal(times(), 2)
})

test('who has no time left does not wait', async () => {
  const got = await new CredentialHelpers(environment).credentialFor('good', 'late.example').get(AbortSignal.abort())
  assert.deepEqual(got, { state: 'unknown', why: 'there was no answer in time' })
})
