import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { findPath } from '../../src/trust/path.ts'
import { readSigstoreKeys, whyNotSigstoreKeys } from '../../src/trust/sigstore-keys.ts'
import { errorText } from '../../src/verdict/diagnostic.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import type { KeyKind, KeyPair } from './authority.ts'
import { makeKeys, mintAuthority, mintLeaf, NOON, pemOf, TIME_STAMPING } from './authority.ts'

const root = mintAuthority('CN=root')
const intermediate = mintAuthority('CN=intermediate', { by: root })
const tsa = mintLeaf(intermediate, { subject: 'CN=tsa', usages: [TIME_STAMPING], usagesCritical: true })
const keys = makeKeys()

type Fields = { readonly [field: string]: unknown }

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const spki = ({ publicKey }: KeyPair): Buffer => publicKey.export({ format: 'der', type: 'spki' })
const authorityOf = (pem: string, changes: Fields = {}): Fields => ({
  subject: { organization: 'acme', commonName: 'ca' },
  uri: 'https://ca.example',
  certChain: base64(pem),
  ...changes,
})
const logOf = (pair: KeyPair = keys, changes: Fields = {}): Fields => ({
  baseURL: 'https://log.example',
  hashAlgorithm: 'sha-256',
  publicKey: base64(pemOf(spki(pair), 'PUBLIC KEY')),
  ...changes,
})
const CA = authorityOf(intermediate.pem + root.pem)
const TSA = authorityOf(tsa.pem + intermediate.pem + root.pem)

function read(spec: unknown) {
  const got = readSigstoreKeys(spec, 'ours')
  assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
  assert.deepEqual(whyNotSigstoreKeys(spec), [])
  return got.value
}

/** What the reader says, one problem a part; whatever the webhook refuses is among it. */
function why(spec: unknown): string {
  const got = readSigstoreKeys(spec, 'ours')
  const refused = errorText(whyNotSigstoreKeys(spec))
  if (got.ok) {
    assert.equal(refused, '')
    return ''
  }
  assert.ok(got.reason.code === 'trust-root-unreadable')
  if (refused !== '') assert.ok(got.reason.detail.includes(refused.split('\n')[0] ?? ''))
  return got.reason.detail
}

test('keys that are named by hand are trust material without an end', () => {
  const material = read({ certificateAuthorities: [CA], tLogs: [logOf()], ctLogs: [logOf()], timestampAuthorities: [TSA] })
  assert.equal(material.name, 'ours')
  const always = { from: 0, until: undefined }
  const [ca, stamper, log, ctLog] = [
    material.certificateAuthorities[0],
    material.timestampAuthorities[0],
    material.transparencyLogs[0],
    material.certificateLogs[0],
  ]
  assert.deepEqual([ca?.uri, ca?.roots.length, ca?.intermediates.length, ca?.valid], ['https://ca.example', 1, 1, always])
  assert.deepEqual([stamper?.roots.length, stamper?.intermediates.length, stamper?.valid], [1, 2, always])
  const id = createHash('sha256').update(spki(keys)).digest('hex')
  for (const found of [log, ctLog])
    assert.deepEqual([found?.id, found?.hash, found?.url, found?.valid], [id, 'sha256', 'https://log.example', always])
  assert.ok(findPath(mintLeaf(intermediate).certificate, [], material.certificateAuthorities, 'code-signing', NOON).ok)
  assert.ok(findPath(tsa.certificate, [], material.timestampAuthorities, 'time-stamping', NOON).ok)
})

test('every element counts, not only the last', () => {
  const pairs = [keys, makeKeys(), makeKeys()]
  const spec = {
    certificateAuthorities: [CA, authorityOf(mintAuthority('CN=b').pem)],
    tLogs: pairs.map((p) => logOf(p)),
    ctLogs: pairs.map((p) => logOf(p)),
  }
  const material = read(spec)
  assert.deepEqual([material.certificateAuthorities.length, material.transparencyLogs.length, material.certificateLogs.length], [2, 3, 3])
})

test('a trailing blank line, and lines as Windows ends them, do no harm', () => {
  const pem = intermediate.pem + root.pem
  for (const text of [`${pem}\n`, `${pem}\n\n`, pem.replaceAll('\n', '\r\n')]) read({ certificateAuthorities: [authorityOf(text)] })
  read({ certificateAuthorities: [authorityOf(pem, { certChain: `${base64(pem).replace(/.{76}/g, '$&\n')}\n` })] })
})

for (const [kind, hash] of [
  ['P-384', 'sha384'],
  ['P-521', 'sha512'],
  ['RSA', 'sha256'],
  ['Ed25519', null],
] as const satisfies readonly (readonly [KeyKind, string | null])[]) {
  test(`a log may have a key of the type ${kind}`, () => {
    const [log] = read({ certificateAuthorities: [CA], tLogs: [logOf(makeKeys(kind))] }).transparencyLogs
    assert.equal(log?.hash, hash)
  })
}

test('timestamp authorities alone are enough', () => assert.equal(read({ timestampAuthorities: [TSA] }).timestampAuthorities.length, 1))

const at = 'spec.sigstoreKeys'
const splitting = 'invalid value: error splitting the certificates'
for (const [title, spec, text] of [
  ['neither authority', { tLogs: [logOf()] }, `expected exactly one, got neither: ${at}.certificateAuthority, ${at}.timestampAuthorities`],
  ['nothing', {}, `expected exactly one, got neither: ${at}.certificateAuthority, ${at}.timestampAuthorities`],
  [
    'a CA without subject',
    { certificateAuthorities: [authorityOf(root.pem, { subject: {} })] },
    `missing field(s): ${at}.certificateAuthority[0].subject.commonName, ${at}.certificateAuthority[0].subject.organization`,
  ],
  [
    'a CA without uri and chain',
    { certificateAuthorities: [CA, { ...CA, uri: '', certChain: '' }] },
    `missing field(s): ${at}.certificateAuthority[1].certchain, ${at}.certificateAuthority[1].uri`,
  ],
  ['a TSA without uri', { timestampAuthorities: [{ ...TSA, uri: undefined }] }, `missing field(s): ${at}.timestampAuthorities[0].uri`],
  [
    'a TSA chain that is no PEM',
    { timestampAuthorities: [authorityOf('no PEM')] },
    `${splitting}: ${at}.timestampAuthorities[0].certChain\nerror during PEM decoding`,
  ],
  [
    'a CA chain that is no PEM',
    { certificateAuthorities: [authorityOf('no PEM')] },
    `${splitting}: ${at}.certificateAuthority[0].certChain\nerror during PEM decoding`,
  ],
  [
    'a TSA chain with two certificates that sign',
    { timestampAuthorities: [authorityOf(tsa.pem + tsa.pem + root.pem)] },
    `invalid value: certificate chain must contain at most one TSA certificate: ${at}.timestampAuthorities[0].certChain`,
  ],
  [
    'a CA chain without a root',
    { certificateAuthorities: [authorityOf(intermediate.pem)] },
    `invalid value: no certificate of the chain is a root: subject and issuer differ in every one: ${at}.certificateAuthority[0].certChain`,
  ],
  [
    'a log without anything',
    { certificateAuthorities: [CA], ctLogs: [{}] },
    `missing field(s): ${at}.ctLogs[0].baseURL, ${at}.ctLogs[0].hashAlgorithm, ${at}.ctLogs[0].publicKey`,
  ],
  [
    'a log whose key is no PEM',
    { certificateAuthorities: [CA], tLogs: [logOf(), logOf(keys, { publicKey: base64('key') })] },
    `invalid value: failed to decode public key: ${at}.tLogs[1].publicKey\nPEM decoding failed`,
  ],
  [
    'a log whose key is not base64',
    { certificateAuthorities: [CA], tLogs: [logOf(keys, { publicKey: '-----BEGIN' })] },
    `invalid value: it is not base64: ${at}.tLogs[0].publicKey`,
  ],
  ['a list that is none', { certificateAuthorities: {} }, `invalid value: it is not a list: ${at}.certificateAuthority`],
  ['an element that is no object', { certificateAuthorities: [1] }, undefined],
  [
    'a uri that is a number',
    { certificateAuthorities: [{ ...CA, uri: 1 }] },
    `invalid value: it is not a string: ${at}.certificateAuthority[0].uri`,
  ],
  [
    '65 logs',
    { certificateAuthorities: [CA], tLogs: Array.from({ length: 65 }, () => logOf()) },
    `invalid value: number of elements (65) exceeded the limit (64): ${at}.tLogs`,
  ],
  ['no object', 'keys', `invalid value: it is not an object: ${at}`],
  ['null', null, `missing field(s): ${at}`],
] as const) {
  test(`keys with ${title} are refused, and the field named`, () => {
    if (text === undefined) assert.match(why(spec), /certificateAuthority\[0\]/)
    else assert.equal(why(spec), text)
  })
}

test('a broken element is not forgiven by a good one after it (Q10)', () => {
  const spec = { certificateAuthorities: [authorityOf('broken')], tLogs: [logOf()] }
  assert.match(why(spec), /certificateAuthority\[0\]\.certChain/)
})

test('all that is wrong is said at once', () => {
  const spec = {
    certificateAuthorities: [{ ...CA, uri: '' }],
    tLogs: [logOf(keys, { baseURL: '' })],
    ctLogs: [logOf(keys, { publicKey: 'AAAA' })],
  }
  assert.equal(why(spec).split('; ').length, 2)
  assert.match(why(spec), /ctLogs\[0\]\.publicKey[^]*certificateAuthority\[0\]\.uri, spec\.sigstoreKeys\.tLogs\[0\]\.baseURL/)
})

for (const [title, spec, refused] of [
  ['a CA chain that is no PEM', { certificateAuthorities: [authorityOf('no PEM')] }, false],
  ['a TSA chain that is no PEM', { timestampAuthorities: [authorityOf('no PEM')] }, true],
  ['a CA chain without a root', { certificateAuthorities: [authorityOf(intermediate.pem)] }, false],
  ['a TSA chain with two certificates that sign', { timestampAuthorities: [authorityOf(tsa.pem + tsa.pem + root.pem)] }, true],
  ['a log whose key is no PEM', { certificateAuthorities: [CA], tLogs: [logOf(keys, { publicKey: base64('key') })] }, false],
  ['65 logs', { certificateAuthorities: [CA], tLogs: Array.from({ length: 65 }, () => logOf()) }, false],
  ['a log without a key', { certificateAuthorities: [CA], tLogs: [logOf(keys, { publicKey: '' })] }, true],
] as const) {
  test(`keys with ${title} are of no use, and ${refused ? 'refused when written' : 'yet may be written, as ever'}`, () => {
    assert.notEqual(why(spec), '')
    assert.equal(errorText(whyNotSigstoreKeys(spec)) !== '', refused)
  })
}

test('no authority is missed, whatever else is wrong', () => {
  const text = errorText(whyNotSigstoreKeys({ tLogs: [logOf(keys, { baseURL: '' })] }))
  assert.match(text, /^expected exactly one, got neither: .*\nmissing field\(s\): spec\.sigstoreKeys\.tLogs\[0\]\.baseURL$/)
})

test('anything is read or refused with a reason', () => {
  fc.assert(fc.property(fc.anything(), (spec) => void why(spec)))
  const kinds = fc.constantFrom('certificateAuthorities', 'tLogs', 'ctLogs', 'timestampAuthorities')
  fc.assert(fc.property(kinds, fc.jsonValue(), (kind, value) => void why({ certificateAuthorities: [CA], [kind]: value })))
  const field = fc.constantFrom('subject', 'uri', 'certChain')
  fc.assert(fc.property(field, fc.jsonValue(), (name, value) => void why({ certificateAuthorities: [{ ...CA, [name]: value }] })))
})
