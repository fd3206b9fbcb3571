import type { ClusterObjects } from './objects.ts'
import type { PolicySpec } from './read.ts'
import { isObject } from './shape.ts'

const TYPES: readonly unknown[] = ['kubernetes.io/dockerconfigjson', 'kubernetes.io/dockercfg']

/** What the author of a policy should know of the `signaturePullSecrets` that it names, each once. */
export function doubtfulPullSecrets(spec: PolicySpec, secrets: ClusterObjects['secrets'], systemNamespace: string): readonly string[] {
  const names = (spec.authorities ?? []).flatMap(({ source }) =>
    (source ?? []).flatMap(({ signaturePullSecrets }) => (signaturePullSecrets ?? []).flatMap(({ name }) => (name ? [name] : []))),
  )
  return [...new Set(names)].flatMap((name) => whyDoubtful(name, secrets, systemNamespace) ?? [])
}

/**
 * Why a pull secret may give nothing: they are looked for in the controller's namespace, then in that of each workload, so that one which is
 * not in the first is missing wherever nobody thought of it; and only those of the two types hold credentials. Undefined: it gives some.
 */
export function whyDoubtful(name: string, secrets: ClusterObjects['secrets'], systemNamespace: string): string | undefined {
  const secret = secrets.get(name)
  const shown = `secret ${JSON.stringify(name)} of signaturePullSecrets`
  if (!secret) return `${shown} is not in ${systemNamespace}: the namespace of each workload needs it`
  const type = isObject(secret) ? secret['type'] : undefined
  return TYPES.includes(type)
    ? undefined
    : `${shown} is of the type ${typeof type === 'string' ? type : 'Opaque'}, which holds no credentials for a registry`
}
