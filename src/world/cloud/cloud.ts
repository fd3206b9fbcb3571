import { request as plainRequest } from 'node:http'
import { isIP } from 'node:net'
import type { Metrics } from '../metrics.ts'
import { bare, isRefused, nearness } from '../network/address.ts'
import { proxySettings } from '../network/proxy.ts'
import { systemRoots } from '../network/system-roots.ts'
import { Transport } from '../network/transport.ts'

const MAX_ANSWER_BYTES = 512 * 1024 // a list of a hundred key versions has 60 KiB, tokens and keys have 4
const MAX_METADATA_BYTES = 64 * 1024 // tokens have 2 KiB
const METADATA_MS = 3_000 // a metadata service is on the same machine; where there is none, some networks drop what is sent there
const MAX_WHY = 300 // characters of an explanation, which may hold foreign text

type Environment = Readonly<Record<string, string | undefined>>

/** A request to a service of a cloud. */
export type CloudRequest = {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** Whether plain http is spoken where nobody answers by https: with servers on loopback that stand for a service. */
  readonly orPlain?: boolean
}

export type CloudAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** There was no answer. The message says why, without anything secret. */
export class NoAnswer extends Error {}

/** What asking a cloud for a key or a credential gave. `why` may be shown to people. */
export type Obtained<T> =
  | { readonly state: 'found'; readonly value: T }
  /** A service says that there is no such thing, or it is none that can be used: asking again changes nothing. */
  | { readonly state: 'wrong'; readonly why: string }
  /** This process has no identity with that cloud. */
  | { readonly state: 'none'; readonly why: string }
  /** It could not be found out. */
  | { readonly state: 'unknown'; readonly why: string }

/** What a cloud lets this process in to its registry with. `ends` in ms since 1970; undefined: it does not say. */
export type RegistryLogin = { readonly username: string; readonly password: string; readonly ends: number | undefined }

/**
 * How the services of clouds are reached, by us and by the vendors' libraries: with the operator's proxy and the system's certificates,
 * bounded in time and bytes. Certificates of registries (`--registry-ca`) do not count here: who may vouch for a registry, whose content is
 * verified, may not vouch for a service that names the keys to verify it with.
 *
 * Metadata services lie at addresses where nothing else may connect (`address.ts`); they are asked by themselves, without a proxy, and only
 * for credentials of this process.
 */
export class Cloud {
  readonly environment: Environment
  readonly #metrics: Metrics
  readonly #transport: Transport

  /** Rejects a proxy that cannot be read, with a sentence for the operator. */
  constructor(environment: Environment, metrics: Metrics, certificates: () => readonly string[] = () => systemRoots(environment)) {
    const proxy = proxySettings(environment)
    if ('error' in proxy) throw new Error(proxy.error)
    this.environment = environment
    this.#metrics = metrics
    this.#transport = new Transport({
      ca: certificates,
      proxy,
      userAgent: 'sealgate',
      count: (outcome, host) => metrics.registryAsked(outcome, host),
    })
  }

  /** The same, but servers are believed by these certificates (PEM) alone. */
  trusting(certificates: readonly string[]): Cloud {
    return new Cloud(this.environment, this.#metrics, () => certificates)
  }

  /** Asks a service; whatever its status, an answer. Rejects with `NoAnswer`. */
  async ask({ method, url, headers, body, orPlain }: CloudRequest, signal: AbortSignal): Promise<CloudAnswer> {
    if (method !== 'GET' && method !== 'POST') throw new NoAnswer(`${method} is not asked of ${url.host}`)
    const target = (at: URL) => ({ url: at, shown: `${at.origin}${at.pathname}`, shownBase: `${at.origin}/`, kind: 'cloud' as const })
    const plain = orPlain && nearness(url.hostname) === 'loopback' ? [target(new URL(`http:${url.href.slice(url.protocol.length)}`))] : []
    const answer = await this.#transport.ask(
      {
        method,
        targets: [target(url), ...plain],
        headers: lowerCase(headers),
        ...(body === undefined ? {} : { body }),
        maxBytes: MAX_ANSWER_BYTES,
        isFinal: true,
      },
      signal,
    )
    if (!('status' in answer)) throw new NoAnswer(answer.reason.text)
    return { status: answer.status, headers: flat(answer.headers), body: answer.body }
  }

  /** Asks a metadata service, by plain http. Rejects with `NoAnswer`. */
  askMetadata({ method, url, headers }: CloudRequest, signal: AbortSignal): Promise<CloudAnswer> {
    if (url.protocol !== 'http:' || !this.isMetadata(url))
      return Promise.reject(new NoAnswer(`${url.origin} is not the address of a metadata service`))
    return new Promise((answered, failed) => {
      const ended = AbortSignal.any([signal, AbortSignal.timeout(METADATA_MS)])
      const none = (why: string): void => failed(new NoAnswer(`${method} ${url.origin}${url.pathname}: ${why}`))
      const asked = plainRequest(url, { method, headers, signal: ended, agent: false }, (response) => {
        const chunks: Buffer[] = []
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > MAX_METADATA_BYTES) asked.destroy(new Error(`the answer is larger than the limit (${MAX_METADATA_BYTES} bytes)`))
          chunks.push(chunk)
        })
        response.on('error', (error) => none(ended.aborted ? 'context deadline exceeded' : error.message))
        response.on('end', () =>
          answered({ status: response.statusCode ?? 0, headers: flat(response.headers), body: Buffer.concat(chunks) }),
        )
      })
      asked.on('error', (error) => none(ended.aborted ? 'context deadline exceeded' : error.message))
      asked.end()
    })
  }

  /** Whether a URL leads to a metadata service: a link-local address, Google's name for it, or what the operator's environment names as one. */
  isMetadata({ hostname }: URL): boolean {
    const host = bare(hostname)
    const { GCE_METADATA_HOST, GCE_METADATA_IP, AZURE_POD_IDENTITY_AUTHORITY_HOST } = this.environment
    const named = [GCE_METADATA_HOST, GCE_METADATA_IP, AZURE_POD_IDENTITY_AUTHORITY_HOST]
    return (isIP(host) !== 0 && isRefused(host)) || host === 'metadata.google.internal' || named.some((n) => n && hostIn(n) === host)
  }

  async close(): Promise<void> {
    await this.#transport.close()
  }
}

/** An error as a sentence for people: on one line, cut, without the ids and times by which vendors find their logs, which differ each time. */
export function whyOf(error: unknown): string {
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) }
  const line = message
    .replace(/\b(?:Trace|Correlation|Request) ?Id:? *[0-9a-f-]{8,}/gi, '')
    .replace(/\bTimestamp:? *(?:[\d-]{8,}[T ]?[\d:.]*Z?)?/gi, '')
    .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim()
  const named = /^(?:|Error|TypeError|NoAnswer)$/.test(name) || line.startsWith(name) ? line : `${name}: ${line}`
  return named.length > MAX_WHY ? `${named.slice(0, MAX_WHY)}…` : named
}

/** The JSON of an answer, or nothing: who asks says what was wrong. */
export function jsonOf(body: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}

function hostIn(text: string): string | undefined {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  return url ? bare(url.hostname) : undefined
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function flat(headers: Readonly<Record<string, string | readonly string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, typeof value === 'string' ? value : value.join(', ')]],
    ),
  )
}
