import assert from 'node:assert/strict'
import { createHash, createPublicKey } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { bundleFromJSON } from '@sigstore/bundle'
import { TrustedRoot } from '@sigstore/protobuf-specs'
import type { VerifierOptions } from '@sigstore/verify'
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify'
import { makeSigner } from '../../fakes/signer.ts'
import type { SignOptions } from '../../fakes/sigstore/sigstore.ts'
import { SIGNED_AT, Sigstore } from '../../fakes/sigstore/sigstore.ts'
import type { VerifiedArtifact } from '../../src/sigstore/artifact.ts'
import { verifyArtifactBundle } from '../../src/sigstore/artifact.ts'
import type { Terms } from '../../src/sigstore/terms.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { byKey, keyOf, keyless } from '../sigstore/demands.ts'
import { mutant, randomOf } from './mutant.ts'

/** `SEALGATE_MUTANTS=1000000 SEALGATE_SEED=7 npm test -- test/differential/sigstore-verify.test.ts` tries other ones, and more. */
const MUTANTS = Number(process.env['SEALGATE_MUTANTS'] ?? 10_000)
const SEED = Number(process.env['SEALGATE_SEED'] ?? 1)

/**
 * Where this verifier and @sigstore/verify may differ on a mutant, and why. Everything else is a failure of the test. `here` and `there`: what is
 * said of the mutant, `accepted` or why it is refused.
 */
const DIFFERENCES: readonly { readonly here: RegExp; readonly there: RegExp; readonly because: string }[] = [
  {
    here: /inclusion proof: (the checkpoint (is of a tree|has another root)|a hash is not a|logIndex or treeSize is not)/,
    there: /^accepted$/,
    because: 'the root and the size that stand beside a proof must be those of its checkpoint here; there nobody reads them',
  },
  {
    here: /logIndex or integratedTime is not a number/,
    there: /^accepted$/,
    because: 'numbers of a log entry are never negative here, nor beyond 2^53; there they do not matter where no promise covers them',
  },
  {
    here: /the signature of the checkpoint is not one of the log/,
    there: /^accepted$/,
    because: 'the signature that carries the key ID of the log must verify here; there another line with it may make up for it',
  },
  {
    here: /^accepted$/,
    there: /invalid checkpoint signature/,
    because:
      'the name in front of a signature of a checkpoint is signed by nobody: here its key ID says whose it is, there the name must fit too',
  },
  {
    here: /certificate(s| of the signature)? cannot be (parsed|read)/,
    there: /^accepted$/,
    because: 'a certificate must be DER to the last bit here, those that lie in a timestamp too; there some of it is not read',
  },
  {
    here: /digest (in|does not match digest in) message signature/,
    there: /^accepted$/,
    because:
      'the digest beside a signature, which nobody signed, is compared by the algorithm that stands with it here; there as SHA-256, or not at all',
  },
  {
    here: /^accepted$/,
    there: /^(StreamError|ASN1ParseError|Error|TIMESTAMP_ERROR): (request past end of buffer|invalid |timestamp could not be verified)/,
    because: 'one good timestamp of several is enough here, as another authority may have made the others; there all must be good',
  },
  {
    here: /its media type is not that of a bundle/,
    there: /^accepted$/,
    because: 'the media type of a bundle is compared as it stands here; there as what it begins with',
  },
]

const bytes = Buffer.from('a file')
const digest = createHash('sha256').update(bytes).digest('hex')
const LATER = SIGNED_AT + 30 * 24 * 60 * 60 * 1000
const ANYBODY = [{ subjectRegExp: '.*', issuerRegExp: '.*' }]

const sigstore = await Sigstore.create()
const stranger = await Sigstore.create()
const signer = makeSigner()
const root = sigstore.trustedRoot()
const oracleTrust = toTrustMaterial(TrustedRoot.fromJSON(root), () => ({ publicKey: createPublicKey(signer.pem), validFor: () => true }))
const certificates = (time: 'ignored' | 'optional'): Terms => keyless(sigstore, { identities: ANYBODY, time })
const key: Terms = byKey(sigstore, keyOf(signer.pem))

/** What is mutated, and with what. Identities are not compared, so that another signer would be seen. */
type Subject = {
  readonly name: string
  readonly bundle: object
  readonly donors: readonly object[]
  readonly terms: Terms
  readonly oracle: VerifierOptions
  readonly mutants: number
}

type Make = (options: SignOptions, of?: Buffer, by?: Sigstore) => object
const message: Make = (options, of = bytes, by = sigstore) => by.signBlob({ bytes: of, ...options }).bundle
const statement: Make = (options, of = bytes, by = sigstore) => {
  const about = { digest: `sha256:${createHash('sha256').update(of).digest('hex')}`, form: 'bundle' } as const
  return by.attest({ ...about, predicateType: 'https://slsa.dev/provenance/v1', predicate: {}, ...options }).bundle
}

/** The last number: how many of ten mutants are of this kind. Timestamps take long, keys do not. */
const cases: readonly [string, Make, SignOptions, number][] = [
  ['message, Rekor v1', message, {}, 1],
  ['message, Rekor v1, timestamp', message, { timestamp: true }, 0.3],
  ['message, Rekor v2, timestamp', message, { log: 'v2', timestamp: true }, 0.4],
  ['statement, Rekor v1', statement, {}, 1],
  ['statement, Rekor v2, timestamp', statement, { log: 'v2', timestamp: true }, 0.3],
  ['message by key, Rekor v1', message, { signer }, 3.5],
  ['statement by key, Rekor v1', statement, { signer }, 3.5],
]

const subjects = cases.map(([name, make, options, share]): Subject => {
  const isByKey = options.signer !== undefined
  const donors = [
    make({ ...options, at: SIGNED_AT + 60_000 }, Buffer.from('another file')),
    make({ ...options, at: SIGNED_AT + 120_000, ...(isByKey ? {} : { signer: { subject: 'eve@elsewhere.example' } }) }),
    make(options, bytes, stranger),
  ]
  const oracle = { tlogThreshold: 1, ctlogThreshold: isByKey ? 0 : 1, timestampThreshold: isByKey ? 0 : 1 }
  const terms = isByKey ? key : certificates(options.timestamp ? 'optional' : 'ignored')
  return { name, bundle: make(options), donors, terms, oracle, mutants: Math.ceil((MUTANTS * share) / 10) }
})

function believed(bundle: Uint8Array, terms: Terms): VerifiedArtifact | string {
  const answer = verifyArtifactBundle(bundle, { digest, bytes }, terms, LATER)
  return answer.ok ? answer.value : `${answer.reason.code}: ${sentenceOf(answer.reason)}`
}

/** What @sigstore/verify says: undefined, or its code. */
function objection(bundle: Uint8Array, options: VerifierOptions): string | undefined {
  try {
    new Verifier(oracleTrust, options).verify(toSignedEntity(bundleFromJSON(JSON.parse(Buffer.from(bundle).toString())), bytes))
    return undefined
  } catch (error) {
    return `${(error as { code?: string }).code ?? (error as Error).constructor.name}: ${(error as Error).message}`
  }
}

/** Who signed and when: what a mutant must not change. */
function belief({ signer: by, times }: VerifiedArtifact): string {
  return JSON.stringify([by, times])
}

/** A time may be left out, by whoever takes its proof away: then another one is still proven, or none is, which only a key may do without. */
function isBelievable(found: VerifiedArtifact, made: readonly VerifiedArtifact[]): boolean {
  if (found.times.length === 0 && found.signer.by === 'certificate') return false
  return made.some(
    (one) => JSON.stringify(one.signer) === JSON.stringify(found.signer) && found.times.every((time) => one.times.includes(time)),
  )
}

const folder = { path: undefined as string | undefined }
function kept(subject: Subject, index: number, bundle: Buffer): string {
  folder.path ??= mkdtempSync(join(tmpdir(), `sealgate-mutants-${SEED}-`))
  const file = join(folder.path, `${subject.name.replaceAll(/[^a-z0-9]+/gi, '-')}-${index}.json`)
  const mutated = bundle.toString('base64')
  writeFileSync(
    file,
    JSON.stringify({ seed: SEED, index, subject: subject.name, mutated, bundle: subject.bundle, root, key: signer.pem }, null, 2),
  )
  return file
}

describe(`${MUTANTS} mutants of bundles, seed ${SEED}`, () => {
  for (const [place, subject] of subjects.entries()) {
    test(`lesson 17: ${subject.name}: no mutant changes who is believed to have signed what when, and another verifier agrees`, async (t) => {
      const original = Buffer.from(JSON.stringify(subject.bundle))
      const whole = [subject.bundle, ...subject.donors].flatMap((bundle) => {
        const found = believed(Buffer.from(JSON.stringify(bundle)), subject.terms)
        return typeof found === 'string' ? [] : [found]
      })
      const first = believed(original, subject.terms)
      assert.ok(typeof first !== 'string', typeof first === 'string' ? first : '')
      assert.equal(objection(original, subject.oracle), undefined)

      const random = randomOf(SEED * 1000 + place)
      const wrong: string[] = []
      const differing = new Map<string, number>()
      let accepted = 0
      for (let i = 0; i < subject.mutants; i++) {
        const bundle = mutant(subject.bundle, subject.donors, random)
        const here = believed(bundle, subject.terms)
        const there = objection(bundle, subject.oracle)
        const isAccepted = typeof here !== 'string'
        if (isAccepted) accepted++
        if (isAccepted && !isBelievable(here, whole)) wrong.push(`${belief(here)} is believed: ${kept(subject, i, bundle)}`)
        if (isAccepted === (there === undefined)) continue
        const difference = `${isAccepted ? 'accepted' : here} | ${there ?? 'accepted'}`
        const known = DIFFERENCES.find((row) => row.here.test(isAccepted ? 'accepted' : here) && row.there.test(there ?? 'accepted'))
        if (!known) wrong.push(`${difference}: ${kept(subject, i, bundle)}`)
        differing.set(known?.because ?? difference, (differing.get(known?.because ?? difference) ?? 0) + 1)
        if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      t.diagnostic(`${accepted} mutants are still believed, as they were`)
      for (const [because, count] of differing) t.diagnostic(`${count} differ: ${because}`)
      assert.deepEqual(wrong.slice(0, 10), [], `${wrong.length} mutants`)
    })
  }
})
