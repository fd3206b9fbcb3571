import type { Digest } from '../../image/digest.ts'
import type { ImageIndex, ImageManifest } from '../../image/manifest.ts'
import { readManifest } from '../../image/manifest.ts'
import type { Repository } from '../../image/reference.ts'
import type { Reason } from '../../verdict/reason.ts'
import { sentenceOf } from '../../verdict/reason.ts'
import { fanOut } from '../fan-out.ts'
import type { Memory } from '../memory.ts'
import type { RegistryAccess } from './credentials.ts'
import type { Registry } from './registry.ts'

const MAX_PLATFORM_MANIFESTS = 64 // of one image; official images have under 20
const MAX_INDEX_DEPTH = 3 // indexes within indexes; nobody nests them, but runtimes follow them

/** The platforms' digests, or why they are not known; `isRefused`: for want of credentials. */
export type Platforms =
  | { readonly ok: true; readonly value: readonly Digest[] }
  | { readonly ok: false; readonly reason: Reason; readonly isRefused: boolean }

/**
 * The digests of everything that a runtime may pick from a multi-arch image: each manifest that the index names, and each that an index in it
 * names, itself included. None for an image that is no index. Left out is only what names a platform that no node has (`unknown/unknown`, where
 * builders put their attestations). Answers `platform-manifests-unknown` when the registry does not say, or beyond the bounds; never rejects.
 */
export async function platformsOf(
  place: Repository,
  digest: Digest,
  access: RegistryAccess,
  registry: Registry,
  memory: Memory,
  signal: AbortSignal,
): Promise<Platforms> {
  const unknown = (text: string, isRefused = false): Platforms => ({
    ok: false,
    reason: { code: 'platform-manifests-unknown', text },
    isRefused,
  })
  const found = new Set<Digest>()
  let level: readonly Digest[] = [digest]
  for (let depth = 0; level.length > 0; depth++) {
    const read = await fanOut(level, (each) => manifestOf(place, each, access, registry, memory, signal))
    const next: Digest[] = []
    for (const manifest of read) {
      if ('text' in manifest) return unknown(manifest.text, manifest.isRefused)
      if (manifest.kind !== 'index') continue
      if (depth === MAX_INDEX_DEPTH) return unknown(`indexes lie within each other more than ${MAX_INDEX_DEPTH} deep`)
      if (manifest.unreadable > 0) return unknown(`${manifest.unreadable} entries of the index cannot be read`)
      for (const { digest: entry, platform } of manifest.manifests) {
        if ((platform?.os === 'unknown' && platform.architecture === 'unknown') || found.has(entry)) continue
        found.add(entry)
        next.push(entry)
      }
      if (found.size > MAX_PLATFORM_MANIFESTS)
        return unknown(`number of manifests (${found.size}) exceeded the limit (${MAX_PLATFORM_MANIFESTS})`)
    }
    level = next
  }
  return { ok: true, value: [...found] }
}

async function manifestOf(
  place: Repository,
  digest: Digest,
  access: RegistryAccess,
  registry: Registry,
  memory: Memory,
  signal: AbortSignal,
): Promise<ImageManifest | ImageIndex | { readonly text: string; readonly isRefused: boolean }> {
  const key = `${place.registry}/${place.repository}@${digest} ${access.scope(place.registry, place.repository)}`
  let bytes = memory.content(key)
  let mediaType: string | undefined
  if (!bytes) {
    const fetched = await registry.manifest(place, digest, access.keychain, signal)
    if (fetched.state !== 'found') return { text: sentenceOf(fetched.reason), isRefused: fetched.reason.code === 'registry-refused' }
    bytes = fetched.value.bytes
    mediaType = fetched.value.mediaType
    memory.keepContent(key, bytes)
  }
  const manifest = readManifest(bytes, mediaType)
  return manifest.ok ? manifest.value : { text: `${digest}: ${manifest.detail}`, isRefused: false }
}
