import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { attestedEvidence, bundleEvidence, makeSigner, oldEvidence, signBundle, signOldForm } from '../../fakes/signer.ts'
import { readReference } from '../../src/image/reference.ts'
import type { ImageAtDigest } from '../../src/policy/ask.ts'
import { ask, keyOf } from '../../src/policy/ask.ts'
import { compile } from '../../src/policy/compile.ts'
import type { Judgement } from '../../src/policy/decide.ts'
import { decide, MAX_SIGNATURES_TRIED } from '../../src/policy/decide.ts'
import type { Found } from '../../src/sigstore/evidence.ts'
import type { Decision } from '../../src/verdict/decision.ts'
import { reasonsOf } from '../../src/verdict/message.ts'

const digest = `sha256:${'a'.repeat(64)}` as const
const image = readReference(`registry.example/app@${digest}`) as ImageAtDigest
const signer = makeSigner()
const other = makeSigner()
const good = oldEvidence(signOldForm(signer, digest))
const bad = oldEvidence(signOldForm(other, digest))

const absent: Found = { state: 'absent' }
const unknown: Found = { state: 'unknown', reason: { code: 'registry-timeout', text: 'too slow' }, tried: [] }
const found = (...signatures: Extract<Found, { state: 'found' }>['signatures']): Found => ({ state: 'found', signatures, beyond: 0 })

function judgement(byTag: Found | undefined, byReferrers: Found | undefined, more: object = {}): Judgement & { turns: number } {
  const policies = new Map([
    ['p', { spec: { images: [{ glob: '**' }], authorities: [{ name: 'a', key: { data: signer.pem }, ...more }] } } as object],
  ])
  const [policy] = compile(
    { policies, policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map() },
    'cosign-system',
  ).policies
  assert.ok(policy)
  const gathered = new Map(
    ask(policy, image).flatMap((a) => {
      const answer = a.ask.endsWith('-by-tag') ? byTag : byReferrers
      return answer ? [[keyOf(a), answer] as const] : []
    }),
  )
  const made = {
    policy,
    image,
    at: 0,
    gathered,
    verified: new Map(),
    wanted: new Map(),
    searched: new Map(),
    until: undefined,
    turns: 0,
    turn: async () => void made.turns++,
    isOver: () => false,
  }
  return made
}

test('lesson 37: signatures are tried for as long as somebody may want to know, and not one more; then it is not known', async () => {
  const many = found(...Array.from({ length: 5 }, () => ({ ...bad })), good)
  const j = judgement(many, absent)
  let left = 3
  const { outcome } = await decide({ ...j, turn: async () => void left--, isOver: () => left === 0 })
  assert.equal(outcome, 'unknown')
  assert.equal(left, 0)
  assert.equal((await decide(judgement(many, absent))).outcome, 'pass')
})

test('for an explanation everything is judged, and the answer is the same', async () => {
  const all = found(bad, { ...good }, { ...good }, { ...bad })
  const bundles = found(bundleEvidence(signBundle(signer, digest)))
  const [short, whole] = [await decide(judgement(all, bundles)), await decide({ ...judgement(all, bundles), isThorough: true })]
  const outcomes = ({ parts: [authority] }: Decision) =>
    authority?.parts.map((lookup) => [lookup.outcome, ...lookup.parts.map((signature) => signature.outcome)])
  assert.deepEqual(outcomes(short), [['pass', 'fail', 'pass']])
  assert.deepEqual(outcomes(whole), [
    ['pass', 'fail', 'pass', 'pass', 'fail'],
    ['pass', 'pass'],
  ])
  assert.deepEqual([short.outcome, whole.outcome], ['pass', 'pass'])
})

test('what stands of a signature that is refused all the same is part of the decision', async () => {
  const elsewhere = oldEvidence(signOldForm(signer, `sha256:${'b'.repeat(64)}`))
  const { outcome, parts } = await decide(judgement(found(elsewhere), absent))
  const [check] = parts[0]?.parts[0]?.parts[0]?.parts ?? []
  assert.deepEqual([outcome, check?.parts.map((part) => part.reason?.code)], ['fail', ['signature-intact', 'payload-other-image']])
})

for (const [name, byTag, byReferrers, outcome] of [
  ['a good signature under the tag passes', found(good), absent, 'pass'],
  ['a good signature under the tag passes, whatever became of the referrers', found(good), unknown, 'pass'],
  ['a good signature among bad ones passes', found(bad, good), absent, 'pass'],
  ['a good bundle passes', absent, found(bundleEvidence(signBundle(signer, digest))), 'pass'],
  ['a good bundle passes, whatever became of the tag', unknown, found(bundleEvidence(signBundle(signer, digest))), 'pass'],
  ['no signatures anywhere fails', absent, absent, 'fail'],
  ['only bad signatures fails', found(bad), found(bundleEvidence(signBundle(other, digest))), 'fail'],
  ['a registry that could not be asked is unknown, never a missing signature', unknown, absent, 'unknown'],
  ['referrers that could not be read are unknown, never a missing signature', absent, unknown, 'unknown'],
  ['a bad signature and an answer that is missing is unknown', found(bad), unknown, 'unknown'],
  ['evidence that has not come yet is unknown', undefined, undefined, 'unknown'],
  [
    'a signature whose payload could not be fetched is unknown',
    found({ ...bad, payload: { code: 'registry-timeout', text: 'too slow' } }),
    absent,
    'unknown',
  ],
] as const) {
  test(name, async () => assert.equal((await decide(judgement(byTag, byReferrers))).outcome, outcome))
}

test('others have their turn after each signature, and nothing is verified twice as evidence arrives', async () => {
  const j = judgement(found(bad, bad, bad), undefined)
  await decide(j)
  await decide(j)
  assert.equal(j.turns, 1, 'three times the same evidence is one')
  const k = judgement(found(...Array.from({ length: 5 }, () => oldEvidence(signOldForm(other, digest)))), absent)
  await decide(k)
  assert.equal(k.turns, 5)
})

test('beyond the named number of signatures the answer is unknown, and says how many were left', async () => {
  const many = Array.from({ length: MAX_SIGNATURES_TRIED }, () => bad)
  const within = await decide(judgement(found(...many), absent))
  assert.equal(within.outcome, 'fail')
  const beyond = await decide(judgement(found(...many, good), absent))
  assert.equal(beyond.outcome, 'unknown')
  assert.deepEqual(
    reasonsOf(beyond).find((r) => r.code === 'too-many-signatures'),
    { code: 'too-many-signatures', tried: MAX_SIGNATURES_TRIED, beyond: 1 },
  )
  const notFetched = await decide(judgement({ state: 'found', signatures: [bad], beyond: 7 }, absent))
  assert.equal(notFetched.outcome, 'unknown')
})

test('signatureFormat restricts what counts', async () => {
  const bundle = bundleEvidence(signBundle(signer, digest))
  assert.equal((await decide(judgement(absent, found(bundle), { signatureFormat: 'legacy' }))).outcome, 'fail')
  assert.equal((await decide(judgement(absent, found(good), { signatureFormat: 'bundle' }))).outcome, 'fail')
  assert.equal((await decide(judgement(absent, found(bundle), { signatureFormat: 'bundle' }))).outcome, 'pass')
  assert.equal(
    (await decide(judgement(absent, found(good), { signatureFormat: 'legacy' }))).outcome,
    'pass',
    'an OCI 1.1 referrer of the old form',
  )
})

describe('attestations', () => {
  const PROVENANCE = 'https://slsa.dev/provenance/v1'
  const attest = (predicateType: string, by = signer) => attestedEvidence([by], digest, { predicateType })
  const custom = attest('https://cosign.sigstore.dev/attestation/v1')
  const provenance = attest(PROVENANCE)
  const bundled = bundleEvidence(signBundle(signer, digest, { predicateType: PROVENANCE }))
  const one = { attestations: [{ name: 'built', predicateType: 'slsaprovenance1' }] }
  const two = { attestations: [...one.attestations, { name: 'reviewed', predicateType: 'custom' }] }

  for (const [name, wanted, byTag, byReferrers, outcome] of [
    ['the wanted one under the tag passes', one, found(provenance), absent, 'pass'],
    ['the wanted one in a bundle passes', one, absent, found(bundled), 'pass'],
    ['the wanted one passes whatever became of the referrers', one, found(custom, provenance), unknown, 'pass'],
    ['a bad one beside it is no failure', one, found(attest(PROVENANCE, other), provenance), absent, 'pass'],
    ['two wanted, each in a place of its own, pass', two, found(custom), found(bundled), 'pass'],
    ['two wanted and one there fails', two, found(provenance), absent, 'fail'],
    ['two wanted and one there is unknown while a place could not be read', two, found(provenance), unknown, 'unknown'],
    ['one of another type fails', one, found(custom), absent, 'fail'],
    ['one by another key fails', one, found(attest(PROVENANCE, other)), absent, 'fail'],
    ['none anywhere fails', one, absent, absent, 'fail'],
    ['a registry that could not be asked is unknown, never a missing attestation', one, unknown, absent, 'unknown'],
    ['a signature of the image is no attestation', one, found(good), absent, 'fail'],
  ] as const) {
    test(name, async () => assert.equal((await decide(judgement(byTag, byReferrers, wanted))).outcome, outcome))
  }

  test('with several of them nothing is verified twice as evidence arrives', async () => {
    const j = judgement(found(custom, provenance), undefined, two)
    assert.equal((await decide(j)).outcome, 'pass')
    assert.equal(j.turns, 2)
    await decide(j)
    assert.equal(j.turns, 2)
  })

  test('the signature of an image passes no policy that wants an attestation, and the other way round', async () => {
    assert.equal((await decide(judgement(found(provenance), absent))).outcome, 'fail')
    assert.equal((await decide(judgement(found(good), found(bundleEvidence(signBundle(signer, digest))), one))).outcome, 'fail')
  })
})

test('lesson 39: others have many turns while a large attestation is judged, and it passes as a small one does', async () => {
  const attestations = [{ name: 'packages', predicateType: 'https://spdx.dev/Document' }]
  const attested = (by: typeof signer, bytes: number) =>
    attestedEvidence([by], digest, { predicateType: 'https://spdx.dev/Document', predicate: { text: 'x'.repeat(bytes) } })
  for (const [by, outcome] of [
    [signer, 'pass'],
    [other, 'fail'],
  ] as const) {
    const small = judgement(found(attested(by, 10)), absent, { attestations })
    assert.equal((await decide(small)).outcome, outcome)
    assert.equal(small.turns, 1)
    const large = judgement(found(attested(by, 8 * 1024 * 1024)), absent, { attestations })
    assert.equal((await decide(large)).outcome, outcome)
    assert.ok(large.turns > 50, `${large.turns} turns`)
  }
})
