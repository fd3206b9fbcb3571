import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { converted, readConversion, routeOf } from '../../src/admission/conversion.ts'
import type { Json } from '../../src/image/json.ts'

const GROUP = 'policy.sigstore.dev'
const V1BETA1 = `${GROUP}/v1beta1`
const policy = { apiVersion: `${GROUP}/v1alpha1`, kind: 'ClusterImagePolicy', spec: {} }
const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
const review = {
  kind: 'ConversionReview',
  apiVersion: 'apiextensions.k8s.io/v1',
  request: { uid: 'u', desiredAPIVersion: V1BETA1, objects: [policy] },
}

test('a ConversionReview is read, and answered in its own version under its uid', () => {
  const read = readConversion(bytes(review))
  assert.ok(read.ok)
  assert.deepEqual(read.conversion, { apiVersion: 'apiextensions.k8s.io/v1', uid: 'u', desired: V1BETA1, objects: [policy] })
  assert.deepEqual(converted(read.conversion, [policy]), {
    kind: 'ConversionReview',
    apiVersion: 'apiextensions.k8s.io/v1',
    response: { uid: 'u', convertedObjects: [policy], result: { metadata: {}, status: 'Success' } },
  })
  assert.deepEqual(converted(read.conversion, [], 'no').response.result, { metadata: {}, status: 'Failure', message: 'no' })
})

for (const [title, body, text] of [
  ['no JSON', 'nothing', "could not decode body:invalid character 'o' in literal null (expecting 'u')"],
  ['another kind', { ...review, kind: 'AdmissionReview' }, 'could not decode body:kind is "AdmissionReview", wanted ConversionReview'],
  ['no request', { ...review, request: undefined }, 'could not decode body:the ConversionReview has no request'],
  [
    'a wrong type',
    { ...review, request: { objects: {} } },
    'could not decode body:json: cannot unmarshal object into Go struct field ConversionRequest.request.objects of type []runtime.RawExtension',
  ],
] as const) {
  test(`a body with ${title} is turned away`, () => assert.deepEqual(readConversion(bytes(body)), { ok: false, status: 400, text }))
}

for (const [object, desired, text] of [
  [{ ...policy, apiVersion: 'a/b/c' }, V1BETA1, 'error parsing GV "a/b/c": unexpected GroupVersion string: a/b/c'],
  [{ ...policy, kind: '' }, V1BETA1, `invalid GroupVersionKind ${GROUP}/v1alpha1, Kind=`],
  [{ kind: 'ClusterImagePolicy' }, V1BETA1, 'invalid GroupVersionKind /, Kind=ClusterImagePolicy'],
  [policy, 'a/b/c', 'desired API version "a/b/c" is not valid'],
  [policy, '', 'desired API version "" is not valid'],
  [{ ...policy, kind: 'TrustRoot' }, V1BETA1, `no conversion support for type [kind=TrustRoot group=${GROUP}]`],
  [{ ...policy, apiVersion: 'v1', kind: 'Pod' }, V1BETA1, 'no conversion support for type [kind=Pod group=]'],
  [
    { ...policy, apiVersion: `${GROUP}/v9` },
    V1BETA1,
    `conversion not supported for type [kind=ClusterImagePolicy group=${GROUP} version=v9]`,
  ],
  [policy, `${GROUP}/v2`, `conversion not supported for type [kind=ClusterImagePolicy group=${GROUP} version=v2]`],
  [policy, 'other/v1beta1', 'conversion not supported for type [kind=ClusterImagePolicy group=other version=v1beta1]'],
  ['x', V1BETA1, 'error parsing type meta "\\"x\\"" - json: cannot unmarshal string into Go value of type v1.TypeMeta'],
] as const satisfies readonly (readonly [Json, string, string])[])
  test(`there is no way of ${JSON.stringify(object)} to ${desired}`, () => assert.deepEqual(routeOf(object, desired), { ok: false, text }))

test('a policy has a way to each version, its own too', () => {
  for (const version of ['v1alpha1', 'v1beta1']) {
    const read = routeOf(policy, `${GROUP}/${version}`)
    assert.ok(read.ok)
    assert.equal(read.route.apiVersion, `${GROUP}/${version}`)
    assert.equal(read.route.type.name, 'v1alpha1.ClusterImagePolicy')
  }
})

test('an object that is nested without end is refused, not followed', () => {
  const deep = JSON.parse(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`) as Json
  assert.deepEqual(routeOf({ ...policy, spec: deep }, V1BETA1), { ok: false, text: 'unable to unmarshal input: exceeded max depth' })
})

test('any body is read or turned away, and any object has a way or a reason', () => {
  fc.assert(fc.property(fc.uint8Array(), (body) => void readConversion(body)))
  fc.assert(fc.property(fc.jsonValue(), fc.string(), (object, desired) => void routeOf(object as Json, desired)))
  fc.assert(fc.property(fc.jsonValue(), (request) => void readConversion(bytes({ ...review, request }))))
})
