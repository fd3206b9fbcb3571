import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dsse } from '@sigstore/core'
import { makeSigner, signBytes } from '../../fakes/signer.ts'
import { IN_TOTO_PAYLOAD_TYPE, preAuthEncoding, readEnvelope, readEnvelopeInTurns, signatureIn } from '../../src/sigstore/envelope.ts'
import type { Envelope } from '../../src/sigstore/envelope.ts'
import type { Hash, PublicKey } from '../../src/trust/key.ts'
import { readPublicKey } from '../../src/trust/key.ts'

const SIGNER = makeSigner()
const OTHER = makeSigner()
const PAYLOAD = Buffer.from('{}')
const NOT_SIGNED = 'invalid signature when validating ASN.1 encoded signature'

function keyOf(pem: string, hash = ''): PublicKey {
  const read = readPublicKey(pem, hash)
  assert.ok(read.ok)
  return read.value
}

function whyEnvelopeNotSigned(of: Envelope, key: PublicKey): string | undefined {
  const found = signatureIn(of, key)
  return found.ok ? undefined : found.detail
}

function sealed(signer = SIGNER, hash: Hash = 'sha256', payloadType: string = IN_TOTO_PAYLOAD_TYPE): Buffer {
  return signBytes(signer, dsse.preAuthEncoding(payloadType, PAYLOAD), hash)
}

function envelope(...signatures: readonly Buffer[]): Envelope {
  return { payloadType: IN_TOTO_PAYLOAD_TYPE, payload: PAYLOAD, signatures }
}

test('an envelope is signed when one of its signatures is by the key', () => {
  const key = keyOf(SIGNER.pem)
  assert.equal(whyEnvelopeNotSigned(envelope(sealed()), key), undefined)
  assert.equal(whyEnvelopeNotSigned(envelope(sealed(OTHER), sealed()), key), undefined)
  assert.equal(whyEnvelopeNotSigned(envelope(sealed(OTHER)), key), NOT_SIGNED)
  assert.equal(whyEnvelopeNotSigned(envelope(), key), 'no signature found')
})

test('what is signed is payload and payload type together, not the payload alone', () => {
  const key = keyOf(SIGNER.pem)
  assert.equal(whyEnvelopeNotSigned(envelope(signBytes(SIGNER, PAYLOAD)), key), NOT_SIGNED)
  assert.equal(whyEnvelopeNotSigned({ ...envelope(sealed()), payload: Buffer.from('{ }') }, key), NOT_SIGNED)
  assert.equal(whyEnvelopeNotSigned(envelope(sealed(SIGNER, 'sha256', 'text/plain')), key), NOT_SIGNED)
})

test('another payload type is refused even when it is signed', () => {
  const signed = { payloadType: 'text/plain', payload: PAYLOAD, signatures: [sealed(SIGNER, 'sha256', 'text/plain')] }
  assert.equal(
    whyEnvelopeNotSigned(signed, keyOf(SIGNER.pem)),
    'invalid payloadType text/plain on envelope. Expected application/vnd.in-toto+json',
  )
})

test('a payload type that a registry chose writes no further line', () => {
  const signed = { payloadType: 'x\nfailed policy: p', payload: PAYLOAD, signatures: [sealed()] }
  assert.equal(
    whyEnvelopeNotSigned(signed, keyOf(SIGNER.pem)),
    'invalid payloadType x failed policy: p on envelope. Expected application/vnd.in-toto+json',
  )
})

for (const [type, hash, named, signed] of [
  ['p384', 'sha384', '', true], // as cosign 3 signs
  ['p384', 'sha256', '', true],
  ['p384', 'sha512', '', false],
  ['p384', 'sha384', 'sha256', false], // the policy named one
  ['p384', 'sha384', 'sha384', true],
  ['p521', 'sha512', '', true],
  ['rsa2048', 'sha256', '', true],
  ['ed25519', 'sha256', 'sha512', true],
] as const) {
  test(`an envelope signed with ${type} and ${hash} ${signed ? 'verifies' : 'does not verify'} where the policy names ${named === '' ? 'no digest' : named}`, () => {
    const signer = makeSigner(type)
    assert.equal(whyEnvelopeNotSigned(envelope(sealed(signer, hash)), keyOf(signer.pem, named)) === undefined, signed)
  })
}

test('lesson 37: more than 16 signatures of one envelope are not tried', () => {
  const bad = sealed(OTHER)
  assert.equal(whyEnvelopeNotSigned(envelope(...new Array<Buffer>(15).fill(bad), sealed()), keyOf(SIGNER.pem)), undefined)
  assert.equal(
    whyEnvelopeNotSigned(envelope(...new Array<Buffer>(16).fill(bad), sealed()), keyOf(SIGNER.pem)),
    'number of signatures (17) exceeded the limit (16)',
  )
})

test('lessons 37, 38: the larger the payload, the fewer signatures are tried: each hashes all of it', () => {
  const payload = Buffer.alloc(12 * 1024 * 1024, ' ')
  const bad = sealed(OTHER)
  const large = (...signatures: readonly Buffer[]): Envelope => ({ payloadType: IN_TOTO_PAYLOAD_TYPE, payload, signatures })
  const good = signBytes(SIGNER, dsse.preAuthEncoding(IN_TOTO_PAYLOAD_TYPE, payload))
  assert.equal(whyEnvelopeNotSigned(large(bad, good), keyOf(SIGNER.pem)), undefined)
  assert.equal(whyEnvelopeNotSigned(large(bad, bad, good), keyOf(SIGNER.pem)), 'number of signatures (3) exceeded the limit (2)')
})

test('however large its payload is, an envelope is read as a small one is, and others have their turn', async () => {
  let turns = 0
  const bytesOf = (document: unknown): Buffer => Buffer.from(typeof document === 'string' ? document : JSON.stringify(document))
  const inTurns = (document: unknown) => readEnvelopeInTurns(bytesOf(document), async () => void turns++)
  const written = {
    payloadType: IN_TOTO_PAYLOAD_TYPE,
    payload: PAYLOAD.toString('base64'),
    signatures: [{ sig: sealed().toString('base64') }],
  }
  for (const document of [
    written,
    { ...written, payload: '' },
    { ...written, payload: 'QUI' },
    { ...written, payload: 'Q!UJD' },
    { ...written, payload: 'QUJD\nQUJD' },
    { ...written, payload: null },
    { ...written, payload: ['QUJD'] },
    { ...written, payload: undefined },
    { ...written, payloadType: 1 },
    { ...written, signatures: 'none' },
    { ...written, signatures: [{}] },
    'hello',
    '[]',
  ])
    assert.deepEqual(await inTurns(document), readEnvelope(bytesOf(document)))
  const bytes = Buffer.alloc(6 * 1024 * 1024, 'payload')
  turns = 0
  const large = await inTurns({ ...written, payload: bytes.toString('base64') })
  assert.ok(large.ok && large.value.payload.equals(bytes))
  assert.ok(turns > 40, `${turns} turns`)
})

const endOf = ({ byteOffset, length }: Buffer): number => byteOffset + length

test('what is signed of a large envelope is encoded in place, and is what the library makes of it', async () => {
  for (const payloadType of [IN_TOTO_PAYLOAD_TYPE, 'täxt', 'x'.repeat(1000)]) {
    const json = JSON.stringify({ payloadType, payload: PAYLOAD.toString('base64'), signatures: [] })
    const read = await readEnvelopeInTurns(Buffer.from(json), async () => {})
    assert.ok(read.ok)
    const encoded = preAuthEncoding(read.value)
    assert.deepEqual(encoded, dsse.preAuthEncoding(payloadType, PAYLOAD))
    assert.equal(preAuthEncoding(read.value), encoded)
    const { payload } = read.value
    assert.equal(encoded.buffer === payload.buffer && endOf(encoded) === endOf(payload), payloadType.length < 100)
    assert.deepEqual(payload, PAYLOAD)
  }
})
