import type { Digest } from '../image/digest.ts'
import { hexOf } from '../image/digest.ts'
import type { Descriptor } from '../image/manifest.ts'
import { readManifest } from '../image/manifest.ts'
import type { Repository } from '../image/reference.ts'
import type { Ask } from '../policy/ask.ts'
import type { SignatureLayer } from '../sigstore/annotations.ts'
import { mayHoldSignature, referrerOf, signatureLayers } from '../sigstore/annotations.ts'
import { MAX_BUNDLE_BYTES } from '../sigstore/bundle.ts'
import type { Found, SignatureEvidence } from '../sigstore/evidence.ts'
import { MAX_PAYLOAD_BYTES } from '../sigstore/payload.ts'
import { SIGN_PREDICATE_TYPE } from '../sigstore/signature.ts'
import type { Reason } from '../verdict/reason.ts'
import type { RegistryAccess } from './credentials.ts'
import { fanOut } from './fan-out.ts'
import type { Memory } from './memory.ts'
import type { Registry } from './registry.ts'

const MAX_REFERRERS_FETCHED = 100 // referrers of one image that are looked into; each costs two requests

/** Where one piece of evidence is fetched from, and with what. */
type Source = {
  readonly place: Repository
  readonly access: RegistryAccess
  readonly registry: Registry
  readonly memory: Memory
  readonly signal: AbortSignal
}

/** Fetches what was asked for. Never rejects: what could not be found out is `unknown`, with the registry's reason and the credentials tried. */
export async function gather(ask: Ask, access: RegistryAccess, registry: Registry, memory: Memory, signal: AbortSignal): Promise<Found> {
  const source: Source = { place: ask.place, access, registry, memory, signal }
  switch (ask.ask) {
    case 'signatures-by-tag':
      return byTag(source, `${ask.tagPrefix}sha256-${hexOf(ask.digest)}.sig`)
    case 'signatures-by-referrers':
      return byReferrers(source, ask.digest)
  }
}

async function byTag(source: Source, tag: string): Promise<Found> {
  const fetched = await source.registry.manifest(source.place, tag, source.access.keychain, source.signal)
  if (fetched.state === 'absent') return { state: 'absent' }
  if (fetched.state === 'failed') return { state: 'unknown', reason: fetched.reason, tried: fetched.tried }
  const reference = `${source.place.registry}/${source.place.repository}:${tag}`
  const manifest = readManifest(fetched.value.bytes, fetched.value.mediaType)
  if (!manifest.ok) return { state: 'unknown', reason: { code: 'registry-malformed', text: `${reference}: ${manifest.detail}` }, tried: [] }
  const layers = signatureLayers(manifest.value, reference)
  if (!layers.ok) return { state: 'unknown', reason: layers.reason, tried: [] }
  if (layers.value.length === 0) return { state: 'absent' }
  return { state: 'found', signatures: await withPayloads(source, fetched.value.digest, layers.value), beyond: 0 }
}

async function byReferrers(source: Source, digest: Digest): Promise<Found> {
  const fetched = await listOf(source, digest)
  if (fetched.state === 'absent') return { state: 'absent' }
  if (fetched.state === 'failed') return { state: 'unknown', reason: fetched.reason, tried: fetched.tried }
  const entries = fetched.value.filter(mayHoldSignature)
  const looked = await fanOut(entries.slice(0, MAX_REFERRERS_FETCHED), (entry) => referrer(source, digest, entry))
  const signatures = looked.flatMap((l) => l.signatures)
  const failure = looked.find((l) => l.failure)?.failure
  // A referrer that cannot be read may be the very signature: with nothing else to try, it is not known whether there is one.
  if (signatures.length === 0 && failure) return { state: 'unknown', ...failure }
  const beyond = Math.max(0, entries.length - MAX_REFERRERS_FETCHED) + looked.filter((l) => l.failure).length
  return signatures.length === 0 && beyond === 0 ? { state: 'absent' } : { state: 'found', signatures, beyond }
}

/** Signatures and attestations are asked for at the same time, and lie in one list. */
function listOf(source: Source, digest: Digest): ReturnType<Registry['referrers']> {
  return source.memory.single(`referrers\n${scopedKey(source, digest)}`, () =>
    source.registry.referrers(source.place, digest, source.access.keychain, source.signal),
  )
}

type Looked = {
  readonly signatures: readonly SignatureEvidence[]
  readonly failure?: { readonly reason: Reason; readonly tried: readonly string[] }
}

async function referrer(source: Source, digest: Digest, entry: Descriptor): Promise<Looked> {
  const content = await contentOf(source, entry, async () => {
    const fetched = await source.registry.manifest(source.place, entry.digest, source.access.keychain, source.signal)
    return fetched.state === 'found' ? { ...fetched, value: fetched.value.bytes } : fetched
  })
  if (!content.ok) return { signatures: [], failure: content }
  const manifest = readManifest(content.bytes, entry.mediaType)
  const held = manifest.ok ? referrerOf(manifest.value, digest) : undefined
  if (!held) return { signatures: [] }
  if (held.holds === 'signatures') return { signatures: await withPayloads(source, entry.digest, held.layers) }
  if (held.predicateType !== undefined && held.predicateType !== SIGN_PREDICATE_TYPE) return { signatures: [] }
  const bundle = await blob(source, held.bundle, MAX_BUNDLE_BYTES)
  return { signatures: [{ form: 'bundle', manifest: entry.digest, layer: held.layer, bytes: bundle.ok ? bundle.bytes : bundle.reason }] }
}

/** Signatures of one image mostly share their payload, so each distinct blob is fetched once. */
async function withPayloads(source: Source, manifest: Digest, layers: readonly SignatureLayer[]): Promise<SignatureEvidence[]> {
  const distinct = new Map(layers.map(({ payload }) => [keyOf(payload), payload]))
  const fetched = await fanOut([...distinct], async ([key, payload]) => [key, await blob(source, payload, MAX_PAYLOAD_BYTES)] as const)
  const blobs = new Map(fetched)
  return layers.map(({ layer, payload, annotations }) => {
    const content = blobs.get(keyOf(payload))
    return {
      form: 'annotations',
      manifest,
      layer,
      annotations,
      payload: content?.ok ? content.bytes : (content?.reason ?? { code: 'internal-error' }),
    }
  })
}

function keyOf({ digest, size }: Descriptor): string {
  return `${digest} ${size}`
}

function blob(source: Source, descriptor: Descriptor, maxBytes: number) {
  return contentOf(source, descriptor, () =>
    source.registry.blob(source.place, descriptor, maxBytes, source.access.keychain, source.signal),
  )
}

type Content =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly reason: Reason; readonly tried: readonly string[] }

/** Content by digest, from memory where whoever asks could read it too: the scope of the credentials is part of the key, and so is the place. */
async function contentOf(source: Source, { digest, size }: Descriptor, fetch: () => ReturnType<Registry['blob']>): Promise<Content> {
  const key = scopedKey(source, `${digest} ${size}`)
  const known = source.memory.content(key)
  if (known) return { ok: true, bytes: known }
  return source.memory.single(`content\n${key}`, async (): Promise<Content> => {
    const fetched = await fetch()
    if (fetched.state !== 'found') return { ok: false, reason: fetched.reason, tried: fetched.tried }
    source.memory.keepContent(key, fetched.value)
    return { ok: true, bytes: fetched.value }
  })
}

function scopedKey({ place: { registry, repository }, access }: Source, digest: string): string {
  return `${registry}/${repository}@${digest} ${access.scope(registry, repository)}`
}
