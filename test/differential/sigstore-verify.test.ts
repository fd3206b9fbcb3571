import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { makeSigner } from '../../fakes/signer.ts'
import { faults } from '../../fakes/sigstore/fault.ts'
import { faulty, showsIn } from '../../fakes/sigstore/faulty.ts'
import { SIGNED_AT } from '../../fakes/sigstore/sigstore.ts'
import type { VerifiedArtifact } from '../../src/sigstore/artifact.ts'
import { differences, explanationOf, faultDifferences, noFaultHere } from './differences.ts'
import { mutant } from './mutant.ts'
import { randomOf } from './random.ts'
import type { Subject } from './subjects.ts'
import { subjects } from './subjects.ts'
import type { Asked, Said } from './verdicts.ts'
import { ACCEPTED, judgesOf } from './verdicts.ts'

/**
 * `SEALGATE_MUTANTS=1000000 SEALGATE_SEED=7 npm test -- test/differential/sigstore-verify.test.ts` tries other ones, and more. The seed chooses
 * the changes; the keys are new each time, so a failure is kept whole, as a case in `cases/`, where it fails until it is explained.
 */
const MUTANTS = Number(process.env['SEALGATE_MUTANTS'] ?? 10_000)
const SEED = Number(process.env['SEALGATE_SEED'] ?? 1)

const CASES = new URL('cases/', import.meta.url)
const MAX_KEPT = 10 // of one kind

/** A mutant that was kept. `difference`: the row that explains it; null where both verifiers say the same and it changes nobody's belief. */
type Case = Omit<Asked, 'artifact'> & {
  readonly artifact: string
  readonly difference: string | null
  readonly subject: string
  /** Base64 of the mutant, and of the bundle that it was made of. */
  readonly mutant: string
  readonly original: string
}

function differs(here: Said, there: Said): boolean {
  return (here === ACCEPTED) !== (there === ACCEPTED)
}

/** A time may be left out, by whoever takes its proof away: then another one is still proven, or none is, which only a key may do without. */
function isBelievable(found: VerifiedArtifact, made: readonly VerifiedArtifact[]): boolean {
  if (found.times.length === 0 && found.signer.by === 'certificate') return false
  const same = (one: VerifiedArtifact): string => JSON.stringify([one.digest, one.signer, one.statement])
  return made.some((one) => same(one) === same(found) && found.times.every((time) => one.times.includes(time)))
}

/** Keeps a mutant as a case, unless many of its kind are already; answers its file. */
function keep({ asked, name, bundle }: Subject, index: number, bytes: Buffer, already: number): string {
  if (already >= MAX_KEPT) return 'not kept'
  const kept: Case = {
    ...asked,
    artifact: Buffer.from(asked.artifact).toString('base64'),
    difference: null,
    subject: name,
    mutant: bytes.toString('base64'),
    original: Buffer.from(JSON.stringify(bundle)).toString('base64'),
  }
  const file = `found-${SEED}-${name.replaceAll(/[^a-z0-9]+/gi, '-')}-${index}.json`
  writeFileSync(new URL(file, CASES), `${JSON.stringify(kept)}\n`)
  return `test/differential/cases/${file}`
}

describe(`${MUTANTS} mutants of bundles, seed ${SEED}`, () => {
  for (const [place, subject] of subjects.entries()) {
    test(`lesson 17: ${subject.name}: no mutant changes who is believed to have signed what when, and another verifier agrees`, async (t) => {
      const { here, there } = judgesOf(subject.asked)
      const encoded = (bundle: object): Buffer => Buffer.from(JSON.stringify(bundle))
      assert.deepEqual([here(encoded(subject.bundle)).said, there(encoded(subject.bundle)).said], [ACCEPTED, ACCEPTED])
      const whole = [subject.bundle, ...subject.donors].flatMap((bundle) => here(encoded(bundle)).found ?? [])

      const random = randomOf(SEED * 1000 + place)
      const wrong: string[] = []
      const differing = new Map<string, number>()
      let accepted = 0
      for (let i = 0; i < Math.ceil((MUTANTS * subject.share) / 100); i++) {
        const bytes = mutant(subject.bundle, subject.donors, random)
        const [ours, theirs] = [here(bytes), there(bytes)]
        const { found } = ours
        if (found) accepted++
        if (found && !isBelievable(found, whole))
          wrong.push(
            `${JSON.stringify([found.signer, found.times, found.statement])} is believed: ${keep(subject, i, bytes, wrong.length)}`,
          )
        if (found?.signer.by === 'certificate' && theirs.said === ACCEPTED && !found.signer.subjects.includes(theirs.subject ?? ''))
          wrong.push(`${found.signer.subjects.join(', ')} here, ${theirs.subject} there: ${keep(subject, i, bytes, wrong.length)}`)
        if (differs(ours.said, theirs.said)) {
          const known = explanationOf(bytes, ours.said, (repaired) => there(repaired).said)
          if (!known) wrong.push(`${ours.said} | ${theirs.said}: ${keep(subject, i, bytes, wrong.length)}`)
          const name = known?.name ?? 'unexplained'
          differing.set(name, (differing.get(name) ?? 0) + 1)
        }
        if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      t.diagnostic(`${accepted} mutants are still believed, as they were`)
      for (const [name, count] of differing) t.diagnostic(`${count} differ: ${name}`)
      assert.deepEqual(wrong.slice(0, MAX_KEPT), [], `${wrong.length} mutants`)
    })
  }
})

const kept = readdirSync(CASES)
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({ file, ...(JSON.parse(readFileSync(new URL(file, CASES), 'utf8')) as Case) }))

describe('mutants that were kept are judged as they were', () => {
  for (const { file, difference, artifact, ...asked } of kept) {
    test(file, () => {
      const { here, there } = judgesOf({ ...asked, artifact: Buffer.from(artifact, 'base64') })
      const bytes = Buffer.from(asked.mutant, 'base64')
      const whole = here(Buffer.from(asked.original, 'base64')).found
      const [ours, theirs] = [here(bytes), there(bytes)]
      if (ours.found) assert.ok(whole && isBelievable(ours.found, [whole]), 'it changes what is believed')
      const row = explanationOf(bytes, ours.said, (repaired) => there(repaired).said)
      const known = differs(ours.said, theirs.said) ? (row?.name ?? 'unexplained') : null
      assert.equal(known, difference, `${ours.said} | ${theirs.said}`)
    })
  }

  test('each row of the list of differences has one', () => {
    const shown = new Set(kept.map(({ difference }) => difference))
    assert.deepEqual(
      differences.map(({ name }) => name).filter((name) => !shown.has(name)),
      [],
    )
  })
})

describe('each fault of a Sigstore is refused by both verifiers, but for a list with reasons', () => {
  const artifact = Buffer.from('an image')
  const digest = `sha256:${createHash('sha256').update(artifact).digest('hex')}`
  const signer = makeSigner()
  for (const row of faults.filter((fault) => showsIn(fault, 'bundle')))
    for (const log of ['v1', 'v2'] as const)
      for (const by of ['certificate', 'key'] as const) {
        const { needs, fault } = row
        if ((needs.log ?? 'any') !== 'any' && needs.log !== log) continue
        if (by === 'key' && needs.certificate) continue
        test(`${fault}, by ${by}, Rekor ${log}`, async () => {
          const said = async (isSound: boolean): Promise<readonly [Said, Said]> => {
            const { sigstore, made } = await faulty(row, 'bundle', digest, { log, ...(by === 'key' ? { signer } : {}) }, isSound)
            assert.ok('bundle' in made)
            const key = by === 'key' ? signer.pem : undefined
            const { here, there } = judgesOf({ artifact, root: sigstore.trustedRoot(), key, at: SIGNED_AT + 1000 })
            const bytes = Buffer.from(JSON.stringify(made.bundle))
            return [here(bytes).said, there(bytes).said]
          }
          assert.deepEqual(await said(true), [ACCEPTED, ACCEPTED])
          const [here, there] = await said(false)
          const isNone = noFaultHere(fault, by, log)
          assert.equal(here === ACCEPTED, isNone, here)
          assert.equal(there === ACCEPTED, isNone || faultDifferences[fault] !== undefined, there)
        })
      }
})
