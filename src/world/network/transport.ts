import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { LookupFunction } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import type { SecureContext } from 'node:tls'
import { LRUCache } from 'lru-cache'
import { Pool, ProxyAgent } from 'undici'
import type { Dispatcher } from 'undici'
import type { Digest } from '../../image/digest.ts'
import type { HostClass, RegistryOutcome } from '../metrics.ts'
import { codeOfError, connectionCause, isCertificateError } from '../registry/registry-error.ts'
import type { RegistryReason } from '../registry/registry-error.ts'
import { Slots } from '../slots.ts'
import { AddressRefused, bare, guardedLookup, isRefused } from './address.ts'
import { proxyFor } from './proxy.ts'
import type { ProxySettings } from './proxy.ts'
import { delayBeforeRetry, pause } from './retry.ts'
import type { Attempted } from './retry.ts'
import { isCertificate } from './system-roots.ts'

const MAX_REDIRECTS = 5 // registries redirect blobs once, to an object store
const MAX_ERROR_BODY = 64 * 1024 // bytes of an error's body that are read; the rest is dropped
const LARGE = 256 * 1024 // bytes of an answer, where its size is known, from which on it is put together as it comes, and of it after which others have their turn
const MAX_HEADER_BYTES = 32 * 1024 // of an answer; presigned URLs in Location have up to 4 KiB
const MAX_CONNECTIONS = 16 // to one origin: enough to fetch ten payloads at once, few enough for a small registry
const MAX_WAITING = 1024 // requests that wait for a connection to one origin; more are refused at once
const MAX_ORIGINS = 256 // connection pools that are kept; the one unused longest is closed
const KEEP_ALIVE_MS = 50_000 // an unused connection; shorter than the 60 s after which common load balancers drop theirs
const CONNECT_MS = 5_000 // to connect, TLS included
const CONNECT_BEFORE_FALLBACK_MS = 1_000 // to connect by https to a host that may then be asked by plain http
const SILENCE_MS = 10_000 // to the first byte of an answer, and between two
const WHOLE_MS = 30_000 // one question with its redirects and retries, whatever the caller allows
// Why a connection may fail now and not a moment later. A name that does not exist, a bad certificate and no TLS will be the same then.
const FLEETING: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_SOCKET',
])
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export type TransportOptions = {
  /** Certificates (PEM) that sign registries' certificates; asked for once, at the first https connection, since reading a system's 140 takes time. */
  readonly ca: () => readonly string[]
  readonly proxy: ProxySettings
  readonly userAgent: string
  /** How names become addresses; the system's resolver when absent. What it answers is still checked. */
  readonly lookup?: LookupFunction
  /** Whether there is no memory for a further answer; always enough when absent. */
  readonly isShort?: () => boolean
  /** Called once for every HTTP request, however it ended. */
  readonly count: (outcome: RegistryOutcome, host: HostClass) => void
}

/** A place to ask, and how messages name it: `shown` the whole URL, `shownBase` the server, for when there is no connection to it. */
export type Target = { readonly url: URL; readonly shown: string; readonly shownBase: string; readonly kind: HostClass }

export type Request = {
  readonly method: 'GET' | 'POST'
  /** The next one is asked only when there is no connection to the one before, and not because its certificate is bad. */
  readonly targets: readonly Target[]
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** Bytes of the body of a 200 that are accepted. */
  readonly maxBytes: number
  /** Exact bytes of the body of a 200, when known. */
  readonly size?: number
  /** Whether a redirect is the answer: of services that have none, one could only carry a token elsewhere. */
  readonly isFinal?: boolean
}

/** What came back. Of a 200 the whole body and its digest; of anything else at most the first 64 KiB. Nothing in it is believed. */
export type Answer = {
  readonly target: Target
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Uint8Array
  readonly digest: Digest
  /** After redirects: what relative links in the answer are relative to. */
  readonly url: URL
}

/** No answer, and why. */
export type Trouble = { readonly reason: RegistryReason }

type Origin = { readonly dispatcher: Dispatcher; readonly proxied: boolean; readonly slots: Slots }
/** How one exchange failed: without a connection the next target may do; the transient may be tried again. */
type Failure = { readonly reason: RegistryReason; readonly connection?: 'none' | 'untrusted'; readonly transient: boolean }

/** HTTP to registries and their token realms: bounded connections for each origin, checked addresses, redirects, retries, and no more bytes than asked for. */
export class Transport {
  readonly #options: TransportOptions
  readonly #lookup: LookupFunction
  readonly #origins = new LRUCache<string, Origin>({
    max: MAX_ORIGINS,
    dispose: ({ dispatcher }) => void dispatcher.close().catch(() => {}),
  })
  #trust: SecureContext | undefined

  constructor(options: TransportOptions) {
    this.#options = options
    this.#lookup = guardedLookup(options.lookup)
  }

  /** Asks, at most three times and 30 s, and within `signal`. What answers is an `Answer` whatever its status; a `Trouble` is everything else. */
  async ask(request: Request, signal: AbortSignal): Promise<Answer | Trouble> {
    // Not AbortSignal.timeout: its timer would stay for the whole time after every question that was answered at once.
    const whole = new AbortController()
    const timer = setTimeout(() => whole.abort(), WHOLE_MS)
    const bounded = AbortSignal.any([signal, whole.signal])
    try {
      for (let attempt = 0; ; attempt++) {
        const result = await this.#reach(request, bounded)
        const ended = endOf(result)
        const delay = ended && delayBeforeRetry(ended, attempt, Math.random(), Date.now())
        // A budget that ends while waiting does not hide what the registry said.
        if (delay === undefined || !(await pause(delay, bounded))) return 'status' in result ? result : { reason: result.reason }
      }
    } finally {
      clearTimeout(timer)
    }
  }

  async close(): Promise<void> {
    const open = [...this.#origins.values()]
    await Promise.all(open.map(({ dispatcher }) => dispatcher.destroy()))
    this.#origins.clear()
  }

  async #reach(request: Request, signal: AbortSignal): Promise<Answer | Failure> {
    const causes: string[] = []
    let transient = false
    for (const [i, target] of request.targets.entries()) {
      const isLast = i === request.targets.length - 1
      const result = await this.#follow(request, target, isLast ? CONNECT_MS : CONNECT_BEFORE_FALLBACK_MS, signal)
      if ('status' in result || result.connection === undefined) return result
      causes.push(result.reason.text)
      transient ||= result.transient
      if (result.connection === 'untrusted') break
    }
    return { reason: { code: 'registry-unreachable', text: causes.join('; ') }, connection: 'none', transient }
  }

  async #follow(request: Request, target: Target, connectMs: number, signal: AbortSignal): Promise<Answer | Failure> {
    let { url } = target
    const { authorization: given, ...headers } = request.headers
    let authorization = given
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#exchange(
        request,
        target,
        url,
        authorization === undefined ? headers : { ...headers, authorization },
        connectMs,
        signal,
      )
      if (!('status' in answer) || !REDIRECTS.has(answer.status) || request.method !== 'GET' || request.isFinal) return answer
      const location = answer.headers.location
      const next = location === undefined ? null : URL.parse(location, url)
      const wrong = !next
        ? 'redirected to nowhere'
        : redirects === MAX_REDIRECTS
          ? `stopped after ${MAX_REDIRECTS} redirects`
          : next.protocol !== 'https:' && !(next.protocol === 'http:' && target.url.protocol === 'http:')
            ? `redirected to a URL that is not ${target.url.protocol === 'https:' ? 'https' : 'http'}`
            : next.username || next.password
              ? 'redirected to a URL with credentials in it'
              : undefined
      if (wrong !== undefined || !next)
        return { reason: { code: 'registry-malformed', text: `${request.method} ${target.shown}: ${wrong}` }, transient: false }
      // Credentials are for the host that was asked, not for whom it names (lesson 43, «redirects»). They do not come back either.
      if (next.origin !== url.origin) authorization = undefined
      url = next
    }
  }

  /** One HTTP request and its answer. */
  async #exchange(
    request: Request,
    target: Target,
    url: URL,
    headers: Record<string, string>,
    connectMs: number,
    signal: AbortSignal,
  ): Promise<Answer | Failure> {
    const at = `${request.method} ${target.shown}`
    const hostname = bare(url.hostname)
    // Literal addresses are not looked up, and a proxy looks names up by itself: this is the only place that sees them all.
    if (isRefused(hostname)) return this.#count('failed', target, { reason: addressRefused(at, hostname), transient: false })
    const origin = this.#origin(url, connectMs)
    const slot = await origin.slots.take(signal)
    if (slot === 'aborted') return { reason: { code: 'registry-timeout', text: `${at}: context deadline exceeded` }, transient: false }
    if (slot === 'full') {
      return { reason: { code: 'registry-failed', text: `${at}: too many requests to this registry are waiting` }, transient: false }
    }
    // Here and not before the queue: hundreds may wait in it, and each was let in when there was memory for it.
    if (this.#options.isShort?.() === true) {
      origin.slots.release()
      return { reason: { code: 'registry-not-asked', text: `${at}: too much memory is in use to take an answer` }, transient: false }
    }
    let response: Dispatcher.ResponseData | undefined
    try {
      response = await origin.dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers: { 'user-agent': this.#options.userAgent, 'accept-encoding': 'identity', ...headers },
        body: request.body ?? null,
        signal,
        headersTimeout: SILENCE_MS,
        bodyTimeout: SILENCE_MS,
      })
      const body = await this.#body(request, response)
      if ('wrong' in body)
        return this.#count('failed', target, { reason: { code: 'registry-malformed', text: `${at}: ${body.wrong}` }, transient: false })
      const { statusCode: status, headers: answered } = response
      return this.#count(outcomeOf(status), target, { target, status, headers: answered, url, ...body })
    } catch (error) {
      const code = codeOfError(error)
      if (signal.aborted || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
        return this.#count('timeout', target, {
          reason: { code: 'registry-timeout', text: `${at}: context deadline exceeded` },
          transient: false,
        })
      }
      if (error instanceof AddressRefused)
        return this.#count('failed', target, { reason: addressRefused(at, error.address), transient: false })
      if (response)
        return this.#count('failed', target, { reason: { code: 'registry-failed', text: `${at}: unexpected EOF` }, transient: true })
      if (code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
        return this.#count('failed', target, {
          reason: { code: 'registry-malformed', text: `${at}: malformed HTTP response` },
          transient: false,
        })
      }
      const cause = `${origin.proxied ? 'proxyconnect: ' : ''}${connectionCause(error, hostname)}`
      return this.#count('failed', target, {
        reason: {
          code: 'registry-unreachable',
          text: `Get "${url.origin === target.url.origin ? target.shownBase : `${url.origin}/`}": ${cause}`,
        },
        connection: isCertificateError(error) ? 'untrusted' : 'none',
        transient: FLEETING.has(code),
      })
    } finally {
      origin.slots.release()
    }
  }

  async #body(
    request: Request,
    { statusCode, headers, body }: Dispatcher.ResponseData,
  ): Promise<{ readonly body: Uint8Array; readonly digest: Digest } | { readonly wrong: string }> {
    const ok = statusCode === 200
    const { size } = request
    const wrong = ok ? wrongBefore(request, headers) : undefined
    const hash = createHash('sha256')
    const chunks: Uint8Array[] = []
    // Put together as it comes: 16 MiB in one go take some 5 ms.
    const whole = ok && size !== undefined && size > LARGE && size <= request.maxBytes ? Buffer.allocUnsafe(size) : undefined
    let length = 0
    if (wrong === undefined) {
      // Leaving this loop early ends the connection, so nobody goes on sending.
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        const at = length
        length += chunk.length
        if (length > (ok ? (size ?? request.maxBytes) : MAX_ERROR_BODY)) break
        if (whole) whole.set(chunk, at)
        else chunks.push(chunk)
        if (ok) hash.update(chunk)
        // A near registry sends faster than this is done, and what has come would be taken in one go.
        if (whole && Math.floor(length / LARGE) > Math.floor(at / LARGE)) await setImmediate()
      }
    } else body.on('error', () => {}).destroy()
    if (wrong !== undefined) return { wrong }
    if (ok && size !== undefined && length !== size)
      return { wrong: `error verifying size; got ${length > size ? 'more' : length}, want ${size}` }
    if (ok && length > request.maxBytes) return { wrong: tooLarge(request.maxBytes) }
    if (whole) return { body: whole, digest: `sha256:${hash.digest('hex')}` }
    return { body: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks), digest: `sha256:${hash.digest('hex')}` }
  }

  #origin(url: URL, connectMs: number): Origin {
    const key = `${url.origin} ${connectMs}`
    let origin = this.#origins.get(key)
    if (!origin) {
      const proxy = proxyFor(this.#options.proxy, url)
      const shared = {
        connections: MAX_CONNECTIONS,
        // One slow answer must not hold up the others, as it would when all of them share an HTTP/2 connection.
        allowH2: false,
        keepAliveTimeout: KEEP_ALIVE_MS,
        maxHeaderSize: MAX_HEADER_BYTES,
      }
      const trust =
        url.protocol === 'https:' || proxy?.protocol === 'https:' ? { secureContext: (this.#trust ??= trustIn(this.#options.ca())) } : {}
      origin = {
        dispatcher: proxy
          ? new ProxyAgent({
              ...shared,
              uri: proxy.href,
              proxyTunnel: false,
              requestTls: trust,
              proxyTls: trust,
              connectTimeout: connectMs,
            })
          : new Pool(url.origin, { ...shared, connect: { ...trust, allowH2: false, timeout: connectMs, lookup: this.#lookup } }),
        proxied: proxy !== undefined,
        slots: new Slots(MAX_CONNECTIONS, MAX_WAITING),
      }
      this.#origins.set(key, origin)
    }
    return origin
  }

  #count<T>(outcome: RegistryOutcome, { kind }: Target, result: T): T {
    this.#options.count(outcome, kind)
    return result
  }
}

/** One certificate that cannot be read, of a system's 140, must not take the others along. */
function trustIn(certificates: readonly string[]): SecureContext {
  return createSecureContext({ ca: certificates.filter(isCertificate) })
}

/** What is wrong with a 200 before its body is read. */
function wrongBefore({ maxBytes, size }: Request, headers: IncomingHttpHeaders): string | undefined {
  const encoding = headers['content-encoding']
  // It was not asked for, and the digest is over what the registry stores; refusing it leaves no decompression bomb to think about.
  if (encoding !== undefined && encoding !== 'identity') return 'the answer is compressed, which was not asked for'
  const announced = Number(headers['content-length'] ?? Number.NaN)
  if (size !== undefined && !Number.isNaN(announced) && announced !== size) return `error verifying size; got ${announced}, want ${size}`
  return announced > maxBytes ? tooLarge(maxBytes) : undefined
}

function tooLarge(maxBytes: number): string {
  return `the answer is larger than the limit (${maxBytes} bytes)`
}

function addressRefused(at: string, address: string): RegistryReason {
  return { code: 'registry-address-refused', text: `${at}: ${address} is a link-local or metadata address, where no registry is` }
}

function outcomeOf(status: number): RegistryOutcome {
  if (status === 200 || REDIRECTS.has(status)) return 'found'
  if (status === 401 || status === 403) return 'refused'
  if (status === 404) return 'absent'
  return status === 429 ? 'limited' : 'failed'
}

/** Undefined: asking again would change nothing. */
function endOf(result: Answer | Failure): Attempted | undefined {
  if ('status' in result) return { status: result.status, retryAfter: result.headers['retry-after'] }
  return result.transient ? 'transient' : undefined
}
