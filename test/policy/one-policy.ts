import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import type { Snapshot } from '../../src/policy/compile.ts'
import { compile } from '../../src/policy/compile.ts'
import type { ClusterObjects, Outside } from '../../src/policy/objects.ts'
import type { Policy } from '../../src/policy/policy.ts'

export const pem = newPem()
export const otherPem = newPem()

function newPem(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' })
}

/** The snapshot of a cluster with one policy `p`, and what else is there. */
export function compiled(spec: unknown, more: Partial<ClusterObjects> = {}, before?: Snapshot, outside?: Outside): Snapshot {
  const policies = new Map([
    ['p', { apiVersion: 'policy.sigstore.dev/v1beta1', kind: 'ClusterImagePolicy', metadata: { name: 'p' }, spec } as object],
  ])
  return compile(
    { policies, policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map(), ...more },
    'cosign-system',
    before,
    outside,
  )
}

export function only(snapshot: Snapshot): Policy {
  const [policy] = snapshot.policies
  assert.ok(policy)
  return policy
}

export function secret(data: Readonly<Record<string, string>>): Pick<ClusterObjects, 'secrets'> {
  const encoded = Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString('base64')]))
  return { secrets: new Map([['cosign-pub', { kind: 'Secret', data: encoded }]]) }
}

export const keyed = { name: 'a', key: { data: pem } }
export function withAuthority(more: object): object {
  return { images: [{ glob: '**' }], authorities: [{ ...keyed, ...more }] }
}
