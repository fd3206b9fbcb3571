import type { Digest } from './digest.ts'
import { isDigest } from './digest.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonObject, readJson } from './json.ts'

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024 // what registries take at most (OCI distribution-spec, «Pushing Manifests»)
const MAX_DEPTH = 32 // objects and arrays within each other; a manifest has 4
const MAX_VALUES = 50_000 // scalars, objects, arrays, keys and escapes: keeps reading under 10 ms
const MAX_LAYERS = 1000 // upstream's own limit on signatures of one image
const MAX_DESCRIPTORS = 2500 // entries of an index; a fallback tag holds every referrer of an image
const MAX_ANNOTATIONS = 256 // of one object

/** A pointer to content (OCI image-spec, «Descriptor»). Its annotations were written by whoever pushed it. */
export type Descriptor = {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
  readonly artifactType: string | undefined
  readonly annotations: Annotations
  readonly platform: Platform | undefined
}

export type Annotations = Readonly<Record<string, string>>
export type Platform = { readonly os: string; readonly architecture: string; readonly variant: string | undefined }

export type ImageManifest = {
  readonly kind: 'manifest'
  readonly mediaType: string
  /** As OCI 1.1 defaults it: the config's media type when the manifest names none. */
  readonly artifactType: string | undefined
  readonly config: Descriptor | undefined
  readonly layers: readonly Descriptor[]
  readonly subject: Descriptor | undefined
  readonly annotations: Annotations
}

export type ImageIndex = {
  readonly kind: 'index'
  readonly mediaType: string
  readonly artifactType: string | undefined
  readonly manifests: readonly Descriptor[]
  /** Entries that are no descriptors, or not by SHA-256: left out, since one of them must not hide all others. */
  readonly unreadable: number
  readonly subject: Descriptor | undefined
  readonly annotations: Annotations
}

/** `detail` is a sentence for people; this folder knows no reasons. */
export type ManifestRead<T = ImageManifest | ImageIndex> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly detail: string }

const INDEX_TYPES: readonly string[] = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]
const MANIFEST_TYPES: readonly string[] = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]

/** What to send as `Accept` when a manifest or an index is asked for. */
export const MANIFEST_ACCEPT: readonly string[] = [...MANIFEST_TYPES, ...INDEX_TYPES]

/**
 * Reads an image manifest or index (OCI 1.0 and 1.1, Docker schema 2). `mediaType` is the response's Content-Type, or undefined.
 * `bytes` come from a registry: nobody believes them until their digest was compared, and never what they say of other content.
 * A document that could be read as either kind is refused (GHSA-77vh-xpmg-72qh). At most 4 MiB, 1000 layers. Never throws.
 */
export function readManifest(bytes: Uint8Array, mediaType: string | undefined): ManifestRead {
  const read = readJson(bytes, { bytes: MAX_MANIFEST_BYTES, depth: MAX_DEPTH, values: MAX_VALUES })
  if (!read.ok) return read
  if (!isJsonObject(read.value)) return wrong('the manifest is not an object')
  const document = read.value

  const own = optionalText(document['mediaType'])
  if (own === undefined) return wrong('mediaType is not a text')
  const kinds = [
    kindOfType(mediaType?.split(';')[0]?.trim().toLowerCase()),
    kindOfType(own || undefined),
    ...kindsOfShape(document),
  ].filter((k) => k !== undefined)
  const kind = kinds[0] ?? 'manifest'
  if (kinds.some((k) => k !== kind)) return wrong('the manifest can be read both as an image and as an index')
  return kind === 'index' ? readIndex(document, own) : readImage(document, own)
}

function kindOfType(mediaType: string | undefined): 'manifest' | 'index' | undefined {
  if (mediaType === undefined) return undefined
  return INDEX_TYPES.includes(mediaType) ? 'index' : MANIFEST_TYPES.includes(mediaType) ? 'manifest' : undefined
}

function kindsOfShape(document: JsonObject): ('manifest' | 'index')[] {
  const has = (key: string): boolean => document[key] !== undefined && document[key] !== null
  return [...(has('layers') || has('config') ? (['manifest'] as const) : []), ...(has('manifests') ? (['index'] as const) : [])]
}

function readImage(document: JsonObject, mediaType: string): ManifestRead<ImageManifest> {
  const about = readAbout(document)
  if (!about.ok) return about
  const list = document['layers'] ?? []
  if (!Array.isArray(list)) return wrong('layers is not a list')
  if (list.length > MAX_LAYERS) return wrong(`number of layers (${list.length}) exceeded the limit (${MAX_LAYERS})`)
  const layers: Descriptor[] = []
  for (const [i, entry] of (list as readonly Json[]).entries()) {
    const layer = readDescriptor(entry)
    if (!layer) return wrong(`layers[${i}] is not a descriptor by SHA-256`)
    layers.push(layer)
  }
  const config = optionalDescriptor(document['config'])
  if (config === null) return wrong('config is not a descriptor by SHA-256')
  const { subject, annotations, artifactType } = about.value
  return {
    ok: true,
    value: { kind: 'manifest', mediaType, artifactType: artifactType ?? config?.mediaType, config, layers, subject, annotations },
  }
}

function readIndex(document: JsonObject, mediaType: string): ManifestRead<ImageIndex> {
  const about = readAbout(document)
  if (!about.ok) return about
  const list = document['manifests'] ?? []
  if (!Array.isArray(list)) return wrong('manifests is not a list')
  if (list.length > MAX_DESCRIPTORS) return wrong(`number of manifests (${list.length}) exceeded the limit (${MAX_DESCRIPTORS})`)
  const manifests = (list as readonly Json[]).map(readDescriptor).filter((d) => d !== undefined)
  return { ok: true, value: { kind: 'index', mediaType, ...about.value, manifests, unreadable: list.length - manifests.length } }
}

type About = { readonly subject: Descriptor | undefined; readonly annotations: Annotations; readonly artifactType: string | undefined }

function readAbout(document: JsonObject): ManifestRead<About> {
  const subject = optionalDescriptor(document['subject'])
  if (subject === null) return wrong('subject is not a descriptor by SHA-256')
  const annotations = readAnnotations(document['annotations'])
  if (!annotations) return wrong('annotations are not texts by name')
  const artifactType = optionalText(document['artifactType'])
  if (artifactType === undefined) return wrong('artifactType is not a text')
  return { ok: true, value: { subject, annotations, artifactType: artifactType || undefined } }
}

/** Undefined when absent, null when it cannot be read. */
function optionalDescriptor(value: Json | undefined): Descriptor | undefined | null {
  return value === undefined || value === null ? undefined : (readDescriptor(value) ?? null)
}

function readDescriptor(value: Json): Descriptor | undefined {
  if (!isJsonObject(value)) return undefined
  const { digest, size } = value
  const mediaType = optionalText(value['mediaType'])
  const artifactType = optionalText(value['artifactType'])
  const annotations = readAnnotations(value['annotations'])
  if (typeof digest !== 'string' || !isDigest(digest) || typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    return undefined
  if (mediaType === undefined || artifactType === undefined || !annotations) return undefined
  return { mediaType, digest, size, artifactType: artifactType || undefined, annotations, platform: readPlatform(value['platform']) }
}

function readPlatform(value: Json | undefined): Platform | undefined {
  if (!isJsonObject(value)) return undefined
  const { os, architecture, variant } = value
  return typeof os === 'string' && typeof architecture === 'string'
    ? { os, architecture, variant: typeof variant === 'string' ? variant : undefined }
    : undefined
}

function readAnnotations(value: Json | undefined): Annotations | undefined {
  if (value === undefined || value === null) return {}
  if (!isJsonObject(value)) return undefined
  const entries = Object.entries(value)
  const sound = entries.length <= MAX_ANNOTATIONS && entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')
  return sound ? Object.fromEntries(entries as [string, string][]) : undefined
}

/** '' when absent, undefined when it is something else than a text. */
function optionalText(value: Json | undefined): string | undefined {
  return value === undefined || value === null ? '' : typeof value === 'string' ? value : undefined
}

function wrong(detail: string): { readonly ok: false; readonly detail: string } {
  return { ok: false, detail }
}
