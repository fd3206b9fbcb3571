import { deepEqual, equal, match, notEqual } from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect } from 'node:tls'
import { renewed } from '../../../programs/webhook/certificate.ts'
import type { WebhookParts, WebhookSettings } from '../../../programs/webhook/start.ts'
import { startWebhook } from '../../../programs/webhook/start.ts'
import { silent } from '../../../src/world/log.ts'
import { uncounted } from '../../../src/world/metrics.ts'
import { allowing, certificate, keeping, post, review } from './client.ts'

async function start(t: TestContext, more: Partial<WebhookSettings> = {}, parts: Partial<WebhookParts> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'start-'))
  t.after(() => rm(folder, { recursive: true }))
  const [tlsCert, tlsKey] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  await Promise.all([writeFile(tlsCert, certificate.certificate), writeFile(tlsKey, certificate.key)])
  const settings: WebhookSettings = {
    address: '127.0.0.1',
    port: 0,
    metricsAddress: undefined,
    metricsPort: 0,
    probePort: undefined,
    tlsCert,
    tlsKey,
    tlsFolder: undefined,
    tlsMinVersion: '1.3',
    serviceName: 'webhook',
    systemNamespace: 'cosign-system',
    ...more,
  }
  return startWebhook(settings, {
    answerers: new Map([['/validations', async (body) => allowing(body)]]),
    readiness: () => ({ ready: true }),
    log: silent,
    metrics: uncounted,
    environment: {},
    ...parts,
  })
}

async function started(...given: Parameters<typeof start>) {
  const start_ = await start(...given)
  if (!start_.ok) throw new Error(start_.text)
  given[0].after(() => start_.webhook.stop(0, 0))
  return start_.webhook
}

async function taken(t: TestContext): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const at = server.address()
  return typeof at === 'object' && at !== null ? at.port : 0
}

const plain = (port: number, path: string): Promise<number> => fetch(`http://127.0.0.1:${port}${path}`).then((r) => r.status)

test('reviews are answered over TLS, probes and metrics in the clear', async (t) => {
  const { port, metricsPort, address, metricsAddress } = await started(t)
  equal((await post(port, '/validations', review('u1'))).body, '{"answers":"u1"}')
  deepEqual(await Promise.all(['/healthz', '/readyz', '/metrics'].map((p) => plain(metricsPort, p))), [200, 200, 200])
  deepEqual([address, metricsAddress], [`127.0.0.1:${port}`, `127.0.0.1:${metricsPort}`])
})

test('a port that is taken is an error that names its option, and nothing is left open', async (t) => {
  const port = await taken(t)
  const byPort = await start(t, { port })
  equal(!byPort.ok && byPort.text, `127.0.0.1:${port} is taken: choose another port with --port`)
  const byMetrics = await start(t, { metricsPort: port })
  equal(!byMetrics.ok && byMetrics.text, `127.0.0.1:${port} is taken: choose another port with --metrics-port`)
})

test('a demonstration takes another port instead', async (t) => {
  const port = await taken(t)
  notEqual((await started(t, { port }, { anyPort: true })).port, port)
})

test('the further port for probes is worth a warning when it is taken', async (t) => {
  const log = keeping()
  await started(t, { probePort: await taken(t) }, { log })
  deepEqual(
    log.lines.map((l) => l.text),
    ['warn the probe port cannot be opened; the metrics port answers its paths'],
  )
})

test('the further port for probes answers /readiness and /health', async (t) => {
  const probePort = await taken(t).then((port) => port + 1)
  const log = keeping()
  await started(t, { probePort }, { log })
  if (log.lines.length === 0) deepEqual(await Promise.all(['/readiness', '/health'].map((p) => plain(probePort, p))), [200, 200])
})

test('another certificate serves the next connection; those that are open stay', async (t) => {
  const { port, use } = await started(t)
  const open = connect({ host: '127.0.0.1', port, ca: certificate.ca })
  await new Promise<void>((resolve) => open.once('secureConnect', resolve))
  const next = await renewed(undefined, ['127.0.0.1'], new Date())
  use(next)
  const refused = await post(port, '/validations', review('u1')).then(
    () => 'trusted',
    (e: unknown) => (e as NodeJS.ErrnoException).code,
  )
  match(String(refused), /SIGNATURE|CERT|SELF_SIGNED/)
  equal((await post(port, '/validations', review('u2'), undefined, { ca: next.ca })).status, 200)
  open.write('GET / HTTP/1.1\r\nHost: a\r\nK-Kubelet-Probe: webhook\r\n\r\n')
  const answer = await new Promise<Buffer>((resolve) => open.once('data', resolve))
  match(answer.toString(), /^HTTP\/1\.1 200 /)
  open.destroy()
})

test('once it stops it is not ready, and its ports are free', async (t) => {
  const { port, metricsPort, stop } = await started(t)
  const stopping = stop(200, 10_000)
  equal(await plain(metricsPort, '/readyz'), 503)
  equal((await post(port, '/', '', { 'K-Kubelet-Probe': 'webhook' })).body, 'shutting down\n')
  equal(await stopping, 'finished')
  await Promise.all(
    [port, metricsPort].map((p) =>
      fetch(`http://127.0.0.1:${p}/`).then(
        () => {
          throw new Error('still open')
        },
        () => undefined,
      ),
    ),
  )
})

test('a certificate that cannot serve is why it does not start', async (t) => {
  const none = await start(t, { tlsCert: '/nowhere/tls.crt' })
  equal(!none.ok && none.text, '--tls-cert: cannot read /nowhere/tls.crt')
})
