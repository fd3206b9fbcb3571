import { readFileSync, readdirSync } from 'node:fs'
import type { KeyKind } from './cosign.ts'

/** What a real cosign wrote into a real registry; `make-fixtures.ts` made it. */
export type Fixture = {
  readonly name: string
  /** `repository@digest` of the signed image. */
  readonly image: string
  /** The public key that signed, as PEM. */
  readonly key: string
  readonly kind: KeyKind
  /** Whether the registry had the referrers API. Without it, an index of referrers lies under the tag `sha256-<hex>`. */
  readonly referrersApi: boolean
  readonly repositories: Readonly<Record<string, RepositoryContent>>
}

/** Everything is text: cosign and registries keep JSON. Manifests, blobs and referrers are by digest. */
export type RepositoryContent = {
  readonly tags: Readonly<Record<string, string>>
  readonly manifests: Readonly<Record<string, { readonly mediaType: string; readonly text: string }>>
  readonly blobs: Readonly<Record<string, string>>
  /** What the referrers API answered for a digest. */
  readonly referrers: Readonly<Record<string, string>>
}

const folder = new URL('../test/fixtures/cosign/', import.meta.url)

/** Signed images: `2.6.5-tag`, `3.1.3-bundle-fallback`, … */
export function fixtureNames(): string[] {
  return names().filter((name) => !name.includes('-attested-'))
}

/** Images with attestations: `2.6.5-attested-tag`, … */
export function attestedFixtureNames(): string[] {
  return names().filter((name) => name.includes('-attested-'))
}

function names(): string[] {
  return readdirSync(folder).toSorted()
}

export function readFixture(name: string): Fixture {
  const file = (base: string): string => readFileSync(new URL(`${name}/${base}`, folder), 'utf8')
  const { image, key: kind } = JSON.parse(file('made.json')) as { image: string; key: KeyKind }
  const { referrersApi, repositories } = JSON.parse(file('registry.json')) as Pick<Fixture, 'referrersApi' | 'repositories'>
  return { name, image, key: file('cosign.pub'), kind, referrersApi, repositories }
}
