import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attestOldForm, makeSigner } from '../../fakes/signer.ts'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { digestOf } from '../../src/image/digest.ts'
import { readEnvelope } from '../../src/sigstore/envelope.ts'
import type { SignedStatement } from '../../src/sigstore/signed-statement.ts'
import { verifySignedStatement } from '../../src/sigstore/signed-statement.ts'
import { annotated } from '../../src/sigstore/verification-material.ts'
import { readPublicKey } from '../../src/trust/key.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { byKey } from './demands.ts'

const digest = digestOf(Buffer.from('an image'))
const signer = makeSigner()
const sigstore = await Sigstore.create()
const key = readPublicKey(signer.pem, '')
assert.ok(key.ok)
const terms = byKey(sigstore, key.value, { log: 'ignored' })

function statement(by = signer, saysThreshold = true): SignedStatement {
  const { payload, annotations } = attestOldForm([by], digest, { predicateType: 'https://example.com/type' })
  const envelope = readEnvelope(payload)
  assert.ok(envelope.ok)
  return { material: annotated(annotations), searched: undefined, envelope: envelope.value, json: payload, digest, saysThreshold }
}

function words(of: SignedStatement): string {
  const verdict = verifySignedStatement(of, terms, 0)
  return verdict.ok ? verdict.statement.predicateType : sentenceOf(verdict.reason)
}

test('a statement that is signed and about the digest is read', () => assert.equal(words(statement()), 'https://example.com/type'))

test('one about another digest is refused', () => {
  assert.equal(words({ ...statement(), digest: digestOf(Buffer.from('another image')) }), 'no matching subject digest found')
})

test('one signed by somebody else is refused, in the words that are asked for', () => {
  assert.equal(words(statement(makeSigner())), 'accepted signatures do not match threshold, Found: 0, Expected 1')
  assert.equal(words(statement(makeSigner(), false)), 'invalid signature when validating ASN.1 encoded signature')
})

test('nothing is read of a statement whose signature does not stand', () => {
  const broken = statement()
  const envelope = { ...broken.envelope, payload: Buffer.from('not a statement') }
  assert.equal(words({ ...broken, envelope }), 'accepted signatures do not match threshold, Found: 0, Expected 1')
})
