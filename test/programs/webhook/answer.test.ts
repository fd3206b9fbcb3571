import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerers, paths } from '../../../programs/webhook/answer.ts'
import type { Surroundings } from '../../../src/admit.ts'
import type { Registrar } from '../../../src/configure.ts'
import { compile, nothingKnown } from '../../../src/policy/compile.ts'
import { nothingFetched } from '../../../src/policy/objects.ts'
import type { Tally } from '../../../src/verdict/tally.ts'
import { uncounted } from '../../../src/world/metrics.ts'

const image = `registry.example/app@sha256:${'a'.repeat(64)}`
const deadline = { at: Infinity }
// A static policy asks nothing of the world; whatever asks it all the same fails.
const around = { now: () => 0 } as unknown as Surroundings

const registrar: Registrar = {
  systemNamespace: 'cosign-system',
  objects: () => ({ policies: new Map(), policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map() }),
  outside: nothingFetched,
  whyNotRepository: async () => undefined,
  within: async (work) => work,
}

function body(more: object = {}): Buffer {
  const object = { metadata: { name: 'app' }, spec: { containers: [{ image }] } }
  const request = {
    uid: 'u',
    operation: 'CREATE',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    namespace: 'demo',
    name: 'app',
    object,
    userInfo: { username: 'eve' },
    ...more,
  }
  return Buffer.from(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request }))
}

function snapshot(action: 'pass' | 'fail') {
  const policies = new Map([['p', { spec: { images: [{ glob: '**' }], authorities: [{ static: { action } }] } } as object]])
  return compile(
    { policies, policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map() },
    'cosign-system',
  )
}

async function ask(action: 'pass' | 'fail', bytes = body(), path = '/validations') {
  const answerer = answerers(() => snapshot(action), around, registrar, uncounted).get(path)
  assert.ok(answerer)
  return answerer(bytes, deadline)
}

test('requests are answered at the paths that webhook configurations and CRDs have', () => {
  const known = ['/validations', '/mutations', '/defaulting', '/validating', '/resource-conversion']
  assert.deepEqual([...answerers(() => nothingKnown, around, registrar, uncounted).keys()], known)
  assert.deepEqual(paths, known)
})

const policyReview = (spec: object): Buffer =>
  body({
    kind: { group: 'policy.sigstore.dev', version: 'v1beta1', kind: 'ClusterImagePolicy' },
    namespace: '',
    object: { metadata: { name: 'p' }, spec },
  })

test('a policy is defaulted and validated at its paths', async () => {
  const sound = { images: [{ glob: '**' }], authorities: [{ static: { action: 'pass' } }] }
  for (const path of ['/defaulting', '/validating']) {
    const { status, about } = await ask('pass', policyReview(sound), path)
    assert.deepEqual([status, about?.kind, about?.allowed], [200, 'ClusterImagePolicy', true])
    const refused = await ask('pass', policyReview({ foo: 1 }), path)
    assert.equal(refused.about?.allowed, false)
    assert.equal((await ask('pass', Buffer.from('nothing'), path)).status, 400)
  }
  assert.match((await ask('pass', policyReview(sound), '/defaulting')).body, /"patchType":"JSONPatch"/)
  assert.match((await ask('pass', policyReview({}), '/validating')).body, /missing field\(s\): spec\.authorities, spec\.images/)
})

test('policies are converted at their path, and a failure counts as one', async () => {
  const review = (desired: string): Buffer =>
    Buffer.from(
      JSON.stringify({
        kind: 'ConversionReview',
        apiVersion: 'apiextensions.k8s.io/v1',
        request: {
          uid: 'c',
          desiredAPIVersion: `policy.sigstore.dev/${desired}`,
          objects: [{ apiVersion: 'policy.sigstore.dev/v1alpha1', kind: 'ClusterImagePolicy', metadata: { name: 'p' }, spec: {} }],
        },
      }),
    )
  const good = await ask('pass', review('v1beta1'), '/resource-conversion')
  assert.match(good.body, /"apiVersion":"policy\.sigstore\.dev\/v1beta1"/)
  assert.deepEqual([good.about?.uid, good.about?.operation, good.about?.allowed], ['c', 'CONVERT', true])
  assert.equal((await ask('pass', review('v2'), '/resource-conversion')).about?.allowed, false)
  assert.equal((await ask('pass', Buffer.from('{}'), '/resource-conversion')).status, 400)
})

test('the answer is an AdmissionReview with the uid of the request, and says what it was about', async () => {
  const { status, body: text, about } = await ask('fail')
  const { response } = JSON.parse(text) as { response: { uid: string; allowed: boolean } }
  assert.deepEqual([status, response.uid, response.allowed], [200, 'u', false])
  assert.deepEqual(about, {
    uid: 'u',
    operation: 'CREATE',
    kind: 'Pod',
    subResource: '',
    namespace: 'demo',
    name: 'app',
    user: 'eve',
    allowed: false,
    codes: ['static-fail'],
  })
  assert.equal((await ask('pass')).about?.allowed, true)
})

test('a body that is no AdmissionReview is turned away with the specified text', async () => {
  const { status, body: text, about } = await ask('pass', Buffer.from('nothing'))
  assert.equal(status, 400)
  assert.match(text, /^could not decode body:/)
  assert.equal(about, undefined)
})

test('before the policies are known nothing is admitted', async () => {
  const answerer = answerers(() => nothingKnown, around, registrar, uncounted).get('/validations')
  const { about } = await answerer!(body(), deadline)
  assert.deepEqual([about?.allowed, about?.codes], [false, ['policies-not-known']])
})

test('each answer of a policy about an image is counted once', async () => {
  const counted: string[] = []
  const decided = ({ policy, mode, outcome, code }: Tally): void => void counted.push([policy, mode, outcome, code].join(' '))
  const metrics = { ...uncounted, decided }
  await answerers(() => snapshot('fail'), around, registrar, metrics).get('/validations')!(body(), deadline)
  assert.deepEqual(counted, ['p enforce fail static-fail'])
})

test('whoever asks is told of each validation of a workload, and of nothing else', async () => {
  const told: string[] = []
  const table = answerers(
    () => snapshot('fail'),
    around,
    registrar,
    uncounted,
    (review, answer, decision) => told.push(`${review.name} ${answer.response.allowed} ${decision?.outcome}`),
  )
  for (const path of ['/validations', '/mutations']) await table.get(path)?.(body(), deadline)
  assert.deepEqual(told, ['app false fail'])
})
