import type { Snapshot } from '../../src/policy/compile.ts'
import { compileInSteps, nothingKnown } from '../../src/policy/compile.ts'
import { endOf } from '../../src/policy/ends.ts'
import type { ClusterObjects, Outside } from '../../src/policy/objects.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import type { Cluster } from '../../src/world/cluster/cluster.ts'
import type { Log } from '../../src/world/log.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import type { Fetching } from '../../src/world/outside.ts'

const SLICE = 3 // ms of compiling after which requests have their turn; the garbage of it takes as long again

/**
 * What requests are judged by: compiled from the cluster's objects and what is fetched for them, now, and again whenever either changes.
 * Changes that come together are compiled once, and what was in force stays in force until all of them are; then `compiled` is told. Each
 * policy's problems are logged when it arrives, so that its author need not wait for a refusal.
 */
export function followPolicies(
  cluster: Cluster,
  outside: Fetching<Outside>,
  systemNamespace: string,
  log: Log,
  metrics: Metrics,
  compiled: (snapshot: Snapshot, objects: ClusterObjects) => void = () => undefined,
): () => Snapshot {
  let snapshot = nothingKnown
  let isUnderWay = false
  let isStale = false
  const begin = (): void => {
    isStale = false
    goOn(update())
  }
  const update = function* (): Generator<undefined, void, undefined> {
    const before = snapshot
    const { now, objects } = yield* compiling(cluster, outside, systemNamespace, before, log, metrics)
    snapshot = now
    yield* report(before, now, log, metrics)
    if (objects) compiled(now, objects)
  }
  const goOn = (steps: ReturnType<typeof update>): void => {
    // While nothing is known everybody is refused, so nobody gains by having a turn.
    const end = snapshot.unknownBecause === undefined ? performance.now() + SLICE : Infinity
    while (!steps.next().done) if (performance.now() > end) return void setImmediate(goOn, steps)
    isUnderWay = isStale
    if (isStale) setImmediate(begin)
  }
  begin()
  const changed = (): void => {
    isStale = true
    if (isUnderWay) return
    isUnderWay = true
    setImmediate(begin)
  }
  cluster.onChange(changed)
  outside.onChange(changed)
  return () => snapshot
}

/** `objects` are what it was compiled from; none when that failed. */
type Compiled = { readonly now: Snapshot; readonly objects: ClusterObjects | undefined }

function* compiling(
  cluster: Cluster,
  outside: Fetching<Outside>,
  systemNamespace: string,
  before: Snapshot,
  log: Log,
  metrics: Metrics,
): Generator<undefined, Compiled, undefined> {
  try {
    const objects = cluster.objects()
    const now = yield* compileInSteps(objects, systemNamespace, before, outside.known())
    return { now, objects }
  } catch (error) {
    // What was in force before may admit what the change was to refuse.
    metrics.failedInside('compile')
    log.error('the policies could not be compiled: nothing is admitted until they change', { error })
    return { now: { ...before, policies: [], unknownBecause: 'an internal error; the log has the stack' }, objects: undefined }
  }
}

/** A policy a step, as compiling is. */
function* report(before: Snapshot, now: Snapshot, log: Log, metrics: Metrics): Generator<undefined, void, undefined> {
  const known = new Map(before.policies.map((p) => [p.name, p]))
  const ends: { readonly name: string; readonly ends: number | undefined }[] = []
  for (const policy of now.policies) {
    yield
    ends.push({ name: policy.name, ends: endOf(policy) })
    const last = known.get(policy.name)
    known.delete(policy.name)
    if (last?.hash === policy.hash) continue
    log.info(last ? 'policy changed' : 'policy in force', {
      policy: policy.name,
      mode: policy.mode,
      authorities: policy.authorities.length,
    })
    for (const warning of policy.warnings) log.warn('policy has a warning', { policy: policy.name, warning })
    for (const why of policy.refuses.map(sentenceOf))
      log.warn('policy refuses every image that it speaks about', { policy: policy.name, why })
    for (const { name, refuses } of policy.authorities)
      for (const why of refuses.map(sentenceOf)) log.warn('authority refuses', { policy: policy.name, authority: name, why })
  }
  for (const policy of known.keys()) log.info('policy no longer in force', { policy })

  const problems = new Set(before.settingProblems.map((p) => `${p.key} ${p.found}`))
  for (const problem of now.settingProblems)
    if (!problems.has(`${problem.key} ${problem.found}`)) log.warn('setting not understood; what was in force stays', problem)
  if (now.unknownBecause !== before.unknownBecause && now.unknownBecause !== undefined)
    log.warn('nothing is admitted: the policies are not known', { why: now.unknownBecause })

  metrics.policies(ends, now.policies.filter(isBroken).length)
  if (!now.settings.recheckUnchanged && before.settings.recheckUnchanged)
    log.warn('updates that change no image are let through unseen: what once got in stays in', { setting: 'recheck-unchanged: false' })
  const keyless = isWithoutPoliciesKeyless(now)
  metrics.withoutPoliciesKeyless(keyless)
  if (keyless && (!isWithoutPoliciesKeyless(before) || before === nothingKnown))
    log.warn('there is no policy: images are verified keyless against the public Sigstore instance', {
      setting: 'without-policies: keyless',
    })
}

/** Whether no image that the policy speaks about can pass it. */
function isBroken(policy: Policy): boolean {
  return policy.refuses.length > 0 || policy.authorities.every((a) => a.refuses.length > 0)
}

function isWithoutPoliciesKeyless(snapshot: Snapshot): boolean {
  return snapshot.policies.length === 0 && snapshot.unknownBecause === undefined && snapshot.settings.withoutPolicies === 'keyless'
}
