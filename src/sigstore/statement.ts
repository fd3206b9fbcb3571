import type { Digest } from '../image/digest.ts'
import { hexOf } from '../image/digest.ts'
import type { Json } from '../image/json.ts'
import { isJsonObject, readJson, readJsonWithout } from '../image/json.ts'
import type { Read } from '../verdict/read.ts'

const MAX_STATEMENT_BYTES = 16 * 1024 * 1024 // no longer than the bundle or envelope that held it
const MAX_DEPTH = 128 // predicates are somebody else's documents: SBOMs nest components
const MAX_VALUES = 1_000_000 // only who signed it can make it large: it is read after its signature
const BOUNDS = { bytes: MAX_STATEMENT_BYTES, depth: MAX_DEPTH, values: MAX_VALUES }
const MAX_SUBJECTS = 1024 // a release of many artifacts has some hundred
const TYPES: readonly Json[] = ['https://in-toto.io/Statement/v0.1', 'https://in-toto.io/Statement/v1']

/** An in-toto statement whose envelope was verified: what it says is its signer's word. */
export type Statement = {
  readonly predicateType: string
  /** The SHA-256 digests of its subjects, hex as written. */
  readonly subjects: readonly string[]
}

/** Reads an in-toto statement, v0.1 or v1, without subjects too. At most 16 MiB and 1024 subjects. Answers `bundle-malformed`; never throws. */
export function readStatement(bytes: Uint8Array): Read<Statement> {
  const read = readJson(bytes, BOUNDS)
  return read.ok ? statementIn(read.value) : malformed(`its statement: ${read.detail}`)
}

/** As `readStatement`, however large the predicate is: others have their turn meanwhile. */
export async function readStatementInTurns(bytes: Uint8Array, turn: () => Promise<void>): Promise<Read<Statement>> {
  const read = await readJsonWithout(bytes, ['predicate'], BOUNDS, turn)
  return read.ok ? statementIn(read.value.rest) : malformed(`its statement: ${read.detail}`)
}

function statementIn(statement: Json): Read<Statement> {
  if (!isJsonObject(statement)) return malformed('its statement is not an object')
  const { predicateType } = statement
  const subjects = statement['subject'] ?? []
  if (!TYPES.includes(statement['_type'] ?? null)) return malformed('its payload is not an in-toto statement v0.1 or v1')
  if (typeof predicateType !== 'string') return malformed('its statement has no predicateType')
  if (!Array.isArray(subjects)) return malformed('the subject of its statement is not a list')
  if (subjects.length > MAX_SUBJECTS) return malformed(`number of subjects (${subjects.length}) exceeded the limit (${MAX_SUBJECTS})`)
  const digests = (subjects as readonly Json[]).map((s) =>
    isJsonObject(s) && isJsonObject(s['digest']) ? s['digest']['sha256'] : undefined,
  )
  return { ok: true, value: { predicateType, subjects: digests.filter((d) => typeof d === 'string') } }
}

/** Whether one of the statement's subjects is the image. */
export function isAbout(statement: Statement, digest: Digest): boolean {
  return statement.subjects.includes(hexOf(digest))
}

function malformed(detail: string): Read<never> {
  return { ok: false, reason: { code: 'bundle-malformed', detail } }
}
