import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readReview } from '../../src/admission/review.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const whole = {
  kind: 'AdmissionReview',
  apiVersion: 'admission.k8s.io/v1',
  request: {
    uid: '1-2-3',
    kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
    resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    name: 'app',
    namespace: 'demo',
    operation: 'UPDATE',
    subResource: 'status',
    userInfo: { username: 'admin', groups: ['system:masters'] },
    object: { kind: 'Deployment' },
    oldObject: null,
    dryRun: true,
    options: { kind: 'UpdateOptions', apiVersion: 'meta.k8s.io/v1' },
    fieldOfTheFuture: 1,
  },
}
const withRequest = (request: object): Uint8Array => bytes(JSON.stringify({ ...whole, request: { ...whole.request, ...request } }))

test('an AdmissionReview is read, and fields that are not known are ignored', () => {
  const read = readReview(bytes(JSON.stringify(whole)))
  assert.deepEqual(read, {
    ok: true,
    review: {
      uid: '1-2-3',
      kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
      operation: 'UPDATE',
      subResource: 'status',
      namespace: 'demo',
      name: 'app',
      user: 'admin',
      object: { kind: 'Deployment' },
      oldObject: null,
      isDryRun: true,
    },
  })
})

test('what a request leaves out is empty', () => {
  const read = readReview(bytes('{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{}}'))
  assert.deepEqual(read.ok && read.review, {
    uid: '',
    kind: { group: '', version: '', kind: '' },
    operation: '',
    subResource: '',
    namespace: '',
    name: '',
    user: '',
    object: null,
    oldObject: null,
  })
})

for (const [body, text] of [
  ['', 'unexpected end of JSON input'],
  ['{', 'unexpected end of JSON input'],
  ['not json', "invalid character 'o' in literal null (expecting 'u')"],
  ['hello', "invalid character 'h' looking for beginning of value"],
  ['{}{}', "invalid character '{' after top-level value"],
  ['\uFEFF{}', "invalid character 'ï' looking for beginning of value"],
  ['null', 'kind is "" and apiVersion "", wanted AdmissionReview and admission.k8s.io/v1'],
  ['[]', 'json: cannot unmarshal array into Go value of type v1.AdmissionReview'],
  ['"x"', 'json: cannot unmarshal string into Go value of type v1.AdmissionReview'],
  ['{}', 'kind is "" and apiVersion "", wanted AdmissionReview and admission.k8s.io/v1'],
  ['{"kind":"Pod","apiVersion":"v1"}', 'kind is "Pod" and apiVersion "v1", wanted AdmissionReview and admission.k8s.io/v1'],
  [
    '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{}}',
    'kind is "AdmissionReview" and apiVersion "admission.k8s.io/v1beta1", wanted AdmissionReview and admission.k8s.io/v1',
  ],
  ['{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}', 'the AdmissionReview has no request'],
  ['{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}', 'the AdmissionReview has no request'],
  [
    '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":"x"}',
    'json: cannot unmarshal string into Go struct field AdmissionReview.request of type v1.AdmissionRequest',
  ],
  ['{"kind":["AdmissionReview"]}', 'json: cannot unmarshal array into Go struct field AdmissionReview.kind of type string'],
] as const) {
  test(`the body ${JSON.stringify(body).slice(0, 90)} is refused with 400 and the reason`, () => {
    assert.deepEqual(readReview(bytes(body)), { ok: false, status: 400, text: `could not decode body:${text}` })
  })
}

for (const [request, field] of [
  [{ uid: 1 }, 'number into Go struct field AdmissionRequest.request.uid of type string'],
  [{ operation: ['DELETE'] }, 'array into Go struct field AdmissionRequest.request.operation of type string'],
  [{ subResource: { a: 1 } }, 'object into Go struct field AdmissionRequest.request.subResource of type string'],
  [{ kind: 'Pod' }, 'string into Go struct field AdmissionRequest.request.kind of type v1.GroupVersionKind'],
  [{ kind: { kind: true } }, 'bool into Go struct field GroupVersionKind.request.kind.kind of type string'],
  [{ userInfo: { username: 0 } }, 'number into Go struct field UserInfo.request.userInfo.username of type string'],
] as const) {
  test(`a request with ${JSON.stringify(request)} is refused: nothing is coerced`, () => {
    const read = readReview(withRequest(request))
    assert.equal(!read.ok && read.text, `could not decode body:json: cannot unmarshal ${field}`)
  })
}

test('a member named __proto__ is a member, and changes nothing about what is read', () => {
  const read = readReview(
    bytes(
      '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"operation":"CREATE","__proto__":{"operation":"DELETE"},"object":{}}}',
    ),
  )
  assert.equal(read.ok && read.review.operation, 'CREATE')
  assert.equal(({} as { operation?: string }).operation, undefined)
})

test('of equal keys the last counts', () => {
  const read = readReview(
    bytes('{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"operation":"DELETE","operation":"CREATE"}}'),
  )
  assert.equal(read.ok && read.review.operation, 'CREATE')
})

test('a body of a million brackets is answered', () => {
  assert.equal(readReview(bytes('['.repeat(1_000_000))).ok, false)
  assert.equal(readReview(bytes(`${'['.repeat(500_000)}${']'.repeat(500_000)}`)).ok, false)
})

test('any JSON and any bytes are answered, never thrown at', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json().map(bytes),
        fc.uint8Array(),
        fc.json().map((j) => withRequest({ object: JSON.parse(j) })),
      ),
      (body) => {
        const read = readReview(body)
        if (!read.ok) assert.match(read.text, /^could not decode body:/)
      },
    ),
  )
})
