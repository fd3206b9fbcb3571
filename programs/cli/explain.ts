import type { Replacement } from '../../src/admission/patch.ts'
import type { Review } from '../../src/admission/review.ts'
import { readReview } from '../../src/admission/review.ts'
import { whySkipped } from '../../src/admission/skip.ts'
import { readWorkload } from '../../src/admission/workload.ts'
import type { Access, Admission, Surroundings } from '../../src/admit.ts'
import { mutate, validate } from '../../src/admit.ts'
import type { Json } from '../../src/image/json.ts'
import { isJsonObject } from '../../src/image/json.ts'
import type { Repository } from '../../src/image/reference.ts'
import { readReference } from '../../src/image/reference.ts'
import type { Snapshot } from '../../src/policy/compile.ts'
import type { Decision } from '../../src/verdict/decision.ts'
import { allOf } from '../../src/verdict/decision.ts'
import { errorText, warningLines } from '../../src/verdict/diagnostic.ts'
import { enforce } from '../../src/verdict/enforce.ts'
import { coloured, explain as explainTree, explained, plain, printable } from '../../src/verdict/explain.ts'
import { readDocuments } from '../../src/world/cluster/documents.ts'
import { readText } from '../../src/world/cluster/files.ts'
import { readManifests } from '../../src/world/cluster/manifests.ts'
import type { CredentialAttempt } from '../../src/world/registry/authentication.ts'
import { openLog } from '../webhook/log.ts'
import { offline, saySettingProblems } from './offline.ts'
import type { Settings } from './options.ts'

const BUDGET = 30_000 // ms; nobody waits behind an offline answer, and a slow registry should be heard out

const ADMITTED = 0
const REFUSED = 1
const NOT_ASKED = 2

/** `sealgate explain`: why an image is admitted or refused, as a tree; of a Pod made of it, or of the object given. */
export async function explain(settings: Settings, files: readonly string[]): Promise<number> {
  const [image, more] = files
  if (more !== undefined)
    return say(`explain takes one IMAGE, and ${more} is another argument; several paths are --manifests A --manifests B`)
  if (image === undefined && settings.object === undefined) return say('explain needs an IMAGE, or --object FILE')
  try {
    const log = openLog({ level: 'warn', format: settings.logFormat ?? 'text', to: 'stderr' })
    const cluster = await readManifests(settings.manifests, { systemNamespace: settings.systemNamespace, log })
    const tried = new Tried()
    const review = settings.object === undefined ? reviewOfImage(image ?? '', settings) : await reviewOfObject(settings.object, settings)
    const answered = await offline(
      settings,
      cluster,
      log,
      ({ snapshot, around }) => {
        saySettingProblems('explain', snapshot)
        return ask(review, image, snapshot, thorough(around))
      },
      { told: (place, attempts) => tried.add(place, attempts) },
    )
    return tell(answered, tried.places(), settings)
  } catch (error) {
    return say(error instanceof Error ? error.message : String(error))
  }
}

/** What the webhooks say. `resolved`: what the first of them made of tags. */
type Answered = {
  readonly admitted: boolean
  readonly text: string
  readonly warnings: readonly string[]
  readonly resolved: readonly { readonly written: string; readonly now: string }[]
  readonly decision: Decision | undefined
}

async function ask<A extends Access>(
  review: Review,
  image: string | undefined,
  snapshot: Snapshot,
  around: Surroundings<A>,
): Promise<Answered> {
  const deadline = { at: performance.now() + BUDGET }
  const { answer } = await mutate(review, snapshot, around, deadline)
  const operations = answer.response.patch === undefined ? [] : readPatch(answer.response.patch)
  const resolved = operations.map(({ path, value }) => ({ written: textAt(review.object, path), now: value }))
  const pinned = { ...review, object: operations.reduce(replaced, review.object) }
  const admission = await validate(pinned, snapshot, around, deadline)
  const wanted = image === undefined ? undefined : (resolved.find(({ written }) => isSame(written, image))?.now ?? image)
  return { ...ruling(admission, wanted, review, snapshot), resolved: unique(resolved) }
}

/** The verdict about the image that was asked about, or about the whole object. */
function ruling(admission: Admission, wanted: string | undefined, review: Review, snapshot: Snapshot): Omit<Answered, 'resolved'> {
  const { response } = admission.answer
  const { decision } = admission
  const read = readWorkload(review)
  if (!decision || !read.ok) {
    const text = response.allowed ? (whySkipped(review, snapshot.settings) ?? 'nothing is judged') : (response.status?.message ?? '')
    return { admitted: response.allowed, text, warnings: response.warnings ?? [], decision }
  }
  const parts =
    wanted === undefined ? decision.parts : decision.parts.filter((p) => p.question.about === 'image' && isSame(p.question.written, wanted))
  if (parts.length === 0 && wanted !== undefined) {
    const images = read.workload.images.map(({ written }) => written)
    throw new Error(`the object does not run ${wanted}; it runs ${images.length > 0 ? [...new Set(images)].join(', ') : 'no image'}`)
  }
  const shown = allOf({ about: 'request' }, parts, { code: 'nothing-to-check' })
  const { allowed, diagnostics } = enforce(shown, snapshot.settings.noMatchPolicy, read.workload.podSpecPath)
  return {
    admitted: allowed,
    text: allowed ? '' : `validation failed: ${errorText(diagnostics)}`,
    warnings: warningLines(diagnostics),
    decision: parts.length === 1 ? parts[0] : shown,
  }
}

function tell({ admitted, text, warnings, resolved, decision }: Answered, credentials: readonly TriedPlace[], settings: Settings): number {
  const status = admitted ? ADMITTED : REFUSED
  if (settings.json) {
    const tree = decision && explained(decision)
    const message = text === '' ? {} : { message: text }
    process.stdout.write(`${JSON.stringify({ admitted, ...message, warnings, resolved, credentials, decision: tree })}\n`)
    return status
  }
  const colours = process.stdout.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
  const palette = colours ? coloured : plain
  for (const { written, now } of resolved) process.stdout.write(`${written} is now ${now}\n`)
  if (decision) process.stdout.write(`${explainTree(decision, palette)}\n`)
  for (const { place, attempts } of credentials)
    process.stdout.write(`${printable(`credentials for ${place}: ${attempts.map(wordsOf).join('; ')}`)}\n`)
  for (const warning of warnings) process.stdout.write(`${palette.unknown('warning')}: ${printable(warning)}\n`)
  process.stdout.write(`${admitted ? palette.pass('admitted') : palette.fail('refused')}${text === '' ? '' : `: ${printable(text)}`}\n`)
  return status
}

type TriedPlace = { readonly place: string; readonly attempts: readonly CredentialAttempt[] }

/** Which credentials each repository was read with, and what became of those tried before: those that whoever runs the webhook may have to mend. */
class Tried {
  readonly #places = new Map<string, readonly CredentialAttempt[]>()

  /** The first question tells most: later ones begin with what worked. */
  add({ registry, repository }: Repository, attempts: readonly CredentialAttempt[]): void {
    const place = `${registry}/${repository}`
    const known = this.#places.get(place)
    if (!known || known.length < attempts.length) this.#places.set(place, attempts)
  }

  /** Without places that have no credentials but anonymous. */
  places(): readonly TriedPlace[] {
    return [...this.#places].flatMap(([place, attempts]) =>
      attempts.some(({ source }) => source !== 'anonymous') ? [{ place, attempts }] : [],
    )
  }
}

function wordsOf({ source, became, why }: CredentialAttempt): string {
  switch (became) {
    case 'taken':
      return `${source} was taken`
    case 'refused':
      return `${source} was refused`
    case 'withheld':
      return `${source} was passed over (${why ?? ''})`
    case 'unanswered':
      return `${source} had no answer`
  }
}

/** Surroundings in which nothing is taken from memory, and all evidence is waited for: the webhook stops at the first proof, an explanation goes on. */
function thorough<A extends Access>(around: Surroundings<A>): Surroundings<A> {
  return {
    access: (workload, credentials) => around.access(workload, credentials),
    gather: (ask, access) => around.gather(ask, access),
    search: (query) => around.search(query),
    platforms: (image, access) => around.platforms(image, access),
    resolve: (reference, access, budget) => around.resolve(reference, access, budget),
    once: async (_key, _ttl, work) => (await work()).decision,
    within: (work, deadline) => around.within(work, deadline),
    remaining: (deadline) => around.remaining(deadline),
    now: () => around.now(),
    turn: (taken) => around.turn(taken),
    isThorough: true,
  }
}

function reviewOfImage(image: string, { namespace, serviceAccount }: Settings): Review {
  const spec = { containers: [{ name: 'image', image }], ...(serviceAccount === undefined ? {} : { serviceAccountName: serviceAccount }) }
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: namespace ?? 'default' }, spec }
  return reviewOf(object, 'v1', 'Pod', namespace)
}

/** Of a file with one object, or with an AdmissionReview of one. */
async function reviewOfObject(file: string, { namespace }: Settings): Promise<Review> {
  const read = await readText(file)
  if (read.state !== 'found') throw new Error(`${file}: ${read.state === 'absent' ? 'no such file' : read.problem}`)
  const parsed = await readDocuments(read.text)
  if (!parsed.ok) throw new Error(`${file}: ${parsed.problem}`)
  const [document, another] = parsed.documents
  const object = document?.value as Json | undefined
  if (!isJsonObject(object) || another) throw new Error(`${file}: --object is a file with one object`)
  const { apiVersion, kind } = object
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') throw new Error(`${file}: the object has no apiVersion and kind`)
  if (kind === 'AdmissionReview') {
    const review = readReview(Buffer.from(JSON.stringify(object)))
    if (!review.ok) throw new Error(`${file}: ${review.text}`)
    return review.review
  }
  const own = at(object, '/metadata/namespace')
  if (namespace !== undefined && typeof own === 'string' && own !== namespace)
    throw new Error(`${file}: the object is of the namespace ${own}, not of --namespace ${namespace}`)
  return reviewOf(object, apiVersion, kind, namespace)
}

function reviewOf(object: Json, apiVersion: string, kind: string, namespace = 'default'): Review {
  const [version = '', group = ''] = apiVersion.split('/').toReversed()
  const asked = { uid: 'explain', operation: 'CREATE', subResource: '', name: '', user: '' }
  return { ...asked, kind: { group, version, kind }, namespace, object, oldObject: null }
}

function readPatch(base64: string): readonly Replacement[] {
  return JSON.parse(Buffer.from(base64, 'base64').toString()) as Replacement[]
}

/** What a pointer (RFC 6901) of our own patch leads to; none of its names needs escaping. */
function at(value: Json, pointer: string): Json | undefined {
  return pointer
    .split('/')
    .slice(1)
    .reduce<Json | undefined>(
      (inner, name) => (isJsonObject(inner) || Array.isArray(inner) ? (inner as Record<string, Json>)[name] : undefined),
      value,
    )
}

function textAt(value: Json, pointer: string): string {
  const found = at(value, pointer)
  return typeof found === 'string' ? found : ''
}

function replaced(object: Json, { path, value }: Replacement): Json {
  const copy = structuredClone(object) as Json
  const slash = path.lastIndexOf('/')
  const holder = at(copy, path.slice(0, slash)) as Record<string, Json>
  holder[path.slice(slash + 1)] = value
  return copy
}

function isSame(written: string, other: string): boolean {
  const name = readReference(written)?.name
  return written === other || (name !== undefined && name === readReference(other)?.name)
}

function unique<T extends { readonly written: string }>(items: readonly T[]): readonly T[] {
  return items.filter((item, i) => items.findIndex((other) => other.written === item.written) === i)
}

function say(text: string): number {
  process.stderr.write(`sealgate explain: ${text}\n`)
  return NOT_ASKED
}
