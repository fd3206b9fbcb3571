import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { EndedSpan } from '../../../fakes/open-telemetry.ts'
import { makeSigner } from '../../../fakes/signer.ts'
import { certificate, post } from './client.ts'

const main = fileURLToPath(new URL('../../../programs/cli/main.ts', import.meta.url))
const IMAGE = `ghcr.io/acme/web@sha256:${'a'.repeat(64)}`
const REVIEW = JSON.stringify({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: 'u1',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    operation: 'CREATE',
    namespace: 'shop',
    name: 'web',
    object: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec: { containers: [{ name: 'c', image: IMAGE }] } },
  },
})

const policy = (action: string): string => `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: p}
spec: {images: [{glob: '**'}], authorities: [{name: a, static: {action: ${action}}}]}
`

type Line = Readonly<Record<string, unknown>> & { readonly msg: string }

/** `sealgate serve` as a process of its own, with the lines of its log as they come. */
class Serve {
  readonly process: ChildProcess
  readonly #lines: Line[] = []
  readonly #closed: Promise<unknown>
  #rest = ''
  stderr = ''

  constructor(given: readonly string[], more: { readonly node?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {}) {
    this.process = spawn(
      process.execPath,
      [...(more.node ?? []), main, 'serve', '--address', '127.0.0.1', '--disable-tuf', '--log-format', 'json', ...given],
      {
        env: { PATH: process.env['PATH'], ...more.env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    this.#closed = once(this.process, 'close')
    this.process.stdout?.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString()).split('\n')
      this.#rest = lines.pop() ?? ''
      this.#lines.push(...lines.map((l) => JSON.parse(l) as Line))
    })
    this.process.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()))
  }

  async line(msg: string): Promise<Line> {
    for (let i = 0; i < 1000; i++) {
      const found = this.#lines.find((l) => l.msg === msg)
      if (found) return found
      if (this.process.exitCode !== null) break
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    throw new Error(`no line «${msg}» in: ${this.#lines.map((l) => l.msg).join(', ')} ${this.stderr}`)
  }

  async ports(): Promise<{ webhook: number; metrics: number; ca: string }> {
    const { webhook, metrics } = await this.line('listening')
    const { pem } = await this.line('the certificate is self-signed: clients have to trust this CA')
    const port = (url: unknown): number => Number(new URL(String(url)).port)
    return { webhook: port(webhook), metrics: port(metrics), ca: String(pem) }
  }

  /** Its exit status, once all that it has written is read. */
  async exit(): Promise<number | null> {
    await this.#closed
    return this.process.exitCode
  }
}

async function folder(t: TestContext, action = 'pass'): Promise<string> {
  const at = await mkdtemp(join(tmpdir(), 'serve-'))
  t.after(() => rm(at, { recursive: true, force: true }))
  await writeFile(join(at, 'p.yaml'), policy(action))
  return at
}

async function serve(
  t: TestContext,
  at: string,
  more: ConstructorParameters<typeof Serve>[1] = {},
  given: readonly string[] = [],
): Promise<Serve> {
  const served = new Serve(
    ['--manifests', join(at, 'p.yaml'), '--port', '0', '--metrics-port', '0', '--tls-folder', join(at, 'tls'), ...given],
    more,
  )
  t.after(() => served.process.kill('SIGKILL'))
  return served
}

async function allowed(port: number, ca: string): Promise<boolean> {
  const { body } = await post(port, '/validations?timeout=10s', REVIEW, undefined, { ca })
  return (JSON.parse(body) as { response: { allowed: boolean } }).response.allowed
}

// Processes of their own: most of the time they start.
suite('sealgate serve', { concurrency: 4 }, () => {
  test('it serves from files, follows their changes, and ends on SIGTERM with exit status 0', async (t) => {
    const at = await folder(t)
    const served = await serve(t, at)
    await served.line('ready')
    const { webhook, metrics, ca } = await served.ports()
    equal((await fetch(`http://127.0.0.1:${metrics}/readyz`)).status, 200)
    equal(await allowed(webhook, ca), true)
    await writeFile(join(at, 'p.yaml'), policy('fail'))
    await served.line('policy changed')
    equal(await allowed(webhook, ca), false)
    const { kind, namespace, name } = await served.line('request')
    deepEqual([kind, namespace, name], ['Pod', 'shop', 'web'])
    match(
      await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text(),
      /sealgate_requests_total\{path="\/validations",operation="CREATE",kind="Pod",allowed="true"\} 1/,
    )
    served.process.kill('SIGTERM')
    equal(await served.exit(), 0)
  })

  test('no library of a cloud is imported before a policy or a registry needs it, and then that of this cloud alone', async (t) => {
    const at = await folder(t)
    const file = join(at, 'packages')
    const hook = `import { registerHooks } from 'node:module'
      import { appendFileSync } from 'node:fs'
      const ofClouds = /^(?:@aws-sdk|@azure|@smithy|google-auth-library|gaxios|gcp-metadata)/
      registerHooks({
        resolve(specifier, context, next) {
          if (ofClouds.test(specifier)) appendFileSync(${JSON.stringify(file)}, specifier + '\\n')
          return next(specifier, context)
        },
      })`
    const imported = async (): Promise<string> => readFile(file, 'utf8').catch(() => '')
    const served = await serve(t, at, {
      node: ['--import', `data:text/javascript,${encodeURIComponent(hook)}`],
      env: { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret', AWS_ENDPOINT_URL: 'http://127.0.0.1:1' },
    })
    await served.line('ready')
    const { webhook, ca } = await served.ports()
    equal(await allowed(webhook, ca), true)
    equal(await imported(), '')
    const kms = 'awskms:///arn:aws:kms:eu-west-1:111122223333:alias/signing'
    await writeFile(join(at, 'p.yaml'), policy('pass').replace('static: {action: pass}', `key: {kms: '${kms}'}`))
    const { why } = await served.line('a key of a key management service could not be read; policies with it refuse')
    match(String(why), /127\.0\.0\.1:1/)
    match(await imported(), /^@aws-sdk\/client-kms\n/)
    ok(!/azure|google|client-ecr/.test(await imported()))
    equal(await allowed(webhook, ca), false)
  })

  test('SIGINT ends it at once, although SIGTERM would wait for quiet', async (t) => {
    const served = await serve(t, await folder(t), {}, ['--drain-quiet', '10m'])
    await served.line('ready')
    served.process.kill('SIGINT')
    equal(await served.exit(), 0)
  })

  test('a second signal does not wait', async (t) => {
    const served = await serve(t, await folder(t), {}, ['--drain-quiet', '10m'])
    const { metrics } = await served.ports()
    await served.line('ready')
    served.process.kill('SIGTERM')
    await served.line('ending')
    equal((await fetch(`http://127.0.0.1:${metrics}/readyz`)).status, 503)
    served.process.kill('SIGTERM')
    equal(await served.exit(), 0)
  })

  test('lesson 48: an exception in what nobody waits for is counted and logged, and requests are answered as before', async (t) => {
    const bugs =
      'setTimeout(() => { throw new Error("thrown by nobody") }, 700); setTimeout(() => { Promise.reject(new Error("rejected by nobody")) }, 750)'
    const served = await serve(t, await folder(t), { node: ['--import', `data:text/javascript,${encodeURIComponent(bugs)}`] })
    const { webhook, metrics, ca } = await served.ports()
    const { error } = await served.line('an exception that nothing expected')
    match((error as { stack: string }).stack, /thrown by nobody/)
    await new Promise((resolve) => setTimeout(resolve, 100))
    equal(await allowed(webhook, ca), true)
    const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
    match(text, /sealgate_internal_errors_total\{where="uncaught-exception"\} 1/)
    match(text, /sealgate_internal_errors_total\{where="unhandled-rejection"\} 1/)
  })

  test('with an SDK of OpenTelemetry preloaded each admission is a span with its stages, in the trace of the API server', async (t) => {
    const at = await folder(t)
    const file = join(at, 'spans.json')
    const sdk = new URL('../../../fakes/open-telemetry.ts', import.meta.url).href
    const preloaded = `import { registerOpenTelemetry } from ${JSON.stringify(sdk)}
      import { writeFileSync } from 'node:fs'
      const { ended } = registerOpenTelemetry()
      process.on('exit', () => writeFileSync(${JSON.stringify(file)}, JSON.stringify(ended)))`
    const served = await serve(t, at, { node: ['--import', `data:text/javascript,${encodeURIComponent(preloaded)}`] })
    await served.line('ready')
    const { webhook, ca } = await served.ports()
    const traceparent = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`
    await post(webhook, '/validations', REVIEW, { 'Content-Type': 'application/json', traceparent }, { ca })
    served.process.kill('SIGTERM')
    equal(await served.exit(), 0)
    const spans = JSON.parse(await readFile(file, 'utf8')) as readonly EndedSpan[]
    deepEqual(
      spans.map(({ name, traceId }) => [name, traceId]),
      [
        ['read', 'c'.repeat(32)],
        ['admission /validations', 'c'.repeat(32)],
      ],
    )
    equal(spans[1]?.attributes['sealgate.allowed'], true)
  })

  test('with too little memory for all who ask it refuses, and lives', async (t) => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const held = new Set<Socket>()
    silent.on('connection', (socket) => held.add(socket))
    t.after(() => {
      silent.close()
      for (const socket of held) socket.destroy()
    })
    const at = await folder(t)
    await writeFile(
      join(at, 'p.yaml'),
      policy('pass').replace('static: {action: pass}', `key: {data: ${JSON.stringify(makeSigner().pem)}}`),
    )
    const { port } = silent.address() as AddressInfo
    const served = await serve(t, at, { node: ['--max-heap-size=96', '--expose-gc'] }, ['--mirror', `ghcr.io=http://127.0.0.1:${port}`])
    await served.line('ready')
    const { webhook, ca } = await served.ports()
    // 700 KB that become some 5 MB: more than the heap can hold of them all.
    const review = JSON.parse(REVIEW) as { request: { object: { metadata: object } } }
    review.request.object.metadata = { annotations: Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`key-${i}`, 'x'])) }
    const body = JSON.stringify(review)
    const answers = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const { body: text } = await post(webhook, '/validations?timeout=6s', body, undefined, { ca })
        return (JSON.parse(text) as { response: { status: { code: number } } }).response.status.code
      }),
    )
    ok(answers.includes(429), answers.join(' '))
    ok(
      answers.every((code) => code >= 400),
      answers.join(' '),
    )
    equal(served.process.exitCode, null)
    equal(served.process.signalCode, null)
  })

  test('a setting of the policy controller that does nothing here is named in the log', async (t) => {
    const served = await serve(t, await folder(t), { env: { METRICS_DOMAIN: 'sigstore.dev/policy' } })
    const { setting, why } = await served.line('a setting is accepted and does nothing')
    deepEqual([setting, why], ['METRICS_DOMAIN', 'metrics are named sealgate_…'])
  })

  test('a broken file is why it does not start: file, document and line, exit status 2', async (t) => {
    const at = await folder(t)
    await writeFile(join(at, 'p.yaml'), `${policy('pass')}---\nkind: [`)
    const served = await serve(t, at)
    equal(await served.exit(), 2)
    match(served.stderr, /^sealgate serve: .*p\.yaml: document 2, line \d+/)
  })

  test('without files and without a cluster it says how to name one, exit status 2', async () => {
    const served = new Serve([])
    equal(await served.exit(), 2)
    match(served.stderr, /^sealgate serve: no cluster is known: .*--kubeconfig.*--manifests/)
  })

  test('a TUF root that cannot be read is one line and exit status 2; a repository that nobody answers for keeps nothing from starting', async (t) => {
    const at = await folder(t)
    const served = new Serve(['--manifests', at, '--disable-tuf=false', '--tuf-root', join(at, 'absent.json')])
    equal(await served.exit(), 2)
    equal(served.stderr, `sealgate serve: --tuf-root ${join(at, 'absent.json')}: no such file\n`)

    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    t.after(() => silent.close())
    const { port } = silent.address() as AddressInfo
    const waiting = await serve(t, at, {}, ['--disable-tuf=false', '--tuf-mirror', `http://127.0.0.1:${port}`])
    await waiting.line('ready')
  })

  test('a cluster that cannot be reached is waited for: not ready, and nobody is admitted', async (t) => {
    const at = await folder(t)
    const kubeconfig = join(at, 'kubeconfig')
    await writeFile(
      kubeconfig,
      `{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]}`,
    )
    const served = new Serve([
      '--kubeconfig',
      kubeconfig,
      '--port',
      '0',
      '--metrics-port',
      '0',
      '--probe-port',
      '0',
      '--tls-folder',
      join(at, 'tls'),
    ])
    t.after(() => served.process.kill('SIGKILL'))
    const { webhook, metrics, ca } = await served.ports()
    const readiness = await fetch(`http://127.0.0.1:${metrics}/readyz`)
    equal(readiness.status, 503)
    match(await readiness.text(), /^waiting for clusterimagepolicies/)
    equal((await post(webhook, '/', '', { 'K-Kubelet-Probe': 'webhook' }, { ca })).status, 503)
    equal(await allowed(webhook, ca), false)
  })

  test('a port that is taken is an error that names the option, exit status 2', async (t) => {
    const at = await folder(t)
    const first = await serve(t, at)
    const { webhook } = await first.ports()
    const second = new Serve([
      '--manifests',
      join(at, 'p.yaml'),
      '--port',
      String(webhook),
      '--metrics-port',
      '0',
      '--tls-folder',
      join(at, 'tls'),
    ])
    t.after(() => second.process.kill('SIGKILL'))
    equal(await second.exit(), 2)
    ok(second.stderr.includes(`127.0.0.1:${webhook} is taken: choose another port with --port`), second.stderr)
  })

  test('at the start nothing is imported but what every request needs: a package for some policies waits until one needs it', async (t) => {
    const at = await folder(t)
    await writeFile(join(at, 'tls.crt'), certificate.certificate)
    await writeFile(join(at, 'tls.key'), certificate.key)
    const noting = `import { registerHooks } from 'node:module'
      import { writeFileSync } from 'node:fs'
      const packages = new Set()
      registerHooks({ load(url, context, next) {
        const name = url.split('/node_modules/').at(-1).match(/^(@[^/]+\\/)?[^/:]+(?=\\/)/)
        if (url.includes('/node_modules/') && name) packages.add(name[0])
        return next(url, context)
      } })
      process.on('exit', () => writeFileSync(${JSON.stringify(join(at, 'imported.json'))}, JSON.stringify([...packages])))`
    const served = await serve(t, at, { node: ['--import', `data:text/javascript,${encodeURIComponent(noting)}`] }, [
      '--tls-cert',
      join(at, 'tls.crt'),
      '--tls-key',
      join(at, 'tls.key'),
    ])
    await served.line('ready')
    served.process.kill('SIGTERM')
    equal(await served.exit(), 0)
    const imported = JSON.parse(await readFile(join(at, 'imported.json'), 'utf8')) as readonly string[]
    ok(imported.includes('undici'), `${imported.length} packages were noted`)
    const { dependencies } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8')) as {
      readonly dependencies: Readonly<Record<string, string>>
    }
    deepEqual(
      imported.filter((name) => name in dependencies).toSorted(),
      [
        '@noble/curves',
        '@opentelemetry/api',
        '@sigstore/bundle',
        '@sigstore/core',
        'lru-cache',
        'pino',
        'prom-client',
        're2js',
        'undici',
        'yaml',
      ],
      'a further package makes every start longer: import it where it is first needed',
    )
  })

  test('the ConfigMap config-logging changes the level while it runs', async (t) => {
    const at = await folder(t)
    const logging = `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-logging, namespace: cosign-system}\ndata: {loglevel.policy-controller: debug}\n`
    const served = await serve(t, at)
    await served.line('ready')
    await writeFile(join(at, 'p.yaml'), policy('pass') + logging)
    equal((await served.line('log level changed'))['level'], 'debug')
  })
})
