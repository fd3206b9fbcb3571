import { LRUCache } from 'lru-cache'
import type { Workload } from '../../admission/workload.ts'
import type { Access } from '../../admit.ts'
import type { Credentials } from '../../policy/ask.ts'
import type { Read } from '../../verdict/read.ts'
import type { Cluster, Got, PullSecret } from '../cluster/cluster.ts'
import type { Keychain } from './fetched.ts'
import { keychainOf } from './keychain.ts'
import type { OwnCredentials } from './own-credentials.ts'

const MAX_KEYCHAIN_BYTES = 32 * 1024 * 1024 // of distinct sets of pull secrets that are kept ready; a busy cluster has hundreds, of some KiB each
const KEYCHAIN_OVERHEAD = 1024 // bytes of one besides its texts
const MAX_PULL_SECRETS = 64 // of one workload, those of its ServiceAccount included: each may be a question to the API server

/** A keychain, and how to get it anew when a registry refused what it held. */
export interface RegistryAccess extends Access {
  readonly keychain: Keychain
  /** Reads the Secrets anew. Undefined when they are the same, or cannot be read. */
  renewed(): Promise<RegistryAccess | undefined>
}

export type CredentialOptions = {
  readonly cluster: Cluster
  readonly systemNamespace: string
  /** The controller's own: the same object until they change. */
  readonly own: () => OwnCredentials
  /** Random key of the scope hashes, made at start. */
  readonly scopeKey: Uint8Array
}

/**
 * Whose credentials a workload's images are read with (specification section 9): its `imagePullSecrets`, then those of its ServiceAccount, the
 * controller's own (Docker configs, the cloud whose registry it is), anonymous last. `signaturePullSecrets` replace all of them; each is looked
 * up in the controller's namespace first, then in the workload's. A Secret or ServiceAccount that does not exist is passed over; one that
 * cannot be read is `credentials-unreadable`.
 */
export class CredentialSource {
  readonly #options: CredentialOptions
  readonly #ready = new LRUCache<string, { secrets: readonly PullSecret[]; own: OwnCredentials | undefined; access: RegistryAccess }>({
    maxSize: MAX_KEYCHAIN_BYTES,
    sizeCalculation: ({ secrets }, key) => KEYCHAIN_OVERHEAD + key.length + secrets.reduce((sum, secret) => sum + sizeOf(secret), 0),
  })

  constructor(options: CredentialOptions) {
    this.#options = options
  }

  async access(workload: Workload, credentials: Credentials, fresh = false): Promise<Read<RegistryAccess>> {
    const secrets =
      credentials.of === 'workload' ? await this.#ofWorkload(workload, fresh) : await this.#named(workload, credentials.names, fresh)
    if (!secrets.ok) return secrets
    const key = JSON.stringify([workload.subject.namespace, workload.serviceAccount, workload.pullSecrets, credentials])
    const before = this.#ready.get(key)
    const own = credentials.of === 'pullSecrets' ? undefined : this.#options.own()
    if (before && before.own === own && sameItems(before.secrets, secrets.value)) return { ok: true, value: before.access }
    const read = keychainOf(secrets.value, own, this.#options.scopeKey)
    if (!read.ok) return read
    const keychain = read.value
    const access: RegistryAccess = {
      keychain,
      scope: (registry, repository) => keychain.scope(registry, repository),
      renewed: async () => {
        const again = await this.access(workload, credentials, true)
        return again.ok && again.value !== access ? again.value : undefined
      },
    }
    this.#ready.set(key, { secrets: secrets.value, own, access })
    return { ok: true, value: access }
  }

  async #ofWorkload(
    { subject: { namespace }, serviceAccount, pullSecrets }: Workload,
    fresh: boolean,
  ): Promise<Read<readonly PullSecret[]>> {
    const ofAccount = this.#options.cluster.pullSecretsOf(namespace, serviceAccount)
    if (ofAccount.state === 'failed') return unreadable(ofAccount.text)
    const names = new Set([...pullSecrets, ...(ofAccount.state === 'found' ? ofAccount.value : [])])
    if (names.size > MAX_PULL_SECRETS)
      return unreadable(`number of imagePullSecrets (${names.size}) exceeded the limit (${MAX_PULL_SECRETS})`)
    return all(await Promise.all([...names].map((name) => this.#options.cluster.pullSecret(namespace, name, fresh))))
  }

  async #named({ subject: { namespace } }: Workload, names: readonly string[], fresh: boolean): Promise<Read<readonly PullSecret[]>> {
    const { cluster, systemNamespace } = this.#options
    return all(
      await Promise.all(
        names.map(async (name) => {
          const own = await cluster.pullSecret(systemNamespace, name, fresh)
          return own.state === 'absent' ? cluster.pullSecret(namespace, name, fresh) : own
        }),
      ),
    )
  }
}

function all(gots: readonly Got<PullSecret>[]): Read<readonly PullSecret[]> {
  const failed = gots.find((g) => g.state === 'failed')
  if (failed) return unreadable(failed.text)
  return { ok: true, value: gots.flatMap((g) => (g.state === 'found' ? [g.value] : [])) }
}

function unreadable(text: string): Read<never> {
  return { ok: false, reason: { code: 'credentials-unreadable', text } }
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
}

/** Its text, and what is read from it: about as much again. */
function sizeOf({ data }: PullSecret): number {
  return Object.values(data).reduce((sum, text) => sum + 2 * text.length, 0)
}
