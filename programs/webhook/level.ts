import type { Level } from '../../src/world/log.ts'

// zap's levels; what is worse than an error is still one here.
const LEVELS: ReadonlyMap<string, Level> = new Map([
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['dpanic', 'error'],
  ['panic', 'error'],
  ['fatal', 'error'],
])

/**
 * The level that the ConfigMap `config-logging` asks for: `loglevel.policy-controller`, else the level in `zap-logger-config`.
 * Undefined where it says nothing that can be understood.
 */
export function levelIn(configMap: object | undefined): Level | undefined {
  const data: unknown = (configMap as { readonly data?: unknown } | undefined)?.data
  if (typeof data !== 'object' || data === null) return undefined
  const text =
    (data as Record<string, unknown>)['loglevel.policy-controller'] ?? zapLevel((data as Record<string, unknown>)['zap-logger-config'])
  return typeof text === 'string' ? LEVELS.get(text.trim().toLowerCase()) : undefined
}

function zapLevel(config: unknown): unknown {
  try {
    const read: unknown = typeof config === 'string' ? JSON.parse(config) : undefined
    return typeof read === 'object' && read !== null ? (read as Record<string, unknown>)['level'] : undefined
  } catch {
    return undefined
  }
}
