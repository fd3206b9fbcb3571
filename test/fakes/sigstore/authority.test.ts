import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { Authority } from '../../../fakes/sigstore/authority.ts'
import { CertificateLog } from '../../../fakes/sigstore/certificate-log.ts'
import type { AuthorityFault, SigningFault } from '../../../fakes/sigstore/fault.ts'

const now = Date.UTC(2026)
const log = new CertificateLog('https://ct.example')
const issued = (fault?: AuthorityFault, signing?: SigningFault) => {
  const authority = new Authority('acme.example', now, new Set(fault ? [fault] : []))
  return authority.issue({}, now, [log], new CertificateLog('https://ct.elsewhere.example'), new Set(signing ? [signing] : []))
}
const parsed = (fault?: AuthorityFault, signing?: SigningFault) => {
  const { certificate, chain } = issued(fault, signing)
  return [certificate, ...chain].map(({ der }) => new X509Certificate(der))
}

test('a leaf lives ten minutes and leads through the intermediate to the root', () => {
  const [leaf = assert.fail(), middle = assert.fail(), root = assert.fail(), ...more] = parsed()
  assert.equal(more.length, 0)
  assert.equal(leaf.validToDate.getTime() - leaf.validFromDate.getTime(), 600_000)
  assert.ok(leaf.checkIssued(middle) && leaf.verify(middle.publicKey))
  assert.ok(middle.ca && middle.checkIssued(root) && middle.verify(root.publicKey))
  assert.ok(root.ca && root.verify(root.publicKey))
})

test('what a fault says of a certificate is so', () => {
  assert.equal(parsed('intermediate-not-a-ca')[1]?.ca, false)
  assert.deepEqual(parsed('intermediate-for-servers')[1]?.keyUsage, ['1.3.6.1.5.5.7.3.1'])
  assert.ok((parsed('intermediate-expired')[1]?.validToDate.getTime() ?? now) < now)
  assert.equal(parsed('path-too-long').length, 4)
  assert.deepEqual(parsed(undefined, 'leaf-for-servers')[0]?.keyUsage, ['1.3.6.1.5.5.7.3.1'])
  assert.ok((parsed(undefined, 'leaf-expired')[0]?.validToDate.getTime() ?? now) < now)
  assert.ok((parsed(undefined, 'leaf-not-yet-valid')[0]?.validFromDate.getTime() ?? now) > now)
  assert.equal(parsed(undefined, 'subject-missing')[0]?.subjectAltName, undefined)
  const [tampered = assert.fail(), itsIssuer = assert.fail()] = parsed(undefined, 'leaf-tampered')
  assert.ok(!tampered.verify(itsIssuer.publicKey))
  const [leaf = assert.fail(), another = assert.fail()] = parsed(undefined, 'leaf-signed-by-leaf')
  assert.ok(leaf.verify(another.publicKey) && !another.ca)
})

for (const [faults, oid] of [
  [['name-not-permitted'], '551d1e'],
  [['intermediate-with-unknown-critical-extension'], '2b0601040183bf306301'],
] as const)
  test(`${faults[0]}: the intermediate has that extension, and another has not`, () => {
    const hex = (fault?: AuthorityFault): string => parsed(fault)[1]?.raw.toString('hex') ?? ''
    assert.ok(hex(faults[0]).includes(oid) && !hex().includes(oid))
  })
