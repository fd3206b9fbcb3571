import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { ClusterStore, type Located, type Resource, type WatchEvent } from './cluster-store.ts'
import { type WriteVerb, verbOf, write } from './cluster-writes.ts'

export type Verb = 'list' | 'watch' | 'get' | WriteVerb

/** A request that the API server was asked. `resource` is empty where the path is none. */
export type ApiRequest = {
  readonly verb: Verb
  readonly resource: string
  readonly namespace: string
  readonly name: string
  readonly url: string
  readonly authorization: string | undefined
  /** What was sent, of writes. */
  body: string
  status: number
}

export type FakeClusterOptions = {
  readonly tls?: { readonly key: string; readonly cert: string; readonly clientCa?: string }
  /** Bearer tokens that are taken; none: everyone is. */
  readonly tokens?: readonly string[]
  /** Watches are written in pieces of so many bytes, wherever that cuts. */
  readonly pieces?: number
  /** Milliseconds between bookmarks. */
  readonly bookmarks?: number
}

/** What happens to requests instead of an answer, until it has happened `times` times or is taken back. */
export type Fault = {
  readonly verb?: Verb
  readonly resource?: string
  /** `in-stream`: a watch is answered, then gives the Status as an ERROR event. `close`: the connection is closed. `hang`: nothing ever comes. `garbage`: an event that is not JSON. `written`: a write is done, and the connection is closed before it is told. */
  readonly how: 'status' | 'in-stream' | 'close' | 'hang' | 'garbage' | 'written'
  readonly status?: number
  readonly message?: string
  readonly retryAfter?: number
  readonly times?: number
}

type Open = {
  readonly response: ServerResponse
  readonly resource: Resource
  readonly namespace: string
  readonly selector: string
  timers: NodeJS.Timeout[]
}

/** A Kubernetes API server in memory: lists with pages, watches with bookmarks and expired versions, RBAC-like denials, and the ways in which it fails. */
export class FakeCluster {
  readonly store = new ClusterStore()
  readonly requests: ApiRequest[] = []
  readonly #options: FakeClusterOptions
  readonly #faults: { fault: Fault; left: number }[] = []
  readonly #denied = new Set<string>()
  /** What becomes of objects that are only tried (`dryRun`): a message why they are refused, or undefined. */
  admission: (object: Readonly<Record<string, unknown>>) => { readonly code: number; readonly message: string } | undefined = () =>
    undefined
  readonly #open = new Set<Open>()
  readonly #sockets = new Set<Socket>()
  readonly #deaf = new Set<Socket>()
  #server: Server | undefined
  #port = 0

  constructor(options: FakeClusterOptions = {}) {
    this.#options = options
    this.store.onEvent((event) => {
      for (const open of this.#open) if (open.resource.resource === event.resource.resource) this.#send(open, event)
    })
  }

  static async start(options: FakeClusterOptions = {}): Promise<FakeCluster> {
    const cluster = new FakeCluster(options)
    await cluster.start()
    return cluster
  }

  /** Starts, or starts again on the same port. What is stored stays. */
  async start(): Promise<void> {
    const { tls } = this.#options
    const listener = (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response)
    const server = tls
      ? createTlsServer(
          {
            key: tls.key,
            cert: tls.cert,
            ...(tls.clientCa !== undefined && { requestCert: true, rejectUnauthorized: false, ca: tls.clientCa }),
          },
          listener,
        )
      : createServer(listener)
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => undefined)
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  get url(): string {
    return `${this.#options.tls ? 'https' : 'http'}://127.0.0.1:${this.#port}`
  }

  /** A kubeconfig that reaches it; `user` and `cluster` are further fields, as JSON. */
  kubeconfig(user: object = {}, cluster: object = {}): string {
    return JSON.stringify({
      'apiVersion': 'v1',
      'kind': 'Config',
      'current-context': 'fake',
      'contexts': [{ name: 'fake', context: { cluster: 'fake', user: 'tester' } }],
      'clusters': [{ name: 'fake', cluster: { server: this.url, ...cluster } }],
      'users': [{ name: 'tester', user }],
    })
  }

  /** How many requests of a kind were made. */
  count(verb: Verb, resource?: string): number {
    return this.requests.filter((r) => r.verb === verb && (resource === undefined || r.resource === resource)).length
  }

  /** Lets requests fail. Answers how to take it back. */
  fail(fault: Fault): () => void {
    const entry = { fault, left: fault.times ?? Infinity }
    this.#faults.push(entry)
    return () => void (entry.left = 0)
  }

  /** Forbids something, in one namespace or, with '', in all at once; as RBAC, lists and watches are separate verbs. */
  deny(verb: Verb, resource: string, namespace = ''): () => void {
    const key = `${verb} ${resource} ${namespace}`
    this.#denied.add(key)
    return () => void this.#denied.delete(key)
  }

  closeConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** The connections that there are stay open, but nothing is answered on them any more, as if a firewall had forgotten them. */
  silence(): void {
    for (const socket of this.#sockets) this.#deaf.add(socket)
  }

  /** Ends, and closes every connection. What is stored stays. */
  async stop(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    const closed = once(server, 'close')
    server.close()
    for (const open of this.#open) this.#forget(open)
    this.closeConnections()
    await closed
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', this.url)
    const asked = this.store.locate(url.pathname)
    const reading: Verb = asked?.name ? 'get' : url.searchParams.get('watch') === 'true' ? 'watch' : 'list'
    const writing = verbOf(request.method ?? 'GET')
    const verb = writing ?? reading
    const { authorization } = request.headers
    const entry: ApiRequest = {
      verb,
      resource: asked?.resource.resource ?? '',
      namespace: asked?.namespace ?? '',
      name: asked?.name ?? '',
      url: request.url ?? '',
      authorization,
      body: '',
      status: 0,
    }
    this.requests.push(entry)
    response.on('finish', () => (entry.status = response.statusCode))
    response.on('error', () => undefined)
    if (this.#deaf.has(request.socket)) return
    if (!this.#isKnown(request)) return this.#status(response, 401, 'Unauthorized')

    const fault = this.#faultFor(verb, entry.resource)
    if (fault?.how === 'hang') return
    if (fault?.how === 'close') return void request.socket.destroy()
    if (fault?.how === 'status') return this.#status(response, fault.status ?? 500, fault.message, fault.retryAfter)
    if (url.pathname === '/version') return this.#json(response, 200, { major: '1', minor: '34', gitVersion: 'v1.34.2' })
    if (ACCESS_REVIEW.test(url.pathname)) return void this.#review(request, response, entry)
    // A path that no API is served under is answered by no API.
    if (!asked) return void response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n')
    const { resource, namespace, name } = asked
    if (this.#denied.has(`${verb} ${resource.resource} ${namespace}`)) {
      const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`
      return this.#status(
        response,
        403,
        `${resource.resource}${name ? ` "${name}"` : ''} is forbidden: User "tester" cannot ${verb} resource "${resource.resource}" in API group "${resource.group}" ${where}`,
      )
    }
    if (writing) return void this.#write(request, response, writing, asked, entry)
    if (verb === 'get') {
      const object = this.store.get(resource, namespace, name)
      return object ? this.#json(response, 200, object) : this.#status(response, 404, `${resource.resource} "${name}" not found`)
    }
    const selector = [url.searchParams.get('fieldSelector') ?? '', labelTerms(url.searchParams.get('labelSelector') ?? '')]
      .filter((s) => s !== '')
      .join(',')
    if (verb === 'list') {
      const list = this.store.list(
        resource,
        namespace,
        selector,
        Number(url.searchParams.get('limit') ?? 0),
        url.searchParams.get('continue') ?? '',
      )
      return list ? this.#json(response, 200, list) : this.#status(response, 410, 'The provided continue parameter is too old')
    }
    this.#watch(response, { response, resource, namespace, selector, timers: [] }, url.searchParams, fault)
  }

  async #write(request: IncomingMessage, response: ServerResponse, verb: WriteVerb, asked: Located, entry: ApiRequest): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    entry.body = Buffer.concat(chunks).toString('utf8')
    if (new URL(entry.url, this.url).searchParams.get('dryRun') === 'All') {
      const object = JSON.parse(entry.body) as Readonly<Record<string, unknown>>
      const refused = this.admission(object)
      return refused ? this.#status(response, refused.code, refused.message) : this.#json(response, 201, object)
    }
    const written = write(this.store, verb, asked, entry.body, request.headers['content-type'] ?? '')
    if (this.#faultFor(verb, entry.resource, 'written')) return void request.socket.destroy()
    return written.object ? this.#json(response, written.code, written.object) : this.#status(response, written.code, written.message)
  }

  /** Access reviews are answered by what is denied; asking for somebody else may itself be denied: `create subjectaccessreviews`. */
  async #review(request: IncomingMessage, response: ServerResponse, entry: ApiRequest): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    entry.body = Buffer.concat(chunks).toString('utf8')
    const { kind, spec } = JSON.parse(entry.body) as {
      kind: string
      spec: { resourceAttributes: Readonly<Record<string, string | undefined>> }
    }
    if (kind === 'SubjectAccessReview' && this.#denied.has('create subjectaccessreviews '))
      return this.#status(
        response,
        403,
        'subjectaccessreviews.authorization.k8s.io is forbidden: User "tester" cannot create resource "subjectaccessreviews"',
      )
    const { verb, resource, subresource, namespace = '' } = spec.resourceAttributes
    const asked = `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`} ${namespace}`
    this.#json(response, 201, { apiVersion: 'authorization.k8s.io/v1', kind, spec, status: { allowed: !this.#denied.has(asked) } })
  }

  #watch(response: ServerResponse, open: Open, query: URLSearchParams, fault: Fault | undefined): void {
    const version = query.get('resourceVersion') ?? ''
    const missed = this.store.since(open.resource, Number(version))
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    if (fault?.how === 'garbage') return void response.write('{"type":"ADDED","object"\n')
    if (fault?.how === 'in-stream') return this.#endWith(open, fault.status ?? 500, fault.message ?? 'failed')
    if (!missed) return this.#endWith(open, 410, `too old resource version: ${version} (${this.store.version})`)
    this.#open.add(open)
    response.on('close', () => this.#forget(open))
    for (const event of missed) this.#send(open, event)
    const bookmark = () =>
      this.#tell(open, {
        type: 'BOOKMARK',
        object: {
          kind: open.resource.kind,
          apiVersion: open.resource.apiVersion,
          metadata: { resourceVersion: `${this.store.version}`, creationTimestamp: null },
        },
      })
    if (query.get('allowWatchBookmarks') === 'true' && this.#options.bookmarks)
      open.timers.push(setInterval(bookmark, this.#options.bookmarks))
    const end = () => {
      if (query.get('allowWatchBookmarks') === 'true') bookmark()
      if (!this.#isDeaf(open)) response.end()
    }
    open.timers.push(setTimeout(end, Number(query.get('timeoutSeconds') ?? 1800) * 1000))
  }

  #send(open: Open, event: WatchEvent): void {
    const { namespace, selector } = open
    if (namespace !== '' && event.object.metadata.namespace !== namespace) return
    if (!this.store.isSelected(event.object, selector)) return
    this.#tell(open, { type: event.type, object: { ...event.object, apiVersion: open.resource.apiVersion } })
  }

  #endWith(open: Open, code: number, message: string): void {
    this.#tell(open, { type: 'ERROR', object: statusOf(code, message) })
    open.response.end()
  }

  #tell(open: Open, event: object): void {
    if (this.#isDeaf(open)) return
    const line = Buffer.from(`${JSON.stringify(event)}\n`)
    const size = this.#options.pieces ?? line.length
    for (let i = 0; i < line.length; i += size) open.response.write(line.subarray(i, i + size))
  }

  #isDeaf(open: Open): boolean {
    return open.response.socket !== null && this.#deaf.has(open.response.socket)
  }

  #forget(open: Open): void {
    for (const timer of open.timers) clearTimeout(timer)
    this.#open.delete(open)
  }

  #isKnown(request: IncomingMessage): boolean {
    const { tokens, tls } = this.#options
    if (tls?.clientCa !== undefined && (request.socket as TLSSocket).authorized) return true
    if (tokens) return tokens.includes(request.headers.authorization?.replace(/^Bearer /, '') ?? '')
    return tls?.clientCa === undefined
  }

  /** A fault that has its turn: `written` only when asked for. */
  #faultFor(verb: Verb, resource: string, how?: 'written'): Fault | undefined {
    const found = this.#faults.find(
      ({ fault, left }) =>
        left > 0 &&
        (fault.verb ?? verb) === verb &&
        (fault.resource ?? resource) === resource &&
        (fault.how === 'written') === (how === 'written'),
    )
    if (found) found.left--
    return found?.fault
  }

  #status(response: ServerResponse, code: number, message = 'failed', retryAfter?: number): void {
    if (retryAfter !== undefined) response.setHeader('retry-after', `${retryAfter}`)
    this.#json(response, code, statusOf(code, message))
  }

  #json(response: ServerResponse, code: number, body: object): void {
    response.writeHead(code, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
}

const ACCESS_REVIEW = /^\/apis\/authorization\.k8s\.io\/v1\/(self)?subjectaccessreviews$/

/** A label selector as terms that the store knows. */
function labelTerms(selector: string): string {
  return selector
    .split(',')
    .filter((term) => term !== '')
    .map((term) => `label:${term}`)
    .join(',')
}

const REASONS: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
}

function statusOf(code: number, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason: REASONS[code] ?? 'Unknown', code }
}
