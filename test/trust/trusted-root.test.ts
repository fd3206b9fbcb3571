import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TrustMaterial } from '../../src/trust/material.ts'
import { findPath } from '../../src/trust/path.ts'
import { MAX_TRUSTED_ROOT_BYTES, readTrustedRoot, trustMaterial } from '../../src/trust/trusted-root.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import type { KeyKind, KeyPair, Minted } from './authority.ts'
import { makeKeys, mintAuthority, mintLeaf, NOON, TIME_STAMPING } from './authority.ts'

const root = mintAuthority('CN=root')
const intermediate = mintAuthority('CN=intermediate', { by: root })
const tsa = mintLeaf(intermediate, { subject: 'CN=tsa', usages: [TIME_STAMPING], usagesCritical: true })
const keys = makeKeys()

const spki = ({ publicKey }: KeyPair): Buffer => publicKey.export({ format: 'der', type: 'spki' })
const idOf = (pair: KeyPair): string => createHash('sha256').update(spki(pair)).digest('hex')

type Fields = { readonly [field: string]: unknown }

const logOf = (pair: KeyPair = keys, changes: Fields = {}, keyChanges: Fields = {}): Fields => ({
  baseUrl: 'https://log.example',
  hashAlgorithm: 'SHA2_256',
  publicKey: {
    rawBytes: spki(pair).toString('base64'),
    keyDetails: 'PKIX_ECDSA_P256_SHA_256',
    validFor: { start: '2025-01-01T00:00:00Z' },
    ...keyChanges,
  },
  logId: { keyId: Buffer.from(idOf(pair), 'hex').toString('base64') },
  ...changes,
})

const authorityOf = (chain: readonly Minted[], changes: Fields = {}): Fields => ({
  subject: { organization: 'acme', commonName: 'ca' },
  uri: 'https://ca.example',
  certChain: { certificates: chain.map(({ der }) => ({ rawBytes: der.toString('base64') })) },
  validFor: { start: '2025-01-01T00:00:00Z', end: '2027-01-01T00:00:00.999Z' },
  ...changes,
})

const documentOf = (changes: Fields = {}): Fields => ({
  mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
  tlogs: [logOf()],
  certificateAuthorities: [authorityOf([intermediate, root])],
  ctlogs: [logOf()],
  timestampAuthorities: [authorityOf([tsa, intermediate, root])],
  ...changes,
})

function read(document: unknown): TrustMaterial {
  const got = readTrustedRoot(JSON.stringify(document), 'ours')
  assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
  return got.value
}

function why(document: unknown): string | undefined {
  const got = readTrustedRoot(typeof document === 'string' ? document : JSON.stringify(document), 'ours')
  if (got.ok) return undefined
  assert.equal(got.reason.code, 'trust-root-unreadable')
  return sentenceOf(got.reason).replace('the trust root `ours` cannot be read: ', '')
}

test('a trusted root is read: authorities, logs, their periods, and what it is called', () => {
  const material = read(documentOf())
  assert.equal(material.name, 'ours')
  const period = { from: Date.UTC(2025, 0, 1), until: Date.UTC(2027, 0, 1) + 999 }
  const [ca] = material.certificateAuthorities
  assert.equal(ca?.uri, 'https://ca.example')
  assert.deepEqual(ca?.valid, period)
  assert.deepEqual([ca?.roots.length, ca?.intermediates.length], [1, 1])
  const [stamper] = material.timestampAuthorities
  assert.deepEqual([stamper?.roots.length, stamper?.intermediates.length], [1, 2])
  for (const [log] of [material.transparencyLogs, material.certificateLogs]) {
    assert.deepEqual([log?.id, log?.hash, log?.url], [idOf(keys), 'sha256', 'https://log.example'])
    assert.deepEqual(log?.valid, { from: Date.UTC(2025, 0, 1), until: undefined })
  }
  assert.equal(material.until, undefined)
  assert.deepEqual(material.warnings, [])
  const path = findPath(mintLeaf(intermediate).certificate, [], material.certificateAuthorities, 'code-signing', NOON)
  assert.ok(path.ok)
})

for (const mediaType of [
  'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
  'application/vnd.dev.sigstore.trustedroot+json;version=0.2',
  'application/vnd.dev.sigstore.trustedroot.v0.1+json',
  'application/vnd.dev.sigstore.trustedroot.v0.2+json',
]) {
  test(`${mediaType} is a trusted root`, () => assert.equal(why(documentOf({ mediaType })), undefined))
}

test('every instance counts, not only the last', () => {
  const others = [makeKeys(), makeKeys()]
  const material = read(
    documentOf({
      tlogs: [keys, ...others].map((pair) => logOf(pair)),
      ctlogs: [keys, ...others].map((pair) => logOf(pair)),
      certificateAuthorities: [authorityOf([intermediate, root]), authorityOf([mintAuthority('CN=second')])],
      timestampAuthorities: [authorityOf([root]), authorityOf([intermediate, root])],
    }),
  )
  const ids = [keys, ...others].map(idOf)
  assert.deepEqual(
    material.transparencyLogs.map(({ id }) => id),
    ids,
  )
  assert.deepEqual(
    material.certificateLogs.map(({ id }) => id),
    ids,
  )
  assert.deepEqual([material.certificateAuthorities.length, material.timestampAuthorities.length], [2, 2])
})

for (const [kind, keyDetails, hash] of [
  ['P-256', 'PKIX_ECDSA_P256_SHA_256', 'sha256'],
  ['P-384', 'PKIX_ECDSA_P384_SHA_384', 'sha384'],
  ['P-384', 'PKIX_ECDSA_P384_SHA_256', 'sha256'],
  ['P-521', 'PKIX_ECDSA_P521_SHA_512', 'sha512'],
  ['P-384', undefined, 'sha384'],
  ['RSA', 'PKIX_RSA_PKCS1V15_2048_SHA256', 'sha256'],
  ['RSA', undefined, 'sha256'],
  ['Ed25519', 'PKIX_ED25519', null],
  ['Ed25519', undefined, null],
] as const satisfies readonly (readonly [KeyKind, string | undefined, string | null])[]) {
  test(`a log with a key of the type ${kind}, called ${keyDetails ?? 'nothing'}, is read`, () => {
    const pair = makeKeys(kind)
    const [log] = read(documentOf({ tlogs: [logOf(pair, {}, { keyDetails })] })).transparencyLogs
    assert.deepEqual([log?.id, log?.hash, log?.key.asymmetricKeyType], [idOf(pair), hash, pair.publicKey.asymmetricKeyType])
  })
}

test('a key in PKCS#1 has the id of its SubjectPublicKeyInfo', () => {
  const pair = makeKeys('RSA')
  const rawBytes = pair.publicKey.export({ format: 'der', type: 'pkcs1' }).toString('base64')
  for (const keyDetails of ['PKCS1_RSA_PKCS1V5', undefined])
    assert.equal(read(documentOf({ ctlogs: [logOf(pair, {}, { rawBytes, keyDetails })] })).certificateLogs[0]?.id, idOf(pair))
})

test('lesson 24: the id of a log is computed, whatever the document says', () => {
  const hexText = Buffer.from(idOf(keys)).toString('base64')
  for (const logId of [{ keyId: hexText }, { keyId: 'AAAA' }, {}, undefined])
    assert.equal(read(documentOf({ tlogs: [logOf(keys, { logId })] })).transparencyLogs[0]?.id, idOf(keys))
})

test('a log with a key of a type that is not supported is left out, and said', () => {
  const material = read(documentOf({ tlogs: [logOf(keys, {}, { keyDetails: 'ML_DSA_65', rawBytes: 'AAAA' }), logOf()] }))
  assert.equal(material.transparencyLogs.length, 1)
  assert.deepEqual(material.warnings, [
    'tlogs[0] is left out: a key of the type `ML_DSA_65` is not supported, so nothing that it signs is believed',
  ])
})

test('without a period an authority counts from 1970 on; a log needs one', () => {
  const material = read(documentOf({ certificateAuthorities: [authorityOf([root], { validFor: {} })] }))
  assert.deepEqual(material.certificateAuthorities[0]?.valid, { from: 0, until: undefined })
})

test('a chain without a root leads to the roots of the other chains', () => {
  const material = read(documentOf({ certificateAuthorities: [authorityOf([intermediate]), authorityOf([root])] }))
  const path = findPath(mintLeaf(intermediate).certificate, [], material.certificateAuthorities, 'code-signing', NOON)
  assert.ok(path.ok)
  // Over its own certificates only, within its own time.
  const over = { validFor: { end: new Date(NOON - 1).toISOString() } }
  const ended = read(documentOf({ certificateAuthorities: [authorityOf([intermediate]), authorityOf([root], over)] }))
  const other = mintAuthority('CN=other', { by: root })
  const found = findPath(mintLeaf(other).certificate, [other.certificate], ended.certificateAuthorities, 'code-signing', NOON)
  assert.equal(found.ok, false)
})

test('base64 of either alphabet, with or without padding, is read as protobuf writes it', () => {
  const url = spki(keys).toString('base64url')
  assert.equal(why(documentOf({ tlogs: [logOf(keys, {}, { rawBytes: url })] })), undefined)
})

test('fields that nobody knows yet, and what is null, are left unread', () => {
  assert.equal(why(documentOf({ operator: 'x', more: [1], tlogs: [logOf(keys, { operator: 'acme.example' })], ctlogs: null })), undefined)
})

const key = (changes: Fields): Fields => documentOf({ tlogs: [logOf(), logOf(keys, {}, changes)] })
const ca = (changes: Fields): Fields => documentOf({ certificateAuthorities: [authorityOf([root], changes)] })
for (const [title, document, detail] of [
  ['no JSON', '{', 'unexpected end of JSON input'],
  ['a list', [], 'the document is not an object'],
  ['without a media type', documentOf({ mediaType: undefined }), 'mediaType is missing, not that of a trusted root 0.1 or 0.2'],
  [
    'of another media type',
    documentOf({ mediaType: 'application/json' }),
    'mediaType is `application/json`, not that of a trusted root 0.1 or 0.2',
  ],
  ['with nothing in it', { mediaType: documentOf()['mediaType'] }, 'it names no authority and no log'],
  ['whose logs are no list', documentOf({ tlogs: {} }), 'tlogs is not a list'],
  ['whose log is no object', documentOf({ ctlogs: [1] }), 'ctlogs[0] is not an object'],
  ['with a log without a key', documentOf({ ctlogs: [{ baseUrl: 'https://a' }] }), 'ctlogs[0].publicKey is missing'],
  ['with a log whose URL is a number', documentOf({ ctlogs: [logOf(keys, { baseUrl: 1 })] }), 'ctlogs[0].baseUrl is not a string'],
  ['with a key without bytes', key({ rawBytes: '' }), 'tlogs[1].publicKey.rawBytes is missing'],
  ['with a key that is not base64', key({ rawBytes: 'a b' }), 'tlogs[1].publicKey.rawBytes is not base64'],
  ['with bytes that are no key', key({ rawBytes: 'AAAA' }), 'tlogs[1].publicKey: the public key cannot be parsed'],
  ['with a log without a period', key({ validFor: undefined }), 'tlogs[1].publicKey.validFor is missing'],
  [
    'with a log whose period has no beginning',
    key({ validFor: { end: '2027-01-01T00:00:00Z' } }),
    'tlogs[1].publicKey.validFor.start is missing',
  ],
  [
    'with a period that is no time',
    key({ validFor: { start: 'yesterday' } }),
    'tlogs[1].publicKey.validFor.start is not a time as RFC 3339 has it',
  ],
  [
    'with a period from the 30th of February',
    key({ validFor: { start: '2025-02-30T00:00:00Z' } }),
    'tlogs[1].publicKey.validFor.start is not a time as RFC 3339 has it',
  ],
  [
    'with a period that ends before it starts',
    key({ validFor: { start: '2025-01-02T00:00:00Z', end: '2025-01-01T00:00:00Z' } }),
    'tlogs[1].publicKey.validFor ends before it starts',
  ],
  ['with an authority without a URI', ca({ uri: undefined }), 'certificateAuthorities[0].uri is missing'],
  ['with an authority without a chain', ca({ certChain: undefined }), 'certificateAuthorities[0].certChain is missing'],
  ['with an empty chain', ca({ certChain: { certificates: [] } }), 'certificateAuthorities[0].certChain.certificates is empty'],
  [
    'with a certificate that is none',
    ca({ certChain: { certificates: [{ rawBytes: 'MAA=' }] } }),
    'certificateAuthorities[0].certChain.certificates[0].rawBytes: the certificate cannot be read: it is not a certificate in DER',
  ],
  [
    'with a certificate in PEM',
    ca({ certChain: { certificates: [{ rawBytes: Buffer.from(root.pem).toString('base64') }] } }),
    'certificateAuthorities[0].certChain.certificates[0].rawBytes: the certificate cannot be read: it is not a certificate in DER',
  ],
  [
    'without any root',
    documentOf({ certificateAuthorities: [authorityOf([intermediate])] }),
    'certificateAuthorities[0].certChain: no certificate of the chain is a root: subject and issuer differ in every one',
  ],
  [
    'with two certificates that sign timestamps',
    documentOf({ timestampAuthorities: [authorityOf([tsa, tsa, root])] }),
    'timestampAuthorities[0].certChain: certificate chain must contain at most one TSA certificate',
  ],
  [
    'with 65 logs',
    documentOf({ tlogs: Array.from({ length: 65 }, () => logOf()) }),
    'tlogs: number of instances (65) exceeded the limit (64)',
  ],
  [
    'with 17 certificates in a chain',
    ca({ certChain: { certificates: Array.from({ length: 17 }, () => ({ rawBytes: root.der.toString('base64') })) } }),
    'certificateAuthorities[0].certChain.certificates: number of certificates (17) exceeded the limit (16)',
  ],
] as const) {
  test(`a trusted root ${title} is refused, and the field named`, () => assert.equal(why(document), detail))
}

test('lesson 38: a trusted root is bounded in bytes and depth', () => {
  assert.equal(why(' '.repeat(MAX_TRUSTED_ROOT_BYTES + 1)), 'size of document (1048577) exceeded the limit (1048576)')
  assert.equal(why('['.repeat(17)), 'exceeded max depth')
})

test('the hash changes with every part, and with nothing else', () => {
  const { hash } = read(documentOf())
  assert.equal(read(documentOf({ more: 1, tlogs: [logOf(keys, { logId: undefined })] })).hash, hash)
  const renamed = readTrustedRoot(JSON.stringify(documentOf()), 'theirs')
  assert.ok(renamed.ok)
  const hashes = [
    documentOf({ tlogs: [] }),
    documentOf({ ctlogs: [] }),
    documentOf({ tlogs: [logOf(makeKeys())] }),
    documentOf({ tlogs: [logOf(keys, { baseUrl: 'https://other.example' })] }),
    documentOf({ tlogs: [logOf(keys, {}, { validFor: { start: '2024-01-01T00:00:00Z' } })] }),
    documentOf({ certificateAuthorities: [authorityOf([root])] }),
    documentOf({ certificateAuthorities: [authorityOf([intermediate, root], { validFor: {} })] }),
    documentOf({ timestampAuthorities: [] }),
  ].map((document) => read(document).hash)
  assert.equal(new Set([hash, renamed.value.hash, ...hashes]).size, hashes.length + 2)
  assert.equal(trustMaterial({ ...read(documentOf()), until: 1 }).hash, hash)
})

test('any bytes, and a trusted root with any piece changed, are read or refused with a reason', () => {
  const text = JSON.stringify(documentOf())
  fc.assert(fc.property(fc.json(), (json) => void why(json)))
  fc.assert(
    fc.property(
      fc.nat(text.length),
      fc.nat(40),
      fc.string({ maxLength: 8 }),
      (at, length, piece) => void why(text.slice(0, at) + piece + text.slice(at + length)),
    ),
  )
  const fields = ['mediaType', 'tlogs', 'certificateAuthorities', 'ctlogs', 'timestampAuthorities']
  fc.assert(fc.property(fc.constantFrom(...fields), fc.jsonValue(), (field, value) => void why(documentOf({ [field]: value }))))
})
