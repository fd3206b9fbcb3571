import type { Filling, JsonObject } from '../image/json.ts'
import { isJsonObject } from '../image/json.ts'

const TARGETS = 'targets' // the folder of a TUF repository's targets

/** What a TrustRoot's spec leaves out and means all the same (specification 2.1). */
export function missingInTrustRoot(spec: JsonObject): readonly Filling[] {
  return ['remote', 'repository'].flatMap((kind) => {
    const repository = spec[kind]
    const isMissing = isJsonObject(repository) && (repository['targets'] ?? '') === ''
    return isMissing ? [{ at: [kind, 'targets'], value: TARGETS }] : []
  })
}
