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
}
