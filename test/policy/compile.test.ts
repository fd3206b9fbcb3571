import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compile, nothingKnown } from '../../src/policy/compile.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { compiled, keyed, only, withAuthority } from './one-policy.ts'

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

test('a tag glob never matches an admitted image, and its author is told', () => {
  assert.equal(only(compiled({ images: [{ glob: 'ghcr.io/acme/app:v1' }], authorities: [keyed] })).warnings.length, 1)
})

test('a glob that is none refuses every image that is compared with it, so its author is told at once', () => {
  const { warnings } = only(compiled({ images: [{ glob: 'ghcr.io/acme/ap?' }], authorities: [keyed] }))
  assert.deepEqual(warnings, ['invalid glob "ghcr.io/acme/ap?" refuses every image that is compared with it'])
})
