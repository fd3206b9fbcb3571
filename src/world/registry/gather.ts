import { setImmediate } from 'node:timers/promises'
import type { Digest } from '../../image/digest.ts'
import { hexOf } from '../../image/digest.ts'
import type { Annotations, Descriptor, ImageIndex, ImageManifest } from '../../image/manifest.ts'
import { readManifest } from '../../image/manifest.ts'
import type { Repository } from '../../image/reference.ts'
import type { Ask } from '../../policy/ask.ts'
import type { Referrer, SignatureLayer } from '../../sigstore/annotations.ts'
import { SIGNATURE_ARTIFACT_TYPE, mayHoldSignature, referrerOf, signatureLayers } from '../../sigstore/annotations.ts'
import { MAX_ATTESTATION_BYTES, MAX_BUNDLE_BYTES } from '../../sigstore/bundle.ts'
import type { Found, SignatureEvidence } from '../../sigstore/evidence.ts'
import { MAX_PAYLOAD_BYTES } from '../../sigstore/payload.ts'
import { SIGN_PREDICATE_TYPE } from '../../sigstore/signature.ts'
import type { Reason } from '../../verdict/reason.ts'
import { fanOut } from '../fan-out.ts'
import type { Memory } from '../memory.ts'
import type { RegistryAccess } from './credentials.ts'
import type { Registry } from './registry.ts'

const MAX_REFERRERS_FETCHED = 100 // referrers of one image that are looked into; each costs two requests
const MAX_GATHERED_BYTES = 32 * 1024 * 1024 // of all signatures or attestations of one image in one place: they are held until it is judged
const MAX_TRIED_BYTES = 64 * 1024 * 1024 // of the same, each as often as it counts: a thousand layers may share one payload, and each reads and hashes it
const MUCH_BYTES = 64 * 1024 // of a manifest from which on others have their turn before it is read: 1 MiB of it takes some 3 ms
const MUCH_PIECES = 50 // that one manifest holds, from which on others have their turn between the steps: 1,000 take 1 to 3 ms each
const LARGE = 1024 * 1024 // bytes of a blob from which on only a few are fetched at the same time

const ENVELOPE_TYPE = 'application/vnd.dsse.envelope.v1+json'

/** What is looked for. `max`: bytes of one. */
type Kind = {
  readonly suffix: 'sig' | 'att'
  readonly mayBeIn: (entry: Descriptor) => boolean
  readonly heldBy: (manifest: ImageManifest | ImageIndex, digest: Digest) => Referrer | undefined
  readonly mayBeOfType: (predicateType: string) => boolean
  readonly max: { readonly annotations: number; readonly bundle: number }
}

const SIGNATURES: Kind = {
  suffix: 'sig',
  mayBeIn: mayHoldSignature,
  heldBy: referrerOf,
  mayBeOfType: (type) => type === SIGN_PREDICATE_TYPE,
  max: { annotations: MAX_PAYLOAD_BYTES, bundle: MAX_BUNDLE_BYTES },
}

const ATTESTATIONS: Kind = {
  suffix: 'att',
  mayBeIn: (entry) => isOfInToto(entry.artifactType) || (mayHoldSignature(entry) && entry.artifactType !== SIGNATURE_ARTIFACT_TYPE),
  heldBy: attestationsIn,
  mayBeOfType: () => true,
  max: { annotations: MAX_ATTESTATION_BYTES, bundle: MAX_ATTESTATION_BYTES },
}

/**
 * What the manifest of a referrer of `digest` holds: a bundle, or DSSE envelopes, as cosign 2 writes them (specification 7.5, `enable-oci11`).
 * Nothing is believed because it lies here (Q12): an envelope from a referrer is verified as one from under a tag.
 */
function attestationsIn(manifest: ImageManifest | ImageIndex, digest: Digest): Referrer | undefined {
  if (manifest.kind === 'index' || manifest.subject?.digest !== digest) return undefined
  const held = referrerOf(manifest, digest)
  if (held) return held.holds === 'bundle' ? held : undefined
  const isEnvelopes =
    isOfInToto(manifest.artifactType ?? manifest.config?.mediaType) || manifest.layers.some((l) => l.mediaType === ENVELOPE_TYPE)
  if (!isEnvelopes) return undefined
  return { holds: 'signatures', layers: manifest.layers.map((payload, layer) => ({ layer, payload, annotations: payload.annotations })) }
}

function isOfInToto(type: string | undefined): boolean {
  return type?.includes('in-toto') === true
}

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
      return byTag(source, tagOf(ask, SIGNATURES), SIGNATURES)
    case 'signatures-by-referrers':
      return byReferrers(source, ask.digest, SIGNATURES)
    case 'attestations-by-tag':
      return byTag(source, tagOf(ask, ATTESTATIONS), ATTESTATIONS)
    case 'attestations-by-referrers':
      return byReferrers(source, ask.digest, ATTESTATIONS)
  }
}

function tagOf({ tagPrefix, digest }: Ask, { suffix }: Kind): string {
  return `${tagPrefix}sha256-${hexOf(digest)}.${suffix}`
}

async function byTag(source: Source, tag: string, kind: Kind): Promise<Found> {
  const fetched = await source.registry.manifest(source.place, tag, source.access.keychain, source.signal)
  if (fetched.state === 'absent') return { state: 'absent' }
  if (fetched.state === 'failed') return { state: 'unknown', reason: fetched.reason, tried: fetched.tried }
  await afterOthers(fetched.value.bytes.length > MUCH_BYTES)
  const reference = `${source.place.registry}/${source.place.repository}:${tag}`
  const manifest = readManifest(fetched.value.bytes, fetched.value.mediaType)
  if (!manifest.ok) {
    const further: Reason = { code: 'registry-malformed', text: `${reference} is no manifest` }
    return { state: 'unknown', reason: { code: 'registry-malformed', text: manifest.detail }, tried: [], further }
  }
  const layers = signatureLayers(manifest.value, reference)
  if (!layers.ok) return { state: 'unknown', reason: layers.reason, tried: [] }
  if (layers.value.length === 0) return { state: 'absent' }
  const { signatures, beyond } = await withContent(source, piecesOf(fetched.value.digest, layers.value), kind)
  return { state: 'found', signatures, beyond }
}

async function byReferrers(source: Source, digest: Digest, kind: Kind): Promise<Found> {
  const fetched = await listOf(source, digest)
  if (fetched.state === 'absent') return { state: 'absent' }
  if (fetched.state === 'failed') return { state: 'unknown', reason: fetched.reason, tried: fetched.tried }
  const entries = fetched.value.filter(kind.mayBeIn)
  const looked = await fanOut(entries.slice(0, MAX_REFERRERS_FETCHED), (entry) => referrer(source, digest, entry, kind))
  const pieces = looked.flatMap((l) => l.pieces)
  const failures = looked.flatMap((l) => (l.failure ? [l.failure] : []))
  // A referrer that cannot be read may be the very signature: with nothing else to try, it is not known whether there is one.
  if (pieces.length === 0 && failures[0]) return { state: 'unknown', ...failures[0] }
  const unread = Math.max(0, entries.length - MAX_REFERRERS_FETCHED) + failures.length
  const { signatures, beyond } = await withContent(source, pieces, kind)
  return pieces.length === 0 && unread === 0 ? { state: 'absent' } : { state: 'found', signatures, beyond: beyond + unread }
}

/** Signatures and attestations are asked for at the same time, and lie in one list. */
function listOf(source: Source, digest: Digest): ReturnType<Registry['referrers']> {
  return source.memory.single(`referrers\n${scopedKey(source, digest)}`, () =>
    source.registry.referrers(source.place, digest, source.access.keychain, source.signal),
  )
}

/** Where in a manifest one signature or attestation lies; its annotations where it is of the old form. */
type Piece = { readonly manifest: Digest; readonly layer: number; readonly content: Descriptor } & (
  | { readonly form: 'annotations'; readonly annotations: Annotations }
  | { readonly form: 'bundle' }
)

type Looked = {
  readonly pieces: readonly Piece[]
  readonly failure?: { readonly reason: Reason; readonly tried: readonly string[] }
}

async function referrer(source: Source, digest: Digest, entry: Descriptor, kind: Kind): Promise<Looked> {
  const content = await contentOf(source, entry, async () => {
    const fetched = await source.registry.manifest(source.place, entry.digest, source.access.keychain, source.signal)
    return fetched.state === 'found' ? { ...fetched, value: fetched.value.bytes } : fetched
  })
  if (!content.ok) return { pieces: [], failure: content }
  await afterOthers(content.bytes.length > MUCH_BYTES)
  const manifest = readManifest(content.bytes, entry.mediaType)
  const held = manifest.ok ? kind.heldBy(manifest.value, digest) : undefined
  if (!held) return { pieces: [] }
  if (held.holds === 'signatures') return { pieces: piecesOf(entry.digest, held.layers) }
  // The annotation may spare a fetch; nothing counts because of it.
  if (held.predicateType !== undefined && !kind.mayBeOfType(held.predicateType)) return { pieces: [] }
  return { pieces: [{ form: 'bundle', manifest: entry.digest, layer: held.layer, content: held.bundle }] }
}

function piecesOf(manifest: Digest, layers: readonly SignatureLayer[]): readonly Piece[] {
  return layers.map(({ layer, payload, annotations }) => ({ form: 'annotations', manifest, layer, content: payload, annotations }))
}

/** Fetches the pieces, each distinct blob once: signatures of one image mostly share their payload. What is beyond the bound on all is counted. */
async function withContent(
  source: Source,
  pieces: readonly Piece[],
  kind: Kind,
): Promise<{ readonly signatures: readonly SignatureEvidence[]; readonly beyond: number }> {
  await afterOthers(pieces.length > MUCH_PIECES)
  const affordable = within(pieces, kind)
  const distinct = new Map(affordable.map((piece) => [keyOf(piece.content), piece]))
  await afterOthers(pieces.length > MUCH_PIECES)
  const fetched = await fanOut(
    [...distinct],
    async ([key, { content, form }]) => [key, await blob(source, content, kind.max[form])] as const,
  )
  await afterOthers(pieces.length > MUCH_PIECES)
  const blobs = new Map(fetched)
  const signatures = affordable.map((piece): SignatureEvidence => {
    const found = blobs.get(keyOf(piece.content))
    const bytes = found?.ok ? found.bytes : (found?.reason ?? { code: 'internal-error' as const })
    const { manifest, layer } = piece
    if (piece.form === 'bundle') return { form: 'bundle', manifest, layer, bytes }
    return { form: 'annotations', manifest, layer, annotations: piece.annotations, payload: bytes }
  })
  return { signatures, beyond: pieces.length - affordable.length }
}

/** Lets others have their turn, where what follows is so much that they would wait for it. */
async function afterOthers(isMuch: boolean): Promise<void> {
  if (isMuch) await setImmediate()
}

/**
 * The pieces that are held in memory together, and that are read in a bounded time. One that is too large by itself is not fetched, so it costs
 * nothing and says why.
 */
function within(pieces: readonly Piece[], { max }: Kind): readonly Piece[] {
  const counted = new Set<string>()
  let left = MAX_GATHERED_BYTES
  let toTry = MAX_TRIED_BYTES
  return pieces.filter(({ content, form }) => {
    if (content.size > max[form]) return true
    const isHeld = counted.has(keyOf(content))
    if (content.size > toTry || (!isHeld && content.size > left)) return false
    toTry -= content.size
    if (isHeld) return true
    counted.add(keyOf(content))
    left -= content.size
    return true
  })
}

function keyOf({ digest, size }: Descriptor): string {
  return `${digest} ${size}`
}

async function blob(source: Source, descriptor: Descriptor, maxBytes: number): Promise<Content> {
  const fetch = () => source.registry.blob(source.place, descriptor, maxBytes, source.access.keychain, source.signal)
  // One that is too large for this question is not asked for, and another question may take it.
  return descriptor.size > maxBytes ? contentIn(await fetch()) : contentOf(source, descriptor, fetch)
}

type Content =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly reason: Reason; readonly tried: readonly string[] }

/** Content by digest, from memory where whoever asks could read it too: the scope of the credentials is part of the key, and so is the place. */
async function contentOf(source: Source, { digest, size }: Descriptor, fetch: () => ReturnType<Registry['blob']>): Promise<Content> {
  const { registry, repository } = source.place
  const key = scopedKey(source, `${digest} ${size}`)
  const known = source.memory.content(key)
  if (known) return { ok: true, bytes: known }
  return source.memory.single(`content\n${key}`, async () => {
    const isLarge = size > LARGE
    if (isLarge && (await source.memory.large.take(source.signal)) !== 'taken')
      return {
        ok: false,
        reason: { code: 'registry-timeout', text: `${registry}/${repository}@${digest}: too much is being fetched` },
        tried: [],
      }
    try {
      const content = contentIn(await fetch())
      if (content.ok) source.memory.keepContent(key, content.bytes)
      return content
    } finally {
      if (isLarge) source.memory.large.release()
    }
  })
}

function contentIn(fetched: Awaited<ReturnType<Registry['blob']>>): Content {
  return fetched.state === 'found' ? { ok: true, bytes: fetched.value } : { ok: false, reason: fetched.reason, tried: fetched.tried }
}

function scopedKey({ place: { registry, repository }, access }: Source, digest: string): string {
  return `${registry}/${repository}@${digest} ${access.scope(registry, repository)}`
}
