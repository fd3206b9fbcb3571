import type { X509Certificate } from '@sigstore/core'
import type { Diagnostic } from '../verdict/diagnostic.ts'
import { merged, rendered } from '../verdict/diagnostic.ts'
import type { Read } from '../verdict/read.ts'
import { sentenceOf } from '../verdict/reason.ts'
import { readCertificates } from './certificate.ts'
import { readPublicKey } from './key.ts'
import type { CertificateAuthority, LogKey, TrustMaterial, Validity } from './material.ts'
import { authoritiesOf, logKeyOf, MAX_INSTANCES, MAX_URL, trustMaterial } from './trusted-root.ts'

const MAX_BASE64 = 1024 * 1024 // characters of a chain or a key: more than an object in Kubernetes can hold
const SPEC = 'spec.sigstoreKeys'
/** What is named here by hand has no period: it counts from 1970 on (specification 10.3). */
const ALWAYS: Validity = { from: 0, until: undefined }

/**
 * Reads `spec.sigstoreKeys` of a TrustRoot called `name` (specification 1.5, 2.6, 10.3). Every element counts and must be right (Q10), keys
 * of any type (Q19), and blank lines behind a certificate do no harm. At most 64 elements of a kind. Answers `trust-root-unreadable` with
 * every wrong field, in the words of `whyNotSigstoreKeys`; never throws.
 */
export function readSigstoreKeys(spec: unknown, name: string): Read<TrustMaterial> {
  const { material, problems } = read(spec)
  if (problems.length > 0)
    return {
      ok: false,
      reason: { code: 'trust-root-unreadable', name, detail: merged(problems).map(rendered).join('; ').slice(0, MAX_URL) },
    }
  return { ok: true, value: trustMaterial({ name, ...material, until: undefined }) }
}

/**
 * Why `spec.sigstoreKeys` is refused when it is written (specification 2.6, T11–T17); empty: it is not. What makes it useless and yet was
 * always accepted (a CA chain or a log's key that is none) is no error here, but `readSigstoreKeys` refuses it. Never throws.
 */
export function whyNotSigstoreKeys(spec: unknown): readonly Diagnostic[] {
  return read(spec).problems.filter((problem) => problem.level === 'error')
}

type Material = Pick<TrustMaterial, 'certificateAuthorities' | 'certificateLogs' | 'transparencyLogs' | 'timestampAuthorities'>

function read(spec: unknown): { readonly material: Material; readonly problems: readonly Diagnostic[] } {
  const problems: Diagnostic[] = []
  const keys = object(spec, SPEC, problems)
  const material = {
    certificateAuthorities: authorities(keys, 'certificateAuthorities', `${SPEC}.certificateAuthority`, problems),
    timestampAuthorities: authorities(keys, 'timestampAuthorities', `${SPEC}.timestampAuthorities`, problems),
    certificateLogs: logs(keys, 'ctLogs', problems),
    transparencyLogs: logs(keys, 'tLogs', problems),
  }
  const isEmpty = (list: unknown): boolean => list === undefined || list === null || (Array.isArray(list) && list.length === 0)
  const isNothing = keys === spec && isEmpty(keys['certificateAuthorities']) && isEmpty(keys['timestampAuthorities'])
  if (isNothing) problems.push(problem('expected exactly one, got neither', `${SPEC}.certificateAuthority`, `${SPEC}.timestampAuthorities`))
  return { material, problems }
}

function authorities(keys: Fields, field: string, path: string, problems: Diagnostic[]): readonly CertificateAuthority[] {
  const before = problems.length
  const isForTimestamps = field === 'timestampAuthorities'
  const level = isForTimestamps ? 'error' : 'warning'
  const chains = elements(keys, field, path, problems).map(({ value, at }) => {
    const subject = object(value['subject'] ?? {}, `${at}.subject`, problems)
    text(subject['organization'], `${at}.subject.organization`, problems)
    text(subject['commonName'], `${at}.subject.commonName`, problems)
    const uri = text(value['uri'], `${at}.uri`, problems)
    return { at, uri, certificates: chain(value['certChain'], at, level, problems), valid: ALWAYS }
  })
  if (problems.length > before) return []
  const joined = authoritiesOf(chains, isForTimestamps)
  if (joined.ok) return joined.authorities
  problems.push({ ...problem(`invalid value: ${joined.detail}`, `${joined.at}.certChain`), level })
  return []
}

function chain(value: unknown, at: string, level: Diagnostic['level'], problems: Diagnostic[]): readonly X509Certificate[] {
  // Missing, its name has no capital letter in the texts that are given (T13).
  const pem = pemOf(value, `${at}.certchain`, `${at}.certChain`, problems)
  if (pem === undefined) return []
  const certificates = readCertificates(pem)
  if (certificates.ok) return certificates.value
  const { reason } = certificates
  const details = reason.code === 'certificate-malformed' ? reason.detail : sentenceOf(reason)
  problems.push({ ...problem('invalid value: error splitting the certificates', `${at}.certChain`), details, level })
  return []
}

function logs(keys: Fields, field: string, problems: Diagnostic[]): readonly LogKey[] {
  return elements(keys, field, `${SPEC}.${field}`, problems).flatMap(({ value, at }) => {
    const url = text(value['baseURL'], `${at}.baseURL`, problems)
    text(value['hashAlgorithm'], `${at}.hashAlgorithm`, problems)
    const pem = pemOf(value['publicKey'], `${at}.publicKey`, `${at}.publicKey`, problems)
    if (pem === undefined) return []
    const key = readPublicKey(pem, '')
    if (key.ok) return [logKeyOf(key.value, url, ALWAYS)]
    problems.push({
      ...problem('invalid value: failed to decode public key', `${at}.publicKey`),
      details: sentenceOf(key.reason),
      level: 'warning',
    })
    return []
  })
}

// — fields

type Fields = { readonly [field: string]: unknown }

function problem(message: string, ...paths: readonly string[]): Diagnostic {
  return { level: 'error', message, paths, details: '', added: [] }
}

function object(value: unknown, at: string, problems: Diagnostic[]): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  problems.push(value === undefined || value === null ? problem('missing field(s)', at) : problem('invalid value: it is not an object', at))
  return {}
}

function elements(
  keys: Fields,
  field: string,
  path: string,
  problems: Diagnostic[],
): readonly { readonly value: Fields; readonly at: string }[] {
  const value = keys[field] ?? []
  if (!Array.isArray(value)) {
    problems.push(problem('invalid value: it is not a list', path))
    return []
  }
  if (value.length > MAX_INSTANCES) {
    const message = `invalid value: number of elements (${value.length}) exceeded the limit (${MAX_INSTANCES})`
    problems.push({ ...problem(message, path), level: 'warning' })
    return []
  }
  return value.map((element: unknown, i) => ({ value: object(element, `${path}[${i}]`, problems), at: `${path}[${i}]` }))
}

function text(value: unknown, at: string, problems: Diagnostic[]): string {
  if (value === undefined || value === null || value === '') problems.push(problem('missing field(s)', at))
  else if (typeof value !== 'string') problems.push(problem('invalid value: it is not a string', at))
  else if (value.length > MAX_URL)
    problems.push({ ...problem(`invalid value: it has more than ${MAX_URL} characters`, at), level: 'warning' })
  else return value
  return ''
}

/** The text that is there in base64, as Kubernetes writes bytes; undefined, and a problem, where it is not. */
function pemOf(value: unknown, whenMissing: string, at: string, problems: Diagnostic[]): string | undefined {
  if (value === undefined || value === null || value === '') {
    problems.push(problem('missing field(s)', whenMissing))
    return undefined
  }
  const base64 = typeof value === 'string' && value.length <= MAX_BASE64 ? value.replace(/[\r\n]/g, '') : ''
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(base64) && base64.length % 4 === 0) return Buffer.from(base64, 'base64').toString('latin1')
  problems.push(problem('invalid value: it is not base64', at))
  return undefined
}
