import type { Digest } from '../image/digest.ts'
import type { Annotations, Descriptor, ImageIndex, ImageManifest } from '../image/manifest.ts'
import type { Read } from '../verdict/read.ts'

/** The annotations of a signature's layer (cosign SIGNATURE_SPEC, «Properties»). */
export const SIGNATURE_ANNOTATION = 'dev.cosignproject.cosign/signature'
export const CERTIFICATE_ANNOTATION = 'dev.sigstore.cosign/certificate'
export const CHAIN_ANNOTATION = 'dev.sigstore.cosign/chain'
export const LOG_ANNOTATION = 'dev.sigstore.cosign/bundle'
export const TIMESTAMP_ANNOTATION = 'dev.sigstore.cosign/rfc3161timestamp'
/** What a bundle's manifest says of the statement in it. Nobody believes it: it may spare a fetch, never stand for one. */
export const PREDICATE_TYPE_ANNOTATION = 'dev.sigstore.bundle.predicateType'

export const SIGNATURE_ARTIFACT_TYPE = 'application/vnd.dev.cosign.artifact.sig.v1+json'
const SIGNATURE_LAYER_TYPE = 'application/vnd.dev.cosign.simplesigning.v1+json'
/** `….bundle+json;version=0.1` up to `….bundle.v0.3+json`. */
const BUNDLE_TYPE_PREFIX = 'application/vnd.dev.sigstore.bundle'

/** Where in a manifest a signature lies: its payload is the layer's blob, the rest is in the layer's annotations. */
export type SignatureLayer = { readonly layer: number; readonly payload: Descriptor; readonly annotations: Annotations }

/**
 * The signatures in what a `.sig` tag holds: every layer is one, whatever its media type. `reference` is `registry/repository:tag`, for the
 * message about an index, which the tag must not hold. No layers: no signatures.
 */
export function signatureLayers(manifest: ImageManifest | ImageIndex, reference: string): Read<readonly SignatureLayer[]> {
  // Taking a child of an index by platform, as a container runtime would, could make two readers see different signatures.
  if (manifest.kind === 'index')
    return { ok: false, reason: { code: 'signature-manifest-unusable', text: `no child with platform linux/amd64 in index ${reference}` } }
  return { ok: true, value: manifest.layers.map((payload, layer) => ({ layer, payload, annotations: payload.annotations })) }
}

/** What a referrer holds. `predicateType` is what its annotations say, unbelieved. */
export type Referrer =
  | { readonly holds: 'bundle'; readonly bundle: Descriptor; readonly layer: number; readonly predicateType: string | undefined }
  | { readonly holds: 'signatures'; readonly layers: readonly SignatureLayer[] }

/**
 * Whether an entry of a referrers list is worth fetching. By its artifact type, except where there is none or only that of an empty config:
 * registries without the referrers API have what the pusher wrote into the fallback tag, and not all write the artifact type.
 */
export function mayHoldSignature(entry: Descriptor): boolean {
  const type = entry.artifactType ?? ''
  return (
    type === '' || type === 'application/vnd.oci.empty.v1+json' || type === SIGNATURE_ARTIFACT_TYPE || type.startsWith(BUNDLE_TYPE_PREFIX)
  )
}

/**
 * What the manifest of a referrer of `digest` holds: one Sigstore bundle, or signatures of the old form (OCI 1.1, cosign's
 * `--registry-referrers-mode`). Undefined: neither, or its subject is another image.
 */
export function referrerOf(manifest: ImageManifest | ImageIndex, digest: Digest): Referrer | undefined {
  if (manifest.kind === 'index' || manifest.subject?.digest !== digest) return undefined
  const [first] = manifest.layers
  if (first && manifest.layers.length === 1 && first.mediaType.startsWith(BUNDLE_TYPE_PREFIX)) {
    return { holds: 'bundle', bundle: first, layer: 0, predicateType: manifest.annotations[PREDICATE_TYPE_ANNOTATION] }
  }
  const signatures = manifest.artifactType === SIGNATURE_ARTIFACT_TYPE || manifest.config?.mediaType === SIGNATURE_ARTIFACT_TYPE
  if (!signatures && !manifest.layers.some((l) => l.mediaType === SIGNATURE_LAYER_TYPE)) return undefined
  return { holds: 'signatures', layers: manifest.layers.map((payload, layer) => ({ layer, payload, annotations: payload.annotations })) }
}
