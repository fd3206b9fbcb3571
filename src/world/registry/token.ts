import { LRUCache } from 'lru-cache'
import type { JsonObject } from '../../image/json.ts'
import { isJsonObject, readJson } from '../../image/json.ts'
import type { HostClass } from '../metrics.ts'
import type { Request, Transport } from '../network/transport.ts'
import type { Challenge } from './challenge.ts'
import { isHeaderText } from './docker-config.ts'
import type { Credential } from './fetched.ts'
import { refusal } from './registry-error.ts'
import type { RegistryReason } from './registry-error.ts'

const MAX_RESPONSE = 64 * 1024 // bytes of a realm's answer; tokens of cloud registries have some 5 KiB
const BOUNDS = { bytes: MAX_RESPONSE, depth: 8, values: 1000 }
const FETCH_MS = 10_000 // for a token that several requests wait for, whatever the first of them allows
const MAX_TOKENS = 5_000 // that are kept; at 5 KiB each 25 MB
const DEFAULT_LIFE_S = 60 // when the realm does not say (distribution-spec, «Token Response Fields»)
const MAX_LIFE_S = 3_600 // that is believed
const MARGIN_S = 15 // before its end a token is not used any more: it has to survive the way to the registry, and clocks differ

export type Bearer = Extract<Challenge, { readonly kind: 'bearer' }>
/** `refused`: the realm does not take this credential, so the next one may be tried. */
export type TokenRead =
  | { readonly ok: true; readonly token: string; readonly kept: boolean }
  | { readonly ok: false; readonly reason: RegistryReason; readonly refused: boolean }

/** For what a token is wanted. */
export type TokenWish = {
  readonly challenge: Bearer
  readonly scope: string
  readonly credential: Exclude<Credential, { readonly kind: 'registry-token' | 'asked' }>
  /** The kind of the registry that named the realm, for metrics. */
  readonly kind: HostClass
}

/** Tokens of the distribution specification, each fetched once and kept until shortly before it ends. */
export class Tokens {
  readonly #transport: Transport
  readonly #kept = new LRUCache<string, string>({ max: MAX_TOKENS })
  readonly #running = new Map<string, Promise<TokenRead>>()

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** `rejected` is a token that the registry did not take: it is not given again. */
  async get(wish: TokenWish, rejected: string | undefined, signal: AbortSignal): Promise<TokenRead> {
    const key = keyOf(wish)
    const kept = this.#kept.get(key)
    if (kept !== undefined && kept !== rejected) return { ok: true, token: kept, kept: true }
    let fetched = this.#running.get(key)
    if (!fetched) {
      // Not the asker's signal: others wait for the same token, and theirs may last longer.
      fetched = this.#fetch(wish, key, AbortSignal.timeout(FETCH_MS)).finally(() => this.#running.delete(key))
      this.#running.set(key, fetched)
    }
    const shown = `${requestFor(wish).method} ${shownRealm(wish)}`
    const late: TokenRead = { ok: false, reason: { code: 'registry-timeout', text: `${shown}: context deadline exceeded` }, refused: false }
    return sooner(fetched, late, signal)
  }

  async #fetch(wish: TokenWish, key: string, signal: AbortSignal): Promise<TokenRead> {
    const request = requestFor(wish)
    const answer = await this.#transport.ask(request, signal)
    if (!('status' in answer)) return { ok: false, reason: answer.reason, refused: false }
    const shown = shownRealm(wish)
    if (answer.status !== 200) {
      const reason = refusal(request.method, shown, answer.status, answer.body)
      // Some realms answer a wrong password with 400, as RFC 6749 section 5.2 has it. And a realm that is not there says nothing about
      // whether the image is.
      const refused = [400, 401, 403].includes(answer.status)
      return {
        ok: false,
        reason: refused
          ? { ...reason, code: 'registry-refused' }
          : reason.code === 'registry-absent'
            ? { ...reason, code: 'registry-failed' }
            : reason,
        refused,
      }
    }
    const read = readJson(answer.body, BOUNDS)
    const token = read.ok && isJsonObject(read.value) ? tokenIn(read.value) : undefined
    if (!token)
      return {
        ok: false,
        reason: { code: 'registry-malformed', text: `${request.method} ${shown}: no token in the answer` },
        refused: false,
      }
    if (token.seconds > MARGIN_S) this.#kept.set(key, token.text, { ttl: (Math.min(token.seconds, MAX_LIFE_S) - MARGIN_S) * 1000 })
    return { ok: true, token: token.text, kept: false }
  }
}

function requestFor({ challenge, scope, credential, kind }: TokenWish): Request {
  const target = { url: new URL(challenge.realm), shown: '', shownBase: `${challenge.realm.origin}${challenge.realm.pathname}`, kind }
  const accept = { accept: 'application/json' }
  const shown = shownRealm({ challenge, scope, credential, kind })
  if (credential.kind === 'identity-token') {
    // OAuth 2.0 with a refresh token: what `docker login` keeps for registries of this kind.
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'sealgate', refresh_token: credential.token, scope })
    if (challenge.service !== undefined) form.set('service', challenge.service)
    return {
      method: 'POST',
      targets: [{ ...target, shown }],
      headers: { ...accept, 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
      maxBytes: MAX_RESPONSE,
    }
  }
  for (const [name, value] of queryOf(challenge, scope)) target.url.searchParams.append(name, value)
  const authorization = credential.kind === 'basic' ? { authorization: basicAuthorization(credential) } : {}
  return { method: 'GET', targets: [{ ...target, shown }], headers: { ...accept, ...authorization }, maxBytes: MAX_RESPONSE }
}

export function basicAuthorization({ username, password }: Extract<Credential, { readonly kind: 'basic' }>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function queryOf({ service }: Bearer, scope: string): readonly (readonly [string, string])[] {
  const scopes = scope
    .split(' ')
    .filter((one) => one !== '')
    .map((one) => ['scope', one] as const)
  return service === undefined ? scopes : [...scopes, ['service', service]]
}

/** The realm as messages show it: of its query only what this client put there, since the rest may be secret (spec 7.2). */
function shownRealm({ challenge, scope, credential }: TokenWish): string {
  const { origin, pathname, searchParams } = challenge.realm
  const query = new URLSearchParams([...searchParams.keys()].map((name) => [name, 'REDACTED']))
  if (credential.kind !== 'identity-token') for (const [name, value] of queryOf(challenge, scope)) query.append(name, value)
  const text = query.toString()
  return `${origin}${pathname}${text === '' ? '' : `?${text}`}`
}

/** Both names occur; a lifetime that is no positive number is as if there were none. */
function tokenIn(answer: JsonObject): { readonly text: string; readonly seconds: number } | undefined {
  const text = [answer['token'], answer['access_token']].find((one) => typeof one === 'string' && one !== '')
  const seconds = answer['expires_in']
  if (typeof text !== 'string' || !isHeaderText(text)) return undefined
  return { text, seconds: typeof seconds === 'number' && seconds > 0 ? seconds : DEFAULT_LIFE_S }
}

function keyOf({ challenge, scope, credential }: TokenWish): string {
  const { source: _, ...content } = credential
  return JSON.stringify([challenge.realm.href, challenge.service, scope, content])
}

/** `work`, or `late` when `signal` ends first. */
function sooner<T>(work: Promise<T>, late: T, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.resolve(late)
  return new Promise((resolve, reject) => {
    const cut = (): void => resolve(late)
    signal.addEventListener('abort', cut, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cut))
  })
}
