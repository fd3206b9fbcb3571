import type { Json } from '../image/json.ts'
import { isJsonObject } from '../image/json.ts'
import type { Settings } from '../policy/settings.ts'
import type { WorkloadKind } from './kind.ts'
import { workloadKind } from './kind.ts'
import type { Review } from './review.ts'
import { imagesOf } from './workload.ts'

/**
 * Why a request is allowed without a look at its images, for the log; undefined when it has to be judged. Both webhooks ask. Nothing that
 * the object says of itself counts: no annotation, no owner, no replicas, no deletion date, unless what runs is provably what ran before.
 * With `recheckUnchanged: false` the operator wants no more than that.
 */
export function whySkipped(review: Review, { recheckUnchanged }: Pick<Settings, 'recheckUnchanged'>): string | undefined {
  if (review.operation !== 'CREATE' && review.operation !== 'UPDATE') return `${review.operation || 'an unnamed operation'} runs no image`
  if (review.operation !== 'UPDATE') return undefined
  if (review.subResource === 'status') return 'a status runs no image'
  const kind = workloadKind(review.kind)
  if (!kind) return undefined
  if (isScalingDown(kind, review)) return 'fewer pods of the same template run no other image'
  if (isBeingDeleted(review) && isUnchanged(kind, review)) return 'an object that is being deleted keeps its images'
  if (!recheckUnchanged && isUnchanged(kind, review)) return 'no image changes, and recheck-unchanged is false'
  return undefined
}

/** Fewer replicas and an identical pod template. Upstream lets a changed image through with it (Q17). */
function isScalingDown(kind: WorkloadKind, { object, oldObject }: Review): boolean {
  if (!kind.scalable) return false
  const [now, before] = [member(object, 'spec'), member(oldObject, 'spec')]
  const [fewer, more] = [member(now, 'replicas'), member(before, 'replicas')]
  if (typeof fewer !== 'number' || typeof more !== 'number' || fewer >= more) return false
  const template = member(now, 'template')
  return isJsonObject(template) && identical(template, member(before, 'template'))
}

/** A finalizer can keep such an object for as long as its author likes. */
function isBeingDeleted({ object }: Review): boolean {
  const deleted = member(member(object, 'metadata'), 'deletionTimestamp')
  return typeof deleted === 'string' && deleted !== ''
}

/** The same images in the same fields. */
function isUnchanged(kind: WorkloadKind, { object, oldObject }: Review): boolean {
  if (oldObject === null) return false
  const [now, before] = [imagesOf(kind, object), imagesOf(kind, oldObject)]
  if (!now || !before || now.length !== before.length) return false
  return now.every((image, i) => image.written === before[i]?.written && image.pointer === before[i].pointer)
}

function member(value: Json | undefined, name: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
}

const MAX_DEPTH = 64 // levels that are compared; a pod template has about ten. Deeper ones count as different, and are judged

/** Whether two JSON values are equal; the order of an object's members is no difference. */
export function identical(a: Json | undefined, b: Json | undefined, depth = 0): boolean {
  if (a === b) return true
  if (depth > MAX_DEPTH) return false
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((v, i) => identical(v as Json, b[i] as Json, depth + 1))
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && identical(a[name], b[name], depth + 1))
}
