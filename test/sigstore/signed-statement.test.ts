import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dsse } from '@sigstore/core'
import { makeSigner, signBytes } from '../../fakes/signer.ts'
import type { Digest } from '../../src/image/digest.ts'
import { digestOf, hexOf } from '../../src/image/digest.ts'
import { IN_TOTO_PAYLOAD_TYPE } from '../../src/sigstore/envelope.ts'
import { termsOf } from '../../src/sigstore/signature.ts'
import type { SignedStatement } from '../../src/sigstore/signed-statement.ts'
import { verifySignedStatement } from '../../src/sigstore/signed-statement.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { keyOf } from './demands.ts'

const signer = makeSigner()
const terms = termsOf(keyOf(signer.pem))
const digest = digestOf(Buffer.from('an image'))

function sealed(about: Digest, by = signer, more: Partial<SignedStatement> = {}): SignedStatement {
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ digest: { sha256: hexOf(about) } }],
    predicateType: 'urn:x',
    predicate: 1,
  }
  const payload = Buffer.from(JSON.stringify(statement))
  const signatures = [signBytes(by, dsse.preAuthEncoding(IN_TOTO_PAYLOAD_TYPE, payload))]
  return {
    material: { form: 'bundle', certificates: undefined, timestamps: [], entries: [] },
    searched: undefined,
    envelope: { payloadType: IN_TOTO_PAYLOAD_TYPE, payload, signatures },
    json: undefined,
    digest,
    saysThreshold: false,
    ...more,
  }
}

function said(of: SignedStatement): string {
  const verdict = verifySignedStatement(of, terms, 0)
  return verdict.ok ? verdict.statement.predicateType : sentenceOf(verdict.reason)
}

test('a statement is what its signer said, once it is signed and about the digest', () => {
  assert.equal(said(sealed(digest)), 'urn:x')
  assert.equal(said(sealed(digestOf(Buffer.from('another image')))), 'no matching subject digest found')
})

test('a refusal says what is wrong with the signature, or how many were wanted', () => {
  assert.equal(said(sealed(digest, makeSigner())), 'invalid signature when validating ASN.1 encoded signature')
  const words = 'accepted signatures do not match threshold, Found: 0, Expected 1'
  assert.equal(said(sealed(digest, makeSigner(), { saysThreshold: true })), words)
})
