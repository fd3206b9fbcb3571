import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type Server as HttpServer, createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'
import { renewed } from '../programs/webhook/certificate.ts'
import { clusterImagePolicies } from '../tools/crds.ts'
import { type Cluster, WEBHOOK_ADDRESS, applied, startCluster } from './cluster.ts'
import { type KeyPair, importKey, sign } from './cosign.ts'
import type { Parts } from './parts.ts'
import { Server, freePort, temporaryFolder } from './processes.ts'
import { type Registry, pushImage, startRegistry } from './registry.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const SYSTEM = 'cosign-system'
const SERVICE_ACCOUNT = 'webhook'

/** Everything that the session is held in, installed and running. */
export type Installed = {
  readonly cluster: Cluster
  readonly images: Images
  readonly keys: { readonly ours: KeyPair; readonly theirs: KeyPair }
  /** A kubeconfig with the rights of the controller. */
  readonly kubeconfig: string
  /** What the webhook has logged. */
  log(): string
  stop(): Promise<void>
}

/** Digests, by the names that workloads use. */
export type Images = {
  readonly signed: string
  readonly signedWithBundle: string
  readonly otherKey: string
  readonly busybox: string
}

/** A registry, etcd, an API server with what is in deploy/, and `sealgate serve` with the rights of its ServiceAccount and no more. */
export async function install(parts: Parts): Promise<Installed> {
  const folder = temporaryFolder('session')
  const stops: (() => unknown)[] = []
  const stop = async (): Promise<void> => {
    for (const end of stops.toReversed()) await end()
  }
  try {
    const registry = await startRegistry(parts.registry, join(folder, 'registry.log'), false)
    stops.push(registry.stop)
    const denying = await startDenyingRegistry()
    stops.push(() => denying.close().closeAllConnections())
    const [{ images, keys }, cluster] = await Promise.all([
      pushImages(parts, registry, folder),
      startCluster(parts, join(folder, 'cluster'), [{ namespace: SYSTEM, name: SERVICE_ACCOUNT }]),
    ])
    stops.push(cluster.stop)

    const port = await freePort(WEBHOOK_ADDRESS)
    const { certificate, key, ca } = await renewed(undefined, [`webhook.${SYSTEM}.svc`], new Date())
    await applyDeploy(cluster, port, ca)

    const home = join(folder, 'sealgate')
    mkdirSync(home)
    writeFileSync(join(home, 'tls.crt'), certificate)
    writeFileSync(join(home, 'tls.key'), key, { mode: 0o600 })
    const kubeconfig = cluster.kubeconfigOf(SYSTEM, SERVICE_ACCOUNT)
    const metricsPort = await freePort()
    const sealgate = new Server(
      'sealgate serve',
      join(root, 'bin', 'sealgate'),
      [
        'serve',
        `--kubeconfig=${kubeconfig}`,
        `--address=${WEBHOOK_ADDRESS}`,
        `--port=${port}`,
        `--tls-cert=${join(home, 'tls.crt')}`,
        `--tls-key=${join(home, 'tls.key')}`,
        '--metrics-address=127.0.0.1',
        `--metrics-port=${metricsPort}`,
        '--probe-port=0',
        '--drain-quiet=0s',
        `--mirror=gcr.io=http://${registry.host}/gcr.io`,
        `--mirror=index.docker.io=http://${registry.host}/docker.io`,
        `--mirror=registry.example.com=http://${hostOf(denying)}`,
      ],
      join(folder, 'sealgate.log'),
      { PATH: process.env['PATH'], HOME: home },
    )
    stops.push(() => sealgate.stop())
    await sealgate.until(async () => (await fetch(`http://127.0.0.1:${metricsPort}/readyz`).catch(() => undefined))?.ok || undefined)
    return { cluster, images, keys, kubeconfig, log: () => sealgate.log(), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function pushImages(parts: Parts, registry: Registry, folder: string): Promise<{ images: Images; keys: Installed['keys'] }> {
  const keys = { ours: await importKey(parts, folder, 'ours', 'p256'), theirs: await importKey(parts, folder, 'theirs', 'p256') }
  const cosign = 'gcr.io/projectsigstore/cosign'
  const [signed, signedWithBundle, otherKey, busybox] = [
    await pushImage(registry, cosign, 'v1.2.1', 'cosign v1.2.1'),
    await pushImage(registry, cosign, 'v3.1.3', 'cosign v3.1.3'),
    await pushImage(registry, cosign, 'v0.3.0', 'cosign v0.3.0'),
    await pushImage(registry, 'docker.io/library/busybox', 'latest', 'busybox'),
  ]
  await Promise.all([
    sign(parts, 'cosign2', 'tag', keys.ours, `${registry.host}/${cosign}@${signed}`, folder),
    sign(parts, 'cosign3', 'bundle', keys.ours, `${registry.host}/${cosign}@${signedWithBundle}`, folder),
    sign(parts, 'cosign2', 'tag', keys.theirs, `${registry.host}/${cosign}@${otherKey}`, folder),
  ])
  return { images: { signed, signedWithBundle, otherKey, busybox }, keys }
}

type Manifest = {
  kind: string
  spec: Record<string, unknown>
  webhooks: { clientConfig: { caBundle: string; service: { port: number } } }[]
}

/** Applies what is in deploy/, adding only what an installation must know: the CA, and where the Service is. */
async function applyDeploy(cluster: Cluster, port: number, ca: string): Promise<void> {
  const read = (file: string): string => readFileSync(join(root, 'deploy', file), 'utf8')
  for (const file of ['manifests/namespace.yaml', 'crds/trustroots.yaml', 'manifests/rbac.yaml'])
    await applied(cluster, ['apply', '-f', '-'], read(file))
  await applied(cluster, ['apply', '-f', '-'], clusterImagePolicies('None'))
  const manifests = ['manifests/service.yaml', 'manifests/webhooks.yaml'].flatMap((file) =>
    parseAllDocuments(read(file)).map((d) => d.toJS() as Manifest),
  )
  for (const manifest of manifests) {
    if (manifest.kind === 'Service') manifest.spec = { ...manifest.spec, clusterIP: WEBHOOK_ADDRESS, ports: [{ port }] }
    for (const { clientConfig } of manifest.webhooks ?? []) {
      clientConfig.caBundle = Buffer.from(ca).toString('base64')
      clientConfig.service.port = port
    }
  }
  await applied(cluster, ['wait', '--for=condition=Established', '--timeout=30s', 'crd/clusterimagepolicies.policy.sigstore.dev'])
  await applied(cluster, ['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }))
}

/** A registry that is there and refuses everyone, as one does whose credentials are missing. */
async function startDenyingRegistry(): Promise<HttpServer> {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(403, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ errors: [{ code: 'DENIED', message: 'denied', detail: 'denied' }] }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function hostOf(server: HttpServer): string {
  const address = server.address()
  return typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : ''
}
