import assert from 'node:assert/strict'
import { constants, createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { ed25519ph } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import type { KeyType } from '../../fakes/signer.ts'
import { makeSigner, signBytes } from '../../fakes/signer.ts'
import {
  digestInTurns,
  firstPemBlock,
  isPublicKey,
  readHash,
  readPublicKey,
  whyNotSigned,
  whyNotSignedInTurns,
} from '../../src/trust/key.ts'
import type { PublicKey } from '../../src/trust/key.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

const P256 = makeSigner('p256')
const MESSAGE = Buffer.from('what is signed')
const pemOf = (label: string, der: Buffer): string =>
  `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`

function keyOf(pem: string, hash = ''): PublicKey {
  const read = readPublicKey(pem, hash)
  assert.ok(read.ok, 'a key was expected')
  return read.value
}

function causeOf(pem: string, hash = ''): string {
  const read = readPublicKey(pem, hash)
  assert.ok(!read.ok, 'no key was expected')
  assert.equal(read.reason.code, 'key-unusable')
  return sentenceOf(read.reason)
}

for (const [type, envelopeHashes] of [
  ['p256', ['sha256']],
  ['p384', ['sha384', 'sha256']],
  ['p521', ['sha512', 'sha256']],
  ['rsa2048', ['sha256']],
  ['rsa4096', ['sha256']],
  ['ed25519', ['sha256']],
] as const satisfies [KeyType, string[]][]) {
  test(`a ${type} key is read; unless a policy names a digest, envelopes may use ${envelopeHashes.join(' or ')}`, () => {
    const { pem } = makeSigner(type)
    const key = keyOf(pem)
    assert.equal(key.hash, 'sha256')
    assert.deepEqual(key.envelopeHashes, envelopeHashes)
    assert.deepEqual(key.warnings, [])
    const spki = createPublicKey(pem).export({ format: 'der', type: 'spki' })
    assert.equal(key.id, createHash('sha256').update(spki).digest('hex'))
    assert.equal(keyOf(pem).id, key.id)
  })
}

test('a digest that the policy names is the only one', () => {
  assert.deepEqual(keyOf(makeSigner('p384').pem, 'sha256').envelopeHashes, ['sha256'])
  assert.deepEqual(keyOf(makeSigner('p384').pem, 'sha512').envelopeHashes, ['sha512'])
})

for (const [text, hash] of [
  ['', 'sha256'],
  ['sha224', 'sha224'],
  [' SHA384\n', 'sha384'],
  ['Sha512', 'sha512'],
  ['md5', undefined],
  ['sha1', undefined],
  ['sha-256', undefined],
] as const) {
  test(`hashAlgorithm ${JSON.stringify(text)} ${hash ? `is ${hash}` : 'is unknown'}`, () => {
    assert.equal(readHash(text), hash)
    assert.equal(readPublicKey(P256.pem, text).ok, hash !== undefined)
  })
}

test('PKCS#1 and PKIX of one RSA key are the same key', () => {
  const { publicKey, pem } = makeSigner('rsa2048')
  assert.equal(keyOf(publicKey.export({ format: 'pem', type: 'pkcs1' })).id, keyOf(pem).id)
})

test('only the first block counts: text before it and whatever follows do not', () => {
  const other = makeSigner('ed25519').pem
  assert.equal(keyOf(`hello\n${P256.pem}${other}`).id, keyOf(P256.pem).id)
  assert.equal(keyOf(`${other}${P256.pem}`).id, keyOf(other).id)
  assert.equal(keyOf(P256.pem.replaceAll('\n', '\r\n')).id, keyOf(P256.pem).id)
  assert.equal(keyOf(P256.pem.trimEnd()).id, keyOf(P256.pem).id)
})

for (const [title, pem, cause] of [
  ['an empty text', '', 'PEM decoding failed'],
  ['no PEM', 'garbage', 'PEM decoding failed'],
  ['a block without an end', P256.pem.split('-----END')[0] ?? '', 'PEM decoding failed'],
  ['a block that is not base64', '-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n', 'PEM decoding failed'],
  ['a PEM on one line', P256.pem.replaceAll('\n', ' '), 'PEM decoding failed'],
  [
    'a certificate',
    pemOf('CERTIFICATE', Buffer.from('x')),
    'unknown Public key PEM file type: CERTIFICATE. Are you passing the correct public key?',
  ],
  [
    'a private key',
    P256.privateKey.export({ format: 'pem', type: 'pkcs8' }),
    'unknown Public key PEM file type: PRIVATE KEY. Are you passing the correct public key?',
  ],
  ['no DER', pemOf('PUBLIC KEY', Buffer.from('x')), 'the public key cannot be parsed'],
  [
    'a key of the other form',
    pemOf('RSA PUBLIC KEY', P256.publicKey.export({ format: 'der', type: 'spki' })),
    'the public key cannot be parsed',
  ],
  ['a point that is not on the curve', pemOf('PUBLIC KEY', offCurve()), 'the public key cannot be parsed'],
  [
    'a P-224 key',
    spkiPem(generateKeyPairSync('ec', { namedCurve: 'secp224r1' }).publicKey),
    'the elliptic curve secp224r1 is not one of P-256, P-384, P-521',
  ],
  [
    'a secp256k1 key',
    spkiPem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey),
    'the elliptic curve secp256k1 is not one of P-256, P-384, P-521',
  ],
  ['an X25519 key', spkiPem(generateKeyPairSync('x25519').publicKey), 'a public key of the type x25519 is not one of ECDSA, RSA, Ed25519'],
  [
    'a key for RSA-PSS only',
    spkiPem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey),
    'a public key of the type rsa-pss is not one of ECDSA, RSA, Ed25519',
  ],
  [
    'an RSA key of 512 bits',
    spkiPem(generateKeyPairSync('rsa', { modulusLength: 512 }).publicKey),
    'an RSA key of 512 bits is not between 1024 and 16384',
  ],
  ['a text of more than 64 KiB', 'x'.repeat(65_537), 'public key PEM of 65537 characters exceeds the limit of 65536'],
] as const) {
  test(`${title} is refused: ${cause}`, () => assert.equal(causeOf(pem), cause))
}

function spkiPem(key: { export(options: { format: 'pem'; type: 'spki' }): string | Buffer }): string {
  return key.export({ format: 'pem', type: 'spki' }).toString()
}

function offCurve(): Buffer {
  const der = P256.publicKey.export({ format: 'der', type: 'spki' })
  der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1
  return der
}

test('an RSA key of 1024 bits still verifies, and its owner is warned', () => {
  const signer = makeSigner('rsa1024')
  const key = keyOf(signer.pem)
  assert.deepEqual(key.warnings, ['the RSA key has 1024 bits; fewer than 2048 can be forged'])
  assert.equal(whyNotSigned(key.key, 'sha256', MESSAGE, signBytes(signer, MESSAGE)), undefined)
})

for (const type of ['p256', 'p384', 'p521', 'rsa2048', 'ed25519'] as const) {
  const signer = makeSigner(type)
  const { key } = keyOf(signer.pem)
  const words =
    type === 'rsa2048'
      ? 'crypto/rsa: verification error'
      : type === 'ed25519'
        ? 'failed to verify signature'
        : 'invalid signature when validating ASN.1 encoded signature'
  for (const hash of ['sha224', 'sha256', 'sha384', 'sha512'] as const) {
    test(`${type} with ${hash}: its own signature verifies, another message, digest or key does not`, () => {
      const signature = signBytes(signer, MESSAGE, hash)
      assert.equal(whyNotSigned(key, hash, MESSAGE, signature), undefined)
      assert.equal(whyNotSigned(key, hash, Buffer.from('something else'), signature), words)
      assert.equal(whyNotSigned(keyOf(makeSigner(type).pem).key, hash, MESSAGE, signature), words)
      // Ed25519 has a digest of its own and ignores the named one.
      assert.equal(whyNotSigned(key, hash === 'sha512' ? 'sha256' : 'sha512', MESSAGE, signature), type === 'ed25519' ? undefined : words)
    })
  }
}

const P1363 = 'invalid signature when validating IEEE_P1363 encoded signature'
const ASN1 = 'invalid signature when validating ASN.1 encoded signature'
const INVALID = 'ecdsa: Invalid IEEE_P1363 encoded bytes'

test('ECDSA signatures are taken as r and s of the curve’s length too', () => {
  for (const type of ['p256', 'p384', 'p521'] as const) {
    const signer = makeSigner(type)
    const raw = sign('sha256', MESSAGE, { key: signer.privateKey, dsaEncoding: 'ieee-p1363' })
    assert.equal(whyNotSigned(signer.publicKey, 'sha256', MESSAGE, raw), undefined)
    assert.equal(whyNotSigned(signer.publicKey, 'sha256', Buffer.from('x'), raw), P1363)
    assert.equal(
      whyNotSigned(signer.publicKey, 'sha256', MESSAGE, Buffer.concat([Buffer.alloc(2), raw])),
      raw.length === 132 ? INVALID : P1363,
    )
  }
})

test('an ECDSA signature with a high s is taken: which of the two a signer wrote says nothing', () => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const raw = sign('sha256', MESSAGE, { key: P256.privateKey, dsaEncoding: 'ieee-p1363' })
  const s = BigInt(`0x${raw.subarray(32).toString('hex')}`)
  const other = Buffer.concat([raw.subarray(0, 32), Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')])
  assert.equal(whyNotSigned(P256.publicKey, 'sha256', MESSAGE, other), undefined)
})

for (const [title, signature, words] of [
  ['nothing', Buffer.alloc(0), INVALID],
  ['an odd number of bytes', Buffer.alloc(63), INVALID],
  ['more than any curve has', Buffer.alloc(134), INVALID],
  ['zeros as r and s', Buffer.alloc(64), P1363],
  ['DER of r = s = 0', Buffer.from('3006020100020100', 'hex'), ASN1],
  ['DER of negative numbers', Buffer.from('30060201ff0201ff', 'hex'), ASN1],
  ['DER with garbage behind it', Buffer.concat([signBytes(P256, MESSAGE), Buffer.from([0])]), ASN1],
  ['DER of half a signature', Buffer.from('3003020101', 'hex'), INVALID],
] as const) {
  test(`an ECDSA signature of ${title} is refused: ${words}`, () =>
    assert.equal(whyNotSigned(P256.publicKey, 'sha256', MESSAGE, signature), words))
}

test('an RSA signature by PSS is refused: a policy’s key verifies PKCS#1 v1.5 only', () => {
  const signer = makeSigner('rsa2048')
  const pss = sign('sha256', MESSAGE, { key: signer.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING })
  assert.equal(whyNotSigned(signer.publicKey, 'sha256', MESSAGE, pss), 'crypto/rsa: verification error')
})

test('Ed25519 signatures are taken over the bytes and, as cosign makes them, over their SHA-512 (Ed25519ph, RFC 8032 section 7.3)', () => {
  const seed = '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42'
  const key = createPublicKey(
    createPrivateKey({ key: Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex'), format: 'der', type: 'pkcs8' }),
  )
  const signature = Buffer.from(
    '98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406',
    'hex',
  )
  assert.equal(whyNotSigned(key, 'sha256', Buffer.from('abc'), signature), undefined)
  assert.equal(whyNotSigned(key, 'sha256', Buffer.from('abd'), signature), 'failed to verify signature')
  assert.equal(whyNotSigned(makeSigner('ed25519').publicKey, 'sha256', Buffer.from('abc'), signature), 'failed to verify signature')
})

test('no bytes are a signature by accident, and none throws', () => {
  const keys = (['p256', 'p521', 'rsa2048', 'ed25519'] as const).map((type) => makeSigner(type).publicKey)
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom(...keys),
      (bytes, key) => whyNotSigned(key, 'sha256', MESSAGE, bytes) !== undefined,
    ),
  )
})

test('every bit of a DER signature counts', () => {
  const signature = signBytes(P256, MESSAGE)
  for (let bit = 0; bit < signature.length * 8; bit++) {
    const flipped = Buffer.from(signature)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.notEqual(whyNotSigned(P256.publicKey, 'sha256', MESSAGE, flipped), undefined, `bit ${bit}`)
  }
})

test('reading a key never throws', () => {
  const line = fc.constantFrom(
    '-----BEGIN PUBLIC KEY-----',
    '-----END PUBLIC KEY-----',
    '-----BEGIN RSA PUBLIC KEY-----',
    'AAAA',
    'Proc-Type: 4',
    '-----',
    '',
    'MFkw',
  )
  fc.assert(fc.property(fc.array(line), (lines) => typeof readPublicKey(lines.join('\n'), '').ok === 'boolean'))
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1 }),
      fc.constantFrom('PUBLIC KEY', 'RSA PUBLIC KEY'),
      (der, label) => typeof readPublicKey(pemOf(label, Buffer.from(der)), '').ok === 'boolean',
    ),
  )
})

test('the first well-formed PEM block is found behind headers and broken ones', () => {
  assert.deepEqual(firstPemBlock('-----BEGIN A-----\n!\n-----END A-----\n-----BEGIN B-----\nProc-Type: 4\n\nQUJD\n-----END B-----'), {
    label: 'B',
    der: Buffer.from('ABC'),
  })
  assert.deepEqual(firstPemBlock('-----BEGIN A-----\n-----BEGIN B-----\nQU JD\n-----END B-----'), { label: 'B', der: Buffer.from('ABC') })
  assert.equal(firstPemBlock('-----BEGIN A-----\nQUJD\n-----END B-----'), undefined)
})

test('a public key is one, though it be too weak to verify with', () => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 512 }).publicKey
  for (const pem of [
    P256.pem,
    `hello\n${P256.pem}`,
    pemOf('PUBLIC KEY', weak.export({ format: 'der', type: 'spki' })),
    pemOf('RSA PUBLIC KEY', weak.export({ format: 'der', type: 'pkcs1' })),
  ])
    assert.ok(isPublicKey(pem))
  assert.ok(!readPublicKey(pemOf('PUBLIC KEY', weak.export({ format: 'der', type: 'spki' })), '').ok)
})

test('a key of a kind, or written in a way, that Go does not parse is none', () => {
  const der = createPublicKey(P256.pem).export({ format: 'der', type: 'spki' })
  const compressed = Buffer.concat([der.subarray(0, 26), Buffer.from([der.at(-1)! % 2 === 0 ? 2 : 3]), der.subarray(27, 59)])
  compressed[1] = compressed.length - 2
  compressed[24] = 34
  assert.equal(createPublicKey({ key: compressed, format: 'der', type: 'spki' }).asymmetricKeyType, 'ec')
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'der', type: 'pkcs1' })
  assert.ok(isPublicKey(pemOf('RSA PUBLIC KEY', rsa)))
  for (const pem of [
    spkiPem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey),
    spkiPem(generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' }).publicKey),
    spkiPem(generateKeyPairSync('rsa-pss', { modulusLength: 1024 }).publicKey),
    spkiPem(generateKeyPairSync('ed448').publicKey),
    pemOf('PUBLIC KEY', compressed),
    pemOf('PUBLIC KEY', Buffer.concat([der, Buffer.alloc(2)])),
    pemOf('RSA PUBLIC KEY', Buffer.concat([rsa, Buffer.alloc(2)])),
  ])
    assert.ok(!isPublicKey(pem), pem)
  assert.ok(isPublicKey(spkiPem(generateKeyPairSync('ec', { namedCurve: 'secp224r1' }).publicKey)))
})

test('anything else is none', () => {
  const der = createPublicKey(P256.pem).export({ format: 'der', type: 'spki' })
  for (const pem of ['', 'garbage', pemOf('CERTIFICATE', der), pemOf('PUBLIC KEY', Buffer.from('x')), pemOf('RSA PUBLIC KEY', der)])
    assert.ok(!isPublicKey(pem), pem)
  assert.ok(!isPublicKey(`${' '.repeat(70_000)}${P256.pem}`))
})

for (const type of ['p256', 'p384', 'p521', 'rsa2048', 'ed25519'] as const) {
  test(`${type}: however much was signed, it is verified as little is, and others have their turn`, async () => {
    const signer = makeSigner(type)
    const { key } = keyOf(signer.pem)
    const much = Buffer.alloc(3 * 1024 * 1024 + 7, 'signed')
    let turns = 0
    const why = (bytes: Uint8Array, signature: Uint8Array) => whyNotSignedInTurns(key, 'sha256', bytes, signature, async () => void turns++)
    const signature = signBytes(signer, much)
    assert.equal(await why(much, signature), undefined)
    if (type !== 'ed25519') assert.equal(turns, 4)
    const altered = Buffer.from(much)
    altered[much.length - 1] = 0
    for (const [bytes, by] of [
      [altered, signature],
      [much, signBytes(makeSigner(type), much)],
      [much, Buffer.alloc(0)],
      [much, Buffer.alloc(200)],
    ] as const) {
      const said = whyNotSigned(key, 'sha256', bytes, by)
      assert.ok(said !== undefined)
      assert.equal(await why(bytes, by), said)
    }
  })
}

test('ECDSA as r‖s, and Ed25519ph, as cosign signs, are verified of much as of little', async () => {
  const much = Buffer.alloc(3 * 1024 * 1024, 'signed')
  const noTurn = async (): Promise<void> => {}
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const raw = sign('sha256', much, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  assert.equal(await whyNotSignedInTurns(publicKey, 'sha256', much, raw, noTurn), undefined)
  assert.equal(
    await whyNotSignedInTurns(publicKey, 'sha256', much.subarray(1), raw, noTurn),
    'invalid signature when validating IEEE_P1363 encoded signature',
  )
  const pair = generateKeyPairSync('ed25519')
  const secret = pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  const ph = ed25519ph.sign(much, secret)
  assert.equal(await whyNotSignedInTurns(pair.publicKey, 'sha256', much, ph, noTurn), undefined)
  assert.equal(await whyNotSignedInTurns(pair.publicKey, 'sha256', much.subarray(1), ph, noTurn), 'failed to verify signature')
})

test('a digest is the same however much there is', async () => {
  const much = Buffer.alloc(2.5 * 1024 * 1024, 'x')
  for (const bytes of [Buffer.alloc(0), MESSAGE, much])
    assert.deepEqual(await digestInTurns('sha384', bytes, async () => {}), createHash('sha384').update(bytes).digest())
})
