import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointsOf, readMirror } from '../../src/world/endpoint.ts'
import type { Mirror } from '../../src/world/endpoint.ts'

function mirror(value: string): Mirror {
  const read = readMirror(value)
  assert.ok(!('error' in read), JSON.stringify(read))
  return read
}

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
  const [only, ...rest] = endpointsOf('gcr.io', [mirror('gcr.io=http://127.0.0.1:5000/proxy/gcr/,credentials')], [])
  assert.ok(only)
  assert.equal(rest.length, 0)
  assert.equal(only.url('a/b/manifests/v1').href, 'http://127.0.0.1:5000/v2/proxy/gcr/a/b/manifests/v1')
  assert.equal(only.url('').href, 'http://127.0.0.1:5000/v2/')
  assert.equal(only.shown('a/b/manifests/v1'), 'http://gcr.io/v2/a/b/manifests/v1')
  assert.equal(only.repository('a/b'), 'proxy/gcr/a/b')
  assert.equal(only.withholds, undefined)
})

test('a mirror gets the credentials of its registry only when told so', () => {
  assert.equal(endpointsOf('gcr.io', [mirror('gcr.io=https://m.example')], [])[0]?.withholds, 'mirror')
})

test('every name of Docker Hub is one registry', () => {
  for (const name of ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'Docker.IO'])
    assert.equal(mirror(`${name}=http://x`).host, 'index.docker.io')
})

for (const value of [
  'gcr.io',
  '=http://x',
  'gcr.io=ftp://x',
  'gcr.io=x',
  'gcr.io=http://x,creds',
  'gcr.io=http://u:p@x',
  'gcr.io=http://x?y=1',
])
  test(`--mirror ${value} is an error`, () => assert.ok('error' in readMirror(value)))
