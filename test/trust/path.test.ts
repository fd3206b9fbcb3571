import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import type { CertificateAuthority } from '../../src/trust/material.ts'
import type { Purpose } from '../../src/trust/path.ts'
import { findPath, whyNotValidAt } from '../../src/trust/path.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import type { Made, Minted } from './authority.ts'
import {
  ANY_USAGE,
  CODE_SIGNING,
  directory,
  dns,
  email,
  ip,
  makeKeys,
  mint,
  mintAuthority,
  mintLeaf,
  nameOf,
  NOON,
  sequence,
  SERVER,
  TIME_STAMPING,
  trusted,
} from './authority.ts'

const SECOND = 1000
const HOUR = 60 * 60 * SECOND
const UNKNOWN = 'x509: certificate signed by unknown authority'
const INCOMPATIBLE = 'x509: certificate specifies an incompatible key usage'

const root = mintAuthority('CN=root', { authority: 1 })
const intermediate = mintAuthority('CN=intermediate', { by: root, authority: 0, usages: [CODE_SIGNING] })
const leaf = mintLeaf(intermediate)
const ca = trusted([root], [intermediate])

type Asked = {
  readonly links?: readonly Minted[]
  readonly authorities?: readonly CertificateAuthority[]
  readonly purpose?: Purpose
  readonly at?: number
}

function find(of: Minted, { links = [], authorities = [ca], purpose = 'code-signing', at = NOON }: Asked = {}) {
  return findPath(
    of.certificate,
    links.map(({ certificate }) => certificate),
    authorities,
    purpose,
    at,
  )
}

function why(of: Minted, asked: Asked = {}): string | undefined {
  const got = find(of, asked)
  if (got.ok) return undefined
  assert.equal(got.reason.code, asked.purpose === 'time-stamping' ? 'timestamp-certificate-untrusted' : 'certificate-untrusted')
  return 'detail' in got.reason ? got.reason.detail : ''
}

test('a path leads from the leaf over intermediates to a root, and is valid while all of it is', () => {
  const short = mintLeaf(intermediate, { from: NOON - HOUR, until: NOON + HOUR })
  const got = find(short)
  assert.ok(got.ok)
  assert.deepEqual(
    got.value.certificates,
    [short, intermediate, root].map(({ certificate }) => certificate),
  )
  assert.deepEqual([got.value.from, got.value.until], [NOON - HOUR, NOON + HOUR])
  assert.equal(got.value.authority, ca)
})

test('the period of the authority counts too', () => {
  const within = find(leaf, { authorities: [{ ...ca, valid: { from: NOON - 5, until: NOON + 7 } }] })
  assert.ok(within.ok)
  assert.deepEqual([within.value.from, within.value.until], [NOON - 5, NOON + 7])
})

test('what is said of a certificate that nobody trusts is the text that users know', () => {
  const got = find(leaf, { authorities: [] })
  assert.ok(!got.ok)
  assert.equal(
    sentenceOf(got.reason),
    'cert verification failed: x509: certificate signed by unknown authority. Check your TUF root (see cosign initialize) or set a custom root with env var SIGSTORE_ROOT_FILE',
  )
})

// — who is believed

const stranger = mintAuthority('CN=root', { authority: 1 })

test('a certificate of another root with the same name is refused', () => {
  assert.equal(why(mintLeaf(mintAuthority('CN=intermediate', { by: stranger }))), UNKNOWN)
  assert.equal(why(leaf, { authorities: [trusted([stranger], [intermediate])] }), UNKNOWN)
})

test('intermediates that came with the signature are links, and nothing more', () => {
  const rootOnly = trusted([root])
  assert.equal(why(leaf, { authorities: [rootOnly] }), UNKNOWN)
  assert.equal(why(leaf, { authorities: [rootOnly], links: [intermediate] }), undefined)
  // A root among them is no anchor.
  const own = mintAuthority('CN=intermediate', { by: stranger })
  assert.equal(why(mintLeaf(own), { links: [own, stranger] }), UNKNOWN)
  assert.equal(why(mintLeaf(root), { authorities: [trusted([], [root])], links: [root] }), UNKNOWN)
})

test('an anchor need not be signed by itself, and its own signature is not looked at', () => {
  assert.equal(why(leaf, { authorities: [trusted([intermediate])] }), undefined)
  const old = mintAuthority('CN=old', { kind: 'RSA', hash: 'sha1' })
  assert.equal(why(mintLeaf(old), { authorities: [trusted([old])] }), undefined)
  assert.equal(why(mintLeaf(mintAuthority('CN=between', { by: old, hash: 'sha1' })), { authorities: [trusted([old])] }), UNKNOWN)
})

test('a leaf is no anchor of itself', () => {
  const self = mint({ subject: 'CN=self', authority: true, keyUsage: ['digitalSignature', 'keyCertSign'], usages: [CODE_SIGNING] })
  assert.equal(why(self, { authorities: [trusted([self])] }), UNKNOWN)
})

test('of several authorities and several intermediates of one name any valid path is enough', () => {
  const keys = makeKeys()
  const expired = mintAuthority('CN=twin', { by: root, keys, until: NOON - HOUR })
  const renewed = mintAuthority('CN=twin', { by: root, keys })
  const signed = mintLeaf(renewed)
  for (const intermediates of [
    [expired, renewed],
    [renewed, expired],
    [mintAuthority('CN=twin', { by: root }), renewed],
  ])
    for (const authorities of [
      [trusted([root], intermediates)],
      [trusted([stranger]), trusted([root], intermediates)],
      [trusted([root], intermediates), ca],
    ])
      assert.equal(why(signed, { authorities }), undefined)
  assert.match(why(signed, { authorities: [trusted([root], [expired])] }) ?? '', /expired/)
})

// — time

test('lesson 19: every certificate must be valid at the time, both ends included', () => {
  for (const which of [0, 1, 2]) {
    const short = (i: number): Made => (i === which ? { from: NOON, until: NOON + HOUR } : {})
    const top = mintAuthority('CN=top', short(0))
    const middle = mintAuthority('CN=middle', { by: top, ...short(1) })
    const bottom = mintLeaf(middle, short(2))
    const authorities = [trusted([top], [middle])]
    for (const at of [NOON, NOON + HOUR]) assert.equal(why(bottom, { authorities, at }), undefined)
    assert.equal(
      why(bottom, { authorities, at: NOON + HOUR + SECOND }),
      'x509: certificate has expired or is not yet valid: current time 2026-01-15T13:00:01Z is after 2026-01-15T13:00:00Z',
    )
    assert.equal(
      why(bottom, { authorities, at: NOON - SECOND }),
      'x509: certificate has expired or is not yet valid: current time 2026-01-15T11:59:59Z is before 2026-01-15T12:00:00Z',
    )
  }
})

test('lesson 19: an authority is believed for the time that it was in service, both ends included', () => {
  const asked = (from: number, until: number | undefined): string | undefined =>
    why(leaf, { authorities: [{ ...ca, valid: { from, until } }] })
  assert.equal(asked(NOON, NOON), undefined)
  assert.equal(asked(0, undefined), undefined)
  assert.equal(
    asked(NOON + SECOND, undefined),
    'the certificate authority `https://ca.example` was in service from 2026-01-15T12:00:01Z, not at 2026-01-15T12:00:00Z',
  )
  assert.match(asked(0, NOON - SECOND) ?? '', /until 2026-01-15T11:59:59Z, not at/)
})

test('lesson 19: an authority without a root of its own lends its time of service to nobody', () => {
  const own = mintAuthority('CN=own', { by: root })
  const over = trusted([root], [intermediate], { valid: { from: 0, until: NOON - HOUR } })
  const rootless = trusted([root], [own], { isRootless: true })
  assert.match(why(leaf, { authorities: [over, rootless], links: [intermediate] }) ?? 'passes', /was in service from/)
  assert.match(why(mintLeaf(root), { authorities: [over, rootless] }) ?? 'passes', /was in service from/)
  assert.equal(why(mintLeaf(own), { authorities: [over, rootless] }), undefined)
})

test('lessons 19, 22: a path is asked again at every other time, with the words that users know', () => {
  const top = mintAuthority('CN=top', { from: NOON - 3 * HOUR, until: NOON + 3 * HOUR })
  const bottom = mintLeaf(top, { from: NOON - HOUR, until: NOON + HOUR })
  const got = find(bottom, { authorities: [{ ...trusted([top]), valid: { from: NOON - HOUR, until: NOON } }] })
  assert.ok(got.ok)
  assert.equal(whyNotValidAt(got.value, NOON), undefined)
  assert.equal(whyNotValidAt(got.value, NOON - HOUR), undefined)
  for (const [at, text] of [
    [NOON + 2 * HOUR, 'certificate expired before observed time: 2026-01-15T13:00:00Z is before 2026-01-15T14:00:00Z'],
    [NOON - 2 * HOUR, 'certificate was issued after observed time: 2026-01-15T11:00:00Z is after 2026-01-15T10:00:00Z'],
    [
      NOON + HOUR,
      'the certificate authority `https://ca.example` was in service from 2026-01-15T11:00:00Z until 2026-01-15T12:00:00Z, not at 2026-01-15T13:00:00Z',
    ],
  ] as const)
    assert.equal(whyNotValidAt(got.value, at), text)
  const long = find(mintLeaf(top, { from: NOON - 9 * HOUR, until: NOON + 9 * HOUR }), { authorities: [trusted([top])] })
  assert.ok(long.ok)
  assert.equal(
    whyNotValidAt(long.value, NOON + 4 * HOUR),
    'issuing CA certificate expired before observed time: 2026-01-15T15:00:00Z is before 2026-01-15T16:00:00Z',
  )
  assert.equal(
    whyNotValidAt(long.value, NOON - 4 * HOUR),
    'issuing CA certificate was issued after observed time: 2026-01-15T09:00:00Z is after 2026-01-15T08:00:00Z',
  )
})

// — what the leaf is for

for (const [title, made, expected] of [
  ['for code signing', {}, undefined],
  ['for code signing and something else', { usages: [SERVER, CODE_SIGNING] }, undefined],
  ['for code signing, critically', { usagesCritical: true }, undefined],
  ['whose key usage names nothing', { keyUsage: [] }, INCOMPATIBLE],
  ['whose key is for contracts only', { keyUsage: ['nonRepudiation'] }, INCOMPATIBLE],
  ['for a web server', { usages: [SERVER] }, INCOMPATIBLE],
  ['for anything', { usages: [ANY_USAGE] }, INCOMPATIBLE],
  ['for time stamping', { usages: [TIME_STAMPING] }, INCOMPATIBLE],
  ['whose key signs certificates only', { keyUsage: ['keyCertSign'] }, INCOMPATIBLE],
  [
    'with a critical extension that nobody knows',
    { extensions: [{ oid: '1.2.3.4', critical: true, value: sequence() }] },
    'x509: unhandled critical extension `1.2.3.4`',
  ],
  [
    'that is only a precertificate',
    { extensions: [{ oid: '1.3.6.1.4.1.11129.2.4.3', critical: true, value: Buffer.from([5, 0]) }] },
    'x509: unhandled critical extension `1.3.6.1.4.1.11129.2.4.3`',
  ],
  ['with an extension that nobody knows and nobody must', { extensions: [{ oid: '1.2.3.4', value: sequence() }] }, undefined],
  [
    'with a key that nothing is verified with',
    { keys: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }) },
    'x509: cannot verify signature: algorithm unimplemented',
  ],
] as const satisfies readonly (readonly [string, Made, string | undefined])[]) {
  test(`a leaf ${title} is ${expected === undefined ? 'taken' : 'refused'} for code signing`, () => {
    assert.equal(why(mintLeaf(intermediate, made)), expected)
  })
}

test('a leaf without extended key usage, good for anything elsewhere, is refused', () => {
  assert.equal(why(mint({ by: intermediate, keyUsage: ['digitalSignature'], names: [email('a@example.com')] })), INCOMPATIBLE)
})

test('a leaf without key usage is taken', () => {
  assert.equal(why(mint({ by: intermediate, usages: [CODE_SIGNING], names: [email('a@example.com')] })), undefined)
})

for (const [title, made, expected] of [
  ['for time stamping, critically', { usages: [TIME_STAMPING], usagesCritical: true }, undefined],
  [
    'for time stamping, whose key is for contracts',
    { usages: [TIME_STAMPING], usagesCritical: true, keyUsage: ['nonRepudiation'] },
    undefined,
  ],
  [
    'for time stamping, whose key signs certificates',
    { usages: [TIME_STAMPING], usagesCritical: true, keyUsage: ['keyCertSign'] },
    INCOMPATIBLE,
  ],
  ['for time stamping, but not critically', { usages: [TIME_STAMPING] }, INCOMPATIBLE],
  ['for time stamping and something else', { usages: [TIME_STAMPING, CODE_SIGNING], usagesCritical: true }, INCOMPATIBLE],
  ['for code signing', { usages: [CODE_SIGNING], usagesCritical: true }, INCOMPATIBLE],
] as const satisfies readonly (readonly [string, Made, string | undefined])[]) {
  test(`a leaf ${title} is ${expected === undefined ? 'taken' : 'refused'} for time stamping`, () => {
    assert.equal(why(mintLeaf(root, made), { purpose: 'time-stamping' }), expected)
  })
}

// — what an authority may do

const NO_AUTHORITY = 'x509: invalid signature: parent certificate cannot sign this kind of certificate'
for (const [title, made, expected] of [
  ['without extended key usage', {}, undefined],
  ['for code signing and a web server', { usages: [SERVER, CODE_SIGNING] }, undefined],
  ['for anything', { usages: [ANY_USAGE] }, undefined],
  ['for web servers', { usages: [SERVER] }, INCOMPATIBLE],
  ['for time stamping', { usages: [TIME_STAMPING] }, INCOMPATIBLE],
  ['that is no authority', { authority: false }, NO_AUTHORITY],
  ['without basic constraints', { authority: undefined }, NO_AUTHORITY],
  ['whose key signs no certificates', { keyUsage: ['digitalSignature'] }, NO_AUTHORITY],
  ['without key usage', { keyUsage: undefined }, undefined],
  [
    'with a critical extension that nobody knows',
    { extensions: [{ oid: '2.5.29.36', critical: true, value: sequence() }] },
    'x509: unhandled critical extension `2.5.29.36`',
  ],
] as const satisfies readonly (readonly [string, object, string | undefined])[]) {
  test(`an authority ${title} ${expected === undefined ? 'may' : 'may not'} sign a certificate for code signing, as intermediate and as anchor`, () => {
    const all = { subject: 'CN=between', authority: true, keyUsage: ['keyCertSign'], by: root, ...made } as unknown as Made
    const defined = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Made
    const between = mint(defined)
    const signed = mintLeaf(between)
    assert.equal(why(signed, { authorities: [trusted([root], [between])] }), expected)
    assert.equal(why(signed, { authorities: [trusted([between])] }), expected)
  })
}

test('an authority that may only sign for time stamping has its own check', () => {
  const tsa = mintAuthority('CN=tsa', { by: root, usages: [TIME_STAMPING] })
  const stamper = mintLeaf(tsa, { usages: [TIME_STAMPING], usagesCritical: true })
  assert.equal(why(stamper, { authorities: [trusted([root], [tsa])], purpose: 'time-stamping' }), undefined)
  assert.equal(why(mintLeaf(intermediate, { usages: [TIME_STAMPING], usagesCritical: true }), { purpose: 'time-stamping' }), INCOMPATIBLE)
})

test('a path is as long as its authorities allow; those that are issued to themselves do not count', () => {
  const TOO_MANY = 'x509: too many intermediates for path length constraint'
  const below = mintAuthority('CN=below', { by: intermediate })
  assert.equal(why(mintLeaf(below), { links: [below] }), TOO_MANY)
  const second = mintAuthority('CN=second', { by: root })
  const third = mintAuthority('CN=third', { by: second })
  assert.equal(why(mintLeaf(second), { links: [second] }), undefined)
  assert.equal(why(mintLeaf(third), { links: [second, third] }), TOO_MANY)
  const renewed = mintAuthority('CN=intermediate', { by: intermediate })
  assert.equal(why(mintLeaf(renewed), { links: [renewed] }), undefined)
})

// — names

test('the name of the issuer is that of its certificate, byte for byte', () => {
  const asOther = mintLeaf(intermediate, { issuer: nameOf('CN=Intermediate') })
  assert.equal(why(asOther), UNKNOWN)
  assert.equal(why(mintLeaf(intermediate, { issuer: nameOf('CN=intermediate', 0x13) })), UNKNOWN)
  assert.equal(why(mintLeaf(intermediate, { issuer: nameOf('CN=intermediate') })), undefined)
})

test('name constraints of an intermediate and of an anchor are obeyed', () => {
  for (const [constraints, names, isPermitted] of [
    [{ permitted: [email('example.com')] }, [email('dev@example.com')], true],
    [{ permitted: [email('example.com')] }, [email('dev@example.org')], false],
    [{ permitted: [email('example.com')] }, [email('dev@example.com'), email('dev@example.org')], false],
    [{ excluded: [dns('example.com')] }, [dns('a.example.org')], true],
    [{ excluded: [dns('example.com')] }, [dns('a.example.com')], false],
    [{ permitted: [ip(10, 0, 0, 0, 255, 0, 0, 0)] }, [ip(11, 0, 0, 1)], false],
  ] as const) {
    const limited = mintAuthority('CN=limited', { by: root, ...constraints })
    const signed = mintLeaf(limited, { names })
    const expected = isPermitted ? undefined : /^x509: a root or intermediate certificate is not authorized to sign for this name: it /
    for (const authority of [trusted([root], [limited]), trusted([limited])]) {
      const got = why(signed, { authorities: [authority] })
      if (expected) assert.match(got ?? '', expected)
      else assert.equal(got, undefined)
    }
  }
})

test('name constraints hold for the authorities below, too, unless they are issued to themselves', () => {
  const limited = mintAuthority('O=limited', { excluded: [directory(nameOf('O=limited'))] })
  const renewed = mintAuthority('O=limited', { by: limited })
  const other = mintAuthority('O=limited,CN=below', { by: limited })
  const authorities = [trusted([limited])]
  assert.equal(why(mintLeaf(renewed), { authorities, links: [renewed] }), undefined)
  assert.match(why(mintLeaf(other), { authorities, links: [other] }) ?? '', /excludes/)
})

// — bounds

test('a path has at most eight certificates', () => {
  const top = mintAuthority('CN=0')
  const chain: Minted[] = []
  for (let i = 1; i <= 7; i++) chain.push(mintAuthority(`CN=${i}`, { by: chain.at(-1) ?? top }))
  const asked = (intermediates: readonly Minted[]): Asked => ({ authorities: [trusted([top], intermediates)] })
  const [sixth, seventh] = [chain[5], chain[6]]
  assert.ok(sixth && seventh)
  assert.equal(why(mintLeaf(sixth), asked(chain)), undefined)
  assert.equal(why(mintLeaf(seventh), asked(chain)), 'the certificate path has more than 8 certificates')
})

test('lesson 39: certificates that issue each other in every order do not make the search long', () => {
  const keys = makeKeys()
  const links = Array.from({ length: 8 }, (_, i) => mint({ subject: 'CN=loop', keys, authority: true, until: NOON + HOUR + i * SECOND }))
  const [first] = links
  assert.ok(first)
  const signed = mintLeaf(first)
  const start = performance.now()
  assert.match(why(signed, { links }) ?? '', /more than 8 certificates|the first 32 issuers/)
  assert.ok(performance.now() - start < 2000)
})

test('more than eight links are not looked at', () => {
  const others = Array.from({ length: 8 }, (_, i) => mintAuthority(`CN=${i}`))
  const authorities = [trusted([root])]
  assert.equal(why(leaf, { authorities, links: [...others, intermediate] }), UNKNOWN)
  assert.equal(why(leaf, { authorities, links: [...others.slice(1), intermediate] }), undefined)
})
