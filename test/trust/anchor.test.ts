import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readAnchor } from '../../src/trust/anchor.ts'
import type { CertificateAuthority } from '../../src/trust/material.ts'
import { findPath } from '../../src/trust/path.ts'
import { outcomeOf, sentenceOf } from '../../src/verdict/reason.ts'
import type { Minted } from './authority.ts'
import { mintAuthority, mintLeaf, NOON, pemOf } from './authority.ts'

const root = mintAuthority('CN=root')
const intermediate = mintAuthority('CN=intermediate', { by: root })
const leaf = mintLeaf(intermediate)
const keyPem = pemOf(root.keys.publicKey.export({ format: 'der', type: 'spki' }), 'PUBLIC KEY')

function anchorOf(pem: string): CertificateAuthority {
  const got = readAnchor(pem)
  assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
  return got.value
}

function isBelieved(of: Minted, pem: string): boolean {
  return findPath(of.certificate, [], [anchorOf(pem)], 'code-signing', NOON).ok
}

test('the self-signed certificates of a chain are the anchors, in any order', () => {
  const second = mintAuthority('CN=second')
  for (const pem of [intermediate.pem + root.pem, root.pem + intermediate.pem, `${second.pem}\n${root.pem}${intermediate.pem}\n\n`])
    assert.ok(isBelieved(leaf, pem))
  const anchor = anchorOf(second.pem + intermediate.pem + root.pem)
  assert.deepEqual([anchor.roots.length, anchor.intermediates.length], [2, 1])
  assert.deepEqual(anchor.valid, { from: 0, until: undefined })
})

test('without a self-signed certificate the last one is the anchor', () => {
  assert.ok(isBelieved(leaf, intermediate.pem))
  const between = mintAuthority('CN=between', { by: intermediate })
  assert.ok(isBelieved(mintLeaf(between), between.pem + intermediate.pem))
  assert.ok(!isBelieved(leaf, between.pem))
})

test('a chain is the anchor for nobody else', () => {
  assert.ok(!isBelieved(mintLeaf(mintAuthority('CN=intermediate', { by: mintAuthority('CN=root') })), intermediate.pem + root.pem))
})

test('lesson 18: a public key is told from a chain, and is no anchor', () => {
  for (const pem of [keyPem, `a key\n${keyPem}`, keyPem + root.pem, keyPem.replaceAll('PUBLIC', 'RSA PUBLIC')]) {
    const got = readAnchor(pem)
    assert.ok(!got.ok)
    assert.equal(got.reason.code, 'ca-cert-is-key')
    assert.equal(outcomeOf(got.reason), 'fail')
  }
})

for (const [title, pem, text] of [
  ['nothing', '', 'ca-cert cannot be used: the certificate cannot be read: error during PEM decoding'],
  ['text', 'certificate', 'ca-cert cannot be used: the certificate cannot be read: error during PEM decoding'],
  [
    'the certificate of somebody who signs',
    leaf.pem,
    'ca-cert cannot be used: its anchor is the certificate of somebody who signs, not of a certificate authority',
  ],
  [
    'a chain whose last is that of somebody who signs',
    intermediate.pem + leaf.pem,
    'ca-cert cannot be used: its anchor is the certificate of somebody who signs, not of a certificate authority',
  ],
  [
    'a private key',
    pemOf(root.der, 'PRIVATE KEY'),
    'ca-cert cannot be used: the certificate cannot be read: it holds a PEM block that is a PRIVATE KEY, not a CERTIFICATE',
  ],
  [
    'seventeen certificates',
    root.pem.repeat(17),
    'ca-cert cannot be used: the certificate cannot be read: number of certificates exceeded the limit (16)',
  ],
] as const) {
  test(`as anchor ${title} is refused`, () => {
    const got = readAnchor(pem)
    assert.ok(!got.ok)
    assert.equal(sentenceOf(got.reason), text)
  })
}

test('any text is read or refused with a reason', () => {
  const piece = fc.oneof(fc.string(), fc.constantFrom(root.pem, leaf.pem, keyPem, '\n'))
  fc.assert(fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => void readAnchor(pieces.join(''))))
})
