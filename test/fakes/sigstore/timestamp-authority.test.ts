import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { RFC3161Timestamp } from '@sigstore/core'
import type { AuthorityFault, SigningFault } from '../../../fakes/sigstore/fault.ts'
import { TimestampAuthority } from '../../../fakes/sigstore/timestamp-authority.ts'

const now = Date.UTC(2026)
const bytes = Buffer.from('a signature')
const stamped = (fault?: SigningFault, authority = new TimestampAuthority('acme.example', now, true, new Set())): (() => void) => {
  const timestamp = RFC3161Timestamp.parse(Buffer.from(authority.stamp(bytes, now, new Set(fault ? [fault] : []))))
  assert.equal(timestamp.signingTime.getTime(), fault === 'timestamp-tampered' ? now + 1000 : now)
  return () => timestamp.verify(bytes, new X509Certificate(authority.chain[0]?.der ?? '').publicKey)
}

test('a timestamp is over the bytes, at the time, by the authority', () => assert.doesNotThrow(stamped()))

for (const fault of ['timestamp-over-other-bytes', 'timestamp-tampered'] as const)
  test(`${fault}: it does not verify`, () => assert.throws(stamped(fault)))

test('certificates are embedded when they are asked for', () => {
  const embedding = (embeds: boolean): number => new TimestampAuthority('acme.example', now, embeds, new Set()).stamp(bytes, now).length
  assert.ok(embedding(true) > embedding(false) + 800)
})

test('a refusal holds no timestamp', () => {
  const authority = new TimestampAuthority('acme.example', now, true, new Set())
  assert.equal(authority.stamp(bytes, now, new Set(['timestamp-refused'])).toString('hex'), '30053003020102')
})

for (const [fault, usage] of [
  [undefined, '0603551d250101ff040c300a06082b06010505070308'],
  ['timestamp-certificate-usage-not-critical', '0603551d25040c300a06082b06010505070308'],
  ['timestamp-certificate-for-code', '0603551d250101ff040c300a06082b06010505070303'],
  ['timestamp-certificate-for-more', '0603551d250101ff0416301406082b0601050507030806082b06010505070303'],
] satisfies [AuthorityFault | undefined, string][])
  test(`${fault ?? 'without a fault'}: the usage of its certificate is ${usage}`, () => {
    const { chain } = new TimestampAuthority('acme.example', now, true, new Set(fault ? [fault] : []))
    assert.ok(chain[0]?.der.includes(Buffer.from(usage, 'hex')))
  })
