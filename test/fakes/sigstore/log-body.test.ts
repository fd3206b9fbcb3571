import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { makeSigner } from '../../../fakes/signer.ts'
import { spkiOf } from '../../../fakes/sigstore/certificate.ts'
import type { EntryKind } from '../../../fakes/sigstore/log-body.ts'
import { logBody } from '../../../fakes/sigstore/log-body.ts'

const signer = makeSigner()
const loggable = {
  signed: Buffer.from('encoded payload'),
  payload: Buffer.from('payload'),
  signature: Buffer.from('signature'),
  signer: { is: 'key', der: spkiOf(signer), keyType: 'p256' },
  envelope: '{}',
  payloadType: 'text/plain',
} as const
const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

for (const [kind, digest] of [
  ['hashedrekord 0.0.1', sha256('encoded payload').toString('hex')],
  ['rekord 0.0.1', sha256('encoded payload').toString('hex')],
  ['dsse 0.0.1', sha256('payload').toString('hex')],
  ['intoto 0.0.1', sha256('payload').toString('hex')],
  ['intoto 0.0.2', sha256('payload').toString('hex')],
  ['hashedrekord 0.0.2', sha256('encoded payload').toString('base64')],
  ['dsse 0.0.2', sha256('payload').toString('base64')],
] satisfies [EntryKind, string][])
  test(`${kind} is canonical JSON and holds the hash of what it is about`, () => {
    const text = logBody(kind, loggable).toString()
    const [name, apiVersion] = kind.split(' ')
    assert.ok(text.startsWith(`{"apiVersion":"${apiVersion}","kind":"${name}","spec":{`))
    assert.ok(text.includes(digest))
    assert.equal(text, JSON.stringify(JSON.parse(text)))
  })

test("a key is kept as PEM in v1 and as DER in v2, with its algorithm's name", () => {
  const pem = Buffer.from(signer.pem).toString('base64')
  assert.ok(logBody('hashedrekord 0.0.1', loggable).toString().includes(pem))
  const { spec } = JSON.parse(logBody('dsse 0.0.2', loggable).toString())
  const verifier = { keyDetails: 'PKIX_ECDSA_P256_SHA_256', publicKey: { rawBytes: spkiOf(signer).toString('base64') } }
  assert.deepEqual(spec.dsseV002.signatures[0].verifier, verifier)
})
