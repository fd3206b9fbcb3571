import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allowed, denied, patched, withinLimits } from '../../src/admission/response.ts'
import type { Review } from '../../src/admission/review.ts'

const review: Review = {
  uid: '1-2-3',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  operation: 'CREATE',
  subResource: '',
  namespace: 'demo',
  name: 'app',
  user: 'admin',
  object: {},
  oldObject: null,
}

test('an allowed request is answered with its uid and nothing else', () => {
  assert.deepEqual(allowed(review), {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    response: { uid: '1-2-3', allowed: true },
  })
})

test('a refusal is a Status as the API server expects it: Failure, BadRequest, 400', () => {
  assert.deepEqual(denied(review, 'validation failed: no'), {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    response: {
      uid: '1-2-3',
      allowed: false,
      status: { metadata: {}, status: 'Failure', message: 'validation failed: no', reason: 'BadRequest', code: 400 },
    },
  })
})

for (const code of ['under-pressure', 'registry-not-asked'] as const)
  test(`a refusal for want of memory (${code}) asks to try again, as the API server itself does`, () => {
    const { status } = denied(review, 'validation failed: no', [], ['no-referrers', code]).response
    assert.deepEqual(status, {
      metadata: {},
      status: 'Failure',
      message: 'validation failed: no',
      reason: 'TooManyRequests',
      code: 429,
      details: { retryAfterSeconds: 1 },
    })
  })

test('each line of a warning is a warning, empty lines too', () => {
  assert.deepEqual(allowed(review, ['failed policy: p: spec.containers[0].image\nghcr.io/a/b no\n\nend', 'other']).response.warnings, [
    'failed policy: p: spec.containers[0].image',
    'ghcr.io/a/b no',
    '',
    'end',
    'other',
  ])
})

test('a refusal carries warnings and reason codes too', () => {
  const { response } = denied(review, 'no', ['careful'], ['no-signatures', 'registry-refused'])
  assert.deepEqual(response.warnings, ['careful'])
  assert.deepEqual(response.auditAnnotations, { reasons: 'no-signatures,registry-refused' })
  assert.deepEqual(allowed(review, [], ['no-signatures']).response.auditAnnotations, { reasons: 'no-signatures' })
})

test('a patch is base64 of a JSON patch; without a change there is none', () => {
  const operation = { op: 'replace', path: '/spec/containers/0/image', value: 'registry.local/ä@sha256:…' } as const
  const { response } = patched(review, [operation])
  assert.equal(response.allowed, true)
  assert.equal(response.patchType, 'JSONPatch')
  assert.deepEqual(JSON.parse(Buffer.from(response.patch ?? '', 'base64').toString('utf8')), [operation])
  assert.deepEqual(patched(review, []), allowed(review))
})

test('warnings within the limits of Kubernetes stay as they are, each said once', () => {
  assert.deepEqual(withinLimits(['a', 'b', 'a']), ['a', 'b'])
  assert.deepEqual(withinLimits(['x'.repeat(256)]), ['x'.repeat(256)])
})

test('a warning is one line of at most 256 bytes', () => {
  assert.deepEqual(withinLimits(['a\nb\u2028c']), ['a b c'])
  for (const letter of ['x', 'é', '🙂']) {
    const [line = ''] = withinLimits([letter.repeat(300)])
    assert.ok(line.endsWith(`${letter}…`))
    assert.ok(Buffer.byteLength(line) <= 256 && Buffer.byteLength(line) > 250, String(Buffer.byteLength(line)))
  }
})

test('all warnings have at most 4096 bytes, and what is left out is said', () => {
  const kept = withinLimits(Array.from({ length: 100 }, (_, i) => `${i} ${'x'.repeat(200)}`))
  assert.ok(Buffer.byteLength(kept.join('')) <= 4096)
  assert.ok(kept.length > 15)
  assert.match(kept.at(-1) ?? '', /further warnings/)
})
