import { isObject } from '../../policy/shape.ts'
import { pause } from '../network/retry.ts'
import type { ApiAnswer, ApiServer } from './api-server.ts'

const TRIES = 6 // of reading, changing and writing, while others write the same object
const FIRST_PAUSE = 20 // ms before a changed object is read anew, doubled each time, times 0.5 to 1.5

/** A Kubernetes object as JSON. */
export type ApiObject = Readonly<Record<string, unknown>>

export type Changed =
  | { readonly state: 'changed' | 'unchanged'; readonly object: ApiObject }
  | { readonly state: 'absent' }
  /** `text` as the API server words it; `retryAfter` in ms, where it said so. */
  | { readonly state: 'failed'; readonly text: string; readonly retryAfter: number | undefined }

/**
 * Reads an object, changes it and writes it back, against the version that was read: what somebody else wrote meanwhile is read anew and
 * never overwritten. `next` answers the whole object, or undefined where it is as it should be. Never rejects by itself.
 */
export async function change(
  api: ApiServer,
  path: string,
  next: (now: ApiObject) => ApiObject | undefined | Promise<ApiObject | undefined>,
  signal: AbortSignal,
): Promise<Changed> {
  for (let tries = 1; ; tries++) {
    const read = await api.get(path, {}, signal)
    if (read.state !== 'answered') return failure(read)
    const wanted = await next(read.body)
    if (wanted === undefined) return { state: 'unchanged', object: read.body }
    const written = await api.write('replace', path, withVersionOf(read.body, wanted), signal)
    if (written.state === 'answered') return { state: 'changed', object: written.body }
    if (!isConflict(written) || tries === TRIES) return failure(written)
    const patience = FIRST_PAUSE * 2 ** (tries - 1) * (0.5 + Math.random())
    if (!(await pause(patience, signal))) return { state: 'failed', text: 'ended', retryAfter: undefined }
  }
}

/** Whether a write came too late: somebody else wrote the object, or created it. */
export function isConflict(answer: ApiAnswer): boolean {
  return answer.state === 'refused' && answer.status === 409
}

/** What went wrong. An object that is not there is `absent`. */
export function failure(answer: Exclude<ApiAnswer, { readonly state: 'answered' }>): Extract<Changed, { state: 'absent' | 'failed' }> {
  switch (answer.state) {
    case 'refused':
      if (answer.status === 404) return { state: 'absent' }
      return { state: 'failed', text: answer.text, retryAfter: answer.retryAfter }
    case 'too-large':
      return { state: 'failed', text: 'the object is too large', retryAfter: undefined }
    case 'failed':
      return { state: 'failed', text: answer.text, retryAfter: undefined }
  }
}

/** `metadata` of an object; empty where it is none. */
export function metadataOf(object: object | undefined): ApiObject {
  const metadata = (object as { readonly metadata?: unknown } | undefined)?.metadata
  return isObject(metadata) ? metadata : {}
}

function withVersionOf(read: ApiObject, wanted: ApiObject): ApiObject {
  const { uid, resourceVersion } = metadataOf(read)
  return { ...wanted, metadata: { ...metadataOf(wanted), uid, resourceVersion } }
}
