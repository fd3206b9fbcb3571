import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { endless, received } from '../http-body.ts'

const MAX_BODY = 64 * 1024 * 1024 // bytes of a request

/** What a server does to requests for paths that contain `path` (all, without) instead of, or (`late`, ms) before, the right answer. */
export type Misbehaviour = {
  readonly path?: string
  readonly late?: number
  readonly status?: number
  readonly body?: string | Uint8Array
  /** Nothing at all until the client hangs up. */
  readonly isSilent?: true
  /** A 200 whose body never ends. */
  readonly isEndless?: true
}

export type Answer = { readonly status: number; readonly type?: string; readonly etag?: string; readonly body: string | Uint8Array }
export type Request = { readonly method: string; readonly path: string; readonly body: Buffer }

/** An HTTP server on a loopback address, whose answers are `answer`'s unless it misbehaves. */
export class Loopback {
  /** Every request in order. */
  readonly seen: Request[] = []
  readonly #server: ReturnType<typeof createServer>
  readonly #answer: (request: Request) => Answer
  #misbehaviour: readonly Misbehaviour[] = []

  private constructor(answer: (request: Request) => Answer) {
    this.#answer = answer
    this.#server = createServer((request, response) => {
      this.#respond(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
    })
  }

  static async start(answer: (request: Request) => Answer): Promise<Loopback> {
    const loopback = new Loopback(answer)
    await new Promise<void>((listening, failed) => {
      loopback.#server.once('error', failed)
      loopback.#server.listen(0, '127.0.0.1', listening)
    })
    return loopback
  }

  /** Without a slash at its end. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** From now on; without arguments it behaves. Of several that speak about a path the first. */
  misbehave(...misbehaviour: readonly Misbehaviour[]): void {
    this.#misbehaviour = misbehaviour
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()))
    this.#server.closeAllConnections()
    await closed
  }

  async #respond(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(incoming.url ?? '/', 'http://loopback').pathname)
    const request = { method: incoming.method ?? 'GET', path, body: await received(incoming, MAX_BODY) }
    this.seen.push(request)
    const wrong = this.#misbehaviour.find((one) => one.path === undefined || path.includes(one.path))
    if (wrong?.late !== undefined) await sleep(wrong.late)
    if (wrong?.isSilent) return
    if (wrong?.isEndless) return endless(response)
    const right = this.#answer(request)
    const status = wrong?.status ?? right.status
    const body = wrong?.body ?? (status === right.status ? right.body : '')
    response.writeHead(status, { 'content-type': right.type ?? 'application/json', ...(right.etag && { etag: right.etag }) })
    response.end(body)
  }
}
