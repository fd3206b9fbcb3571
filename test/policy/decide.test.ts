import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bundleEvidence, makeSigner, oldEvidence, signBundle, signOldForm } from '../../fakes/signer.ts'
import { readReference } from '../../src/image/reference.ts'
import type { ImageAtDigest } from '../../src/policy/ask.ts'
import { ask, keyOf } from '../../src/policy/ask.ts'
import { compile } from '../../src/policy/compile.ts'
import type { Judgement } from '../../src/policy/decide.ts'
import { decide, MAX_SIGNATURES_TRIED } from '../../src/policy/decide.ts'
import type { Found } from '../../src/sigstore/evidence.ts'
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
  const [policy] = compile({ policies, policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map() }, 'cosign-system').policies
  assert.ok(policy)
  const answers = { 'signatures-by-tag': byTag, 'signatures-by-referrers': byReferrers }
  const gathered = new Map(ask(policy, image).flatMap((a) => (answers[a.ask] ? [[keyOf(a), answers[a.ask]!] as const] : [])))
  const made = { policy, image, at: 0, gathered, verified: new Map(), until: undefined, turns: 0, turn: async () => void made.turns++ }
  return made
}

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
