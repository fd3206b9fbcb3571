import type { KmsKey } from '../../policy/kms.ts'
import type { Cloud, CloudAnswer, Obtained, RegistryLogin } from './cloud.ts'
import { NoAnswer, whyOf } from './cloud.ts'

/** What KMS answers about a key that is not there, or is none to verify with. Anything else is not about the key. */
const WRONG: ReadonlySet<string> = new Set([
  'NotFoundException',
  'DisabledException',
  'KMSInvalidStateException',
  'InvalidArnException',
  'InvalidKeyUsageException',
  'UnsupportedOperationException',
])

/** The public key (PEM) of a key of AWS KMS, asked for with the identity of this process (`kms:GetPublicKey`). Never rejects. */
export async function awsPublicKey(
  { arn, region, endpoint }: Extract<KmsKey, { readonly service: 'aws' }>,
  cloud: Cloud,
  signal: AbortSignal,
): Promise<Obtained<string>> {
  const { KMSClient, GetPublicKeyCommand } = await import('@aws-sdk/client-kms')
  const client = new KMSClient({
    region,
    ...(endpoint === undefined ? {} : { endpoint: `https://${endpoint}` }),
    ...shared(cloud, endpoint !== undefined),
  })
  try {
    const { PublicKey, KeyUsage } = await client.send(new GetPublicKeyCommand({ KeyId: arn }), { abortSignal: signal })
    if (KeyUsage !== 'SIGN_VERIFY') return { state: 'wrong', why: `the key is for ${KeyUsage ?? 'nothing'}, not for SIGN_VERIFY` }
    if (PublicKey === undefined) return { state: 'unknown', why: 'no public key in the answer' }
    return { state: 'found', value: pemOf(PublicKey) }
  } catch (error) {
    return failure(error)
  } finally {
    client.destroy()
  }
}

/** The user name and password of a private registry (ECR), good for 12 hours. Never rejects. */
export async function ecrLogin(region: string, fips: boolean, cloud: Cloud, signal: AbortSignal): Promise<Obtained<RegistryLogin>> {
  const { ECRClient, GetAuthorizationTokenCommand } = await import('@aws-sdk/client-ecr')
  const client = new ECRClient({ region, ...(fips ? { useFipsEndpoint: true } : {}), ...shared(cloud, false) })
  try {
    const { authorizationData } = await client.send(new GetAuthorizationTokenCommand({}), { abortSignal: signal })
    return loginIn(authorizationData?.[0])
  } catch (error) {
    return failure(error)
  } finally {
    client.destroy()
  }
}

/** The same for the public registry, which has its service in one region only. It serves everybody; who logs in may ask more often. */
export async function ecrPublicLogin(cloud: Cloud, signal: AbortSignal): Promise<Obtained<RegistryLogin>> {
  const { ECRPUBLICClient, GetAuthorizationTokenCommand } = await import('@aws-sdk/client-ecr-public')
  const client = new ECRPUBLICClient({ region: 'us-east-1', ...shared(cloud, false) })
  try {
    const { authorizationData } = await client.send(new GetAuthorizationTokenCommand({}), { abortSignal: signal })
    return loginIn(authorizationData)
  } catch (error) {
    return failure(error)
  } finally {
    client.destroy()
  }
}

/** What every client is made with. The requests are ours, and so are the retries. */
function shared(cloud: Cloud, orPlain: boolean) {
  return { maxAttempts: 1, requestHandler: handlerOf(cloud, orPlain) }
}

type AwsRequest = {
  readonly method: string
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly path: string
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** What clients of AWS send their requests through. Credentials of a role (IRSA) come this way too; those of a pod identity or of an instance do not. */
function handlerOf(cloud: Cloud, orPlain: boolean) {
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    async handle(request: AwsRequest, { abortSignal }: { abortSignal?: AbortSignal } = {}) {
      const { protocol, hostname, port, path } = request
      const url = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`)
      for (const [name, value] of Object.entries(request.query ?? {}))
        for (const one of Array.isArray(value) ? (value as readonly string[]) : [String(value ?? '')]) url.searchParams.append(name, one)
      const { 'host': _, 'content-length': __, ...headers } = request.headers
      const answer: CloudAnswer = await cloud.ask(
        { method: request.method, url, headers, body: textOf(request.body), orPlain },
        abortSignal ?? new AbortController().signal,
      )
      return { response: { statusCode: answer.status, headers: { ...answer.headers }, body: answer.body } }
    },
    updateHttpClientConfig: (): void => {},
    httpHandlerConfigs: () => ({}),
    destroy: (): void => {},
  }
}

function textOf(body: unknown): string | undefined {
  if (body === undefined || body === null || typeof body === 'string') return body ?? undefined
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  throw new NoAnswer('the body of a request is neither text nor bytes')
}

function loginIn(
  data: { readonly authorizationToken?: string | undefined; readonly expiresAt?: Date | undefined } | undefined,
): Obtained<RegistryLogin> {
  const pair = Buffer.from(data?.authorizationToken ?? '', 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  if (colon <= 0) return { state: 'unknown', why: 'no authorization token in the answer' }
  return {
    state: 'found',
    value: { username: pair.slice(0, colon), password: pair.slice(colon + 1), ends: data?.expiresAt?.getTime() },
  }
}

function failure(error: unknown): Obtained<never> {
  const why = whyOf(error)
  const { name } = error instanceof Error ? error : { name: '' }
  if (name === 'CredentialsProviderError') return { state: 'none', why }
  return { state: WRONG.has(name) ? 'wrong' : 'unknown', why }
}

function pemOf(der: Uint8Array): string {
  const base64 = Buffer.from(der)
    .toString('base64')
    .replaceAll(/(.{64})(?=.)/g, '$1\n')
  return `-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`
}
