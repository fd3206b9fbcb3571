import { stringify } from 'yaml'

/**
 * The CustomResourceDefinitions, from one definition of their fields (specification 1.1–1.6). No default, enum, pattern, format or required
 * field for anything that the webhooks have a text of their own for: the API server would answer first, in other words. So what the sigstore
 * policy controller accepts is accepted, and what is stored stays as it is when these are applied over its definitions.
 */
type Schema = Readonly<Record<string, unknown>>
type Properties = Readonly<Record<string, Schema>>

const text = (description: string): Schema => ({ type: 'string', description })
const flag = (description: string): Schema => ({ type: 'boolean', description })
const list = (items: Schema, description: string): Schema => ({ type: 'array', description, items })
const fields = (properties: Properties, description?: string): Schema => ({
  type: 'object',
  ...(description === undefined ? {} : { description }),
  properties,
})
const anyMap = (description: string, properties?: Properties): Schema => ({
  'type': 'object',
  description,
  ...(properties === undefined ? {} : { properties }),
  'x-kubernetes-preserve-unknown-fields': true,
})

// — what both kinds have

const object = {
  apiVersion: text('The version of the API that the object is written in, such as policy.sigstore.dev/v1alpha1.'),
  kind: text('The kind of the object.'),
  metadata: { type: 'object' },
}

const condition = (types: string): Schema => ({
  ...fields({
    type: text(`What the condition is about: ${types}.`),
    status: text('True, False or Unknown.'),
    severity: text('How bad it is when the condition is not True. Absent: as bad as can be.'),
    lastTransitionTime: text('When the condition last changed.'),
    reason: text('Why it is not True, in one word. Absent when it is True.'),
    message: text('Why it is not True, in a sentence. Absent when it is True.'),
  }),
  required: ['type', 'status'],
})

/**
 * The facts about what is in force now are annotations of the status, each a text. The definition of the sigstore policy controller has
 * `status.annotations` too, as a map of texts, so an object that carries them can be read and written by either controller: a field of our
 * own would be pruned there, or refused («unknown field») by its webhook as long as our definition stores it.
 */
export const inForce = {
  keys: 'How many keys and certificates are in force, as a number.',
  keysHash: 'Which keys those are: it changes when they are others.',
  keysReadAt: 'When they were last read from where they are kept: Secret, KMS, TUF repository or this object (RFC 3339).',
  nextRefresh: 'When they will be read again at the latest (RFC 3339). Absent where a change is seen at once.',
  lastError: 'Why the last attempt to read them failed, while what was in force before still is. Absent when it succeeded.',
  lastErrorAt: 'When that attempt was (RFC 3339).',
  expires: 'When what is trusted ends unless it is refreshed before (RFC 3339).',
} as const

/** Of a policy besides. */
export const inForceOfPolicy = {
  ...inForce,
  images: 'The images that the policy speaks about, in one line.',
  authorities: 'Who must have signed, in one line; one of them suffices.',
} as const

const statusOf = (of: 'policy' | 'trust root', types: string): Schema =>
  fields(
    {
      observedGeneration: {
        type: 'integer',
        format: 'int64',
        description: `The generation of the spec that this status is about: as long as it is not metadata.generation, the last change of the ${of} is not in force.`,
      },
      conditions: list(condition(types), `How the ${of} is. Ready sums up the others.`),
      annotations: anyMap(
        'What is in force now.',
        Object.fromEntries(
          Object.entries(of === 'policy' ? inForceOfPolicy : inForce).map(([name, description]) => [name, text(description)]),
        ),
      ),
    },
    `What became of the ${of}; written by the controller.`,
  )

// — ClusterImagePolicy

const PUBLIC_KEY = 'as PEM (PUBLIC KEY or RSA PUBLIC KEY): ECDSA on P-256, P-384 or P-521, RSA, or Ed25519'

const keyReference = (what: { readonly data: string; readonly secret: string }, description: string): Schema =>
  fields(
    {
      secretRef: fields(
        {
          name: text('Name of the Secret.'),
          namespace: text("The controller's own namespace, cosign-system as a rule; no other is read. May be left out."),
        },
        `A Secret in the namespace of the controller with exactly one data entry: ${what.secret}. A change of it is in force at once.`,
      ),
      data: text(what.data),
      kms: text(
        'Where a key management service keeps the key: awskms://[ENDPOINT]/ARN, gcpkms://projects/…/cryptoKeyVersions/…, azurekms://VAULT/KEY or hashivault://KEY. It is read when the policy arrives, then every --policy-resync-period.',
      ),
      hashAlgorithm: text('The hash that was signed: sha224, sha256, sha384 or sha512. Without it sha256, or what a bundle implies.'),
    },
    description,
  )

const policyFields = {
  type: text('The language that the policy is written in: cue or rego.'),
  data: text('The policy itself. Exactly one of data, remote and configMapRef is given.'),
  remote: fields(
    {
      url: text('Where the policy is; https only.'),
      sha256sum: text('The SHA-256 of what must be found there, as hex.'),
    },
    'A policy that is fetched, and used only if it has this hash.',
  ),
  configMapRef: fields(
    {
      name: text('Name of the ConfigMap.'),
      namespace: text('Accepted and not read: it is always the namespace of the controller.'),
      key: text('The entry of the ConfigMap that holds the policy.'),
    },
    'A policy that stands in a ConfigMap in the namespace of the controller.',
  ),
  fetchConfigFile: flag("Whether the policy is given the image's configuration. Only at spec.policy."),
  includeSpec: flag("Whether the policy is given the object's spec. Only at spec.policy."),
  includeObjectMeta: flag("Whether the policy is given the object's metadata. Only at spec.policy."),
  includeTypeMeta: flag("Whether the policy is given the object's apiVersion and kind. Only at spec.policy."),
}

const identity = fields({
  issuer: text('The OIDC issuer in the certificate, compared as it is, such as https://token.actions.githubusercontent.com.'),
  issuerRegExp: text('A regular expression (RE2) for the issuer. It is not anchored: write ^ and $.'),
  subject: text(
    "The subject in the certificate: a person's address, or a workflow such as https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main. A * stands for any text without / and @, and for any text after the last @.",
  ),
  subjectRegExp: text('A regular expression (RE2) for the subject. It is not anchored: write ^ and $.'),
})

const keyless = fields(
  {
    'url': text(
      'The Fulcio that issued the certificates, https://fulcio.sigstore.dev when neither url nor ca-cert is given. It is not contacted.',
    ),
    'identities': list(
      identity,
      'Who may have signed; one of them suffices. Each has issuer or issuerRegExp, and subject or subjectRegExp.',
    ),
    'ca-cert': keyReference(
      {
        data: 'The certificates of the authority as PEM: the root, and intermediates if there are any.',
        secret: 'the certificates of the authority as PEM',
      },
      'The certificate authority that is trusted instead of that of the trust root, alone or together with url.',
    ),
    'trustRootRef': text(
      'Name of the TrustRoot whose authorities and certificate transparency logs are trusted. Without it, those of the public Sigstore instance.',
    ),
    'insecureIgnoreSCT': flag('Accept certificates without proof that a certificate transparency log has them.'),
  },
  'A signature whose certificate names the signer.',
)

const attestation = fields({
  name: text('Name of the attestation, under which spec.policy finds it.'),
  predicateType: text('The predicate type of the statement: a URI such as https://slsa.dev/provenance/v1.'),
  policy: fields(policyFields, 'What the statement must say. Without it, that there is one suffices.'),
})

const source = fields({
  oci: text('The repository that holds signatures and attestations, such as registry.example.com/signatures.'),
  signaturePullSecrets: list(
    fields({ name: text('Name of the Secret.') }),
    "Secrets with the credentials for that repository: in the namespace of the controller, else in the workload's. They replace all other credentials.",
  ),
  tagPrefix: text('What stands before sha256-<hex>.sig or .att in the tags of signatures and attestations.'),
})

const authority = fields({
  name: text('Name of the authority in messages. Without one it is authority-<index>, counted from 0.'),
  key: keyReference(
    { data: `The public key ${PUBLIC_KEY}.`, secret: `the public key ${PUBLIC_KEY}` },
    'A signature by this key. Exactly one of key, keyless and static is given; of key itself, exactly one of data, secretRef and kms.',
  ),
  keyless,
  static: fields(
    {
      action: text('pass lets every image through, fail none, whatever is signed.'),
      message: text('Added to the refusal of fail.'),
    },
    'No signature is looked for: always pass, or always fail.',
  ),
  source: list(source, 'Where signatures and attestations are when not beside the image; at most one.'),
  ctlog: fields(
    {
      url: text('The transparency log (Rekor) that is searched where a signature came without its entry.'),
      trustRootRef: text('Name of the TrustRoot with the keys of the log. Without it, those of the public Sigstore instance.'),
    },
    'The transparency log that signatures must be in.',
  ),
  rfc3161timestamp: fields(
    { trustRootRef: text('Name of the TrustRoot with the certificates of the timestamp authorities.') },
    'The signed timestamp that signatures must carry.',
  ),
  attestations: list(
    attestation,
    'The attestations that must be there, all of them. They are verified instead of signatures of the image.',
  ),
  signatureFormat: text(
    'legacy looks only for signatures in annotations (.sig and .att tags), bundle only for Sigstore bundles. Without it, both are looked for.',
  ),
})

const selector = fields(
  {
    matchLabels: anyMap('Labels that the object must carry, each with this value.'),
    matchExpressions: list(
      fields({
        key: text('The label.'),
        operator: text('In, NotIn, Exists or DoesNotExist.'),
        values: list({ type: 'string', description: 'A value of the label.' }, 'The values for In and NotIn.'),
      }),
      'What else must hold of its labels.',
    ),
  },
  'Labels of the object itself, not of the pods that it makes. Only together with resource.',
)

const policySpec = fields(
  {
    images: list(
      fields({
        glob: text(
          'A pattern for names of images, such as ghcr.io/acme/**: * stands for any text without a slash, ** for any text. A name without registry is one of Docker Hub.',
        ),
      }),
      'The images that the policy speaks about: those that match one of these.',
    ),
    authorities: list(
      authority,
      'Who must have signed: one of these suffices. Where several policies speak about an image, each must be satisfied.',
    ),
    mode: text(
      'What happens to an image that does not satisfy the policy: enforce (the default) refuses it, warn lets it in with a warning.',
    ),
    match: list(
      fields({
        group: text('API group of the resource, such as apps; empty for pods.'),
        version: text('API version of the resource, such as v1; * for any.'),
        resource: text('pods, deployments, replicasets, statefulsets, daemonsets, jobs, cronjobs or replicationcontrollers.'),
        selector,
      }),
      'The objects that the policy speaks about: those that fit one of these; every object when there is none. A policy for deployments alone says nothing about the pods that these make.',
    ),
    policy: fields(policyFields, 'What must hold besides: evaluated after an authority has passed.'),
  },
  'Which images the policy speaks about, and who must have signed them.',
)

const clusterImagePolicy = fields(
  {
    ...object,
    spec: policySpec,
    status: statusOf('policy', 'KeysInlined, PoliciesInlined, ConfigMapUpdated (True when the policy is in force) or Ready'),
  },
  'A ClusterImagePolicy says which images may run: those that one of its authorities has signed. It counts in every namespace that is checked, which is one labelled policy.sigstore.dev/include=true unless the cluster was set up otherwise.',
)

// — TrustRoot

const certificateAuthority = (signs: string): Schema =>
  fields({
    subject: fields(
      { organization: text('The organization of the authority.'), commonName: text('The common name of the authority.') },
      'What the authority is called.',
    ),
    uri: text('Where the authority is. It is not contacted.'),
    certChain: text(`The certificates of the authority, which signs ${signs}, as PEM in base64, the root last.`),
  })

const log = fields({
  baseURL: text('Where the log is.'),
  hashAlgorithm: text('The hash of its tree, such as sha-256.'),
  publicKey: text('The key with which it signs, as PEM in base64.'),
})

const targets = text('The folder of targets of the older kind, below the repository; targets when not given.')
const trustedRootTarget = text('The name of the target that is a Sigstore trusted root; trusted_root.json when not given.')
const rootMetadata = text('The root metadata (root.json) of the TUF repository to begin with, in base64: all trust comes from it.')

const trustRootSpec = fields(
  {
    remote: fields(
      {
        root: rootMetadata,
        mirror: text('The address of the TUF repository, such as https://tuf-repo-cdn.sigstore.dev.'),
        targets,
        trustedRootTarget,
      },
      'A TUF repository that is fetched, again every --trustroot-resync-period and before it expires.',
    ),
    repository: fields(
      {
        root: rootMetadata,
        mirrorFS: text('The TUF repository as a gzip-compressed tar archive, in base64.'),
        targets,
        trustedRootTarget,
      },
      'A TUF repository that is carried along, for clusters without a way out.',
    ),
    sigstoreKeys: fields(
      {
        certificateAuthorities: list(certificateAuthority('the certificates of signers'), 'The certificate authorities (Fulcio).'),
        tLogs: list(log, 'The transparency logs of signatures (Rekor).'),
        ctLogs: list(log, 'The certificate transparency logs.'),
        timestampAuthorities: list(certificateAuthority('timestamps'), 'The timestamp authorities (RFC 3161).'),
      },
      'The certificates and keys one by one. They are trusted for signatures of any time.',
    ),
    trustedRoot: {
      'description':
        'A Sigstore trusted root as it is, with its validity periods: the content of trusted_root.json, as an object or as its JSON in a text.',
      'x-kubernetes-preserve-unknown-fields': true,
    },
  },
  'Whom to trust: exactly one of remote, repository, sigstoreKeys and trustedRoot.',
)

const trustRoot = fields(
  {
    ...object,
    spec: trustRootSpec,
    status: statusOf('trust root', 'KeysInlined, ConfigMapUpdated (True when the trust root is in force) or Ready'),
  },
  'A TrustRoot says which certificate authorities, logs and timestamp authorities are trusted. Authorities of a ClusterImagePolicy name it in trustRootRef.',
)

// — definitions

type Column = {
  readonly name: string
  readonly jsonPath: string
  readonly type: 'string' | 'date'
  readonly priority?: 1
  readonly description: string
}

const ready: Column = {
  name: 'Ready',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].status',
  description: 'Whether it is in force.',
}
const reason: Column = {
  name: 'Reason',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
  priority: 1,
  description: 'Why it is not ready.',
}
const keys: Column = { name: 'Keys', type: 'string', jsonPath: '.status.annotations.keys', priority: 1, description: inForce.keys }
const age: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since when it exists.' }

const policyColumns: readonly Column[] = [
  { name: 'Mode', type: 'string', jsonPath: '.spec.mode', description: 'enforce or warn.' },
  // A column shows the first of a list, which would hide that there are more; so the controller writes them in one line.
  { name: 'Images', type: 'string', jsonPath: '.status.annotations.images', description: inForceOfPolicy.images },
  { name: 'Authorities', type: 'string', jsonPath: '.status.annotations.authorities', description: inForceOfPolicy.authorities },
  ready,
  age,
  keys,
  reason,
]

const trustRootColumns: readonly Column[] = [
  { name: 'Mirror', type: 'string', jsonPath: '.spec.remote.mirror', description: 'The TUF repository, where that is fetched.' },
  { name: 'Keys', type: 'string', jsonPath: '.status.annotations.keys', description: inForce.keys },
  { name: 'Read', type: 'date', jsonPath: '.status.annotations.keysReadAt', description: inForce.keysReadAt },
  { name: 'Expires', type: 'string', jsonPath: '.status.annotations.expires', description: inForce.expires },
  ready,
  age,
  { name: 'Next', type: 'string', jsonPath: '.status.annotations.nextRefresh', priority: 1, description: inForce.nextRefresh },
  reason,
]

type Kind = {
  readonly names: { readonly kind: string; readonly plural: string; readonly singular: string; readonly shortNames?: readonly string[] }
  readonly versions: readonly string[]
  readonly schema: Schema
  readonly columns: readonly Column[]
  readonly conversion: Schema
}

const GROUP = 'policy.sigstore.dev'

function definition({ names: { kind, plural, singular, shortNames }, versions, schema, columns, conversion }: Kind): string {
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular,
        ...(shortNames === undefined ? {} : { shortNames }),
        categories: ['all', 'sigstore'],
      },
      scope: 'Cluster',
      conversion,
      versions: versions.map((name, at) => ({
        name,
        served: true,
        storage: at === 0,
        subresources: { status: {} },
        additionalPrinterColumns: columns,
        schema: { openAPIV3Schema: schema },
      })),
    },
  }
  return `# Made by tools/crds.ts: npm run generate.\n${stringify(crd, { lineWidth: 140, aliasDuplicateObjects: false, keepUndefined: false })}`
}

/**
 * How the API server converts between versions. Both have the same fields, so either loses nothing. `Webhook` asks the controller, which also
 * fills in the CA: it is what the sigstore policy controller's definition has, over which another strategy cannot be applied. `None` needs
 * nobody: for a definition that stays when the controller goes.
 */
export type Conversion = 'Webhook' | 'None'

const byWebhook = {
  strategy: 'Webhook',
  webhook: {
    conversionReviewVersions: ['v1', 'v1beta1'],
    clientConfig: { service: { name: 'webhook', namespace: 'cosign-system', path: '/resource-conversion', port: 443 } },
  },
}

/** deploy/crds/clusterimagepolicies.yaml. The first version is the one that is stored. */
export function clusterImagePolicies(conversion: Conversion = 'Webhook'): string {
  return definition({
    names: { kind: 'ClusterImagePolicy', plural: 'clusterimagepolicies', singular: 'clusterimagepolicy', shortNames: ['cip'] },
    versions: ['v1alpha1', 'v1beta1'],
    schema: clusterImagePolicy,
    columns: policyColumns,
    conversion: conversion === 'None' ? { strategy: 'None' } : byWebhook,
  })
}

/** deploy/crds/trustroots.yaml. */
export function trustRoots(): string {
  return definition({
    names: { kind: 'TrustRoot', plural: 'trustroots', singular: 'trustroot' },
    versions: ['v1alpha1'],
    schema: trustRoot,
    columns: trustRootColumns,
    conversion: { strategy: 'None' },
  })
}
