import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

const sealgate = join(import.meta.dirname, '../../../bin/sealgate')
const policy = (action: string) => `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: { name: p }
spec:
  images: [{ glob: 'registry.example/${action}/**' }]
  authorities: [{ static: { action: ${action}, message: so it is } }]
`

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealgate-review-'))
  await mkdir(join(folder, 'reviews'))
  await mkdir(join(folder, 'empty'))
  await writeFile(join(folder, 'empty', 'review.yaml'), 'a: 1')
  await writeFile(join(folder, 'pass.yaml'), policy('pass'))
  await writeFile(join(folder, 'fail.yaml'), policy('fail').replace('name: p', 'name: q'))
  await writeFile(join(folder, 'reviews', 'a-pass.json'), review('registry.example/pass/app'))
  await writeFile(join(folder, 'reviews', 'b-fail.json'), review('registry.example/fail/app'))
  await writeFile(join(folder, 'broken.yaml'), 'kind: [')
  await writeFile(join(folder, 'no-review.json'), '{}')
})
after(() => rm(folder, { recursive: true }))

function review(repository: string): string {
  const image = `${repository}@sha256:${'a'.repeat(64)}`
  const request = {
    uid: 'u',
    operation: 'CREATE',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    namespace: 'demo',
    object: { metadata: {}, spec: { containers: [{ image }] } },
  }
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request })
}

function run(args: readonly string[], input = ''): Promise<{ status: number | null; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = spawn(sealgate, ['review', ...args], { cwd: folder })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.on('close', (status) => resolve({ status, out, err }))
    child.stdin.end(input)
  })
}
const manifests = ['--manifests', 'pass.yaml', '--manifests', 'fail.yaml']

test('one review is answered as the webhook would, and the exit status says the verdict', async () => {
  const allowed = await run([...manifests, 'reviews/a-pass.json'])
  assert.deepEqual(
    [allowed.status, JSON.parse(allowed.out)],
    [0, { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', response: { uid: 'u', allowed: true } }],
  )
  const denied = await run([...manifests, 'reviews/b-fail.json'])
  assert.equal(denied.status, 1)
  assert.match(
    (JSON.parse(denied.out) as { response: { status: { message: string } } }).response.status.message,
    /disallowed by static policy: so it is$/,
  )
})

test('a review may come on standard input', async () => {
  assert.equal((await run([...manifests, '-'], review('registry.example/fail/app'))).status, 1)
})

test('of several files, or a folder, each is a line that names its file', async () => {
  const { status, out } = await run([...manifests, 'reviews'])
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { file: string; answer: { response: { allowed: boolean } } })
  assert.deepEqual(
    lines.map((l) => [l.file, l.answer.response.allowed]),
    [
      ['reviews/a-pass.json', true],
      ['reviews/b-fail.json', false],
    ],
  )
  assert.equal(status, 1)
})

test('of several files those that cannot be asked are a line each too, and the others are answered all the same', async () => {
  const { status, out, err } = await run([...manifests, 'reviews', 'no-review.json', 'nowhere.json'])
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { file: string; answer?: object; error?: string })
  assert.deepEqual(
    lines.map((l) => [l.file, l.answer !== undefined, l.error === undefined ? '' : l.error.slice(0, 22)]),
    [
      ['reviews/a-pass.json', true, ''],
      ['reviews/b-fail.json', true, ''],
      ['no-review.json', false, 'could not decode body:'],
      ['nowhere.json', false, 'no such file'],
    ],
  )
  assert.equal(status, 2)
  assert.match(err, /^sealgate review: no-review\.json: could not decode body:.*\n+sealgate review: nowhere\.json: no such file$/m)
})

for (const [name, args, said] of [
  ['no file', [...manifests], /FILE/],
  ['a folder without reviews', [...manifests, 'empty'], /empty: the folder has no file whose name ends with \.json$/m],
  ['a file that is missing', [...manifests, 'nowhere.json'], /nowhere\.json/],
  ['a file that is no review', [...manifests, 'no-review.json'], /no-review\.json/],
  ['manifests that cannot be read', ['--manifests', 'broken.yaml', 'reviews/a-pass.json'], /broken\.yaml/],
  [
    'a path that nothing answers',
    ['--path', '/nope', ...manifests, 'reviews/a-pass.json'],
    /\/validations, \/mutations, \/defaulting, \/validating, \/resource-conversion$/m,
  ],
] as const) {
  test(`${name} is exit status 2, with the reason on standard error and nothing on standard output`, async () => {
    const { status, out, err } = await run(args)
    assert.deepEqual([status, out], [2, ''])
    assert.match(err, said)
  })
}

test('a policy is validated against the other manifests, and converted, as the API server would be answered', async () => {
  const object = {
    metadata: { name: 'new' },
    spec: { images: [{ glob: 'registry.example/fail/web**' }], authorities: [{ key: { kms: 'k' } }] },
  }
  const kind = { group: 'policy.sigstore.dev', version: 'v1beta1', kind: 'ClusterImagePolicy' }
  const ask = (o: object): string =>
    JSON.stringify({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: { uid: 'u', operation: 'CREATE', kind, object: o },
    })
  const refused = await run(['--path', '/validating', ...manifests, '-'], ask(object))
  assert.equal(refused.status, 1)
  assert.match(refused.out, /validation failed: invalid value: k: spec\.authorities\[0\]\.key\.kms/)
  const passing = { ...object, spec: { ...object.spec, authorities: [{ static: { action: 'pass' } }] } }
  const taken = await run(['--path', '/validating', ...manifests, '-'], ask(passing))
  assert.equal(taken.status, 0)
  assert.match(taken.out, /no image can satisfy this policy and `q`/)
  const request = {
    uid: 'u',
    desiredAPIVersion: 'policy.sigstore.dev/v1alpha1',
    objects: [{ apiVersion: 'policy.sigstore.dev/v1beta1', kind: 'ClusterImagePolicy', ...passing }],
  }
  const converted = await run(
    ['--path', '/resource-conversion', ...manifests, '-'],
    JSON.stringify({ apiVersion: 'apiextensions.k8s.io/v1', kind: 'ConversionReview', request }),
  )
  assert.equal(converted.status, 0)
  assert.match(converted.out, /"apiVersion":"policy\.sigstore\.dev\/v1alpha1"/)
})
