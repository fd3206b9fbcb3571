import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Decision, Question } from '../../src/verdict/decision.ts'
import { allOf, anyOf, because } from '../../src/verdict/decision.ts'
import { blame } from '../../src/verdict/message.ts'
import type { Reason } from '../../src/verdict/reason.ts'

const check: Question = { about: 'check', check: 'it holds' }
const invalid: Reason = { code: 'signature-invalid', detail: 'invalid signature when validating ASN.1 encoded signature' }
const forbidden: Reason = { code: 'registry-refused', text: 'GET https://r.example/v2/p/manifests/sha256-aa.sig: DENIED: denied' }
const prefix = 'signature key validation failed for authority official for r.example/p@sha256:aa: '

function signature(reason: Reason): Decision {
  return anyOf({ about: 'signature', form: 'annotations', manifest: 'sha256:bb', layer: 0 }, [because(check, reason)], invalid)
}
function lookup(place: 'tag' | 'referrers', ...parts: Decision[]): Decision {
  return anyOf(
    { about: 'lookup', place, where: 'r.example/p' },
    parts,
    place === 'tag' ? { code: 'no-signatures' } : { code: 'no-referrers' },
  )
}
function told(...lookups: Decision[]) {
  const authority = anyOf({ about: 'authority', name: 'official', by: 'key', image: 'r.example/p@sha256:aa' }, lookups, invalid)
  return blame(anyOf({ about: 'policy', name: 'p', mode: 'enforce' }, [authority], invalid))
}

test('no signature anywhere is what the lookup of the tag says', () => {
  assert.deepEqual(told(lookup('tag'), lookup('referrers')), { texts: [`${prefix}no signatures found`], added: [] })
})

test('signatures that do not match are told one by one, joined by a newline and a space', () => {
  assert.deepEqual(told(lookup('tag', signature(invalid), signature(invalid)), lookup('referrers')).texts, [
    `${prefix}no matching signatures: ${invalid.detail}\n ${invalid.detail}`,
  ])
})

test('a registry that refuses is told in its own words, never as a missing signature', () => {
  const refused = lookup(
    'tag',
    because(check, forbidden),
    because(check, { code: 'credentials-tried', tried: ['Secret demo/regcred', 'anonymous'] }),
  )
  assert.deepEqual(told(refused, lookup('referrers')), {
    texts: [prefix + forbidden.text],
    added: ['credentials tried, in order: Secret demo/regcred, anonymous'],
  })
})

test('referrers that could not be read are a further line', () => {
  const told404 = told(lookup('tag'), lookup('referrers', because(check, forbidden)))
  assert.deepEqual(told404, { texts: [`${prefix}no signatures found`], added: [`the referrers could not be read: ${forbidden.text}`] })
})

test('a bundle that does not pass is a further line, the same one once', () => {
  const two = told(lookup('tag'), lookup('referrers', signature(invalid), signature(invalid)))
  assert.deepEqual(two.added, [`a bundle among the referrers does not pass either: ${invalid.detail}`])
})

test('at most five lines are added', () => {
  const many = Array.from({ length: 9 }, (_, i) => signature({ code: 'signature-invalid', detail: `cause ${i}` }))
  assert.equal(told(lookup('tag'), lookup('referrers', ...many)).added.length, 5)
})

test('a policy that cannot be carried out says why, without the prefix of an authority', () => {
  const broken = anyOf(
    { about: 'policy', name: 'p', mode: 'enforce' },
    [because(check, { code: 'key-unusable', cause: 'secret "nope" not found' })],
    invalid,
  )
  assert.deepEqual(blame(broken), { texts: ['secret "nope" not found'], added: [] })
})

test('a wanted attestation that is missing is told with the place that could not be read', () => {
  const image = 'r.example/p@sha256:aa'
  const where = { where: 'r.example/p', of: 'attestations' } as const
  const standing = anyOf(
    { about: 'lookup', place: 'tag', ...where },
    [because(check, { code: 'attested', predicateType: 'x', keyId: 'k' })],
    invalid,
  )
  const unread = anyOf({ about: 'lookup', place: 'referrers', ...where }, [because(check, forbidden)], invalid)
  const missing = because(check, { code: 'attestation-other-type', wanted: 'vuln', found: ['x'] })
  const group = anyOf(check, [standing, unread], invalid)
  const authority = allOf(
    { about: 'authority', name: 'official', by: 'key', image, of: 'attestations' },
    [group, anyOf(check, [missing, unread], invalid)],
    invalid,
  )
  assert.equal(authority.outcome, 'unknown')
  assert.deepEqual(blame(anyOf({ about: 'policy', name: 'p', mode: 'enforce' }, [authority], invalid)), {
    texts: ['no matching attestations with type vuln, checked the following predicateTypes: "x"'],
    added: [`the referrers could not be read: ${forbidden.text}`],
  })
})
