import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, 'registry')

type Auth = { readonly type: 'basic' | 'bearer'; readonly user: string; readonly password: string }
type Host = { readonly referrers?: boolean; readonly auth?: Auth; readonly static?: boolean }
type Fault = { readonly host: string; readonly path: string; readonly status: number; readonly body?: string; readonly headers?: Record<string, string> }
type ContentList = Record<string, { readonly mediaType: string; readonly size: number }>
type Manifest = { readonly subject?: { readonly digest?: string }; readonly artifactType?: string; readonly config?: { readonly mediaType?: string }; readonly annotations?: Record<string, string> }

const hosts = json<Record<string, Host>>(join(folder, 'hosts.json'), {})
const faults = json<readonly Fault[]>(join(folder, 'faults.json'), [])
/** The hosts that answer, as the first part of a path behind `/v2/`. */
export const recordedHosts = [...new Set([...Object.keys(hosts), ...readdirSync(folder).filter((name) => !name.endsWith('.json'))])]

/** A registry that answers with the recorded bytes, all hosts behind one port, until `close`. */
export async function replay(): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((request, response) => answer(request, response, port()))
  const port = (): number => (server.address() as AddressInfo).port
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: port(), close: () => void server.close().closeAllConnections() }
}

function answer(request: IncomingMessage, response: ServerResponse, port: number): void {
  const url = new URL(request.url ?? '/', 'http://registry')
  const [, top, host = '', ...rest] = url.pathname.split('/')
  const auth = hosts[host]?.auth
  if (hosts[top ?? '']?.static) return file(response, join(folder, top ?? '', 'static', host, ...rest))
  if (top === 'token') {
    if (!auth || request.headers.authorization !== basic(auth)) return refuse(response, 401, 'UNAUTHORIZED', 'incorrect username or password')
    return send(response, 200, JSON.stringify({ token: 'recorded-token', expires_in: 300 }), 'application/json')
  }
  const path = rest.join('/')
  const fault = faults.find((f) => f.host === host && path.startsWith(f.path.replace(/^\/v2\//, '')))
  if (fault) return send(response, fault.status, fault.body ?? '', fault.headers?.['Content-Type'] ?? 'text/plain')
  if (auth && request.headers.authorization !== (auth.type === 'basic' ? basic(auth) : 'Bearer recorded-token')) {
    const realm = auth.type === 'basic' ? `Basic realm="${host}"` : `Bearer realm="http://127.0.0.1:${port}/token/${host}",service="${host}"`
    response.setHeader('WWW-Authenticate', realm)
    return refuse(response, 401, 'UNAUTHORIZED', 'authentication required')
  }
  const [, repository = '', kind, reference = ''] = /^(.+)\/(manifests|blobs|referrers)\/([^/]+)$/.exec(path) ?? []
  const at = join(folder, host, repository)
  if (kind === 'manifests') return manifest(response, at, reference)
  if (kind === 'blobs') {
    const file = join(at, 'blobs', reference.slice('sha256:'.length))
    return existsSync(file) ? send(response, 200, readFileSync(file), 'application/octet-stream') : refuse(response, 404, 'BLOB_UNKNOWN', 'Unknown blob')
  }
  if (kind === 'referrers' && hosts[host]?.referrers) return referrers(response, at, reference)
  refuse(response, 404, 'NOT_FOUND', 'not found')
}

/** Hosts that are no registry are asked without `/v2/`, so their name is the first part of the path. */
function file(response: ServerResponse, at: string): void {
  if (at.startsWith(folder) && existsSync(at)) send(response, 200, readFileSync(at), 'application/octet-stream')
  else send(response, 404, 'not found', 'text/plain')
}

function manifest(response: ServerResponse, at: string, reference: string): void {
  const digest = reference.startsWith('sha256:') ? reference : json<Record<string, string>>(join(at, 'tags.json'), {})[reference]
  const entry = digest === undefined ? undefined : json<ContentList>(join(at, 'content.json'), {})[digest]
  if (!entry || digest === undefined) return refuse(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown')
  response.setHeader('Docker-Content-Digest', digest)
  send(response, 200, readFileSync(manifestFile(at, digest)), entry.mediaType)
}

function referrers(response: ServerResponse, at: string, subject: string): void {
  const found = Object.entries(json<ContentList>(join(at, 'content.json'), {})).flatMap(([digest, { mediaType }]) => {
    const bytes = readFileSync(manifestFile(at, digest))
    const read = parsed(bytes.toString('utf8')) as Manifest | undefined
    if (read?.subject?.digest !== subject) return []
    return [{ mediaType, digest, size: bytes.length, artifactType: read.artifactType ?? read.config?.mediaType, annotations: read.annotations }]
  })
  const type = 'application/vnd.oci.image.index.v1+json'
  send(response, 200, JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: found }), type)
}

function manifestFile(at: string, digest: string): string {
  return join(at, 'manifests', `${digest.slice('sha256:'.length)}.json`)
}

function basic({ user, password }: Auth): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  send(response, status, JSON.stringify({ errors: [{ code, message }] }), 'application/json')
}

function send(response: ServerResponse, status: number, body: string | Buffer, type: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }).end(body)
}

function json<T>(file: string, otherwise: T): T {
  return existsSync(file) ? (parsed(readFileSync(file, 'utf8')) as T) : otherwise
}

/** A case may hold a manifest that is no JSON on purpose. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
