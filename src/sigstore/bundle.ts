import type { Bundle } from '@sigstore/bundle'
import { ValidationError, bundleFromJSON } from '@sigstore/bundle'
import type { Json } from '../image/json.ts'
import { isJsonObject, isJsonText, readJson, readJsonWithout } from '../image/json.ts'
import type { Read } from '../verdict/read.ts'
import { decodeBase64In } from './base64.ts'

/** Bytes of a Sigstore bundle; whoever fetches them needs not take more. Largest seen in public registries: 900 KiB; verifying 1 MiB takes 7 ms. */
export const MAX_BUNDLE_BYTES = 1024 * 1024
const MAX_DEPTH = 32 // objects and arrays within each other; the bundle format has 8
const MAX_VALUES = 20_000 // keeps reading within a few milliseconds
const MAX_LOG_ENTRIES = 32 // as in other clients of Sigstore (GHSA-4qg8-fj49-pxjh: an unbounded count)
const MAX_TIMESTAMPS = 32 // likewise
const MEDIA_TYPES: readonly string[] = [
  'application/vnd.dev.sigstore.bundle+json;version=0.1',
  'application/vnd.dev.sigstore.bundle+json;version=0.2',
  'application/vnd.dev.sigstore.bundle+json;version=0.3',
  'application/vnd.dev.sigstore.bundle.v0.3+json',
]

/** Bytes of a bundle that holds an attestation: an SBOM of a large image has some 5 MiB, and base64 adds a third. */
export const MAX_ATTESTATION_BYTES = 16 * 1024 * 1024
/**
 * Reads a Sigstore bundle v0.1, v0.2 or v0.3 (protobuf-specs `sigstore_bundle.proto` as JSON). Nobody believes it yet, its key hint and key
 * ids least of all. At most `maxBytes`, 32 log entries, 32 timestamps, and exactly one signature in an envelope, as the format demands.
 * Answers `bundle-malformed`; never throws.
 */
export function readBundle(bytes: Uint8Array, maxBytes: number = MAX_BUNDLE_BYTES): Read<Bundle> {
  const read = readJson(bytes, { bytes: maxBytes, depth: MAX_DEPTH, values: MAX_VALUES })
  return read.ok ? bundleIn(read.value) : malformed(read.detail)
}

/** As `readBundle`, however large the payload of its envelope is: others have their turn meanwhile. All else in it has at most 1 MiB. */
export async function readBundleInTurns(bytes: Uint8Array, maxBytes: number, turn: () => Promise<void>): Promise<Read<Bundle>> {
  const read = await readJsonWithout(bytes, ['dsseEnvelope', 'payload'], { bytes: maxBytes, depth: MAX_DEPTH, values: MAX_VALUES }, turn)
  if (!read.ok) return malformed(read.detail)
  const { rest, cut } = read.value
  const bundle = bundleIn(rest)
  if (!bundle.ok || cut === undefined || bundle.value.content.$case !== 'dsseEnvelope') return bundle
  const payload = isJsonText(cut) ? await decodeBase64In(cut, false, turn) : undefined
  if (!payload?.ok) return malformed(OTHER_TYPE)
  if (payload.bytes.length === 0) return malformed('missing or wrong: content.dsseEnvelope.payload')
  bundle.value.content.dsseEnvelope.payload = payload.bytes
  return bundle
}

const OTHER_TYPE = 'a field has another type than the format says'

function bundleIn(json: Json): Read<Bundle> {
  if (!isJsonObject(json)) return malformed('it is not an object')
  const mediaType = json['mediaType']
  if (typeof mediaType !== 'string' || !MEDIA_TYPES.includes(mediaType))
    return malformed('its media type is not that of a bundle v0.1, v0.2 or v0.3')
  let bundle: Bundle
  try {
    bundle = bundleFromJSON(json)
  } catch (error) {
    // The library throws for what is missing, and its parts throw TypeErrors for what has another type.
    return malformed(error instanceof ValidationError ? `missing or wrong: ${error.fields.slice(0, 8).join(', ')}` : OTHER_TYPE)
  }
  const { tlogEntries, timestampVerificationData: timestamps } = bundle.verificationMaterial
  if (tlogEntries.length > MAX_LOG_ENTRIES)
    return malformed(`number of log entries (${tlogEntries.length}) exceeded the limit (${MAX_LOG_ENTRIES})`)
  const stamps = timestamps?.rfc3161Timestamps.length ?? 0
  if (stamps > MAX_TIMESTAMPS) return malformed(`number of timestamps (${stamps}) exceeded the limit (${MAX_TIMESTAMPS})`)
  return { ok: true, value: bundle }
}

function malformed(detail: string): Read<never> {
  return { ok: false, reason: { code: 'bundle-malformed', detail } }
}
