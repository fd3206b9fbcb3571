import 'reflect-metadata'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Extension, X509CertificateGenerator } from '@peculiar/x509'
import { X509Certificate } from '@sigstore/core'
import fc from 'fast-check'
import type { CompiledIdentity, IdentitySpec } from '../../src/sigstore/identity.ts'
import { compileIdentity, namesOf, whyNotIdentity, whyNotExpression } from '../../src/sigstore/identity.ts'
import type { Form } from '../../src/sigstore/terms.ts'
import { outcomeOf, sentenceOf } from '../../src/verdict/reason.ts'

const ISSUER = 'https://token.actions.githubusercontent.com'
const WORKFLOW = 'https://github.com/mycompany/app/.github/workflows/release.yml@refs/heads/main'

function compiled(spec: IdentitySpec, subjectGlobs = true): CompiledIdentity {
  const got = compileIdentity(spec, { subjectGlobs })
  assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
  return got.value
}

function subjectMatches(subject: string, name: string, subjectGlobs = true): boolean {
  return compiled({ issuer: ISSUER, subject }, subjectGlobs).identity.subject.matches(name, 'annotations')
}

// — DER

function der(tag: number, ...content: (Uint8Array | string)[]): Buffer {
  const value = Buffer.concat(content.map((c) => (typeof c === 'string' ? Buffer.from(c) : c)))
  const { length } = value
  const size =
    length < 0x80
      ? [length]
      : length < 0x100
        ? [0x81, length]
        : length < 0x10000
          ? [0x82, length >> 8, length & 0xff]
          : [0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), value])
}

const DNS = 0x82
const EMAIL = 0x81
const IP = 0x87
const URI = 0x86
const SAN = '2.5.29.17'
const ISSUER_V1 = '1.3.6.1.4.1.57264.1.1'
const ISSUER_V2 = '1.3.6.1.4.1.57264.1.8'
const USER_NAME_TYPE = Buffer.from('060a2b0601040183bf300107', 'hex') // 1.3.6.1.4.1.57264.1.7
const userName = (text: string): Buffer => der(0xa0, USER_NAME_TYPE, der(0xa0, der(0x0c, text)))

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const KEYS = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])

async function certificateOf(extensions: readonly [string, Uint8Array][]): Promise<X509Certificate> {
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: '',
    keys: KEYS,
    signingAlgorithm: ALGORITHM,
    extensions: extensions.map(([oid, value]) => new Extension(oid, oid === SAN, value)),
  })
  return X509Certificate.parse(Buffer.from(certificate.rawData))
}

function certificateFor(names: readonly Uint8Array[], issuer = ISSUER): Promise<X509Certificate> {
  return certificateOf([
    [SAN, der(0x30, ...names)],
    [ISSUER_V1, Buffer.from(issuer)],
  ])
}

// — names in a certificate

test('names are told in the order DNS names, e-mail addresses, IP addresses, URIs, user names', async () => {
  const certificate = await certificateFor([
    userName('alice!example.com'),
    der(URI, WORKFLOW),
    der(IP, Buffer.from([192, 0, 2, 1])),
    der(IP, Buffer.from('20010db8000000000000000000000001', 'hex')),
    der(IP, Buffer.from('00000000000000000000ffffc0000201', 'hex')),
    der(EMAIL, 'alice@example.com'),
    der(DNS, 'b.example.com'),
    der(DNS, 'a.example.com'),
  ])
  assert.deepEqual(namesOf(certificate), {
    subjects: [
      'b.example.com',
      'a.example.com',
      'alice@example.com',
      '192.0.2.1',
      '2001:db8::1',
      '192.0.2.1',
      WORKFLOW,
      'alice!example.com',
    ],
    issuers: [ISSUER],
  })
})

test('both issuer extensions are read: the raw text and the DER string', async () => {
  const certificate = await certificateOf([
    [SAN, der(0x30, der(URI, WORKFLOW))],
    [ISSUER_V2, der(0x0c, 'https://new.example.com')],
    [ISSUER_V1, Buffer.from('https://old.example.com')],
  ])
  assert.deepEqual(namesOf(certificate).issuers, ['https://old.example.com', 'https://new.example.com'])
  for (const issuer of ['https://old.example.com', 'https://new.example.com'])
    assert.equal(whyNotIdentity(certificate, [compiled({ issuer, subject: WORKFLOW }).identity], 'annotations'), undefined)
  assert.ok(whyNotIdentity(certificate, [compiled({ issuer: 'https://example.com', subject: WORKFLOW }).identity], 'annotations'))
})

test('a certificate without alternative names has no subjects', async () => {
  assert.deepEqual(namesOf(await certificateOf([[ISSUER_V1, Buffer.from(ISSUER)]])), { subjects: [], issuers: [ISSUER] })
})

test('64 names of 2048 bytes are read', async () => {
  const certificate = await certificateFor(Array.from({ length: 64 }, () => der(URI, 'a'.repeat(2048))))
  assert.deepEqual(
    namesOf(certificate).subjects,
    Array.from({ length: 64 }, () => 'a'.repeat(2048)),
  )
})

for (const [title, extensions] of [
  ['65 names', [[SAN, der(0x30, ...Array.from({ length: 65 }, () => der(URI, 'a')))]]],
  ['a name of 2049 bytes', [[SAN, der(0x30, der(URI, 'a'.repeat(2049)))]]],
  ['a zero byte in a name', [[SAN, der(0x30, der(EMAIL, 'a@example.com\0.evil'))]]],
  ['a line break in a name', [[SAN, der(0x30, der(EMAIL, 'eve@evil.example\na@example.com'))]]],
  ['a name that is not ASCII', [[SAN, der(0x30, der(EMAIL, 'é@example.com'))]]],
  ['an IP address of five bytes', [[SAN, der(0x30, der(IP, Buffer.alloc(5)))]]],
  ['a user name that is no UTF8String', [[SAN, der(0x30, der(0xa0, USER_NAME_TYPE, der(0xa0, der(0x16, 'a'))))]]],
  ['alternative names that are no sequence', [[SAN, der(0x31, der(URI, 'a'))]]],
  ['bytes behind the alternative names', [[SAN, Buffer.concat([der(0x30, der(URI, 'a')), Buffer.from([5, 0])])]]],
  [
    'alternative names twice',
    [
      [SAN, der(0x30, der(URI, 'a'))],
      [SAN, der(0x30, der(URI, 'b'))],
    ],
  ],
  ['an issuer that is no UTF-8', [[ISSUER_V1, Buffer.from([0xff, 0xfe])]]],
  ['a DER issuer of another type', [[ISSUER_V2, der(0x13, ISSUER)]]],
] as const) {
  test(`a certificate with ${title} is nobody's`, async () => {
    const certificate = await certificateOf([
      ...extensions.map(([oid, value]): [string, Uint8Array] => [oid, value]),
      ...(extensions[0][0] === SAN ? ([[ISSUER_V1, Buffer.from(ISSUER)]] as [string, Uint8Array][]) : []),
    ])
    assert.deepEqual(namesOf(certificate), { subjects: [], issuers: [] })
    assert.ok(whyNotIdentity(certificate, [compiled({ issuerRegExp: '.*', subjectRegExp: '.*' }).identity], 'annotations'))
  })
}

// — identities of a certificate

test('issuer and subject of one identity must match, not those of two', async () => {
  const certificate = await certificateFor([der(URI, WORKFLOW)])
  const right = compiled({ issuer: ISSUER, subject: WORKFLOW }).identity
  const onlyIssuer = compiled({ issuer: ISSUER, subject: 'https://other.example' }).identity
  const onlySubject = compiled({ issuer: 'https://other.example', subject: WORKFLOW }).identity
  assert.equal(whyNotIdentity(certificate, [onlyIssuer, right], 'annotations'), undefined)
  assert.ok(whyNotIdentity(certificate, [onlyIssuer, onlySubject], 'annotations'))
})

test('any of the alternative names may be the subject, in both forms', async () => {
  const certificate = await certificateFor([der(EMAIL, 'a@example.com'), der(URI, WORKFLOW), userName('alice!example.com')])
  for (const subject of ['a@example.com', WORKFLOW, 'alice!example.com']) {
    for (const form of ['annotations', 'bundle'] as const)
      assert.equal(whyNotIdentity(certificate, [compiled({ issuer: ISSUER, subject }).identity], form), undefined)
  }
})

test('lesson 11: no identities match nobody', async () => {
  assert.ok(whyNotIdentity(await certificateFor([der(URI, WORKFLOW)]), [], 'annotations'))
})

test('what did not match is said in the specified words', async () => {
  const certificate = await certificateFor([der(URI, WORKFLOW), der(EMAIL, 'a@example.com')])
  const reason = whyNotIdentity(certificate, [compiled({ issuer: ISSUER, subject: 'eve@example.com' }).identity], 'annotations')
  assert.ok(reason)
  assert.equal(outcomeOf(reason), 'fail')
  assert.equal(
    sentenceOf(reason),
    `none of the expected identities matched what was in the certificate, got subjects [a@example.com, ${WORKFLOW}] with issuer ${ISSUER}`,
  )
})

test('a message shows eight names of a certificate, each cut at 200 characters', async () => {
  const certificate = await certificateFor(Array.from({ length: 10 }, (_, i) => der(DNS, `${i}`.repeat(300))))
  const reason = whyNotIdentity(certificate, [], 'annotations')
  assert.equal(reason?.code === 'identity-mismatch' && reason.subjects.length, 9)
  assert.ok(reason && sentenceOf(reason).includes(`, ${'7'.repeat(200)}…, and 2 more]`))
})

// — literals and expressions

test('a literal is compared with the whole name, letter by letter', () => {
  assert.ok(subjectMatches('alice@example.com', 'alice@example.com'))
  for (const name of ['alice@example.com.evil', 'Alice@example.com', 'malice@example.com', ''])
    assert.ok(!subjectMatches('alice@example.com', name), name)
})

test('lesson 6: an expression for the issuer and one for the subject both count', async () => {
  const certificate = await certificateFor([der(URI, WORKFLOW)])
  const whyNot = (spec: IdentitySpec) => whyNotIdentity(certificate, [compiled(spec).identity], 'annotations')
  assert.equal(whyNot({ issuerRegExp: '^https://token\\.actions\\.', subjectRegExp: '/mycompany/' }), undefined)
  assert.ok(whyNot({ issuerRegExp: '^https://accounts\\.', subjectRegExp: '/mycompany/' }))
  assert.ok(whyNot({ issuerRegExp: '^https://token\\.actions\\.', subjectRegExp: '/yourcompany/' }))
})

test('an expression is searched for anywhere in the name, as users know it', () => {
  const { subject } = compiled({ issuer: ISSUER, subjectRegExp: 'mycompany/a.p' }).identity
  assert.ok(subject.matches(WORKFLOW, 'annotations'))
  assert.ok(!subject.matches(WORKFLOW.toUpperCase(), 'annotations'))
})

for (const [form, name, matches] of [
  ['annotations', 'alice@example.com', true], // by the literal
  ['annotations', 'bob@example.org', true], // by the expression
  ['annotations', 'carol@example.net', false],
  ['bundle', 'alice@example.com', false],
  ['bundle', 'bob@example.org', false],
] as const) {
  test(`with both a literal and an expression, ${name} ${matches ? 'matches' : 'does not match'} in the form ${form}`, () => {
    const { subject } = compiled({ issuer: ISSUER, subject: 'alice@example.com', subjectRegExp: 'example\\.org$' }).identity
    assert.equal(subject.matches(name, form), matches)
  })
}

test('with both a literal and an expression, a name that is both matches in a bundle', () => {
  const { subject } = compiled({ issuer: ISSUER, subject: 'alice@example.org', subjectRegExp: 'example\\.org$' }).identity
  assert.ok(subject.matches('alice@example.org', 'bundle'))
  assert.ok(!subject.matches('bob@example.org', 'bundle'))
})

for (const spec of [
  {},
  { issuer: ISSUER },
  { subject: WORKFLOW },
  { issuer: '', issuerRegExp: '', subject: WORKFLOW },
  { issuer: ISSUER, subject: '' },
]) {
  test(`lesson 11: the identity ${JSON.stringify(spec)} matches nobody, not even an empty name`, async () => {
    const { identity } = compiled(spec)
    for (const form of ['annotations', 'bundle'] as Form[]) {
      assert.ok(whyNotIdentity(await certificateFor([der(URI, WORKFLOW)]), [identity], form))
      assert.ok(whyNotIdentity(await certificateFor([der(URI, ''), der(URI, WORKFLOW)], ''), [identity], form))
    }
  })
}

for (const [part, expression, sentence] of [
  ['issuer', '*', 'malformed issuer in identity: * : error parsing regexp: missing argument to repetition operator: `*`'],
  ['subject', 'a(', 'malformed subject in identity: a( : error parsing regexp: missing closing ): `a(`'],
  ['subject', '(?=a)', 'malformed subject in identity: (?=a) : error parsing regexp: invalid or unsupported Perl syntax: `(?=`'],
  ['subject', '(a{100}){100}', 'malformed subject in identity: (a{100}){100} : error parsing regexp: invalid repeat count: `{100}`'],
] as const) {
  test(`the ${part} expression ${expression} is refused in the words of Go`, () => {
    const got = compileIdentity({ issuer: ISSUER, subject: WORKFLOW, [`${part}RegExp`]: expression }, { subjectGlobs: true })
    assert.ok(!got.ok)
    assert.equal(sentenceOf(got.reason), sentence)
  })
}

test('lesson 35: an expression is bounded in characters and in instructions', () => {
  for (const subjectRegExp of ['a'.repeat(8 * 1024 + 1), '[a-c]'.repeat(1000) + '(b{1,30}){1,33}'.repeat(4)]) {
    const got = compileIdentity({ issuer: ISSUER, subjectRegExp }, { subjectGlobs: true })
    assert.ok(!got.ok && got.reason.code === 'identity-malformed')
    assert.match(got.reason.cause, /exceeded the limit/)
  }
})

test('lesson 35: an expression that makes others take for ever answers at once', () => {
  const { subject } = compiled({ issuer: ISSUER, subjectRegExp: '^(([a-z])+.)+[A-Z]([a-z])+$' }).identity
  assert.ok(!subject.matches('a'.repeat(2048), 'annotations'))
})

// — globs

const SAMPLE = 'https://github.com/mycompany/*/.github/workflows/*@*'
for (const [glob, name, matches] of [
  [SAMPLE, WORKFLOW, true],
  [SAMPLE, 'https://github.com/mycompany/app/.github/workflows/a.yml@refs/pull/7/merge', true],
  [SAMPLE, 'https://github.com/mycompany/app/.github/workflows/a.yml@refs/heads/a@b', true],
  [SAMPLE, 'https://github.com/mycompany/a/b/.github/workflows/a.yml@refs/heads/main', false],
  [SAMPLE, 'https://github.com/mycompany/app/.github/workflows/sub/a.yml@refs/heads/main', false],
  [SAMPLE, 'https://github.com/mycompany-evil/app/.github/workflows/a.yml@refs/heads/main', false],
  [SAMPLE, 'https://github.com/mycompany/app/.github/workflows/a.yml', false],
  [SAMPLE, `https://evil.example/${WORKFLOW}`, false],
  // Nobody may bring a second @ in front of the pattern's.
  [SAMPLE, 'https://github.com/mycompany/eve@evil/.github/workflows/a.yml@refs/heads/main', false],
  ['https://github.com/org/*/x.yml@refs/heads/main', 'https://github.com/org/app/x.yml@refs/heads/main', true],
  ['https://github.com/org/*/x.yml@refs/heads/main', 'https://github.com/org/app/x.yml@refs/heads/main2', false],
  ['https://github.com/org/*/x.yml@refs/heads/main', 'https://github.com/org/e@x/x.yml@refs/heads/main', false],
  ['https://github.com/org/app/x.yml@refs/tags/v*', 'https://github.com/org/app/x.yml@refs/tags/v1/2@3', true],
  ['https://github.com/org/app/x.yml@refs/tags/v*', 'https://github.com/org/app/x.yml@refs/heads/v1', false],
  ['*@example.com', 'alice@example.com', true],
  ['*@example.com', 'alice@example.com.evil', false],
  ['*@example.com', 'eve@evil@example.com', false],
  ['*@example.com', '@example.com', true],
  ['https://example.com/*', 'https://example.com/a', true],
  ['https://example.com/*', 'https://example.com/a/b', false],
  ['https://example.com/*', 'https://example.com/a@b', false],
  ['*', 'urn:anything', true],
  ['*', 'a/b', false],
  ['*/', 'a/', true],
  ['*/', 'a', false],
  ['a@b*@c', 'a@bb@c', true],
  ['a@b*@c', 'a@b@c@c', false],
  ['spiffe://*.example/a.b', 'spiffe://x.example/a.b', true],
  ['spiffe://*.example/a.b', 'spiffe://x.example/aXb', false],
] as const) {
  test(`lesson 33: ${glob} ${matches ? 'matches' : 'does not match'} ${name}`, () => assert.equal(subjectMatches(glob, name), matches))
}

test('with subject-globs: false a star is a star', () => {
  assert.ok(!subjectMatches(SAMPLE, WORKFLOW, false))
  assert.ok(subjectMatches(SAMPLE, SAMPLE, false))
})

test('an issuer is never a glob', () => {
  const { issuer } = compiled({ issuer: 'https://*.example.com', subject: WORKFLOW }).identity
  assert.ok(!issuer.matches('https://a.example.com', 'annotations'))
  assert.ok(issuer.matches('https://*.example.com', 'annotations'))
})

/** The definition, letter by letter: what is left of the pattern against what is left of the name. */
function isMatchByDefinition(pattern: string, name: string): boolean {
  const at = pattern.lastIndexOf('@')
  const matchesFrom = (p: number, n: number): boolean => {
    if (p === pattern.length) return n === name.length
    if (pattern[p] !== '*') return pattern[p] === name[n] && n < name.length && matchesFrom(p + 1, n + 1)
    if (matchesFrom(p + 1, n)) return true
    const isFree = at !== -1 && p > at
    return n < name.length && (isFree || (name[n] !== '/' && name[n] !== '@')) && matchesFrom(p, n + 1)
  }
  return matchesFrom(0, 0)
}

test('a glob matches exactly what its definition says', () => {
  const letters = (alphabet: string) => fc.string({ unit: fc.constantFrom(...alphabet.split('')), maxLength: 9 })
  let matched = 0
  fc.assert(
    fc.property(
      letters('ab/@*').filter((p) => p.includes('*')),
      letters('ab/@'),
      (pattern, name) => {
        const expected = isMatchByDefinition(pattern, name)
        if (expected) matched++
        assert.equal(subjectMatches(pattern, name), expected)
        // And a name that was made from the pattern, since few random ones match.
        const filled = pattern.replaceAll('*', name.replaceAll(/[/@]/g, 'b'))
        assert.equal(subjectMatches(pattern, filled), isMatchByDefinition(pattern, filled))
      },
    ),
    { numRuns: 3000 },
  )
  assert.ok(matched > 10, 'some random names match')
})

test('lesson 35: no step of a glob is taken back, however many stars it has', () => {
  // Whoever goes back on a mismatch takes longer than the universe is old.
  assert.ok(!subjectMatches('*a'.repeat(2000) + 'b@*', 'a'.repeat(2040) + '@x'))
  assert.ok(!subjectMatches('x@' + '*a'.repeat(2000) + 'b', 'x@' + 'a'.repeat(2040)))
})

// — warnings

for (const [spec, warnings] of [
  [{ issuer: ISSUER, subject: WORKFLOW }, []],
  [{ issuerRegExp: '^https://token\\.actions\\.githubusercontent\\.com$', subjectRegExp: '^https://github\\.com/mycompany/.*$' }, []],
  [{ issuer: ISSUER, subjectRegExp: '^(?:https://a\\.example/.+|https://b\\.example/.+)$' }, []],
  [{ issuer: ISSUER, subjectRegExp: '(^https://a\\.example/$|^https://b\\.example/$)' }, []],
  [{ issuer: ISSUER, subjectRegExp: '(?i)^alice@example\\.com$' }, []],
  [{ issuer: ISSUER, subjectRegExp: '\\Aalice@example\\.com\\z' }, []],
  [
    { issuer: ISSUER, subject: SAMPLE },
    [
      `subject \`${SAMPLE}\` is read as a glob in which * matches neither / nor @ before the last @, and anything after it; set subject-globs: false in config-policy-controller to compare it as it stands`,
      `subject \`${SAMPLE}\` lets in any ref, pull requests too; end it with the ref that is meant, such as @refs/heads/main`,
    ],
  ],
  [
    { issuer: ISSUER, subject: 'https://github.com/org/*/x.yml@refs/heads/main' },
    [
      'subject `https://github.com/org/*/x.yml@refs/heads/main` is read as a glob in which * matches neither / nor @ before the last @, and anything after it; set subject-globs: false in config-policy-controller to compare it as it stands',
    ],
  ],
  [
    { issuer: ISSUER, subject: '.*@example.com' },
    [
      'subject `.*@example.com` is read as a glob in which * matches neither / nor @ before the last @, and anything after it; set subject-globs: false in config-policy-controller to compare it as it stands',
      'subject `.*@example.com` looks like an expression, in which .* is any text; write it as subjectRegExp',
    ],
  ],
  [
    { issuer: ISSUER, subject: 'spiffe://example/*' },
    [
      'subject `spiffe://example/*` is read as a glob in which * matches neither / nor @; set subject-globs: false in config-policy-controller to compare it as it stands',
    ],
  ],
  [
    { issuer: ISSUER, subject: 'alice@*.example.com' },
    [
      'subject `alice@*.example.com` is read as a glob in which * matches neither / nor @ before the last @, and anything after it; set subject-globs: false in config-policy-controller to compare it as it stands',
      'subject `alice@*.example.com` lets in more than one host after the @; write the host that is meant',
    ],
  ],
  [
    { issuer: 'https://*.example.com', subject: WORKFLOW },
    ['issuer `https://*.example.com` is compared as it stands, the * too; for a pattern use issuerRegExp'],
  ],
  [
    { issuer: ISSUER, subjectRegExp: '.*@example\\.com' },
    ['subjectRegExp `.*@example\\.com` also matches a longer subject that has more text after what it says; write $ at its end'],
  ],
  [
    { issuer: ISSUER, subjectRegExp: 'https://github\\.com/org/' },
    [
      'subjectRegExp `https://github\\.com/org/` also matches a longer subject that has more text before or after what it says; write ^ at its start and $ at its end',
    ],
  ],
  [
    { issuer: ISSUER, subjectRegExp: '^alice@example\\.com|bob@example\\.com$' },
    [
      'subjectRegExp `^alice@example\\.com|bob@example\\.com$` also matches a longer subject that has more text before or after what it says; write ^ at its start and $ at its end',
    ],
  ],
  [
    { issuer: ISSUER, subjectRegExp: '^alice@example\\.com\\$' },
    ['subjectRegExp `^alice@example\\.com\\$` also matches a longer subject that has more text after what it says; write $ at its end'],
  ],
  [
    { issuerRegExp: '^https://token.actions.githubusercontent.com$', subject: WORKFLOW },
    [
      'issuerRegExp `^https://token.actions.githubusercontent.com$` has a . that stands for any character, so that it matches other hosts than `token.actions.githubusercontent.com`; write `token\\.actions\\.githubusercontent\\.com`',
    ],
  ],
  [{ issuerRegExp: '.*', subject: WORKFLOW }, ['issuerRegExp `.*` matches every issuer; write who is meant']],
  [{ issuer: ISSUER, subjectRegExp: '^|x' }, ['subjectRegExp `^|x` matches every subject; write who is meant']],
] as [IdentitySpec, string[]][]) {
  test(`lesson 33: the author of ${JSON.stringify(spec)} is warned ${warnings.length} times`, () =>
    assert.deepEqual(compiled(spec).warnings, warnings))
}

test('lesson 33: with subject-globs: false the author of a subject with a star is told that it is no pattern', () => {
  assert.deepEqual(compiled({ issuer: ISSUER, subject: SAMPLE }, false).warnings, [
    `subject \`${SAMPLE}\` is compared as it stands, the * too; for a pattern use subjectRegExp`,
  ])
})

test('lesson 33: what the warnings say is so', () => {
  const finds = (subjectRegExp: string, name: string) =>
    compiled({ issuer: ISSUER, subjectRegExp }).identity.subject.matches(name, 'bundle')
  assert.ok(finds('.*@example\\.com', 'a@example.com.evil'))
  assert.ok(!finds('.*@example\\.com$', 'a@example.com.evil'))
  assert.ok(finds('https://github.com/org/', 'https://evil.example/https://github.com/org/'))
  assert.ok(!finds('^https://github\\.com/org/', 'https://evil.example/https://github.com/org/'))
  assert.ok(finds('^https://github.com/org/', 'https://githubXcom/org/'))
})

test('compiling any text never throws, and answers an identity or a reason', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'a.*+?()[]{}|^$\\@/1,'.split('')) }))
  fc.assert(
    fc.property(text, text, text, fc.boolean(), (subject, subjectRegExp, name, subjectGlobs) => {
      const got = compileIdentity({ issuer: ISSUER, subject, subjectRegExp }, { subjectGlobs })
      if (got.ok) got.value.identity.subject.matches(name, 'annotations')
      else assert.equal(got.reason.code, 'identity-malformed')
    }),
    { numRuns: 1000 },
  )
})

for (const [expression, why] of [
  ['.*', undefined],
  ['^https://github\\.com/', undefined],
  ['(', 'error parsing regexp: missing closing ): `(`'],
  ['[', 'error parsing regexp: missing closing ]: `[`'],
  ['****', 'error parsing regexp: missing argument to repetition operator: `*`'],
  ['a\\', 'error parsing regexp: trailing backslash at end of expression: ``'],
  [`(${'a'.repeat(2_000)}`, `error parsing regexp: missing closing ): \`(${'a'.repeat(2_000)}\``],
  ['(a)\\1', 'error parsing regexp: invalid escape sequence: `\\1`'],
  ['a{1001}', 'error parsing regexp: invalid repeat count: `{1001}`'],
  // Too large, which is another matter: it matches nobody, and its author is told when it is compiled.
  ['a{1000}b{1000}c{1000}d{1000}e{1000}', undefined],
  ['a'.repeat(10_000), undefined],
] as const)
  test(`the syntax of ${expression.slice(0, 40)} is ${why ?? 'right'}`, () => assert.equal(whyNotExpression(expression), why))
