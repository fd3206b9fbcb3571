import { chartValues } from '../chart.ts'
import type { Check } from '../project.ts'

const PAGE = 'docs/change-over.md'
const DIFFERENCES = 'cases/differences.md'
const VALUES = 'deploy/chart/values.yaml'
const MARKS = ['stricter', 'wider', 'fixed', 'same']
const LAST = 40 // the quirks of the sigstore policy controller are numbered Q1 to Q40
/** What the Tanzu package of the sigstore policy controller can be given, in its newest version, 1.2.0. */
const OF_THE_PACKAGE = [
  'custom_ca_secrets',
  'custom_cas',
  'deployment_namespace',
  'fail_on_empty_authorities',
  'limits_cpu',
  'limits_memory',
  'no_match_policy',
  'quota.pod_number',
  'replicas',
  'requests_cpu',
  'requests_memory',
  'tuf_enabled',
  'tuf_mirror',
  'tuf_root',
]
const VALUE = 3 // cells of a row of values: of the package, of the chart, and what is to be known
const RECORDED = 3 // cells of a row of recorded requests: what, which, and the mark

/** Who changes over finds everything that differs in one table: each quirk, and each recorded request that is answered with another verdict. */
export const changeOver: Check = {
  claim: `${PAGE} has a row for each quirk and each recorded request that is answered otherwise, and says of each what it means; and one for each value of the Tanzu package`,
  violations(project) {
    const rows = rowsIn(afterHeading(project.text(PAGE), 'What differs'))
    const quirks = rows.filter(([name = '']) => /^Q\d+$/.test(name)).map(([name]) => name ?? '')
    const wanted = Array.from({ length: LAST }, (_, i) => `Q${i + 1}`)
    const recorded = rows.filter((cells) => cells.length === RECORDED).flatMap(([, cases = '']) => casesIn(cases))
    const different = ['Another verdict', 'Policies and TrustRoots, when they are written and converted'].flatMap((heading) =>
      rowsIn(afterHeading(project.text(DIFFERENCES), heading)).flatMap(([name = '']) => casesIn(name)),
    )
    const values = rowsIn(afterHeading(project.text(PAGE), 'From the Tanzu package')).filter((cells) => cells.length === VALUE)
    const translated = values.flatMap(([name = '']) => namesIn(name).map((text) => text.replace(/\[\].*$/, '')))
    const known = chartValues(project.text(VALUES)).map(({ path }) => path)
    const isKnown = (name: string): boolean =>
      known.some((path) => name === path || name.startsWith(`${path}.`) || path.startsWith(`${name}.`))
    return [
      ...OF_THE_PACKAGE.filter((name) => !translated.includes(name)).map(
        (name) => `${PAGE}: the value ${name} of the Tanzu package has no row`,
      ),
      ...values
        .flatMap(([, ours = '']) => namesIn(ours))
        .filter((name) => !isKnown(name))
        .map((name) => `${PAGE}: ${name} is no value of the chart`),
      ...wanted.filter((name) => quirks.filter((q) => q === name).length !== 1).map((name) => `${PAGE}: ${name} has no row, or several`),
      ...different.filter((name) => !recorded.includes(name)).map((name) => `${PAGE}: ${name} of ${DIFFERENCES} stands in no row`),
      ...recorded.filter((name) => !different.includes(name)).map((name) => `${PAGE}: ${name} is no difference by ${DIFFERENCES}`),
      ...rows
        .filter((cells) => cells.some((cell) => cell !== '') && !MARKS.includes(cells.at(-1) ?? ''))
        .map((cells) => `${PAGE}: the row «${cells[0]}» ends in none of ${MARKS.join(', ')}`),
    ]
  },
}

/** What stands below a heading, up to the next one of that kind. */
function afterHeading(text: string, heading: string): string {
  const [, after = ''] = text.split(`## ${heading}\n`)
  return after.split(/^## /m)[0] ?? ''
}

/** The cells of each row of every table, without heads and rules. */
function rowsIn(text: string): readonly (readonly string[])[] {
  const lines = text.split('\n').filter((line) => line.startsWith('| '))
  return lines
    .filter((_, i) => !isRule(lines[i]) && !isRule(lines[i + 1]))
    .map((line) =>
      line
        .slice(1, line.lastIndexOf('|'))
        .split(' |')
        .map((cell) => cell.trim()),
    )
}

function isRule(line: string | undefined): boolean {
  return line?.startsWith('| ---') === true
}

/** What stands in backquotes. */
function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
}

function casesIn(text: string): string[] {
  return [...text.matchAll(/`([a-z0-9-]+)`/g)].map((match) => match[1] ?? '')
}
