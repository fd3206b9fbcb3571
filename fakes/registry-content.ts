import type { Digest } from '../src/image/digest.ts'
import { digestOf } from '../src/image/digest.ts'

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'

/** What was stored, as descriptors name it. */
export type Put = { readonly mediaType: string; readonly digest: Digest; readonly size: number }

type Manifest = { readonly digest: Digest; readonly bytes: Uint8Array; readonly mediaType: string }
type Tag = { readonly digests: readonly Digest[]; next: number }
type Stored = { readonly manifests: Map<string, Manifest>; readonly blobs: Map<string, Uint8Array>; readonly tags: Map<string, Tag> }
/** The fields of a manifest that a registry looks at. */
type Fields = {
  readonly mediaType?: string
  readonly artifactType?: string
  readonly config?: { readonly mediaType?: string }
  readonly subject?: { readonly digest?: Digest }
  readonly annotations?: Readonly<Record<string, string>>
  readonly manifests?: unknown
}

/** What a registry holds: for each repository its manifests, blobs and tags. */
export class Content {
  readonly #repositories = new Map<string, Stored>()

  blob(repository: string, content: Uint8Array | string): Put {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    const digest = digestOf(bytes)
    this.#at(repository).blobs.set(digest, bytes)
    return { mediaType: 'application/octet-stream', digest, size: bytes.length }
  }

  /** Stores other bytes under a digest than it is of, which no honest registry does. */
  falsify(repository: string, digest: Digest, bytes: Uint8Array): void {
    const stored = this.#at(repository)
    const manifest = stored.manifests.get(digest)
    if (manifest) stored.manifests.set(digest, { ...manifest, bytes })
    else stored.blobs.set(digest, bytes)
  }

  manifest(repository: string, content: object | Uint8Array, tag?: string, mediaType?: string): Put {
    const bytes = content instanceof Uint8Array ? content : Buffer.from(JSON.stringify(content))
    const fields = fieldsOf(bytes)
    const type = mediaType ?? fields.mediaType ?? (fields.manifests === undefined ? OCI_MANIFEST : OCI_INDEX)
    const digest = digestOf(bytes)
    this.#at(repository).manifests.set(digest, { digest, bytes, mediaType: type })
    if (tag !== undefined) this.tag(repository, tag, [digest])
    return { mediaType: type, digest, size: bytes.length }
  }

  tag(repository: string, tag: string, digests: readonly Digest[]): void {
    this.#at(repository).tags.set(tag, { digests, next: 0 })
  }

  tags(repository: string): readonly string[] {
    return [...(this.#repositories.get(repository)?.tags.keys() ?? [])].sort()
  }

  /** What a tag or a digest names now. */
  find(repository: string, reference: string): Manifest | undefined {
    const stored = this.#repositories.get(repository)
    const tag = stored?.tags.get(reference)
    const digest = tag ? tag.digests[tag.next++ % tag.digests.length] : reference
    return digest === undefined ? undefined : stored?.manifests.get(digest)
  }

  readBlob(repository: string, digest: string): Uint8Array | undefined {
    return this.#repositories.get(repository)?.blobs.get(digest)
  }

  subjectOf(repository: string, digest: Digest): Digest | undefined {
    const manifest = this.#repositories.get(repository)?.manifests.get(digest)
    return manifest && fieldsOf(manifest.bytes).subject?.digest
  }

  /** The descriptors of what names `subject`, in the order in which it was stored (distribution-spec, «Listing Referrers»). */
  referrers(repository: string, subject: string, artifactType: string | undefined): readonly object[] {
    const manifests = [...(this.#repositories.get(repository)?.manifests.values() ?? [])]
    return manifests.flatMap(({ digest, bytes, mediaType }) => {
      const fields = fieldsOf(bytes)
      const type = fields.artifactType ?? fields.config?.mediaType
      if (fields.subject?.digest !== subject || (artifactType !== undefined && artifactType !== type)) return []
      const { annotations } = fields
      return [
        {
          mediaType,
          digest,
          size: bytes.length,
          ...(type === undefined ? {} : { artifactType: type }),
          ...(annotations ? { annotations } : {}),
        },
      ]
    })
  }

  #at(repository: string): Stored {
    let stored = this.#repositories.get(repository)
    if (!stored) this.#repositories.set(repository, (stored = { manifests: new Map(), blobs: new Map(), tags: new Map() }))
    return stored
  }
}

/** Tests store what is no manifest, too. */
function fieldsOf(bytes: Uint8Array): Fields {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null ? (value as Fields) : {}
  } catch {
    return {}
  }
}
