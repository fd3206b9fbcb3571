import type { Decision, Question } from './decision.ts'
import type { Outcome, Reason } from './reason.ts'
import { hintOf, sentenceOf } from './reason.ts'

/** How an outcome, or text that matters less, is made to stand out. */
export type Palette = { readonly [role in Outcome | 'aside']: (text: string) => string }

const asItIs = (text: string): string => text
const sgr =
  (code: number) =>
  (text: string): string =>
    `\u001b[${code}m${text}\u001b[0m`

export const plain: Palette = { pass: asItIs, fail: asItIs, unknown: asItIs, aside: asItIs }
/** The colours of a terminal (ECMA-48, SGR). */
export const coloured: Palette = { pass: sgr(32), fail: sgr(31), unknown: sgr(33), aside: sgr(2) }

const INDENT = '  '
const COLUMN = 'unknown '.length // so that the tree stands beside the outcomes, and a search for `fail` finds its lines

/**
 * A decision as a text for people: one line a question, each below the one it answers, with its outcome, what was found, and after `→` what
 * to do about it. What to do is said once, however many signatures fail alike. Foreign text keeps no control characters. Ends with a newline.
 */
export function explain(decision: Decision, palette: Palette = plain): string {
  const said = new Set<string>()
  const lines: string[] = []
  const walk = (node: Decision, depth: number): void => {
    const indent = INDENT.repeat(depth)
    const [first = '', ...rest] = printable(lineOf(node)).split('\n')
    lines.push(`${palette[node.outcome](node.outcome.padEnd(COLUMN))}${indent}${first}`)
    const below = ' '.repeat(COLUMN) + indent + INDENT
    lines.push(...rest.map((line) => below + line.trim()))
    const hint = node.reason && node.outcome !== 'pass' ? hintOf(node.reason) : undefined
    if (hint !== undefined && !said.has(hint)) lines.push(below + palette.aside(`→ ${hint}`))
    if (hint !== undefined) said.add(hint)
    for (const part of node.parts) walk(part, depth + 1)
  }
  walk(decision, 0)
  return `${lines.join('\n')}\n`
}

/** A decision whose reasons carry what is said about them: what `--json` prints. */
export type Explained = Omit<Decision, 'reason' | 'parts'> & {
  readonly reason?: Reason & { readonly sentence: string; readonly hint: string }
  readonly parts: readonly Explained[]
}

export function explained({ question, outcome, rule, reason, parts }: Decision): Explained {
  const inner = parts.map(explained)
  if (!reason) return { question, outcome, rule, parts: inner }
  return { question, outcome, rule, reason: { ...reason, sentence: sentenceOf(reason), hint: hintOf(reason) }, parts: inner }
}

function lineOf({ question, rule, reason, parts }: Decision): string {
  const title = titleOf(question)
  if (reason) return `${title}: ${sentenceOf(reason)}${detailBehind(reason)}`
  if (parts.length < 2 || rule === 'reason') return title
  return rule === 'any' ? `${title}: any of these suffices` : `${title}: each of these must pass`
}

/** Some of the specified sentences leave out what is wrong. */
export function detailBehind(reason: Reason): string {
  return 'detail' in reason && !sentenceOf(reason).includes(reason.detail) ? `: ${reason.detail}` : ''
}

function titleOf(question: Question): string {
  switch (question.about) {
    case 'request':
      return 'the object'
    case 'image':
      return `image ${question.written}${question.paths.length > 0 ? ` at ${question.paths.join(', ')}` : ''}`
    case 'policy':
      return `policy ${question.name}${question.of === undefined ? '' : ` about ${question.of}`}${question.mode === 'warn' ? ', which only warns' : ''}`
    case 'authority':
      return `authority ${question.name}${question.by === 'none' ? '' : ` (${question.by})`}`
    case 'lookup':
      return `${question.of ?? 'signatures'} ${question.place === 'tag' ? 'by tag' : 'among the referrers'} in ${question.where}`
    case 'signature':
      return `${question.form === 'bundle' ? 'bundle' : 'signature'} in layer ${question.layer} of ${question.manifest}`
    case 'check':
      return question.check
  }
}

/**
 * Text without control characters but tabs and ends of lines, those of Windows too. Registries and signers choose some of what is said: a
 * terminal must not obey it.
 */
export function printable(text: string): string {
  return text.replace(
    /\r(?!\n)|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    '\ufffd',
  )
}
