import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ExecPlugin, runPlugin } from '../../../src/world/cluster/exec-credential.ts'

const apiVersion = 'client.authentication.k8s.io/v1'

/** A plugin that runs a piece of JavaScript. */
function plugin(script: string, more: Partial<ExecPlugin> = {}): ExecPlugin {
  return { apiVersion, command: process.execPath, args: ['-e', script], env: {}, installHint: undefined, cluster: undefined, ...more }
}

const answer = (status: object) => `console.log(JSON.stringify(${JSON.stringify({ apiVersion, kind: 'ExecCredential', status })}))`

test('a plugin answers with a token and when it ends; printed, the token is hidden', async () => {
  const credential = await runPlugin(plugin(answer({ token: 'hunter2', expirationTimestamp: '2030-01-02T03:04:05Z' })), process.env)
  assert.equal(credential.token?.reveal(), 'hunter2')
  assert.equal(credential.ends, Date.UTC(2030, 0, 2, 3, 4, 5))
  assert.ok(!JSON.stringify(credential).includes('hunter2'))
})

test('a plugin answers with a certificate and its key', async () => {
  const credential = await runPlugin(plugin(answer({ clientCertificateData: 'CERT', clientKeyData: 'KEY' })), process.env)
  assert.deepEqual([credential.cert, credential.key?.reveal(), credential.token, credential.ends], ['CERT', 'KEY', undefined, undefined])
})

test('a plugin is told of the cluster, and runs with the environment that the kubeconfig gives', async () => {
  const script = `const info = JSON.parse(process.env.KUBERNETES_EXEC_INFO); console.log(JSON.stringify({ apiVersion: info.apiVersion, kind: info.kind, status: { token: [info.spec.cluster.server, info.spec.interactive, process.env.PROFILE, process.env.HOME].join() } }))`
  const credential = await runPlugin(plugin(script, { cluster: { server: 'https://x' }, env: { PROFILE: 'p' } }), { HOME: '/home/x' })
  assert.equal(credential.token?.reveal(), 'https://x,false,p,/home/x')
})

for (const [what, broken, message] of [
  [
    'does not exist',
    plugin('', { command: '/nowhere/plugin', installHint: 'install it' }),
    /^credential plugin \/nowhere\/plugin could not be run: .*ENOENT.*; install it$/,
  ],
  ['fails', plugin('console.error("no\\nsession"); process.exit(3)'), /ended with 3: no session$/],
  ['answers with no JSON', plugin('console.log("hunter2")'), /did not answer with JSON$/],
  [
    'answers with another version',
    plugin('console.log(JSON.stringify({ apiVersion: "x", kind: "ExecCredential", status: { token: "hunter2" } }))'),
    /did not answer with an ExecCredential of client/,
  ],
  ['answers with nothing', plugin(answer({})), /answered with neither a token nor a certificate and its key$/],
  ['answers with a certificate without key', plugin(answer({ clientCertificateData: 'CERT' })), /neither a token nor/],
  ['answers too much', plugin('process.stdout.write("x".repeat(3e6))'), /was ended after 30 s or 1048576 bytes$/],
] as const) {
  test(`a plugin that ${what} is an error, which shows nothing that it answered`, async () => {
    await assert.rejects(
      runPlugin(broken, process.env),
      (error: unknown) => error instanceof Error && message.test(error.message) && !error.message.includes('hunter2'),
    )
  })
}
