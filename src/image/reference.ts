import type { Digest } from './digest.ts'

/** Where images lie: a registry host and a repository, both in the spelling that policies are compared with. */
export type Repository = {
  /** Canonical `host[:port]`: lower case, default port and trailing dot removed, `index.docker.io` for every name of Docker Hub. */
  readonly registry: string
  /** With `library/` on Docker Hub; never empty. */
  readonly repository: string
}

/** An image reference that was read without doubt. */
export type Reference = Repository & {
  /** As it stands in the object; this is what messages show. */
  readonly written: string
  readonly tag: string | undefined
  readonly digest: Digest | undefined
  /** go-containerregistry's `Name()`: `registry/repository@digest` when there is a digest (a tag is dropped), else `registry/repository:tag`, `latest` by default. Policies match against this. */
  readonly name: string
}
