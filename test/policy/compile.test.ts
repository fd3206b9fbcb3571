import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import type { Snapshot } from '../../src/policy/compile.ts'
import { compile, nothingKnown } from '../../src/policy/compile.ts'
import type { ClusterObjects } from '../../src/policy/objects.ts'
import type { Terms } from '../../src/sigstore/terms.ts'
import type { PublicKey } from '../../src/trust/key.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

const pem = newPem()
const otherPem = newPem()

function newPem(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' })
}

function compiled(spec: unknown, more: Partial<ClusterObjects> = {}, before?: Snapshot): Snapshot {
  const policies = new Map([
    ['p', { apiVersion: 'policy.sigstore.dev/v1beta1', kind: 'ClusterImagePolicy', metadata: { name: 'p' }, spec } as object],
  ])
  return compile(
    { policies, policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map(), ...more },
    'cosign-system',
    before,
  )
}

function only(snapshot: Snapshot) {
  const [policy] = snapshot.policies
  assert.ok(policy)
  return policy
}

function secret(data: Readonly<Record<string, string>>): Pick<ClusterObjects, 'secrets'> {
  const encoded = Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString('base64')]))
  return { secrets: new Map([['cosign-pub', { kind: 'Secret', data: encoded }]]) }
}

const keyed = { name: 'a', key: { data: pem } }
function withAuthority(more: object): object {
  return { images: [{ glob: '**' }], authorities: [{ ...keyed, ...more }] }
}

test('a sound policy refuses nothing and warns of nothing', () => {
  const policy = only(compiled(withAuthority({})))
  assert.deepEqual(policy.refuses, [])
  assert.deepEqual(policy.warnings, [])
  assert.equal(policy.mode, 'enforce')
  assert.equal(policy.authorities[0]?.check.by, 'key')
})

describe('every field of a ClusterImagePolicy is carried out, or refuses and is named', () => {
  // Specification 1.2, path by path. `refuses`: who refuses when the field is there; a field carried out has its effect checked below.
  const fields: readonly [string, object, 'policy' | 'authority'][] = [
    ['spec.policy', { images: [{ glob: '**' }], authorities: [keyed], policy: { type: 'cue', data: 'a: 1' } }, 'policy'],
    ['spec.authorities[0].key.kms', { images: [{ glob: '**' }], authorities: [{ key: { kms: 'awskms:///arn' } }] }, 'authority'],
    [
      'spec.authorities[0].keyless',
      { images: [{ glob: '**' }], authorities: [{ keyless: { identities: [{ issuer: 'i', subject: 's' }] } }] },
      'authority',
    ],
    [
      'spec.authorities[0].attestations[0].policy',
      withAuthority({ attestations: [{ name: 'n', predicateType: 'custom', policy: { type: 'cue', data: 'a: 1' } }] }),
      'authority',
    ],
    ['spec.authorities[0].ctlog', withAuthority({ ctlog: { url: 'https://rekor.example' } }), 'authority'],
    ['spec.authorities[0].ctlog', withAuthority({ ctlog: { trustRootRef: 't' } }), 'authority'],
    ['spec.authorities[0].rfc3161timestamp', withAuthority({ rfc3161timestamp: { trustRootRef: 't' } }), 'authority'],
  ]
  for (const [field, spec, who] of fields) {
    test(`${field} is not carried out, so the ${who} refuses and names it: ${JSON.stringify(spec).length}`, () => {
      const policy = only(compiled(spec))
      const reasons = who === 'policy' ? policy.refuses : (policy.authorities[0]?.refuses ?? [])
      assert.deepEqual(reasons, [{ code: 'field-not-carried-out', field }])
      assert.ok(
        policy.warnings.some((w) => w.includes(field)),
        'its author is told',
      )
    })
  }

  const paths = [
    'spec.extra',
    'spec.images[0].regex',
    'spec.authorities[0].extra',
    'spec.authorities[0].key.extra',
    'spec.authorities[0].key.secretRef.extra',
    'spec.authorities[0].keyless.extra',
    'spec.authorities[0].keyless.identities[0].extra',
    'spec.authorities[0].keyless.ca-cert.extra',
    'spec.authorities[0].static.extra',
    'spec.authorities[0].source[0].extra',
    'spec.authorities[0].source[0].signaturePullSecrets[0].extra',
    'spec.authorities[0].ctlog.extra',
    'spec.authorities[0].attestations[0].extra',
    'spec.authorities[0].attestations[0].policy.extra',
    'spec.authorities[0].rfc3161timestamp.extra',
    'spec.policy.extra',
    'spec.policy.remote.extra',
    'spec.policy.configMapRef.extra',
    'spec.match[0].extra',
    'spec.match[0].selector.extra',
    'spec.match[0].selector.matchExpressions[0].extra',
  ]
  for (const path of paths) {
    test(`an unknown field ${path} refuses and is named`, () => {
      const policy = only(compiled(at(path.slice('spec.'.length), 'x')))
      assert.ok(
        policy.refuses.some((r) => sentenceOf(r).startsWith(`${path}: found an unknown field`)),
        JSON.stringify(policy.refuses),
      )
    })
  }
})

describe('attestations', () => {
  test('are wanted by name and by the type that is written, or that it is short for', () => {
    const attestations = [
      { name: 'one', predicateType: 'slsaprovenance1' },
      { name: 'two', predicateType: 'https://example.com/type' },
    ]
    const policy = only(compiled(withAuthority({ attestations })))
    assert.deepEqual(policy.refuses, [])
    assert.deepEqual(policy.authorities[0]?.attestations, [
      { name: 'one', written: 'slsaprovenance1', predicateType: 'https://slsa.dev/provenance/v1' },
      { name: 'two', written: 'https://example.com/type', predicateType: 'https://example.com/type' },
    ])
  })

  for (const field of ['name', 'predicateType']) {
    test(`without ${field} the policy refuses and names the field`, () => {
      const attestation = { name: 'n', predicateType: 'custom', [field]: undefined }
      const policy = only(compiled(withAuthority({ attestations: [attestation] })))
      assert.deepEqual(policy.refuses.map(sentenceOf), [`missing field(s): spec.authorities[0].attestations.${field}`])
    })
  }
})

/** An object that holds `value` at `path` and nothing else. */
function at(path: string, value: unknown): object {
  const nested = path
    .split('.')
    .toReversed()
    .reduce((inner: unknown, step) => {
      const [, name = '', index] = /^(.*?)(\[0\])?$/.exec(step) ?? []
      return { [name]: index === undefined ? inner : [inner] }
    }, value)
  return nested as object
}

test('a broken shape refuses, and says what was found and what was wanted', () => {
  assert.deepEqual(only(compiled({ images: 'all', authorities: [keyed] })).refuses[0], {
    code: 'policy-unreadable',
    cause: 'spec.images: found a string, wanted a list',
  })
  assert.deepEqual(only(compiled(undefined)).refuses[0], { code: 'policy-unreadable', cause: 'spec: found nothing, wanted an object' })
})

test('a policy that does not say whom it is about speaks about every image, and refuses it', () => {
  for (const spec of [{ authorities: [keyed] }, { images: [], authorities: [keyed] }, { images: [{}], authorities: [keyed] }]) {
    const policy = only(compiled(spec))
    assert.ok(policy.globs.some((g) => g.matches('registry.example/any@sha256:aa')))
    assert.ok(policy.refuses.length > 0)
  }
})

test('a policy whose match or images cannot be read in full speaks about every object, and refuses it', () => {
  for (const spec of [
    { ...withAuthority({}), match: [{ group: '', version: 1, resource: 'pods' }] },
    { images: [{ glob: 'registry.example/a*' }, { glob: 7 }], authorities: [keyed] },
  ]) {
    const policy = only(compiled(spec))
    assert.deepEqual(policy.match, [])
    assert.ok(policy.globs.some((g) => g.matches('elsewhere.example/any@sha256:aa')))
    assert.equal(policy.refuses[0]?.code, 'policy-unreadable')
  }
})

for (const [name, authority, cause] of [
  [
    'none of key, keyless and static',
    { name: 'a' },
    'expected exactly one, got neither: spec.authorities[0].key, spec.authorities[0].keyless, spec.authorities[0].static',
  ],
  [
    'key and static',
    { ...keyed, static: { action: 'pass' } },
    'expected exactly one, got both: spec.authorities[0].key, spec.authorities[0].keyless, spec.authorities[0].static',
  ],
  [
    'a static action that is neither pass nor fail',
    { static: { action: 'maybe' } },
    'invalid value: maybe: spec.authorities[0].static.action\nunsupported action',
  ],
  ['a static action that is missing', { static: { message: 'm' } }, 'missing field(s): spec.authorities[0].static.action'],
  [
    'static beside a source',
    { static: { action: 'pass' }, source: [{ oci: 'registry.example/sigs' }] },
    'expected exactly one, got both: spec.authorities[0].source, spec.authorities[0].static',
  ],
  ['two sources', { ...keyed, source: [{}, {}] }, 'invalid value: source: spec.authorities[0].source\nonly single source is supported'],
  [
    'a pull secret without a name',
    { ...keyed, source: [{ signaturePullSecrets: [{}] }] },
    'missing field(s): spec.authorities[0].source[0].signaturePullSecrets[0].name',
  ],
] as const) {
  test(`${name}: the whole policy refuses`, () =>
    assert.deepEqual(only(compiled({ images: [{ glob: '**' }], authorities: [authority] })).refuses, [
      { code: 'policy-unreadable', cause },
    ]))
}

test('a mode that is neither enforce nor warn is enforced, and refuses', () => {
  const policy = only(compiled({ ...withAuthority({}), mode: 'audit' }))
  assert.equal(policy.mode, 'enforce')
  assert.deepEqual(policy.refuses, [{ code: 'policy-unreadable', cause: 'invalid value: audit: spec.mode\nunsupported mode' }])
  assert.equal(only(compiled({ ...withAuthority({}), mode: 'warn' })).mode, 'warn')
})

test('authorities without a name are called by their index', () => {
  const policy = only(
    compiled({
      images: [{ glob: '**' }],
      authorities: [{ key: { data: pem } }, { name: 'named', key: { data: pem } }, { name: '', key: { data: pem } }],
    }),
  )
  assert.deepEqual(
    policy.authorities.map((a) => a.name),
    ['authority-0', 'named', 'authority-2'],
  )
})

test('a source leads to another repository, with a tag prefix and pull secrets of its own', () => {
  const policy = only(
    compiled(withAuthority({ source: [{ oci: 'sigs.example/store', tagPrefix: 'x-', signaturePullSecrets: [{ name: 's' }] }] })),
  )
  assert.deepEqual(policy.authorities[0]?.source, {
    repository: { registry: 'sigs.example', repository: 'store' },
    tagPrefix: 'x-',
    pullSecrets: ['s'],
  })
})

for (const oci of [
  'registry.example',
  'registry.example:5000',
  'registry.example/a@sha256:aa',
  'registry.example/a:tag',
  'https://registry.example/a',
]) {
  test(`source.oci ${oci} is not a repository, so the policy refuses`, () =>
    assert.match(sentenceOf(only(compiled(withAuthority({ source: [{ oci }] }))).refuses[0]!), /a repository with its registry is wanted/))
}

test('signatureFormat restricts where a signature may come from; without it all formats count', () => {
  const format = (signatureFormat?: string) =>
    only(compiled(withAuthority(signatureFormat === undefined ? {} : { signatureFormat }))).authorities[0]?.format
  assert.deepEqual([format(), format('bundle'), format('legacy'), format('other')], ['any', 'bundle', 'annotations', 'any'])
})

describe('the key of a Secret', () => {
  const spec = { images: [{ glob: '**' }], authorities: [{ name: 'a', key: { secretRef: { name: 'cosign-pub' } } }, keyed] }
  test('is used when the Secret has exactly one entry with a public key', () => {
    const policy = only(compiled(spec, secret({ 'cosign.pub': pem })))
    assert.deepEqual(policy.refuses, [])
    assert.equal(policy.authorities[0]?.check.by, 'key')
  })
  for (const [name, objects, cause] of [
    ['that is missing', {}, 'secret "cosign-pub" not found'],
    ['that is empty', secret({}), 'secret "cosign-pub" contains no data'],
    ['with two entries', secret({ a: pem, b: pem }), 'secret "cosign-pub" contains multiple data entries, only one is supported'],
    ['that holds no key', secret({ a: 'nothing' }), 'secret "cosign-pub" contains an invalid public key: PEM decoding failed'],
  ] as const) {
    test(`of a Secret ${name} refuses the whole policy, good neighbours included`, () =>
      assert.deepEqual(only(compiled(spec, objects)).refuses, [{ code: 'key-unusable', cause }]))
  }
  test('is looked for in the namespace of the controller only', () => {
    const elsewhere = { images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 'cosign-pub', namespace: 'demo' } } }] }
    assert.match(sentenceOf(only(compiled(elsewhere, secret({ a: pem }))).refuses[0]!), /read from cosign-system only/)
    const own = { images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 'cosign-pub', namespace: 'cosign-system' } } }] }
    assert.deepEqual(only(compiled(own, secret({ a: pem }))).refuses, [])
  })
  test('changes the hash that passes are remembered under when it changes, and stops counting when it is gone', () => {
    const first = compiled(spec, secret({ a: pem }))
    const second = compiled(spec, secret({ a: otherPem }), first)
    const gone = compiled(spec, {}, second)
    assert.notEqual(only(first).hash, only(second).hash)
    assert.notEqual(only(second).hash, only(gone).hash)
    assert.ok(only(gone).refuses.length > 0)
  })
})

for (const [name, key, cause] of [
  [
    'nothing',
    {},
    'expected exactly one, got neither: spec.authorities[0].key.data, spec.authorities[0].key.kms, spec.authorities[0].key.secretref',
  ],
  [
    'data and a Secret',
    { data: pem, secretRef: { name: 's' } },
    'expected exactly one, got both: spec.authorities[0].key.data, spec.authorities[0].key.kms, spec.authorities[0].key.secretref',
  ],
] as const) {
  test(`a key of ${name} refuses`, () =>
    assert.equal(sentenceOf(only(compiled({ images: [{ glob: '**' }], authorities: [{ key }] })).refuses[0]!), cause))
}

test('a hash algorithm that is not known refuses; one that is known counts', () => {
  const hashed = (hashAlgorithm: string) =>
    only(compiled({ images: [{ glob: '**' }], authorities: [{ key: { data: pem, hashAlgorithm } }] }))
  assert.equal(hashed('md5').refuses[0]?.code, 'key-unusable')
  const { check } = hashed(' SHA512 ').authorities[0]!
  assert.equal(check.by === 'key' && keyIn(check.demands[0]?.annotations)?.hash, 'sha512')
})

test('an empty ctlog or rfc3161timestamp asks for nothing, and its author is told so', () => {
  const policy = only(compiled(withAuthority({ ctlog: {}, rfc3161timestamp: {} })))
  assert.deepEqual([policy.refuses, policy.authorities[0]?.refuses], [[], []])
  assert.equal(policy.warnings.length, 2)
})

test('keyless: disabled refuses a keyless authority and names the setting', () => {
  const configMaps = new Map([['config-policy-controller', { data: { keyless: 'disabled' } }]])
  const policy = only(
    compiled({ images: [{ glob: '**' }], authorities: [{ keyless: { identities: [{ issuer: 'i', subject: 's' }] } }] }, { configMaps }),
  )
  assert.deepEqual(policy.authorities[0]?.refuses, [{ code: 'keyless-disabled' }])
})

test('with tag-resolution-for: pods a policy whose match leaves out pods is warned about', () => {
  const configMaps = new Map([['config-policy-controller', { data: { 'tag-resolution-for': 'pods' } }]])
  const matched = (resource: string) =>
    only(compiled({ ...withAuthority({}), match: [{ group: '', version: 'v1', resource }] }, { configMaps })).warnings.length
  assert.deepEqual([matched('deployments'), matched('pods')], [1, 0])
})

test('a policy that did not change is the same object, so nothing is compiled twice', () => {
  const first = compiled(withAuthority({}))
  assert.equal(only(compiled(withAuthority({}), {}, first)), only(first))
})

test('policies stand in the order of their names, whatever order they came in', () => {
  const policies = new Map(['b', 'a', 'B', 'a.b'].map((name) => [name, { spec: withAuthority({}) } as object]))
  const names = compile(
    { policies, policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map() },
    'cosign-system',
  ).policies.map((p) => p.name)
  assert.deepEqual(names, ['B', 'a', 'a.b', 'b'])
})

test('an empty list that is not known to be complete is not «no policy at all»', () => {
  const nothing = { policies: new Map(), secrets: new Map(), configMaps: new Map(), trustRoots: new Map() }
  assert.equal(compile({ ...nothing, policiesIncomplete: undefined }, 'cosign-system').unknownBecause, undefined)
  assert.equal(
    compile({ ...nothing, policiesIncomplete: 'the API server does not answer' }, 'cosign-system').unknownBecause,
    'the API server does not answer',
  )
  assert.ok(nothingKnown.unknownBecause)
})

test('a tag glob never matches an admitted image, and its author is told', () => {
  assert.equal(only(compiled({ images: [{ glob: 'ghcr.io/acme/app:v1' }], authorities: [keyed] })).warnings.length, 1)
})

test('a glob that is none refuses every image that is compared with it, so its author is told at once', () => {
  const { warnings } = only(compiled({ images: [{ glob: 'ghcr.io/acme/ap?' }], authorities: [keyed] }))
  assert.deepEqual(warnings, ['invalid glob "ghcr.io/acme/ap?" refuses every image that is compared with it'])
})

function keyIn(terms: Terms | undefined): PublicKey | undefined {
  return terms?.signer.by === 'key' ? terms.signer.key : undefined
}
