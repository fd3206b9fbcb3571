import { readFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { delimiter, dirname, isAbsolute, resolve } from 'node:path'
import { isObject } from '../../policy/shape.ts'
import { type ExecCredential, type ExecPlugin, runPlugin } from './exec-credential.ts'

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
const KEPT = 10_000 // ms after which token and certificate files are read anew: the kubelet replaces tokens long before they end
const SETTLED = 1_000 // ms in which credentials that were just asked for are not asked for again
const MARGIN = 10_000 // ms before its end at which a plugin's credential is no longer used

/** How the API server is reached, and with whose rights. */
export interface Access {
  /** Without a slash at its end. */
  readonly server: string
  /** The kubeconfig's `proxy-url`. Nothing else, and no environment variable, puts a proxy before the API server. */
  readonly proxy: string | undefined
  /** Files and plugins are asked again now and then; `anew`, at once: the API server answered 401. Rejects with what is wrong. */
  credentials(anew: boolean): Promise<Credentials>
}

export type Credentials = {
  readonly tls: {
    readonly ca?: string
    readonly cert?: string
    readonly key?: string
    readonly servername?: string
    readonly rejectUnauthorized?: boolean
  }
  readonly headers: Readonly<Record<string, string | string[]>>
}

export type AccessOptions = {
  /** A kubeconfig; else those of `KUBECONFIG`; else the service account of the pod. */
  readonly kubeconfig?: string | undefined
  /** The kubeconfig's cluster, by name, instead of the current context's. */
  readonly cluster?: string | undefined
  /** The API server's URL, instead of the kubeconfig's; without one, it is asked as nobody, as behind `kubectl proxy`. */
  readonly server?: string | undefined
  readonly env: NodeJS.ProcessEnv
  /** Where a pod finds its service account; elsewhere in tests. */
  readonly serviceAccount?: string
}

/** What makes the API server unreachable from the start, with the file and field that are wrong. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError'
}

/** Finds out how to reach the API server. Rejects with a `KubeconfigError`. */
export async function openAccess(options: AccessOptions): Promise<Access> {
  const files =
    options.kubeconfig !== undefined ? [options.kubeconfig] : (options.env['KUBECONFIG'] ?? '').split(delimiter).filter((f) => f !== '')
  const host = options.env['KUBERNETES_SERVICE_HOST']
  if (files.length > 0) return fromKubeconfig(await readKubeconfigs(files), options)
  if (host) return fromServiceAccount(host, options)
  if (options.server !== undefined)
    return { server: serverUrl(options.server, '--server'), proxy: undefined, credentials: async () => ({ tls: {}, headers: {} }) }
  throw new KubeconfigError(
    'no cluster is known: name a kubeconfig with --kubeconfig or KUBECONFIG, run in a pod with a service account, or take files with --manifests',
  )
}

function fromServiceAccount(host: string, options: AccessOptions): Access {
  const port = options.env['KUBERNETES_SERVICE_PORT'] || '443'
  const folder = options.serviceAccount ?? SERVICE_ACCOUNT
  const server = options.server ?? `https://${isIPv6(host) ? `[${host}]` : host}:${port}`
  return {
    server: serverUrl(server, 'KUBERNETES_SERVICE_HOST'),
    proxy: undefined,
    credentials: kept(async () => {
      const [ca, token] = await Promise.all([textOf(`${folder}/ca.crt`), textOf(`${folder}/token`)])
      return { value: { tls: { ca }, headers: { authorization: `Bearer ${token.trim()}` } }, ends: undefined }
    }),
  }
}

/** A named entry of a kubeconfig, and the file it stands in: paths in it are relative to that. */
type Entry = { readonly body: Readonly<Record<string, unknown>>; readonly file: string; readonly at: string }
type Kubeconfig = {
  readonly current: string
  readonly contexts: Entries
  readonly clusters: Entries
  readonly users: Entries
  readonly files: string
}
type Entries = ReadonlyMap<string, Entry>

/** Several kubeconfigs are one: the first to name something wins, as with kubectl. */
async function readKubeconfigs(files: readonly string[]): Promise<Kubeconfig> {
  // A service account needs none of it.
  const { parse } = await import('yaml')
  let current = ''
  const contexts = new Map<string, Entry>()
  const clusters = new Map<string, Entry>()
  const users = new Map<string, Entry>()
  for (const file of files) {
    let config: unknown
    try {
      config = parse(await readFile(file, 'utf8'))
    } catch (error) {
      throw new KubeconfigError(`${file}: ${oneLine(error)}`)
    }
    if (!isObject(config)) throw new KubeconfigError(`${file}: not a kubeconfig`)
    if (current === '' && typeof config['current-context'] === 'string') current = config['current-context']
    const take = (list: unknown, field: string, into: Map<string, Entry>) => {
      for (const entry of Array.isArray(list) ? (list as unknown[]) : []) {
        if (!isObject(entry) || typeof entry['name'] !== 'string' || into.has(entry['name'])) continue
        const body = entry[field]
        into.set(entry['name'], { body: isObject(body) ? body : {}, file, at: `${file}: ${field} ${entry['name']}` })
      }
    }
    take(config['contexts'], 'context', contexts)
    take(config['clusters'], 'cluster', clusters)
    take(config['users'], 'user', users)
  }
  return { current, contexts, clusters, users, files: files.join(delimiter) }
}

function fromKubeconfig(config: Kubeconfig, options: AccessOptions): Access {
  const context = config.contexts.get(config.current)
  if (!context && config.current !== '') throw new KubeconfigError(`${config.files}: there is no context ${config.current}`)
  const clusterName = options.cluster ?? text(context, 'cluster') ?? ''
  const cluster = config.clusters.get(clusterName)
  if (!cluster)
    throw new KubeconfigError(
      clusterName === '' ? `${config.files}: current-context is missing` : `${config.files}: there is no cluster ${clusterName}`,
    )
  const userName = text(context, 'user')
  const user = userName === undefined ? undefined : config.users.get(userName)
  if (userName !== undefined && !user) throw new KubeconfigError(`${config.files}: there is no user ${userName}`)
  // Kubernetes has taken these out of its clients, in favour of exec; going on without them would be going on as nobody.
  if (user?.body['auth-provider']) throw new KubeconfigError(`${user.at}: auth-provider is not supported; use exec`)
  const server = serverUrl(options.server ?? text(cluster, 'server') ?? '', `${cluster.at}: server`)
  const plugin = user && pluginOf(user, cluster, server)
  let credential: ExecCredential | undefined
  return {
    server,
    proxy: proxyUrl(cluster),
    credentials: kept(async (anew) => {
      if (plugin && (anew || !credential || (credential.ends ?? Infinity) - MARGIN <= Date.now()))
        credential = await runPlugin(plugin, options.env)
      return { value: await credentialsOf(cluster, user, credential), ends: credential?.ends }
    }),
  }
}

async function credentialsOf(cluster: Entry, user: Entry | undefined, plugin: ExecCredential | undefined): Promise<Credentials> {
  const [ca, cert, key] = await Promise.all([
    data(cluster, 'certificate-authority'),
    data(user, 'client-certificate'),
    data(user, 'client-key'),
  ])
  const servername = text(cluster, 'tls-server-name')
  const token = plugin?.token?.reveal() ?? (await tokenOf(user))
  const tls = {
    ...(ca !== undefined && { ca }),
    ...((plugin?.cert ?? cert) !== undefined && { cert: plugin?.cert ?? cert ?? '' }),
    ...((plugin?.key ?? key) !== undefined && { key: plugin?.key?.reveal() ?? key ?? '' }),
    ...(servername !== undefined && { servername }),
    ...(cluster.body['insecure-skip-tls-verify'] === true && { rejectUnauthorized: false }),
  }
  const username = text(user, 'username')
  const basic =
    username === undefined ? undefined : `Basic ${Buffer.from(`${username}:${text(user, 'password') ?? ''}`).toString('base64')}`
  const authorization = token === undefined ? basic : `Bearer ${token}`
  return { tls, headers: { ...(authorization !== undefined && { authorization }), ...impersonation(user) } }
}

/** `tokenFile` wins over `token`, as in Kubernetes' own clients. */
async function tokenOf(user: Entry | undefined): Promise<string | undefined> {
  const file = text(user, 'tokenFile')
  return user && file !== undefined ? (await textOf(besides(user, file))).trim() : text(user, 'token')
}

function impersonation(user: Entry | undefined): Readonly<Record<string, string | string[]>> {
  const as = text(user, 'as')
  if (as === undefined) return {}
  const groups = user?.body['as-groups']
  return { 'impersonate-user': as, ...(Array.isArray(groups) && { 'impersonate-group': groups.map(String) }) }
}

function pluginOf(user: Entry, cluster: Entry, server: string): ExecPlugin | undefined {
  const exec = user.body['exec']
  if (!isObject(exec)) return undefined
  const { apiVersion, command, args, env, installHint, provideClusterInfo } = exec
  if (typeof command !== 'string' || command === '') throw new KubeconfigError(`${user.at}: exec.command is missing`)
  if (typeof apiVersion !== 'string' || !/^client\.authentication\.k8s\.io\/v1(?:beta1)?$/.test(apiVersion)) {
    throw new KubeconfigError(`${user.at}: exec.apiVersion must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1`)
  }
  const pairs = (Array.isArray(env) ? (env as unknown[]) : []).flatMap((e) =>
    isObject(e) ? [[String(e['name']), String(e['value'])] as const] : [],
  )
  const ca = text(cluster, 'certificate-authority-data')
  const servername = text(cluster, 'tls-server-name')
  const info = {
    server,
    ...(ca !== undefined && { 'certificate-authority-data': ca }),
    ...(servername !== undefined && { 'tls-server-name': servername }),
  }
  return {
    apiVersion,
    // With a slash it is a path, and relative to the kubeconfig; without one it is looked up in PATH.
    command: command.includes('/') ? besides(user, command) : command,
    args: Array.isArray(args) ? args.map(String) : [],
    env: Object.fromEntries(pairs),
    installHint: typeof installHint === 'string' ? installHint : undefined,
    cluster: provideClusterInfo === true ? info : undefined,
  }
}

/** Asks once for all who ask at the same time, and again after a while, at the end of what was got, or when it was refused. */
function kept(ask: (anew: boolean) => Promise<{ value: Credentials; ends: number | undefined }>): Access['credentials'] {
  let asked = 0
  let until = 0
  let last: Promise<Credentials> | undefined
  return (anew) => {
    const now = Date.now()
    // Several requests are refused at once: the first one asks for all.
    if (last && now < (anew ? asked + SETTLED : until)) return last
    asked = now
    until = now + KEPT
    const asking = ask(anew).then(({ value, ends }) => {
      until = Math.min(until, (ends ?? Infinity) - MARGIN)
      return value
    })
    last = asking
    asking.catch(() => {
      if (last === asking) last = undefined
    })
    return asking
  }
}

function serverUrl(server: string, at: string): string {
  const url = URL.parse(server)
  if (!url || !/^https?:$/.test(url.protocol)) throw new KubeconfigError(`${at}: not an http or https URL`)
  return url.href.replace(/\/+$/, '')
}

function proxyUrl(cluster: Entry): string | undefined {
  const proxy = text(cluster, 'proxy-url')
  // The URL is not shown: it may hold a password.
  if (proxy !== undefined && !/^(?:https?|socks5):$/.test(URL.parse(proxy)?.protocol ?? ''))
    throw new KubeconfigError(`${cluster.at}: proxy-url is not an http, https or socks5 URL`)
  return proxy
}

/** `FIELD-data`, base64, wins over the file that `FIELD` names. */
async function data(entry: Entry | undefined, field: string): Promise<string | undefined> {
  const inline = text(entry, `${field}-data`)
  if (inline !== undefined) return Buffer.from(inline, 'base64').toString('utf8')
  const file = text(entry, field)
  return entry && file !== undefined ? textOf(besides(entry, file)) : undefined
}

function besides(entry: Entry, path: string): string {
  return isAbsolute(path) ? path : resolve(dirname(entry.file), path)
}

function text(entry: Entry | undefined, field: string): string | undefined {
  const value = entry?.body[field]
  return typeof value === 'string' && value !== '' ? value : undefined
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new Error(`${file}: ${oneLine(error)}`)
  }
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]?.slice(0, 200) ?? ''
}
