import { createHash } from 'node:crypto'
import type { Code, Reason } from '../verdict/reason.ts'
import { sentenceOf } from '../verdict/reason.ts'
import type { Policy } from './policy.ts'
import { isObject } from './shape.ts'

/** How a step went by which an object comes into force: `pending` while nothing is known yet. */
export type Step = 'done' | 'pending' | { readonly failed: string }

/** The steps, in their order. A TrustRoot has no policies. */
export type Steps = { readonly keys: Step; readonly policies?: Step; readonly inForce: Step }

/** What is in force now, besides whether. Instants in ms since 1970. */
export type InForce = {
  /** How many keys and certificates. */
  readonly keys: number
  /** Says which keys those are: when it changes, they were read anew. */
  readonly hash: string
  /** When they were read, where that is known; else it is when they were first seen to be others. */
  readonly readAt?: number | undefined
  readonly nextRefresh?: number | undefined
  readonly lastError?: string | undefined
  readonly lastErrorAt?: number | undefined
  readonly expires?: number | undefined
  /** What a policy speaks about and who must have signed, for the columns of `kubectl get`: of a list, those show the first item alone. */
  readonly images?: string
  readonly authorities?: string
}

export type Condition = {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly lastTransitionTime: string
  readonly reason?: string
  readonly message?: string
}

/** The part of `status` that the controller writes; null takes a fact away. */
export type Status = {
  readonly observedGeneration: number
  readonly conditions: readonly Condition[]
  readonly annotations: Readonly<Record<string, string | null>>
}

const MAX_TEXT = 1024 // characters of a message or error; the cause stands at its begin
const MAX_COLUMN = 120 // characters of a list, as wide as a terminal takes it
const MAX_CONDITIONS = 32 // that another controller has added and that are kept

// Specification 1.6, in the order of its events: what marks each step, and the reason when it fails.
const STEPS = [
  { step: 'keys', type: 'KeysInlined', reason: 'InliningKeysFailed' },
  { step: 'policies', type: 'PoliciesInlined', reason: 'InliningPoliciesFailed' },
  { step: 'inForce', type: 'ConfigMapUpdated', reason: 'UpdatingConfigMap' },
] as const

/**
 * What becomes of an object's status: `status` is how it is now, foreign JSON. `at` is in ms since 1970. Steps after one that failed or waits are
 * left as they were, as users of the sigstore policy controller know it. Undefined: it is as it should be.
 */
export function statusAfter(status: unknown, generation: number, steps: Steps, facts: InForce, at: number): Status | undefined {
  const before = isObject(status) ? status : {}
  const isObserved = before['observedGeneration'] === generation
  const conditions = conditionsAfter(before['conditions'], isObserved, steps, timeText(at))
  const annotations = annotationsAfter(before['annotations'], isObserved, facts, at)
  const isSame =
    isObserved && isSameList(before['conditions'], conditions) && Object.values(annotations).every((change) => change === undefined)
  if (isSame) return undefined
  const changed = Object.entries(annotations).filter((entry): entry is [string, string | null] => entry[1] !== undefined)
  return { observedGeneration: generation, conditions, annotations: Object.fromEntries(changed) }
}

/** Why an object is not ready; undefined while it is, or while that is not known. `status` is foreign JSON. */
export function whyNotReady(status: unknown): { readonly reason: string; readonly message: string } | undefined {
  const list = isObject(status) && Array.isArray(status['conditions']) ? (status['conditions'] as unknown[]) : []
  const ready = list.find((c) => isObject(c) && c['type'] === 'Ready')
  if (!isObject(ready) || ready['status'] !== 'False') return undefined
  return { reason: textOf(ready['reason']) ?? '', message: textOf(ready['message']) ?? '' }
}

/**
 * The steps of a policy. A key that cannot be had fails the first; of what else it cannot carry out, whatever the policy says as a whole is
 * told in the last. What else one of several authorities lacks leaves the policy in force: the authority refuses, and says so when it is asked.
 */
export function stepsOf(policy: Policy): Steps {
  const all = [...policy.refuses, ...policy.authorities.flatMap((a) => a.refuses)]
  const keys = all.filter((r) => KEYS.has(r.code))
  const others = policy.refuses.filter((r) => !KEYS.has(r.code))
  const step = (reasons: readonly Reason[]): Step =>
    reasons.length === 0 ? 'done' : { failed: bounded([...new Set(reasons.map(sentenceOf))].join('; ')) }
  return { keys: step(keys), policies: 'done', inForce: step(others) }
}

const KEYS: ReadonlySet<Code> = new Set(['key-unusable', 'kms-key-unknown', 'kms-key-wrong'])

/** The keys that a policy brings itself, and which they are. */
export function keysOf(policy: Policy): Pick<InForce, 'keys' | 'hash'> {
  const signers = policy.authorities.flatMap(({ check }) => (check.by === 'key' ? check.demands.map((d) => d.signer) : []))
  return { keys: signers.length, hash: signers.join() }
}

/** The images that a policy speaks about, and its authorities, each as one line. */
export function linesOf(policy: Policy): Pick<InForce, 'images' | 'authorities'> {
  return { images: lineOf(policy.globs.map((glob) => glob.text)), authorities: lineOf(policy.authorities.map((a) => a.name)) }
}

/** As many of the items as the line takes, and how many more there are. */
function lineOf(items: readonly string[]): string {
  let shown = 0
  for (let length = 0; shown < items.length && (shown === 0 || length <= MAX_COLUMN); shown++) length += (items[shown]?.length ?? 0) + 1
  const more = items.length - shown
  return `${items.slice(0, shown).join(',').slice(0, MAX_TEXT)}${more > 0 ? `,… (${more} more)` : ''}`
}

function conditionsAfter(before: unknown, isObserved: boolean, steps: Steps, now: string): readonly Condition[] {
  const known = new Map<string, Condition>()
  for (const condition of Array.isArray(before) ? before.slice(0, MAX_CONDITIONS) : []) {
    const read = conditionOf(condition)
    if (read) known.set(read.type, read)
  }
  const set = (type: string, status: Condition['status'], reason?: string, message?: string): void => {
    const last = known.get(type)
    if (last?.status === status && last.reason === reason && last.message === message) return
    known.set(type, {
      type,
      status,
      lastTransitionTime: now,
      ...(reason !== undefined && { reason }),
      ...(message !== undefined && { message }),
    })
  }

  const wanted = STEPS.filter(({ step }) => step in steps)
  const wasReady = known.get('Ready')?.status === 'True'
  for (const { type } of wanted) if (!known.has(type)) set(type, wasReady ? 'True' : 'Unknown')
  for (const { step, type, reason } of wanted) {
    const how = steps[step]
    if (how === undefined || how === 'done') set(type, 'True')
    else if (how === 'pending') {
      if (!isObserved) set('Ready', 'Unknown', 'NewObservedGenFailure', 'unsuccessfully observed a new generation')
      else if (!known.has('Ready')) set('Ready', 'Unknown')
      return sorted(known)
    } else {
      set(type, 'False', reason, bounded(how.failed))
      set('Ready', 'False', reason, bounded(how.failed))
      return sorted(known)
    }
  }
  set('Ready', 'True')
  return sorted(known)
}

function sorted(conditions: ReadonlyMap<string, Condition>): readonly Condition[] {
  return [...conditions.values()].toSorted((a, b) => (a.type < b.type ? -1 : 1))
}

/** A condition of the object as it is; what is none is forgotten. */
function conditionOf(value: unknown): Condition | undefined {
  if (!isObject(value)) return undefined
  const { type, status } = value
  if (typeof type !== 'string' || (status !== 'True' && status !== 'False' && status !== 'Unknown')) return undefined
  const [reason, message] = [textOf(value['reason']), textOf(value['message'])]
  return {
    type,
    status,
    lastTransitionTime: textOf(value['lastTransitionTime']) ?? '',
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
  }
}

function isSameList(before: unknown, after: readonly Condition[]): boolean {
  return Array.isArray(before) && JSON.stringify(before.map(conditionOf)) === JSON.stringify(after)
}

/** Which facts change, by their names; undefined: it is as it was. */
function annotationsAfter(
  status: unknown,
  isObserved: boolean,
  facts: InForce,
  at: number,
): Readonly<Record<string, string | null | undefined>> {
  const before = isObject(status) ? status : {}
  const hash = createHash('sha256').update(facts.hash).digest('hex').slice(0, 16)
  const isOther = !isObserved || before['keys'] !== `${facts.keys}` || before['keysHash'] !== hash
  const lastRead = typeof before['keysReadAt'] === 'string' ? Date.parse(before['keysReadAt']) : NaN
  // Another replica may have read them later than the one that leads now.
  const readAt = facts.readAt === undefined ? (isOther || Number.isNaN(lastRead) ? at : lastRead) : later(facts.readAt, lastRead)
  const wanted: Readonly<Record<string, string | undefined>> = {
    keys: `${facts.keys}`,
    keysHash: facts.keys === 0 ? undefined : hash,
    keysReadAt: facts.keys === 0 ? undefined : timeText(readAt),
    nextRefresh: facts.nextRefresh === undefined ? undefined : timeText(facts.nextRefresh),
    lastError: facts.lastError === undefined ? undefined : bounded(facts.lastError),
    lastErrorAt: facts.lastErrorAt === undefined ? undefined : timeText(facts.lastErrorAt),
    expires: facts.expires === undefined ? undefined : timeText(facts.expires),
    images: facts.images,
    authorities: facts.authorities,
  }
  const change = (name: string): string | null | undefined => (wanted[name] === before[name] ? undefined : (wanted[name] ?? null))
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, change(name)]))
}

function later(a: number, b: number): number {
  return Number.isNaN(b) ? a : Math.max(a, b)
}

/** RFC 3339, in seconds, as Kubernetes writes times. */
function timeText(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function bounded(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text
}
