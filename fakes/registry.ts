import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '../src/image/digest.ts'
import { digestOf, isDigest } from '../src/image/digest.ts'
import { received } from './http-body.ts'
import { Content, OCI_INDEX } from './registry-content.ts'
import type { Put } from './registry-content.ts'
import { Guard } from './registry-guard.ts'
import type { Protection, Respond, Seen } from './registry-guard.ts'

const MAX_UPLOAD = 256 * 1024 * 1024 // bytes of one pushed blob or manifest
const MAX_SEEN = 100_000 // requests that are kept in `seen`

export type FakeRegistryOptions = {
  /** Where it listens; 127.0.0.1 and any free port when absent. */
  readonly address?: string
  readonly port?: number
  /** PEM; with it the registry speaks https. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Milliseconds before every answer. */
  readonly delay?: number
  /** How `/referrers/` answers: as the specification says, so many entries a page, or with this status. */
  readonly referrers?: 'api' | { readonly perPage: number } | 400 | 404 | 405 | 406 | 500 | 'web page'
}

/** What happens to a request instead of an answer. */
export type Fault =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Uint8Array }
  /** The connection is cut: at once, or after these bytes of a 200 that announced more. */
  | { readonly cut: 'at once' | Uint8Array }
  /** The headers of a 200, then a byte each `everyMs`, for ever. */
  | { readonly drip: number }
  | { readonly silence: true }
  /** An answer that is right, but late by milliseconds. */
  | { readonly late: number }

/**
 * An OCI registry in memory (distribution-spec 1.1): pull, push, referrers, Basic and Bearer. A repository may be any path, so that a mirror
 * URL with a path reaches `registry.example/team/app` as a repository of that name. Speaks to real clients; loses everything on `close`.
 */
export class FakeRegistry {
  /** Every request in order, so a test can count them. */
  readonly seen: Seen[] = []
  readonly content = new Content()
  readonly #options: FakeRegistryOptions
  readonly #server: ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>
  readonly #sockets = new Set<Socket>()
  readonly #faults: { readonly when: (seen: Seen) => boolean; readonly fault: Fault; left: number }[] = []
  readonly #uploads = new Map<string, Uint8Array[]>()
  readonly #guard: Guard

  private constructor(options: FakeRegistryOptions) {
    this.#options = options
    this.#guard = new Guard(options.tls ? 'https' : 'http')
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
    }
    this.#server = options.tls ? createTlsServer({ ...options.tls }, listener) : createServer(listener)
    this.#server.keepAliveTimeout = 120_000 // longer than any client keeps a connection, so none is cut in its hand
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
    const registry = new FakeRegistry(options)
    await new Promise<void>((listening, failed) => {
      registry.#server.once('error', failed)
      registry.#server.listen(options.port ?? 0, options.address ?? '127.0.0.1', listening)
    })
    return registry
  }

  /** `127.0.0.1:<port>`, as it stands in references. */
  get host(): string {
    const { address, port, family } = this.#server.address() as AddressInfo
    return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`
  }

  get url(): string {
    return `${this.#options.tls ? 'https' : 'http'}://${this.host}`
  }

  /** How many connections clients hold open now. */
  get connections(): number {
    return this.#sockets.size
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  blob(repository: string, bytes: Uint8Array | string): Put {
    return this.content.blob(repository, bytes)
  }

  /** Stores a manifest or index, under a tag if given. Objects are written as JSON; the media type is the manifest's own. */
  manifest(repository: string, manifest: object | Uint8Array, tag?: string, mediaType?: string): Put {
    return this.content.manifest(repository, manifest, tag, mediaType)
  }

  /** Points a tag to a manifest. Given several, each request is answered by the next one, round and round (lesson 3). */
  tag(repository: string, tag: string, ...digests: readonly Digest[]): void {
    this.content.tag(repository, tag, digests)
  }

  /** From now on repositories whose name begins with `prefix` want credentials; of several prefixes the first. */
  protect(prefix: string, protection: Protection): void {
    this.#guard.protect(prefix, protection)
  }

  /** Forgets every token that was given. */
  revoke(): void {
    this.#guard.revoke()
  }

  /** Requests that `when` picks meet a fault, so many times; undefined is always. Of several faults the first. */
  misbehave(when: ((seen: Seen) => boolean) | string, fault: Fault, times = Infinity): void {
    this.#faults.push({ when: typeof when === 'string' ? ({ path }) => path.includes(when) : when, fault, left: times })
  }

  behave(): void {
    this.#faults.length = 0
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://registry')
    const { authorization } = request.headers
    const path = decodeURIComponent(url.pathname)
    const seen: Seen = { method: request.method ?? 'GET', path, query: url.searchParams, authorization, headers: request.headers }
    if (this.seen.length < MAX_SEEN) this.seen.push(seen)
    if (this.#options.delay !== undefined) await sleep(this.#options.delay)
    const fault = this.#faults.find((f) => f.left > 0 && f.when(seen))
    if (fault) {
      fault.left--
      if (!(await misbehaves(response, fault.fault))) return
    }
    const respond = responder(seen, response)
    if (path === '/token') return this.#guard.token(seen, await received(request, MAX_UPLOAD), respond)
    const refusal = this.#guard.refusal(seen)
    if (refusal) return respond(401, refused('UNAUTHORIZED', 'authentication required'), { 'www-authenticate': refusal })
    if (path === '/v2/' || path === '/v2') return respond(200, '{}', { 'content-type': 'application/json' })
    const [, repository = '', kind = '', reference = ''] = /^\/v2\/(.+)\/(manifests|blobs|referrers|tags)\/(.+)$/.exec(path) ?? []
    if (kind === 'manifests') return this.#manifests(seen, request, repository, reference, respond)
    if (kind === 'blobs') return this.#blobs(seen, request, repository, reference, respond)
    if (kind === 'referrers') return this.#referrers(seen, repository, reference, respond)
    if (kind === 'tags')
      return respond(200, JSON.stringify({ name: repository, tags: this.content.tags(repository) }), { 'content-type': 'application/json' })
    respond(404, refused('NAME_UNKNOWN', 'repository name not known to registry'))
  }

  async #manifests(
    { method, path }: Seen,
    request: IncomingMessage,
    repository: string,
    reference: string,
    respond: Respond,
  ): Promise<void> {
    if (method === 'PUT') {
      const bytes = await received(request, MAX_UPLOAD)
      if (isDigest(reference) && digestOf(bytes) !== reference)
        return respond(400, refused('DIGEST_INVALID', 'provided digest did not match uploaded content'))
      const put = this.content.manifest(repository, bytes, isDigest(reference) ? undefined : reference, request.headers['content-type'])
      const subject = this.content.subjectOf(repository, put.digest)
      const announced = subject !== undefined && this.#hasReferrers() ? { 'oci-subject': subject } : {}
      return respond(201, '', { 'location': path, 'docker-content-digest': put.digest, ...announced })
    }
    const found = this.content.find(repository, reference)
    if (!found) return respond(404, refused('MANIFEST_UNKNOWN', 'manifest unknown'))
    respond(200, found.bytes, { 'content-type': found.mediaType, 'docker-content-digest': found.digest })
  }

  async #blobs({ method, query }: Seen, request: IncomingMessage, repository: string, reference: string, respond: Respond): Promise<void> {
    if (!reference.startsWith('uploads')) {
      const bytes = this.content.readBlob(repository, reference)
      return bytes
        ? respond(200, bytes, { 'content-type': 'application/octet-stream', 'docker-content-digest': reference })
        : respond(404, refused('BLOB_UNKNOWN', 'blob unknown'))
    }
    // Pushing: POST begins, PATCH adds, PUT ends; POST with a digest does it all; POST with `mount` takes from another repository.
    const digest = query.get('digest') ?? ''
    const mounted = this.content.readBlob(query.get('from') ?? '', query.get('mount') ?? '')
    if (method === 'POST' && mounted) return created(respond, repository, this.content.blob(repository, mounted).digest)
    const id = method === 'POST' ? randomUUID() : reference.replace('uploads/', '')
    const chunks = method === 'POST' ? [] : this.#uploads.get(id)
    if (!chunks) return respond(404, refused('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry'))
    chunks.push(await received(request, MAX_UPLOAD))
    if (method === 'PUT' || digest !== '') {
      this.#uploads.delete(id)
      const bytes = Buffer.concat(chunks)
      if (digestOf(bytes) !== digest) return respond(400, refused('DIGEST_INVALID', 'provided digest did not match uploaded content'))
      return created(respond, repository, this.content.blob(repository, bytes).digest)
    }
    this.#uploads.set(id, chunks)
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    respond(202, '', {
      'location': `/v2/${repository}/blobs/uploads/${id}`,
      'range': `0-${Math.max(0, length - 1)}`,
      'docker-upload-uuid': id,
    })
  }

  #referrers({ path, query }: Seen, repository: string, digest: string, respond: Respond): void {
    const { referrers = 'api' } = this.#options
    if (typeof referrers === 'number') return respond(referrers, refused('UNSUPPORTED', 'no referrers API'))
    if (referrers === 'web page') return respond(200, '<html><body>welcome</body></html>', { 'content-type': 'text/html' })
    const all = this.content.referrers(repository, digest, query.get('artifactType') ?? undefined)
    const from = Number(query.get('from') ?? 0)
    const to = typeof referrers === 'object' ? from + referrers.perPage : all.length
    const link = to < all.length ? { link: `<${path}?from=${to}>; rel="next"` } : {}
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: all.slice(from, to) }
    respond(200, JSON.stringify(index), { 'content-type': OCI_INDEX, ...link })
  }

  #hasReferrers(): boolean {
    const { referrers = 'api' } = this.#options
    return typeof referrers === 'object' || referrers === 'api'
  }
}

function responder({ method }: Seen, response: ServerResponse): Respond {
  return (status, body, headers = {}) => {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    const type = headers['content-type'] === undefined && status >= 400 ? { 'content-type': 'application/json' } : {}
    response.writeHead(status, { ...type, ...headers, 'content-length': bytes.length })
    response.end(method === 'HEAD' ? undefined : bytes)
  }
}

function created(respond: Respond, repository: string, digest: Digest): void {
  respond(201, '', { 'location': `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest })
}

function refused(code: string, message: string): string {
  return JSON.stringify({ errors: [{ code, message }] })
}

/** Carries out a fault; true when the right answer still follows. */
async function misbehaves(response: ServerResponse, fault: Fault): Promise<boolean> {
  if ('late' in fault) {
    await sleep(fault.late)
    return true
  }
  if ('status' in fault) {
    response.writeHead(fault.status, fault.headers)
    response.end(fault.body)
  } else if ('cut' in fault) {
    if (fault.cut === 'at once') response.destroy()
    else {
      response.writeHead(200, { 'content-length': fault.cut.length + 1 })
      response.write(fault.cut, () => response.destroy())
    }
  } else if ('drip' in fault) {
    response.writeHead(200)
    const timer = setInterval(() => response.write('x'), fault.drip)
    response.on('close', () => clearInterval(timer))
  }
  return false
}
