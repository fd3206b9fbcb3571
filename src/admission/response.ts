import type { PatchOperation } from './patch.ts'
import type { Review } from './review.ts'
import { API_VERSION, KIND } from './review.ts'

/** What the API server is answered (`admission.k8s.io/v1` AdmissionReview with a response), ready to be written as JSON. */
export type AdmissionAnswer = {
  readonly kind: typeof KIND
  readonly apiVersion: typeof API_VERSION
  readonly response: {
    readonly uid: string
    readonly allowed: boolean
    /** Absent when allowed. */
    readonly status?: {
      readonly metadata: {}
      readonly status: 'Failure'
      readonly message: string
    } & (
      | { readonly reason: 'BadRequest'; readonly code: 400 }
      | { readonly reason: 'TooManyRequests'; readonly code: 429; readonly details: { readonly retryAfterSeconds: number } }
    )
    /** One line each. */
    readonly warnings?: readonly string[]
    readonly patchType?: 'JSONPatch'
    /** Base64 of a JSON patch. */
    readonly patch?: string
    readonly auditAnnotations?: Readonly<Record<string, string>>
  }
}

/** Allowed. `warnings` may have several lines; `codes` are the reasons of what did not pass and yet does not refuse. */
export function allowed(review: Review, warnings: readonly string[] = [], codes: readonly string[] = []): AdmissionAnswer {
  return answer(review, { allowed: true, ...said(warnings, codes) })
}

/** How the API server itself turns away whom it has no room for; clients of Kubernetes try again by themselves after so many seconds. */
export const TRY_AGAIN = { reason: 'TooManyRequests', code: 429, details: { retryAfterSeconds: 1 } } as const

/** Refused with `message`, which kubectl prints after `admission webhook "…" denied the request: `. */
export function denied(review: Review, message: string, warnings: readonly string[] = [], codes: readonly string[] = []): AdmissionAnswer {
  const isShort = codes.includes('under-pressure') || codes.includes('registry-not-asked')
  return answer(review, {
    allowed: false,
    status: { metadata: {}, status: 'Failure', message, ...(isShort ? TRY_AGAIN : ({ reason: 'BadRequest', code: 400 } as const)) },
    ...said(warnings, codes),
  })
}

/** Allowed, with changes; without any, just allowed. */
export function patched(review: Review, operations: readonly PatchOperation[]): AdmissionAnswer {
  if (operations.length === 0) return allowed(review)
  return answer(review, { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') })
}

const MAX_WARNING = 256 // bytes of one warning that kubectl is sure to get (Kubernetes, dynamic admission control, «Response»)
const MAX_WARNINGS = 4096 // bytes of all of them together
const MORE = 'and further warnings, which the controller logs when the object is in force'

/**
 * Warnings of several authors as the API server takes them: one line each, cut to 256 bytes, 4096 in all. The first ones are kept.
 */
export function withinLimits(warnings: readonly string[]): readonly string[] {
  const kept: string[] = []
  let bytes = MAX_WARNINGS
  for (const line of new Set(
    warnings.map((warning) => cut(warning.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' '), MAX_WARNING)),
  )) {
    bytes -= Buffer.byteLength(line)
    if (bytes < MORE.length) return [...kept, MORE]
    kept.push(line)
  }
  return kept
}

function cut(line: string, max: number): string {
  if (Buffer.byteLength(line) <= max) return line
  let kept = ''
  let bytes = Buffer.byteLength('…')
  for (const character of line) {
    bytes += Buffer.byteLength(character)
    if (bytes > max) break
    kept += character
  }
  return `${kept}…`
}

type Said = Pick<AdmissionAnswer['response'], 'warnings' | 'auditAnnotations'>

/** The API server puts the webhook's name before each key of an audit annotation. */
function said(warnings: readonly string[], codes: readonly string[]): Said {
  const lines = warnings.flatMap((warning) => warning.split('\n'))
  return {
    ...(lines.length > 0 ? { warnings: lines } : {}),
    ...(codes.length > 0 ? { auditAnnotations: { reasons: codes.join(',') } } : {}),
  }
}

function answer(review: Review, response: Omit<AdmissionAnswer['response'], 'uid'>): AdmissionAnswer {
  return { kind: KIND, apiVersion: API_VERSION, response: { uid: review.uid, ...response } }
}
