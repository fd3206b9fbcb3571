import { cpus } from 'node:os'
import { parseArgs, styleText } from 'node:util'
import { Bench } from './processes.ts'
import type { Figure, Question } from './question.ts'
import { isReached } from './question.ts'
import { badSignatures } from './questions/bad-signatures.ts'
import { burst } from './questions/burst.ts'
import { cold } from './questions/cold.ts'
import { inCluster } from './questions/in-cluster.ts'
import { keyless } from './questions/keyless.ts'
import { largeAttestations } from './questions/large-attestations.ts'
import { manyPolicies } from './questions/many-policies.ts'
import { memory } from './questions/memory.ts'
import { oneSignature } from './questions/one-signature.ts'
import { pressure } from './questions/pressure.ts'
import { ready } from './questions/ready.ts'
import { tenContainers } from './questions/ten-containers.ts'
import { token } from './questions/token.ts'
import { warm } from './questions/warm.ts'

/**
 * `npm run bench [-- NAME…] [--full] [--json]`: asks every question, or those named. The registry, the webhook and the load are a process
 * each, all on this machine: what is measured includes making the load. A figure that is not reached is said, and no failure.
 */
const questions: readonly Question[] = [
  ready,
  warm,
  cold,
  token,
  tenContainers,
  burst,
  badSignatures,
  largeAttestations,
  pressure,
  manyPolicies,
  keyless,
  oneSignature,
  memory,
  inCluster,
]

const usage = `npm run bench [-- NAME…] [--full] [--json]

${questions.map(({ name, asks }) => `  ${name.padEnd(16)}${asks}`).join('\n')}

  --full          the long questions in full: a quarter of an hour instead of three minutes
  --json          figures as JSON, one line a question
`

const UNASKED = 2 // exit status
process.exitCode = await main()

async function main(): Promise<number> {
  let given
  try {
    given = parseArgs({
      options: { full: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    })
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return UNASKED
  }
  const { values, positionals } = given
  const unknown = positionals.filter((name) => !questions.some((question) => question.name === name))
  if (values.help || unknown.length > 0) {
    process.stderr.write(`${unknown.map((name) => `there is no question ${name}\n\n`).join('')}${usage}`)
    return unknown.length > 0 ? UNASKED : 0
  }
  const asked = questions.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`
  if (!values.json) console.log(`${machine}\n`)
  for (const question of asked) {
    const figures = await ask(question, values.full ?? false)
    if (values.json)
      console.log(JSON.stringify({ question: question.name, machine, figures: figures.map((f) => ({ ...f, reached: isReached(f) })) }))
    else console.log(table(question, figures))
  }
  return 0
}

async function ask(question: Question, full: boolean): Promise<readonly Figure[]> {
  const isWatched = process.stderr.isTTY
  const say = (what: string): void => {
    if (isWatched) process.stderr.write(`\r\u001b[K${question.name}: ${what}`)
  }
  const bench = new Bench(full, say)
  say('…')
  try {
    return await question.run(bench)
  } finally {
    await bench.end()
    if (isWatched) process.stderr.write('\r\u001b[K')
  }
}

function table({ name, asks }: Question, figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    `  ${figure.what}`,
    shown(figure.value, figure.unit),
    figure.goal ? goalText(figure.goal, figure.unit) : '',
    figure.goal ? (isReached(figure) ? 'reached' : styleText('red', 'not reached')) : '',
    figure.theirs === undefined ? '' : `in use: ${shown(figure.theirs, figure.unit)}`,
  ])
  const width = (column: number): number => Math.max(...rows.map((row) => (row[column] ?? '').length))
  const lines = rows.map(([what = '', value = '', goal = '', reached = '', theirs = '']) =>
    `${what.padEnd(width(0))}  ${value.padStart(width(1))}  ${goal.padEnd(width(2))}  ${reached.padEnd(width(3))}  ${theirs}`.trimEnd(),
  )
  return `${styleText('bold', name)}: ${asks}\n${lines.join('\n')}\n`
}

function goalText(goal: NonNullable<Figure['goal']>, unit: Figure['unit']): string {
  return 'atMost' in goal ? `≤ ${shown(goal.atMost, unit)}` : `≥ ${shown(goal.atLeast, unit)}`
}

function shown(value: number, unit: Figure['unit']): string {
  const digits = unit === '/s' || value >= 100 ? 0 : value >= 10 || Number.isInteger(value) ? (Number.isInteger(value) ? 0 : 1) : 2
  return `${value.toFixed(digits)}${unit === '' || unit === '/s' || unit === '×' ? unit : ` ${unit}`}`
}
