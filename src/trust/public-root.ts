import { isJsonObject, readJson } from '../image/json.ts'
import { sentenceOf } from '../verdict/reason.ts'
import type { TrustMaterial } from './material.ts'
import embedded from './public-root.json' with { type: 'json' }
import staging from './staging-root.json' with { type: 'json' }
import { readTrustedRoot } from './trusted-root.ts'

/** The TUF root metadata of the public Sigstore instance, version 16: what a TUF client starts from. */
export const publicTufRoot: Uint8Array = Buffer.from(embedded.root)

/** When that TUF root expires, in ms since 1970: the embedded trust root is believed until then, and no longer. */
export const publicRootExpires: number = expiryOf(publicTufRoot)

let parsed: TrustMaterial | undefined

/** What is trusted of the public Sigstore instance, as `@sigstore/tuf` brings it along, without any network. Read at the first call. */
export function publicRoot(): TrustMaterial {
  parsed ??= { ...read(embedded.trustedRoot, 'the public Sigstore instance'), until: publicRootExpires }
  return parsed
}

/**
 * What is trusted of Sigstore's staging instance, for those who try things out: as sigstore-python 4 brings it along. Nobody should
 * admit a workload by it.
 */
export function stagingRoot(): TrustMaterial {
  return read(JSON.stringify(staging), 'the staging Sigstore instance')
}

function read(text: string, name: string): TrustMaterial {
  const material = readTrustedRoot(text, name)
  if (!material.ok) throw new Error(sentenceOf(material.reason)) // our own file
  return material.value
}

function expiryOf(root: Uint8Array): number {
  const json = readJson(root, { bytes: 1024 * 1024, depth: 16, values: 20_000 })
  const signed = json.ok && isJsonObject(json.value) ? json.value['signed'] : undefined
  const expires = isJsonObject(signed) ? signed['expires'] : undefined
  const at = Date.parse(typeof expires === 'string' ? expires : '')
  if (Number.isNaN(at)) throw new Error('the embedded TUF root has no expiry') // likewise
  return at
}
