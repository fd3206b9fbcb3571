import type { ClusterObjects } from './objects.ts'
import { readPolicy } from './read.ts'

/** What policies rest on: the TrustRoots that they name, wherever they may; `sigstore`: and the instance that is meant where none is named. */
export type TrustNamed = { readonly trustRoots: ReadonlySet<string>; readonly sigstore: boolean }

/** What trust policies name. Without any policy, images are verified keyless. */
export function trustNamed(policies: ClusterObjects['policies']): TrustNamed {
  const trustRoots = new Set<string>()
  let sigstore = policies.size === 0
  for (const [name, raw] of policies) {
    for (const { keyless, ctlog, rfc3161timestamp } of readPolicy(name, raw).spec.authorities ?? []) {
      for (const place of [keyless, ctlog, rfc3161timestamp]) {
        if (place?.trustRootRef) trustRoots.add(place.trustRootRef)
        else sigstore ||= place !== undefined
      }
    }
  }
  return { trustRoots, sigstore }
}

/** The TrustRoots that a policy names and that are not there: `trustRootRef x not found`. Empty while nobody knows which are there. */
export function missingTrustRoots(policy: object, { trustRoots, trustRootsIncomplete }: ClusterObjects): readonly string[] {
  if (trustRootsIncomplete !== undefined) return []
  const named = trustNamed(new Map([['', policy]])).trustRoots
  return [...named].filter((name) => !trustRoots.has(name)).map((name) => `trustRootRef ${name} not found`)
}
