import { patchOf } from './admission/patch.ts'
import type { AdmissionAnswer } from './admission/response.ts'
import { allowed, denied, patched } from './admission/response.ts'
import type { Review } from './admission/review.ts'
import { whySkipped } from './admission/skip.ts'
import type { Workload } from './admission/workload.ts'
import { readWorkload } from './admission/workload.ts'
import type { Digest } from './image/digest.ts'
import type { Reference } from './image/reference.ts'
import { readReference, withDigest } from './image/reference.ts'
import type { Ask, Credentials, ImageAtDigest } from './policy/ask.ts'
import { ask, keyOf } from './policy/ask.ts'
import type { Snapshot } from './policy/compile.ts'
import type { LogQuery } from './policy/decide.ts'
import { decide, judgementOf, questionOfPolicy, refusedAll } from './policy/decide.ts'
import { matching } from './policy/matching.ts'
import type { Policy } from './policy/policy.ts'
import type { Subject } from './policy/subject.ts'
import type { Found } from './sigstore/evidence.ts'
import type { LogEntry } from './sigstore/log-entry.ts'
import type { Decision, Question } from './verdict/decision.ts'
import { allOf, because } from './verdict/decision.ts'
import { errorText, warningLines } from './verdict/diagnostic.ts'
import { enforce } from './verdict/enforce.ts'
import { signerOf } from './verdict/message.ts'
import type { Read } from './verdict/read.ts'
import type { Code, Reason } from './verdict/reason.ts'
import { sentenceOf } from './verdict/reason.ts'

/** When the answer must have left, on the clock of `Surroundings`. */
export type Deadline = { readonly at: number }

const ALL_OF_IT: Read<readonly Digest[]> = { ok: true, value: [] }

/** Milliseconds that a mutation, or a validation that only wants to know why, spends on resolving a tag. */
export const RESOLVE_BUDGET = 2000

const AT_ONCE = 16 // images, policies about them, or tags of one request that the world is asked about at the same time: as many as there are connections to one registry
const LATE = 20_000 // ms that judging may go on after its request had to be answered; whoever signs chooses how many signatures there are

/** A place's credentials, ready to be used. `scope` is what is remembered under; it never says what the credentials are. */
export interface Access {
  scope(registry: string, repository: string): string
}

/** A decision, and for how many ms at most it holds; undefined when nothing that it rests on ends. `note`: by whom, for later answers that remember it. */
export type Judged = { readonly decision: Decision; readonly goodFor: number | undefined; readonly note: string }

/** The digest that a tag means now; or why that could not be learnt, and the names of the credentials that were tried, in order. */
export type Resolved =
  | { readonly ok: true; readonly value: Digest }
  | { readonly ok: false; readonly reason: Reason; readonly tried: readonly string[] }

/** What searching a log gave, or why that could not be learnt. */
export type LogSearched = readonly LogEntry[] | Reason

/** What a request needs of the world, and all that it can reach of it. */
export interface Surroundings<A extends Access = Access> {
  /** The workload's credentials, or those of `signaturePullSecrets`. */
  access(workload: Workload, credentials: Credentials): Promise<Read<A>>
  /** Never rejects; ends within its own bound. */
  gather(ask: Ask, access: A): Promise<Found>
  /** Searches a transparency log. Never rejects; ends within its own bound. */
  search(query: LogQuery): Promise<LogSearched>
  /** The manifests of each platform of a multi-arch image; none when it is for one platform only. Never rejects; ends within its own bound. */
  platforms(image: ImageAtDigest, access: A): Promise<Read<readonly Digest[]>>
  /** The digest that a tag means now, or why that could not be learnt within `budget` ms. Never rejects. */
  resolve(image: Reference, access: A, budget: number): Promise<Resolved>
  /** One run at a time for equal keys; a pass is remembered for `ttl` ms, and nothing else is. */
  once(key: string, ttl: number, work: () => Promise<Judged>): Promise<Decision | { readonly remembered: string }>
  /** The work's result, or `late`; late work goes on to its own bound. */
  within<T>(work: Promise<T>, deadline: Deadline): Promise<T | 'late'>
  /** Milliseconds until the deadline, never negative. */
  remaining(deadline: Deadline): number
  /** The clock that signatures are checked by, in ms since 1970. */
  now(): number
  /** Lets others have their turn: who had fewer goes first. `taken` is how many the request had so far. */
  turn(taken: number): Promise<void>
  /** Whether all evidence is waited for and judged, though the first proof decides: for an explanation. */
  readonly isThorough?: boolean
}

/** The answer to a request, and why: `decision` is the whole tree, absent where nothing had to be judged. */
export type Admission = { readonly answer: AdmissionAnswer; readonly codes: readonly Code[]; readonly decision: Decision | undefined }

/** The way of a workload through validation (specification section 6): images out, policies that match, evidence, judgement, mode, answer. */
export async function validate<A extends Access>(
  review: Review,
  snapshot: Snapshot,
  around: Surroundings<A>,
  deadline: Deadline,
): Promise<Admission> {
  if (whySkipped(review, snapshot.settings) !== undefined) return { answer: allowed(review), codes: [], decision: undefined }
  const read = readWorkload(review)
  if (!read.ok) return { answer: denied(review, `${read.step} failed: ${read.text}`, [], []), codes: [], decision: undefined }
  const workload = read.workload
  const judging = new Judging(workload, snapshot, around, deadline)
  const pathsOf = new Map<string, string[]>()
  for (const { written, path } of workload.images) pathsOf.set(written, [...(pathsOf.get(written) ?? []), path])
  const parts = await Promise.all(
    [...pathsOf].map(async ([written, paths], i) => {
      // What is answered from memory never waits: a thousand images under many policies are compared for seconds.
      if (i >= AT_ONCE) await around.turn(i)
      return judging.image(written, paths)
    }),
  )
  const decision = allOf({ about: 'request' }, parts, { code: 'nothing-to-check' })
  const ruling = enforce(decision, snapshot.settings.noMatchPolicy, workload.podSpecPath)
  const warnings = warningLines(ruling.diagnostics)
  const answer = ruling.allowed
    ? allowed(review, warnings, ruling.codes)
    : denied(review, `validation failed: ${errorText(ruling.diagnostics)}`, warnings, ruling.codes)
  return { answer, codes: ruling.codes, decision }
}

/** The way of a workload through mutation (specification section 5): each distinct tag is resolved once, in parallel; a failure leaves the image as it is. */
export async function mutate<A extends Access>(
  review: Review,
  snapshot: Snapshot,
  around: Surroundings<A>,
  deadline: Deadline,
): Promise<Admission> {
  if (whySkipped(review, snapshot.settings) !== undefined) return { answer: allowed(review), codes: [], decision: undefined }
  const read = readWorkload(review)
  if (!read.ok) return { answer: denied(review, `mutation failed: ${read.text}`, [], []), codes: [], decision: undefined }
  const { workload } = read
  const { settings } = snapshot
  if (settings.tagResolutionFor === 'pods' && !workload.isPod) return { answer: allowed(review), codes: [], decision: undefined }
  const tags = new Map<string, Reference>()
  for (const { written } of workload.images) {
    const reference = readReference(written)
    if (reference && reference.digest === undefined) tags.set(written, reference)
  }
  if (tags.size === 0) return { answer: allowed(review), codes: [], decision: undefined }
  const access = await around.within(around.access(workload, { of: 'workload' }), deadline)
  if (access === 'late' || !access.ok) return { answer: allowed(review), codes: [], decision: undefined }
  // What is left of the request's time when that for tags is over.
  const rest = Math.max(0, around.remaining(deadline) - RESOLVE_BUDGET)
  const few = new Few(AT_ONCE)
  const resolved = new Map<string, Reference & { digest: Digest }>()
  await Promise.all(
    [...tags].map(([written, reference]) =>
      few.run(async () => {
        const budget = around.remaining(deadline) - rest
        const digest = budget > 0 ? await around.resolve(reference, access.value, budget) : undefined
        if (digest?.ok) resolved.set(written, withDigest(reference, digest.value))
      }),
    ),
  )
  return { answer: patched(review, patchOf(workload.images, resolved, settings.tagResolution)), codes: [], decision: undefined }
}

/** So many at a time, the others in the order in which they came: one object may have a thousand images, and others ask the same registries. */
class Few {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(free: number) {
    this.#free = free
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((next) => this.#waiting.push(next))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}

/** What the questions of one validation have in common. */
class Judging<A extends Access> {
  readonly #workload: Workload
  readonly #snapshot: Snapshot
  readonly #around: Surroundings<A>
  readonly #deadline: Deadline
  readonly #accesses = new Map<string, Promise<Read<A> | 'late'>>()
  readonly #few = new Few(AT_ONCE)
  /** Turns that judging had to be given so far. */
  #turns = 0

  constructor(workload: Workload, snapshot: Snapshot, around: Surroundings<A>, deadline: Deadline) {
    this.#workload = workload
    this.#snapshot = snapshot
    this.#around = around
    this.#deadline = deadline
  }

  async image(written: string, paths: readonly string[]): Promise<Decision> {
    const question: Question = { about: 'image', written, paths }
    const { policies, settings, fallback, unknownBecause } = this.#snapshot
    const reference = readReference(written)
    if (!reference) return because(question, { code: 'image-unparsable', image: written })
    if (unknownBecause !== undefined) return because(question, { code: 'policies-not-known', why: unknownBecause })
    if (policies.length === 0 && settings.withoutPolicies === 'keyless' && !fallback)
      return because(question, { code: settings.keyless === 'disabled' ? 'keyless-disabled' : 'without-policies' })
    return reference.digest === undefined
      ? this.#byTag(question, reference)
      : this.#byDigest(question, { ...reference, digest: reference.digest })
  }

  async #byDigest(question: Question, image: ImageAtDigest): Promise<Decision> {
    const speaking = matching(this.#policies(), image.name, this.#subject())
    if (!speaking.ok) return because(question, speaking.reason)
    const isByPlatform = this.#snapshot.settings.verifyPlatformManifests && speaking.value.length > 0
    const digests = isByPlatform ? await this.#platforms(image) : ALL_OF_IT
    const parts = await Promise.all(speaking.value.map((policy) => this.#policyOnAll(policy, image, digests)))
    return allOf(question, parts, { code: 'no-matching-policies' })
  }

  /** Those in force; while there are none, what stands for them. */
  #policies(): readonly Policy[] {
    const { policies, fallback } = this.#snapshot
    return policies.length === 0 && fallback ? [fallback] : policies
  }

  #subject(): Subject {
    return this.#workload.subject
  }

  /**
   * An image that is still named by tag: it is matched by its repository, as a digest that nobody knows. A static pass needs no digest;
   * every other policy refuses. The registry is asked once more, only to say why the tag was not resolved; nothing is admitted by its answer.
   * But with `tag-resolution-for: pods` a template keeps its tag, and what the tag means now is judged.
   */
  async #byTag(question: Question, reference: Reference): Promise<Decision> {
    const name = unknownDigestName(reference)
    const speaking = matching(this.#policies(), name, this.#subject())
    if (!speaking.ok) return because(question, speaking.reason)
    const notDigest = { code: 'image-not-digest', image: reference.written } as const
    const parts: Decision[] = speaking.value.map((policy) => {
      const about = questionOfPolicy(policy)
      const whateverDigest = policy.globs.some((glob) => glob.matchesAnyDigest(name))
      return because(about, whateverDigest && isStaticPass(policy) ? { code: 'static-pass' } : notDigest)
    })
    if (speaking.value.length > 0 && parts.every((p) => p.outcome === 'pass')) return allOf(question, parts, notDigest)
    if (parts.length === 0) {
      parts.push(because({ about: 'check', check: 'the image is named by digest' }, notDigest))
      parts.push(because({ about: 'check', check: 'a policy matches' }, { code: 'no-matching-policies' }))
    }
    const digest = await this.#resolve(reference)
    if (digest.ok && this.#snapshot.settings.tagResolutionFor === 'pods' && !this.#workload.isPod)
      return this.#byDigest(question, withDigest(reference, digest.value))
    const why = digest.ok ? ({ code: 'tag-resolves-now' } as const) : ({ code: 'tag-unresolved', text: sentenceOf(digest.reason) } as const)
    parts.push(because({ about: 'check', check: 'the tag can be resolved' }, why))
    if (!digest.ok && refusedAll(digest))
      parts.push(because({ about: 'check', check: 'the credentials suffice' }, { code: 'credentials-tried', tried: digest.tried }))
    return allOf(question, parts, notDigest)
  }

  async #resolve(reference: Reference): Promise<Resolved> {
    const late = { ok: false, reason: { code: 'deadline' }, tried: [] } as const
    const access = await this.#access({ of: 'workload' })
    if (access === 'late') return late
    if (!access.ok) return { ...access, tried: [] }
    return this.#few.run(async () => {
      const budget = Math.min(RESOLVE_BUDGET, this.#around.remaining(this.#deadline))
      return budget > 0 ? this.#around.resolve(reference, access.value, budget) : late
    })
  }

  /** The manifests of the platforms of an image. */
  async #platforms(image: ImageAtDigest): Promise<Read<readonly Digest[]>> {
    const access = await this.#access({ of: 'workload' })
    if (access === 'late') return { ok: false, reason: { code: 'deadline' } }
    if (!access.ok) return access
    const digests = await this.#inTime(() => this.#around.platforms(image, access.value))
    return digests === 'late' ? { ok: false, reason: { code: 'deadline' } } : digests
  }

  /** With `verify-platform-manifests` each of `digests` must satisfy the policy as well as the image itself. */
  async #policyOnAll(policy: Policy, image: ImageAtDigest, digests: Read<readonly Digest[]>): Promise<Decision> {
    if (isStaticPass(policy) || (digests.ok && digests.value.length === 0)) return this.#policy(policy, image)
    const question = questionOfPolicy(policy)
    if (!digests.ok) {
      const unknown = because({ about: 'check', check: 'the platforms of the image are known' }, digests.reason)
      return allOf(question, [await this.#policy(policy, image), unknown], digests.reason)
    }
    const all = [image, ...digests.value.map((digest) => withDigest(image, digest))]
    const judged = all.map(async (each): Promise<Decision> => {
      const decision = await this.#policy(policy, each)
      return decision.question.about === 'policy' ? { ...decision, question: { ...decision.question, of: each.digest } } : decision
    })
    return allOf(question, await Promise.all(judged), { code: 'deadline' })
  }

  async #policy(policy: Policy, image: ImageAtDigest): Promise<Decision> {
    const question = questionOfPolicy(policy)
    const judgement = judgementOf(
      policy,
      image,
      this.#around.now(),
      () => this.#around.turn(++this.#turns),
      () => this.#around.remaining({ at: this.#deadline.at + LATE }) === 0,
      this.#around.isThorough,
    )
    const asks = ask(policy, image)
    const passesAnyway = isStaticPass(policy)
    if (asks.length === 0 || (passesAnyway && !this.#around.isThorough)) return decide(judgement)
    const unasked = (reason: Reason): Decision | Promise<Decision> => (passesAnyway ? decide(judgement) : because(question, reason))

    const reach: [Ask, A][] = []
    for (const a of asks) {
      const access = await this.#access(a.credentials)
      if (access === 'late') return unasked({ code: 'deadline' })
      if (!access.ok) return unasked(access.reason)
      reach.push([a, access.value])
    }
    // All that the answer rests on: the policy with its keys and settings, the digest in its place, the places looked in, and with which credentials.
    const key = [
      policy.hash,
      image.name,
      ...reach.map(([a, access]) => `${keyOf(a)} ${access.scope(a.place.registry, a.place.repository)}`),
    ].join('\n')
    const decision = await this.#inTime(() =>
      this.#around.once(key, this.#snapshot.settings.rememberPasses, async () => {
        // What has arrived takes itself out and says what it is.
        const arriving = new Map<string, Promise<() => void>>()
        for (const [a, access] of reach) {
          const asked = keyOf(a)
          const arrived = (found: Found): void => void (arriving.delete(asked) && judgement.gathered.set(asked, found))
          arriving.set(
            asked,
            this.#around.gather(a, access).then((found) => () => arrived(found)),
          )
        }
        let latest = await decide(judgement)
        for (;;) {
          for (const [asked, query] of judgement.wanted) {
            judgement.wanted.delete(asked)
            const arrived = (found: LogSearched): void => void (arriving.delete(asked) && judgement.searched.set(asked, found))
            arriving.set(
              asked,
              this.#around.search(query).then((found) => () => arrived(found)),
            )
          }
          if (arriving.size === 0 || (latest.outcome === 'pass' && this.#around.isThorough !== true)) break
          const arrive = await Promise.race(arriving.values())
          arrive()
          latest = await decide(judgement)
        }
        return {
          decision: latest,
          // From now on: gathering what it rests on may have taken as long as that holds.
          goodFor: judgement.until === undefined ? undefined : judgement.until - this.#around.now(),
          note: signerOf(latest),
        }
      }),
    )
    if (decision === 'late') return unasked({ code: 'deadline' })
    return 'remembered' in decision ? because(question, { code: 'remembered', note: decision.remembered }) : decision
  }

  /** Begins the work once there is place for it, and not at all when the answer must have left: what is not begun costs nobody anything. */
  #inTime<T>(work: () => Promise<T>): Promise<T | 'late'> {
    return this.#few.run(async () =>
      this.#around.remaining(this.#deadline) > 0 ? this.#around.within(work(), this.#deadline) : ('late' as const),
    )
  }

  #access(credentials: Credentials): Promise<Read<A> | 'late'> {
    const key = credentials.of === 'workload' ? '' : JSON.stringify(credentials.names)
    const known = this.#accesses.get(key) ?? this.#around.within(this.#around.access(this.#workload, credentials), this.#deadline)
    this.#accesses.set(key, known)
    return known
  }
}

/** Whether the policy passes whatever the image is: it can be carried out, and one authority is a static pass. */
function isStaticPass(policy: Policy): boolean {
  return (
    policy.refuses.length === 0 &&
    policy.authorities.some((a) => a.refuses.length === 0 && a.check.by === 'static' && a.check.action === 'pass')
  )
}

/** `?` stands for a digit that is not known: globs compare it as equal to any (`policy/glob.ts`), so no policy is escaped by not resolving. */
function unknownDigestName(reference: Reference): string {
  return `${reference.registry}/${reference.repository}@sha256:${'?'.repeat(64)}`
}
