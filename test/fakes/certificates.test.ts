import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { mintCertificates } from '../../fakes/certificates.ts'

test('server and client have certificates of the CA, for the names that were asked for', async () => {
  const { ca, server, client } = await mintCertificates(['localhost', '127.0.0.1'], 'eve')
  const issuer = new X509Certificate(ca)
  const served = new X509Certificate(server.cert)
  assert.ok(issuer.ca && served.verify(issuer.publicKey) && new X509Certificate(client.cert).verify(issuer.publicKey))
  assert.equal(served.checkHost('localhost'), 'localhost')
  assert.equal(served.checkIP('127.0.0.1'), '127.0.0.1')
  assert.equal(served.checkHost('example.com'), undefined)
  assert.match(new X509Certificate(client.cert).subject, /CN=eve/)
})
