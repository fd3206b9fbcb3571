/** What a policy may see of a workload. `admission/workload.ts` yields it; nothing else of the object reaches a policy. */
export type Subject = {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  /** Plural, as `spec.match[].resource` names it. */
  readonly resource: string
  readonly namespace: string
  readonly name: string
  /** Of the top-level object: a Deployment's own labels, not those of its pod template. Keys are foreign: ask with `Object.hasOwn`. */
  readonly labels: Readonly<Record<string, string>>
}

/** The resource that a kind's name implies (specification 4.3): `Pod` → `pods`, `NetworkPolicy` → `networkpolicies`, `Ingress` → `ingresses`. */
export function resourceOf(kind: string): string {
  const lower = kind.toLowerCase()
  if (lower.endsWith('s')) return `${lower}es`
  if (lower.endsWith('y')) return `${lower.slice(0, -1)}ies`
  return `${lower}s`
}
