import type { ClusterObjects } from '../../policy/objects.ts'
import type { ApiServer } from './api-server.ts'

/** What asking the cluster for one object gave. `text` is the error as Kubernetes words it, e.g. `secrets "x" is forbidden: …`. */
export type Got<T> =
  | { readonly state: 'found'; readonly value: T }
  | { readonly state: 'absent' }
  | { readonly state: 'failed'; readonly text: string }

/** A Secret reduced to what credentials need; `data` is base64 as Kubernetes writes it. */
export type PullSecret = {
  readonly name: string
  readonly namespace: string
  readonly type: string
  readonly data: Readonly<Record<string, string>>
}

/**
 * What the controller knows of a cluster: from the API server (`kubernetes.ts`) or from files (`manifests.ts`).
 * `objects` is the same reference until something changes, so one review sees one snapshot.
 */
export interface Cluster {
  objects(): ClusterObjects
  /** Called after `objects()` changed. */
  onChange(listener: () => void): void
  /** Empty when the first full lists are in; else what is still waited for, for `/readyz` and the log. */
  waitingFor(): readonly string[]
  /** Names of a ServiceAccount's `imagePullSecrets`. In a cluster: from the watch, no request. */
  pullSecretsOf(namespace: string, serviceAccount: string): Got<readonly string[]>
  /** A pull secret, remembered 30 s and single-flight; `fresh` reads it anew (after a 401/403). */
  pullSecret(namespace: string, name: string, fresh: boolean): Promise<Got<PullSecret>>
  /** Milliseconds since the API server was last heard of; 0 for files. */
  lastContactAge(): number
  /** For whoever writes; none where objects come from files. */
  readonly api?: ApiServer
  close(): Promise<void>
}
