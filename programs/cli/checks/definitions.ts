import type { ApiObject } from '../../../src/world/cluster/change.ts'
import { collectionOf } from '../../controller/configuration.ts'
import type { Finding } from './finding.ts'
import { note, ok, warning, wrong } from './finding.ts'
import { listAt, ofCluster, textAt, unread } from './patient.ts'

const INSTALL = 'apply the definitions: kubectl apply --server-side -k deploy/crds'

/** The CustomResourceDefinitions: there, established, and in the versions that policies are written in. */
export const definitions = ofCluster('CustomResourceDefinitions', async (reader) => {
  const found = await Promise.all(
    [
      { name: 'clusterimagepolicies.policy.sigstore.dev', versions: ['v1alpha1', 'v1beta1'] },
      { name: 'trustroots.policy.sigstore.dev', versions: ['v1alpha1'] },
    ].map(async ({ name, versions }) => {
      const got = await reader.one(`${collectionOf({ kind: 'CustomResourceDefinition' })}/${name}`)
      if (!got.ok) return [unread(name, got)]
      return got.value ? about(name, versions, got.value) : [wrong(`${name} is missing`, INSTALL)]
    }),
  )
  return found.flat()
})

function about(name: string, versions: readonly string[], definition: ApiObject): readonly Finding[] {
  if (textAt(definition, 'metadata', 'deletionTimestamp') !== '')
    return [
      wrong(
        `${name} is being deleted, and everything of its kind with it`,
        'let the deletion end, then apply the definition and the objects again',
      ),
    ]
  const established = listAt(definition, 'status', 'conditions').find((c) => c['type'] === 'Established')
  if (established && established['status'] !== 'True')
    return [wrong(`${name} is not established: ${textAt(established, 'message')}`, 'look at its conditions: kubectl describe crd')]
  const served = listAt(definition, 'spec', 'versions').filter((v) => v['served'] === true)
  const missing = versions.filter((v) => !served.some((s) => s['name'] === v))
  if (missing.length > 0) return [wrong(`${name} does not serve ${missing.join(', ')}`, INSTALL)]
  const stored = served.find((v) => v['storage'] === true)?.['name']
  if (stored !== 'v1alpha1')
    return [warning(`${name} stores ${String(stored)} instead of v1alpha1, so other controllers may not read it`, INSTALL)]
  const strategy = textAt(definition, 'spec', 'conversion', 'strategy')
  return [
    ok(`${name} serves ${versions.join(' and ')}`),
    ...(versions.length > 1 && strategy !== 'Webhook'
      ? [note('the API server converts policies by itself: both versions say the same')]
      : []),
  ]
}
