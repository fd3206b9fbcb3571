import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectionCause, isCertificateError, refusal } from '../../../src/world/registry/registry-error.ts'

const said = (status: number, body: unknown): string =>
  refusal(
    'GET',
    'https://r.example/v2/a/b/manifests/x',
    status,
    new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body)),
  ).text.replace('GET https://r.example/v2/a/b/manifests/x: ', '')

for (const [status, code] of [
  [401, 'registry-refused'],
  [403, 'registry-refused'],
  [404, 'registry-absent'],
  [429, 'registry-rate-limited'],
  [400, 'registry-failed'],
  [500, 'registry-failed'],
  [503, 'registry-failed'],
] as const)
  test(`status ${status} is ${code}`, () => assert.equal(refusal('GET', 'https://r.example/', status, new Uint8Array()).code, code))

for (const [what, status, body, expected] of [
  ['one error', 403, { errors: [{ code: 'DENIED', message: 'denied' }] }, 'DENIED: denied'],
  ['a detail', 403, { errors: [{ code: 'DENIED', message: 'denied', detail: 'denied' }] }, 'DENIED: denied; denied'],
  [
    "Docker Hub's detail",
    401,
    {
      errors: [
        {
          code: 'UNAUTHORIZED',
          message: 'authentication required',
          detail: [{ Type: 'repository', Class: '', Name: 'a/b', Action: 'pull' }],
        },
      ],
    },
    'UNAUTHORIZED: authentication required; [map[Action:pull Class: Name:a/b Type:repository]]',
  ],
  [
    'numbers in a detail',
    500,
    { errors: [{ code: 'X', message: 'm', detail: { a: 1, b: 1.5, c: 1e21, d: 0.00001, e: null, f: true } }] },
    'X: m; map[a:1 b:1.5 c:1e+21 d:1e-05 e:<nil> f:true]',
  ],
  [
    'several errors',
    401,
    {
      errors: [
        { code: 'A', message: 'a' },
        { code: 'B', message: 'b' },
      ],
    },
    'multiple errors returned: A: a; B: b',
  ],
  ['no list of errors', 500, { errors: [] }, 'unexpected status code 500 Internal Server Error'],
  ['an unknown status', 522, '', 'unexpected status code 522'],
  ['line breaks', 403, { errors: [{ code: 'DENIED', message: 'a\nb\u0000c\u2028d' }] }, 'DENIED: a b c d'],
] as const)
  test(`a refusal with ${what} reads: ${expected}`, () => assert.equal(said(status, body), expected))

test('lesson 43: a body that is no structured error is never shown', () => {
  for (const body of ['boom', '<html>secret</html>', '{"secret":"x"}', '["secret"]', '{"errors":"secret"}', '{"errors":["secret"]}'])
    assert.equal(said(500, body), 'unexpected status code 500 Internal Server Error')
})

test('what a registry says is cut: each part, the number of errors, the depth', () => {
  const long = said(403, {
    errors: Array.from({ length: 100 }, () => ({ code: 'C'.repeat(1e4), message: 'm'.repeat(1e4), detail: 'd'.repeat(1e4) })),
  })
  assert.ok(long.length < 3500)
  const deep = `{"errors":[{"code":"C","message":"m","detail":${'['.repeat(1000)}${']'.repeat(1000)}}]}`
  assert.equal(said(403, deep), 'C: m; [[[[[…]]]]]')
})

for (const [error, expected] of [
  [{ code: 'ENOTFOUND' }, 'dial tcp: lookup r.example: no such host'],
  [{ code: 'EAI_AGAIN' }, 'dial tcp: lookup r.example: temporary failure in name resolution'],
  [{ code: 'ECONNREFUSED', address: '127.0.0.1', port: 5999 }, 'dial tcp 127.0.0.1:5999: connect: connection refused'],
  [{ code: 'ECONNREFUSED', address: '::1', port: 5999 }, 'dial tcp [::1]:5999: connect: connection refused'],
  [{ code: 'UND_ERR_CONNECT_TIMEOUT' }, 'dial tcp i/o timeout'],
  [{ code: 'ERR_SSL_WRONG_VERSION_NUMBER' }, 'http: server gave HTTP response to HTTPS client'],
  [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'tls: failed to verify certificate: x509: certificate signed by unknown authority'],
  [
    new AggregateError([
      { code: 'ECONNREFUSED', address: '::1', port: 1 },
      { code: 'ECONNREFUSED', address: '127.0.0.1', port: 1 },
    ]),
    'dial tcp 127.0.0.1:1: connect: connection refused',
  ],
  [new Error('text of a library'), 'the connection failed'],
] as const)
  test(`a connection fails with: ${expected}`, () => assert.equal(connectionCause(error, 'r.example'), expected))

test('a certificate that is not believed is told apart from no TLS at all', () => {
  assert.equal(isCertificateError({ code: 'CERT_HAS_EXPIRED' }), true)
  assert.equal(isCertificateError({ code: 'ERR_SSL_WRONG_VERSION_NUMBER' }), false)
})
