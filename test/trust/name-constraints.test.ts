import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { factsOf } from '../../src/trust/certificate.ts'
import type { CertificateFacts } from '../../src/trust/certificate.ts'
import { whyNotPermitted } from '../../src/trust/name-constraints.ts'
import { der, directory, dns, email, ip, mint, mintAuthority, nameOf, oid, sequence, uri, userName } from './authority.ts'

const root = mintAuthority('CN=root')

function factsFor(names: readonly Buffer[], subject?: Buffer): CertificateFacts {
  const got = factsOf(mint({ by: root, ...(names.length > 0 ? { names } : {}), ...(subject ? { subject } : {}) }).certificate)
  assert.ok(got.ok)
  return got.value
}

function constraints(permitted: readonly Buffer[], excluded: readonly Buffer[]): CertificateFacts['nameConstraints'] {
  const trees = { ...(permitted.length > 0 ? { permitted } : {}), ...(excluded.length > 0 ? { excluded } : {}) }
  const got = factsOf(mintAuthority('CN=a', trees).certificate)
  assert.ok(got.ok)
  return got.value.nameConstraints
}

const V6 = (last: number): number[] => [...Buffer.from('20010db8', 'hex'), ...Buffer.alloc(11), last]
const V6_NET = [...Buffer.from('20010db8', 'hex'), ...Buffer.alloc(12), 255, 255, 255, 255, ...Buffer.alloc(12)]

// Whether a name lies within a subtree; '?' where it cannot be compared: then it is neither permitted nor not excluded.
for (const [form, subtree, name, within] of [
  [dns, 'example.com', 'example.com', true],
  [dns, 'example.com', 'a.b.Example.COM', true],
  [dns, 'EXAMPLE.com', 'example.com', true],
  [dns, 'example.com', 'badexample.com', false],
  [dns, 'example.com', 'example.com.evil.org', false],
  [dns, '.example.com', 'a.example.com', true],
  [dns, '.example.com', 'example.com', false],
  [dns, '', 'anything.org', true],
  [dns, 'example.com', '*.example.com', true],
  [dns, 'example.com', 'example.com.', '?'],
  [dns, 'example.com', 'a b.example.com', '?'],
  [dns, 'example.com', 'ex\0ample.com', '?'],
  [dns, '*.example.com', 'a.example.com', false],
  [email, 'example.com', 'dev@example.com', true],
  [email, 'example.com', 'dev@EXAMPLE.com', true],
  [email, 'example.com', 'dev@a.example.com', false],
  [email, '.example.com', 'dev@a.example.com', true],
  [email, '.example.com', 'dev@example.com', false],
  [email, 'dev@example.com', 'dev@example.com', true],
  [email, 'dev@example.com', 'Dev@example.com', false],
  [email, 'dev@example.com', 'eve@example.com', false],
  [email, 'example.com', 'eve@example.org@example.com', '?'],
  [email, 'example.com', '"eve@example.org"@example.com', '?'],
  [email, 'example.com', 'example.com', '?'],
  [uri, 'github.com', 'https://github.com/acme/web/.github/workflows/a.yml@refs/heads/main', true],
  [uri, 'github.com', 'https://GitHub.com:443/a', true],
  [uri, 'github.com', 'https://evil.org/github.com', false],
  [uri, 'github.com', 'https://github.com@evil.org/', false],
  [uri, 'github.com', 'https://a.github.com/', false],
  [uri, '.github.com', 'https://a.github.com/', true],
  [uri, 'github.com', 'https://github.com\\@evil.org/', '?'],
  [uri, 'github.com', 'https://10.0.0.1/', '?'],
  [uri, 'github.com', 'https://[::1]/', '?'],
  [uri, 'github.com', 'urn:github.com', '?'],
  [uri, 'example.org', 'spiffe://example.org/ns/a', true],
] as const) {
  const expected = within === true ? 'lies within' : within === false ? 'does not lie within' : 'cannot be compared with'
  test(`${form.name}: ${JSON.stringify(name)} ${expected} ${JSON.stringify(subtree)}`, () => {
    const facts = factsFor([form(name)])
    assert.equal(whyNotPermitted(facts, constraints([form(subtree)], [])) === undefined, within === true)
    assert.equal(whyNotPermitted(facts, constraints([], [form(subtree)])) === undefined, within === false)
  })
}

for (const [title, subtree, name, within] of [
  ['10.1.2.3 lies within 10.0.0.0/8', ip(10, 0, 0, 0, 255, 0, 0, 0), ip(10, 1, 2, 3), true],
  ['11.1.2.3 does not lie within 10.0.0.0/8', ip(10, 0, 0, 0, 255, 0, 0, 0), ip(11, 1, 2, 3), false],
  ['2001:db8::1 lies within 2001:db8::/32', ip(...V6_NET), ip(...V6(1)), true],
  ['10.1.2.3 does not lie within 2001:db8::/32', ip(...V6_NET), ip(10, 1, 2, 3), false],
  ['a mask with a hole cannot be compared', ip(10, 0, 0, 0, 255, 0, 255, 0), ip(10, 1, 2, 3), '?'],
  ['an address of five bytes cannot be compared', ip(10, 0, 0, 0, 255, 0, 0, 0), ip(10, 1, 2, 3, 4), '?'],
  ['a directory name lies within its beginning', directory(nameOf('O=Acme')), directory(nameOf('O=Acme,CN=web')), true],
  [
    'a directory name lies within itself, in another case, string and spacing',
    directory(nameOf('O=Acme  Inc', 0x13)),
    directory(nameOf('O=ACME Inc ')),
    true,
  ],
  ['a directory name does not lie within another', directory(nameOf('O=Acme,CN=web')), directory(nameOf('O=Acme')), false],
  ['a directory name does not lie within its end', directory(nameOf('CN=web')), directory(nameOf('O=Acme,CN=web')), false],
] as const) {
  test(title, () => {
    const facts = factsFor([name])
    assert.equal(whyNotPermitted(facts, constraints([subtree], [])) === undefined, within === true)
    assert.equal(whyNotPermitted(facts, constraints([], [subtree])) === undefined, within === false)
  })
}

test('the subject is a directory name like those among the alternative names', () => {
  const subject = factsFor([], nameOf('O=Acme,CN=web'))
  assert.equal(whyNotPermitted(subject, constraints([directory(nameOf('O=Acme'))], [])), undefined)
  assert.match(whyNotPermitted(subject, constraints([directory(nameOf('O=Other'))], [])) ?? '', /does not permit/)
  assert.match(whyNotPermitted(subject, constraints([], [directory(nameOf('O=acme'))])) ?? '', /excludes/)
})

test('no string type, and nothing that nobody sees, makes one name two', () => {
  const wide = (bytes: 2 | 4): Buffer =>
    Buffer.concat('Acme'.split('').map((c) => Buffer.from([...Buffer.alloc(bytes - 1), c.charCodeAt(0)])))
  const named = (tag: number, value: Buffer | string): Buffer => sequence(der(0x31, sequence(oid('2.5.4.10'), der(tag, value))))
  const excluded = constraints([], [directory(nameOf('O=Acme', 0x13))])
  const permitted = constraints([directory(nameOf('O=Acme', 0x13))], [])
  for (const name of [
    named(0x0c, 'Acme'),
    named(0x1a, 'ACME'),
    named(0x14, 'Acme'),
    named(0x1e, wide(2)),
    named(0x1c, wide(4)),
    named(0x0c, 'Ac\u00adme'),
    named(0x0c, '\ufeffAc\u200bme\u0000'),
    named(0x0c, 'Acme\t\n'),
  ]) {
    assert.match(whyNotPermitted(factsFor([], name), excluded) ?? 'passes', /excludes/, name.toString('hex'))
    assert.equal(whyNotPermitted(factsFor([], name), permitted), undefined, name.toString('hex'))
  }
  assert.equal(whyNotPermitted(factsFor([], named(0x0c, 'Ac me')), excluded), undefined)
  // What says to be text and is none is neither permitted nor certainly not excluded.
  for (const name of [named(0x0c, Buffer.from([0xff])), named(0x1c, Buffer.from([0, 0, 65])), named(0x1c, Buffer.from([255, 0, 0, 65]))]) {
    assert.match(whyNotPermitted(factsFor([], name), excluded) ?? 'passes', /excludes/, name.toString('hex'))
    assert.match(whyNotPermitted(factsFor([], name), permitted) ?? 'passes', /does not permit/, name.toString('hex'))
  }
})

test('a mailbox in the subject counts like one among the alternative names, where there are none', () => {
  const subject = sequence(der(0x31, sequence(oid('1.2.840.113549.1.9.1'), der(0x16, 'eve@example.org'))))
  assert.match(whyNotPermitted(factsFor([], subject), constraints([email('example.com')], [])) ?? 'passes', /does not permit/)
  assert.match(whyNotPermitted(factsFor([], subject), constraints([], [email('example.org')])) ?? 'passes', /excludes/)
  assert.equal(whyNotPermitted(factsFor([], subject), constraints([email('example.org')], [])), undefined)
  assert.equal(whyNotPermitted(factsFor([dns('a.example')], subject), constraints([email('example.com')], [])), undefined)
})

test('a constraint speaks of names of its own form only', () => {
  assert.equal(whyNotPermitted(factsFor([uri('https://example.org/')]), constraints([email('example.com')], [])), undefined)
  assert.equal(whyNotPermitted(factsFor([]), constraints([email('example.com')], [])), undefined)
})

test('a constraint on a form of name that is not supported refuses', () => {
  for (const form of [userName('a'), der(0x88, Buffer.from([42]))])
    assert.match(whyNotPermitted(factsFor([email('a@b.c')]), constraints([form], [])) ?? '', /not supported/)
})

test('without constraints every name is permitted', () => {
  assert.equal(whyNotPermitted(factsFor([email('a@b.c')]), undefined), undefined)
})

test('any names and constraints are compared without an exception', () => {
  const forms = fc.constantFrom(0x81, 0x82, 0xa4, 0x86, 0x87)
  const name = fc.tuple(forms, fc.uint8Array({ maxLength: 40 })).map(([tag, bytes]) => der(tag, tag === 0xa4 ? der(0x30, bytes) : bytes))
  fc.assert(
    fc.property(name, name, (first, second) => {
      const [one, other] = [
        factsOf(mint({ by: root, names: [first] }).certificate),
        factsOf(mintAuthority('CN=a', { permitted: [second] }).certificate),
      ]
      if (one.ok && other.ok) whyNotPermitted(one.value, other.value.nameConstraints)
    }),
    { numRuns: 100 },
  )
})
