import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointsOf } from '../../../src/world/network/endpoint.ts'

const ways = (registry: string, insecure: string[] = []): string[] =>
  endpointsOf(registry, [], insecure).map((e) => `${e.url('app/manifests/x').href} ${e.withholds ?? 'with credentials'}`)

for (const [registry, expected] of [
  ['ghcr.io', ['https://ghcr.io/v2/app/manifests/x with credentials']],
  ['127.0.0.1.example.com', ['https://127.0.0.1.example.com/v2/app/manifests/x with credentials']],
  ['registry.local', ['https://registry.local/v2/app/manifests/x with credentials', 'http://registry.local/v2/app/manifests/x plain http']],
  ['10.0.0.7:5000', ['https://10.0.0.7:5000/v2/app/manifests/x with credentials', 'http://10.0.0.7:5000/v2/app/manifests/x plain http']],
  [
    'localhost:5000',
    ['https://localhost:5000/v2/app/manifests/x with credentials', 'http://localhost:5000/v2/app/manifests/x with credentials'],
  ],
  ['[::1]:5000', ['https://[::1]:5000/v2/app/manifests/x with credentials', 'http://[::1]:5000/v2/app/manifests/x with credentials']],
  ['user@ghcr.io', []],
  ['ghcr.io?x', []],
  ['a:b:c', []],
] as const)
  test(`${registry} is reached by ${expected.length} way(s)`, () => assert.deepEqual(ways(registry), expected))

test('a host named in --insecure-registry may be plain http, with credentials', () => {
  assert.deepEqual(ways('r.example', ['r.example']), [
    'https://r.example/v2/app/manifests/x with credentials',
    'http://r.example/v2/app/manifests/x with credentials',
  ])
})

test('a mirror is the only way to its registry; its path goes before the repository and is not shown', () => {
  const [only, ...rest] = endpointsOf('gcr.io', [{ host: 'gcr.io', url: 'http://127.0.0.1:5000/proxy/gcr/', credentials: true }], [])
  assert.ok(only)
  assert.equal(rest.length, 0)
  assert.equal(only.url('a/b/manifests/v1').href, 'http://127.0.0.1:5000/v2/proxy/gcr/a/b/manifests/v1')
  assert.equal(only.url('').href, 'http://127.0.0.1:5000/v2/')
  assert.equal(only.shown('a/b/manifests/v1'), 'http://gcr.io/v2/a/b/manifests/v1')
  assert.equal(only.repository('a/b'), 'proxy/gcr/a/b')
  assert.equal(only.withholds, undefined)
})

test('a mirror gets the credentials of its registry only when told so', () => {
  assert.equal(endpointsOf('gcr.io', [{ host: 'gcr.io', url: 'https://m.example', credentials: false }], [])[0]?.withholds, 'mirror')
})

test('of two mirrors of one registry the last counts, as of any option that is given twice', () => {
  const mirrors = ['https://first.example', 'https://last.example'].map((url) => ({ host: 'gcr.io', url, credentials: false }))
  assert.deepEqual(
    endpointsOf('gcr.io', mirrors, []).map((e) => e.url('').href),
    ['https://last.example/v2/'],
  )
})
