import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applied, startCluster } from '../e2e/cluster.ts'
import { partsIfPresent, VERSIONS } from '../e2e/parts.ts'
import { clusterImagePolicies } from '../tools/crds.ts'
import type { ApiServerAnswer, ApiServerQuestion } from './api-server.ts'
import { asker } from './conversation.ts'

const SYSTEM = 'cosign-system'
const SERVICE_ACCOUNT = 'webhook'
const WATCHED = new Set(['clusterimagepolicies', 'secrets', 'configmaps', 'serviceaccounts'])

/** An API server that holds what a question needs. */
export type ApiServer = {
  /** What it is, with its version. */
  readonly called: string
  /** A file, with the rights of the controller and no more. */
  readonly kubeconfig: string
  /** Lists and gets of what the controller reads, since it started. */
  requests(): Promise<number>
  stop(): Promise<void>
}

/** The real API server and etcd where they are (`npm run parts` builds them), else the fake one. */
export async function startApiServer(objects: readonly object[]): Promise<ApiServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sealgate-bench-cluster-'))
  const parts = partsIfPresent(['kube-apiserver', 'etcd', 'kubectl', 'registry', 'cosign2', 'cosign3'])
  return parts ? startReal(parts, folder, objects) : startFake(folder, objects)
}

async function startReal(parts: Parameters<typeof startCluster>[0], folder: string, objects: readonly object[]): Promise<ApiServer> {
  const cluster = await startCluster(parts, join(folder, 'cluster'), [{ namespace: SYSTEM, name: SERVICE_ACCOUNT }])
  for (const file of ['namespace.yaml', 'rbac.yaml'])
    await applied(cluster, ['apply', '-f', fileURLToPath(new URL(`../deploy/manifests/${file}`, import.meta.url))])
  // Nobody is here to convert.
  await applied(cluster, ['apply', '-f', '-'], clusterImagePolicies('None'))
  await applied(cluster, ['wait', '--for=condition=Established', '--timeout=30s', 'crd/clusterimagepolicies.policy.sigstore.dev'])
  await applied(cluster, ['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))
  return {
    called: `kube-apiserver ${VERSIONS['kube-apiserver']}, etcd ${VERSIONS.etcd}`,
    kubeconfig: cluster.kubeconfigOf(SYSTEM, SERVICE_ACCOUNT),
    requests: async () => requestsIn(await applied(cluster, ['get', '--raw', '/metrics'])),
    async stop() {
      await cluster.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Of the API server's own metrics. What it asks itself is in them too, but it does that at its start. */
function requestsIn(metrics: string): number {
  let sum = 0
  for (const line of metrics.split('\n')) {
    if (!line.startsWith('apiserver_request_total{')) continue
    const label = (name: string): string => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? ''
    if (WATCHED.has(label('resource')) && ['GET', 'LIST'].includes(label('verb'))) sum += Number(line.slice(line.lastIndexOf(' ')))
  }
  return sum
}

async function startFake(folder: string, objects: readonly object[]): Promise<ApiServer> {
  const child = fork(fileURLToPath(new URL('api-server.ts', import.meta.url)))
  const ask = asker<ApiServerQuestion, ApiServerAnswer>(child)
  writeFileSync(join(folder, 'kubeconfig'), (await ask({ put: objects })).kubeconfig)
  return {
    called: 'the fake API server',
    kubeconfig: join(folder, 'kubeconfig'),
    requests: async () => (await ask({ put: [] })).requests,
    async stop() {
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
