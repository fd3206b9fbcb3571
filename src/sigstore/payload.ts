import type { Json, JsonObject } from '../image/json.ts'
import { isJsonObject, readJson } from '../image/json.ts'
import type { Read } from '../verdict/read.ts'

/** Bytes of a simple-signing payload. One has about 250, with annotations a few KiB; whoever fetches them needs not take more. */
export const MAX_PAYLOAD_BYTES = 1024 * 1024
const MAX_DEPTH = 32 // objects and arrays within each other; a payload has 3
const MAX_VALUES = 20_000 // keeps reading within a few milliseconds

/** What a simple-signing payload claims (containers/image, «Simple signing»; cosign's signature specification). */
export type Payload = {
  /** `critical.image.docker-manifest-digest`, '' when there is none. */
  readonly digest: string
  /** `optional`: what the signer annotated. */
  readonly annotations: JsonObject
}

/**
 * Reads a simple-signing payload whose signature was verified: what it says is its signer's word. Field names match in any case and the last
 * one counts, as in the reader that signers test against; `type`, `docker-reference` and the rest are only looked at for being texts.
 * Answers `payload-malformed`; never throws.
 */
export function readPayload(bytes: Uint8Array): Read<Payload> {
  const read = readJson(bytes, { bytes: MAX_PAYLOAD_BYTES, depth: MAX_DEPTH, values: MAX_VALUES })
  if (!read.ok) return malformed(read.detail)
  if (read.value !== null && !isJsonObject(read.value))
    return malformed(`json: cannot unmarshal ${kindOf(read.value)} into Go value of type payload.SimpleContainerImage`)

  let digest = ''
  let annotations: JsonObject = {}
  const wrong: string[] = []
  const takeText = (value: Json, path: string): string | undefined => {
    if (typeof value === 'string') return value
    if (value !== null) wrong.push(`json: cannot unmarshal ${kindOf(value)} into Go struct field ${path} of type string`)
    return undefined
  }
  const takeObject = (value: Json, path: string): JsonObject => {
    if (isJsonObject(value)) return value
    if (value !== null) wrong.push(`json: cannot unmarshal ${kindOf(value)} into Go struct field ${path}`)
    return {}
  }
  for (const critical of members(read.value, 'critical')) {
    const object = takeObject(critical, 'SimpleContainerImage.critical')
    for (const identity of members(object, 'identity')) {
      for (const reference of members(takeObject(identity, 'Critical.critical.identity'), 'docker-reference'))
        takeText(reference, 'Identity.critical.identity.docker-reference')
    }
    for (const image of members(object, 'image')) {
      for (const claimed of members(takeObject(image, 'Critical.critical.image'), 'docker-manifest-digest')) {
        digest = takeText(claimed, 'Image.critical.image.docker-manifest-digest') ?? digest
      }
    }
    for (const type of members(object, 'type')) takeText(type, 'Critical.critical.type')
  }
  for (const optional of members(read.value, 'optional')) annotations = takeObject(optional, 'SimpleContainerImage.optional')
  const first = wrong[0]
  return first === undefined ? { ok: true, value: { digest, annotations } } : malformed(first)
}

/** The members of an object whose name is `name` in any case, in the order they were written. */
function members(object: Json, name: string): Json[] {
  if (!isJsonObject(object)) return []
  return Object.entries(object)
    .filter(([key]) => key.toLowerCase() === name)
    .map(([, value]) => value)
}

function kindOf(value: Json): string {
  return Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value
}

function malformed(detail: string): Read<never> {
  return { ok: false, reason: { code: 'payload-malformed', detail } }
}
