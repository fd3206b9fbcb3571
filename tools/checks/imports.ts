import { posix } from 'node:path'
import { codeLines, type Check, type Project } from '../project.ts'

/** From the bottom up. A file imports from its own layer and from those below, never from above. */
const LAYERS = [
  ['src/image/'],
  ['src/verdict/'],
  ['src/trust/'],
  ['src/sigstore/'],
  ['src/policy/'],
  ['src/admission/'],
  ['src/admit.ts', 'src/configure.ts'],
  ['src/world/'],
  ['fakes/', 'programs/'],
]

/** Packages that talk to something or keep something: for the world and the programs only. */
const WORLDLY_PACKAGES = ['@kubernetes/client-node', '@peculiar/x509', 'fastify', 'lru-cache', 'pino', 'prom-client', 'undici']

/** What makes an answer depend on more than its arguments. */
const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|\bprocess\.hrtime\b|\bTemporal\.Now\b/, 'reads the clock'],
  [/\bprocess\.(env|argv|cwd|exit|stdout|stderr|on)\b/, 'reads or changes the process'],
  [/\bMath\.random\(|\brandom(Bytes|UUID|Int|FillSync)\b|\bgetRandomValues\b/, 'is random'],
  [/\bfetch\(/, 'talks to the network'],
  [/\bconsole\./, 'prints'],
]

/** Architecture, rule 1. */
export const imports: Check = {
  claim: 'imports go down the layers only, and only the world and the programs do I/O',
  violations: (project) => project.files.filter((file) => layerOf(file) !== undefined).flatMap((file) => violationsIn(project, file)),
}

function violationsIn(project: Project, file: string): string[] {
  const found: string[] = []
  const layer = layerOf(file) ?? 0
  const pure = file.startsWith('src/') && !file.startsWith('src/world/')
  for (const { line, code } of codeLines(project.text(file))) {
    const say = (what: string): unknown => found.push(`${file}:${line}: ${what}`)
    for (const imported of importsOf(code)) {
      if (!imported.startsWith('.')) {
        if (pure && imported.startsWith('node:') && imported !== 'node:crypto') say(`imports ${imported}; only node:crypto is allowed here`)
        if (pure && WORLDLY_PACKAGES.some((name) => imported === name || imported.startsWith(`${name}/`)))
          say(`imports ${imported}, which is for src/world/ and programs/`)
        continue
      }
      const target = posix.join(posix.dirname(file), imported)
      if (!/\.m?[jt]s$/.test(target)) continue // data, read by its own bounds
      const below = layerOf(target)
      if (below === undefined) say(`imports ${target}, which is no part of the product`)
      else if (below > layer) say(`imports ${target}, which is a layer above`)
      else if (target.startsWith('fakes/') && !file.startsWith('fakes/') && !file.startsWith('programs/demo/'))
        say(`imports ${target}; of the programs only the demo uses fakes`)
      else if (target.startsWith('programs/') && file.startsWith('fakes/')) say(`imports ${target}; fakes know no program`)
    }
    if (pure) for (const [pattern, what] of IMPURE) if (pattern.test(code)) say(`${what}: it must come in as a value`)
  }
  return found
}

function layerOf(file: string): number | undefined {
  if (!file.endsWith('.ts')) return undefined
  const at = LAYERS.findIndex((layer) => layer.some((start) => file.startsWith(start)))
  return at === -1 ? undefined : at
}

function importsOf(code: string): string[] {
  return [...code.matchAll(/(?:\bfrom|^\s*import|\bimport\(|\bnew URL\()\s*'([^']+)'/g)]
    .map((match) => match[1] ?? '')
    .filter((name) => name !== '')
}
