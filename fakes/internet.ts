import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { mintCertificates } from './certificates.ts'
import { endless, received } from './http-body.ts'

const MAX_BODY = 1024 * 1024 // bytes of a request

/** A request as a host behind the proxy got it. */
export type Received = {
  readonly method: string
  readonly host: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

export type Response = { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string | object }

/** What a host answers. Undefined: 404. */
export type Host = (request: Received) => Response | undefined

/** What a host does instead: nothing, an answer without end, some status, or the right thing so many ms late. */
export type Trouble = 'silence' | 'endless' | { readonly status: number } | { readonly late: number }

/**
 * Hosts of any name on loopback: a proxy (`CONNECT`) behind which each of them answers over TLS with a certificate of a CA that nobody else
 * trusts. Who asks them has to go through the proxy and has to trust that CA, as in a company's network. Metadata services, which have no
 * name and no TLS, answer at `plain`.
 */
export class Internet {
  /** Every request in order. */
  readonly seen: Received[] = []
  /** Every host that somebody wanted to be connected to, `host:port`. */
  readonly connected: string[] = []
  readonly ca: string
  readonly #hosts = new Map<string, Host>()
  readonly #trouble = new Map<string, Trouble>()
  readonly #sockets = new Set<Socket>()
  readonly #tls: ReturnType<typeof createTlsServer>
  readonly #proxy = createServer((_, response) => response.writeHead(501).end())
  readonly #plain = createServer((request, response) => this.#respond(request, response, 'metadata'))

  private constructor(ca: string, server: { readonly cert: string; readonly key: string }) {
    this.ca = ca
    this.#tls = createTlsServer(server, (request, response) => this.#respond(request, response, request.headers.host ?? ''))
    this.#proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
      this.connected.push(request.url ?? '')
      const inner = connect((this.#tls.address() as AddressInfo).port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        inner.pipe(socket).pipe(inner)
      })
      for (const end of [socket, inner]) {
        this.#sockets.add(end)
        end.on('error', () => end.destroy())
        end.on('close', () => this.#sockets.delete(end))
      }
    })
  }

  /** `names` are those of the certificate; hosts can be added to them at any time. */
  static async start(...names: readonly string[]): Promise<Internet> {
    const { ca, server } = await mintCertificates(names)
    const internet = new Internet(ca, server)
    for (const one of [internet.#tls, internet.#proxy, internet.#plain])
      await new Promise<void>((listening, failed) => {
        one.once('error', failed)
        one.listen(0, '127.0.0.1', listening)
      })
    return internet
  }

  /** The URL of the proxy, for `HTTPS_PROXY`. */
  get proxy(): string {
    return `http://127.0.0.1:${(this.#proxy.address() as AddressInfo).port}`
  }

  /** `host:port` of what answers by plain http, without a proxy, as the host `metadata`. */
  get plain(): string {
    return `127.0.0.1:${(this.#plain.address() as AddressInfo).port}`
  }

  host(name: string, host: Host): void {
    this.#hosts.set(name, host)
  }

  /** From now on; undefined: it behaves again. */
  trouble(name: string, trouble: Trouble | undefined): void {
    if (trouble === undefined) this.#trouble.delete(name)
    else this.#trouble.set(name, trouble)
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(
      [this.#tls, this.#proxy, this.#plain].map(
        (server) =>
          new Promise<void>((closed) => {
            server.close(() => closed())
            server.closeAllConnections()
          }),
      ),
    )
  }

  #respond(incoming: IncomingMessage, response: ServerResponse, name: string): void {
    this.#answer(incoming, response, name.replace(/:443$/, '')).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    )
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse, name: string): Promise<void> {
    const url = new URL(incoming.url ?? '/', 'http://host')
    const headers = Object.fromEntries(Object.entries(incoming.headers).map(([k, v]) => [k, Array.isArray(v) ? v.join(', ') : v]))
    const body = (await received(incoming, MAX_BODY)).toString('utf8')
    const request = { method: incoming.method ?? 'GET', host: name, path: url.pathname, query: url.searchParams, headers, body }
    this.seen.push(request)
    const trouble = this.#trouble.get(name)
    if (trouble === 'silence') return
    if (trouble === 'endless') return endless(response)
    if (trouble !== undefined && 'status' in trouble) return void response.writeHead(trouble.status).end()
    if (trouble !== undefined) await sleep(trouble.late)
    const answer = this.#hosts.get(name)?.(request) ?? { status: 404 }
    const text = typeof answer.body === 'object' ? JSON.stringify(answer.body) : (answer.body ?? '')
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers }).end(text)
  }
}
