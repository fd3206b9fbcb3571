import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSigner } from '../fakes/signer.ts'
import { readConversion } from '../src/admission/conversion.ts'
import type { AdmissionAnswer } from '../src/admission/response.ts'
import type { Review } from '../src/admission/review.ts'
import type { Registrar, RepositoryProblem } from '../src/configure.ts'
import { check, convert, setDefaults } from '../src/configure.ts'
import type { Json } from '../src/image/json.ts'
import type { Snapshot } from '../src/policy/compile.ts'
import { compile } from '../src/policy/compile.ts'
import type { ClusterObjects } from '../src/policy/objects.ts'
import { nothingFetched } from '../src/policy/objects.ts'

const GROUP = 'policy.sigstore.dev'
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const signed = base64('{"signatures":[],"signed":{}}')
const pass = { name: 'a', static: { action: 'pass' } }

function reviewOf(spec: Json, more: Partial<Review> = {}): Review {
  const kind = { group: GROUP, version: 'v1beta1', kind: 'ClusterImagePolicy' }
  const object = { metadata: { name: 'p' }, spec, status: {} }
  return { uid: 'u', kind, operation: 'CREATE', subResource: '', namespace: '', name: 'p', user: '', object, oldObject: null, ...more }
}

const trustRoot = (spec: Json, more: Partial<Review> = {}): Review =>
  reviewOf(spec, { kind: { group: GROUP, version: 'v1alpha1', kind: 'TrustRoot' }, ...more })

type World = { readonly objects?: Partial<ClusterObjects>; readonly repository?: RepositoryProblem | 'late' }

function registrarOf({ objects, repository }: World): Registrar {
  const all = {
    policies: new Map(),
    policiesIncomplete: undefined,
    secrets: new Map(),
    configMaps: new Map(),
    trustRoots: new Map(),
    ...objects,
  }
  return {
    systemNamespace: 'cosign-system',
    objects: () => all,
    outside: nothingFetched,
    whyNotRepository: async () => (repository === 'late' ? undefined : repository),
    within: async (work) => (repository === 'late' ? 'late' : work),
  }
}

function snapshotOf(world: World): Snapshot {
  return compile(registrarOf(world).objects(), 'cosign-system')
}

async function checked(review: Review, world: World = {}): Promise<AdmissionAnswer['response']> {
  return (await check(review, snapshotOf(world), registrarOf(world), { at: 0 })).response
}

function patchOf({ response }: AdmissionAnswer): unknown {
  assert.ok(response.allowed, response.status?.message ?? '')
  return response.patch === undefined ? undefined : JSON.parse(Buffer.from(response.patch, 'base64').toString())
}

// — defaulting

test('the patch first writes the object as Go does, then fills in what is missing', () => {
  const review = reviewOf({ images: [{ glob: '**' }], authorities: [{ keyless: {} }] }, {})
  assert.deepEqual(patchOf(setDefaults({ ...review, object: { ...(review.object as object), status: null } as Json })), [
    { op: 'add', path: '/spec/authorities/0/name', value: '' },
    // The API server refuses this null by the schema, in words that users of the other controller look for (2.2).
    { op: 'add', path: '/spec/authorities/0/keyless/identities', value: null },
    { op: 'replace', path: '/status', value: {} },
    { op: 'replace', path: '/spec/authorities/0/name', value: 'authority-0' },
    { op: 'add', path: '/spec/authorities/0/keyless/url', value: 'https://fulcio.sigstore.dev' },
    { op: 'add', path: '/spec/mode', value: 'enforce' },
  ])
})

test('an object that lacks nothing is not changed', () => {
  const spec = { images: [{ glob: '**' }], authorities: [pass], mode: 'warn' }
  assert.equal(patchOf(setDefaults(reviewOf(spec))), undefined)
})

test('an empty mode is taken out and filled in, a field in another case respelt', () => {
  assert.deepEqual(patchOf(setDefaults(reviewOf({ images: null, mode: '', AUTHORITIES: [pass] }))), [
    { op: 'add', path: '/spec/authorities', value: [pass] },
    { op: 'remove', path: '/spec/mode' },
    { op: 'remove', path: '/spec/AUTHORITIES' },
    { op: 'add', path: '/spec/mode', value: 'enforce' },
  ])
})

test('a TrustRoot gets its folder of targets', () => {
  assert.deepEqual(patchOf(setDefaults(trustRoot({ remote: { root: signed, mirror: 'https://m' } }))), [
    { op: 'add', path: '/spec/remote/targets', value: 'targets' },
  ])
})

for (const [title, review, message] of [
  ['an unknown field', reviewOf({ foo: 1 }), 'mutation failed: cannot decode incoming new object: json: unknown field "foo"'],
  ['no object', reviewOf({}, { object: null }), 'mutation failed: the new object may not be nil'],
  [
    'another kind',
    reviewOf({}, { kind: { group: GROUP, version: 'v1beta1', kind: 'TrustRoot' } }),
    'mutation failed: unhandled kind: policy.sigstore.dev/v1beta1, Kind=TrustRoot',
  ],
] as const) {
  test(`with ${title} nothing can be filled in`, () => assert.equal(setDefaults(review).response.status?.message, message))
}

test('what is deleted is not changed', () => assert.equal(patchOf(setDefaults(reviewOf({ foo: 1 }, { operation: 'DELETE' }))), undefined))

// — validating

test('a sound policy is accepted without a word', async () => {
  assert.deepEqual(await checked(reviewOf({ images: [{ glob: '**' }], authorities: [pass] })), { uid: 'u', allowed: true })
})

test('a wrong policy is refused with everything that is wrong, and with the specified warnings', async () => {
  const attestations = [{ name: 'x', predicateType: 'custom' }]
  const response = await checked(reviewOf({ authorities: [{ ...pass, attestations }] }))
  assert.equal(
    response.status?.message,
    'validation failed: expected exactly one, got both: spec.authorities[0].attestations, spec.authorities[0].static\nmissing field(s): spec.images',
  )
  assert.deepEqual(response.warnings, [
    'invalid value: custom: spec.authorities[0].attestations.predicateType',
    'deprecated value, please use RFC 3986 conformant values',
  ])
})

for (const [title, review, message] of [
  ['an unknown field', reviewOf({ foo: 1 }), 'decoding request failed: cannot decode incoming new object: json: unknown field "foo"'],
  [
    'a URL that is none',
    reviewOf({ authorities: [{ keyless: { url: '::bad::' } }] }),
    'decoding request failed: cannot decode incoming new object: parse "::bad::": missing protocol scheme',
  ],
  ['no object', reviewOf({}, { object: null }), 'validation failed: the new object may not be nil'],
  [
    'another kind',
    reviewOf({}, { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } }),
    'decoding request failed: unhandled kind: apps/v1, Kind=Deployment',
  ],
] as const) {
  test(`with ${title} it is refused`, async () => {
    const { allowed, status } = await checked(review)
    assert.deepEqual([allowed, status?.reason, status?.code, status?.message], [false, 'BadRequest', 400, message])
  })
}

const wrong = { images: [{ glob: '[' }] }
for (const [title, review] of [
  ['what is deleted', reviewOf(wrong, { operation: 'DELETE', oldObject: { spec: wrong } })],
  ['a status', reviewOf(wrong, { operation: 'UPDATE', subResource: 'status' })],
  [
    'the last finalizer of what is being deleted',
    reviewOf(wrong, {
      operation: 'UPDATE',
      object: { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' }, spec: wrong },
      oldObject: { metadata: { finalizers: ['x'] }, spec: wrong },
    }),
  ],
] as const) {
  test(`${title} is not held against the rules`, async () => assert.equal((await checked(review)).allowed, true))
}

test('an update is held against the rules like a new object', async () => {
  assert.equal((await checked(reviewOf(wrong, { operation: 'UPDATE', oldObject: { spec: wrong } }))).allowed, false)
})

test('a policy without authorities is accepted where the settings say so, and its author told that it admits nobody', async () => {
  const configMaps = new Map([['config-policy-controller', { data: { 'fail-on-empty-authorities': 'false' } }]])
  assert.equal((await checked(reviewOf({ images: [{ glob: '**' }] }))).allowed, false)
  assert.equal((await checked(reviewOf({ images: [{ glob: '**' }] }), { objects: { configMaps } })).allowed, true)
})

async function warned(spec: Json, world: World = {}): Promise<string> {
  const { allowed, warnings, status } = await checked(reviewOf(spec), world)
  assert.ok(allowed, status?.message ?? '')
  return (warnings ?? []).join('\n')
}

for (const [title, spec, warning] of [
  ['a glob with a tag', { images: [{ glob: 'ghcr.io/a/b:v1' }], authorities: [pass] }, /glob ghcr\.io\/a\/b:v1 never matches.*by digest/],
  ['a glob of two stars and a slash', { images: [{ glob: '*/*' }], authorities: [pass] }, /means index\.docker\.io\/\*\/\*.*write \*\*/],
  [
    'an entry of match that fits nothing',
    { images: [{ glob: '**' }], authorities: [pass], match: [{ version: 'v1', resource: 'deployments' }] },
    /^spec\.match\[0\] says group/,
  ],
  [
    'an empty ctlog',
    { images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 's' } }, ctlog: {} }] },
    /ctlog is empty, so no transparency log is checked/,
  ],
  [
    'a Secret that is not there',
    { images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 's' } } }] },
    /secret "s" not found/,
  ],
  [
    'a ConfigMap that is not there',
    { images: [{ glob: '**' }], authorities: [pass], policy: { type: 'cue', configMapRef: { name: 'c', key: 'k' } } },
    /configmap "c" not found/,
  ],
  [
    'a pull secret that only workloads can bring',
    {
      images: [{ glob: '**' }],
      authorities: [{ key: { secretRef: { name: 's' } }, source: [{ oci: 'a.b/c/d', signaturePullSecrets: [{ name: 'z' }] }] }],
    },
    /secret "z" of signaturePullSecrets is not in cosign-system/,
  ],
  [
    'an authority that makes the others idle',
    { images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 's' } } }, pass] },
    /authority a lets every image through, so the other authorities of the policy check nothing/,
  ],
  [
    'a format that there is not',
    { images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 's' } }, signatureFormat: 'bundles' }] },
    /signatureFormat `bundles` is neither legacy nor bundle, so both are looked for/,
  ],
  [
    'a source that the specified rules take and nobody can use',
    { images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 's' } }, source: [{ oci: 'registry.local' }] }] },
    /a repository with its registry is wanted/,
  ],
] as const satisfies readonly (readonly [string, Json, RegExp])[]) {
  test(`the author of a policy is told of ${title}`, async () => assert.match(await warned(spec), warning))
}

const keyless = (more: object): Json => ({
  images: [{ glob: '**' }],
  authorities: [{ name: 'a', keyless: { url: 'https://f', identities: [{ issuer: 'https://i', subject: 's' }], ...more } }],
})

test('the author of a policy is told of a TrustRoot that is not there, and not of one that is and will be fetched now', async () => {
  assert.match(await warned(keyless({ trustRootRef: 't' })), /trustRootRef t not found/)
  const trustRoots = new Map([['t', { spec: { remote: { root: signed, mirror: 'https://m' } } }]])
  const said = await warned(keyless({ trustRootRef: 't' }), { objects: { trustRoots } })
  assert.doesNotMatch(said, /not found|fetched/)
  assert.match(said, /keyless\.trustRootRef is set and ctlog is not/)
})

test('the author of a policy is told of each TrustRoot that is not there', async () => {
  const said = await warned({
    images: [{ glob: '**' }],
    authorities: [
      {
        name: 'a',
        keyless: { url: 'https://f', trustRootRef: 't', identities: [{ issuer: 'https://i', subject: 's' }] },
        ctlog: { trustRootRef: 'u' },
      },
    ],
  })
  assert.equal(said.match(/trustRootRef t not found/g)?.length, 1)
  assert.match(said, /trustRootRef u not found/)
})

test('nothing is said of a key in a KMS that nobody has read so far', async () => {
  assert.equal(await warned({ images: [{ glob: '**' }], authorities: [{ key: { kms: 'hashivault://cosign' } }] }), '')
})

test('the author of a policy is told of a reference to a KMS whose form nobody can use, which was always accepted', async () => {
  assert.match(await warned({ images: [{ glob: '**' }], authorities: [{ key: { kms: 'gcpkms://x' } }] }), /gcpkms:\/\/projects/)
})

test('the author of a policy is told of a public key as ca-cert, and of proof of logging that is not asked for', async () => {
  assert.match(
    await warned(keyless({ 'ca-cert': { data: makeSigner('p256').pem } })),
    /ca-cert is a public key: no certificate can lead to it/,
  )
  assert.match(await warned(keyless({ insecureIgnoreSCT: true })), /insecureIgnoreSCT/)
})

test('nothing is said of a Secret that is there', async () => {
  const secrets = new Map([['s', { data: { 'cosign.pub': base64('no key, which is another matter') } }]])
  const said = await warned({ images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 's' } } }] }, { objects: { secrets } })
  assert.doesNotMatch(said, /not found/)
})

test('the author of a policy is told of another one that refuses all that it speaks about', async () => {
  const policies = new Map<string, object>([['no', { spec: { images: [{ glob: '**' }], authorities: [{ static: { action: 'fail' } }] } }]])
  const said = await warned({ images: [{ glob: 'ghcr.io/**' }], authorities: [pass] }, { objects: { policies } })
  assert.match(said, /^no image can satisfy this policy and `no`/)
})

test('warnings are lines within the limits of Kubernetes', async () => {
  const images = Array.from({ length: 100 }, (_, i) => ({ glob: `ghcr.io/${'a'.repeat(200)}/${i}:tag` }))
  const { warnings = [] } = await checked(reviewOf({ images, authorities: [pass] }))
  assert.ok(warnings.length > 10)
  assert.ok(Buffer.byteLength(warnings.join('')) <= 4096)
  for (const line of warnings) assert.ok(Buffer.byteLength(line) <= 256 && !line.includes('\n'))
})

// — TrustRoots

const repository = { root: signed, mirrorFS: 'eA==', targets: 'targets' }
const at = 'spec.repository.mirrorFS'
for (const [title, problem, message] of [
  [
    'T8',
    { step: 'client', text: 'failed to uncompress: unexpected EOF' },
    `failed to construct a TUF client: ${at}\nfailed to uncompress: unexpected EOF`,
  ],
  ['T9', { step: 'targets', text: 'x' }, `failed to get targets from a TUF client: ${at}\nx`],
  ['no time for it', 'late', `failed to construct a TUF client: ${at}\ncontext deadline exceeded`],
] as const) {
  test(`${title}: a packed repository that cannot be used is refused`, async () => {
    const { status } = await checked(trustRoot({ repository }), { repository: problem })
    assert.equal(status?.message, `validation failed: invalid value: ${message}`)
  })
}

test('a packed repository is looked into only when all else is right', async () => {
  const { status } = await checked(trustRoot({ repository: { ...repository, root: base64('{}') } }), { repository: 'late' })
  assert.match(status?.message ?? '', /no signatures$/)
})

for (const [title, spec, warning] of [
  ['whose repository has nothing to trust', { repository }, /the trust root `p` cannot be read: no certificate authorities found/],
  [
    'whose mirror nobody can ask',
    { remote: { root: signed, mirror: 'ftp://m' } },
    /the trust root `p` cannot be read: .*not an http or https URL/,
  ],
  [
    'with a log whose key is none',
    {
      sigstoreKeys: {
        timestampAuthorities: null,
        certificateAuthorities: [{ subject: { organization: 'o', commonName: 'c' }, uri: 'https://u', certChain: base64('x') }],
      },
    },
    /the trust root `p` cannot be read: .*certificateAuthority\[0\]\.certChain error during PEM decoding/,
  ],
] as const satisfies readonly (readonly [string, Json, RegExp])[]) {
  test(`a TrustRoot ${title} is accepted as ever, and its author is told`, async () => {
    const { allowed, warnings } = await checked(trustRoot(spec), {
      repository: { step: 'content', text: 'no certificate authorities found' },
    })
    assert.equal(allowed, true)
    assert.match(warnings?.join('\n') ?? '', warning)
  })
}

test('a broken TrustRoot is refused with every field', async () => {
  const { status } = await checked(trustRoot({ remote: {} }))
  assert.equal(status?.message, 'validation failed: missing field(s): spec.remote.mirror, spec.remote.root')
  assert.deepEqual(await checked(trustRoot({ remote: { root: signed, mirror: 'https://m' } })), { uid: 'u', allowed: true })
})

// — conversion

function conversion(to: string, ...objects: readonly Json[]) {
  const request = { uid: 'u', desiredAPIVersion: `${GROUP}/${to}`, objects }
  const read = readConversion(Buffer.from(JSON.stringify({ kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1', request })))
  assert.ok(read.ok)
  return convert(read.conversion).response
}

const stored = (version: string, spec: Json): { readonly [key: string]: Json } => ({
  kind: 'ClusterImagePolicy',
  apiVersion: `${GROUP}/${version}`,
  metadata: { name: 'p', managedFields: [{ manager: 'kubectl' }] },
  spec,
  status: { observedGeneration: 3, conditions: [{ type: 'Ready', status: 'True' }], keys: 1 },
})

test('a policy changes its version and nothing else, whichever way', () => {
  const spec = {
    images: [{ glob: '**' }],
    authorities: [
      { name: 'a', keyless: { url: 'https://f', identities: [{ issuer: 'i', subject: 's' }] }, ctlog: { trustRootRef: 't' } },
      { name: 'b', key: { secretRef: { name: 's' } }, ctlog: {}, rfc3161timestamp: {} },
    ],
    mode: 'warn',
  }
  for (const [from, to] of [
    ['v1alpha1', 'v1beta1'],
    ['v1beta1', 'v1alpha1'],
    ['v1beta1', 'v1beta1'],
  ] as const)
    assert.deepEqual(conversion(to, stored(from, spec)), {
      uid: 'u',
      convertedObjects: [stored(to, spec)],
      result: { metadata: {}, status: 'Success' },
    })
})

test('what a newer version added, and a URL that is none, survive', () => {
  const spec = {
    images: [{ glob: '**', newer: { a: 1 } }],
    authorities: [{ name: 'a', keyless: { url: '::bad::', identities: [] } }],
    mode: 'enforce',
    newer: [1],
  }
  assert.deepEqual(conversion('v1beta1', stored('v1alpha1', spec)).convertedObjects, [stored('v1beta1', spec)])
})

test('what is missing is filled in on the way', () => {
  const [object] = conversion('v1beta1', {
    apiVersion: `${GROUP}/v1alpha1`,
    kind: 'ClusterImagePolicy',
    metadata: { name: 'p' },
  }).convertedObjects
  assert.deepEqual(object, {
    kind: 'ClusterImagePolicy',
    apiVersion: `${GROUP}/v1beta1`,
    metadata: { name: 'p' },
    spec: { images: null, mode: 'enforce' },
    status: {},
  })
})

test('the first object that cannot be converted ends it; those before it are listed', () => {
  const good = stored('v1alpha1', { images: [], mode: 'enforce' })
  const { convertedObjects, result } = conversion('v1beta1', good, { ...good, spec: 'x' }, good)
  assert.equal(convertedObjects.length, 1)
  assert.deepEqual(result, {
    metadata: {},
    status: 'Failure',
    message:
      'unable to unmarshal input: json: cannot unmarshal string into Go struct field ClusterImagePolicy.spec of type v1alpha1.ClusterImagePolicySpec',
  })
  assert.match(JSON.stringify(conversion('v2', good).result), /conversion not supported for type/)
})
