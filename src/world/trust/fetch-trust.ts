import type { ClusterObjects } from '../../policy/objects.ts'
import { trustNamed } from '../../policy/trust-root-ref.ts'
import type { TrustMaterial } from '../../trust/material.ts'
import { publicRoot } from '../../trust/public-root.ts'
import { readTrustRoot } from '../../trust/trust-root.ts'
import type { Read } from '../../verdict/read.ts'
import type { Reason } from '../../verdict/reason.ts'
import { fanOut } from '../fan-out.ts'
import type { Trust } from './trust-roots.ts'
import type { Reach, SigstoreInstance } from './trust-source.ts'
import { fetchInstance, fetchTrustRoot, nameOfInstance, whyNotFetched } from './trust-source.ts'
import type { Refreshed } from './tuf.ts'

/**
 * What is trusted now, for commands that end with their answer: only what a policy names is fetched, within `signal`. What could not be had
 * is a reason. Without `instance`, or where the public one does not answer, what is embedded is trusted.
 */
export async function fetchTrust(
  objects: ClusterObjects,
  instance: SigstoreInstance | undefined,
  reach: Reach,
  signal: AbortSignal,
): Promise<Trust> {
  const named = trustNamed(objects.policies)
  const trustRootOf = async (name: string): Promise<readonly (readonly [string, Read<TrustMaterial>])[]> => {
    const object = objects.trustRoots.get(name)
    if (!object) return []
    const root = readTrustRoot(object, name)
    if (!root.ok) return [[name, root]]
    const { value } = root
    if (value.from === 'itself') return [[name, { ok: true, value: value.material }]]
    const fetched = await fetchTrustRoot(name, value, reach, undefined, signal)
    return [[name, materialOf(fetched, (why) => whyNotFetched(name, value.from, why))]]
  }
  const [sigstore, roots] = await Promise.all([
    instanceOf(instance, named.sigstore, reach, signal),
    fanOut([...named.trustRoots], trustRootOf),
  ])
  return { publicRoot: sigstore, trustRoots: new Map(roots.flat()) }
}

async function instanceOf(
  instance: SigstoreInstance | undefined,
  isNamed: boolean,
  reach: Reach,
  signal: AbortSignal,
): Promise<Read<TrustMaterial>> {
  const name = nameOfInstance(instance)
  const fetched = instance && isNamed ? await fetchInstance(instance, reach, undefined, signal) : undefined
  if (fetched?.ok !== true && (!instance || instance.isPublic)) return { ok: true, value: publicRoot() }
  if (!fetched) return { ok: false, reason: { code: 'trust-root-not-fetched', name } }
  return materialOf(fetched, (why) => whyNotFetched(name, 'remote', why))
}

function materialOf(fetched: Refreshed, why: (detail: string) => Reason): Read<TrustMaterial> {
  return fetched.ok ? { ok: true, value: fetched.material } : { ok: false, reason: why(fetched.why) }
}
