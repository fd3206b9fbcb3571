import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { TrustedRoot } from '@sigstore/protobuf-specs'
import { toTrustMaterial } from '@sigstore/verify'
import { isSignedBy, readCertificates } from '../../src/trust/certificate.ts'
import { findPath } from '../../src/trust/path.ts'
import embedded from '../../src/trust/public-root.json' with { type: 'json' }
import { publicRoot, publicRootExpires, publicTufRoot, stagingRoot } from '../../src/trust/public-root.ts'
import { whySctsNotBelieved } from '../../src/trust/sct.ts'

test('the public Sigstore instance is trusted without any network', () => {
  const root = publicRoot()
  assert.equal(root.name, 'the public Sigstore instance')
  assert.equal(root.until, publicRootExpires)
  assert.deepEqual(root.warnings, [])
  assert.ok(root.certificateAuthorities.length >= 2 && root.transparencyLogs.length >= 2 && root.certificateLogs.length >= 2)
  assert.equal(publicRoot(), root)
})

test('the TUF root is that of the same file, and says when it expires', () => {
  const { signed } = JSON.parse(Buffer.from(publicTufRoot).toString()) as { signed: { _type: string; expires: string } }
  assert.equal(signed._type, 'root')
  assert.equal(new Date(publicRootExpires).toISOString(), signed.expires.replace('Z', '.000Z'))
})

for (const root of [publicRoot(), stagingRoot()]) {
  test(`the certificates of ${root.name} are whole: every root is signed by itself, every intermediate by a root`, () => {
    for (const { roots, intermediates } of [...root.certificateAuthorities, ...root.timestampAuthorities]) {
      for (const certificate of roots) assert.ok(isSignedBy(certificate, certificate))
      for (const certificate of intermediates) assert.ok(roots.some((by) => isSignedBy(certificate, by)))
    }
  })

  test(`the timestamp authority of ${root.name} has a path`, () => {
    const [authority] = root.timestampAuthorities
    const [signer] = authority?.intermediates ?? []
    assert.ok(authority && signer)
    assert.ok(findPath(signer, [], [authority], 'time-stamping', Date.parse('2026-01-01T00:00:00Z')).ok)
  })
}

test('another implementation reads the same logs and authorities from the embedded file', () => {
  const theirs = toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(embedded.trustedRoot)))
  const ours = publicRoot()
  const spkis = (logs: readonly { readonly publicKey: { export(options: { format: 'der'; type: 'spki' }): unknown } }[]): unknown =>
    logs.map(({ publicKey }) => publicKey.export({ format: 'der', type: 'spki' }))
  assert.deepEqual(spkis(ours.certificateLogs.map(({ key }) => ({ publicKey: key }))), spkis(theirs.ctlogs))
  assert.deepEqual(spkis(ours.transparencyLogs.map(({ key }) => ({ publicKey: key }))), spkis(theirs.tlogs))
  assert.deepEqual(
    ours.certificateAuthorities.map(({ valid, roots, intermediates }) => [valid.from, roots.length + intermediates.length]),
    theirs.certificateAuthorities.map(({ validFor, certChain }) => [validFor.start.getTime(), certChain.length]),
  )
})

test('a certificate of the public Fulcio for a workflow leads to it, and its log saw it', () => {
  // Of the beacon of the client conformance suite, whose token everybody may use.
  const read = readCertificates(readFileSync(new URL('../fixtures/fulcio/workflow.pem', import.meta.url)))
  assert.ok(read.ok)
  const [leaf] = read.value
  assert.ok(leaf)
  const { certificateAuthorities, certificateLogs } = publicRoot()
  const then = leaf.notBefore.getTime()
  const path = findPath(leaf, [], certificateAuthorities, 'code-signing', then)
  assert.ok(path.ok)
  assert.equal(path.value.certificates.length, 3)
  assert.equal(path.value.until - then, 10 * 60 * 1000)
  assert.equal(whySctsNotBelieved(path.value, certificateLogs), undefined)
  assert.equal(whySctsNotBelieved(path.value, certificateLogs.slice(0, 1))?.code, 'sct-unknown-log')
  assert.ok(!findPath(leaf, [], stagingRoot().certificateAuthorities, 'code-signing', then).ok)
})
