import { printable } from './explain.ts'

/**
 * A diagnostic as knative's FieldError has it: what users of the policy controller see (specification 2.0).
 * `details` stand on the lines after the message; `added` are Sealgate's own lines and follow the leaf they explain.
 */
export type Diagnostic = {
  readonly level: 'error' | 'warning'
  readonly message: string
  readonly paths: readonly string[]
  readonly details: string
  readonly added: readonly string[]
}

/**
 * Merges leaves that say the same (level, message, details), joining their paths and added lines without duplicates, and sorts them by
 * message, then details, then level, errors first. Byte order, so the same in every run.
 */
export function merged(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const leaves = new Map<string, { first: Diagnostic; paths: Set<string>; added: Set<string> }>()
  for (const d of diagnostics) {
    const key = JSON.stringify([d.level, d.message, d.details])
    const leaf = leaves.get(key) ?? { first: d, paths: new Set(), added: new Set() }
    leaves.set(key, leaf)
    for (const path of d.paths) leaf.paths.add(path)
    for (const line of d.added) leaf.added.add(line)
  }
  return [...leaves.values()]
    .map(({ first, paths, added }) => ({ ...first, paths: [...paths].toSorted(byBytes), added: [...added] }))
    .toSorted((a, b) => byBytes(a.message, b.message) || byBytes(a.details, b.details) || byBytes(a.level, b.level))
}

/** The same about what lies below `path`: `below('spec', …)` makes `mode` into `spec.mode`. */
export function below<D extends Diagnostic>(path: string, diagnostics: readonly D[]): D[] {
  return diagnostics.map((d) => ({ ...d, paths: d.paths.map((p) => `${path}.${p}`) }))
}

/** `<message>: <path>, <path>`, then details and added lines, each on lines of their own; a leaf without a path keeps its `: `. Nothing in it controls a terminal. */
export function rendered(d: Diagnostic): string {
  return printable([`${d.message}: ${d.paths.join(', ')}`, ...(d.details === '' ? [] : [d.details]), ...d.added].join('\n'))
}

/** The text of all errors, empty when there are none. */
export function errorText(diagnostics: readonly Diagnostic[]): string {
  return merged(diagnostics.filter((d) => d.level === 'error'))
    .map(rendered)
    .join('\n')
}

/** One entry a line, as kubectl prints `Warning:` lines. */
export function warningLines(diagnostics: readonly Diagnostic[]): string[] {
  return merged(diagnostics.filter((d) => d.level === 'warning')).flatMap((d) => rendered(d).split('\n'))
}

const SURROGATE = /[\ud800-\udfff]/

/** Order of UTF-8 bytes, as Go's sort has it: code points, where JavaScript would compare surrogates. */
export function byBytes(a: string, b: string): number {
  if (a === b) return 0
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : 1
}
