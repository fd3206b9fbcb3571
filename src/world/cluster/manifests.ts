import type { ClusterObjects } from '../../policy/objects.ts'
import type { Log } from '../log.ts'
import type { Cluster, Got, PullSecret } from './cluster.ts'
import { readDocuments } from './documents.ts'
import { isSame, type Look, look, readText } from './files.ts'
import { follow } from './follow.ts'
import { type FileObject, pullSecretNames, readObjects } from './objects.ts'
import { pullSecretOf } from './pull-secrets.ts'

const SETTLE = 50 // ms without a further change before files are read: editors and tools write in several steps
const MAX_SETTLE = 2_000 // ms after which changing files are read all the same
const REMOVAL = 2_000 // ms that a file has to be gone or empty before its objects are: rewriting tools leave such gaps
const POLL = 5_000 // ms between looks at the files when nobody told of a change
const MAX_PROBLEMS_SHOWN = 3 // in `policiesIncomplete`; the log has all

export type ManifestOptions = {
  /** The controller's namespace: its Secrets and ConfigMaps are those of `objects()`. */
  readonly systemNamespace: string
  readonly log: Log
  /** Other times than the usual ones, in ms. */
  readonly times?: { readonly settle?: number; readonly removal?: number; readonly poll?: number }
}

/** Files that could not be read at the start. `message` has a line for each problem: file, document, line, what is wrong. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError'
}

/**
 * A cluster's objects from files and folders, and from then on their changes. Rejects with a `ManifestError` when anything is wrong at
 * the start. Later, a file that is wrong is reported, what was in force from it stays in force, and `policiesIncomplete` says so.
 */
export async function openManifests(paths: readonly string[], options: ManifestOptions): Promise<Cluster> {
  const manifests = new Manifests(paths, options)
  await manifests.start()
  manifests.follow()
  return manifests
}

/** The same as they are now, for commands that end with their answer. */
export async function readManifests(paths: readonly string[], options: ManifestOptions): Promise<Cluster> {
  const manifests = new Manifests(paths, options)
  await manifests.start()
  return manifests
}

/** What is known of a file. */
type File = {
  /** Its mark in the look that it was read after. */
  mark: string | undefined
  text: string | undefined
  /** What it says now; undefined when that cannot be read. */
  says: readonly FileObject[] | undefined
  /** What of it counts: usually what it says, else what it said last without a problem. */
  inForce: readonly FileObject[]
  problem: string | undefined
  /** When it was first seen gone or empty. */
  goneAt: number | undefined
}

class Manifests implements Cluster {
  readonly #paths: readonly string[]
  readonly #options: ManifestOptions
  readonly #files = new Map<string, File>()
  readonly #listeners: (() => void)[] = []
  readonly #noted = new Set<string>()
  readonly #reported = new Map<string, string>()
  #look: Look = { files: new Map(), problems: new Map(), folders: [], inner: [] }
  #inForce: ReadonlyMap<string, FileObject> = new Map()
  #objects: ClusterObjects = {
    policies: new Map(),
    policiesIncomplete: 'the files are not read yet',
    secrets: new Map(),
    configMaps: new Map(),
    trustRoots: new Map(),
  }
  #following: { close(): void } | undefined
  #updating: Promise<void> | undefined
  #updateAgain = false
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(paths: readonly string[], options: ManifestOptions) {
    this.#paths = paths
    this.#options = options
  }

  objects(): ClusterObjects {
    return this.#objects
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  waitingFor(): readonly string[] {
    return []
  }

  pullSecretsOf(namespace: string, serviceAccount: string): Got<readonly string[]> {
    const found = this.#inForce.get(keyOf({ kind: 'ServiceAccount', namespace, name: serviceAccount }))
    return found ? { state: 'found', value: pullSecretNames(found.object) } : { state: 'absent' }
  }

  async pullSecret(namespace: string, name: string, _fresh: boolean): Promise<Got<PullSecret>> {
    const found = this.#inForce.get(keyOf({ kind: 'Secret', namespace, name }))
    return found ? { state: 'found', value: pullSecretOf(namespace, name, found.object) } : { state: 'absent' }
  }

  lastContactAge(): number {
    return 0
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#following?.close()
    clearTimeout(this.#timer)
    await this.#updating
  }

  async start(): Promise<void> {
    const seen = await look(this.#paths)
    await this.#read(seen)
    this.#apply(seen)
    const problems = this.#problems()
    if (problems.length > 0) throw new ManifestError(problems.join('\n'))
  }

  follow(): void {
    const { times, log } = this.#options
    const changed = () => void this.#update()
    this.#following = follow(() => this.#look.folders, changed, times?.poll ?? POLL, log)
  }

  /** One update at a time; what changes meanwhile leads to another. */
  #update(): Promise<void> {
    this.#updateAgain = true
    this.#updating ??= this.#updateWhileNeeded().finally(() => (this.#updating = undefined))
    return this.#updating
  }

  async #updateWhileNeeded(): Promise<void> {
    try {
      while (this.#updateAgain && !this.#closed) {
        this.#updateAgain = false
        await this.#updateOnce()
      }
    } catch (error) {
      this.#options.log.error('files could not be followed', { error })
    }
  }

  async #updateOnce(): Promise<void> {
    let seen = await look(this.#paths)
    if (isSame(seen, this.#look) && !this.#isRemovalDue()) return
    const until = performance.now() + MAX_SETTLE
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, this.#options.times?.settle ?? SETTLE))
      await this.#read(seen)
      const after = await look(this.#paths)
      // Files that changed while they were read make a picture that never was.
      if (isSame(seen, after) || performance.now() > until) return this.#apply(seen)
      seen = after
    }
  }

  /** Reads what changed. Nothing of it is in force before `#apply`. */
  async #read(seen: Look): Promise<void> {
    for (const [path, mark] of seen.files) {
      const file = this.#files.get(path) ?? {
        mark: undefined,
        text: undefined,
        says: undefined,
        inForce: [],
        problem: undefined,
        goneAt: undefined,
      }
      this.#files.set(path, file)
      if (file.mark === mark) continue
      const read = await readText(path)
      file.mark = mark
      const isGone = read.state === 'absent' || (read.state === 'found' && read.text.trim() === '')
      file.goneAt = isGone ? (file.goneAt ?? performance.now()) : undefined
      if (read.state === 'failed') this.#broken(file, read.problem)
      else if (isGone) file.text = undefined
      else if (read.state === 'found' && read.text !== file.text) await this.#understand(path, file, read.text)
    }
    for (const [path, file] of this.#files) {
      // A folder that cannot be looked into is no removal of what it holds.
      const hidden = [...seen.problems].some(([at, why]) => (path === at || path.startsWith(`${at}/`)) && why !== 'no such file or folder')
      if (seen.files.has(path) || hidden) continue
      file.mark = undefined
      file.text = undefined
      file.goneAt ??= performance.now()
    }
  }

  async #understand(path: string, file: File, text: string): Promise<void> {
    file.text = text
    const documents = await readDocuments(text)
    if (!documents.ok) return this.#broken(file, documents.problem)
    const read = readObjects(documents.documents)
    if (!read.ok) return this.#broken(file, read.problem)
    const known = new Map<string, FileObject>()
    for (const object of read.objects) {
      const first = known.get(keyOf(object))
      if (first) return this.#broken(file, `${object.at}: ${titleOf(object)} is in the same file at ${first.at}`)
      known.set(keyOf(object), object)
    }
    file.says = read.objects
    file.problem = undefined
    for (const kind of read.ignored) this.#note('objects of this kind are ignored', { kind, file: path })
  }

  #broken(file: File, problem: string): void {
    file.says = undefined
    file.problem = problem
    // The same text, written again, is read again: it may be the neighbour that was wrong.
    file.text = undefined
  }

  #isRemovalDue(): boolean {
    return [...this.#files.values()].some((f) => f.goneAt !== undefined && this.#remaining(f.goneAt) <= 0)
  }

  #remaining(goneAt: number): number {
    return goneAt + (this.#options.times?.removal ?? REMOVAL) - performance.now()
  }

  /** Puts in force what was read, all at once. */
  #apply(seen: Look): void {
    this.#look = seen
    for (const [path, file] of this.#files) {
      // At the start an empty file is no removal: it holds nothing, and says so.
      if (file.goneAt !== undefined && (this.#remaining(file.goneAt) <= 0 || file.inForce.length === 0)) this.#files.delete(path)
    }
    this.#settleDuplicates()
    const inForce = new Map<string, FileObject>()
    for (const file of this.#files.values()) if (isSettled(file)) for (const object of file.inForce) inForce.set(keyOf(object), object)
    // What stays in force from a file that is gone for now or broken gives way to the same object elsewhere: it has moved.
    for (const file of this.#files.values()) {
      if (isSettled(file)) continue
      for (const object of file.inForce) if (!inForce.has(keyOf(object))) inForce.set(keyOf(object), object)
    }
    this.#publish(inForce)
    this.#report()
    this.#awaitRemovals()
  }

  /** The same object in two files: what is in force stays, and the file that brought the second one is wrong; both if both are new. */
  #settleDuplicates(): void {
    const claims = new Map<string, { path: string; object: FileObject; isNew: boolean }[]>()
    for (const [path, file] of this.#files) {
      if (file.says === undefined || file.goneAt !== undefined) continue
      for (const object of file.says) {
        const claim = { path, object, isNew: file.says !== file.inForce }
        claims.set(keyOf(object), [...(claims.get(keyOf(object)) ?? []), claim])
      }
    }
    const wrong = new Map<string, string>()
    for (const [first, ...others] of claims.values()) {
      if (!first || others.length === 0) continue
      const where = [first, ...others].map((c) => `${c.path} (${c.object.at})`).join(' and ')
      for (const claim of [first, ...others]) if (claim.isNew) wrong.set(claim.path, `${titleOf(claim.object)} is in ${where}`)
    }
    for (const [path, file] of this.#files) {
      if (file.says === undefined) continue
      file.problem = wrong.get(path)
      if (file.problem === undefined && file.goneAt === undefined) file.inForce = file.says
    }
  }

  #publish(inForce: ReadonlyMap<string, FileObject>): void {
    const problems = this.#problems()
    const more = problems.length > MAX_PROBLEMS_SHOWN ? `; and ${problems.length - MAX_PROBLEMS_SHOWN} more` : ''
    const policiesIncomplete = problems.length === 0 ? undefined : problems.slice(0, MAX_PROBLEMS_SHOWN).join('; ') + more
    const before = this.#inForce
    const isUnchanged = inForce.size === before.size && [...inForce].every(([key, object]) => before.get(key) === object)
    if (isUnchanged && this.#objects.policiesIncomplete === policiesIncomplete) return
    this.#inForce = inForce
    this.#objects = { ...sorted(inForce, this.#options.systemNamespace), policiesIncomplete }
    this.#noteMisplaced(inForce)
    for (const listener of this.#listeners) listener()
  }

  #problems(): string[] {
    const files = [...this.#files].flatMap(([path, file]) => (file.problem === undefined ? [] : [`${path}: ${file.problem}`]))
    return [...[...this.#look.problems].map(([path, problem]) => `${path}: ${problem}`), ...files]
  }

  #report(): void {
    const now = new Map<string, string>(this.#look.problems)
    for (const [path, file] of this.#files) if (file.problem !== undefined) now.set(path, file.problem)
    if (this.#following) {
      for (const [file, problem] of now) {
        if (this.#reported.get(file) !== problem)
          this.#options.log.error('file is wrong; what was in force from it stays in force', { file, problem })
      }
      for (const file of this.#reported.keys()) if (!now.has(file)) this.#options.log.info('file is right again', { file })
    }
    this.#reported.clear()
    for (const [file, problem] of now) this.#reported.set(file, problem)
    for (const folder of this.#look.inner) this.#note('folders inside a folder are not read', { folder })
  }

  #awaitRemovals(): void {
    clearTimeout(this.#timer)
    if (!this.#following) return
    const waits = [...this.#files.values()].flatMap((f) => (f.goneAt === undefined ? [] : [this.#remaining(f.goneAt)]))
    if (waits.length > 0) this.#timer = setTimeout(() => void this.#update(), Math.max(1, Math.min(...waits) + 1))
  }

  /** Objects that look meant for the controller, but lie in a namespace that it does not read: as in a cluster, they do nothing. */
  #noteMisplaced(inForce: ReadonlyMap<string, FileObject>): void {
    const { systemNamespace } = this.#options
    for (const object of inForce.values()) {
      const isMeant = object.kind === 'ConfigMap' && object.name === 'config-policy-controller'
      if (isMeant && object.namespace !== systemNamespace)
        this.#note('settings are read from another namespace', { ...placeOf(object), wanted: systemNamespace })
    }
  }

  #note(message: string, values: Readonly<Record<string, unknown>>): void {
    const note = `${message} ${JSON.stringify(values['kind'] ?? values)}`
    if (!this.#noted.has(note)) this.#options.log.warn(message, values)
    this.#noted.add(note)
  }
}

function isSettled(file: File): boolean {
  return file.goneAt === undefined && file.problem === undefined
}

function sorted(inForce: ReadonlyMap<string, FileObject>, systemNamespace: string): Omit<ClusterObjects, 'policiesIncomplete'> {
  const of = (kind: FileObject['kind'], namespace: string) =>
    new Map([...inForce.values()].filter((o) => o.kind === kind && o.namespace === namespace).map((o) => [o.name, o.object]))
  return {
    policies: of('ClusterImagePolicy', ''),
    secrets: of('Secret', systemNamespace),
    configMaps: of('ConfigMap', systemNamespace),
    trustRoots: of('TrustRoot', ''),
  }
}

function keyOf(object: Pick<FileObject, 'kind' | 'namespace' | 'name'>): string {
  return `${object.kind}/${object.namespace}/${object.name}`
}

function placeOf(object: FileObject): Readonly<Record<string, unknown>> {
  return { object: titleOf(object), namespace: object.namespace }
}

function titleOf(object: FileObject): string {
  return `${object.kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name}`
}
