import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Vault } from '../../../fakes/cloud/vault.ts'
import type { Received } from '../../../fakes/internet.ts'

test('Vault wants its token, and says of a key that it has none of what Vault says', () => {
  const vault = new Vault()
  const asked: Received = { method: 'GET', host: 'h', path: '/v1/transit/keys/k', query: new URLSearchParams(), headers: {}, body: '' }
  assert.equal(vault.host()(asked)?.status, 403)
  assert.deepEqual(vault.host()({ ...asked, headers: { 'x-vault-token': vault.token } }), { status: 404, body: { errors: [] } })
})
