import { optionsReference } from '../programs/cli/help.ts'
import { defaultSettings, settingRows } from '../src/policy/settings.ts'
import { catalogue, type Code } from '../src/verdict/reason.ts'
import { onDisk, type Project } from './project.ts'

/** The pages of `docs/reference/` that are made from the sources, so that they cannot say something else. */
export const referencePages: Readonly<Record<string, () => string>> = {
  'docs/reference/reasons.md': reasonsPage,
  'docs/reference/options.md': optionsReference,
  'docs/reference/settings.md': settingsPage,
  'docs/reference/metrics.md': () => metricsPage(onDisk().text('programs/webhook/prometheus.ts')),
  'docs/reference/bounds.md': () => boundsPage(onDisk()),
}

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

const EXAMPLE_SETTINGS = `\`\`\`yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: config-policy-controller
  namespace: cosign-system
data:
  no-match-policy: warn
  remember-passes: 10m
\`\`\``

/** `docs/reference/settings.md`: every key of the ConfigMap. */
export function settingsPage(): string {
  const shown = (value: string | number | boolean): string =>
    typeof value === 'number' ? (value === 0 ? '0' : `${value / 60_000}m`) : String(value)
  return `# Settings

Keys of the ConfigMap \`config-policy-controller\` in the namespace of the controller. They are picked up while the controller runs.
A value that is not understood is logged and the value before it stays in force; keys that are not listed here are ignored.

${EXAMPLE_SETTINGS}

${table(
  ['key', 'values', 'default', 'meaning'],
  settingRows.map(({ key, field, wanted, meaning }) => [`\`${key}\``, wanted, `\`${shown(defaultSettings[field])}\``, meaning]),
)}
This page is made from \`src/policy/settings.ts\` by \`npm run generate\`.
`
}

const METRIC = /new (Counter|Gauge|Histogram)\(\{\s*name: '([^']+)',\s*help: (?:'([^']+)'|"([^"]+)"),(?:\s*labelNames: \[([^\]]*)\],)?/g

/** `docs/reference/metrics.md`, from the source that registers them. */
export function metricsPage(source: string): string {
  const rows = [...source.matchAll(METRIC)].map(([, type = '', name = '', help, quoted = '', labels = '']) => [
    `\`${name}\``,
    type.toLowerCase(),
    labels.replaceAll("'", '').replaceAll(/\w+/g, '`$&`'),
    help ?? quoted,
  ])
  return `# Metrics

Served in the text format of Prometheus at \`/metrics\` on the metrics port, with those of the Node.js process. Every label has a bounded
set of values: no image, namespace or registry is ever one, since whoever creates Pods could fill the memory with them. Policies are named
by the cluster's operator: those in force are labels, up to 100 of them, and the series of one that is deleted go with it.

${table(['metric', 'type', 'labels', 'what it counts'], rows)}
This page is made from \`programs/webhook/prometheus.ts\` by \`npm run generate\`.
`
}

// Its reason stands in a comment beside it, or on the line above.
const BOUND = /^(?:\/(?:\*\*|\/) (.+?)(?: \*\/)?\n)?(?:export )?const (MAX_\w+)(?:: \w+)? = (.+?)(?: \/\/ (.+))?$/gm

/** `docs/reference/bounds.md`: every named bound of the sources with its reason. */
export function boundsPage(project: Project): string {
  const files = project.files.filter((file) => /^(src|programs)\/.*\.ts$/.test(file))
  const rows = files.flatMap((file) =>
    [...project.text(file).matchAll(BOUND)].map(([, above = '', name = '', value = '', beside = '']) => [
      `\`${file}\``,
      `\`${name}\``,
      value.replaceAll('_', ' ').replaceAll('*', '×'),
      beside || above,
    ]),
  )
  return `# Bounds

Everything that comes from outside has a bound: bytes, count, depth, redirects, time. What exceeds one is refused or unknown, never admitted.
None can be set: each is far above what honest use needs.

${table(['file', 'bound', 'value', 'unit and reason'], rows)}
This page is made from the sources by \`npm run generate\`.
`
}
