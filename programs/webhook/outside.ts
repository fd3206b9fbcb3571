import type { Outside } from '../../src/policy/objects.ts'
import { publicRootExpires, publicTufRoot } from '../../src/trust/public-root.ts'
import type { Cloud } from '../../src/world/cloud/cloud.ts'
import { fetchKmsKeys, KmsKeys } from '../../src/world/cloud/kms-keys.ts'
import { readKmsPublicKey } from '../../src/world/cloud/kms.ts'
import type { Cluster } from '../../src/world/cluster/cluster.ts'
import { readText } from '../../src/world/cluster/files.ts'
import type { Log } from '../../src/world/log.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import type { Fetching } from '../../src/world/outside.ts'
import { together } from '../../src/world/outside.ts'
import type { Registry } from '../../src/world/registry/registry.ts'
import { fetchTrust } from '../../src/world/trust/fetch-trust.ts'
import { FollowedTrust } from '../../src/world/trust/trust-roots.ts'
import type { SigstoreInstance } from '../../src/world/trust/trust-source.ts'
import { whyNotTufRoot } from '../../src/world/trust/tuf.ts'
import type { Settings } from '../cli/options.ts'

const USUAL_MIRROR = 'https://tuf-repo-cdn.sigstore.dev'
const BUDGET = 20_000 // ms in which an offline command fetches everything, at the same time; a mirror that answers takes one or two

export type OutsideSettings = Pick<
  Settings,
  'tufMirror' | 'tufRoot' | 'disableTuf' | 'trustrootResyncPeriod' | 'policyResyncPeriod' | 'mirrors'
>

/** All that is fetched for policies, put together here. */
export type FollowedOutside = {
  readonly outside: Fetching<Outside>
  readonly trust: FollowedTrust
  readonly kms: KmsKeys
  /** What a replica that has just started still waits for. */
  waitingFor(): readonly string[]
  close(): Promise<void>
}

/** Follows what policies refer to outside of the cluster's objects. Rejects with a line for the operator when a setting cannot be carried out. */
export async function followOutside(
  settings: OutsideSettings,
  cluster: Cluster,
  registry: Registry,
  cloud: Cloud,
  log: Log,
  metrics: Metrics,
): Promise<FollowedOutside> {
  const { tufMirror, tufRoot, disableTuf, trustrootResyncPeriod: resync, policyResyncPeriod, mirrors } = settings
  if (disableTuf && (tufMirror ?? tufRoot) !== undefined)
    log.warn('TUF is switched off: what is embedded of the public Sigstore instance is trusted', { unused: '--tuf-mirror, --tuf-root' })
  const { transport } = registry
  const trust = new FollowedTrust({ cluster, transport, mirrors, resync, instance: await sigstoreInstance(settings), log, metrics })
  const kms = new KmsKeys({
    cluster,
    read: (key, signal) => readKmsPublicKey(key, cloud, signal),
    resync: policyResyncPeriod,
    log,
    metrics,
  })
  return {
    outside: together(trust, kms),
    trust,
    kms,
    waitingFor: () => [...trust.waitingFor(), ...kms.waitingFor()],
    close: async () => {
      kms.close()
      await trust.close()
    },
  }
}

/**
 * The same as it is now, for commands that end with their answer. What is embedded of the public Sigstore instance does for them, unless it
 * has expired, or another mirror or root is given. Rejects as `followOutside` does.
 */
export async function fetchOutside(settings: OutsideSettings, cluster: Cluster, registry: Registry, cloud: Cloud): Promise<Outside> {
  const isEnough = (settings.tufMirror ?? settings.tufRoot) === undefined && Date.now() < publicRootExpires
  const instance = isEnough ? undefined : await sigstoreInstance(settings)
  const reach = { transport: registry.transport, mirrors: settings.mirrors }
  const signal = AbortSignal.timeout(BUDGET)
  const [trust, kms] = await Promise.all([
    fetchTrust(cluster.objects(), instance, reach, signal),
    fetchKmsKeys(cluster.objects(), (key, ended) => readKmsPublicKey(key, cloud, ended), signal),
  ])
  const fetched = { ...trust, ...kms }
  return together({ known: () => fetched, onChange: () => undefined }).known()
}

/** The Sigstore instance that is meant where no TrustRoot is named; undefined: nobody is asked. Rejects as `followOutside` does. */
export async function sigstoreInstance({ tufMirror, tufRoot, disableTuf }: OutsideSettings): Promise<SigstoreInstance | undefined> {
  if (disableTuf) return undefined
  const mirror = tufMirror ?? new URL(USUAL_MIRROR)
  if (tufRoot === undefined) return { root: publicTufRoot, mirror, isPublic: true }
  const read = await readText(tufRoot)
  if (read.state !== 'found') throw new Error(`--tuf-root ${tufRoot}: ${read.state === 'absent' ? 'no such file' : read.problem}`)
  const root = Buffer.from(read.text)
  const wrong = whyNotTufRoot(root)
  if (wrong !== undefined) throw new Error(`--tuf-root ${tufRoot}: ${wrong}`)
  return { root, mirror, isPublic: false }
}
