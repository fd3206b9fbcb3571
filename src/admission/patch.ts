import type { Digest } from '../image/digest.ts'
import type { Reference } from '../image/reference.ts'
import type { WorkloadImage } from './workload.ts'

/** One operation of a JSON patch (RFC 6902). */
export type PatchOperation = { readonly op: 'replace'; readonly path: string; readonly value: string }

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
): readonly PatchOperation[] {
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
