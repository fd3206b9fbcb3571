import { nearest } from './nearest.ts'
import type { Command, Name, Option, Settings } from './options.ts'
import { commands, flagOf, options, optionsOf } from './options.ts'
import { notedEnvironment, notedFlags } from './upstream.ts'
import type { Taken, Value } from './values.ts'

/** A setting that was given and does nothing here. */
export type Note = { readonly setting: string; readonly why: string }

export type Parsed =
  | { readonly ok: true; readonly settings: Settings; readonly files: readonly string[]; readonly notes: readonly Note[] }
  | { readonly ok: false; readonly text: string }

/**
 * Reads the arguments after the command, and the environment for what they leave out. As Go's flags: one dash or two, `=value` or the
 * next argument, switches without a value; options and files may stand in any order, `--` ends the options, `-` is a file.
 * Answers one line about the first thing that is wrong.
 */
export function parse(command: Command, given: readonly string[], environment: Readonly<Record<string, string | undefined>>): Parsed {
  const known = new Map(
    optionsOf(command).flatMap(([name, o]) => [flagOf(name), ...(o.alias ?? [])].map((flag) => [flag, { name, option: o }] as const)),
  )
  const values = new Map<Name, unknown[]>()
  const files: string[] = []
  const notes: Note[] = []
  let follows: Name | undefined // the option that a bare argument belongs to, as in `--manifests a.yaml b.yaml`

  const rest = [...given]
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === '--') {
      files.push(...rest.splice(0))
      break
    }
    if (argument === '-' || !argument.startsWith('-')) {
      if (follows === undefined) files.push(argument)
      else values.get(follows)?.push(argument)
      continue
    }
    const [, dashes = '', flag = '', , inline] = /^(--?)([^=]*)(=([\s\S]*))?$/.exec(argument) ?? []
    const found = known.get(flag)
    const note = isOffline(command) ? undefined : notedFlags[flag]
    if (!found && !note) return { ok: false, text: unknown(command, dashes, flag, [...known.keys()]) }
    const value: Value<unknown> = (found?.option ?? (note as { value: Value<unknown> })).value
    const shown = `${dashes}${flag}`
    const written = inline ?? (value.shown === undefined ? 'true' : rest.shift())
    if (written === undefined) return { ok: false, text: `${shown} needs a value: ${shown} ${value.shown}` }
    const taken: Taken<unknown> = value.read(written)
    if (!taken.ok) return { ok: false, text: `${shown}: ${taken.text}` }
    if (!found) {
      notes.push({ setting: shown, why: note?.why ?? '' })
      continue
    }
    const before = values.get(found.name)
    if (found.option.repeatable && before) before.push(taken.value)
    else values.set(found.name, [taken.value])
    follows = found.name === 'manifests' && !takesFiles(command) ? found.name : undefined
  }

  if (files.length > 0 && !takesFiles(command))
    return { ok: false, text: `unexpected argument ${files[0]}: sealgate ${command} takes options only` }
  for (const [name, o] of optionsOf(command)) {
    const text = o.env === undefined ? undefined : environment[o.env]
    if (values.has(name) || text === undefined || text === '') continue
    const taken: Taken<unknown> = o.value.read(text)
    if (!taken.ok) return { ok: false, text: `the environment variable ${o.env}: ${taken.text}` }
    values.set(name, [taken.value])
  }
  if (command === 'serve') {
    for (const [variable, why] of Object.entries(notedEnvironment)) if (environment[variable]) notes.push({ setting: variable, why })
  }
  const settings = Object.fromEntries(
    (Object.entries(options) as [Name, Option][]).map(([name, o]) => {
      const taken = values.get(name)
      return [name, taken === undefined ? (o.unsetFor?.[command] ?? o.unset) : o.repeatable ? taken : taken.at(-1)]
    }),
  ) as Settings
  const conflict = conflictOf(settings)
  return conflict === undefined ? { ok: true, settings, files, notes } : { ok: false, text: conflict }
}

/** The command that `given` names, or the line that says why there is none. */
export function commandOf(given: string): Taken<Command> {
  const command = commands.find((c) => c === given)
  if (command) return { ok: true, value: command }
  if (given.startsWith('-'))
    return { ok: false, text: `${given.split('=')[0]} stands before the command: sealgate COMMAND ${given.split('=')[0]}` }
  const near = nearest(given, commands)
  return { ok: false, text: near ? `unknown command ${given}: did you mean ${near}?` : `unknown command ${given}: see sealgate --help` }
}

function takesFiles(command: Command): boolean {
  return isOffline(command)
}

/** Commands that end with their answer to what is named on the command line. */
function isOffline(command: Command): boolean {
  return command === 'review' || command === 'explain' || command === 'verify-bundle'
}

function unknown(command: Command, dashes: string, flag: string, known: readonly string[]): string {
  const others = (Object.entries(options) as [Name, Option][]).find(([name]) => flagOf(name) === flag)
  if (others) return `unknown option ${dashes}${flag}: it belongs to sealgate ${others[1].commands.join(', ')}`
  const near = nearest(flag, isOffline(command) ? known : [...known, ...Object.keys(notedFlags)])
  return `unknown option ${dashes}${flag}: ${near ? `did you mean --${near}?` : `see sealgate ${command} --help`}`
}

function conflictOf(settings: Settings): string | undefined {
  if (settings.tlsCert !== undefined && settings.tlsKey === undefined) return '--tls-cert needs --tls-key'
  if (settings.tlsKey !== undefined && settings.tlsCert === undefined) return '--tls-key needs --tls-cert'
  const reached = (['kubeconfig', 'cluster', 'server'] as const).find((name) => settings[name] !== undefined)
  if (settings.object !== undefined && settings.serviceAccount !== undefined)
    return '--object and --service-account exclude each other: the object names its ServiceAccount'
  if (settings.manifests.length > 0 && reached) return `--manifests and --${reached} exclude each other`
  return undefined
}
