import type { Digest } from '../image/digest.ts'
import type { Json } from '../image/json.ts'
import { isJsonObject } from '../image/json.ts'
import type { Reference } from '../image/reference.ts'
import type { WorkloadImage } from './workload.ts'

/** One operation of a JSON patch (RFC 6902). */
export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string }
/** Of the name of an image. */
export type Replacement = { readonly op: 'replace'; readonly path: string; readonly value: string }

/** `keep-tag` writes `registry/repository:tag@sha256:…`, `digest-only` writes `registry/repository@sha256:…`. */
export type TagResolution = 'keep-tag' | 'digest-only'

/**
 * The patch that names images by the digests their tags were resolved to, by what was written. An image that is not among `resolved` stays
 * as it is; so does one that is named by digest already. Only image fields are touched, in the order of `images`.
 */
export function patchOf(
  images: readonly WorkloadImage[],
  resolved: ReadonlyMap<string, Reference & { readonly digest: Digest }>,
  resolution: TagResolution,
): readonly Replacement[] {
  return images.flatMap(({ written, pointer }) => {
    const reference = resolved.get(written)
    return reference && !written.includes('@') ? [{ op: 'replace' as const, path: pointer, value: textOf(reference, resolution) }] : []
  })
}

/** In the canonical spelling, so that the container runtime cannot read it as another place than was asked. */
function textOf({ registry, repository, tag, digest }: Reference & { readonly digest: Digest }, resolution: TagResolution): string {
  switch (resolution) {
    case 'keep-tag':
      return `${registry}/${repository}:${tag ?? 'latest'}@${digest}`
    case 'digest-only':
      return `${registry}/${repository}@${digest}`
  }
}

/**
 * What makes `after` out of `before`: each member that is new, gone or other, and the elements of lists that are as long as before one by
 * one. In the order of `after`; what is gone comes last.
 */
export function differenceOf(before: Json, after: Json, path = ''): readonly PatchOperation[] {
  if (before === after) return []
  if (isJsonObject(before) && isJsonObject(after)) {
    const now = Object.entries(after).flatMap(([key, value]) => {
      const at = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
      const was = Object.hasOwn(before, key) ? before[key] : undefined
      return was === undefined ? [{ op: 'add' as const, path: at, value }] : differenceOf(was, value, at)
    })
    const gone = Object.keys(before).filter((key) => !Object.hasOwn(after, key))
    return [...now, ...gone.map((key) => ({ op: 'remove' as const, path: `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}` }))]
  }
  if (isList(before) && isList(after) && before.length === after.length)
    return after.flatMap((value, i) => differenceOf(before[i] ?? null, value, `${path}/${i}`))
  return [{ op: 'replace', path, value: after }]
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
