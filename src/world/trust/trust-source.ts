import type { TrustRoot } from '../../trust/trust-root.ts'
import type { Reason } from '../../verdict/reason.ts'
import type { Mirror } from '../network/endpoint.ts'
import type { Transport } from '../network/transport.ts'
import type { Metadata, Refreshed } from './tuf.ts'
import { refreshFromTuf } from './tuf.ts'

/** The Sigstore instance that policies mean when they name no TrustRoot. */
export type SigstoreInstance = {
  /** TUF root metadata to begin with. */
  readonly root: Uint8Array
  readonly mirror: URL
  /** Whether it is the public one, of which the root of trust is embedded, or one of the operator's own. */
  readonly isPublic: boolean
}

/** How repositories are reached. */
export type Reach = { readonly transport: Pick<Transport, 'ask'>; readonly mirrors: readonly Mirror[] }

/** A TrustRoot that does not say itself what is trusted. */
export type Elsewhere = TrustRoot & { readonly from: 'remote' | 'repository' }

/** How messages call an instance; undefined stands for the embedded root of the public one. */
export function nameOfInstance(instance: SigstoreInstance | undefined): string {
  return instance && !instance.isPublic ? `the Sigstore instance of ${instance.mirror.href}` : 'the public Sigstore instance'
}

/** What an instance says is trusted; `known` is what this answered before. Never rejects. */
export function fetchInstance(
  instance: SigstoreInstance,
  reach: Reach,
  known: Metadata | undefined,
  signal: AbortSignal,
): Promise<Refreshed> {
  const repository = { root: instance.root, targets: 'targets', target: 'trusted_root.json' }
  return refreshFromTuf(nameOfInstance(instance), repository, { ...reach, from: 'remote', url: instance.mirror }, known, signal)
}

/** What the repository of the TrustRoot `name` says is trusted; `known` is what this answered before. Never rejects. */
export function fetchTrustRoot(
  name: string,
  root: Elsewhere,
  reach: Reach,
  known: Metadata | undefined,
  signal: AbortSignal,
): Promise<Refreshed> {
  const mirror = root.from === 'remote' ? ({ ...reach, from: 'remote', url: root.mirror } as const) : root
  return refreshFromTuf(name, root.repository, mirror, known, signal)
}

/** A mirror may answer otherwise the next time. An archive is part of the object: it is wrong until somebody mends it. */
export function whyNotFetched(name: string, from: Elsewhere['from'], detail: string): Reason {
  return from === 'remote' ? { code: 'trust-root-fetch-failed', name, detail } : { code: 'trust-root-unreadable', name, detail }
}
