import { createHash } from 'node:crypto'
import { Agent, type Dispatcher, ProxyAgent, request } from 'undici'
import { isObject } from '../../policy/shape.ts'
import type { Access } from './kubeconfig.ts'

const CONNECT = 10_000 // ms for a connection with TLS
const ANSWER = 30_000 // ms for a whole answer other than a watch; the API server itself gives up after 60 s
const MAX_ANSWER = 16 * 1024 * 1024 // bytes; pages are made smaller when they are larger
const MAX_WRITE = 3 * 1024 * 1024 // bytes of an object that is written; the API server takes no more
const MAX_EVENT = 16 * 1024 * 1024 // bytes of one line of a watch; etcd takes objects of 1.5 MB
const MAX_TEXT = 500 // characters of the API server's message that are kept
const MAX_RETRY_AFTER = 60_000 // ms

export type ApiAnswer =
  | { readonly state: 'answered'; readonly body: Readonly<Record<string, unknown>> }
  /** The API server said no. `text` is its message, e.g. `secrets "x" is forbidden: …`; `retryAfter` in ms, where it said so. */
  | { readonly state: 'refused'; readonly status: number; readonly text: string; readonly retryAfter: number | undefined }
  | { readonly state: 'too-large' }
  /** No answer that can be used. */
  | { readonly state: 'failed'; readonly text: string }

export type WatchEnd = { readonly state: 'ended' } | { readonly state: 'silent' } | Exclude<ApiAnswer, { readonly state: 'answered' }>

type Query = Readonly<Record<string, string>>

/** What is done to an object: created in its collection, replaced, merged (RFC 7396) or deleted. */
export type Write = 'create' | 'replace' | 'merge' | 'delete'

const METHODS = { create: 'POST', replace: 'PUT', merge: 'PATCH', delete: 'DELETE' } as const

type Asked = {
  readonly method: 'GET' | (typeof METHODS)[Write]
  readonly path: string
  readonly query: Query
  readonly body?: { readonly text: string; readonly type: string }
}

/** Requests to one API server. Every watch has a connection of its own, so that none stands behind another (HTTP/1.1). */
export class ApiServer {
  readonly #access: Access
  #dispatcher: { readonly key: string; readonly dispatcher: Dispatcher } | undefined
  #lastContact = performance.now()
  #isAway = false
  readonly #waiting = new Set<() => void>()
  #clock: number | undefined

  constructor(access: Access) {
    this.#access = access
  }

  /** Milliseconds since the API server was last heard of; at the start, since then. */
  lastContactAge(): number {
    return performance.now() - this.#lastContact
  }

  /** What time it was there at its last answer, in ms since 1970; it tells whole seconds. */
  clock(): number | undefined {
    return this.#clock
  }

  /** Calls `back` once, when the API server answers again after it did not. Answers how not to. */
  whenBack(back: () => void): () => void {
    this.#waiting.add(back)
    return () => void this.#waiting.delete(back)
  }

  async close(): Promise<void> {
    await this.#dispatcher?.dispatcher.destroy()
  }

  /** One answer, whole. Never rejects. */
  async get(path: string, query: Query, signal: AbortSignal, time: number = ANSWER): Promise<ApiAnswer> {
    return this.#whole({ method: 'GET', path, query }, signal, time)
  }

  /**
   * One write. It is not repeated here: after `failed` nobody knows whether it was done, and only who writes knows whether to do it twice.
   * `body` is the object or, to delete one, the options. Never rejects.
   */
  async write(what: Write, path: string, body: object, signal: AbortSignal, time: number = ANSWER): Promise<ApiAnswer> {
    const text = JSON.stringify(body)
    if (Buffer.byteLength(text) > MAX_WRITE) return { state: 'too-large' }
    const type = what === 'merge' ? 'application/merge-patch+json' : 'application/json'
    return this.#whole({ method: METHODS[what], path, query: {}, body: { text, type } }, signal, time)
  }

  async #whole(asked: Asked, signal: AbortSignal, time: number): Promise<ApiAnswer> {
    const bound = AbortSignal.any([signal, AbortSignal.timeout(time)])
    try {
      const response = await this.#request(asked, bound)
      const text = await this.#body(response, MAX_ANSWER)
      if (text === undefined) return { state: 'too-large' }
      return answerOf(response, text)
    } catch (error) {
      if (!bound.aborted || signal.aborted) return { state: 'failed', text: textOf(error) }
      this.#leaveConnections()
      return { state: 'failed', text: `no answer within ${time / 1000} s` }
    }
  }

  /**
   * Watches: `opened` once the API server agreed, then `line` for each event's JSON. Answers how it ended; `silent` when it had not
   * ended after `time` ms, by which the API server was asked to end it. Never rejects.
   */
  async watch(
    path: string,
    query: Query,
    time: number,
    signal: AbortSignal,
    on: { opened(): void; line(line: string): void },
  ): Promise<WatchEnd> {
    const bound = AbortSignal.any([signal, AbortSignal.timeout(time)])
    try {
      const response = await this.#request({ method: 'GET', path, query: { ...query, watch: 'true' } }, bound)
      if (response.statusCode !== 200) {
        const answer = answerOf(response, (await this.#body(response, MAX_ANSWER)) ?? '')
        return answer.state === 'answered' ? { state: 'failed', text: `HTTP ${response.statusCode}` } : answer
      }
      on.opened()
      const lines = new Lines(MAX_EVENT)
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        this.#lastContact = performance.now()
        for (const line of lines.after(chunk)) on.line(line)
        if (lines.isTooLong()) return { state: 'too-large' }
      }
      return { state: 'ended' }
    } catch (error) {
      if (!bound.aborted || signal.aborted) return { state: 'failed', text: textOf(error) }
      this.#leaveConnections()
      return { state: 'silent' }
    }
  }

  async #request(asked: Asked, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    let response = await this.#requestOnce(asked, signal, false)
    if (response.statusCode === 401) {
      await response.body.dump()
      response = await this.#requestOnce(asked, signal, true)
    }
    return response
  }

  async #requestOnce({ method, path, query, body }: Asked, signal: AbortSignal, anew: boolean): Promise<Dispatcher.ResponseData> {
    const credentials = await this.#access.credentials(anew)
    const dispatcher = this.#dispatcherFor(credentials.tls)
    const search = new URLSearchParams(query).toString()
    const url = `${this.#access.server}${path}${search === '' ? '' : `?${search}`}`
    const asked = request(url, {
      method,
      dispatcher,
      signal,
      headers: {
        ...credentials.headers,
        'accept': 'application/json',
        'user-agent': 'sealgate',
        ...(body && { 'content-type': body.type }),
      },
      ...(body && { body: body.text }),
      bodyTimeout: 0,
    })
    const response = await this.#answered(asked)
    const date = Date.parse(String(response.headers['date']))
    if (!Number.isNaN(date)) this.#clock = date
    return response
  }

  /** Notes whether there is an API server, and tells those who wait for it. */
  async #answered(asked: Promise<Dispatcher.ResponseData>): Promise<Dispatcher.ResponseData> {
    try {
      const response = await asked
      this.#lastContact = performance.now()
      // What comes back and still cannot answer is not back.
      if (this.#isAway && response.statusCode < 500) {
        this.#isAway = false
        const waiting = [...this.#waiting]
        this.#waiting.clear()
        for (const back of waiting) back()
      }
      return response
    } catch (error) {
      this.#isAway = true
      throw error
    }
  }

  /** The text of an answer, or undefined when it is larger than `max` bytes. */
  async #body(response: Dispatcher.ResponseData, max: number): Promise<string | undefined> {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      this.#lastContact = performance.now()
      bytes += chunk.length
      if (bytes > max) return undefined
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8')
  }

  /** What is under way on the connections goes on; what comes gets new ones. Where one went silent, idle ones have too. */
  #leaveConnections(): void {
    void this.#dispatcher?.dispatcher.close()
    this.#dispatcher = undefined
  }

  /** Connections are kept as long as certificates stay the same. */
  #dispatcherFor(tls: Readonly<Record<string, unknown>>): Dispatcher {
    const key = createHash('sha256').update(JSON.stringify(tls)).digest('hex')
    if (this.#dispatcher?.key !== key) {
      this.#leaveConnections()
      const { proxy } = this.#access
      const connection = { allowH2: false, headersTimeout: ANSWER, keepAliveTimeout: 30_000 } as const
      const dispatcher = proxy
        ? new ProxyAgent({ uri: proxy, requestTls: { ...tls, timeout: CONNECT }, ...connection })
        : new Agent({ connect: { ...tls, timeout: CONNECT, keepAlive: true, keepAliveInitialDelay: 15_000 }, ...connection })
      this.#dispatcher = { key, dispatcher }
    }
    return this.#dispatcher.dispatcher
  }
}

/** Puts lines together from pieces that end anywhere, in the middle of a character too. */
export class Lines {
  readonly #max: number
  #pieces: Buffer[] = []
  #bytes = 0

  constructor(maxBytes: number) {
    this.#max = maxBytes
  }

  /** The lines that are whole with this piece; empty ones are left out. */
  after(piece: Buffer): string[] {
    const lines: string[] = []
    let from = 0
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, from)) {
      this.#pieces.push(piece.subarray(from, end))
      const line = Buffer.concat(this.#pieces).toString('utf8')
      if (line.trim() !== '') lines.push(line)
      this.#pieces = []
      this.#bytes = 0
      from = end + 1
    }
    if (from < piece.length) this.#pieces.push(piece.subarray(from))
    this.#bytes += piece.length - from
    return lines
  }

  isTooLong(): boolean {
    return this.#bytes > this.#max
  }
}

function answerOf(response: Dispatcher.ResponseData, text: string): ApiAnswer {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    body = undefined
  }
  const status = response.statusCode
  if (status >= 200 && status < 300)
    return isObject(body) ? { state: 'answered', body } : { state: 'failed', text: 'the answer is not JSON' }
  return { state: 'refused', status, text: statusText(body, status), retryAfter: retryAfterOf(response.headers['retry-after']) }
}

/** The message of a `Status` object, as Kubernetes words it. */
export function statusText(body: unknown, status: number): string {
  const message = isObject(body) && typeof body['message'] === 'string' && body['message'] !== '' ? body['message'] : `HTTP ${status}`
  return message.replaceAll(/\s+/g, ' ').slice(0, MAX_TEXT)
}

function retryAfterOf(header: string | string[] | undefined): number | undefined {
  const seconds = typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) : undefined
  return seconds === undefined ? undefined : Math.min(seconds * 1000, MAX_RETRY_AFTER)
}

function textOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return textOf(error.errors[0])
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').slice(0, MAX_TEXT)
}
