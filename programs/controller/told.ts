import { kmsUrisOf } from '../../src/policy/kms.ts'
import type { InForce } from '../../src/policy/status.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import type { KmsKeyStatus } from '../../src/world/cloud/kms-keys.ts'
import type { TrustStatus } from '../../src/world/trust/trust-roots.ts'
import type { Tell, Told } from './status.ts'

/** What the status of policies and trust roots says of what is fetched, by whoever fetches it. */
export function tellOf(trustRoots: ReadonlyMap<string, TrustStatus>, kmsKeys: ReadonlyMap<string, KmsKeyStatus> = new Map()): Tell {
  return {
    trustRoot(name) {
      const status = trustRoots.get(name)
      return status && toldOf(status)
    },
    policy(object) {
      const statuses = urisOf(object).flatMap((uri) => kmsKeys.get(uri) ?? [])
      return statuses.length === 0
        ? undefined
        : { isPending: statuses.some((s) => s.read === undefined), facts: withoutUndefined(factsOf(statuses)) }
    },
  }
}

function toldOf({ read, refreshed, next, error, since }: TrustStatus): Told {
  const material = read.ok ? read.value : undefined
  const lists = material
    ? [material.certificateAuthorities, material.certificateLogs, material.transparencyLogs, material.timestampAuthorities]
    : []
  const isPending = !read.ok && read.reason.code === 'trust-root-not-fetched'
  return {
    steps: { keys: read.ok ? 'done' : isPending ? 'pending' : { failed: sentenceOf(read.reason) }, inForce: 'done' },
    facts: {
      keys: lists.reduce((sum, list) => sum + list.length, 0),
      hash: material?.hash ?? '',
      readAt: refreshed ?? since,
      nextRefresh: next,
      lastError: error?.text,
      lastErrorAt: error?.at,
      expires: material?.until,
    },
  }
}

/** The oldest of the keys, the first refresh, and what went wrong with any of them. */
function factsOf(statuses: readonly KmsKeyStatus[]): Partial<InForce> {
  const least = (values: readonly (number | undefined)[]): number | undefined => {
    const known = values.filter((v) => v !== undefined)
    return known.length === 0 ? undefined : Math.min(...known)
  }
  const failed = statuses.filter((s) => s.error)
  return {
    readAt: least(statuses.map((s) => s.readAt)),
    nextRefresh: least(statuses.map((s) => s.next)),
    lastError: failed.length === 0 ? undefined : failed.map((s) => `${s.uri}: ${s.error?.why ?? ''}`).join('; '),
    lastErrorAt: least(failed.map((s) => s.error?.since)),
  }
}

/** By the object, which is another one after a change: policies are many, and few of them have such keys. */
const named = new WeakMap<object, readonly string[]>()

function urisOf(object: object): readonly string[] {
  let uris = named.get(object)
  if (!uris) named.set(object, (uris = kmsUrisOf(object)))
  return uris
}

function withoutUndefined(facts: Partial<InForce>): Partial<InForce> {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
}
