import type { ClusterObjects } from './objects.ts'
import type { PolicySpec } from './read.ts'

/**
 * What the author of a policy should know of the `signaturePullSecrets` that it names: they are looked for in the controller's namespace, then
 * in that of each workload, so that one which is not in the first is missing wherever nobody thought of it.
 */
export function absentPullSecrets(spec: PolicySpec, secrets: ClusterObjects['secrets'], systemNamespace: string): readonly string[] {
  const names = (spec.authorities ?? []).flatMap(({ source }) =>
    (source ?? []).flatMap(({ signaturePullSecrets }) => (signaturePullSecrets ?? []).flatMap(({ name }) => (name ? [name] : []))),
  )
  return [...new Set(names)]
    .filter((name) => !secrets.has(name))
    .map(
      (name) =>
        `secret ${JSON.stringify(name)} of signaturePullSecrets is not in ${systemNamespace}: the namespace of each workload needs it`,
    )
}
