import type { Outcome, Reason } from './reason.ts'
import { outcomeOf } from './reason.ts'

/** What was asked; each kind of node in the tree is one member. */
export type Question =
  | { readonly about: 'request' }
  | { readonly about: 'image'; readonly written: string; readonly paths: readonly string[] }
  /** `isFallback`: what images are judged by while there is no policy at all. `of`: of which manifest of a multi-arch image, where each is judged. */
  | {
      readonly about: 'policy'
      readonly name: string
      readonly mode: 'enforce' | 'warn'
      readonly isFallback?: true
      readonly of?: string
    }
  /** `image` is the reference's `Name()`; `by` chooses the specified prefix of the refusal. */
  | {
      readonly about: 'authority'
      readonly name: string
      readonly by: 'key' | 'keyless' | 'static' | 'none'
      readonly image: string
      readonly of?: 'attestations'
    }
  /** One place where signatures, or attestations, were looked for. `.sig` tag: the specified first line of a refusal comes from here. */
  | { readonly about: 'lookup'; readonly place: 'tag' | 'referrers'; readonly where: string; readonly of?: 'attestations' }
  | { readonly about: 'signature'; readonly form: 'annotations' | 'bundle'; readonly manifest: string; readonly layer: number }
  /** `isAside`: it only explains the one before. */
  | { readonly about: 'check'; readonly check: string; readonly isAside?: true }

/** A question, its answer, and the smaller decisions the answer came from. Plain data: can be printed, compared, saved and sent. */
export type Decision = {
  readonly question: Question
  readonly outcome: Outcome
  readonly rule: 'all' | 'any' | 'reason'
  readonly reason?: Reason
  readonly parts: readonly Decision[]
}

/** Passes when every part passes; fails on one proven failure; else unknown (Kleene). No parts: `ifNone` answers. */
export function allOf(question: Question, parts: readonly Decision[], ifNone: Reason): Decision {
  if (parts.length === 0) return { question, outcome: outcomeOf(ifNone), rule: 'all', reason: ifNone, parts }
  const outcome = parts.some((p) => p.outcome === 'fail') ? 'fail' : parts.some((p) => p.outcome === 'unknown') ? 'unknown' : 'pass'
  return { question, outcome, rule: 'all', parts }
}

/** Passes on one pass; else unknown if any part is; else fails (Kleene). No parts: `ifNone` answers. */
export function anyOf(question: Question, parts: readonly Decision[], ifNone: Reason): Decision {
  if (parts.length === 0) return { question, outcome: outcomeOf(ifNone), rule: 'any', reason: ifNone, parts }
  const outcome = parts.some((p) => p.outcome === 'pass') ? 'pass' : parts.some((p) => p.outcome === 'unknown') ? 'unknown' : 'fail'
  return { question, outcome, rule: 'any', parts }
}

/** A leaf. Its outcome comes from the reason's row in the catalogue; nobody writes an outcome by hand. */
export function because(question: Question, reason: Reason): Decision {
  return { question, outcome: outcomeOf(reason), rule: 'reason', reason, parts: [] }
}
