import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isEnding, readResource, typeOf, whyUnhandled } from '../../src/admission/resource.ts'
import type { Review } from '../../src/admission/review.ts'
import { rewritten } from '../../src/admission/struct.ts'
import type { Json } from '../../src/image/json.ts'

const group = 'policy.sigstore.dev'

function reviewOf(object: Json, more: Partial<Review> = {}): Review {
  const kind = { group, version: 'v1beta1', kind: 'ClusterImagePolicy' }
  return { uid: 'u', kind, operation: 'CREATE', subResource: '', namespace: '', name: 'asked', user: '', object, oldObject: null, ...more }
}

for (const [version, kind, isHandled] of [
  ['v1alpha1', 'ClusterImagePolicy', true],
  ['v1beta1', 'ClusterImagePolicy', true],
  ['v1alpha1', 'TrustRoot', true],
  ['v1beta1', 'TrustRoot', false],
  ['v1', 'ClusterImagePolicy', false],
] as const) {
  test(`${version} ${kind} is ${isHandled ? 'known' : 'not known'}`, () => {
    const why = isHandled ? undefined : `unhandled kind: ${group}/${version}, Kind=${kind}`
    assert.equal(whyUnhandled({ group, version, kind }), why)
    assert.notEqual(whyUnhandled({ group: 'other', version, kind }), undefined)
  })
}

test('a policy is read in the spelling of its type, its name from its metadata', () => {
  const object = { metadata: { name: 'p' }, spec: { images: [{ GLOB: '**' }], authorities: [{ key: { secretref: { name: 's' } } }] } }
  const read = readResource(reviewOf(object))
  assert.ok(read.ok)
  assert.equal(read.resource.name, 'p')
  assert.equal(read.resource.written, object)
  assert.deepEqual(read.resource.spec, { images: [{ glob: '**' }], authorities: [{ name: '', key: { secretRef: { name: 's' } } }] })
  assert.deepEqual(read.resource.object, { metadata: { name: 'p' }, spec: read.resource.spec, status: {} })
})

test('without a name of its own it has that of the request', () => {
  const read = readResource(reviewOf({ metadata: { generateName: 'x' } }))
  assert.ok(read.ok)
  assert.equal(read.resource.name, 'asked')
})

test('a field that nobody reads is refused, but not in metadata and status', () => {
  const fields = { metadata: { managedFields: [{}], new: 1 }, status: { keys: 1, conditions: [{ type: 'Ready', new: 1 }] } }
  assert.ok(readResource(reviewOf(fields)).ok)
  assert.deepEqual(readResource(reviewOf({ spec: { authorities: [{ key: { data: 'x', seceret: 1 } }] } })), {
    ok: false,
    text: 'cannot decode incoming new object: json: unknown field "seceret"',
  })
})

test('a wrong type names the field and the type that was wanted', () => {
  assert.deepEqual(readResource(reviewOf({ spec: { images: { glob: '**' } } })), {
    ok: false,
    text: 'cannot decode incoming new object: json: cannot unmarshal object into Go struct field ClusterImagePolicySpec.spec.images of type []v1beta1.ImagePattern',
  })
})

test('the types know every field of specification 1.2 and 1.5, and nothing of them is lost', () => {
  const key = { secretRef: { name: 's', namespace: 'n' }, data: 'd', kms: 'k', hashAlgorithm: 'sha512' }
  const inclusions = { fetchConfigFile: true, includeSpec: false, includeObjectMeta: true, includeTypeMeta: false }
  const source = { data: 'd', remote: { url: 'https://u', sha256sum: 's' }, configMapRef: { name: 'n', namespace: 'n', key: 'k' } }
  const policy = { type: 'cue', ...source, ...inclusions }
  const selector = { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'k', operator: 'In', values: ['v'] }] }
  const spec = {
    images: [{ glob: '**' }],
    authorities: [
      {
        name: 'a',
        key,
        keyless: {
          'url': 'https://u',
          'identities': [{ issuer: 'i', issuerRegExp: 'i', subject: 's', subjectRegExp: 's' }],
          'ca-cert': key,
          'trustRootRef': 't',
          'insecureIgnoreSCT': false,
        },
        static: { action: 'pass', message: 'm' },
        source: [{ oci: 'o', signaturePullSecrets: [{ name: 's' }], tagPrefix: '' }],
        ctlog: { url: 'https://u', trustRootRef: 't' },
        attestations: [{ name: 'n', predicateType: 't', policy }],
        rfc3161timestamp: { trustRootRef: 't' },
        signatureFormat: 'bundle',
      },
    ],
    policy,
    mode: 'warn',
    match: [{ group: 'apps', version: 'v1', resource: 'deployments', selector }],
  }
  const tuf = { root: 'e30=', targets: 't', trustedRootTarget: 'x' }
  const authority = { subject: { organization: 'o', commonName: 'c' }, uri: 'https://u', certChain: 'e30=' }
  const log = { baseURL: 'https://u', hashAlgorithm: 'sha-256', publicKey: 'e30=' }
  const trustRoot = {
    remote: { ...tuf, mirror: 'https://u' },
    repository: { ...tuf, mirrorFS: 'e30=' },
    sigstoreKeys: { certificateAuthorities: [authority], tLogs: [log], ctLogs: [log], timestampAuthorities: [authority] },
    trustedRoot: { mediaType: 'm' },
  }
  for (const [version, kind, written] of [
    ['v1alpha1', 'ClusterImagePolicy', spec],
    ['v1beta1', 'ClusterImagePolicy', spec],
    ['v1alpha1', 'TrustRoot', trustRoot],
  ] as const) {
    const type = typeOf({ group, version, kind })
    assert.ok(type)
    const read = rewritten({ metadata: {}, spec: written, status: {} } as Json, type, 'strict')
    assert.deepEqual(read, { ok: true, value: { metadata: {}, spec: written, status: {} } })
  }
})

const ending = { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [] }, spec: { images: [{ glob: '[' }] } }
const update = { operation: 'UPDATE', oldObject: { metadata: { finalizers: ['x'] }, spec: { images: [{ glob: '[' }] } } }
for (const [title, review, is] of [
  ['one that is being deleted and keeps its spec', reviewOf(ending, update), true],
  ['one that changes its spec on the way', reviewOf({ ...ending, spec: { images: [{ glob: '**' }] } }, update), false],
  ['one that loses its spec', reviewOf({ metadata: ending.metadata }, update), false],
  ['one that is not being deleted', reviewOf({ metadata: {}, spec: ending.spec }, update), false],
  ['one that is new and says that it is', reviewOf(ending), false],
  ['one whose old self is not known', reviewOf(ending, { operation: 'UPDATE' }), false],
] as const)
  test(`${title} is ${is ? '' : 'not '}on its way out`, () => assert.equal(isEnding(review), is))
