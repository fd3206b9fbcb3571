import { helpOf, overview } from './help.ts'
import type { Command } from './options.ts'
import { commandOf, parse } from './parse.ts'

const MISUSED = 2 // exit status: it could not be done

/** The command line. Each command's module is imported only when it runs, so that none waits for what another needs. */
async function main(given: readonly string[]): Promise<number> {
  const [first, ...rest] = given
  if (first === undefined) return misused(overview())
  if (/^(-h|--?help)$/.test(first)) return say(overview())
  if (/^(-v|--?version)$/.test(first)) return run('version', [])
  const command = commandOf(first)
  return command.ok ? run(command.value, rest) : misused(`sealgate: ${command.text}\n`)
}

async function run(command: Command, given: readonly string[]): Promise<number> {
  if (command === 'help') return help(given)
  const parsed = parse(command, given, process.env)
  // A person who asks for help gets it, whatever else is wrong with the line.
  if (given.some((argument) => /^(-h|--?help)$/.test(argument))) return say(helpOf(command))
  if (!parsed.ok) return misused(`sealgate ${command}: ${parsed.text}\n`)
  switch (command) {
    case 'version':
      return say(`${(await import('./version.ts')).versionLine()}\n`)
    case 'serve':
      return (await import('../webhook/main.ts')).serve(parsed.settings, parsed.notes)
    case 'review':
      return (await import('./review.ts')).review(parsed.settings, parsed.files)
    case 'explain':
      return (await import('./explain.ts')).explain(parsed.settings, parsed.files)
    case 'verify-bundle':
      return (await import('./verify-bundle.ts')).verifyBundle(parsed.settings, parsed.files)
    case 'doctor':
      return (await import('./doctor.ts')).doctor(parsed.settings)
    case 'demo':
      return (await import('../demo/main.ts')).demo(parsed.settings)
  }
}

function help([first]: readonly string[]): number {
  if (first === undefined) return say(overview())
  const command = commandOf(first)
  return command.ok ? say(helpOf(command.value)) : misused(`sealgate: ${command.text}\n`)
}

function say(text: string): number {
  process.stdout.write(text)
  return 0
}

function misused(text: string): number {
  process.stderr.write(text)
  return MISUSED
}

const LINGER = 1_000 // ms for what is left when a command has answered: connections that are kept, work that nobody waits for

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`sealgate: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return MISUSED
})
setTimeout(() => process.exit(), LINGER).unref()
