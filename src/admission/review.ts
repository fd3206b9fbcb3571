import type { Json } from '../image/json.ts'
import { readJson } from '../image/json.ts'
import { Fields } from './field.ts'

/** What a request of the API server asks (`admission.k8s.io/v1` AdmissionReview), as far as anything here looks at it. */
export type Review = {
  readonly uid: string
  /** Of the object, in the version that it is sent in. */
  readonly kind: GroupVersionKind
  /** `CREATE`, `UPDATE`, `DELETE` or `CONNECT`. */
  readonly operation: string
  /** `status`, `ephemeralcontainers`, …; empty for the object itself. */
  readonly subResource: string
  readonly namespace: string
  readonly name: string
  /** For the log. */
  readonly user: string
  /** Whether nothing will come of it, so that nothing else may either. */
  readonly isDryRun?: true
  /** As it was parsed, not a copy; null where there is none. Nobody has looked at its shape yet. */
  readonly object: Json
  readonly oldObject: Json
}

export type GroupVersionKind = { readonly group: string; readonly version: string; readonly kind: string }

/** `text` is the body of an answer with HTTP `status`. */
export type ReviewRead =
  | { readonly ok: true; readonly review: Review }
  | { readonly ok: false; readonly status: 400; readonly text: string }

export const API_VERSION = 'admission.k8s.io/v1'
export const KIND = 'AdmissionReview'

const EXPLAINED = { bytes: 64 * 1024 * 1024, depth: 1000, values: 10_000_000 } // of a body that is no JSON, for saying where; it was bounded before

/**
 * Reads an AdmissionReview. `body` is foreign, and bounded by who received it. Fields that nothing here asks for are ignored, as every
 * client of the API must; of equal keys the last counts, as in Go. Never throws.
 */
export function readReview(body: Uint8Array): ReviewRead {
  const read = readBody(body)
  if (!read.ok) return refused(read.why)
  const fields = new Fields()
  const review = fields.object(read.value, '', 'v1.AdmissionReview')
  const kind = fields.text(review['kind'], 'AdmissionReview.kind')
  const apiVersion = fields.text(review['apiVersion'], 'AdmissionReview.apiVersion')
  const request = fields.object(review['request'], 'AdmissionReview.request', 'v1.AdmissionRequest')
  const gvk = fields.object(request['kind'], 'AdmissionRequest.request.kind', 'v1.GroupVersionKind')
  const user = fields.object(request['userInfo'], 'AdmissionRequest.request.userInfo', 'v1.UserInfo')
  const asked: Review = {
    uid: fields.text(request['uid'], 'AdmissionRequest.request.uid'),
    kind: {
      group: fields.text(gvk['group'], 'GroupVersionKind.request.kind.group'),
      version: fields.text(gvk['version'], 'GroupVersionKind.request.kind.version'),
      kind: fields.text(gvk['kind'], 'GroupVersionKind.request.kind.kind'),
    },
    operation: fields.text(request['operation'], 'AdmissionRequest.request.operation'),
    subResource: fields.text(request['subResource'], 'AdmissionRequest.request.subResource'),
    namespace: fields.text(request['namespace'], 'AdmissionRequest.request.namespace'),
    name: fields.text(request['name'], 'AdmissionRequest.request.name'),
    user: fields.text(user['username'], 'UserInfo.request.userInfo.username'),
    ...(request['dryRun'] === true && { isDryRun: true }),
    object: request['object'] ?? null,
    oldObject: request['oldObject'] ?? null,
  }
  if (fields.problem !== undefined) return refused(fields.problem)
  if (kind !== KIND || apiVersion !== API_VERSION)
    return refused(`kind is ${shown(kind)} and apiVersion ${shown(apiVersion)}, wanted ${KIND} and ${API_VERSION}`)
  if (review['request'] === undefined || review['request'] === null) return refused(`the ${KIND} has no request`)
  return { ok: true, review: asked }
}

// A byte order mark stays and is refused, as Go does (RFC 8259, section 8.1).
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** The JSON of a body, or what is wrong with it in Go's words. */
export function readBody(body: Uint8Array): { ok: true; value: Json } | { ok: false; why: string } {
  try {
    // Not `readJson`, which walks the text once more to bound it: this is on the way of every request, and the body is bounded already.
    return { ok: true, value: JSON.parse(utf8.decode(body)) as Json }
  } catch {
    const why = readJson(body, EXPLAINED)
    return { ok: false, why: why.ok ? 'it is not JSON' : why.detail }
  }
}

const MAX_SHOWN = 100 // characters of foreign text in a refusal

function shown(text: string): string {
  return JSON.stringify(text.slice(0, MAX_SHOWN))
}

function refused(why: string): ReviewRead {
  return { ok: false, status: 400, text: `could not decode body:${why}` }
}
