import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** An instruction of deploy/Dockerfile: `RUN`, and what follows it with continued lines joined as Docker joins them. */
export type Instruction = { readonly name: string; readonly text: string }
/** A stage: what it is made from, on which platform if FROM says, what it is called, and its instructions without FROM. */
export type Stage = {
  readonly from: string
  readonly platform: string | undefined
  readonly name: string | undefined
  readonly instructions: readonly Instruction[]
}

export const dockerfile = readFileSync(fileURLToPath(new URL('../deploy/Dockerfile', import.meta.url)), 'utf8')

/** The stages of a Dockerfile in their order; ARG before the first FROM is left out. */
export function stagesOf(text: string): readonly Stage[] {
  const stages: (Omit<Stage, 'instructions'> & { instructions: Instruction[] })[] = []
  for (const { name, text: rest } of instructionsIn(text)) {
    const [, platform, from = '', as] = /^(?:--platform=(\S+)\s+)?(\S+)(?:\s+AS\s+(\S+))?$/.exec(rest) ?? []
    if (name === 'FROM') stages.push({ from, platform, name: as, instructions: [] })
    else stages.at(-1)?.instructions.push({ name, text: rest })
  }
  return stages
}

function instructionsIn(text: string): Instruction[] {
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line))
  const found: string[] = []
  let continued = false
  for (const line of lines) {
    const part = line.replace(/\\\s*$/, '')
    if (continued) found.push(`${found.pop() ?? ''}${part}`)
    else found.push(part)
    continued = part !== line
  }
  return found.map((line) => ({ name: line.split(/\s/, 1)[0] ?? '', text: line.replace(/^\S+\s+/, '').trim() }))
}

/** The texts of the instructions of one name. */
export function texts(stage: Stage | undefined, name: string): readonly string[] {
  return (stage?.instructions ?? []).filter((i) => i.name === name).map((i) => i.text)
}
