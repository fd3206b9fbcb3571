import type { ClusterObjects } from './objects.ts'
import type { PolicySpec } from './read.ts'
import { isObject } from './shape.ts'

/** The ConfigMaps, or entries of them, that a policy names and that are not there, in the words and order of specification 8.7. */
export function missingConfigMaps(spec: PolicySpec, configMaps: ClusterObjects['configMaps']): readonly string[] {
  const sources = [...(spec.authorities ?? []).flatMap((a) => (a.attestations ?? []).map(({ policy }) => policy)), spec.policy]
  const missing = sources.flatMap((source) => {
    const { name, key } = source?.configMapRef ?? {}
    if (!name || !key) return []
    const configMap = configMaps.get(name)
    if (!configMap) return [`configmap ${JSON.stringify(name)} not found`]
    const data = isObject(configMap) && isObject(configMap['data']) ? configMap['data'] : {}
    if (Object.keys(data).length === 0) return [`configmap ${JSON.stringify(name)} contains no data`]
    return Object.hasOwn(data, key) && data[key] !== '' ? [] : [`configmap ${JSON.stringify(name)} does not contain key ${key}`]
  })
  return [...new Set(missing)]
}
