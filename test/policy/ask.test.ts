import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSigner } from '../../fakes/signer.ts'
import { readReference } from '../../src/image/reference.ts'
import type { ImageAtDigest } from '../../src/policy/ask.ts'
import { ask, keyOf } from '../../src/policy/ask.ts'
import { compile } from '../../src/policy/compile.ts'

const digest = `sha256:${'a'.repeat(64)}` as const
const image = readReference(`registry.example/team/app@${digest}`) as ImageAtDigest
const key = { key: { data: makeSigner().pem } }

function asked(...authorities: readonly object[]) {
  const policies = new Map([['p', { spec: { images: [{ glob: '**' }], authorities } } as object]])
  const [policy] = compile(
    { policies, policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map() },
    'cosign-system',
  ).policies
  assert.ok(policy)
  return ask(policy, image)
}
const shown = (asks: ReturnType<typeof asked>) =>
  asks.map((a) => `${a.ask} ${a.place.registry}/${a.place.repository} ${a.tagPrefix}${a.credentials.of}`)

test('a key asks for the tag and for the referrers, beside the image', () => {
  assert.deepEqual(shown(asked(key)), [
    'signatures-by-tag registry.example/team/app workload',
    'signatures-by-referrers registry.example/team/app workload',
  ])
})
test('two authorities that ask the same ask once', () => assert.equal(asked(key, { name: 'b', key: { data: makeSigner().pem } }).length, 2))
test('a static authority asks nothing', () => assert.deepEqual(asked({ static: { action: 'pass' } }), []))
test('an authority that refuses anyway asks nothing', () =>
  assert.deepEqual(asked({ ...key, attestations: [{ name: 'a', predicateType: 'custom', policy: { type: 'cue', data: '' } }] }), []))
test('a policy that refuses anyway asks nothing', () => assert.deepEqual(asked(key, {}), []))
test('a source moves both questions; its prefix is for tags only', () => {
  const source = [{ oci: 'sigs.example/store', tagPrefix: 'x-', signaturePullSecrets: [{ name: 's' }] }]
  assert.deepEqual(shown(asked({ ...key, source })), [
    'signatures-by-tag sigs.example/store x-pullSecrets',
    'signatures-by-referrers sigs.example/store pullSecrets',
  ])
})
test('signatureFormat: bundle does not ask for the tag', () =>
  assert.deepEqual(shown(asked({ ...key, signatureFormat: 'bundle' })), ['signatures-by-referrers registry.example/team/app workload']))
test('questions differ by place, prefix, digest, kind and credentials', () => {
  const sources = [
    {},
    { tagPrefix: 'x' },
    { oci: 'other.example/a' },
    { signaturePullSecrets: [{ name: 'a' }] },
    { signaturePullSecrets: [{ name: 'a' }, { name: 'b' }] },
  ]
  const keys = sources.map((source) => asked({ ...key, source: [source] }).map(keyOf)).map(([byTag]) => byTag)
  assert.equal(new Set(keys).size, sources.length)
})
