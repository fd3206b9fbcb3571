import type { Json, JsonObject } from '../image/json.ts'
import { isJsonObject } from '../image/json.ts'
import { Fields } from './field.ts'
import { nameOf } from './kind.ts'
import { GROUP, typeOf } from './resource.ts'
import type { GroupVersionKind } from './review.ts'
import { readBody } from './review.ts'
import type { Struct } from './struct.ts'

/** What the API server asks (`apiextensions.k8s.io` ConversionReview): these objects, in another version. */
export type Conversion = {
  readonly apiVersion: string
  readonly uid: string
  readonly desired: string
  /** As they were parsed. */
  readonly objects: readonly Json[]
}

/** `text` is the body of an answer with HTTP `status`. */
export type ConversionRead =
  | { readonly ok: true; readonly conversion: Conversion }
  | { readonly ok: false; readonly status: 400; readonly text: string }

/** What the API server is answered, ready to be written as JSON. */
export type ConversionAnswer = {
  readonly kind: 'ConversionReview'
  readonly apiVersion: string
  readonly response: {
    readonly uid: string
    readonly convertedObjects: readonly Json[]
    readonly result:
      | { readonly metadata: {}; readonly status: 'Success' }
      | { readonly metadata: {}; readonly status: 'Failure'; readonly message: string }
  }
}

/** Reads a ConversionReview. `body` is foreign, and bounded by who received it. Never throws. */
export function readConversion(body: Uint8Array): ConversionRead {
  const parsed = readBody(body)
  if (!parsed.ok) return refused(parsed.why)
  const fields = new Fields()
  const review = fields.object(parsed.value, '', 'v1.ConversionReview')
  const kind = fields.text(review['kind'], 'ConversionReview.kind')
  const apiVersion = fields.text(review['apiVersion'], 'ConversionReview.apiVersion')
  const request = fields.object(review['request'], 'ConversionReview.request', 'v1.ConversionRequest')
  const uid = fields.text(request['uid'], 'ConversionRequest.request.uid')
  const desired = fields.text(request['desiredAPIVersion'], 'ConversionRequest.request.desiredAPIVersion')
  const objects = fields.list(request['objects'], 'ConversionRequest.request.objects', '[]runtime.RawExtension')
  if (fields.problem !== undefined) return refused(fields.problem)
  if (kind !== 'ConversionReview') return refused(`kind is ${JSON.stringify(kind.slice(0, MAX_SHOWN))}, wanted ConversionReview`)
  if (!isJsonObject(review['request'])) return refused('the ConversionReview has no request')
  return { ok: true, conversion: { apiVersion, uid, desired, objects } }
}

/** The answer: all that was asked for, or what was converted before the first that could not be, and why it could not. */
export function converted({ apiVersion, uid }: Conversion, objects: readonly Json[], whyNot?: string): ConversionAnswer {
  const result =
    whyNot === undefined ? ({ metadata: {}, status: 'Success' } as const) : ({ metadata: {}, status: 'Failure', message: whyNot } as const)
  return { kind: 'ConversionReview', apiVersion, response: { uid, convertedObjects: objects, result } }
}

/** How one object is converted: what it is read as, and the version that it is to have. */
export type Route = { readonly object: JsonObject; readonly kind: string; readonly type: Struct; readonly apiVersion: string }
export type RouteRead = { readonly ok: true; readonly route: Route } | { readonly ok: false; readonly text: string }

/** The route of an object to the desired version, or one of the texts of specification 1.4. */
export function routeOf(object: Json, desired: string): RouteRead {
  const fields = new Fields()
  const meta = fields.object(object, '', 'v1.TypeMeta')
  const from = fields.text(meta['apiVersion'], 'TypeMeta.apiVersion')
  const kind = fields.text(meta['kind'], 'TypeMeta.kind')
  if (!isShallow(object, MAX_DEPTH)) return whyNot('unable to unmarshal input: exceeded max depth')
  if (fields.problem !== undefined) return whyNot(`error parsing type meta ${shown(object)} - ${fields.problem}`)
  const given = groupVersion(from)
  if (!given) return whyNot(`error parsing GV ${JSON.stringify(from)}: unexpected GroupVersion string: ${from}`)
  const gvk: GroupVersionKind = { ...given, kind }
  if (given.version === '' || kind === '') return whyNot(`invalid GroupVersionKind ${nameOf(gvk)}`)
  const target = groupVersion(desired)
  if (!target || target.version === '') return whyNot(`desired API version ${JSON.stringify(desired)} is not valid`)
  if (given.group !== GROUP || kind !== CONVERTED) return whyNot(`no conversion support for type [kind=${kind} group=${given.group}]`)
  const type = typeOf(gvk)
  if (!type) return whyNot(unsupported(gvk))
  if (!typeOf({ ...target, kind })) return whyNot(unsupported({ ...target, kind }))
  return { ok: true, route: { object: meta, kind, type, apiVersion: desired } }
}

const CONVERTED = 'ClusterImagePolicy' // the only kind with two versions
const MAX_DEPTH = 256 // levels of an object; a policy with every field has 12
const MAX_SHOWN = 100 // characters of foreign text in a refusal

function unsupported({ kind, group, version }: GroupVersionKind): string {
  return `conversion not supported for type [kind=${kind} group=${group} version=${version}]`
}

/** As Go's `schema.ParseGroupVersion`: `group/version`, or a version of the core group. */
function groupVersion(text: string): { group: string; version: string } | undefined {
  const [first = '', second, more] = text.split('/', 3)
  if (more !== undefined) return undefined
  return second === undefined ? { group: '', version: first } : { group: first, version: second }
}

function isShallow(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((member: Json) => isShallow(member, levels - 1))
}

function shown(object: Json): string {
  return JSON.stringify(JSON.stringify(object).slice(0, MAX_SHOWN))
}

function whyNot(text: string): { readonly ok: false; readonly text: string } {
  return { ok: false, text }
}

function refused(why: string): ConversionRead {
  return { ok: false, status: 400, text: `could not decode body:${why}` }
}
