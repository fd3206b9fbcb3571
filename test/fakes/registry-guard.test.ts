import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Seen } from '../../fakes/registry-guard.ts'
import { Guard } from '../../fakes/registry-guard.ts'

const seen = (path: string, authorization?: string, query = ''): Seen => ({
  method: 'GET',
  path,
  authorization,
  query: new URLSearchParams(query),
  headers: { host: 'r' },
})
const MANIFEST = '/v2/team/app/manifests/v1'
const LOGIN = { username: 'puller', password: 's3cret' }
const BASIC = `Basic ${btoa('puller:s3cret')}`
const SCOPE = 'scope=repository%3Ateam%2Fapp%3Apull'

function tokenFrom(guard: Guard, authorization?: string, query = SCOPE): string | number {
  let answer: string | number = 0
  guard.token(seen('/token', authorization, query), new Uint8Array(), (status, body) => {
    answer = status === 200 ? (JSON.parse(String(body)) as { token: string }).token : status
  })
  return answer
}

test('Basic lets the right password pass, for the repositories that it protects', () => {
  const guard = new Guard('http')
  guard.protect('team/', { scheme: 'basic', ...LOGIN })
  assert.equal(guard.refusal(seen(MANIFEST)), 'Basic realm="registry"')
  assert.equal(guard.refusal(seen(MANIFEST, `Basic ${btoa('puller:x')}`)), 'Basic realm="registry"')
  assert.equal(guard.refusal(seen(MANIFEST, BASIC)), undefined)
  assert.equal(guard.refusal(seen('/v2/open/app/manifests/v1')), undefined)
})

test('Bearer lets a token pass for the repository that it was given for, until it is revoked', () => {
  const guard = new Guard('http')
  guard.protect('team/', { scheme: 'bearer', ...LOGIN })
  assert.equal(guard.refusal(seen(MANIFEST)), 'Bearer realm="http://r/token",service="fake",scope="repository:team/app:pull"')
  assert.equal(tokenFrom(guard), 401)
  const token = tokenFrom(guard, BASIC)
  assert.equal(guard.refusal(seen(MANIFEST, `Bearer ${token}`)), undefined)
  assert.ok(guard.refusal(seen('/v2/team/other/manifests/v1', `Bearer ${token}`)))
  guard.revoke()
  assert.ok(guard.refusal(seen(MANIFEST, `Bearer ${token}`)))
})

test('/v2/ tells real clients how to come in, and lets any token pass; open repositories need none, but may come with one', () => {
  const guard = new Guard('http')
  assert.equal(guard.refusal(seen('/v2/')), undefined)
  guard.protect('team/', { scheme: 'bearer', ...LOGIN })
  assert.equal(guard.refusal(seen('/v2/')), 'Bearer realm="http://r/token",service="fake"')
  const token = tokenFrom(guard, undefined, 'scope=repository%3Aopen%2Fapp%3Apull')
  assert.equal(guard.refusal(seen('/v2/', `Bearer ${token}`)), undefined)
  assert.equal(guard.refusal(seen('/v2/open/app/manifests/v1', `Bearer ${token}`)), undefined)
  assert.ok(guard.refusal(seen(MANIFEST, `Bearer ${token}`)))
})

test('Bearer may give tokens to strangers', () => {
  const guard = new Guard('http')
  guard.protect('team/', { scheme: 'bearer', ...LOGIN, anonymous: true })
  assert.equal(guard.refusal(seen(MANIFEST, `Bearer ${tokenFrom(guard)}`)), undefined)
})
