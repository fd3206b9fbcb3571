import type { KeyObject } from 'node:crypto'
import type { Host, Received, Response } from '../internet.ts'

/** A key of KMS, or why there is none. */
export type AwsKey = { readonly key: KeyObject; readonly usage?: string } | { readonly error: string }

/**
 * What an account of AWS answers, as its API reference has it: KMS `GetPublicKey`, ECR `GetAuthorizationToken`, STS
 * `AssumeRoleWithWebIdentity`, and the agent of EKS pod identities. Requests have to be signed (Signature Version 4) with an access key that
 * it gave out, for the service and region of the host; the signature itself is not computed.
 */
export class AwsAccount {
  /** Access keys that are taken, with the session token that belongs to each. */
  readonly accessKeys = new Map<string, string | undefined>([['AKIAEXAMPLE', undefined]])
  /** Web identity tokens that a role may be assumed with. */
  readonly webIdentities = new Set<string>()
  /** Authorization tokens that the pod identity agent takes. */
  readonly podIdentities = new Set<string>()
  /** By ARN, of keys and aliases. */
  readonly keys = new Map<string, AwsKey>()
  /** The password of the registry, and the seconds that it is good for. */
  registry = { password: 'ecr-password', seconds: 12 * 3600 }
  #given = 0

  /** `kms.<region>.…` */
  kms(region: string): Host {
    return (request) =>
      this.#signed(request, region, 'kms', () => {
        if (request.headers['x-amz-target'] !== 'TrentService.GetPublicKey') return error(400, 'UnknownOperationException', '')
        const { KeyId } = JSON.parse(request.body) as { readonly KeyId: string }
        const key = this.keys.get(KeyId)
        if (!key) return error(400, 'NotFoundException', `Key '${KeyId}' does not exist`)
        if ('error' in key) return error(key.error === 'KMSInternalException' ? 500 : 400, key.error, `${KeyId} says ${key.error}`)
        return json({
          KeyId,
          KeyUsage: key.usage ?? 'SIGN_VERIFY',
          KeySpec: 'ECC_NIST_P256',
          PublicKey: key.key.export({ format: 'der', type: 'spki' }).toString('base64'),
          SigningAlgorithms: ['ECDSA_SHA_256'],
        })
      })
  }

  /** `api.ecr.<region>.…`, `api.ecr-fips.<region>.…` */
  ecr(region: string): Host {
    return (request) =>
      this.#signed(request, region, 'ecr', () =>
        request.headers['x-amz-target'] === 'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken'
          ? json({ authorizationData: [{ ...this.#authorization(), proxyEndpoint: 'https://registry' }] })
          : error(400, 'UnknownOperationException', ''),
      )
  }

  /** `api.ecr-public.us-east-1.…` */
  ecrPublic(): Host {
    return (request) =>
      this.#signed(request, 'us-east-1', 'ecr-public', () =>
        request.headers['x-amz-target'] === 'SpencerFrontendService.GetAuthorizationToken'
          ? json({ authorizationData: this.#authorization() })
          : error(400, 'UnknownOperationException', ''),
      )
  }

  /** `sts.<region>.…`: gives a role to who has a token of the cluster's own (IRSA). */
  sts(): Host {
    return ({ body }) => {
      const form = new URLSearchParams(body)
      const token = form.get('WebIdentityToken') ?? ''
      if (form.get('Action') !== 'AssumeRoleWithWebIdentity' || !this.webIdentities.has(token))
        return xml(
          403,
          '<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>',
        )
      const { AccessKeyId, SecretAccessKey, Token, Expiration } = this.#newKey()
      const credentials = `<AccessKeyId>${AccessKeyId}</AccessKeyId><SecretAccessKey>${SecretAccessKey}</SecretAccessKey><SessionToken>${Token}</SessionToken><Expiration>${Expiration}</Expiration>`
      return xml(
        200,
        `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>${credentials}</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
      )
    }
  }

  /** `http://169.254.170.23/v1/credentials`: gives the role of a pod to who has its token. */
  podIdentity(): Host {
    return ({ path, headers }) => {
      if (path !== '/v1/credentials') return undefined
      return this.podIdentities.has(headers['authorization'] ?? '') ? json(this.#newKey()) : { status: 401 }
    }
  }

  #newKey() {
    const AccessKeyId = `ASIAEXAMPLE${this.#given++}`
    const Token = `session-${AccessKeyId}`
    this.accessKeys.set(AccessKeyId, Token)
    return { AccessKeyId, SecretAccessKey: 'secret-access-key', Token, Expiration: new Date(Date.now() + 3_600_000).toISOString() }
  }

  #authorization() {
    const { password, seconds } = this.registry
    return { authorizationToken: Buffer.from(`AWS:${password}`).toString('base64'), expiresAt: Math.round(Date.now() / 1000) + seconds }
  }

  #signed({ headers }: Received, region: string, service: string, answer: () => Response): Response {
    const [, accessKey = '', signedFor, signedHeaders = ''] =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d{8}\/(\S+)\/aws4_request, SignedHeaders=(\S+), Signature=[0-9a-f]{64}$/.exec(
        headers['authorization'] ?? '',
      ) ?? []
    const isWhole = signedHeaders.split(';').includes('host') && headers['x-amz-date'] !== undefined
    if (!isWhole || signedFor !== `${region}/${service}`)
      return error(403, 'IncompleteSignatureException', `signed for ${signedFor ?? 'nothing'}, not for ${region}/${service}`)
    if (!this.accessKeys.has(accessKey) || this.accessKeys.get(accessKey) !== headers['x-amz-security-token'])
      return error(400, 'UnrecognizedClientException', 'The security token included in the request is invalid.')
    return answer()
  }
}

function json(body: object): Response {
  return { status: 200, headers: { 'content-type': 'application/x-amz-json-1.1' }, body }
}

function error(status: number, type: string, message: string): Response {
  return { status, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: { __type: type, message } }
}

function xml(status: number, body: string): Response {
  return { status, headers: { 'content-type': 'text/xml' }, body }
}
