import { createPublicKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { KmsKey } from '../../policy/kms.ts'
import { certificatesIn } from '../network/system-roots.ts'
import type { Cloud, CloudAnswer, Obtained } from './cloud.ts'
import { jsonOf, whyOf } from './cloud.ts'

const MAX_TOKEN = 4096 // characters; a token of Vault has some 100

/**
 * The public key (PEM) of the newest version of a key of Vault's or OpenBao's transit engine (`GET /v1/transit/keys/<key>`), by the usual
 * variables of the environment: `VAULT_ADDR`, `VAULT_TOKEN` or the file `~/.vault-token`, `VAULT_NAMESPACE`, `VAULT_CACERT`, and the same
 * that begin with `BAO_`; `TRANSIT_SECRET_ENGINE_PATH`. Never rejects.
 */
export async function vaultPublicKey(
  { key }: Extract<KmsKey, { readonly service: 'vault' }>,
  cloud: Cloud,
  signal: AbortSignal,
): Promise<Obtained<string>> {
  const set = (name: string): string | undefined => cloud.environment[`VAULT_${name}`] || cloud.environment[`BAO_${name}`] || undefined
  const address = set('ADDR')
  if (address === undefined) return { state: 'none', why: 'VAULT_ADDR is not set' }
  const base = URL.parse(address)
  if (!base || !/^https?:$/.test(base.protocol) || base.username || base.password)
    return { state: 'unknown', why: 'VAULT_ADDR is not a URL (https://vault.example.com:8200)' }
  const token = set('TOKEN') ?? (await keptToken(cloud))
  if (token === undefined) return { state: 'none', why: 'neither VAULT_TOKEN nor ~/.vault-token holds a token' }
  if (!/^[\x21-\x7e]+$/.test(token) || token.length > MAX_TOKEN) return { state: 'unknown', why: 'the token of Vault cannot be a token' }
  const namespace = set('NAMESPACE')
  const engine = (cloud.environment['TRANSIT_SECRET_ENGINE_PATH'] || 'transit')
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..')
    .map(encodeURIComponent)
  const url = new URL(`${base.origin}${base.pathname.replace(/\/+$/, '')}/v1/${engine.join('/')}/keys/${encodeURIComponent(key)}`)
  const authority = set('CACERT')
  const certificates = authority === undefined ? undefined : certificatesIn(await readFile(authority, 'latin1').catch(() => ''))
  if (certificates?.length === 0) return { state: 'unknown', why: 'VAULT_CACERT names no file with a certificate' }
  const trusting = certificates ? cloud.trusting(certificates) : undefined
  const headers = {
    'x-vault-token': token,
    'x-vault-request': 'true',
    ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
  }
  try {
    const answer = await (trusting ?? cloud).ask({ method: 'GET', url, headers }, signal)
    return answer.status === 200 ? newestKey(answer) : refusal(answer)
  } catch (error) {
    return { state: 'unknown', why: whyOf(error) }
  } finally {
    await trusting?.close()
  }
}

async function keptToken({ environment: { HOME } }: Cloud): Promise<string | undefined> {
  // Read each time: whoever renews it writes it anew.
  const text = HOME ? await readFile(join(HOME, '.vault-token'), 'utf8').catch(() => '') : ''
  return text.trim() || undefined
}

/** `{"data": {"type", "latest_version", "keys": {"1": {"public_key"}}}}`. A key for encryption has numbers in place of the objects. */
function newestKey({ body }: CloudAnswer): Obtained<string> {
  const { data } = jsonOf(body)
  const { keys, latest_version: latest, type } = objectIn(data)
  const { public_key: text } = objectIn(objectIn(keys)[String(latest)])
  if (typeof text !== 'string' || text === '')
    return { state: 'wrong', why: `a key of type ${typeof type === 'string' ? type : 'unknown'} has no public key` }
  if (type !== 'ed25519') return { state: 'found', value: text }
  try {
    // Only of this type it is the bare 32 bytes.
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(text, 'base64').toString('base64url') }
    return { state: 'found', value: createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'pem', type: 'spki' }).toString() }
  } catch {
    return { state: 'wrong', why: 'the public key cannot be read' }
  }
}

/** `{"errors": [text]}`; a 404 of an empty list is a key that is not there. */
function refusal({ status, body }: CloudAnswer): Obtained<never> {
  const { errors } = jsonOf(body)
  const said = Array.isArray(errors) ? (errors as unknown[]).filter((one) => typeof one === 'string').join('; ') : ''
  const why = whyOf(`HTTP ${status}${said === '' ? '' : `: ${said}`}`)
  return status === 404 ? { state: 'wrong', why: said === '' ? 'there is no such key' : why } : { state: 'unknown', why }
}

function objectIn(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}
