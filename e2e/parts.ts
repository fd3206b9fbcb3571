import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  constants,
  accessSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { must } from './processes.ts'

/**
 * The real parts that the session and the fixtures are made with. Each is taken from `KUBEBUILDER_ASSETS` where that has it, else from
 * the cache folder (`SEALGATE_PARTS`, by default `sealgate/parts` in the user's cache), else built from the Go module proxy into it.
 *
 *   node e2e/parts.ts         builds what is missing and prints where each part is
 *   node e2e/parts.ts --list  only says what is there
 */
export type Part =
  | 'kube-apiserver'
  | 'etcd'
  | 'kubectl'
  | 'registry'
  | 'cosign2'
  | 'cosign3'
  | 'helm'
  | 'policy-controller'
  | 'dockerfile-check'

/** The path of each part's program; unless they are named, of those that a session needs. */
export type Parts<P extends Part = Exclude<Part, 'policy-controller' | 'dockerfile-check'>> = Readonly<Record<P, string>>

/**
 * `module`: a folder beside this file whose go.sum pins everything; `tool`: the package of it that is built, where it is none of ours, and `manifests`:
 * where the manifests are that it is installed with, kept beside the program. `install`: a package that its own module pins.
 */
type Recipe = { readonly version: string; readonly program: string; readonly ldflags?: string } & (
  | { readonly module: string; readonly tool?: string; readonly manifests?: { readonly of: string; readonly folder: string } }
  | { readonly install: string }
)

const KUBERNETES = 'v1.34.2'
// A build outside of Kubernetes' own tree knows no version; kubectl and API server compare theirs.
const KUBERNETES_VERSION = ['component-base/version', 'client-go/pkg/version']
  .map((name) => `-X k8s.io/${name}.gitVersion=${KUBERNETES}`)
  .join(' ')

const HELM = 'v3.22.0'
// Without these, helm renders charts for Kubernetes 1.20.
const HELM_VERSION = [
  `-X helm.sh/helm/v3/internal/version.version=${HELM}`,
  ...KUBERNETES.slice(1)
    .split('.')
    .slice(0, 2)
    .flatMap((number, at) =>
      ['pkg/lint/rules', 'pkg/chartutil'].map((name) => `-X helm.sh/helm/v3/${name}.k8sVersion${['Major', 'Minor'][at]}=${number}`),
    ),
].join(' ')

const recipes: Readonly<Record<Part, Recipe>> = {
  'kube-apiserver': { version: KUBERNETES, program: 'kube-apiserver', module: 'kube-apiserver', ldflags: KUBERNETES_VERSION },
  'etcd': { version: 'v3.6.6', program: 'etcd', module: 'etcd' },
  'kubectl': { version: KUBERNETES, program: 'kubectl', module: 'kubectl', ldflags: KUBERNETES_VERSION },
  'registry': { version: 'v0.22.1', program: 'registry', module: 'registry' },
  'cosign2': { version: 'v2.6.5', program: 'cosign', install: 'github.com/sigstore/cosign/v2/cmd/cosign' },
  'cosign3': { version: 'v3.1.3', program: 'cosign', install: 'github.com/sigstore/cosign/v3/cmd/cosign' },
  'helm': { version: HELM, program: 'helm', install: 'helm.sh/helm/v3/cmd/helm', ldflags: HELM_VERSION },
  'dockerfile-check': { version: 'v0.34.2', program: 'dockerfile-check', module: 'dockerfile-check' },
  'policy-controller': {
    version: 'v0.15.1',
    program: 'policy-controller',
    module: 'policy-controller',
    tool: 'github.com/sigstore/policy-controller/cmd/webhook',
    manifests: { of: 'github.com/sigstore/policy-controller', folder: 'config' },
    ldflags: '-s -w', // a third less, and nobody looks into it
  },
}

export const PARTS = Object.keys(recipes) as Part[]

export const VERSIONS = Object.fromEntries(PARTS.map((part) => [part, recipes[part].version])) as Readonly<Record<Part, string>>

const BUILD_MINUTES = 30 // the longest, the API server on two busy cores, has taken 12
const TRIES = 2 // the module proxy may be out of reach for a moment

/** What is there already, without building anything. */
export function presentParts(): Partial<Parts<Part>> {
  return Object.fromEntries(PARTS.map((part) => [part, found(part)] as const).filter(([, path]) => path !== undefined))
}

/** All parts of `wanted`; undefined where one is missing. For tests, which say how to get it: `npm run e2e` builds what is missing. */
export function partsIfPresent<P extends Part>(wanted: readonly P[]): Readonly<Record<P, string>> | undefined {
  const present = presentParts()
  return wanted.every((part) => present[part] !== undefined) ? (present as Readonly<Record<P, string>>) : undefined
}

/** Why a test that needs `wanted` is left out, or false; the value of node:test's `skip`. */
export function leftOutWithout(wanted: readonly Part[]): string | false {
  const present = presentParts()
  const missing = wanted.filter((part) => present[part] === undefined)
  return missing.length > 0 && `without ${missing.join(', ')}: npm run e2e builds them`
}

/** Every part of `wanted`, built where it is missing: one after the other, since a Go build uses every core by itself. Says what it does on stderr. */
export async function parts(wanted: readonly Part[] = PARTS): Promise<Parts<Part>> {
  const missing = wanted.filter((part) => found(part) === undefined)
  if (missing.length > 0) {
    if (spawnSync('go', ['version']).status !== 0)
      throw new Error(
        `${missing.join(', ')}: not there, and no Go on the PATH to build them with; install Go, or set KUBEBUILDER_ASSETS and SEALGATE_PARTS to folders that hold them`,
      )
    process.stderr.write(
      `building ${missing.length} parts from the Go module proxy into ${cache()}; the first time takes up to 20 minutes\n`,
    )
    for (const part of missing) await build(part)
  }
  return presentParts() as Parts<Part>
}

/** The folder of the manifests that a part is installed with. */
export function manifestsOf(program: string): string {
  return join(dirname(program), 'manifests')
}

function found(part: Part): string | undefined {
  const assets = process.env['KUBEBUILDER_ASSETS']
  const places = [
    ...(assets !== undefined && assets !== '' ? assets.split(delimiter).map((folder) => join(folder, part)) : []),
    join(folderOf(part), recipes[part].program),
  ]
  return places.find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function cache(): string {
  const user = process.env['XDG_CACHE_HOME']
  return process.env['SEALGATE_PARTS'] ?? join(user !== undefined && user !== '' ? user : join(homedir(), '.cache'), 'sealgate', 'parts')
}

/** The folder's name is the part's stamp: its version and, for a module of ours, what its files hold. A change of either builds anew. */
function folderOf(part: Part): string {
  const recipe = recipes[part]
  const stamp = 'module' in recipe ? `-${hashOf(sourceOf(recipe.module))}` : ''
  return join(cache(), `${part}-${recipe.version}${stamp}`)
}

function sourceOf(module: string): string {
  return fileURLToPath(new URL(`./parts/${module}`, import.meta.url))
}

function hashOf(source: string): string {
  const hash = createHash('sha256')
  const files = ['go.mod', 'go.sum', 'main.go'].map((file) => join(source, file))
  for (const file of files.filter(existsSync)) hash.update(readFileSync(file))
  return hash.digest('hex').slice(0, 8)
}

async function build(part: Part): Promise<void> {
  const recipe = recipes[part]
  mkdirSync(cache(), { recursive: true })
  // Built aside and renamed, so that a broken or a concurrent build never leaves half a program.
  const aside = mkdtempSync(join(cache(), '.building-'))
  const begun = performance.now()
  const stopClock = showClock(`${part} ${recipe.version}`, begun)
  try {
    await go(recipe, aside)
    if (!existsSync(folderOf(part))) renameSync(aside, folderOf(part))
  } finally {
    stopClock()
    rmSync(aside, { recursive: true, force: true })
  }
  process.stderr.write(`${part} ${recipe.version}: built in ${Math.round((performance.now() - begun) / 1000)} s\n`)
}

async function go(recipe: Recipe, into: string): Promise<void> {
  const flags = recipe.ldflags === undefined ? [] : ['-ldflags', recipe.ldflags]
  const arguments_ =
    'module' in recipe
      ? ['build', '-C', sourceOf(recipe.module), ...flags, '-o', join(into, recipe.program), recipe.tool ?? '.']
      : ['install', ...flags, `${recipe.install}@${recipe.version}`]
  const env = { ...process.env, GOBIN: into, GOWORK: 'off', GOFLAGS: '-buildvcs=false' }
  for (let tried = 1; ; tried++) {
    const failure = await said('nice', ['go', ...arguments_], env)
    if (failure === undefined) break
    if (tried === TRIES) throw new Error(`go ${arguments_.join(' ')}\n${failure}`)
  }
  if (!('module' in recipe) || !recipe.manifests) return
  const { of, folder } = recipe.manifests
  const source = join((await must('go', ['list', '-C', sourceOf(recipe.module), '-m', '-f', '{{.Dir}}', of], { env })).trim(), folder)
  mkdirSync(manifestsOf(join(into, recipe.program)))
  for (const name of readdirSync(source).filter((file) => file.endsWith('.yaml')))
    writeFileSync(join(manifestsOf(join(into, recipe.program)), name), readFileSync(join(source, name)))
}

/** Undefined when it went well, else what was said. */
function said(program: string, arguments_: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, arguments_, { env, timeout: BUILD_MINUTES * 60_000, maxBuffer: 64 * 1024 * 1024 }, (error, _, stderr) => {
      resolve(
        error === null
          ? undefined
          : stderr
              .split('\n')
              .filter((line) => !line.startsWith('go: downloading'))
              .join('\n') || error.message,
      )
    })
  })
}

/** On a terminal, a line that counts the seconds; elsewhere nothing. */
function showClock(what: string, begun: number): () => void {
  if (!process.stderr.isTTY) return () => {}
  const show = (): boolean => process.stderr.write(`\r\x1b[K${what}: ${Math.round((performance.now() - begun) / 1000)} s …`)
  const clock = setInterval(show, 1000)
  return () => {
    clearInterval(clock)
    process.stderr.write('\r\x1b[K')
  }
}

if (import.meta.main) {
  const there = process.argv.includes('--list') ? presentParts() : await parts()
  for (const part of PARTS) console.log(`${part} ${recipes[part].version}: ${there[part] ?? 'missing'}`)
}
