import { readPolicy } from './read.ts'
import { isObject } from './shape.ts'

/** A key of a key management service, as `spec.authorities[].key.kms` names it. */
export type KmsKey =
  | { readonly service: 'aws'; readonly endpoint: string | undefined; readonly region: string; readonly arn: string }
  /** `name` is the resource name of the key; without a version its newest one that is enabled is meant. */
  | { readonly service: 'google'; readonly name: string; readonly version: string | undefined }
  /** `vault` is the name of a vault, or its host. Without a version the current one is meant. */
  | { readonly service: 'azure'; readonly vault: string; readonly key: string; readonly version: string | undefined }
  | { readonly service: 'vault'; readonly key: string }

/** `detail` says what is wrong, in the words of specification 2.5 and 10.1. */
export type KmsKeyRead = { readonly ok: true; readonly key: KmsKey } | { readonly ok: false; readonly detail: string }

const MAX_URI = 2048 // characters; an AWS alias has at most 256, the four names of a Google key 63 each

const UNKNOWN =
  'malformed KMS format, should be prefixed by any of the supported providers: [awskms:// azurekms:// hashivault:// gcpkms://]'
const AWS_PARTS =
  "malformed AWS KMS format 'awskms://$ENDPOINT/$KEYID', should be conformant with KMS standard documented here: https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id"
const AWS_FORM = 'kms key should be in the format awskms://[ENDPOINT]/[ID/ALIAS/ARN] (endpoint optional)'
const GOOGLE_FORM =
  'kms specification should be in the format gcpkms://projects/[PROJECT_ID]/locations/[LOCATION]/keyRings/[KEY_RING]/cryptoKeys/[KEY]/cryptoKeyVersions/[VERSION]'
const AZURE_FORM = 'kms specification should be in the format azurekms://[VAULT_NAME][VAULT_URL]/[KEY_NAME]/[VERSION (optional)]'
const VAULT_FORM = 'kms specification should be in the format hashivault://<key>'

const UUID = /^m?r?k?-?[A-Fa-f0-9]{8}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{12}$/
const ARN = /^arn:(?:aws|aws-us-gov|aws-cn):kms:([a-z0-9-]+):\d{12}:(.+)$/s

// Both spellings of the version are in use: that of Google's resource names, and that of cosign's documentation.
const GOOGLE =
  /^gcpkms:\/\/(projects\/[\w.:-]+\/locations\/[\w-]+\/keyRings\/[\w-]+\/cryptoKeys\/[\w-]+)(?:\/(?:cryptoKeyVersions|versions)\/(\d{1,18}))?$/
const AZURE = /^azurekms:\/\/([a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?)\/([\w-]+)(?:\/([\w]+))?\/?$/i
const VAULT = /^hashivault:\/\/(\w(?:[\w.-]*\w)?)$/

/** Reads what `kms` says, in every form of specification 2.5. */
export function readKmsKey(uri: string): KmsKeyRead {
  if (uri.length > MAX_URI) return { ok: false, detail: `longer than ${MAX_URI} characters` }
  if (uri.startsWith('awskms://')) return readAws(uri)
  if (uri.startsWith('gcpkms://')) {
    const [, name, version] = GOOGLE.exec(uri) ?? []
    return name === undefined ? { ok: false, detail: GOOGLE_FORM } : { ok: true, key: { service: 'google', name, version } }
  }
  if (uri.startsWith('azurekms://')) {
    const [, vault, key, version] = AZURE.exec(uri) ?? []
    return vault === undefined || key === undefined
      ? { ok: false, detail: AZURE_FORM }
      : { ok: true, key: { service: 'azure', vault: vault.toLowerCase(), key, version } }
  }
  if (uri.startsWith('hashivault://')) {
    const [, key] = VAULT.exec(uri) ?? []
    return key === undefined ? { ok: false, detail: VAULT_FORM } : { ok: true, key: { service: 'vault', key } }
  }
  return { ok: false, detail: UNKNOWN }
}

/**
 * What the validating webhook says against `kms` (rules V19 and V20): an unknown prefix and a malformed AWS reference. Undefined: nothing;
 * the references of other services are not looked at there, and a malformed one makes the policy refuse.
 */
export function whyInvalidKms(uri: string): string | undefined {
  const read = readKmsKey(uri)
  if (read.ok) return undefined
  return uri.startsWith('awskms://') || read.detail === UNKNOWN ? read.detail : undefined
}

/** The references that a ClusterImagePolicy's keys name, each once. A `ca-cert` is a certificate, which no such service has. */
export function kmsUrisOf(policy: unknown): readonly string[] {
  if (!mayNameKms(policy)) return NONE
  const { spec } = readPolicy('', policy)
  return [...new Set((spec.authorities ?? []).flatMap(({ key }) => (key?.kms ? [key.kms] : [])))]
}

const NONE: readonly string[] = []

/** Policies come by the thousand at once, and few name such a key: reading all of each one's shape would take longer than others may wait. */
function mayNameKms(policy: unknown): boolean {
  const spec = isObject(policy) ? policy['spec'] : undefined
  const authorities = isObject(spec) ? spec['authorities'] : undefined
  return Array.isArray(authorities) && authorities.some((one) => isObject(one) && isObject(one['key']) && 'kms' in one['key'])
}

/** In the order of specification 2.5. */
function readAws(uri: string): KmsKeyRead {
  const parts = uri.split('/')
  if (parts.length < 4) return { ok: false, detail: AWS_PARTS }
  const endpoint = parts[2] ?? ''
  const named = parts.slice(3).join('/')
  const [, region, resource] = ARN.exec(named) ?? []
  const isKey = resource === undefined ? UUID.test(named) : resource.startsWith('key/') && UUID.test(resource.slice('key/'.length))
  const isAlias = /^alias\/./.test(resource ?? named)
  if (!(isKey || isAlias) || /^(?:arn|alias)/.test(endpoint)) return { ok: false, detail: AWS_FORM }
  const why = endpoint === '' ? undefined : whyNoHostAndPort(endpoint)
  if (why !== undefined) return { ok: false, detail: `malformed endpoint: address ${endpoint}: ${why}` }
  // Without an ARN nothing says in which region the key lies.
  if (region === undefined) return { ok: false, detail: 'failed to parse either key or alias arn: arn: invalid prefix' }
  return { ok: true, key: { service: 'aws', endpoint: endpoint || undefined, region, arn: named } }
}

/** What is wrong with `host:port`, as Go words it. */
function whyNoHostAndPort(endpoint: string): string | undefined {
  const last = endpoint.lastIndexOf(':')
  if (last < 0) return 'missing port in address'
  if (endpoint.startsWith('[')) {
    const end = endpoint.indexOf(']')
    if (end < 0) return "missing ']' in address"
    if (end + 1 === endpoint.length) return 'missing port in address'
    if (end + 1 !== last) return endpoint[end + 1] === ':' ? 'too many colons in address' : 'missing port in address'
  } else if (endpoint.slice(0, last).includes(':')) return 'too many colons in address'
  const host = endpoint.startsWith('[') ? endpoint.slice(1, endpoint.indexOf(']')) : endpoint.slice(0, last)
  if (/[[\]]/.test(host)) return `unexpected '${host.includes('[') ? '[' : ']'}' in address`
  // Go stops here; a URL would not take what is no host, or no port.
  const url = URL.parse(`https://${endpoint}/`)
  return url && url.username === '' && url.password === '' && url.pathname === '/' && url.search === '' && url.hash === ''
    ? undefined
    : 'it is no host with a port'
}
