import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missingTrustRoots, trustNamed } from '../../src/policy/trust-root-ref.ts'

const policies = (...specs: readonly unknown[]): ReadonlyMap<string, object> => new Map(specs.map((spec, i) => [`p${i}`, { spec }]))
const named = (...specs: readonly unknown[]): readonly string[] => [...trustNamed(policies(...specs)).trustRoots]
const isSigstoreNamed = (...specs: readonly unknown[]): boolean => trustNamed(policies(...specs)).sigstore

test('a TrustRoot is named in three places of an authority, by any policy', () => {
  assert.deepEqual(
    named(
      { authorities: [{ keyless: { trustRootRef: 'a' } }, { key: {}, ctlog: { url: 'https://log.example', trustRootRef: 'b' } }] },
      { authorities: [{ key: {}, rfc3161timestamp: { trustRootRef: 'c' } }, { keyless: { trustRootRef: 'a' } }] },
    ),
    ['a', 'b', 'c'],
  )
})

for (const spec of [
  undefined,
  {},
  { authorities: 7 },
  { authorities: [{ keyless: {} }, { ctlog: { trustRootRef: '' } }, { keyless: { trustRootRef: 7 } }] },
])
  test(`${JSON.stringify(spec)} names none`, () => assert.deepEqual(named(spec), []))

test('a policy that is wrong elsewhere names what it names', () => {
  assert.deepEqual(named({ mode: 7, authorities: [{ unknown: true, keyless: { trustRootRef: 'a' } }] }), ['a'])
})

for (const [authority, wanted] of [
  [{ keyless: { identities: [] } }, true],
  [{ key: { data: '…' }, ctlog: { url: 'https://rekor.sigstore.dev' } }, true],
  [{ keyless: { trustRootRef: 'a' } }, false],
  [{ keyless: { trustRootRef: 'a' }, ctlog: { url: 'https://rekor.sigstore.dev' } }, true],
  [{ key: { data: '…' } }, false],
  [{ static: { action: 'pass' } }, false],
] as const)
  test(`${JSON.stringify(authority)} ${wanted ? 'rests' : 'does not rest'} on the instance that no TrustRoot names`, () =>
    assert.equal(isSigstoreNamed({ authorities: [authority] }), wanted))

test('without any policy, everything rests on it', () => assert.ok(isSigstoreNamed()))

const naming = {
  spec: { authorities: [{ keyless: { trustRootRef: 'a' }, ctlog: { trustRootRef: 'b' } }, { rfc3161timestamp: { trustRootRef: 'b' } }] },
}
const objects = (trustRootsIncomplete?: string): Parameters<typeof missingTrustRoots>[1] => ({
  policies: new Map(),
  policiesIncomplete: undefined,
  secrets: new Map(),
  configMaps: new Map(),
  trustRoots: new Map([['a', {}]]),
  trustRootsIncomplete,
})

test('of the TrustRoots that a policy names the missing ones are told, each once', () => {
  assert.deepEqual(missingTrustRoots(naming, objects()), ['trustRootRef b not found'])
})

test('nothing is said while nobody knows which there are', () => assert.deepEqual(missingTrustRoots(naming, objects('no rights')), []))
