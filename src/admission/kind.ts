import type { GroupVersionKind } from './review.ts'

/** A kind whose images are judged. */
export type WorkloadKind = {
  readonly group: string
  readonly version: string
  readonly kind: string
  /** Where the pod spec lies in the object. The part before its `spec` is the pod template. */
  readonly podSpec: readonly string[]
  /** `spec.replicas` says how many pods run: fewer of the same need no judging. */
  readonly scalable: boolean
}

const IN_TEMPLATE = ['spec', 'template', 'spec']
const IN_JOB_TEMPLATE = ['spec', 'jobTemplate', 'spec', 'template', 'spec']

/**
 * Every kind that is judged. The webhook configurations list the same kinds and no others, so that what arrives and is not here is a
 * mistake of somebody's, and refused. The test beside this file lists the kinds with a pod spec that are left out, and why.
 */
export const workloadKinds: readonly WorkloadKind[] = [
  { group: '', version: 'v1', kind: 'Pod', podSpec: ['spec'], scalable: false },
  { group: '', version: 'v1', kind: 'ReplicationController', podSpec: IN_TEMPLATE, scalable: true },
  { group: 'apps', version: 'v1', kind: 'ReplicaSet', podSpec: IN_TEMPLATE, scalable: true },
  { group: 'apps', version: 'v1', kind: 'Deployment', podSpec: IN_TEMPLATE, scalable: true },
  { group: 'apps', version: 'v1', kind: 'StatefulSet', podSpec: IN_TEMPLATE, scalable: true },
  { group: 'apps', version: 'v1', kind: 'DaemonSet', podSpec: IN_TEMPLATE, scalable: false },
  { group: 'batch', version: 'v1', kind: 'Job', podSpec: IN_TEMPLATE, scalable: false },
  { group: 'batch', version: 'v1', kind: 'CronJob', podSpec: IN_JOB_TEMPLATE, scalable: false },
  { group: 'batch', version: 'v1beta1', kind: 'CronJob', podSpec: IN_JOB_TEMPLATE, scalable: false },
]

const byName: ReadonlyMap<string, WorkloadKind> = new Map(workloadKinds.map((k) => [nameOf(k), k]))

export function workloadKind(kind: GroupVersionKind): WorkloadKind | undefined {
  return byName.get(nameOf(kind))
}

/** As Go prints a GroupVersionKind: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`. */
export function nameOf({ group, version, kind }: GroupVersionKind): string {
  return `${group}/${version}, Kind=${kind}`
}
