import type { KeyObject } from 'node:crypto'
import type { Host, Response } from '../internet.ts'

export type GoogleVersion = { readonly state: 'ENABLED' | 'DISABLED' | 'DESTROYED'; readonly key: KeyObject }

/**
 * What Google Cloud answers, as its API reference has it: tokens for service accounts (`oauth2.googleapis.com`), for federated identities
 * (`sts.googleapis.com`), those of the metadata service, and Cloud KMS v1 `getPublicKey` and `list` of versions.
 */
export class GoogleProject {
  /** Access tokens that it gave out, with the scopes asked for. */
  readonly tokens = new Map<string, string>()
  /** Versions of each key, by its resource name. */
  readonly keys = new Map<string, ReadonlyMap<string, GoogleVersion>>()
  /** Tokens of a cluster that are exchanged for one of Google's. */
  readonly federated = new Set<string>()
  /** Why KMS refuses whoever has a token. */
  refuses: { readonly status: number; readonly code: string; readonly message: string } | undefined
  /** Whether the machine has a service account. */
  hasAccount = true
  seconds = 3600
  #given = 0

  /** `oauth2.googleapis.com`: takes what a service account signed (RFC 7523). */
  oauth(): Host {
    return ({ path, body }) => {
      if (path !== '/token') return undefined
      const [, claims = ''] = (new URLSearchParams(body).get('assertion') ?? '').split('.')
      const { scope } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { readonly scope: string }
      return this.#give(scope)
    }
  }

  /** `sts.googleapis.com`: exchanges another identity provider's token (RFC 8693). */
  sts(): Host {
    return ({ path, body }) => {
      const form = new URLSearchParams(body)
      if (path !== '/v1/token') return undefined
      return this.federated.has(form.get('subject_token') ?? '')
        ? this.#give(form.get('scope') ?? '')
        : {
            status: 400,
            body: { error: 'invalid_grant', error_description: 'The given credential is rejected by the attribute condition.' },
          }
    }
  }

  /** `metadata.google.internal`. */
  metadata(): Host {
    return ({ path, headers, query }) => {
      const flavored = (response: Response): Response => ({ ...response, headers: { 'metadata-flavor': 'Google' } })
      if (headers['metadata-flavor'] !== 'Google') return flavored({ status: 403 })
      const isToken = path === '/computeMetadata/v1/instance/service-accounts/default/token'
      return flavored(isToken && this.hasAccount ? this.#give(query.get('scopes') ?? '') : { status: 404 })
    }
  }

  /** `cloudkms.googleapis.com`. */
  kms(): Host {
    return ({ path, headers, query }) => {
      const scope = this.tokens.get((headers['authorization'] ?? '').replace(/^Bearer /, ''))
      if (scope === undefined) return error(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.')
      if (!/cloudkms|cloud-platform/.test(scope)) return error(403, 'PERMISSION_DENIED', 'Request had insufficient authentication scopes.')
      if (this.refuses) return error(this.refuses.status, this.refuses.code, this.refuses.message)
      const [, name = '', number] = /^\/v1\/(.+)\/cryptoKeyVersions(?:\/(\d+)\/publicKey)?$/.exec(path) ?? []
      const versions = this.keys.get(name)
      if (!versions) return error(404, 'NOT_FOUND', `CryptoKey ${name} not found.`)
      if (number === undefined) {
        const wanted = query.get('filter') === 'state=ENABLED' ? 'ENABLED' : undefined
        const listed = [...versions].filter(([, { state }]) => wanted === undefined || state === wanted)
        // By name as text.
        listed.sort(([a], [b]) => (a < b ? 1 : -1))
        const cryptoKeyVersions = listed.map(([n, { state }]) => ({ name: `${name}/cryptoKeyVersions/${n}`, state }))
        return { status: 200, body: { ...(cryptoKeyVersions.length > 0 ? { cryptoKeyVersions } : {}), totalSize: listed.length } }
      }
      const version = versions.get(number)
      if (!version) return error(404, 'NOT_FOUND', `CryptoKeyVersion ${name}/cryptoKeyVersions/${number} not found.`)
      if (version.state !== 'ENABLED')
        return error(400, 'FAILED_PRECONDITION', `${name}/cryptoKeyVersions/${number} is not enabled, current state is: ${version.state}.`)
      const pem = version.key.export({ format: 'pem', type: 'spki' }).toString()
      return { status: 200, body: { pem, algorithm: 'EC_SIGN_P256_SHA256', name: path.slice('/v1/'.length) } }
    }
  }

  #give(scope: string): Response {
    const token = `ya29.token-${this.#given++}`
    this.tokens.set(token, scope)
    return { status: 200, body: { access_token: token, expires_in: this.seconds, token_type: 'Bearer' } }
  }
}

function error(code: number, status: string, message: string): Response {
  return { status: code, body: { error: { code, message, status } } }
}
