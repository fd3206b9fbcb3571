import type { Check } from '../project.ts'

const PAGE = 'docs/change-over.md'
const DIFFERENCES = 'cases/differences.md'
const MARKS = ['stricter', 'wider', 'fixed', 'same']
const LAST = 40 // the quirks of the sigstore policy controller are numbered Q1 to Q40
const RECORDED = 3 // cells of a row of recorded requests: what, which, and the mark

/** Who changes over finds everything that differs in one table: each quirk, and each recorded request that is answered with another verdict. */
export const changeOver: Check = {
  claim: `${PAGE} has a row for each quirk and each recorded request that is answered otherwise, and says of each what it means`,
  violations(project) {
    const rows = rowsIn(afterHeading(project.text(PAGE), 'What differs'))
    const quirks = rows.filter(([name = '']) => /^Q\d+$/.test(name)).map(([name]) => name ?? '')
    const wanted = Array.from({ length: LAST }, (_, i) => `Q${i + 1}`)
    const recorded = rows.filter((cells) => cells.length === RECORDED).flatMap(([, cases = '']) => casesIn(cases))
    const different = ['Another verdict', 'Policies and TrustRoots, when they are written and converted'].flatMap((heading) =>
      rowsIn(afterHeading(project.text(DIFFERENCES), heading)).flatMap(([name = '']) => casesIn(name)),
    )
    return [
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

function casesIn(text: string): string[] {
  return [...text.matchAll(/`([a-z0-9-]+)`/g)].map((match) => match[1] ?? '')
}
