import assert from 'node:assert/strict'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import { type AccessOptions, KubeconfigError, openAccess } from '../../../src/world/cluster/kubeconfig.ts'

async function folder(files: Readonly<Record<string, string | object>>): Promise<string> {
  const at = await mkdtemp(join(tmpdir(), 'sealgate-kubeconfig-'))
  for (const [name, content] of Object.entries(files))
    await writeFile(join(at, name), typeof content === 'string' ? content : JSON.stringify(content))
  return at
}

function config(user: object | null, cluster: object = {}): object {
  return {
    'current-context': 'here',
    'contexts': [
      { name: 'here', context: { cluster: 'c', ...(user && { user: 'u' }) } },
      { name: 'there', context: { cluster: 'd' } },
    ],
    'clusters': [
      { name: 'c', cluster: { server: 'https://api.example.com:6443/', ...cluster } },
      { name: 'd', cluster: { server: 'https://d.example.com' } },
    ],
    'users': user ? [{ name: 'u', user }] : [],
  }
}

async function open(user: object | null, cluster: object = {}, options: Partial<AccessOptions> = {}) {
  const at = await folder({ config: config(user, cluster), token: 'from-file\n', ca: 'CA FILE', cert: 'CERT FILE', key: 'KEY FILE' })
  return { at, access: await openAccess({ kubeconfig: join(at, 'config'), env: {}, ...options }) }
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

for (const [what, user, cluster, tls, headers] of [
  ['nothing', null, {}, {}, {}],
  ['a token', { token: 't' }, {}, {}, { authorization: 'Bearer t' }],
  ['a token file beside the kubeconfig, before a token', { tokenFile: 'token', token: 't' }, {}, {}, { authorization: 'Bearer from-file' }],
  ['name and password', { username: 'a', password: 'b' }, {}, {}, { authorization: `Basic ${base64('a:b')}` }],
  [
    'a client certificate',
    { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') },
    {},
    { cert: 'CERT', key: 'KEY' },
    {},
  ],
  ['files of a client certificate', { 'client-certificate': 'cert', 'client-key': 'key' }, {}, { cert: 'CERT FILE', key: 'KEY FILE' }, {}],
  ['the CA, before its file', null, { 'certificate-authority-data': base64('CA'), 'certificate-authority': 'ca' }, { ca: 'CA' }, {}],
  ['the file of the CA', null, { 'certificate-authority': 'ca' }, { ca: 'CA FILE' }, {}],
  ['another name of the server', null, { 'tls-server-name': 'api' }, { servername: 'api' }, {}],
  ['any certificate of the server', null, { 'insecure-skip-tls-verify': true }, { rejectUnauthorized: false }, {}],
  ['any certificate, but not as a text', null, { 'insecure-skip-tls-verify': 'true' }, {}, {}],
  [
    'somebody else',
    { 'token': 't', 'as': 'eve', 'as-groups': ['g', 'h'] },
    {},
    {},
    { 'authorization': 'Bearer t', 'impersonate-user': 'eve', 'impersonate-group': ['g', 'h'] },
  ],
] as const) {
  test(`a kubeconfig gives ${what}`, async () => {
    const { access } = await open(user, cluster)
    assert.deepEqual(await access.credentials(false), { tls, headers })
    assert.equal(access.server, 'https://api.example.com:6443')
    assert.equal(access.proxy, undefined)
  })
}

test('only the proxy-url of the kubeconfig puts a proxy before the API server', async () => {
  const env = { HTTPS_PROXY: 'http://proxy.example.com', https_proxy: 'http://proxy.example.com' }
  assert.equal((await open(null, {}, { env })).access.proxy, undefined)
  assert.equal((await open(null, { 'proxy-url': 'http://127.0.0.1:3128' }, { env })).access.proxy, 'http://127.0.0.1:3128')
})

test('another cluster and another server can be named', async () => {
  assert.equal((await open(null, {}, { cluster: 'd' })).access.server, 'https://d.example.com')
  assert.equal((await open(null, {}, { server: 'https://x.example.com' })).access.server, 'https://x.example.com')
})

test('of several kubeconfigs the first to name something wins', async () => {
  const first = { 'current-context': 'there', 'users': [], 'clusters': [{ name: 'd', cluster: { server: 'https://first.example.com' } }] }
  const at = await folder({ first, second: config({ token: 't' }) })
  const access = await openAccess({ env: { KUBECONFIG: [join(at, 'first'), join(at, 'second')].join(delimiter) } })
  assert.equal(access.server, 'https://first.example.com')
})

test('a pod finds the API server by its environment, and its token anew when it was replaced', async () => {
  const at = await folder({ 'ca.crt': 'CA', 'token': 'one\n' })
  const access = await openAccess({ env: { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }, serviceAccount: at })
  assert.equal(access.server, 'https://[fd00::1]:6443')
  assert.deepEqual(await access.credentials(false), { tls: { ca: 'CA' }, headers: { authorization: 'Bearer one' } })
  await writeFile(join(at, 'token'), 'two\n')
  assert.equal((await access.credentials(false)).headers['authorization'], 'Bearer one')
  await new Promise((resolve) => setTimeout(resolve, 1_050))
  assert.equal((await access.credentials(true)).headers['authorization'], 'Bearer two')
})

test('a credential plugin beside the kubeconfig is run once for many requests, and again when its answer was refused', async () => {
  const plugin = `#!/bin/sh
printf x >> "$RUNS"
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t%s"}}' "$(wc -c < "$RUNS" | tr -d ' ')"
`
  const at = await folder({})
  await writeFile(join(at, 'plugin'), plugin, { mode: 0o755 })
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', env: [{ name: 'RUNS', value: join(at, 'runs') }] }
  await writeFile(join(at, 'config'), JSON.stringify(config({ exec })))
  const access = await openAccess({ kubeconfig: join(at, 'config'), env: process.env })
  const tokens = await Promise.all([access.credentials(false), access.credentials(false), access.credentials(true)])
  assert.deepEqual(
    tokens.map((t) => t.headers['authorization']),
    ['Bearer t1', 'Bearer t1', 'Bearer t1'],
  )
  await new Promise((resolve) => setTimeout(resolve, 1_050))
  assert.equal((await access.credentials(true)).headers['authorization'], 'Bearer t2')
})

test('a file that is missing when it is needed is an error that names it, and is looked for again', async () => {
  const at = await folder({ config: config({ tokenFile: 'token' }) })
  const access = await openAccess({ kubeconfig: join(at, 'config'), env: {} })
  await assert.rejects(access.credentials(false), /token: ENOENT/)
  await writeFile(join(at, 'token'), 't')
  assert.equal((await access.credentials(false)).headers['authorization'], 'Bearer t')
})

for (const [what, content, message] of [
  ['that is no YAML', 'a: [', /config: Flow/],
  ['that is no map', '[]', /config: not a kubeconfig$/],
  ['without current-context', { clusters: [] }, /config: current-context is missing$/],
  ['whose context does not exist', { 'current-context': 'x' }, /config: there is no context x$/],
  [
    'whose cluster does not exist',
    { 'current-context': 'x', 'contexts': [{ name: 'x', context: { cluster: 'y' } }] },
    /config: there is no cluster y$/,
  ],
  ['whose user does not exist', { ...config({ token: 't' }), users: [] }, /config: there is no user u$/],
  ['with a server that is no URL', config(null, { server: 'api.example.com' }), /cluster c: server: not an http or https URL$/],
  [
    'with a proxy that is no URL',
    config(null, { 'proxy-url': 'user:hunter2@proxy' }),
    /cluster c: proxy-url is not an http, https or socks5 URL$/,
  ],
  ['with an auth-provider', config({ 'auth-provider': { name: 'oidc' } }), /user u: auth-provider is not supported; use exec$/],
  [
    'with a plugin of an unknown version',
    config({ exec: { apiVersion: 'client.authentication.k8s.io/v1alpha1', command: 'x' } }),
    /exec.apiVersion must be/,
  ],
] as const) {
  test(`a kubeconfig ${what} is an error`, async () => {
    const at = await folder({ config: content })
    await assert.rejects(
      openAccess({ kubeconfig: join(at, 'config'), env: {} }),
      (error: unknown) => error instanceof KubeconfigError && message.test(error.message) && !error.message.includes('hunter2'),
    )
  })
}

test('without kubeconfig and outside of a pod, no cluster is known', async () => {
  await assert.rejects(openAccess({ env: {} }), /^KubeconfigError: no cluster is known: name a kubeconfig with --kubeconfig/)
})

test('a server alone is asked as nobody', async () => {
  const access = await openAccess({ env: {}, server: 'http://127.0.0.1:8001/' })
  assert.equal(access.server, 'http://127.0.0.1:8001')
  assert.deepEqual(await access.credentials(false), { tls: {}, headers: {} })
  await assert.rejects(openAccess({ env: {}, server: '127.0.0.1:8001' }), /--server: not an http or https URL$/)
})
