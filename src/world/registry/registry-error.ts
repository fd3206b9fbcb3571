import { STATUS_CODES } from 'node:http'
import type { Reason } from '../../verdict/reason.ts'

const MAX_ERRORS = 5 // of the errors that a registry lists in one answer; more are not shown
const MAX_PART = 200 // characters of each code, message and detail that are shown
const MAX_DETAIL_DEPTH = 5 // of the JSON in `detail`; Docker Hub's has 2
const MAX_DETAIL_ITEMS = 20 // of each list and object in `detail`

/** Why a registry did not give what was asked; every one of them has the whole message as `text`. */
export type RegistryReason = Extract<Reason, { readonly code: `registry-${string}` }>

/**
 * The reason that an error status stands for, in the specification's words (7.2): `GET <url>: <CODE>: <message>[; <detail>]`.
 * `body` is foreign: only the structured errors of the distribution specification are shown, each part cut and on one line. Anything else
 * in it is not (lesson 43): a registry that redirects inwards must not become a window onto what answers there.
 */
export function refusal(method: string, shown: string, status: number, body: Uint8Array): RegistryReason {
  const errors = structuredErrors(body)
  const said =
    errors.length > 1
      ? `multiple errors returned: ${errors.join('; ')}`
      : (errors[0] ?? `unexpected status code ${`${status} ${STATUS_CODES[status] ?? ''}`.trim()}`)
  return { code: codeOf(status), text: `${method} ${shown}: ${said}` }
}

function codeOf(status: number): RegistryReason['code'] {
  if (status === 401 || status === 403) return 'registry-refused'
  // A 404 counts whatever its body is: proxies and object stores in front of registries answer in HTML or XML. It refuses the image, so
  // something that only pretends to be the registry gains nothing by it.
  if (status === 404) return 'registry-absent'
  return status === 429 ? 'registry-rate-limited' : 'registry-failed'
}

/** `{"errors":[{"code","message","detail"}]}` (distribution-spec, «Error codes»), rendered as go-containerregistry does. */
function structuredErrors(body: Uint8Array): readonly string[] {
  let answer: unknown
  try {
    answer = JSON.parse(new TextDecoder().decode(body))
  } catch {
    return []
  }
  const errors = isObject(answer) && Array.isArray(answer['errors']) ? (answer['errors'] as unknown[]) : []
  return errors
    .filter(isObject)
    .slice(0, MAX_ERRORS)
    .map((error) => {
      const { code, message, detail } = error
      const said = `${part(typeof code === 'string' ? code : '')}: ${part(typeof message === 'string' ? message : '')}`
      return detail === undefined || detail === null ? said : `${said}; ${part(goValue(detail, MAX_DETAIL_DEPTH))}`
    })
}

/** JSON as Go's `%v` prints it: `map[Action:pull Class: Name:a/b]`, keys sorted. */
function goValue(value: unknown, depth: number): string {
  if (value === null || value === undefined) return '<nil>'
  if (depth === 0) return '…'
  if (Array.isArray(value))
    return `[${value
      .slice(0, MAX_DETAIL_ITEMS)
      .map((item) => goValue(item, depth - 1))
      .join(' ')}]`
  if (isObject(value)) {
    const keys = Object.keys(value).slice(0, MAX_DETAIL_ITEMS).sort()
    return `map[${keys.map((key) => `${key}:${goValue(value[key], depth - 1)}`).join(' ')}]`
  }
  return typeof value === 'string' ? value : typeof value === 'number' ? goNumber(value) : String(value as boolean)
}

/** A float64 as Go's `%v` prints it: an exponent of two digits from 1e21 on, as here, but already below 1e-4. */
function goNumber(value: number): string {
  const text = value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential() : String(value)
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

/** Foreign text for a message: one line, at most 200 characters. */
function part(text: string): string {
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
  return line.length > MAX_PART ? `${line.slice(0, MAX_PART)}…` : line
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  EACCES: 'connect: permission denied',
  EADDRNOTAVAIL: 'connect: cannot assign requested address',
  ETIMEDOUT: 'i/o timeout',
  UND_ERR_CONNECT_TIMEOUT: 'i/o timeout',
}
const CERTIFICATE_CAUSES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'certificate has expired or is not yet valid',
  CERT_NOT_YET_VALID: 'certificate has expired or is not yet valid',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate is valid for other names',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate signed by unknown authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate signed by unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate signed by unknown authority',
  CERT_SIGNATURE_FAILURE: 'certificate signed by unknown authority',
  INVALID_CA: 'certificate signed by unknown authority',
  INVALID_PURPOSE: 'certificate specifies an incompatible key usage',
}

/** Whether a connection failed because the server's certificate is not believed: there is TLS there, so plain http is no way around it. */
export function isCertificateError(error: unknown): boolean {
  return Object.hasOwn(CERTIFICATE_CAUSES, codeOfError(error))
}

/** Why there was no connection, as Go words it; only known causes and addresses, no text of a library. */
export function connectionCause(error: unknown, hostname: string): string {
  const code = codeOfError(error)
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${hostname}: no such host`
  if (code.startsWith('EAI_')) return `dial tcp: lookup ${hostname}: temporary failure in name resolution`
  const cause = CAUSES[code]
  if (cause) {
    const at = addressOf(error)
    return `dial tcp ${at ? `${at}: ` : ''}${cause}`
  }
  const certificate = CERTIFICATE_CAUSES[code]
  if (certificate) return `tls: failed to verify certificate: x509: ${certificate}`
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG' || code === 'ERR_SSL_HTTP_REQUEST') {
    return 'http: server gave HTTP response to HTTPS client'
  }
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') return `remote error: tls: ${code}`
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'read: connection reset by peer'
  if (code === 'UND_ERR_SOCKET') return 'EOF'
  return code === '' ? 'the connection failed' : `the connection failed: ${code}`
}

/** The code of an error or of the first thing that caused it, `''` when there is none. */
export function codeOfError(error: unknown): string {
  const one = first(error)
  return isObject(one) && typeof one['code'] === 'string' ? one['code'] : ''
}

function addressOf(error: unknown): string | undefined {
  const one = first(error)
  if (!isObject(one) || typeof one['address'] !== 'string' || typeof one['port'] !== 'number') return undefined
  return one['address'].includes(':') ? `[${one['address']}]:${one['port']}` : `${one['address']}:${one['port']}`
}

// Several addresses were tried: the IPv4 one is told, so that the text does not depend on which came first.
function first(error: unknown): unknown {
  if (!(error instanceof AggregateError)) return error
  const errors: readonly unknown[] = error.errors
  return errors.find((one) => isObject(one) && typeof one['address'] === 'string' && !one['address'].includes(':')) ?? errors[0]
}
