import type { KeyObject } from 'node:crypto'
import type { Host } from '../internet.ts'

export type TransitKey = { readonly type: 'ecdsa-p256' | 'rsa-4096' | 'ed25519' | 'aes256-gcm96'; readonly versions: readonly KeyObject[] }

/** What the transit engine of Vault answers to reading a key (`GET /v1/<engine>/keys/<name>`), as its API reference has it. */
export class Vault {
  readonly token = 'hvs.CAESIexample'
  readonly keys = new Map<string, TransitKey>()
  engine = 'transit'
  namespace: string | undefined
  isSealed = false

  host(): Host {
    return ({ path, headers }) => {
      const errors = (status: number, ...texts: readonly string[]) => ({ status, body: { errors: texts } })
      if (this.isSealed) return errors(503, 'Vault is sealed')
      if (headers['x-vault-token'] !== this.token || headers['x-vault-namespace'] !== this.namespace)
        return errors(403, '1 error occurred:\n\t* permission denied\n\n')
      const [, engine, name = ''] = /^\/v1\/(.+)\/keys\/([^/]+)$/.exec(path) ?? []
      if (engine !== this.engine) return errors(404, `no handler for route "${path.slice('/v1/'.length)}". route entry not found.`)
      const key = this.keys.get(name)
      if (!key) return errors(404)
      const { type, versions } = key
      const shown = versions.map((one, i) => [
        String(i + 1),
        type === 'aes256-gcm96' ? 1_700_000_000 : { public_key: publicKey(one), name: type },
      ])
      return { status: 200, body: { data: { name, type, latest_version: versions.length, keys: Object.fromEntries(shown) as object } } }
    }
  }
}

/** PEM, but of Ed25519 the bare 32 bytes. */
function publicKey(key: KeyObject): string {
  if (key.asymmetricKeyType !== 'ed25519') return key.export({ format: 'pem', type: 'spki' }).toString()
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64')
}
