import { parse } from 'yaml'

/**
 * The examples of the product documentation, field for field, as users have them in their clusters: Supply Chain Security Tools – Policy of Tanzu
 * Application Platform up to 1.12. Those of what came before it (Supply Chain Security Tools – Sign) stand as its page on migration converts them.
 * `printed` is the text of a page, whose placeholders are filled in and whose missing parts `added` brings; nothing else of it is changed.
 */
export type Documented = {
  readonly name: string
  readonly printed: string
  /** What it means, where it cannot be applied as it is printed. */
  readonly meant?: string
  /** What it leaves out and no policy can do without. */
  readonly added?: object
  /** What becomes of it when its placeholders alone are filled in: nothing when it is taken. */
  readonly refused?: string
  /** Of the lists that it lacks, those of which the API server itself speaks first, since defaulting has made nulls of them (specification 2.2). */
  readonly nulls?: readonly string[]
  /** What its author is told. */
  readonly warned?: readonly RegExp[]
  /** The examples that are in force with it, where it may not be all of them, since it speaks about their images too. */
  readonly beside?: readonly string[]
  /** What it must say about workloads: both ways, wherever it can. */
  readonly judged: readonly Judged[]
}

/** An image, by whom it is signed, and what becomes of a workload of it. */
export type Judged = {
  readonly image: string
  readonly signed: readonly SignedBy[]
  /** A Pod unless it says something else; `labels` are its own. */
  readonly kind?: 'Pod' | 'CronJob'
  readonly labels?: Readonly<Record<string, string>>
  /** What it is refused with; undefined: it is admitted. */
  readonly refused?: RegExp
  /** What its author is warned of, though it is admitted. */
  readonly warned?: RegExp
}

/** Keys by the place where examples name them; `stranger` is the key of somebody whom none names. */
export const KEYS = ['data', 'secret', 'kms', 'stranger'] as const
export type KeyName = (typeof KEYS)[number]
export type Identity = { readonly issuer: string; readonly subject: string }
/** `authority`: the one that the trust root names, or another that only a `ca-cert` does. `at`: the repository that holds the signature, if it is not the image's. */
export type SignedBy = ({ readonly key: KeyName } | (Identity & { readonly authority: 'trust root' | 'ca-cert' })) & {
  readonly at?: string
}

/** What stands for placeholders. Secrets lie in the namespace of the controller. */
export const FILLED = {
  keySecret: 'cosign-public-key',
  certificateSecret: 'fulcio-certificate',
  pullSecret: 'my-secret',
  kms: 'hashivault://cosign',
}

const GOOGLE = 'https://accounts.google.com'
const GITHUB = 'https://token.actions.githubusercontent.com'
const alice = { issuer: GOOGLE, subject: 'alice@example.com' }
const workflow = (organization: string) => ({
  issuer: GITHUB,
  subject: `https://github.com/${organization}/web/.github/workflows/release.yml@refs/heads/main`,
})
const account = (namespace: string) => ({
  issuer: 'https://kubernetes.default.svc.cluster.local',
  subject: `https://kubernetes.io/namespaces/${namespace}/serviceaccounts/default`,
})

const HOST = 'registry.example.com'
const SIGNATURES = `${HOST}/project/signature-location`
const imagesOf = (name: string) => ({ images: [{ glob: `${HOST}/${name}/**` }] })
const ours = { key: 'data' } as const
const theirs = { key: 'stranger' } as const
/** An authority for an example that shows none. */
const keyed = { authorities: [{ key: { data: '-----BEGIN PUBLIC KEY-----\n...\n-----END PUBLIC KEY-----\n' } }] }
const NOT_OURS = /signature key validation failed for authority \S+ for \S+: no matching signatures: /
const NO_SIGNATURES = /no signatures found/
const OFFICIAL_KEY = `-----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhyQCx0E9wQWSFI9ULGwy3BuRklnt
        IqozONbbdbqz11hlRJy9c7SG+hdcFl9jE9uE/dwtuwU2MqU9T/cN0YkWww==
        -----END PUBLIC KEY-----`

export const documented: readonly Documented[] = [
  {
    name: 'mode-warn',
    printed: `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: POLICY-NAME
spec:
  mode: warn
`,
    added: { ...imagesOf('mode-warn'), ...keyed },
    refused: 'missing field(s): spec.authorities, spec.images',
    nulls: ['spec.images'],
    judged: [
      { image: `${HOST}/mode-warn/web`, signed: [ours] },
      { image: `${HOST}/mode-warn/other`, signed: [theirs], warned: NOT_OURS },
    ],
  },
  {
    name: 'match',
    printed: `
spec:
  match:
  - group: batch
    resource: cronjobs
    version: v1
    selector:
      matchLabels:
        app: tap
`,
    added: { ...imagesOf('match'), ...keyed },
    refused: 'missing field(s): spec.authorities, spec.images',
    nulls: ['spec.images'],
    judged: [
      { image: `${HOST}/match/web`, signed: [ours], kind: 'CronJob', labels: { app: 'tap' } },
      {
        image: `${HOST}/match/other`,
        signed: [theirs],
        kind: 'CronJob',
        labels: { app: 'tap' },
        refused: /failed policy: match: .*\n.*no matching signatures/,
      },
      // The policy is about neither, and there is no other.
      { image: `${HOST}/match/web`, signed: [ours], kind: 'CronJob', labels: { app: 'other' }, refused: /no matching policies/ },
      { image: `${HOST}/match/web`, signed: [ours], labels: { app: 'tap' }, refused: /no matching policies/ },
    ],
  },
  {
    name: 'keys',
    printed: `
spec:
  authorities:
    - key:
        data: |
          -----BEGIN PUBLIC KEY-----
          ...
          -----END PUBLIC KEY-----
    - key:
        secretRef:
          name: secretName
    - key:
        kms: KMSPATH
`,
    added: imagesOf('keys'),
    refused: 'missing field(s): spec.images',
    nulls: ['spec.images'],
    judged: [
      { image: `${HOST}/keys/data`, signed: [ours] },
      { image: `${HOST}/keys/secret`, signed: [{ key: 'secret' }] },
      { image: `${HOST}/keys/kms`, signed: [{ key: 'kms' }] },
      { image: `${HOST}/keys/stranger`, signed: [theirs], refused: NOT_OURS },
      { image: `${HOST}/keys/nobody`, signed: [], refused: NO_SIGNATURES },
    ],
  },
  {
    name: 'keyless',
    printed: `
spec:
  authorities:
    - keyless:
        url: https://fulcio.example.com
        ca-cert:
          data: Certificate Data
        identities:
          - issuer: https://accounts.google.com
            subjectRegExp: .*@example.com${' '}
          - issuer: https://token.actions.githubusercontent.com
            subject: https://github.com/mycompany/*/.github/workflows/*@*
      ctlog:
        url: https://rekor.example.com
    - keyless:
        url: https://fulcio.example.com
        ca-cert:
          secretRef:
            name: secretName
        identities:
          - issuerRegExp: .*kubernetes.default.*
            subjectRegExp: .*kubernetes.io/namespaces/default/serviceaccounts/default
`,
    added: imagesOf('keyless'),
    refused: 'missing field(s): spec.images',
    nulls: ['spec.images'],
    warned: [
      /^spec\.authorities\[0\]\.keyless\.identities: subjectRegExp `\.\*@example\.com` also matches a longer subject .* write \$ at its end$/,
      /subjectRegExp `\.\*@example\.com` has a \. that stands for any character, .* write `example\\\.com`$/,
      /subject `https:\/\/github\.com\/mycompany\/\*\/\.github\/workflows\/\*@\*` is read as a glob /,
      /subject `https:\/\/github\.com\/mycompany\/\*\/\.github\/workflows\/\*@\*` lets in any ref, pull requests too; /,
      /^spec\.authorities\[1\]\.keyless\.identities: subjectRegExp `\.\*kubernetes\.io\/\S+` also matches a longer subject .* write \$ at its end$/,
    ],
    judged: [
      { image: `${HOST}/keyless/alice`, signed: [{ ...alice, authority: 'ca-cert' }] },
      {
        image: `${HOST}/keyless/eve`,
        signed: [{ issuer: GOOGLE, subject: 'eve@example.org', authority: 'ca-cert' }],
        refused: /none of the expected identities matched/,
      },
      {
        image: `${HOST}/keyless/elsewhere`,
        signed: [{ ...alice, issuer: 'https://login.example.org', authority: 'ca-cert' }],
        refused: /none of the expected identities matched/,
      },
      { image: `${HOST}/keyless/workflow`, signed: [{ ...workflow('mycompany'), authority: 'ca-cert' }] },
      {
        image: `${HOST}/keyless/other-company`,
        signed: [{ ...workflow('othercompany'), authority: 'ca-cert' }],
        refused: /none of the expected identities matched/,
      },
      { image: `${HOST}/keyless/account`, signed: [{ ...account('default'), authority: 'ca-cert' }] },
      {
        image: `${HOST}/keyless/other-account`,
        signed: [{ ...account('other'), authority: 'ca-cert' }],
        refused: /none of the expected identities matched/,
      },
      // A ca-cert takes the place of the certificate authorities of the trust root.
      { image: `${HOST}/keyless/other-authority`, signed: [{ ...alice, authority: 'trust root' }], refused: /cert verification failed/ },
    ],
  },
  {
    name: 'static-fail',
    printed: `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: POLICY-NAME
spec:
  authorities:
  - static:
      action: fail
`,
    added: imagesOf('static-fail'),
    refused: 'missing field(s): spec.images',
    nulls: ['spec.images'],
    judged: [{ image: `${HOST}/static-fail/web`, signed: [ours], refused: /disallowed by static policy: $/m }],
  },
  {
    name: 'source',
    printed: `
spec:
  authorities:
    - key:
        data: |
          -----BEGIN PUBLIC KEY-----
          ...
          -----END PUBLIC KEY-----
      source:
        - oci: registry.example.com/project/signature-location
          signaturePullSecrets:
            - name: MY-SECRET
    - keyless:
        url: https://fulcio.example.com
      source:
        - oci: registry.example.com/project/signature-location
          signaturePullSecrets:
            - name: MY-SECRET
`,
    // A keyless authority says whom it means: the page leaves that out here.
    added: { ...imagesOf('source'), authorities: [{}, { keyless: { identities: [alice] } }] },
    refused: 'missing field(s): spec.authorities[1].keyless.identities, spec.images',
    nulls: ['spec.authorities[1].keyless.identities', 'spec.images'],
    judged: [
      { image: `${HOST}/source/key`, signed: [{ ...ours, at: SIGNATURES }] },
      { image: `${HOST}/source/keyless`, signed: [{ ...alice, authority: 'trust root', at: SIGNATURES }] },
      {
        image: `${HOST}/source/other-identity`,
        signed: [{ ...workflow('mycompany'), authority: 'trust root', at: SIGNATURES }],
        refused: /none of the expected identities matched/,
      },
      { image: `${HOST}/source/other-place`, signed: [ours], refused: NO_SIGNATURES },
    ],
  },
  {
    name: 'image-policy',
    printed: `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: image-policy
spec:
  images:
  - glob: "gcr.io/projectsigstore/cosign*"
  authorities:
  - name: official-cosign-key
    key:
      data: |
        ${OFFICIAL_KEY}
`,
    judged: [
      { image: 'gcr.io/projectsigstore/cosign', signed: [ours] },
      {
        image: 'gcr.io/projectsigstore/cosign-other',
        signed: [theirs],
        refused: /failed policy: image-policy: .*\n.*authority official-cosign-key for .*no matching signatures/,
      },
      { image: 'gcr.io/projectsigstore/rekor', signed: [ours], refused: /no matching policies/ },
    ],
  },
  {
    name: 'example-policy',
    printed: `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: example-policy
spec:
  images:
  - glob: registry.example.org/myproject/*
  authorities:
  - key:
      data: |
        -----BEGIN PUBLIC KEY-----
        <content ...>
        -----END PUBLIC KEY-----
`,
    judged: [
      { image: 'registry.example.org/myproject/web', signed: [ours] },
      { image: 'registry.example.org/myproject/other', signed: [theirs], refused: NOT_OURS },
      { image: 'registry.example.org/myproject/web/deeper', signed: [ours], refused: /no matching policies/ },
    ],
  },
  {
    name: 'migrated-key',
    printed: `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: POLICY_NAME
spec:
  authorities:
  - key:
      data: |
        ${OFFICIAL_KEY}
`,
    added: imagesOf('migrated-key'),
    refused: 'missing field(s): spec.images',
    nulls: ['spec.images'],
    judged: [
      { image: `${HOST}/migrated-key/web`, signed: [ours] },
      { image: `${HOST}/migrated-key/other`, signed: [theirs], refused: NOT_OURS },
    ],
  },
  {
    name: 'keyless-by-default',
    // Of an older page: no url, so the public instance is meant, and a subject that looks like an expression.
    printed: `
spec:
  authorities:
    - keyless:
        identities:
          - issuer: https://accounts.google.com
            subject: .*@example.com
          - issuer: https://token.actions.githubusercontent.com
            subject: https://github.com/mycompany/*/.github/workflows/*@*
`,
    added: imagesOf('keyless-by-default'),
    refused: 'missing field(s): spec.images',
    nulls: ['spec.images'],
    warned: [
      /^spec\.authorities\[0\]\.keyless\.identities: subject `\.\*@example\.com` is read as a glob /,
      /subject `\.\*@example\.com` looks like an expression, in which \.\* is any text; write it as subjectRegExp$/,
      /subject `https:\/\/github\.com\/mycompany\/\*\/\.github\/workflows\/\*@\*` is read as a glob /,
      /subject `https:\/\/github\.com\/mycompany\/\*\/\.github\/workflows\/\*@\*` lets in any ref, pull requests too; /,
    ],
    judged: [
      { image: `${HOST}/keyless-by-default/workflow`, signed: [{ ...workflow('mycompany'), authority: 'trust root' }] },
      {
        image: `${HOST}/keyless-by-default/other-company`,
        signed: [{ ...workflow('othercompany'), authority: 'trust root' }],
        refused: /none of the expected identities matched/,
      },
      {
        image: `${HOST}/keyless-by-default/alice`,
        signed: [{ ...alice, authority: 'trust root' }],
        refused: /none of the expected identities matched/,
      },
      {
        image: `${HOST}/keyless-by-default/other-authority`,
        signed: [{ ...workflow('mycompany'), authority: 'ca-cert' }],
        refused: /cert verification failed/,
      },
    ],
  },
  {
    name: 'migrated-images',
    printed: `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: POLICY_NAME
spec:
  images:
  - glob: gcr.io/projectsigstore/cosign*
`,
    added: keyed,
    beside: [],
    refused: 'missing field(s): spec.authorities',
    judged: [
      { image: 'gcr.io/projectsigstore/cosign', signed: [ours] },
      { image: 'gcr.io/projectsigstore/cosign-other', signed: [theirs], refused: NOT_OURS },
    ],
  },
  {
    name: 'every-image',
    printed: `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: image-policy
spec:
  images:
  - glob: "**"
`,
    added: keyed,
    beside: [],
    refused: 'missing field(s): spec.authorities',
    judged: [
      { image: `${HOST}/every-image/web`, signed: [ours] },
      { image: `${HOST}/every-image/deep/down/web`, signed: [ours] },
      { image: `${HOST}/every-image/other`, signed: [theirs], refused: NOT_OURS },
    ],
  },
  {
    name: 'allow-unmatched',
    printed: `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: allow-unmatched-image-policy
spec:
  images:
  - glob: "**"
    authorities:
    - static:
        action: pass
`,
    // There is no such field in an item of `images`.
    refused: 'strict decoding error: unknown field "spec.images[0].authorities"',
    meant: `
spec:
  images:
  - glob: "**"
  authorities:
  - static:
      action: pass
`,
    beside: ['image-policy'],
    judged: [
      { image: `${HOST}/allow-unmatched/web`, signed: [] },
      { image: 'gcr.io/projectsigstore/cosign', signed: [ours] },
      { image: 'gcr.io/projectsigstore/cosign-other', signed: [theirs], refused: NOT_OURS },
    ],
  },
]

/** What stands for the placeholders of the pages, and for the key that they print, whose private half only its owner has. */
export type Filling = { readonly key: string; readonly certificate: string }

/** The example as it is printed, its placeholders filled in. */
export function printed({ name, printed: text }: Documented, filling: Filling): object {
  return policyOf(name, filled(parse(text), filling) as { readonly spec: object })
}

/** The example with what it leaves out. */
export function complete({ name, printed: text, meant, added = {} }: Documented, filling: Filling): object {
  return policyOf(name, filled(merged(parse(meant ?? text), { spec: added }), filling) as { readonly spec: object })
}

/** The hosts of all images. */
export const HOSTS = ['registry.example.com', 'registry.example.org', 'gcr.io'] as const

/** The request of a workload of the image, at this digest where one is given, as far as its kind matters. */
export function workloadOf(
  { image, kind = 'Pod', labels = {} }: Judged,
  namespace: string,
  digest?: string,
): { readonly kind: object; readonly namespace: string; readonly object: object } {
  const metadata = { name: 'documented', namespace, labels }
  const spec = { containers: [{ name: 'c', image: `${image}:v1${digest === undefined ? '' : `@${digest}`}` }], restartPolicy: 'Never' }
  return kind === 'Pod'
    ? { kind: { group: '', version: 'v1', kind }, namespace, object: { apiVersion: 'v1', kind, metadata, spec } }
    : {
        kind: { group: 'batch', version: 'v1', kind },
        namespace,
        object: { apiVersion: 'batch/v1', kind, metadata, spec: { schedule: '0 0 * * *', jobTemplate: { spec: { template: { spec } } } } },
      }
}

function policyOf(name: string, { spec }: { readonly spec: object }): object {
  return { apiVersion: 'policy.sigstore.dev/v1beta1', kind: 'ClusterImagePolicy', metadata: { name }, spec }
}

function filled(value: unknown, filling: Filling, isCertificate = false): unknown {
  if (Array.isArray(value)) return value.map((item) => filled(item, filling, isCertificate))
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => [name, filled(field, filling, isCertificate || name === 'ca-cert')]),
    )
  switch (value) {
    case 'Certificate Data':
      return filling.certificate
    case 'secretName':
      return isCertificate ? FILLED.certificateSecret : FILLED.keySecret
    case 'MY-SECRET':
      return FILLED.pullSecret
    case 'KMSPATH':
      return FILLED.kms
    default:
      return typeof value === 'string' && value.startsWith('-----BEGIN PUBLIC KEY-----') ? filling.key : value
  }
}

/** `added` takes no field's place: lists of the same length are merged item by item. */
function merged(value: unknown, added: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(added)) return value.map((item, i) => merged(item, added[i]))
  if (typeof value === 'object' && value !== null && typeof added === 'object' && added !== null) {
    const both = { ...added, ...value } as Record<string, unknown>
    return Object.fromEntries(
      Object.keys(both).map((name) => [
        name,
        name in value && name in added
          ? merged((value as Record<string, unknown>)[name], (added as Record<string, unknown>)[name])
          : both[name],
      ]),
    )
  }
  return value
}
