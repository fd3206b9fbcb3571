import { stringify } from 'yaml'

/**
 * The CustomResourceDefinitions, from one definition of their fields. No default, enum, pattern or required field for anything that the
 * webhooks have a text of their own for: the API server would answer first, in other words.
 */
type Schema = Readonly<Record<string, unknown>>

const text = (description: string): Schema => ({ type: 'string', description })
const flag = (description: string): Schema => ({ type: 'boolean', description })
const list = (items: Schema, description: string): Schema => ({ type: 'array', description, items })
const fields = (properties: Readonly<Record<string, Schema>>, description?: string): Schema => ({
  type: 'object',
  ...(description === undefined ? {} : { description }),
  properties,
})
const anyMap = (description: string): Schema => ({ 'type': 'object', description, 'x-kubernetes-preserve-unknown-fields': true })

const key = (description: string): Schema =>
  fields(
    {
      secretRef: fields(
        {
          name: text('Name of the Secret.'),
          namespace: text("The controller's own namespace, if set at all."),
        },
        "A Secret of the controller's namespace with exactly one data entry: a public key as PEM.",
      ),
      data: text('The public key as PEM: ECDSA (P-256, P-384, P-521), RSA or Ed25519.'),
      kms: text('Where a KMS keeps the key: awskms://, gcpkms://, azurekms:// or hashivault://.'),
      hashAlgorithm: text('The hash of signatures: sha224, sha256 (the default), sha384 or sha512.'),
    },
    description,
  )

const policyFields = {
  type: text('The language of the policy: cue or rego.'),
  data: text('The policy itself.'),
  remote: fields(
    { url: text('Where the policy is; https only.'), sha256sum: text('SHA-256 of what must be found there, as hex.') },
    'A policy that is fetched.',
  ),
  configMapRef: fields(
    { name: text('Name of the ConfigMap.'), namespace: text('Not read.'), key: text('The entry that holds the policy.') },
    "A policy in a ConfigMap of the controller's namespace.",
  ),
  fetchConfigFile: flag("Whether the policy sees the image's configuration. Only at spec.policy."),
  includeSpec: flag("Whether the policy sees the object's spec. Only at spec.policy."),
  includeObjectMeta: flag("Whether the policy sees the object's metadata. Only at spec.policy."),
  includeTypeMeta: flag("Whether the policy sees the object's apiVersion and kind. Only at spec.policy."),
}

const identity = fields({
  issuer: text('The OIDC issuer in the certificate, compared as it is.'),
  issuerRegExp: text('A regular expression (RE2) for the issuer, not anchored.'),
  subject: text('The subject in the certificate, compared as it is.'),
  subjectRegExp: text('A regular expression (RE2) for the subject, not anchored.'),
})

const keyless = fields(
  {
    'url': text('The Fulcio that issued the certificates.'),
    'identities': list(identity, 'Who may have signed; one of them suffices. Each has an issuer and a subject.'),
    'ca-cert': key('The key of the certificate authority, instead of url.'),
    'trustRootRef': text('Name of the TrustRoot that certificates must lead to; the public Sigstore instance without it.'),
    'insecureIgnoreSCT': flag('Accept certificates without proof that a certificate transparency log has them.'),
  },
  'A signature whose certificate names the signer.',
)

const attestation = fields({
  name: text('Name of the attestation in results.'),
  predicateType: text('The predicate type of the statement, a URI.'),
  policy: fields(policyFields, 'What the statement must say; without it, that there is one suffices.'),
})

const source = fields({
  oci: text('The repository that holds the signatures.'),
  signaturePullSecrets: list(
    fields({ name: text('Name of the Secret.') }),
    "Secrets with the credentials for that repository, of the controller's namespace, else of the workload's.",
  ),
  tagPrefix: text('What stands before sha256-<hex>.sig in the tags of signatures.'),
})

const authority = fields({
  name: text('Name of the authority in messages; authority-<index> without one.'),
  key: key('A signature by this key.'),
  keyless,
  static: fields(
    { action: text('pass or fail, whatever is signed.'), message: text('Added to the refusal.') },
    'No signature: always pass or always fail.',
  ),
  source: list(source, 'Where signatures lie when not beside the image; at most one.'),
  ctlog: fields(
    { url: text('The transparency log (Rekor).'), trustRootRef: text("Name of the TrustRoot with the log's keys.") },
    'The log that signatures must be in.',
  ),
  rfc3161timestamp: fields(
    { trustRootRef: text("Name of the TrustRoot with the timestamp authority's certificates.") },
    'The timestamp that signatures must carry.',
  ),
  attestations: list(attestation, 'Attestations that must be there; they are verified instead of signatures of the image.'),
  signatureFormat: text('legacy or bundle; any format without it.'),
})

const selector = fields(
  {
    matchLabels: anyMap('Labels that the object must carry.'),
    matchExpressions: list(
      fields({
        key: text('The label.'),
        operator: text('In, NotIn, Exists or DoesNotExist.'),
        values: list({ type: 'string' }, 'For In and NotIn.'),
      }),
      'What else its labels must fulfil.',
    ),
  },
  "Labels of the object itself, not of the pods that it makes. Only with 'resource'.",
)

const spec = fields(
  {
    images: list(
      fields({ glob: text('A pattern of image names: * stops at a slash, ** does not.') }),
      'The images that the policy speaks about: those that match one of these.',
    ),
    authorities: list(authority, 'Who must have signed: one of these suffices.'),
    mode: text(
      'What happens to an image that does not satisfy the policy: enforce (the default) refuses it, warn lets it in with a warning.',
    ),
    match: list(
      fields({
        group: text('API group of the resource; empty for pods.'),
        version: text('API version of the resource; * for any.'),
        resource: text('pods, deployments, replicasets, statefulsets, daemonsets, jobs, cronjobs or replicationcontrollers.'),
        selector,
      }),
      'The objects that the policy speaks about: those that fit one of these; every object without any.',
    ),
    policy: fields(policyFields, 'What must hold besides: evaluated after an authority passed.'),
  },
  'Which images the policy speaks about, and who must have signed them.',
)

const condition = {
  ...fields({
    type: text('What the condition is about.'),
    status: text('True, False or Unknown.'),
    severity: text('How bad it is when not True; empty for an error.'),
    lastTransitionTime: text('When it changed.'),
    reason: text('Why, in one word.'),
    message: text('Why, in a sentence.'),
  }),
  required: ['type', 'status'],
}

const status = fields(
  {
    observedGeneration: { type: 'integer', format: 'int64', description: 'The generation of the spec that this status is about.' },
    conditions: list(condition, 'How the policy is; Ready sums them up.'),
    annotations: anyMap('Further facts.'),
  },
  'What became of the policy.',
)

const column = (name: string, jsonPath: string, type: 'string' | 'date' = 'string'): Schema => ({ name, type, jsonPath })

function version(name: string, isStorage: boolean): Schema {
  return {
    name,
    served: true,
    storage: isStorage,
    subresources: { status: {} },
    additionalPrinterColumns: [
      column('Mode', '.spec.mode'),
      column('Images', '.spec.images[*].glob'),
      column('Authorities', '.spec.authorities[*].name'),
      column('Ready', '.status.conditions[?(@.type=="Ready")].status'),
      column('Age', '.metadata.creationTimestamp', 'date'),
    ],
    schema: {
      openAPIV3Schema: fields(
        {
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          metadata: { type: 'object' },
          spec,
          status,
        },
        'A ClusterImagePolicy says which images may run: those that one of its authorities has signed.',
      ),
    },
  }
}

/** The text of deploy/crds/clusterimagepolicies.yaml. */
export function clusterImagePolicies(): string {
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'clusterimagepolicies.policy.sigstore.dev' },
    spec: {
      group: 'policy.sigstore.dev',
      names: {
        kind: 'ClusterImagePolicy',
        listKind: 'ClusterImagePolicyList',
        plural: 'clusterimagepolicies',
        singular: 'clusterimagepolicy',
        shortNames: ['cip'],
        categories: ['all', 'sigstore'],
      },
      scope: 'Cluster',
      // Both versions have the same fields, so the API server converts by the name alone and loses nothing.
      conversion: { strategy: 'None' },
      versions: [version('v1alpha1', true), version('v1beta1', false)],
    },
  }
  const comment = `# Made by tools/crds.ts: npm run generate.
# Conversion is None until the conversion webhook exists: both versions have the same fields, so changing the name loses nothing.
`
  return comment + stringify(definition, { lineWidth: 140, aliasDuplicateObjects: false })
}
