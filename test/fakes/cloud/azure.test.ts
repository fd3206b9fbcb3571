import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AzureTenant } from '../../../fakes/cloud/azure.ts'
import type { Received } from '../../../fakes/internet.ts'

const asked: Received = { method: 'GET', host: 'v.example', path: '/keys/k', query: new URLSearchParams(), headers: {}, body: '' }

test('a vault says in its challenge for whom it wants a token', () => {
  const tenant = new AzureTenant()
  const { status, headers } = tenant.vault()(asked) ?? {}
  assert.equal(status, 401)
  assert.match(headers?.['www-authenticate'] ?? '', /resource="https:\/\/vault\.azure\.net"/)
  tenant.tokens.set('token', 'scope')
  assert.equal(tenant.vault()({ ...asked, headers: { authorization: 'Bearer token' } })?.status, 404)
})

test('a registry exchanges only tokens of its tenant', () => {
  const tenant = new AzureTenant()
  tenant.tokens.set('token', 'scope')
  const status = (form: Record<string, string>) =>
    tenant.registry()({ ...asked, method: 'POST', path: '/oauth2/exchange', body: new URLSearchParams(form).toString() })?.status
  const good = { grant_type: 'access_token', service: 'v.example', tenant: tenant.id, access_token: 'token' }
  assert.deepEqual([status(good), status({ ...good, access_token: 'other' }), status({ ...good, service: 'w.example' })], [200, 401, 401])
})
