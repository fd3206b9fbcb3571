import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** A request as it arrived. `path` is decoded and without query. */
export type Seen = {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string | undefined
  readonly headers: IncomingMessage['headers']
}

export type Respond = (status: number, body: string | Uint8Array, headers?: Readonly<Record<string, string>>) => void

/** What repositories want before they are read or written. */
export type Protection = {
  readonly scheme: 'basic' | 'bearer'
  readonly username: string
  readonly password: string
  /** With Bearer: whoever comes without a password gets a token that may read. */
  readonly anonymous?: boolean
  /** With Bearer: another realm than this registry's own, e.g. to see who is sent there. */
  readonly realm?: string
  /** With Bearer: whether the challenge names the scope, as most registries do. */
  readonly namesScope?: boolean
  /** With Bearer: seconds that a token lasts, as the realm says; 300 when absent. */
  readonly expiresIn?: number
  /** With Bearer: the refresh token that `POST /token` takes. */
  readonly refreshToken?: string
}

type Guarded = { readonly prefix: string; readonly protection: Protection }

/** Who may pass: Basic and Bearer as registries do them, with a token realm of its own at `/token` of the host that was asked. */
export class Guard {
  readonly #scheme: 'http' | 'https'
  readonly #guarded: Guarded[] = []
  /** The scopes of each token. */
  readonly #tokens = new Map<string, readonly string[]>()

  constructor(scheme: 'http' | 'https') {
    this.#scheme = scheme
  }

  protect(prefix: string, protection: Protection): void {
    this.#guarded.push({ prefix, protection })
  }

  /** Forgets every token, as a registry does that restarts. */
  revoke(): void {
    this.#tokens.clear()
  }

  /** The challenge for who may not pass. `/v2/`, which real clients ask first, tells them how, whatever they want to read then. */
  refusal({ path, authorization, headers }: Seen): string | undefined {
    const [, repository = ''] = /^\/v2\/(.+)\/(?:manifests|blobs|referrers|tags)\//.exec(path) ?? []
    const isPing = /^\/v2\/?$/.test(path)
    const protection = this.#guarded.find(({ prefix }) => isPing || repository.startsWith(prefix))?.protection
    if (!protection) return undefined
    if (protection.scheme === 'basic') return authorization === basic(protection) ? undefined : 'Basic realm="registry"'
    const scopes = this.#tokens.get(authorization?.replace(/^Bearer /, '') ?? '')
    if (scopes && (isPing || scopes.some((scope) => scope.startsWith(`repository:${repository}:`)))) return undefined
    const scope = protection.namesScope === false || isPing ? '' : `,scope="repository:${repository}:pull"`
    return `Bearer realm="${protection.realm ?? `${this.#scheme}://${headers.host}/token`}",service="fake"${scope}`
  }

  token({ method, query, authorization }: Seen, body: Uint8Array, respond: Respond): void {
    const form = method === 'POST' ? new URLSearchParams(Buffer.from(body).toString()) : query
    const scopes = form.getAll('scope').flatMap((scope) => scope.split(' '))
    const repository = scopes[0]?.split(':')[1] ?? ''
    const protection = this.#guarded.find(
      ({ prefix, protection: { scheme } }) => scheme === 'bearer' && repository.startsWith(prefix),
    )?.protection
    const passes =
      !protection ||
      (method === 'POST'
        ? protection.refreshToken !== undefined && form.get('refresh_token') === protection.refreshToken
        : authorization === undefined
          ? protection.anonymous === true
          : authorization === basic(protection))
    if (!passes) return respond(401, JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'incorrect username or password' }] }))
    const token = randomUUID()
    this.#tokens.set(token, scopes)
    respond(200, JSON.stringify({ token, expires_in: protection?.expiresIn ?? 300 }), { 'content-type': 'application/json' })
  }
}

function basic({ username, password }: Protection): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
