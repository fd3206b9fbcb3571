import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Read } from '../../src/verdict/read.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { mutatedDer } from '../differential/der.ts'
import { randomOf } from '../differential/random.ts'

/** What a reader made of bytes: something, or why not in words. */
export type Answer = 'read' | { readonly why: string }

/** A reader of bytes that somebody else wrote, and bytes that it reads. */
export type Reader = {
  readonly name: string
  readonly samples: readonly (string | Uint8Array)[]
  /** How much of the same it is given; a quarter MiB unless something else is said. */
  readonly hostileBytes?: number
  /** What is meant to take long or much, besides much of the same. */
  readonly hostile?: readonly Uint8Array[]
  /** How many changed samples it is given, where one takes long; 400 unless something else is said. */
  readonly runs?: number
  /** Whether it answers words, never that it was read. */
  readonly isWordy?: true
  read(bytes: Uint8Array): Answer | Promise<Answer>
}

const MAX_WHY = 9 * 1024 // characters of a reason: the longest one specified prints two certificates as PEM
const MAX_MILLISECONDS = 5000 // for 256 KiB on a busy machine; what needs steps by the square of it takes minutes
const MAX_MEGABYTES = 512 // of memory for all that is hostile, garbage and what else the process does included
export const HOSTILE_BYTES = 256 * 1024
/** `SEALGATE_FUZZ=100 npm test -- test/fuzz/readers.test.ts` tries a hundred times as much. */
const TIMES = Number(process.env['SEALGATE_FUZZ'] ?? 1)

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
export const of = (read: Read<unknown>): Answer => (read.ok ? 'read' : { why: sentenceOf(read.reason) })

// — bytes

/** Pieces that mean something to some reader, or are an end of what numbers and texts can be. */
const TOKENS = (
  '{ } [ ] " : , \\ - * @ / % & = null true -1 1e999 9007199254740993 18446744073709551616 !!x &a *a (? {1000} é sha256: \\u0000 \\ud800 ' +
  '"__proto__": -----BEGIN -----END'
)
  .split(' ')
  .concat(
    ' ',
    '\n',
    '\0',
    '\ufeff',
    '\ud83d',
    '---\n',
    '*a ',
    '-----BEGIN PUBLIC KEY-----\n',
    '-----END PUBLIC KEY-----\n',
    '0\u0080',
    '0\u0082',
    '\u0004\u0084',
  )
  .map((token) => Buffer.from(token, /[\u0080-\u00bf]/.test(token) ? 'latin1' : 'utf8'))

type Edit = {
  readonly at: number
  readonly edit: 'flip' | 'cut' | 'repeat' | 'insert'
  readonly size: number
  readonly token: number
  readonly times: number
}

const edits: fc.Arbitrary<Edit[]> = fc.array(
  fc.record({
    at: fc.nat(1_000_000),
    edit: fc.constantFrom('flip', 'cut', 'repeat', 'insert'),
    size: fc.integer({ min: 1, max: 64 }),
    token: fc.nat(TOKENS.length - 1),
    times: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 300 })),
  }),
  { minLength: 1, maxLength: 6 },
)

function edited(sample: Uint8Array, all: readonly Edit[]): Buffer {
  let bytes = Buffer.from(sample)
  for (const { at, edit, size, token, times } of all) {
    const from = at % (bytes.length + 1)
    const before = bytes.subarray(0, from)
    const piece = bytes.subarray(from, from + size)
    const after = bytes.subarray(from + piece.length)
    const made = {
      flip: Buffer.from(piece.map((b) => b ^ (1 << (times % 8)))),
      cut: Buffer.alloc(0),
      repeat: piece,
      insert: TOKENS[token] ?? piece,
    }[edit]
    const many = edit === 'repeat' || edit === 'insert' ? times : 1
    bytes = Buffer.concat([before, ...Array.from({ length: many }, () => made), ...(edit === 'insert' ? [piece] : []), after])
  }
  return bytes
}

/** What depth, count and length are made of. */
const REPEATED = [...TOKENS, ...['{"a":', '[{', 'a: ', '- ', 'a,', 'aA0'].map((token) => Buffer.from(token))]

async function answerOf(reader: Reader, bytes: Uint8Array): Promise<Answer> {
  const answer = await reader.read(bytes)
  if (answer === 'read') return answer
  assert.ok(answer.why.length > 0, 'a reason says something')
  assert.ok(answer.why.length <= MAX_WHY, `a reason of ${answer.why.length} characters`)
  assert.ok(!answer.why.includes('[object ') && !answer.why.includes('undefined'), answer.why)
  return answer
}

/** The tests of readers: each reads what it should, and answers whatever else it is given, soon, with a reason. */
export function fuzz(readers: readonly Reader[]): void {
  for (const reader of readers) fuzzOne(reader)
}

function fuzzOne(reader: Reader): void {
  const samples = reader.samples.map((sample) => Buffer.from(sample))

  test(`${reader.name} reads what it should`, async () => {
    for (const sample of samples) {
      const answer = await answerOf(reader, sample)
      if (!reader.isWordy) assert.equal(answer, 'read')
    }
  })

  test(`${reader.name} answers any bytes with a reason, and never throws`, () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 512 }), async (bytes) => void (await answerOf(reader, bytes))),
      { numRuns: 150 * TIMES },
    ))

  test(`${reader.name} answers what was changed here and there, and never throws`, () =>
    fc.assert(
      fc.asyncProperty(fc.constantFrom(...samples), edits, async (sample, all) => void (await answerOf(reader, edited(sample, all)))),
      { numRuns: (reader.runs ?? 400) * TIMES },
    ))

  const ders = samples.filter((sample) => sample[0] === 0x30)
  if (ders.length > 0)
    test(`${reader.name} answers DER of another structure, and never throws`, () =>
      fc.assert(
        fc.asyncProperty(fc.constantFrom(...ders), fc.nat(), async (sample, seed) => {
          const random = randomOf(seed)
          let der: Buffer = sample
          for (let left = 1 + random.below(3); left > 0; left--) der = mutatedDer(der, ders, random) ?? der
          await answerOf(reader, der)
        }),
        { numRuns: (reader.runs ?? 400) * TIMES },
      ))

  test(`${reader.name} answers much of the same soon, and keeps to its memory (lessons 38, 41)`, async () => {
    const much = REPEATED.map((token) => Buffer.alloc(reader.hostileBytes ?? HOSTILE_BYTES, token))
    const before = peakMegabytes()
    for (const bytes of [...much, ...(reader.hostile ?? [])]) {
      const start = performance.now()
      await answerOf(reader, bytes)
      const took = performance.now() - start
      assert.ok(took <= MAX_MILLISECONDS, `${JSON.stringify(Buffer.from(bytes.subarray(0, 16)).toString())} … took ${took.toFixed()} ms`)
    }
    const grown = peakMegabytes() - before
    assert.ok(grown <= MAX_MEGABYTES, `it took ${grown.toFixed()} MB`)
  })
}

/** The most that this process ever had resident: what a reader takes for a moment only counts too. */
function peakMegabytes(): number {
  return process.resourceUsage().maxRSS / 1024
}
