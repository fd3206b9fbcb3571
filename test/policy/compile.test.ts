import assert from 'node:assert/strict'
import { KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import { X509Certificate } from '@sigstore/core'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { compile, nothingKnown } from '../../src/policy/compile.ts'
import type { Outside } from '../../src/policy/objects.ts'
import { nothingFetched } from '../../src/policy/objects.ts'
import { readTrustedRoot } from '../../src/trust/trusted-root.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { compiled, keyed, only, otherPem, pem, secret, withAuthority } from './one-policy.ts'

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
    [
      'spec.authorities[0].keyless.ca-cert.kms',
      {
        images: [{ glob: '**' }],
        authorities: [{ keyless: { 'identities': [{ issuer: 'i', subject: 's' }], 'ca-cert': { kms: 'awskms:///arn' } } }],
      },
      'authority',
    ],
    [
      'spec.authorities[0].attestations[0].policy',
      withAuthority({ attestations: [{ name: 'n', predicateType: 'custom', policy: { type: 'cue', data: 'a: 1' } }] }),
      'authority',
    ],
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

test('a mode that is neither enforce nor warn is enforced, and refuses', () => {
  const policy = only(compiled({ ...withAuthority({}), mode: 'audit' }))
  assert.equal(policy.mode, 'enforce')
  assert.deepEqual(policy.refuses, [{ code: 'policy-unreadable', cause: 'invalid value: audit: spec.mode\nunsupported mode' }])
  assert.equal(only(compiled({ ...withAuthority({}), mode: 'warn' })).mode, 'warn')
})

test('with tag-resolution-for: pods a policy whose match leaves out pods is warned about', () => {
  const configMaps = new Map([['config-policy-controller', { data: { 'tag-resolution-for': 'pods' } }]])
  const matched = (resource: string) =>
    only(compiled({ ...withAuthority({}), match: [{ group: resource === 'pods' ? '' : 'apps', version: 'v1', resource }] }, { configMaps }))
      .warnings.length
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

test('a policy that is broken, or being deleted, is a policy all the same: with it there is no fallback', () => {
  const nothing = { policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map() }
  const fallbackWith = (policies: ReadonlyMap<string, object>): boolean =>
    compile({ ...nothing, policies }, 'cosign-system').fallback !== undefined
  assert.equal(fallbackWith(new Map()), true)
  for (const policy of [
    { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['x/y'] }, spec: withAuthority({}) },
    { spec: 5 },
    {},
    { spec: { images: [{ glob: '[' }], authorities: [] } },
  ])
    assert.equal(fallbackWith(new Map([['p', policy]])), false, JSON.stringify(policy))
})

test('a tag glob never matches an admitted image, and its author is told', () => {
  assert.equal(only(compiled({ images: [{ glob: 'ghcr.io/acme/app:v1' }], authorities: [keyed] })).warnings.length, 1)
})

test('a glob that is none refuses every image that is compared with it, so its author is told at once', () => {
  const { warnings } = only(compiled({ images: [{ glob: 'ghcr.io/acme/ap?' }], authorities: [keyed] }))
  assert.deepEqual(warnings, ['invalid glob "ghcr.io/acme/ap?" refuses every image that is compared with it'])
})

describe('lesson 6, lesson 7: no field of a policy can be taken out without what is judged by being another', async () => {
  const roots = await Promise.all(
    ['tr', 'logs', 'stamps'].map(async (name) => [name, await Sigstore.create({ name: `${name}.example` })] as const),
  )
  const outside: Outside = {
    ...nothingFetched(),
    trustRoots: new Map(roots.map(([name, sigstore]) => [name, readTrustedRoot(JSON.stringify(sigstore.trustedRoot()), name)])),
    kmsKeys: new Map([['awskms:///arn:aws:kms:us-east-2:111122223333:alias/a', { ok: true, value: pem }]]),
  }
  const root = outside.trustRoots.get('tr')
  assert.ok(root?.ok)
  const chain = root.value.certificateAuthorities
    .flatMap(({ roots: anchors, intermediates }) => [...intermediates, ...anchors])
    .map(({ root: der }) => `-----BEGIN CERTIFICATE-----\n${der.toDER().toString('base64')}\n-----END CERTIFICATE-----\n`)
    .join('')
  const images = [{ glob: 'registry.example/a*' }, { glob: 'registry.example/b*' }]
  const identities = [
    { issuer: 'https://i.example', subject: 's@a.example' },
    { issuerRegExp: '^i$', subjectRegExp: '^s$' },
  ]
  const policies: readonly [string, object, (readonly string[])?][] = [
    [
      'images, mode and match',
      {
        images,
        mode: 'warn',
        match: [
          {
            group: 'apps',
            version: 'v1',
            resource: 'deployments',
            selector: { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'k', operator: 'In', values: ['v'] }] },
          },
          { group: 'batch', version: 'v1', resource: 'jobs' },
        ],
        authorities: [{ name: 'fixed', static: { action: 'fail', message: 'no' } }],
      },
    ],
    [
      'a key',
      {
        images,
        authorities: [
          {
            name: 'a',
            key: { data: pem, hashAlgorithm: 'sha512' },
            source: [{ oci: 'registry.example/sigs', tagPrefix: 'x-', signaturePullSecrets: [{ name: 'one' }, { name: 'two' }] }],
            attestations: [
              { name: 'n', predicateType: 'https://p.example/1' },
              { name: 'm', predicateType: 'spdx' },
            ],
            ctlog: { trustRootRef: 'logs' },
            signatureFormat: 'legacy',
          },
          { name: 'b', key: { secretRef: { name: 'cosign-pub', namespace: 'cosign-system' } } },
          { name: 'c', key: { kms: 'awskms:///arn:aws:kms:us-east-2:111122223333:alias/a' } },
        ],
      },
      ['authorities.1.key.secretRef.namespace'],
    ], // it may only be the controller's own
    ['a log to search', { images, authorities: [{ name: 'a', key: { data: pem }, ctlog: { url: 'https://log.example' } }] }],
    [
      'keyless',
      {
        images,
        authorities: [
          {
            name: 'a',
            keyless: { url: 'https://fulcio.example', identities, trustRootRef: 'tr', insecureIgnoreSCT: true },
            rfc3161timestamp: { trustRootRef: 'stamps' },
          },
          { name: 'b', keyless: { 'ca-cert': { data: chain }, identities, 'trustRootRef': 'tr' }, ctlog: { trustRootRef: 'logs' } },
        ],
      },
      ['authorities.0.keyless.url'],
    ], // Q33: it says nothing about whom to believe
    [
      'bundles',
      {
        images,
        authorities: [
          { name: 'a', keyless: { identities, trustRootRef: 'tr' }, signatureFormat: 'bundle', rfc3161timestamp: { trustRootRef: 'tr' } },
        ],
      },
    ],
    ['a policy of its own', { images, authorities: [keyed], policy: { type: 'cue', data: 'a: 1' } }, ['policy.type', 'policy.data']], // it refuses, whatever it says
  ]
  const judgedBy = (spec: object): string => {
    const { hash: _, warnings: __, ...policy } = only(compiled(spec, secret({ 'cosign.pub': otherPem }), undefined, outside))
    return JSON.stringify(policy, (field, value: unknown) => {
      if (field === 'hash' && typeof value === 'string' && value.length === 64) return undefined
      if (value instanceof KeyObject) return value.export({ format: 'der', type: 'spki' }).toString('hex')
      if (value instanceof X509Certificate) return value.root.toDER().toString('hex')
      if (value instanceof Set) return [...(value as Set<unknown>)]
      return value
    })
  }
  test('what an authority says of identities and of whom to believe counts for both forms of signatures', () => {
    const [, spec] = policies.find(([what]) => what === 'keyless') ?? []
    assert.ok(spec)
    const parts = (of: object): readonly string[] =>
      judgedBy(of)
        .split('"annotations":')
        .flatMap((part) => part.split('"bundle":'))
    const whole = parts(spec)
    const fields = [
      'identities.0.issuer',
      'identities.0.subject',
      'identities.1.issuerRegExp',
      'identities.1.subjectRegExp',
      'insecureIgnoreSCT',
      'trustRootRef',
    ]
    for (const field of fields) {
      const now = parts(without(spec, ['authorities', '0', 'keyless', ...field.split('.')]))
      assert.notEqual(now[1], whole[1], `${field}: the old form`)
      assert.notEqual(now[2], whole[2], `${field}: bundles`)
    }
  })
  for (const [what, spec, free = []] of policies) {
    const whole = judgedBy(spec)
    for (const path of pathsIn(spec)) {
      const at = path.join('.')
      const isFree = free.includes(at)
      test(`${what}: ${at}${isFree ? ' says nothing' : ''}`, () => assert.equal(judgedBy(without(spec, path)) === whole, isFree))
    }
  }
})

function pathsIn(value: unknown, before: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [[...before, key], ...pathsIn(inner, [...before, key])])
}

function without(value: unknown, [first = '', ...rest]: readonly string[]): object {
  const entries = Object.entries(value as object).flatMap(([key, inner]: [string, unknown]) =>
    key !== first ? [[key, inner] as const] : rest.length === 0 ? [] : [[key, without(inner, rest)] as const],
  )
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries)
}
