import type { Digest } from '../image/digest.ts'
import type { Reference, Repository } from '../image/reference.ts'
import type { Authority, Policy } from './policy.ts'

/** Whose credentials a question may be asked with. `pullSecrets` replace all others (specification section 9). */
export type Credentials = { readonly of: 'workload' } | { readonly of: 'pullSecrets'; readonly names: readonly string[] }

/**
 * One piece of evidence that a policy needs.
 * `signatures-by-tag`: the manifest under `<tagPrefix>sha256-<hex>.sig` and the payloads of its layers.
 * `signatures-by-referrers`: every bundle and OCI 1.1 signature manifest that refers to the digest, by the API or the fallback tag.
 * `attestations-by-tag`, `attestations-by-referrers`: the same for attestations, under `.att`.
 */
export type Ask = {
  readonly ask: `${'signatures' | 'attestations'}-by-${'tag' | 'referrers'}`
  readonly place: Repository
  readonly digest: Digest
  readonly tagPrefix: string
  readonly credentials: Credentials
}

/** An image whose digest is known: what is judged is this digest, in this place, and nothing else. */
export type ImageAtDigest = Reference & { readonly digest: Digest }

/** What the policy needs to know about the image. Empty when it can be decided without asking anyone. */
export function ask(policy: Policy, image: ImageAtDigest): readonly Ask[] {
  if (policy.refuses.length > 0) return []
  const asks = new Map<string, Ask>()
  for (const authority of policy.authorities) {
    const { check, refuses } = authority
    if ((check.by !== 'key' && check.by !== 'keyless') || refuses.length > 0) continue
    for (const a of lookups(authority, image)) asks.set(keyOf(a), a)
  }
  return [...asks.values()]
}

/** Where the authority's evidence is looked for. The tag comes first, unless the authority wants bundles only: the specified first line of a refusal speaks of it. */
export function lookups(authority: Authority, image: ImageAtDigest): readonly Ask[] {
  const of = authority.attestations.length > 0 ? 'attestations' : 'signatures'
  const place = placeOf(authority, image)
  // Referrers have no tag, so `tagPrefix` says nothing about them.
  const byReferrers: Ask = { ask: `${of}-by-referrers`, tagPrefix: '', ...place }
  return authority.format === 'bundle'
    ? [byReferrers]
    : [{ ask: `${of}-by-tag`, tagPrefix: authority.source.tagPrefix, ...place }, byReferrers]
}

function placeOf({ source }: Authority, image: ImageAtDigest): Pick<Ask, 'place' | 'digest' | 'credentials'> {
  const { registry, repository } = source.repository ?? image
  return {
    place: { registry, repository },
    digest: image.digest,
    credentials: source.pullSecrets ? { of: 'pullSecrets', names: source.pullSecrets } : { of: 'workload' },
  }
}

/** Equal for equal questions. */
export function keyOf({ ask: kind, place, digest, tagPrefix, credentials }: Ask): string {
  return [
    kind,
    place.registry,
    place.repository,
    digest,
    tagPrefix,
    credentials.of === 'workload' ? '' : JSON.stringify(credentials.names),
  ].join(' ')
}
