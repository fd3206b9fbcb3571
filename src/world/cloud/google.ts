import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { AwsClientOptions, IdentityPoolClientOptions } from 'google-auth-library'
import type { KmsKey } from '../../policy/kms.ts'
import type { Cloud, CloudAnswer, Obtained, RegistryLogin } from './cloud.ts'
import { jsonOf, NoAnswer, whyOf } from './cloud.ts'

const KMS_SCOPE = 'https://www.googleapis.com/auth/cloudkms'
const REGISTRY_SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const METADATA = 'http://169.254.169.254' // `metadata.google.internal`, without asking a resolver
const MAX_VERSIONS = 100 // of a key, the newest, of which one has to be enabled

type Token = { readonly text: string; readonly ends: number | undefined; readonly universe: string | undefined }

/** The public key (PEM) of a key version of Cloud KMS (`cloudkms.cryptoKeyVersions.viewPublicKey`). Never rejects. */
export async function googlePublicKey(
  { name, version }: Extract<KmsKey, { readonly service: 'google' }>,
  cloud: Cloud,
  signal: AbortSignal,
): Promise<Obtained<string>> {
  const token = await tokenFor(KMS_SCOPE, cloud, signal)
  if (token.state !== 'found') return token
  // As gcloud has it, for Private Service Connect and the like.
  const named = cloud.environment['CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS']
  const base = URL.parse(named || `https://cloudkms.${token.value.universe ?? 'googleapis.com'}/`)
  if (!base) return { state: 'unknown', why: 'CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS is not a URL' }
  const headers = { authorization: `Bearer ${token.value.text}`, accept: 'application/json' }
  const get = (path: string): Promise<CloudAnswer> =>
    cloud.ask({ method: 'GET', url: new URL(`${base.origin}${base.pathname.replace(/\/+$/, '')}/v1/${path}`), headers }, signal)
  try {
    const number = version === undefined ? await newestVersion(name, get) : { state: 'found' as const, value: version }
    if (number.state !== 'found') return number
    const answer = await get(`${name}/cryptoKeyVersions/${number.value}/publicKey`)
    if (answer.status !== 200) return refusal(answer)
    const { pem } = jsonOf(answer.body)
    return typeof pem === 'string' ? { state: 'found', value: pem } : { state: 'wrong', why: 'the key has no public key in PEM' }
  } catch (error) {
    return { state: 'unknown', why: whyOf(error) }
  }
}

/** The user name and password of Artifact Registry and Container Registry: an access token. Never rejects. */
export async function googleLogin(cloud: Cloud, signal: AbortSignal): Promise<Obtained<RegistryLogin>> {
  const token = await tokenFor(REGISTRY_SCOPE, cloud, signal)
  if (token.state !== 'found') return token
  return { state: 'found', value: { username: 'oauth2accesstoken', password: token.value.text, ends: token.value.ends } }
}

async function newestVersion(name: string, get: (path: string) => Promise<CloudAnswer>): Promise<Obtained<string>> {
  const query = new URLSearchParams({ filter: 'state=ENABLED', orderBy: 'name desc', pageSize: String(MAX_VERSIONS) })
  const answer = await get(`${name}/cryptoKeyVersions?${query.toString()}`)
  if (answer.status !== 200) return refusal(answer)
  const { cryptoKeyVersions: listed } = jsonOf(answer.body)
  // The order is that of the names as text, in which 10 comes before 9.
  const numbers = (Array.isArray(listed) ? (listed as unknown[]) : []).flatMap((one) => {
    const { name: of, state } = one as { readonly name?: unknown; readonly state?: unknown }
    const [, number] = typeof of === 'string' && state === 'ENABLED' ? (/\/cryptoKeyVersions\/(\d{1,18})$/.exec(of) ?? []) : []
    return number === undefined ? [] : [BigInt(number)]
  })
  const newest = numbers.reduce<bigint | undefined>((most, one) => (most === undefined || one > most ? one : most), undefined)
  return newest === undefined
    ? { state: 'wrong', why: 'the key has no version that is enabled' }
    : { state: 'found', value: String(newest) }
}

/** `{"error": {"code", "message", "status"}}` (google.rpc.Status). */
function refusal({ status, body }: CloudAnswer): Obtained<never> {
  const { error } = jsonOf(body)
  const { message, status: code } = (typeof error === 'object' && error !== null ? error : {}) as Readonly<Record<string, unknown>>
  const why = whyOf(`${typeof code === 'string' ? code : `HTTP ${status}`}: ${typeof message === 'string' ? message : 'no message'}`)
  // A version that is disabled or destroyed fails its precondition.
  const isWrong = status === 404 || (status === 400 && (code === 'FAILED_PRECONDITION' || code === 'INVALID_ARGUMENT'))
  return { state: isWrong ? 'wrong' : 'unknown', why }
}

/** Application default credentials: a file that the environment names, the one that gcloud leaves, else the metadata service. */
async function tokenFor(scope: string, cloud: Cloud, signal: AbortSignal): Promise<Obtained<Token>> {
  const file = await credentialFile(cloud)
  return file === undefined ? fromMetadata(scope, cloud, signal) : fromFile(file, scope, cloud, signal)
}

async function credentialFile({ environment }: Cloud): Promise<string | undefined> {
  const { GOOGLE_APPLICATION_CREDENTIALS, CLOUDSDK_CONFIG, HOME } = environment
  if (GOOGLE_APPLICATION_CREDENTIALS) return GOOGLE_APPLICATION_CREDENTIALS
  const folder = CLOUDSDK_CONFIG || (HOME && join(HOME, '.config', 'gcloud'))
  const left = folder ? join(folder, 'application_default_credentials.json') : undefined
  return left !== undefined && (await stat(left).catch(() => undefined)) ? left : undefined
}

/** A service account's key, a person's, or the description of a federated identity. */
async function fromFile(file: string, scope: string, cloud: Cloud, signal: AbortSignal): Promise<Obtained<Token>> {
  try {
    const text = await readFile(file, 'utf8').catch(() => undefined)
    if (text === undefined) return { state: 'unknown', why: 'the file of default credentials cannot be read' }
    const client = await clientOf(jsonOf(Buffer.from(text)), scope, cloud, signal)
    if (!client) return { state: 'unknown', why: 'the file of default credentials is of no type that is known' }
    const { token } = await client.getAccessToken()
    if (!token) return { state: 'unknown', why: 'no access token in the answer' }
    const { expiry_date: ends } = client.credentials
    return { state: 'found', value: { text: token, ends: ends ?? undefined, universe: client.universeDomain } }
  } catch (error) {
    return { state: 'unknown', why: whyOf(error) }
  }
}

async function clientOf(json: Readonly<Record<string, unknown>>, scope: string, cloud: Cloud, signal: AbortSignal) {
  const { AwsClient, IdentityPoolClient, JWT, UserRefreshClient, gaxios } = await import('google-auth-library')
  const transporter = new gaxios.Gaxios({ fetchImplementation: fetchThrough(cloud, signal), retry: false })
  // Not GoogleAuth, which takes every type: to find a project that nobody asked for it runs gcloud.
  switch (json['type']) {
    case 'service_account': {
      const client = new JWT({ scopes: [scope], transporter })
      client.fromJSON(json)
      return client
    }
    case 'authorized_user': {
      const client = new UserRefreshClient({ transporter })
      client.fromJSON(json)
      return client
    }
    case 'external_account': {
      const { credential_source: source } = json as { readonly credential_source?: { readonly environment_id?: string } }
      const options = { ...json, scopes: [scope], transporter }
      const client = source?.environment_id?.startsWith('aws')
        ? new AwsClient(options as unknown as AwsClientOptions)
        : new IdentityPoolClient(options as unknown as IdentityPoolClientOptions)
      // The library takes a transporter, and exchanges the token through one of its own all the same.
      const inner = client as unknown as { readonly stsCredential: { transporter: typeof transporter } }
      inner.stsCredential.transporter = transporter
      return client
    }
    default:
      return undefined
  }
}

/**
 * The identity of the machine, or of the pod with Workload Identity. By hand, since the library remembers for ever that there is no metadata
 * service when it once did not answer, as it does not in the first seconds of a pod, and asks it through the proxy that is set.
 */
async function fromMetadata(scope: string, cloud: Cloud, signal: AbortSignal): Promise<Obtained<Token>> {
  const { GCE_METADATA_HOST, GCE_METADATA_IP } = cloud.environment
  const host = GCE_METADATA_IP || GCE_METADATA_HOST
  const url = URL.parse(
    `${host ? `http://${host}` : METADATA}/computeMetadata/v1/instance/service-accounts/default/token?${new URLSearchParams({ scopes: scope }).toString()}`,
  )
  if (!url) return { state: 'unknown', why: 'GCE_METADATA_HOST is not a host' }
  let answer: CloudAnswer
  try {
    answer = await cloud.askMetadata({ method: 'GET', url, headers: { 'metadata-flavor': 'Google' } }, signal)
  } catch (error) {
    return { state: 'none', why: `no default credentials: ${whyOf(error)}` }
  }
  // Another cloud's service has the same address.
  if (answer.headers['metadata-flavor'] !== 'Google') return { state: 'none', why: 'no default credentials: not on Google Cloud' }
  if (answer.status === 404) return { state: 'none', why: 'no default credentials: the machine has no service account' }
  const { access_token: text, expires_in: seconds } = jsonOf(answer.body)
  if (answer.status !== 200 || typeof text !== 'string')
    return { state: 'unknown', why: `the metadata service answered HTTP ${answer.status} without a token` }
  const ends = typeof seconds === 'number' ? Date.now() + seconds * 1000 : undefined
  return { state: 'found', value: { text, ends, universe: undefined } }
}

/** What Google's library sends its requests through. */
function fetchThrough(cloud: Cloud, signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const { body } = init ?? {}
    if (body !== undefined && body !== null && typeof body !== 'string' && !(body instanceof URLSearchParams))
      throw new NoAnswer('the body of a request is no text')
    const headers = Object.fromEntries(new Headers(init?.headers ?? {}))
    const request = { method: init?.method ?? 'GET', url, headers, body: body === undefined || body === null ? undefined : String(body) }
    const answer = cloud.isMetadata(url) ? await cloud.askMetadata(request, signal) : await cloud.ask(request, signal)
    const hasBody = answer.status !== 204 && answer.status !== 304
    return new Response(hasBody ? Buffer.from(answer.body) : null, { status: answer.status, headers: answer.headers })
  }
}
