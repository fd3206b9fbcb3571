import type { Digest } from '../image/digest.ts'
import type { Repository } from '../image/reference.ts'

/** Whose credentials a question may be asked with. `pullSecrets` replace all others (spec section 9). */
export type Credentials = { readonly of: 'workload' } | { readonly of: 'pullSecrets'; readonly names: readonly string[] }

/**
 * One piece of evidence that the matching policies need.
 * `signatures-by-tag`: the manifest under `<tagPrefix>sha256-<hex>.sig` and the payloads of its layers.
 * `signatures-by-referrers`: every bundle and OCI 1.1 signature manifest that refers to the digest, by the API or the fallback tag.
 */
export type Ask = {
  readonly ask: 'signatures-by-tag' | 'signatures-by-referrers'
  readonly place: Repository
  readonly digest: Digest
  readonly tagPrefix: string
  readonly credentials: Credentials
}
