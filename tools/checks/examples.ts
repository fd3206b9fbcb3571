import { spawnSync } from 'node:child_process'
import { root, type Check } from '../project.ts'

const MAX_SECONDS = 20 // an example answers at once; one that serves belongs into a block that is not run

/** A command of a ```console run block: what follows `$ `, what it must print, and the exit status that a comment `# exit N` at its end names. */
export type Example = { readonly line: number; readonly command: string; readonly status: number; readonly prints: readonly string[] }

export const examples: Check = {
  claim: 'the examples in the documentation do what they show',
  violations: (project) =>
    project.files
      .filter((file) => file.endsWith('.md'))
      .flatMap((file) =>
        examplesIn(project.text(file)).flatMap((example) => whyWrong(example).map((why) => `${file}:${example.line}: ${why}`)),
      ),
}

/** The examples of a page. Blocks that are fenced by ```console run are meant; others are for reading only. */
export function examplesIn(markdown: string): Example[] {
  const found: Example[] = []
  let inside = false
  let current: { line: number; command: string; status: number; prints: string[] } | undefined
  const statusOf = (command: string): number => Number(/# exit (\d+)$/.exec(command)?.[1] ?? 0)
  for (const [at, line] of markdown.split('\n').entries()) {
    if (line.startsWith('```')) {
      inside = line === '```console run'
      current = undefined
    } else if (inside && line.startsWith('$ ')) {
      current = { line: at + 1, command: line.slice(2), status: statusOf(line), prints: [] }
      found.push(current)
    } else if (inside && current?.command.endsWith('\\') === true && current.prints.length === 0) {
      current.command += `\n${line}`
      current.status = statusOf(line)
    } else if (inside) current?.prints.push(line)
  }
  return found
}

/** Runs an example from the project's folder. Empty when it does what it shows. */
export function whyWrong(example: Example): string[] {
  const ran = spawnSync('sh', ['-c', `exec 2>&1\n${example.command}`], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: MAX_SECONDS * 1000,
  })
  const printed = ran.stdout.replace(/\n$/, '').split('\n')
  const wrong = ran.status === example.status ? [] : [`exit ${ran.status ?? ran.signal} instead of ${example.status}`]
  return agrees(example.prints, ran.stdout === '' ? [] : printed)
    ? wrong
    : [...wrong, `printed:\n${printed.map((line) => `        ${line}`).join('\n')}`]
}

/** Whether what was printed is what the page shows. A line `…` stands for any lines, `…` in a line for any text. */
export function agrees(shown: readonly string[], printed: readonly string[]): boolean {
  const [first, ...rest] = shown
  if (first === undefined) return printed.length === 0
  if (first === '…') return printed.some((_, at) => agrees(rest, printed.slice(at))) || agrees(rest, [])
  return printed[0] !== undefined && lineAgrees(first.split('…'), printed[0]) && agrees(rest, printed.slice(1))
}

function lineAgrees([start = '', ...more]: readonly string[], printed: string): boolean {
  if (!printed.startsWith(start)) return false
  let at = start.length
  for (const piece of more.slice(0, -1)) {
    const found = printed.indexOf(piece, at)
    if (found === -1) return false
    at = found + piece.length
  }
  const end = more.at(-1)
  return end === undefined ? printed === start : printed.length - end.length >= at && printed.endsWith(end)
}
