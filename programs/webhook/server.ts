import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Server, createServer } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import type { Attributes } from '@opentelemetry/api'
import type { Deadline } from '../../src/admit.ts'
import type { Reason } from '../../src/verdict/reason.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import type { Log } from '../../src/world/log.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import type { PressureLevel } from '../../src/world/pressure.ts'
import { targetOf } from './budget.ts'
import { refusal } from './refusal.ts'
import type { Trace, Tracing } from './trace.ts'

/** What a request was about, for its log line and its metrics. */
export type About = {
  readonly uid: string
  readonly operation: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly subResource: string
  readonly user: string
  readonly allowed: boolean
  readonly codes: readonly string[]
}

/** `body` is JSON when `status` is 200, else text without its last line break. */
export type Answer = {
  readonly status: number
  readonly body: string
  readonly about?: About
  /** What a refusal that is none of a judgement is counted as. */
  readonly countedAs?: number
}

/** Answers one request. `deadline.at` is on the clock of `performance.now()`. A rejection is a bug: the request is refused, the process serves on. */
export type Answerer = (body: Buffer, deadline: Deadline, trace?: Trace) => Promise<Answer>

/** Whether requests are wanted: `text` is what a probe is told when they are not. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly text: string }

export type Serving = {
  /** By path: `/validations`, `/mutations`, … */
  readonly answerers: ReadonlyMap<string, Answerer>
  readonly tls: SecureContextOptions
  readonly readiness: () => Readiness
  /** While true, every answer asks its connection to end. */
  readonly closing: () => boolean
  readonly log: Log
  readonly metrics: Metrics
  /** How near the process is to the memory that it may have, in bytes. Without it there is always enough. */
  readonly pressure?: { level(): PressureLevel; readonly limit: number } | undefined
  /** Undefined: nobody wants spans. */
  readonly tracing?: Tracing | undefined
}

const MAX_BODY_BYTES = 8 * 1024 * 1024 // an object of at most 3 MiB (the API server's limit), the old one, and the envelope
const MAX_HELD_BYTES = 128 * 1024 * 1024 // of all bodies under way together: what slow or hostile clients can make us hold
const HELD_SHARE = 1 / 8 // of the memory that the process may have, where that is less
const LARGE_BODY_BYTES = 64 * 1024 // no Pod of the ordinary kind; read, an object takes up to ten times its bytes for as long as it is judged
const FEW = 4 // requests under way beside which one with a large body is taken however little memory there is: else it never would be
const MAX_CONNECTIONS = 4096 // an API server opens a few dozen
const MAX_HEADER_BYTES = 16 * 1024
const HEADERS_TIMEOUT = 10_000 // ms for a request's head: a client that dribbles it is dropped
const REQUEST_TIMEOUT = 30_000 // ms for a whole request: nobody waits longer for its answer
const HANDSHAKE_TIMEOUT = 10_000 // ms
const KEEP_ALIVE_TIMEOUT = 120_000 // ms; longer than Go's 90 s, so that it is never us who ends a connection that is about to be used
const CHECK_INTERVAL = 2_000 // ms between looks for requests that took too long

/**
 * The HTTP side of the webhook (specification 4.5), not yet listening. Plain `node:https`: against fastify it answers 1.3 times as many
 * requests and starts 60 ms sooner, and there are no routes but a table (docs/decisions/own-http.md).
 */
export function openServer(serving: Serving): Server {
  const server = createServer(
    {
      ...serving.tls,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      handshakeTimeout: HANDSHAKE_TIMEOUT,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
      connectionsCheckingInterval: CHECK_INTERVAL,
    },
    new Handling(serving).handle,
  )
  server.maxConnections = MAX_CONNECTIONS
  server.on('tlsClientError', (error) => serving.log.debug('a TLS handshake failed', { why: error.message }))
  return server
}

class Handling {
  readonly #serving: Serving
  readonly #maxHeld: number
  #held = 0
  #underWay = 0

  constructor(serving: Serving) {
    this.#serving = serving
    serving.metrics.watchUnderWay(() => this.#underWay)
    this.#maxHeld = Math.min(MAX_HELD_BYTES, (serving.pressure?.limit ?? Infinity) * HELD_SHARE)
  }

  /** The checks stand in the order of the specification. */
  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    if (this.#serving.closing()) response.setHeader('Connection', 'close')
    const { headers } = request
    if (headers['k-kubelet-probe'] !== undefined || headers['user-agent']?.startsWith('kube-probe/')) return this.#probed(response)
    if (headers['content-type'] !== 'application/json')
      return this.#turnAway(response, 415, 'invalid Content-Type, want `application/json`')
    const { path, useful, last } = targetOf(request.url ?? '')
    const answerer = this.#serving.answerers.get(path)
    if (!answerer) return this.#turnAway(response, 400, `no controller registered for: ${path}`)
    const arrived = performance.now()
    const trace = this.#serving.tracing?.begin(path, headers)
    // A body that never came, or was too long, ends the span as well.
    if (trace) response.once('close', () => trace.end({}, true))
    this.#read(request, response, (body) => {
      const asked = { path, body, arrived, useful: arrived + useful, last: arrived + last, trace }
      if (trace) trace.within(() => this.#answer(asked, answerer, response))
      else this.#answer(asked, answerer, response)
    })
  }

  #probed(response: ServerResponse): void {
    const readiness = this.#serving.readiness()
    if (readiness.ready) response.writeHead(200).end()
    else sayText(response, 503, readiness.text)
  }

  /** Reads the body within its bounds, and counts it as held until the answer has left. */
  #read(request: IncomingMessage, response: ServerResponse, then: (body: Buffer) => void): void {
    const chunks: Buffer[] = []
    let bytes = 0
    let refused = false
    const refuse = (status: number, text: string): void => {
      refused = true
      chunks.length = 0
      response.setHeader('Connection', 'close')
      this.#turnAway(response, status, text)
    }
    const tooLong = `the body is longer than ${MAX_BODY_BYTES} bytes`
    if (Number(request.headers['content-length']) > MAX_BODY_BYTES) return refuse(413, tooLong)
    request.on('data', (chunk: Buffer) => {
      if (refused) return
      bytes += chunk.length
      this.#held += chunk.length
      chunks.push(chunk)
      if (bytes > MAX_BODY_BYTES) refuse(413, tooLong)
      else if (this.#held > this.#maxHeld) refuse(503, 'too many requests are under way')
    })
    request.on('end', () => {
      if (!refused) then(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, bytes))
    })
    response.on('close', () => (this.#held -= bytes))
  }

  #answer(asked: AskedOf, answerer: Answerer, response: ServerResponse): void {
    const { path, body, useful, last, trace } = asked
    let given = false
    let isLate = false
    const give = (answer: Answer): void => {
      if (given) return
      given = true
      clearTimeout(alarm)
      this.#send(asked, answer, response)
    }
    if (body.length > LARGE_BODY_BYTES && this.#underWay >= FEW && (this.#serving.pressure?.level() ?? 'none') !== 'none')
      return this.#send(asked, refused(body, { code: 'under-pressure' }, 429), response)
    this.#underWay++
    // Only an answerer that does not keep its deadline is overtaken: a refusal in time says more than the API server's «context deadline exceeded».
    const alarm = setTimeout(() => {
      isLate = true
      this.#serving.metrics.wentOn()
      this.#serving.log.warn('a request was not answered in time', { path })
      give(refused(body, { code: 'deadline' }, 504))
    }, last - performance.now())
    const failed = (error: unknown): void => {
      this.#serving.metrics.failedInside('answer')
      this.#serving.log.error('an answer failed inside', { path, error })
      give(refused(body, { code: 'internal-error' }, 500))
    }
    try {
      answerer(body, { at: useful }, trace)
        .then(give)
        .catch(failed)
        .finally(() => {
          this.#underWay--
          if (isLate) this.#serving.metrics.cameToAnEnd()
        })
    } catch (error) {
      this.#underWay--
      failed(error)
    }
  }

  #send({ path, arrived, trace }: AskedOf, { status, body, about, countedAs }: Answer, response: ServerResponse): void {
    const { log, metrics } = this.#serving
    if (status === 200) response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body)
    else sayText(response, status, body)
    const milliseconds = performance.now() - arrived
    if (about) metrics.requested(path, about.operation, about.kind, about.allowed, milliseconds / 1000)
    else metrics.turnedAway(countedAs ?? status)
    trace?.end(about ? attributesOf(about) : {}, status !== 200)
    log.info('request', { path, status, ms: Math.round(milliseconds * 100) / 100, ...about })
  }

  #turnAway(response: ServerResponse, status: number, text: string): void {
    this.#serving.metrics.turnedAway(status)
    this.#serving.log.debug('a request was turned away', { status, why: text.slice(0, MAX_SHOWN) })
    sayText(response, status, text)
  }
}

/** A request whose body has come. Times are those of `performance.now()`. */
type AskedOf = {
  readonly path: string
  readonly body: Buffer
  readonly arrived: number
  readonly useful: number
  readonly last: number
  readonly trace: Trace | undefined
}

/** What a span says of an admission: never an image, and no text of a refusal. */
function attributesOf({ uid, operation, kind, namespace, name, allowed, codes }: About): Attributes {
  return {
    'k8s.admission.uid': uid,
    'k8s.admission.operation': operation,
    'k8s.kind': kind,
    'k8s.namespace.name': namespace,
    'k8s.object.name': name,
    'sealgate.allowed': allowed,
    'sealgate.reasons': [...codes],
  }
}

/** As Go's `http.Error`: the text ends with a line break. */
function sayText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, TEXT).end(`${text}\n`)
}

const TEXT = { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' } as const
const MAX_SHOWN = 200 // characters of a path that the log repeats

function refused(body: Buffer, reason: Reason, status: number): Answer {
  const text = refusal(body, reason)
  return text === undefined ? { status, body: sentenceOf(reason) } : { status: 200, body: text, countedAs: status }
}
