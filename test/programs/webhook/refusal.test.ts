import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { refusal } from '../../../programs/webhook/refusal.ts'
import { review } from './client.ts'

test('a review is refused under its uid, in its own version', () =>
  deepEqual(JSON.parse(refusal(Buffer.from(review('u1')), { code: 'internal-error' }) ?? ''), {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid: 'u1',
      allowed: false,
      status: { metadata: {}, status: 'Failure', message: 'an internal error; the log has the stack', reason: 'InternalError', code: 500 },
    },
  }))

test('for want of memory it is refused with a time after which to try again', () => {
  const { response } = JSON.parse(refusal(Buffer.from(review('u1')), { code: 'under-pressure' }) ?? '') as {
    response: { status: { reason: string; code: number; details: object } }
  }
  const { reason, code, details } = response.status
  deepEqual([reason, code, details], ['TooManyRequests', 429, { retryAfterSeconds: 1 }])
})

test('a conversion fails under its uid', () => {
  const body = JSON.stringify({ apiVersion: 'apiextensions.k8s.io/v1', kind: 'ConversionReview', request: { uid: 'u1' } })
  deepEqual((JSON.parse(refusal(Buffer.from(body), { code: 'deadline' }) ?? '') as { response: object }).response, {
    uid: 'u1',
    convertedObjects: [],
    result: { status: 'Failure', message: 'context was canceled before validation completed' },
  })
})

for (const body of ['', '{', 'null', '[]', '{}', '{"request":null}', '{"request":{"uid":1}}', '"request"'])
  test(`${body === '' ? 'nothing' : body} has no uid to refuse`, () =>
    equal(refusal(Buffer.from(body), { code: 'internal-error' }), undefined))
