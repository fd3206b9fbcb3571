import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerers } from '../../../programs/webhook/answer.ts'
import type { Surroundings } from '../../../src/admit.ts'
import { compile, nothingKnown } from '../../../src/policy/compile.ts'
import type { Tally } from '../../../src/verdict/tally.ts'
import { uncounted } from '../../../src/world/metrics.ts'

const image = `registry.example/app@sha256:${'a'.repeat(64)}`
const deadline = { at: Infinity }
// A static policy asks nothing of the world; whatever asks it all the same fails.
const around = { now: () => 0 } as unknown as Surroundings

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
  const answerer = answerers(() => snapshot(action), around, uncounted).get(path)
  assert.ok(answerer)
  return answerer(bytes, deadline)
}

test('workloads are validated and mutated at the paths that webhook configurations have', () => {
  assert.deepEqual([...answerers(() => nothingKnown, around, uncounted).keys()], ['/validations', '/mutations'])
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
  const answerer = answerers(() => nothingKnown, around, uncounted).get('/validations')
  const { about } = await answerer!(body(), deadline)
  assert.deepEqual([about?.allowed, about?.codes], [false, ['policies-not-known']])
})

test('each answer of a policy about an image is counted once', async () => {
  const counted: string[] = []
  const decided = ({ policy, mode, outcome, code }: Tally): void => void counted.push([policy, mode, outcome, code].join(' '))
  const metrics = { ...uncounted, decided }
  await answerers(() => snapshot('fail'), around, metrics).get('/validations')!(body(), deadline)
  assert.deepEqual(counted, ['p enforce fail static-fail'])
})
