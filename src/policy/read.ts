import type { Problem, Shape } from './shape.ts'
import { anything, flag, isObject, list, mapOf, object, text } from './shape.ts'

// Specification 1.2, in its order: every path of a ClusterImagePolicy's spec, the same in v1alpha1 and v1beta1.

const policySource = {
  type: text,
  data: text,
  remote: object({ url: text, sha256sum: text }),
  configMapRef: object({ name: text, namespace: text, key: text }),
  fetchConfigFile: flag,
  includeSpec: flag,
  includeObjectMeta: flag,
  includeTypeMeta: flag,
}

const keyRef = object({ secretRef: object({ name: text, namespace: text }), data: text, kms: text, hashAlgorithm: text })

const authority = object({
  name: text,
  key: keyRef,
  keyless: object({
    'url': text,
    'identities': list(object({ issuer: text, issuerRegExp: text, subject: text, subjectRegExp: text })),
    'ca-cert': keyRef,
    'trustRootRef': text,
    'insecureIgnoreSCT': flag,
  }),
  static: object({ action: text, message: text }),
  source: list(object({ oci: text, signaturePullSecrets: list(object({ name: text })), tagPrefix: text })),
  ctlog: object({ url: text, trustRootRef: text }),
  attestations: list(object({ name: text, predicateType: text, policy: object(policySource) })),
  rfc3161timestamp: object({ trustRootRef: text }),
  signatureFormat: text,
})

const selector = object({ matchLabels: mapOf(text), matchExpressions: list(object({ key: text, operator: text, values: list(text) })) })

const spec = object({
  images: list(object({ glob: text })),
  authorities: list(authority),
  policy: object(policySource),
  mode: text,
  match: list(object({ group: text, version: text, resource: text, selector })),
})

const policyObject = object({ apiVersion: text, kind: text, metadata: anything, spec, status: anything })

export type PolicySpec = NonNullable<ReturnType<typeof spec>>
export type AuthoritySpec = NonNullable<ReturnType<typeof authority>>
export type KeyRef = NonNullable<ReturnType<typeof keyRef>>
export type MatchSpec = Shape<{ group: typeof text; version: typeof text; resource: typeof text; selector: typeof selector }>

/** A ClusterImagePolicy as it was written, shapes checked, nothing defaulted. */
export type PolicyObject = {
  readonly name: string
  readonly spec: PolicySpec
  /** What is wrong with its shape; one that has any refuses every image that it may speak about. */
  readonly problems: readonly Problem[]
}

const emptySpec: PolicySpec = { images: undefined, authorities: undefined, policy: undefined, mode: undefined, match: undefined }

/** Reads a ClusterImagePolicy object. Never throws; what cannot be read is a problem that names the field, what was found and what was wanted. */
export function readPolicy(name: string, raw: unknown): PolicyObject {
  const problems: Problem[] = []
  const read = policyObject(raw, '', problems)
  if (!isObject(raw) || raw['spec'] === undefined || raw['spec'] === null)
    problems.push({ at: 'spec', found: 'nothing', wanted: 'an object' })
  return { name, spec: read?.spec ?? emptySpec, problems }
}
