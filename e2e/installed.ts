import { once } from 'node:events'
import { type Server as HttpServer, createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Manifest, manifestsIn, rendered } from './chart.ts'
import { type Cluster, LOOPBACK, WEBHOOK_ADDRESS, applied, startCluster } from './cluster.ts'
import { type KeyPair, importKey, sign } from './cosign.ts'
import type { Parts } from './parts.ts'
import { freePort, must, temporaryFolder } from './processes.ts'
import { type Registry, pushImage, startRegistry } from './registry.ts'
import { Replica } from './replica.ts'
import { type Endpoint, Service } from './service.ts'

export const SYSTEM = 'cosign-system'
const SERVICE_ACCOUNT = 'webhook'

/** The two ways to install that deploy/ has. */
export type Way = 'the chart' | 'kubectl apply -k'

/** Everything that the session is held in, installed and running. */
export type Installed = {
  readonly cluster: Cluster
  readonly images: Images
  readonly keys: { readonly ours: KeyPair; readonly theirs: KeyPair }
  readonly registry: Registry
  /** Where the replicas find the registry. */
  readonly registryFront: Service
  readonly replicas: readonly Replica[]
  /** A further replica, not started, with further arguments. */
  another(name: string, ...more: readonly string[]): Replica
  readonly service: Service
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

/**
 * A registry, etcd, an API server with what is in deploy/, and two replicas of the Deployment with the rights of its ServiceAccount and no more,
 * behind its Service. Certificates, their CA and the rest of the configurations are theirs to make. `more` and `env` are given to the replicas.
 */
export async function install(
  parts: Parts,
  way: Way,
  more: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Installed> {
  const folder = temporaryFolder('session')
  const stops: (() => unknown)[] = []
  const stop = async (): Promise<void> => {
    for (const end of stops.toReversed()) await end()
  }
  try {
    const registry = await startRegistry(parts.registry, join(folder, 'registry.log'), false)
    stops.push(() => registry.stop())
    // At an address that stays, whatever becomes of the registry.
    const registryPort = await freePort()
    const registryFront = await Service.start('127.0.0.1', registryPort)
    stops.push(() => registryFront.stop())
    registryFront.add(frontOf(registry))
    const denying = await startDenyingRegistry()
    stops.push(() => denying.close().closeAllConnections())
    const [{ images, keys }, cluster] = await Promise.all([
      pushImages(parts, registry, folder),
      startCluster(parts, join(folder, 'cluster'), [{ namespace: SYSTEM, name: SERVICE_ACCOUNT }]),
    ])
    stops.push(() => cluster.stop())

    const port = await freePort(WEBHOOK_ADDRESS)
    const service = await Service.start(WEBHOOK_ADDRESS, port, LOOPBACK)
    stops.push(() => service.stop())
    const manifests = await applyDeploy(parts, cluster, way, port)
    const deployment = manifests.find(({ kind }) => kind === 'Deployment')
    if (!deployment) throw new Error('deploy/ holds no Deployment')

    const kubeconfig = cluster.kubeconfigOf(SYSTEM, SERVICE_ACCOUNT)
    const options = {
      deployment,
      kubeconfig,
      folder,
      service,
      arguments: [
        '--drain-quiet=0s',
        `--mirror=gcr.io=http://127.0.0.1:${registryPort}/gcr.io`,
        `--mirror=index.docker.io=http://127.0.0.1:${registryPort}/docker.io`,
        ...['registry.example.com', 'registry.example.org'].map((host) => `--mirror=${host}=http://127.0.0.1:${registryPort}/${host}`),
        `--mirror=denied.example.com=http://${hostOf(denying)}`,
        // Tests ask nobody outside of this machine, so nothing of the public instance.
        ...(more.some((argument) => argument.startsWith('--tuf-')) ? [] : ['--disable-tuf']),
        ...more,
      ],
      env,
    }
    const replicas = ['webhook-a', 'webhook-b'].map((name) => new Replica(name, options))
    stops.push(() => Promise.all(replicas.map((replica) => replica.stop())))
    for (const replica of replicas) await replica.start()
    await Promise.all(replicas.map((replica) => replica.untilReady()))
    await untilTold(cluster)
    const another = (name: string, ...further: readonly string[]): Replica => {
      const replica = new Replica(name, { ...options, arguments: [...options.arguments, ...further] })
      stops.push(() => replica.stop())
      return replica
    }
    const log = (): string => replicas.map((replica) => replica.log()).join('')
    return { cluster, images, keys, registry, registryFront, replicas, another, service, kubeconfig, log, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A registry behind its front. */
export function frontOf(registry: Registry): Endpoint {
  return { port: Number(registry.host.split(':')[1]), isReady: async () => true }
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

/** Applies what is in deploy/, adding only what an installation here must know: where the Service is. */
async function applyDeploy(parts: Parts, cluster: Cluster, way: Way, port: number): Promise<readonly Manifest[]> {
  const deploy = fileURLToPath(new URL('../deploy/', import.meta.url))
  // As `helm install --create-namespace` does.
  if (way === 'the chart') await applied(cluster, ['create', 'namespace', SYSTEM])
  const manifests =
    way === 'the chart'
      ? await rendered(parts.helm, { namespace: SYSTEM })
      : manifestsIn(await must(parts.kubectl, ['kustomize', deploy], { env: { PATH: process.env['PATH'] } }))
  const here = manifests.map((manifest) => ({ ...(withPort(manifest, port) as Manifest), ...placed(manifest, port) }))
  const list = (items: readonly object[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
  await applied(cluster, ['apply', '-f', '-'], list(here))
  await applied(cluster, [
    'wait',
    '--for=condition=Established',
    '--timeout=30s',
    'crd/clusterimagepolicies.policy.sigstore.dev',
    'crd/trustroots.policy.sigstore.dev',
  ])
  return here
}

/** The Service has its address where the API server of the session can reach it, and the port that was free there. */
function placed({ kind, spec }: Manifest, port: number): object {
  return kind === 'Service' ? { spec: { ...spec, ipFamilyPolicy: 'SingleStack', clusterIP: WEBHOOK_ADDRESS, ports: [{ port }] } } : {}
}

/** Wherever a webhook is said to be behind the Service, it is at its port. */
function withPort(value: unknown, port: number): unknown {
  if (Array.isArray(value)) return value.map((item) => withPort(item, port))
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).map(([name, field]) => [name, withPort(field, port)] as const)
  const changed = Object.fromEntries(fields)
  const { clientConfig } = changed as { clientConfig?: { service?: object } }
  return clientConfig?.service ? { ...changed, clientConfig: { ...clientConfig, service: { ...clientConfig.service, port } } } : changed
}

/** Waits until the replicas have told the API server whom to trust. */
async function untilTold(cluster: Cluster): Promise<void> {
  const of = 'mutatingwebhookconfigurations,validatingwebhookconfigurations'
  const patience = Date.now() + 30_000
  for (;;) {
    const told = await applied(cluster, ['get', of, '-o', 'jsonpath={range .items[*]}{.webhooks[0].clientConfig.caBundle}{"\\n"}{end}'])
    if (told.split('\n').filter((line) => line !== '').length === 4) return
    if (Date.now() > patience) throw new Error('the API server was never told of the CA')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
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
