import type { Signer } from '../signer.ts'
import type { Certificate } from './certificate.ts'
import { spkiOf } from './certificate.ts'
import { keyDetails } from './log-body.ts'

/** Something trusted, and when: ms since 1970. */
export type Serving<T> = { readonly part: T; readonly from: number; until: number | undefined }

export type Trusted = {
  readonly logs: readonly Serving<{ readonly url: string; readonly key: Signer; readonly id: Buffer }>[]
  readonly authorities: readonly Serving<{ readonly uri: string; readonly chain: readonly Certificate[] }>[]
  readonly certificateLogs: readonly Serving<{ readonly url: string; readonly key: Signer; readonly id: Buffer }>[]
  readonly timestampAuthorities: readonly Serving<{ readonly uri: string; readonly chain: readonly Certificate[] }>[]
}

type Json = Readonly<Record<string, unknown>>
export type TrustedRootJson = {
  readonly mediaType: string
  readonly tlogs: readonly Json[]
  readonly certificateAuthorities: readonly Json[]
  readonly ctlogs: readonly Json[]
  readonly timestampAuthorities: readonly Json[]
}

const SUBJECT = { organization: 'sigstore.example', commonName: 'sigstore' }

/** TrustedRoot as JSON (protobuf-specs, sigstore_trustroot.proto), version 0.1. */
export function trustedRootOf(trusted: Trusted): TrustedRootJson {
  return {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: trusted.logs.map(logJson),
    certificateAuthorities: trusted.authorities.map(authorityJson),
    ctlogs: trusted.certificateLogs.map(logJson),
    timestampAuthorities: trusted.timestampAuthorities.map(authorityJson),
  }
}

/** What two instances say, together. */
export function merged(...roots: readonly TrustedRootJson[]): TrustedRootJson {
  return {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: roots.flatMap((root) => root.tlogs),
    certificateAuthorities: roots.flatMap((root) => root.certificateAuthorities),
    ctlogs: roots.flatMap((root) => root.ctlogs),
    timestampAuthorities: roots.flatMap((root) => root.timestampAuthorities),
  }
}

function logJson({ part, ...service }: Trusted['logs'][number]): Json {
  const rawBytes = spkiOf(part.key).toString('base64')
  return {
    baseUrl: part.url,
    hashAlgorithm: 'SHA2_256',
    publicKey: { rawBytes, keyDetails: keyDetails(part.key.type), validFor: validFor(service) },
    logId: { keyId: part.id.toString('base64') },
  }
}

function authorityJson({ part, ...service }: Trusted['authorities'][number]): Json {
  const certificates = part.chain.map(({ der }) => ({ rawBytes: der.toString('base64') }))
  return { subject: SUBJECT, uri: part.uri, certChain: { certificates }, validFor: validFor(service) }
}

function validFor({ from, until }: { from: number; until: number | undefined }): Json {
  return { start: new Date(from).toISOString(), ...(until === undefined ? {} : { end: new Date(until).toISOString() }) }
}

/** `spec.sigstoreKeys` of a TrustRoot (specification 1.5); it has no periods of service. */
export function sigstoreKeysOf(trusted: Trusted): Json {
  const log = ({ part }: Trusted['logs'][number]): Json => ({
    baseURL: part.url,
    hashAlgorithm: 'sha-256',
    publicKey: Buffer.from(part.key.pem).toString('base64'),
  })
  const authority = ({ part }: Trusted['authorities'][number]): Json => ({
    subject: SUBJECT,
    uri: part.uri,
    certChain: Buffer.from(part.chain.map(({ pem }) => pem).join('')).toString('base64'),
  })
  return {
    certificateAuthorities: trusted.authorities.map(authority),
    tLogs: trusted.logs.map(log),
    ctLogs: trusted.certificateLogs.map(log),
    timestampAuthorities: trusted.timestampAuthorities.map(authority),
  }
}
