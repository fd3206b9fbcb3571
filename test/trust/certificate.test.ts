import assert from 'node:assert/strict'
import { X509Certificate as NodeCertificate } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodingOf, factsOf, isSignedBy, MAX_CERTIFICATE_BYTES, readCertificates } from '../../src/trust/certificate.ts'
import type { CertificateFacts } from '../../src/trust/certificate.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import type { KeyKind, Made } from './authority.ts'
import {
  algorithmOf,
  CODE_SIGNING,
  der,
  dns,
  email,
  mint,
  mintAuthority,
  mintLeaf,
  NOON,
  pemOf,
  sequence,
  utcTime,
  userName,
} from './authority.ts'

const root = mintAuthority('CN=root')
const intermediate = mintAuthority('CN=intermediate', { by: root, authority: 0 })
const leaf = mintLeaf(intermediate)

function why(bytes: Uint8Array | string): string | undefined {
  const got = readCertificates(bytes)
  if (got.ok) return undefined
  assert.equal(got.reason.code, 'certificate-malformed')
  return sentenceOf(got.reason).replace('the certificate cannot be read: ', '')
}

function count(bytes: Uint8Array | string): number {
  const got = readCertificates(bytes)
  assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
  return got.value.length
}

function facts(made: Made): CertificateFacts {
  const got = factsOf(mint(made).certificate)
  assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
  return got.value
}

test('the certificates of these tests are ones that another implementation reads and verifies', () => {
  assert.ok(new NodeCertificate(leaf.der).verify(intermediate.keys.publicKey))
  assert.ok(new NodeCertificate(intermediate.pem).checkIssued(new NodeCertificate(root.pem)))
})

// — PEM and DER

for (const [title, bytes, length] of [
  ['one in PEM', leaf.pem, 1],
  ['one in PEM, as bytes', Buffer.from(leaf.pem), 1],
  ['one in DER', leaf.der, 1],
  ['three in PEM', leaf.pem + intermediate.pem + root.pem, 3],
  ['a blank line behind the last', `${leaf.pem}\n\n \n`, 1],
  ['text between the blocks', `subject: somebody\n${leaf.pem}# the issuer\n\n${intermediate.pem}the end`, 2],
  ['lines that end as Windows ends them', leaf.pem.replaceAll('\n', '\r\n'), 1],
  ['base64 in one line', leaf.pem.replace(/(?<=[A-Za-z0-9+/])\n(?=[A-Za-z0-9+/])/g, ''), 1],
  ['text that begins with a digit', Buffer.from(`0 s:CN=leaf\n${leaf.pem}`), 1],
  ['sixteen', leaf.pem.repeat(16), 16],
] as const) {
  test(`certificates are read: ${title}`, () => assert.equal(count(bytes), length))
}

for (const [title, bytes, detail] of [
  ['nothing', '', 'error during PEM decoding'],
  ['no bytes', Buffer.alloc(0), 'error during PEM decoding'],
  ['a text', 'certificate', 'error during PEM decoding'],
  ['a block without an end', leaf.pem.replace(/-----END[^]*/, ''), 'error during PEM decoding'],
  ['a block within another', leaf.pem.replace('\n', `\n${leaf.pem}`), 'a PEM block begins within another'],
  ['a character that is not base64', leaf.pem.replace('M', '!'), 'error during PEM decoding'],
  ['an end alone', '-----END CERTIFICATE-----\n', 'error during PEM decoding'],
  ['a public key', pemOf(leaf.der, 'PUBLIC KEY'), 'it holds a PEM block that is a PUBLIC KEY, not a CERTIFICATE'],
  ['a private key behind it', leaf.pem + pemOf(leaf.der, 'PRIVATE KEY'), 'it holds a PEM block that is a PRIVATE KEY, not a CERTIFICATE'],
  ['a byte behind DER', mintLeaf(root, { trailing: Buffer.from([0]) }).der, 'it is not a certificate in DER'],
  ['a byte behind the DER in PEM', mintLeaf(root, { trailing: Buffer.from([0]) }).pem, 'it is not a certificate in DER'],
  ['two in DER', Buffer.concat([leaf.der, root.der]), 'it is not a certificate in DER'],
  ['the first half of DER', leaf.der.subarray(0, 200), 'it is not a certificate in DER'],
  [
    'something else in DER',
    sequence(sequence(der(0x04, Buffer.alloc(200))), sequence(), der(0x03, Buffer.from([0]))),
    'it is not a certificate of version 3',
  ],
] as const) {
  test(`certificates are refused: ${title}`, () => assert.equal(why(bytes), detail))
}

test('lessons 38, 41: certificates are bounded in bytes and in number', () => {
  assert.equal(why(leaf.pem.repeat(17)), 'number of certificates exceeded the limit (16)')
  assert.equal(why(der(0x30, Buffer.alloc(MAX_CERTIFICATE_BYTES))), 'size of certificate (8196) exceeded the limit (8192)')
  assert.equal(why('A'.repeat(512 * 1024 + 1)), 'size of certificates (524289) exceeded the limit (524288)')
  const big = mintLeaf(root, { extensions: [{ oid: '1.2.3', value: Buffer.alloc(7000) }] })
  assert.equal(count(big.der), 1)
})

// — what a certificate must be

const BASIC = { oid: '2.5.29.19', critical: true, value: sequence(der(0x01, Buffer.from([0xff]))) }
for (const [title, made, detail] of [
  ['of version 1', { version: 1 }, 'it is not a certificate of version 3'],
  ['of version 2', { version: 2 }, 'it is not a certificate of version 3'],
  ['without the name of its issuer', { issuer: sequence() }, 'its issuer has no name'],
  [
    'that names two signature algorithms',
    { innerAlgorithm: algorithmOf(root.keys.privateKey, { hash: 'sha512' }) },
    'it names two signature algorithms',
  ],
  ['with an extension twice', { extensions: [BASIC, BASIC] }, 'it has the extension 2.5.29.19 twice'],
  [
    'with its alternative names twice',
    { extensions: [{ oid: '2.5.29.17', value: sequence(email('eve@example.com')) }] },
    'it has the extension 2.5.29.17 twice',
  ],
  [
    'with a padded object identifier',
    { extensions: [{ oid: Buffer.from([0x55, 0x1d, 0x80, 0x13]), value: BASIC.value }] },
    'one of its object identifiers is malformed',
  ],
  [
    'with an object identifier without an end',
    { extensions: [{ oid: Buffer.from([0x55, 0x1d, 0x13, 0x81]), value: BASIC.value }] },
    'one of its object identifiers is malformed',
  ],
  [
    'with something behind its basic constraints',
    { extensions: [{ ...BASIC, value: Buffer.concat([BASIC.value, BASIC.value]) }] },
    'it is not a certificate in DER',
  ],
  [
    'with a path length for no authority',
    { extensions: [{ ...BASIC, value: sequence(der(0x02, Buffer.from([1]))) }] },
    'its basic constraints are malformed',
  ],
  [
    'with a negative path length',
    { extensions: [{ ...BASIC, value: sequence(der(0x01, Buffer.from([0xff])), der(0x02, Buffer.from([0xff]))) }] },
    'its basic constraints are malformed',
  ],
  [
    'with a truth value that is neither',
    { extensions: [{ ...BASIC, value: sequence(der(0x01, Buffer.from([0x01]))) }] },
    'it is not a certificate in DER',
  ],
  ['with no usages in its extended key usage', { usages: [] }, 'its extended key usage is malformed'],
  ['without a name in its alternative names', { names: [] }, 'its alternative names are malformed'],
  [
    'with 65 alternative names',
    { names: Array.from({ length: 65 }, () => dns('a')) },
    'number of alternative names exceeded the limit (64)',
  ],
  [
    'with a name constraint for distances',
    { extensions: [{ oid: '2.5.29.30', value: sequence(der(0xa0, sequence(dns('a'), der(0x80, Buffer.from([1]))))) }] },
    'it is not a certificate in DER',
  ],
  ['with name constraints that permit nothing', { permitted: [] }, 'its name constraints are malformed'],
  [
    'with 65 extensions',
    { extensions: Array.from({ length: 65 }, (_, i) => ({ oid: `1.2.3.${i}`, value: sequence() })) },
    'number of extensions exceeded the limit (64)',
  ],
  ['valid from the 30th of February', { validity: sequence(der(0x17, '260230120000Z'), utcTime(NOON)) }, 'its validity cannot be read'],
  [
    'valid to a fraction of a second',
    { validity: sequence(utcTime(NOON), der(0x18, '20260115120000.500Z')) },
    'its validity cannot be read',
  ],
  ['valid in local time', { validity: sequence(utcTime(NOON), der(0x17, '260115120000+0100')) }, 'its validity cannot be read'],
  ["valid until 24 o'clock", { validity: sequence(utcTime(NOON), der(0x17, '260115240000Z')) }, 'its validity cannot be read'],
] as const satisfies readonly (readonly [string, Made, string])[]) {
  test(`a certificate ${title} is refused`, () => assert.equal(why(mintLeaf(root, made).der), detail))
}

test('what is read of a certificate is what it says', () => {
  const authority = facts({
    subject: 'CN=a',
    authority: 3,
    keyUsage: ['keyCertSign'],
    permitted: [dns('example.com')],
    excluded: [email('e')],
  })
  assert.deepEqual(authority.authority, { pathLength: 3 })
  assert.deepEqual(authority.keyUsage, { digitalSignature: false, nonRepudiation: false, keyCertSign: true })
  assert.deepEqual(
    authority.nameConstraints?.permitted.map(({ tag, value }) => [tag, value.toString()]),
    [[2, 'example.com']],
  )
  assert.deepEqual(
    authority.nameConstraints?.excluded.map(({ tag, value }) => [tag, value.toString()]),
    [[1, 'e']],
  )
  assert.ok(authority.issuer.equals(authority.subject))

  const signer = facts({
    by: root,
    usages: [CODE_SIGNING],
    usagesCritical: true,
    names: [email('a@b'), userName('u')],
    from: NOON,
    until: NOON + 1000,
  })
  assert.equal(signer.authority, undefined)
  assert.equal(signer.keyUsage, undefined)
  assert.deepEqual(signer.extendedKeyUsage, { usages: [CODE_SIGNING], isCritical: true })
  assert.deepEqual(
    signer.names.map(({ tag }) => tag),
    [1, 0],
  )
  assert.deepEqual([signer.from, signer.until], [NOON, NOON + 1000])
  assert.equal(signer.unknownCritical, undefined)
  assert.equal(facts({ by: root, authority: false }).authority, undefined)
  assert.equal(facts({ by: root, extensions: [{ oid: '1.2.3.4', critical: true, value: sequence() }] }).unknownCritical, '1.2.3.4')
})

test('a year of two digits is one from 1950 to 2049, one of four is what it says', () => {
  const { from, until } = facts({ by: root, validity: sequence(der(0x17, '500101000000Z'), der(0x17, '491231235959Z')) })
  assert.deepEqual([from, until], [Date.UTC(1950, 0, 1), Date.UTC(2049, 11, 31, 23, 59, 59)])
  assert.equal(
    facts({ by: root, validity: sequence(utcTime(NOON), der(0x18, '99991231235959Z')) }).until,
    Date.UTC(9999, 11, 31, 23, 59, 59),
  )
})

// — signatures

for (const [kind, made] of [
  ['P-256', {}],
  ['P-384', { hash: 'sha384' }],
  ['P-521', { hash: 'sha512' }],
  ['P-256', { hash: 'sha384' }],
  ['RSA', {}],
  ['RSA', { hash: 'sha512' }],
  ['RSA', { pss: true }],
  ['RSA', { pss: true, hash: 'sha384' }],
  ['RSA', { pss: true, hash: 'sha512' }],
  ['Ed25519', {}],
] as const satisfies readonly (readonly [KeyKind, Made])[]) {
  test(`a certificate signed with ${kind} ${JSON.stringify(made)} is verified, with the key of its issuer and no other`, () => {
    const issuer = mintAuthority('CN=issuer', { kind })
    const other = mintAuthority('CN=issuer', { kind })
    const signed = mintLeaf(issuer, made)
    assert.ok(new NodeCertificate(signed.der).verify(issuer.keys.publicKey))
    assert.equal(isSignedBy(signed.certificate, issuer.certificate), true)
    assert.equal(isSignedBy(signed.certificate, issuer.certificate), true)
    assert.equal(isSignedBy(signed.certificate, other.certificate), false)
  })
}

for (const kind of ['P-256', 'RSA'] as const) {
  test(`a certificate signed with ${kind} over SHA-1 is not verified`, () => {
    const issuer = mintAuthority('CN=issuer', { kind })
    assert.equal(isSignedBy(mintLeaf(issuer, { hash: 'sha1' }).certificate, issuer.certificate), false)
  })
}

test('a signature of one algorithm is none of another', () => {
  const rsa = mintAuthority('CN=issuer', { kind: 'RSA' })
  assert.equal(isSignedBy(mintLeaf(intermediate).certificate, rsa.certificate), false)
})

// — any bytes

test('no bit of a certificate can be changed and its signature still verify', () => {
  fc.assert(
    fc.property(fc.nat(leaf.der.length - 1), fc.integer({ min: 1, max: 255 }), (index, xor) => {
      const changed = Buffer.from(leaf.der)
      changed[index] = (changed[index] ?? 0) ^ xor
      const got = readCertificates(changed)
      if (got.ok) for (const certificate of got.value) assert.equal(isSignedBy(certificate, intermediate.certificate), false)
    }),
    { numRuns: 2000 },
  )
})

test('what is verified is what was read: the encoding of every object is the bytes that it was read from', () => {
  const { root: object } = leaf.certificate
  assert.ok(encodingOf(object).equals(leaf.der))
  fc.assert(
    fc.property(fc.nat(leaf.der.length - 1), fc.integer({ min: 1, max: 255 }), (index, xor) => {
      const changed = Buffer.from(leaf.der)
      changed[index] = (changed[index] ?? 0) ^ xor
      const got = readCertificates(changed)
      if (got.ok) for (const { root: read } of got.value) assert.ok(encodingOf(read).equals(changed) && read.toDER().equals(changed))
    }),
    { numRuns: 500 },
  )
})

test('any bytes, and any text around PEM, are refused with a reason, and never thrown at', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(leaf.pem, '-----BEGIN CERTIFICATE-----\n', '-----END CERTIFICATE-----\n', 'MIIB\n', '\n'),
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 512 }), (bytes) => void why(bytes)))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 512 }), (bytes) => void why(der(0x30, bytes))))
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => void why(pieces.join(''))))
})

test('lesson 41: certificates nested as deeply as their size allows are refused soon', () => {
  for (const tag of [0x30, 0x04, 0x24, 0xa0]) {
    let nested: Buffer = Buffer.alloc(0)
    while (nested.length < 8000) nested = der(tag, nested)
    const flat = der(0x30, Buffer.concat(Array.from({ length: 4000 }, () => der(tag))))
    for (const bytes of [nested, flat, der(0x30, der(0x30, nested)).subarray(0, 8192)]) {
      const start = performance.now()
      why(bytes)
      const took = performance.now() - start
      assert.ok(took < 500, `${took.toFixed()} ms`)
    }
  }
})
