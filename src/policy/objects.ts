import type { TrustMaterial } from '../trust/material.ts'
import { publicRoot } from '../trust/public-root.ts'
import type { Read } from '../verdict/read.ts'

/**
 * What a snapshot is compiled from, as the API server or the manifests hold it. Everything here is foreign JSON: `policy/read.ts`
 * believes none of its shapes.
 */
export type ClusterObjects = {
  /** ClusterImagePolicy objects (v1alpha1 or v1beta1) by name. */
  readonly policies: ReadonlyMap<string, object>
  /** Why `policies` may not be the complete list (not synced yet, API error, CRD missing, broken file). Undefined: it is complete and was read without error. */
  readonly policiesIncomplete: string | undefined
  /** Secrets of the controller's namespace by name, with `data` base64 as Kubernetes writes it (`stringData` already folded in). */
  readonly secrets: ReadonlyMap<string, object>
  /** ConfigMaps of the controller's namespace by name (`config-policy-controller` and, later, policy sources). */
  readonly configMaps: ReadonlyMap<string, object>
  /** Why the settings in `configMaps` are not known at all; undefined: they were read, or there are none. */
  readonly configMapsUnread?: string | undefined
  /** TrustRoot objects by name, as they are written. What they say is trusted is fetched and read elsewhere, and comes in `Outside`. */
  readonly trustRoots: ReadonlyMap<string, object>
  /** Why `trustRoots` may not be the complete list. Undefined: it is complete. */
  readonly trustRootsIncomplete?: string | undefined
}

/**
 * What policies refer to that lies outside of the cluster's objects, as it was fetched last. What could not be had is a reason; what is not
 * there has not been fetched yet.
 */
export type Outside = {
  /** The public Sigstore instance: embedded, or newer through TUF; or the one that the operator names instead. Past its `until` it is not believed. */
  readonly publicRoot: Read<TrustMaterial>
  /** What each TrustRoot says, by its name. Where TrustRoots could not be listed, the names that policies give say why. */
  readonly trustRoots: ReadonlyMap<string, Read<TrustMaterial>>
  /** Public keys (PEM) of key management services, by the URI that policies name (`awskms://…`). */
  readonly kmsKeys: ReadonlyMap<string, Read<string>>
}

/** Nothing was fetched: only what is embedded is trusted. */
export function nothingFetched(): Outside {
  return { publicRoot: { ok: true, value: publicRoot() }, trustRoots: new Map(), kmsKeys: new Map() }
}
