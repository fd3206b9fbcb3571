import type { Finding } from './finding.ts'
import { counted, named, note, warning } from './finding.ts'
import type { Reader } from './patient.ts'
import { at, nameOf, ofCluster, textAt, unread } from './patient.ts'

const THEIRS = [
  { configMap: 'config-image-policies', kind: 'ClusterImagePolicy', path: '/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies' },
  { configMap: 'config-sigstore-keys', kind: 'TrustRoot', path: '/apis/policy.sigstore.dev/v1alpha1/trustroots' },
] as const
const FINALIZERS = ['clusterimagepolicies.policy.sigstore.dev', 'trustroots.policy.sigstore.dev']

/** What the sigstore policy controller leaves, and what of it counts for nothing here. */
export const leftOver = ofCluster('what the sigstore policy controller left', async (reader, { settings }) => {
  const { systemNamespace } = settings
  const found = await Promise.all([
    ...THEIRS.map((each) => handWritten(reader, systemNamespace, each)),
    ...THEIRS.map(({ kind, path }) => held(reader, kind, path)),
    leases(reader, systemNamespace),
  ])
  return found.flat()
})

/** Entries that no object stands behind were written by hand. */
async function handWritten(
  reader: Reader,
  namespace: string,
  { configMap, kind, path }: (typeof THEIRS)[number],
): Promise<readonly Finding[]> {
  const [got, objects] = await Promise.all([reader.one(`/api/v1/namespaces/${namespace}/configmaps/${configMap}`), reader.all(path)])
  if (!got.ok) return [unread(`the ConfigMap ${configMap}`, got)]
  if (!objects.ok) return [unread(`${kind}s`, objects)]
  const data = at(got.value, 'data')
  const known = new Set(objects.value.map(nameOf))
  const entries = typeof data === 'object' && data !== null ? Object.keys(data).filter((key) => key !== '_example') : []
  const byHand = entries.filter((key) => !known.has(key))
  if (byHand.length === 0)
    return entries.length > 0
      ? [
          note(
            `${configMap} holds ${counted(entries.length, 'entry', 'entries')} of objects that exist: it is neither read nor written, and may be deleted once nobody goes back`,
          ),
        ]
      : []
  return [
    warning(
      `${configMap} holds what no ${kind} says (${named(byHand)}): the sigstore policy controller goes by it, Sealgate does not`,
      `write each as a ${kind}, or delete the entry where it is forgotten`,
    ),
  ]
}

async function held(reader: Reader, kind: string, path: string): Promise<readonly Finding[]> {
  const objects = await reader.all(path)
  // Said above already.
  if (!objects.ok) return []
  const finalized = objects.value.filter((object) => {
    const finalizers = at(object, 'metadata', 'finalizers')
    return Array.isArray(finalizers) && finalizers.some((f) => FINALIZERS.includes(f as string))
  })
  const several = kind === 'ClusterImagePolicy' ? 'ClusterImagePolicies' : 'TrustRoots'
  const stuck = finalized.filter((object) => textAt(object, 'metadata', 'deletionTimestamp') !== '')
  if (stuck.length > 0)
    return [
      warning(
        `${several} are being deleted and still in force, held by a finalizer: ${named(stuck.map(nameOf))}`,
        'a running Sealgate takes the finalizer away within seconds, where it may patch them: see «rights» above',
      ),
    ]
  return finalized.length > 0
    ? [
        note(
          `${counted(finalized.length, kind, several)} ${finalized.length === 1 ? 'carries' : 'carry'} a finalizer of the sigstore policy controller: Sealgate takes it away when the object is deleted`,
        ),
      ]
    : []
}

async function leases(reader: Reader, namespace: string): Promise<readonly Finding[]> {
  const got = await reader.all(`/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`)
  if (!got.ok) return [unread('the Leases', got)]
  const theirs = got.value.map(nameOf).filter((name) => name.startsWith('policy-controller.'))
  return theirs.length > 0
    ? [
        note(
          `${counted(theirs.length, 'Lease')} of the sigstore policy controller: they hold nobody up, and may be deleted once it is gone`,
        ),
      ]
    : []
}
