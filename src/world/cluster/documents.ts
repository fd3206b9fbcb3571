import { type Document, LineCounter, parseDocument } from 'yaml'

/** Bounds on one document. Kubernetes keeps objects of at most about 1.5 MB, nested a dozen deep. */
const MAX_DEPTH = 100 // maps and lists inside each other
const MAX_ALIASES = 100 // nodes that aliases (`*name`) may stand for, all together: one billion laughs fit into 1 KB
const MAX_DOCUMENTS = 10_000 // in one file
const SLICE = 3 // milliseconds of reading after which others get their turn

/** One document of a file: what it holds as JSON would, and where it begins. `number` and `line` count from 1. */
export type FileDocument = { readonly number: number; readonly line: number; readonly value: unknown }

export type DocumentsRead =
  | { readonly ok: true; readonly documents: readonly FileDocument[] }
  /** `problem` names document and line, not the file. */
  | { readonly ok: false; readonly problem: string }

/**
 * Reads YAML or JSON, several documents separated by `---`. Documents without content are counted and left out. Scalars are read as YAML 1.2
 * does (`yes` is a text), equal keys, unknown tags and directives are errors. The values are plain: no aliases shared, no cycles. Never throws.
 */
export async function readDocuments(text: string): Promise<DocumentsRead> {
  const documents: FileDocument[] = []
  let turn = performance.now()
  for (const [i, part] of split(text).entries()) {
    if (i === MAX_DOCUMENTS) return { ok: false, problem: `more than ${MAX_DOCUMENTS} documents` }
    const at = (line: number, what: string) => ({ ok: false, problem: `document ${i + 1}, line ${line}: ${what}` }) as const
    const read = readDocument(part.text)
    if (!read.ok) return at(part.line + read.line - 1, read.problem)
    if (read.value !== undefined) documents.push({ number: i + 1, line: part.line + read.line - 1, value: read.value })
    if (performance.now() - turn < SLICE) continue
    await new Promise((resolve) => setImmediate(resolve))
    turn = performance.now()
  }
  return { ok: true, documents }
}

type Part = { readonly text: string; readonly line: number }

/** A line that begins with `---` always separates documents, even inside a block of text (YAML 1.2, 9.1.2). */
function split(text: string): Part[] {
  const parts: Part[] = []
  let lines: string[] = []
  let line = 1
  let isFirst = true
  const all = text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/)
  for (const [i, content] of all.entries()) {
    if (/^---(?=[ \t]|$)/.test(content)) {
      // What stands before the first separator is a document only when it holds something.
      if (!isFirst || lines.some((l) => /^[ \t]*[^# \t]/.test(l))) parts.push({ text: lines.join('\n'), line })
      lines = [content.slice(3)]
      line = i + 1
      isFirst = false
    } else lines.push(content)
  }
  parts.push({ text: lines.join('\n'), line })
  return parts
}

/** `line` counts from the start of the text; `value` is undefined for a document without content. */
type OneRead =
  | { readonly ok: true; readonly line: number; readonly value: unknown }
  | { readonly ok: false; readonly line: number; readonly problem: string }

function readDocument(text: string): OneRead {
  const lineCounter = new LineCounter()
  let document: Document.Parsed
  try {
    document = parseDocument(text, { lineCounter, merge: true, prettyErrors: false })
  } catch (error) {
    return { ok: false, line: 1, problem: oneLine(error) }
  }
  const [wrong] = [...document.errors, ...document.warnings]
  if (wrong) {
    const problem = wrong.code === 'RESOURCE_EXHAUSTION' ? 'nested too deep' : oneLine(wrong)
    return { ok: false, line: lineCounter.linePos(wrong.pos[0]).line, problem }
  }
  if (document.contents === null) return { ok: true, line: 1, value: undefined }
  const line = lineCounter.linePos(document.contents.range[0]).line
  try {
    const value = plain(document.toJS({ maxAliasCount: MAX_ALIASES, mapAsMap: true }), 0)
    return { ok: true, line, value: value ?? undefined }
  } catch (error) {
    return { ok: false, line, problem: oneLine(error) }
  }
}

/** A copy that holds only what JSON can: aliases shared by reference become copies, cycles end at the bound on depth. */
function plain(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new RangeError(`nested more than ${MAX_DEPTH} deep`)
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value
    throw new RangeError('a number that JSON cannot hold')
  }
  if (Array.isArray(value)) return value.map((v) => plain(v, depth + 1))
  if (!(value instanceof Map)) throw new RangeError('a value that JSON cannot hold')
  // `fromEntries` makes an own member even of `__proto__`.
  return Object.fromEntries([...(value as Map<unknown, unknown>)].map(([key, v]) => [keyOf(key), plain(v, depth + 1)]))
}

/** Scalars become texts, as where YAML is turned into JSON for an API server. */
function keyOf(key: unknown): string {
  if (key === null) return ''
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean') return String(key)
  throw new RangeError('a map or list is the key of a map, which JSON cannot hold')
}

function oneLine(error: unknown): string {
  const [first] = (error instanceof Error ? error.message : String(error)).split('\n')
  return (first ?? '').replace(/ at line \d+, column \d+:?$/, '').slice(0, 200)
}
