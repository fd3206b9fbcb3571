import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { makeSigner, signBytes } from '../../fakes/signer.ts'
import type { Bulk } from '../../src/sigstore/bulk.ts'
import { atOnce, InTurns } from '../../src/sigstore/bulk.ts'
import { keyOf } from './demands.ts'

const MUCH = Buffer.from(
  JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', subject: [], predicateType: 'x', predicate: 'x'.repeat(3_000_000) }),
)
const signer = makeSigner()
const key = keyOf(signer.pem)
const good = signBytes(signer, MUCH)
const bad = signBytes(makeSigner(), MUCH)
const all = (bulk: Bulk): unknown[] => [
  bulk.digest('sha256', MUCH).toString('hex'),
  bulk.digest('sha512', MUCH).toString('hex'),
  bulk.whyNotSigned(key, 'sha256', MUCH, good),
  bulk.whyNotSigned(key, 'sha256', MUCH, bad),
  bulk.whyNotSigned(key, 'sha512', MUCH, good),
  bulk.statement(MUCH),
]

test('what is not known yet is «no»; once others have had their turn it is what it is in one go', async () => {
  let turns = 0
  const bulk = new InTurns(async () => void turns++)
  const [sha256, , signedByKey, , , statement] = all(bulk)
  assert.equal(sha256, '')
  assert.notEqual(signedByKey, undefined)
  assert.equal((statement as { ok: boolean }).ok, false)
  assert.equal(turns, 0)
  assert.equal(await bulk.work(), true)
  assert.ok(turns > 15, `${turns} turns`)
  assert.deepEqual(all(bulk), all(atOnce))
  assert.equal(await bulk.work(), false)
})

test('the same question is worked on once', async () => {
  let turns = 0
  const bulk = new InTurns(async () => void turns++)
  for (let i = 0; i < 100; i++) bulk.digest('sha256', MUCH)
  await bulk.work()
  assert.equal(turns, Math.ceil(MUCH.length / (1024 * 1024)))
})

test('of little nothing is put off', () => {
  const little = Buffer.from('little')
  const bulk = new InTurns(async () => {})
  assert.deepEqual(bulk.digest('sha256', little), createHash('sha256').update(little).digest())
  assert.equal(bulk.whyNotSigned(key, 'sha256', little, signBytes(signer, little)), undefined)
})
