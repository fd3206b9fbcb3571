import type { Json } from '../image/json.ts'
import type { Decision } from '../verdict/decision.ts'
import { printable } from '../verdict/explain.ts'
import { blame } from '../verdict/message.ts'
import { sentenceOf } from '../verdict/reason.ts'
import type { AdmissionAnswer } from './response.ts'
import type { Review } from './review.ts'

/** What people are told of a refusal besides whoever sent the request: `Refused` what was not let in, `Warned` what a policy in warn mode lets in. */
export type Happening = {
  readonly reason: 'Refused' | 'Warned'
  readonly message: string
  readonly about:
    | { readonly is: 'policy'; readonly name: string }
    /** What made the object, such as the ReplicaSet of a Pod: nobody else would learn of it. */
    | {
        readonly is: 'owner'
        readonly apiVersion: string
        readonly kind: string
        readonly name: string
        readonly uid: string
        readonly namespace: string
      }
}

const MAX_MESSAGE = 1000 // bytes; the API server takes 1024
const MAX_NAME = 253 // characters of a name, kind or version that stands in a request
const MAX_TOLD = 16 // policies that are told of one request

/**
 * What happened with a workload. The owner is what the object says it is, in its own namespace, and nobody has looked whether it exists: the event
 * is about it in name only. Nothing for a dry run, which must leave no trace, and nothing where nothing was refused or warned about.
 */
export function happenings(review: Review, answer: AdmissionAnswer, decision: Decision | undefined): readonly Happening[] {
  const { allowed, status, warnings } = answer.response
  if (review.isDryRun || (allowed && warnings === undefined)) return []
  const metadata = fieldsOf(fieldsOf(review.object)['metadata'])
  const subject = `${review.kind.kind} ${review.namespace}/${textOf(metadata['name']) ?? textOf(metadata['generateName']) ?? review.name}`
  const owner = ownerIn(metadata, review.namespace)
  const told: Happening[] = []
  if (owner)
    told.push({
      reason: allowed ? 'Warned' : 'Refused',
      about: owner,
      message: bounded(`${subject}: ${allowed ? (warnings ?? []).join('\n') : (status?.message ?? '')}`),
    })
  for (const policy of policiesIn(decision).slice(0, MAX_TOLD))
    told.push({
      reason: policy.mode === 'warn' ? 'Warned' : 'Refused',
      about: { is: 'policy', name: policy.name },
      message: bounded(`${subject}: ${policy.text}`),
    })
  return told
}

type Fields = Readonly<Record<string, Json | undefined>>
type Blamed = { readonly name: string; readonly mode: 'enforce' | 'warn'; readonly text: string }

/** Each policy that did not pass, once, with the first image that it is about. */
function policiesIn(decision: Decision | undefined): readonly Blamed[] {
  const found = new Map<string, Blamed>()
  for (const image of decision?.parts ?? []) {
    if (image.question.about !== 'image') continue
    for (const policy of image.parts) {
      if (policy.question.about !== 'policy' || policy.outcome === 'pass' || found.has(policy.question.name)) continue
      const { name, mode } = policy.question
      const texts = policy.reason ? [sentenceOf(policy.reason)] : blame(policy).texts
      found.set(name, { name, mode, text: [image.question.written, ...texts].join(' ') })
    }
  }
  return [...found.values()]
}

function ownerIn(metadata: Fields, namespace: string): Happening['about'] | undefined {
  const references = metadata['ownerReferences']
  const reference = Array.isArray(references) ? references.map(fieldsOf).find((r) => r['controller'] === true) : undefined
  const [apiVersion, kind, name, uid] = ['apiVersion', 'kind', 'name', 'uid'].map((field) => textOf(reference?.[field]))
  if (namespace === '' || apiVersion === undefined || kind === undefined || name === undefined || uid === undefined) return undefined
  return { is: 'owner', apiVersion, kind, name, uid, namespace }
}

function fieldsOf(value: Json | undefined): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME ? value : undefined
}

function bounded(whole: string): string {
  const message = printable(whole)
  const bytes = Buffer.from(message)
  // Cut in the middle of a character, that is left out.
  return bytes.length <= MAX_MESSAGE
    ? message
    : `${bytes
        .subarray(0, MAX_MESSAGE - 4)
        .toString('utf8')
        .replace(/\uFFFD$/, '')}…`
}
