import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { get as httpsGet } from 'node:https'
import { join } from 'node:path'
import { renewed } from '../programs/webhook/certificate.ts'
import type { Parts } from './parts.ts'
import { type Said, Server, freePort, run } from './processes.ts'

/** A control plane of two real parts: etcd and kube-apiserver. No nodes, no controllers: pods stay as they were admitted. */
export type Cluster = {
  /** kubectl as the administrator. `input` is its standard input. */
  kubectl(arguments_: readonly string[], input?: string): Promise<Said>
  /** A kubeconfig for the administrator. */
  readonly adminKubeconfig: string
  /** A kubeconfig for a ServiceAccount; it has the rights that RBAC gives it and no more. */
  kubeconfigOf(namespace: string, serviceAccount: string): string
  /** Ends the API server without a word, as a crash would. etcd keeps what it has. */
  killApiServer(): Promise<void>
  startApiServer(): Promise<void>
  stop(): Promise<void>
}

/** From here on the API server dials Services on the loopback network itself: whoever listens there is the Service. */
/** `IPv6`: of a cluster that has nothing else, in a network of its own (`ipv6.test.ts`). */
const isIPv6 = process.env['SEALGATE_SESSION_FAMILY'] === 'IPv6'
export const LOOPBACK = isIPv6 ? '::1' : '127.0.0.1'
/** As it stands in a URL. */
export const LOOPBACK_HOST = isIPv6 ? '[::1]' : LOOPBACK
const SERVICE_RANGE = isIPv6 ? 'fd00:96::/112' : '127.96.0.0/16'
export const WEBHOOK_ADDRESS = isIPv6 ? 'fd00:96::50' : '127.96.0.50'
/** What the API server says that it is at; only one that is not on loopback has to be told. */
export const API_SERVER_ADDRESS = 'fd00:a::1'

type User = { name: string; token: string; groups: readonly string[] }

export async function startCluster(
  parts: Parts<'etcd' | 'kube-apiserver' | 'kubectl'>,
  folder: string,
  serviceAccounts: readonly { namespace: string; name: string }[],
): Promise<Cluster> {
  mkdirSync(folder, { recursive: true })
  const users: User[] = [
    { name: 'admin', token: randomBytes(16).toString('hex'), groups: ['system:masters'] },
    ...serviceAccounts.map(({ namespace, name }) => ({
      name: `system:serviceaccount:${namespace}:${name}`,
      token: randomBytes(16).toString('hex'),
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    })),
  ]
  const file = (name: string, text: string | Buffer): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const tokens = file('tokens.csv', users.map(({ name, token, groups }) => `${token},${name},${name},"${groups.join(',')}"\n`).join(''))
  const serving = await renewed(undefined, ['localhost', LOOPBACK], new Date())
  const certificate = file('apiserver.crt', serving.certificate)
  const key = file('apiserver.key', serving.key)
  const ca = file('ca.crt', serving.ca)
  const signer = file(
    'service-accounts.key',
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' }),
  )

  const [etcdPort, apiPort] = [await freePort(), await freePort()]
  const etcdUrl = `http://${LOOPBACK_HOST}:${etcdPort}`
  const apiUrl = `https://${LOOPBACK_HOST}:${apiPort}`
  const etcd = new Server(
    'etcd',
    parts.etcd,
    [
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=http://${LOOPBACK_HOST}:0`,
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    join(folder, 'etcd.log'),
  )
  await etcd.until(async () => (await fetch(`${etcdUrl}/health`).catch(() => undefined))?.ok || undefined)

  let apiServer: Server | undefined
  const startApiServer = async (): Promise<void> => {
    const started = new Server(
      'kube-apiserver',
      parts['kube-apiserver'],
      [
        `--etcd-servers=${etcdUrl}`,
        `--bind-address=${LOOPBACK}`,
        ...(isIPv6 ? [`--advertise-address=${API_SERVER_ADDRESS}`] : []),
        `--secure-port=${apiPort}`,
        `--tls-cert-file=${certificate}`,
        `--tls-private-key-file=${key}`,
        `--cert-dir=${folder}`,
        `--token-auth-file=${tokens}`,
        '--authorization-mode=RBAC',
        `--service-cluster-ip-range=${SERVICE_RANGE}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        `--service-account-key-file=${signer}`,
        `--service-account-signing-key-file=${signer}`,
        // Tokens of pods are made by controllers, which are not here.
        '--disable-admission-plugins=ServiceAccount',
        '--endpoint-reconciler-type=none',
        // A killed API server must not wait for its own leases.
        '--shutdown-delay-duration=0s',
      ],
      join(folder, 'kube-apiserver.log'),
    )
    apiServer = started
    await started.until(async () => (await isReady(`${apiUrl}/readyz`, serving.ca)) || undefined)
  }
  await startApiServer()

  const kubeconfigOf = (user: string): string => {
    const { token } = users.find(({ name }) => name === user) ?? { token: '' }
    const config = {
      'apiVersion': 'v1',
      'kind': 'Config',
      'current-context': 'session',
      'clusters': [{ name: 'session', cluster: { 'server': apiUrl, 'certificate-authority': ca } }],
      'users': [{ name: 'session', user: { token } }],
      'contexts': [{ name: 'session', context: { cluster: 'session', user: 'session' } }],
    }
    return file(`${user.replaceAll(':', '-')}.kubeconfig`, JSON.stringify(config))
  }
  const admin = kubeconfigOf('admin')
  const env = { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: admin }

  return {
    kubectl: (arguments_, input) => run(parts.kubectl, arguments_, { env, ...(input === undefined ? {} : { input }) }),
    adminKubeconfig: admin,
    kubeconfigOf: (namespace, serviceAccount) => kubeconfigOf(`system:serviceaccount:${namespace}:${serviceAccount}`),
    killApiServer: async () => apiServer?.stop('SIGKILL'),
    startApiServer,
    async stop() {
      await apiServer?.stop('SIGKILL')
      await etcd.stop('SIGKILL')
    },
  }
}

/** As `kubectl`, for what must succeed. */
export async function applied(cluster: Cluster, arguments_: readonly string[], input?: string): Promise<string> {
  const said = await cluster.kubectl(arguments_, input)
  if (said.code !== 0) throw new Error(`kubectl ${arguments_.join(' ')}\n${said.stdout}${said.stderr}`)
  return said.stdout
}

function isReady(url: string, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    httpsGet(url, { ca }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    }).on('error', () => resolve(false))
  })
}
