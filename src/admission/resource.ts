import type { JsonObject } from '../image/json.ts'
import { isJsonObject } from '../image/json.ts'
import { nameOf } from './kind.ts'
import type { GroupVersionKind, Review } from './review.ts'
import { identical } from './skip.ts'
import type { Field, Struct, Type } from './struct.ts'
import { rewritten } from './struct.ts'

export const GROUP = 'policy.sigstore.dev'

/** An object of the policy API, as it was sent (`written`) and as it is read (`object`): known fields only, in the type's spelling. */
export type Resource = {
  readonly kind: 'ClusterImagePolicy' | 'TrustRoot'
  readonly name: string
  readonly written: JsonObject
  readonly object: JsonObject
  /** Of `object`. */
  readonly spec: JsonObject
}

export type ResourceRead = { readonly ok: true; readonly resource: Resource } | { readonly ok: false; readonly text: string }

/** Whether such objects are known here. */
export function whyUnhandled(kind: GroupVersionKind): string | undefined {
  return typeOf(kind) ? undefined : `unhandled kind: ${nameOf(kind)}`
}

/**
 * Reads the new object of a review: strictly, so that nobody believes in a field that nobody reads. `metadata` and `status` are the API
 * server's and the controller's. Answers the texts of specification 2.0; never throws.
 */
export function readResource(review: Review): ResourceRead {
  const type = typeOf(review.kind)
  if (!type || !isKind(review.kind.kind)) return { ok: false, text: whyUnhandled(review.kind) ?? '' }
  const read = rewritten(review.object, type, 'strict')
  if (!read.ok) return { ok: false, text: `cannot decode incoming new object: ${read.text}` }
  const { metadata, spec } = read.value
  const named = isJsonObject(metadata) ? metadata['name'] : undefined
  return {
    ok: true,
    resource: {
      kind: review.kind.kind,
      name: typeof named === 'string' ? named : review.name,
      written: isJsonObject(review.object) ? review.object : {},
      object: read.value,
      spec: isJsonObject(spec) ? spec : {},
    },
  }
}

/** Whether the object is on its way out and asks for nothing new: its finalizers must be removable, whatever its spec says. */
export function isEnding({ operation, object, oldObject }: Review): boolean {
  if (operation !== 'UPDATE' || !isJsonObject(object) || !isJsonObject(oldObject)) return false
  const metadata = object['metadata']
  const isDeleted = isJsonObject(metadata) && typeof metadata['deletionTimestamp'] === 'string' && metadata['deletionTimestamp'] !== ''
  return isDeleted && identical(object['spec'] ?? null, oldObject['spec'] ?? null)
}

/** The Go type of such objects; undefined for any other kind. */
export function typeOf({ group, version, kind }: GroupVersionKind): Struct | undefined {
  return group === GROUP ? types.get(`${version} ${kind}`) : undefined
}

function isKind(kind: string): kind is Resource['kind'] {
  return kind === 'ClusterImagePolicy' || kind === 'TrustRoot'
}

// — the types (specification 1.2 and 1.5), fields in the order in which they are written

const text: Type = { is: 'text' }
const url: Type = { is: 'url' }
const always = (type: Type): Field => ({ type, written: 'always' })
const given = (type: Type): Field => ({ type, written: 'when-given' })
const unlessZero = (type: Type): Field => ({ type, written: 'unless-zero' })
const list = (of: Type): Type => ({ is: 'list', of })
const struct = (name: string, fields: Struct['fields']): Struct => ({ is: 'struct', name, fields })
const flag = given({ is: 'flag' })

function objectType(version: string, kind: string, spec: Struct): Struct {
  return struct(`${version}.${kind}`, {
    kind: unlessZero(text),
    apiVersion: unlessZero(text),
    metadata: always({ is: 'open', name: 'v1.ObjectMeta' }),
    spec: always(spec),
    // What a newer version reports must survive its conversion by this one.
    status: always({ is: 'open', name: `${version}.${kind}Status` }),
  })
}

function policyType(version: string): Struct {
  const named = (name: string, fields: Struct['fields']): Struct => struct(`${version}.${name}`, fields)
  const keyRef = named('KeyRef', {
    secretRef: given(struct('v1.SecretReference', { name: unlessZero(text), namespace: unlessZero(text) })),
    data: unlessZero(text),
    kms: unlessZero(text),
    hashAlgorithm: unlessZero(text),
  })
  const policy = named('Policy', {
    type: always(text),
    data: unlessZero(text),
    remote: given(named('RemotePolicy', { url: always(url), sha256sum: unlessZero(text) })),
    configMapRef: given(named('ConfigMapReference', { name: unlessZero(text), namespace: unlessZero(text), key: unlessZero(text) })),
    fetchConfigFile: flag,
    includeSpec: flag,
    includeObjectMeta: flag,
    includeTypeMeta: flag,
  })
  const identity = named('Identity', {
    issuer: unlessZero(text),
    subject: unlessZero(text),
    issuerRegExp: unlessZero(text),
    subjectRegExp: unlessZero(text),
  })
  const source = named('Source', {
    oci: unlessZero(text),
    signaturePullSecrets: unlessZero(list(struct('v1.LocalObjectReference', { name: unlessZero(text) }))),
    tagPrefix: given(text),
  })
  const authority = named('Authority', {
    name: always(text),
    key: given(keyRef),
    keyless: given(
      named('KeylessRef', {
        'url': given(url),
        'identities': always(list(identity)),
        'trustRootRef': unlessZero(text),
        'ca-cert': given(keyRef),
        'insecureIgnoreSCT': flag,
      }),
    ),
    static: given(named('StaticRef', { action: always(text), message: unlessZero(text) })),
    source: unlessZero(list(source)),
    ctlog: given(named('TLog', { url: given(url), trustRootRef: unlessZero(text) })),
    attestations: unlessZero(list(named('Attestation', { name: always(text), predicateType: always(text), policy: given(policy) }))),
    rfc3161timestamp: given(named('RFC3161Timestamp', { trustRootRef: unlessZero(text) })),
    signatureFormat: unlessZero(text),
  })
  const selector = struct('v1.LabelSelector', {
    matchLabels: unlessZero({ is: 'map', of: text }),
    matchExpressions: unlessZero(
      list(struct('v1.LabelSelectorRequirement', { key: always(text), operator: always(text), values: unlessZero(list(text)) })),
    ),
  })
  const match = named('MatchResource', { group: always(text), version: always(text), resource: always(text), selector: given(selector) })
  return objectType(
    version,
    'ClusterImagePolicy',
    named('ClusterImagePolicySpec', {
      images: always(list(named('ImagePattern', { glob: always(text) }))),
      authorities: unlessZero(list(authority)),
      policy: given(policy),
      mode: unlessZero(text),
      match: unlessZero(list(match)),
    }),
  )
}

function trustRootType(version: string): Struct {
  const named = (name: string, fields: Struct['fields']): Struct => struct(`${version}.${name}`, fields)
  const bytes: Type = { is: 'bytes' }
  const targets = { targets: unlessZero(text), trustedRootTarget: unlessZero(text) }
  const authority = named('CertificateAuthority', {
    subject: always(named('DistinguishedName', { organization: unlessZero(text), commonName: unlessZero(text) })),
    uri: always(url),
    certChain: always(bytes),
  })
  const log = named('TransparencyLogInstance', { baseURL: always(url), hashAlgorithm: always(text), publicKey: always(bytes) })
  const keys = named('SigstoreKeys', {
    certificateAuthorities: always(list(authority)),
    tLogs: unlessZero(list(log)),
    ctLogs: unlessZero(list(log)),
    timestampAuthorities: unlessZero(list(authority)),
  })
  return objectType(
    version,
    'TrustRoot',
    named('TrustRootSpec', {
      remote: given(named('Remote', { root: always(bytes), mirror: always(url), ...targets })),
      repository: given(named('Repository', { root: always(bytes), mirrorFS: always(bytes), ...targets })),
      sigstoreKeys: given(keys),
      trustedRoot: given({ is: 'anything' }),
    }),
  )
}

const types: ReadonlyMap<string, Struct> = new Map([
  ['v1alpha1 ClusterImagePolicy', policyType('v1alpha1')],
  ['v1beta1 ClusterImagePolicy', policyType('v1beta1')],
  ['v1alpha1 TrustRoot', trustRootType('v1alpha1')],
])
