import type { KeyObject } from 'node:crypto'
import type { Host, Response } from '../internet.ts'

export type AzureKey = { readonly key: KeyObject; readonly enabled?: boolean; readonly isOfHardware?: boolean }

/**
 * What Azure answers, as its REST reference has it: Entra ID's token endpoint (client secrets, and assertions of workload identities),
 * the metadata service's identities, Key Vault's keys, and the exchange of a token for one of a registry.
 */
export class AzureTenant {
  readonly id = '11111111-2222-3333-4444-555555555555'
  readonly client = '66666666-7777-8888-9999-000000000000'
  readonly secret = 'client-secret'
  /** Tokens of a cluster's ServiceAccounts that are taken as assertions. */
  readonly assertions = new Set<string>()
  /** By name, newest first; the versions are `v<n>`, the oldest `v1`. */
  readonly keys = new Map<string, readonly AzureKey[]>()
  /** Whether the machine has an identity. */
  hasIdentity = true
  /** For which audience vaults want tokens, as they say in their challenge. */
  audience = 'https://vault.azure.net'
  /** The status by which vaults refuse whoever has a token. */
  refuses: number | undefined
  /** Access tokens given out, with the scope or resource asked for. */
  readonly tokens = new Map<string, string>()
  /** Refresh tokens of registries given out, with the host. */
  readonly refreshTokens = new Map<string, string>()
  seconds = 3 * 3600
  #given = 0

  /** `login.microsoftonline.com` */
  entra(): Host {
    return ({ path, host, body }) => {
      const authority = `https://${host}/${this.id}`
      if (path.endsWith('/discovery/instance'))
        return { status: 200, body: { tenant_discovery_endpoint: `${authority}/v2.0/.well-known/openid-configuration`, metadata: [] } }
      if (path === `/${this.id}/v2.0/.well-known/openid-configuration`)
        return {
          status: 200,
          body: {
            token_endpoint: `${authority}/oauth2/v2.0/token`,
            authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
            jwks_uri: `${authority}/discovery/v2.0/keys`,
            issuer: `${authority}/v2.0`,
          },
        }
      if (path !== `/${this.id}/oauth2/v2.0/token`) return undefined
      const form = new URLSearchParams(body)
      const isKnown = form.get('client_secret') === this.secret || this.assertions.has(form.get('client_assertion') ?? '')
      if (form.get('client_id') !== this.client || !isKnown)
        return {
          status: 401,
          body: {
            error: 'invalid_client',
            error_description: `AADSTS700213: No matching federated identity record found. Trace ID: ${crypto.randomUUID()} Correlation ID: ${crypto.randomUUID()} Timestamp: 2026-11-23 08:00:00Z`,
            error_codes: [700_213],
          },
        }
      return this.#token(form.get('scope') ?? '')
    }
  }

  /** `169.254.169.254` */
  metadata(): Host {
    return ({ path, headers, query }) => {
      if (!/^\/metadata\/identity\/oauth2\/token\/?$/.test(path)) return undefined
      if (headers['metadata']?.toLowerCase() !== 'true') return { status: 400, body: { error: 'invalid_request' } }
      if (!this.hasIdentity) return { status: 400, body: { error: 'invalid_request', error_description: 'Identity not found' } }
      return this.#token(query.get('resource') ?? '')
    }
  }

  /** `<name>.vault.azure.net` */
  vault(): Host {
    return ({ path, host, headers }) => {
      const scope = this.tokens.get((headers['authorization'] ?? '').replace(/^Bearer /, ''))
      if (scope === undefined) {
        const challenge = `Bearer authorization="https://login.microsoftonline.com/${this.id}", resource="${this.audience}"`
        return { status: 401, headers: { 'www-authenticate': challenge }, body: { error: { code: 'Unauthorized', message: 'AKV10000' } } }
      }
      if (this.refuses !== undefined) return error(this.refuses, 'Forbidden', 'The user does not have keys get permission.')
      const [, name = '', version] = /^\/keys\/([^/]+)(?:\/([^/]*))?$/.exec(path) ?? []
      const versions = this.keys.get(name) ?? []
      const at = version ? versions.length - Number(version.slice(1)) : 0
      const found = versions[at]
      if (!found) return error(404, 'KeyNotFound', `A key with (name/id) ${name}/${version ?? ''} was not found in this key vault.`)
      const { kty, ...jwk } = found.key.export({ format: 'jwk' })
      const kid = `https://${host}/keys/${name}/v${versions.length - at}`
      const key = { kid, kty: `${kty}${found.isOfHardware ? '-HSM' : ''}`, key_ops: ['sign', 'verify'], ...jwk }
      return { status: 200, body: { key, attributes: { enabled: found.enabled ?? true, created: 1, updated: 1 } } }
    }
  }

  /** `<name>.azurecr.io` */
  registry(): Host {
    return ({ path, host, body }) => {
      if (path !== '/oauth2/exchange') return undefined
      const form = new URLSearchParams(body)
      const isGood =
        form.get('grant_type') === 'access_token' &&
        form.get('service') === host &&
        form.get('tenant') === this.id &&
        this.tokens.has(form.get('access_token') ?? '')
      if (!isGood) return { status: 401, body: { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] } }
      const token = jwt({ exp: Math.round(Date.now() / 1000) + this.seconds, sub: `refresh-${this.#given++}` })
      this.refreshTokens.set(token, host)
      return { status: 200, body: { refresh_token: token } }
    }
  }

  #token(scope: string): Response {
    const token = jwt({ tid: this.id, sub: `access-${this.#given++}` })
    this.tokens.set(token, scope)
    const ends = Math.round(Date.now() / 1000) + 3600
    return { status: 200, body: { access_token: token, expires_in: 3600, expires_on: String(ends), token_type: 'Bearer' } }
  }
}

function error(status: number, code: string, message: string): Response {
  return { status, body: { error: { code, message } } }
}

function jwt(claims: object): string {
  const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString('base64url')
  return `${part({ alg: 'none' })}.${part(claims)}.signature`
}
