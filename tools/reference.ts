import { catalogue, type Code } from '../src/verdict/reason.ts'

/** `docs/reference/reasons.md`: every row of the catalogue, with facts shown by their names. */
export function reasonsPage(): string {
  const outcomes = { fail: 'refuses', unknown: 'could not find out, so refuses', pass: 'passes' } as const
  const sections = (['fail', 'unknown', 'pass'] as const).map((outcome) => {
    const codes = (Object.keys(catalogue) as Code[]).filter((code) => catalogue[code].outcome === outcome)
    return `## ${outcomes[outcome][0]?.toUpperCase()}${outcomes[outcome].slice(1)}\n\n${table(['code', 'sentence', 'what to do'], codes.map(rowOf))}`
  })
  return `# Reasons

Everything that Sealgate ever says about a decision. The code stands in the audit annotations, the log and the metrics; the sentence
stands in messages, with the facts in place of \`‹…›\`. A sentence that is only \`‹text›\`, \`‹cause›\` or \`‹detail›\` says what was found in the words of whoever
found it. This page is made from \`src/verdict/reason.ts\` by \`npm run generate\`.

${sections.join('\n')}`
}

function rowOf(code: Code): string[] {
  const { sentence, hint } = catalogue[code]
  return [`\`${code}\``, (sentence as (facts: unknown) => string)(namedFacts), hint]
}

/** Facts that answer every question with their own name, whether the sentence takes them as text, number or list. */
const namedFacts: unknown = new Proxy(
  {},
  {
    get: (_, name) => Object.assign(new String(`‹${String(name)}›`), { join: () => `‹${String(name)}›`, map: () => [`‹${String(name)}›`] }),
  },
)

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |\n`).join('')
}
