import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { makeSigner } from '../../../fakes/signer.ts'
import type { KeyType } from '../../../fakes/signer.ts'
import {
  alternativeNames,
  basicConstraints,
  extendedKeyUsage,
  issue,
  keyIdentifiers,
  keyUsage,
} from '../../../fakes/sigstore/certificate.ts'

const from = Date.UTC(2026)
const until = Date.UTC(2027)

for (const type of ['p256', 'p384', 'p521', 'rsa2048', 'ed25519'] satisfies KeyType[])
  test(`a certificate that a ${type} key issued verifies with it, and with no other`, () => {
    const key = makeSigner(type)
    const root = issue({ subject: { commonName: 'root' }, key, issuer: undefined, from, until, extensions: [basicConstraints(true)] })
    const parsed = new X509Certificate(root.der)
    assert.ok(parsed.ca && parsed.verify(key.publicKey))
    assert.ok(!parsed.verify(makeSigner(type).publicKey))
    assert.equal(new X509Certificate(root.pem).fingerprint256, parsed.fingerprint256)
  })

test('names, times, usages and key identifiers are where they belong', () => {
  const [issuer, key] = [makeSigner(), makeSigner()]
  const root = issue({ subject: { organization: 'o', commonName: 'root' }, key: issuer, issuer: undefined, from, until, extensions: [] })
  const { der } = issue({
    subject: {},
    key,
    issuer: { name: root.name, key: issuer },
    from,
    until,
    extensions: [
      keyUsage('digitalSignature'),
      extendedKeyUsage(['code-signing', 'server-auth']),
      alternativeNames([{ type: 'email', value: 'a@b.example' }]),
      ...keyIdentifiers(key, issuer),
    ],
  })
  const leaf = new X509Certificate(der)
  assert.equal(leaf.issuer, 'O=o\nCN=root')
  assert.equal(leaf.subjectAltName, 'email:a@b.example')
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.3', '1.3.6.1.5.5.7.3.1'])
  assert.deepEqual([leaf.validFromDate.getTime(), leaf.validToDate.getTime()], [from, until])
  assert.ok(!leaf.ca)
})
