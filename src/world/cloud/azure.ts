import { createPublicKey } from 'node:crypto'
import type { TokenCredential, TokenCredentialOptions } from '@azure/identity'
import type { KmsKey } from '../../policy/kms.ts'
import type { Cloud, Obtained, RegistryLogin } from './cloud.ts'
import { jsonOf, whyOf } from './cloud.ts'

type AzureClient = NonNullable<TokenCredentialOptions['httpClient']>
type AzureRequest = Parameters<AzureClient['sendRequest']>[0]

/** Where the vaults of each cloud are, as `AZURE_ENVIRONMENT` names the clouds. */
const VAULTS: Readonly<Record<string, string>> = {
  AZUREPUBLICCLOUD: 'vault.azure.net',
  AZURECHINACLOUD: 'vault.azure.cn',
  AZUREUSGOVERNMENTCLOUD: 'vault.usgovcloudapi.net',
}

/** For whom the token is that a registry exchanges. That of the public cloud is good for registries only; the others have none such. */
const AUDIENCES: Readonly<Record<string, string>> = {
  io: 'https://containerregistry.azure.net/.default',
  cn: 'https://management.chinacloudapi.cn/.default',
  us: 'https://management.usgovcloudapi.net/.default',
}

const NOBODY = '00000000-0000-0000-0000-000000000000' // the user name that registries want beside a refresh token
const METADATA = 'http://169.254.169.254'
const MICROSOFT = /^https:\/\/login\.(?:microsoftonline\.com|chinacloudapi\.cn|microsoftonline\.us)\/?$/

/** The public key (PEM) of a key of Azure Key Vault or a managed HSM (`keys/get`). Never rejects. */
export async function azurePublicKey(
  { vault, key, version }: Extract<KmsKey, { readonly service: 'azure' }>,
  cloud: Cloud,
  signal: AbortSignal,
): Promise<Obtained<string>> {
  const cloudName = (cloud.environment['AZURE_ENVIRONMENT'] ?? '').toUpperCase()
  const host = /[.:]/.test(vault) ? vault : `${vault}.${VAULTS[cloudName] ?? 'vault.azure.net'}`
  try {
    const { KeyClient } = await import('@azure/keyvault-keys')
    // Before it sends a token, the client holds the audience that a vault names against the vault's own host.
    const client = new KeyClient(`https://${host}`, await credential(cloud), {
      httpClient: httpClient(cloud),
      retryOptions: { maxRetries: 0 },
    })
    const found = await client.getKey(key, { ...(version === undefined ? {} : { version }), abortSignal: signal })
    if (found.properties.enabled === false) return { state: 'wrong', why: 'the key is disabled' }
    return pemOf(found.key ?? {})
  } catch (error) {
    return failure(error)
  }
}

/** The user name and password of a registry: a refresh token that it gives for one of Entra ID. Never rejects. */
export async function acrLogin(host: string, cloud: Cloud, signal: AbortSignal): Promise<Obtained<RegistryLogin>> {
  try {
    const scope = AUDIENCES[host.slice(host.lastIndexOf('.') + 1)] ?? ''
    const token = await (await credential(cloud)).getToken(scope, { abortSignal: signal })
    if (!token) return { state: 'unknown', why: 'no access token in the answer' }
    const tenant = cloud.environment['AZURE_TENANT_ID'] || claimsOf(token.token)['tid']
    const form = new URLSearchParams({
      grant_type: 'access_token',
      service: host,
      ...(typeof tenant === 'string' ? { tenant } : {}),
      access_token: token.token,
    })
    const answer = await cloud.ask(
      {
        method: 'POST',
        url: new URL(`https://${host}/oauth2/exchange`),
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'accept': 'application/json' },
        body: form.toString(),
      },
      signal,
    )
    const { refresh_token: password } = jsonOf(answer.body)
    if (answer.status !== 200 || typeof password !== 'string')
      return { state: 'unknown', why: `POST https://${host}/oauth2/exchange: HTTP ${answer.status}` }
    const { exp } = claimsOf(password)
    return { state: 'found', value: { username: NOBODY, password, ends: typeof exp === 'number' ? exp * 1000 : undefined } }
  } catch (error) {
    return failure(error)
  }
}

/**
 * The identity of this process: a secret or certificate in the environment, else a workload identity, else a managed identity. Only the first
 * that is configured: another one than was meant would have other rights. The library's own chain would also run command-line programs, which
 * a server has no business to do.
 */
async function credential(cloud: Cloud): Promise<TokenCredential> {
  const { AZURE_AUTHORITY_HOST, AZURE_CLIENT_CERTIFICATE_PATH, AZURE_CLIENT_SECRET, AZURE_FEDERATED_TOKEN_FILE } = cloud.environment
  const hasSecret = Boolean(AZURE_CLIENT_SECRET || AZURE_CLIENT_CERTIFICATE_PATH)
  if (!hasSecret && !AZURE_FEDERATED_TOKEN_FILE) return managedIdentity(cloud)
  const { EnvironmentCredential, WorkloadIdentityCredential } = await import('@azure/identity')
  const options = {
    httpClient: httpClient(cloud),
    retryOptions: { maxRetries: 0 },
    // An authority that is not Microsoft's is not known to it either, so it is not asked about it.
    ...(AZURE_AUTHORITY_HOST && !MICROSOFT.test(AZURE_AUTHORITY_HOST) ? { disableInstanceDiscovery: true } : {}),
  }
  return hasSecret ? new EnvironmentCredential(options) : new WorkloadIdentityCredential(options)
}

/** This process has no identity with Azure. */
class NoIdentity extends Error {}

/**
 * The identity of the machine. By hand, since the library keeps what it learned of it for the whole process and says of each failure that
 * there is no identity; here one that could not be asked is another thing than one that is not there.
 */
function managedIdentity(cloud: Cloud): TokenCredential {
  const { AZURE_CLIENT_ID, AZURE_POD_IDENTITY_AUTHORITY_HOST } = cloud.environment
  return {
    async getToken(scopes, { abortSignal } = {}) {
      const resource = String(scopes).replace(/\/\.default$/, '')
      const query = new URLSearchParams({
        'api-version': '2018-02-01',
        resource,
        ...(AZURE_CLIENT_ID ? { client_id: AZURE_CLIENT_ID } : {}),
      })
      const host = (AZURE_POD_IDENTITY_AUTHORITY_HOST || METADATA).replace(/\/+$/, '')
      const url = URL.parse(`${host}/metadata/identity/oauth2/token?${query.toString()}`)
      if (!url) throw new Error('AZURE_POD_IDENTITY_AUTHORITY_HOST is not a URL')
      const signal = (abortSignal as AbortSignal | undefined) ?? new AbortController().signal
      const answer = await cloud.askMetadata({ method: 'GET', url, headers: { metadata: 'true' } }, signal).catch((error: unknown) => {
        throw new NoIdentity(`no secret, workload identity or managed identity: ${whyOf(error)}`)
      })
      const { access_token: token, expires_on: ends, error } = jsonOf(answer.body)
      // Another cloud's service has the same address, and answers something else.
      if (answer.status === 404 || (answer.status === 400 && error === 'invalid_request'))
        throw new NoIdentity(`no secret, workload identity or managed identity: the machine has none (HTTP ${answer.status})`)
      if (answer.status !== 200 || typeof token !== 'string')
        throw new Error(`the metadata service answered HTTP ${answer.status} without a token`)
      return { token, expiresOnTimestamp: Number(ends) * 1000 || Date.now() }
    },
  }
}

/** What clients of Azure send their requests through. */
function httpClient(cloud: Cloud): AzureClient {
  return {
    async sendRequest(request: AzureRequest) {
      const { headers, body } = request
      const url = new URL(request.url)
      if (body !== undefined && body !== null && typeof body !== 'string') throw new Error('the body of a request is no text')
      const ended = request.abortSignal as AbortSignal | undefined
      const asked = { method: request.method, url, headers: headers.toJSON(), body: body ?? undefined }
      const signal = ended ?? new AbortController().signal
      const answer = await cloud.ask(asked, signal)
      return {
        request,
        status: answer.status,
        headers: headersOf(answer.headers),
        bodyAsText: Buffer.from(answer.body).toString('utf8'),
      }
    },
  }
}

function headersOf(answered: Readonly<Record<string, string>>): AzureRequest['headers'] {
  const headers = new Map(Object.entries(answered))
  return {
    get: (name) => headers.get(name.toLowerCase()),
    has: (name) => headers.has(name.toLowerCase()),
    set: (name, value) => void headers.set(name.toLowerCase(), String(value)),
    delete: (name) => void headers.delete(name.toLowerCase()),
    toJSON: () => Object.fromEntries(headers),
    [Symbol.iterator]: () => headers[Symbol.iterator](),
  }
}

type Jwk = { readonly [name in 'kty' | 'crv']?: string } & { readonly [name in 'n' | 'e' | 'x' | 'y']?: Uint8Array }

/** Keys of a hardware module are called `EC-HSM`, and are the same otherwise. */
function pemOf({ kty, crv, n, e, x, y }: Jwk): Obtained<string> {
  const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('base64url')
  const type = kty?.replace(/-HSM$/, '')
  const jwk =
    type === 'EC'
      ? { kty: 'EC', crv: crv ?? '', x: text(x), y: text(y) }
      : type === 'RSA'
        ? { kty: 'RSA', n: text(n), e: text(e) }
        : undefined
  if (!jwk) return { state: 'wrong', why: `a key of type ${kty ?? 'unknown'} does not verify signatures` }
  try {
    return { state: 'found', value: createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'pem', type: 'spki' }).toString() }
  } catch {
    return { state: 'wrong', why: `the key (${kty}${crv === undefined ? '' : `, ${crv}`}) cannot be read` }
  }
}

function failure(error: unknown): Obtained<never> {
  const { statusCode } = (error ?? {}) as { readonly statusCode?: number }
  const why = whyOf(error)
  if (error instanceof NoIdentity) return { state: 'none', why }
  return { state: statusCode === 404 ? 'wrong' : 'unknown', why }
}

/** What a JWT says. Not believed: it only tells us when to ask again, and the authority whom it knows already. */
function claimsOf(jwt: string): Readonly<Record<string, unknown>> {
  return jsonOf(Buffer.from(jwt.split('.')[1] ?? '', 'base64url'))
}
