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
      readonly reason: 'BadRequest'
      readonly code: 400
    }
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

/** Refused with `message`, which kubectl prints after `admission webhook "…" denied the request: `. */
export function denied(review: Review, message: string, warnings: readonly string[] = [], codes: readonly string[] = []): AdmissionAnswer {
  return answer(review, {
    allowed: false,
    status: { metadata: {}, status: 'Failure', message, reason: 'BadRequest', code: 400 },
    ...said(warnings, codes),
  })
}

/** Allowed, with changes; without any, just allowed. */
export function patched(review: Review, operations: readonly PatchOperation[]): AdmissionAnswer {
  if (operations.length === 0) return allowed(review)
  return answer(review, { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') })
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
