import type { Snapshot } from '../../src/policy/compile.ts'
import { missingConfigMaps } from '../../src/policy/config-map.ts'
import type { ClusterObjects } from '../../src/policy/objects.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { readPolicy } from '../../src/policy/read.ts'
import type { InForce, Status, Steps } from '../../src/policy/status.ts'
import { keysOf, linesOf, statusAfter, stepsOf, whyNotReady } from '../../src/policy/status.ts'
import type { ApiServer } from '../../src/world/cluster/api-server.ts'
import { type ApiObject, failure, isConflict, metadataOf } from '../../src/world/cluster/change.ts'
import { type ReconcileTimes, Reconciler, type Worked } from '../../src/world/cluster/reconcile.ts'
import type { Log } from '../../src/world/log.ts'

const SLICE = 3 // ms of looking after which requests have their turn
const CONFLICT_PAUSE = 200 // ms until an object is looked at again that somebody else wrote meanwhile

/** How an object is, and what of it is in force. */
export type Told = { readonly steps: Steps; readonly facts: InForce }

/** What is known of what lies outside of the cluster. Undefined: nothing is known yet, or nothing need be. */
export type Tell = {
  /** About the keys that a policy has from key management services. `isPending`: one was not read yet. */
  policy(object: object): { readonly isPending: boolean; readonly facts: Partial<InForce> } | undefined
  trustRoot(name: string): Told | undefined
}

export const nothingTold: Tell = { policy: () => undefined, trustRoot: () => undefined }

const KINDS = {
  ClusterImagePolicy: { plural: 'clusterimagepolicies', finalizer: 'clusterimagepolicies.policy.sigstore.dev' },
  TrustRoot: { plural: 'trustroots', finalizer: 'trustroots.policy.sigstore.dev' },
} as const
export type Kind = keyof typeof KINDS

/** What is written is about `object`, in the generation that it was compiled in. */
type Wanted = { readonly object: object; readonly told: Told }

export type StatusParts = {
  readonly api: ApiServer
  readonly log: Log
  /** Asked once for all that is looked at together. */
  readonly tell?: () => Tell
  /** Told when an object comes to be not ready, and when it is ready again. */
  readonly turned?: (kind: Kind, object: ApiObject, why: { readonly reason: string; readonly message: string } | undefined) => void
  readonly times?: ReconcileTimes
}

/**
 * Keeps the status of policies and trust roots, and takes away the finalizers of the sigstore policy controller from those that are deleted: nobody
 * else would. For one replica at a time. Only what is not as it should be is read and written.
 */
export class Statuses {
  readonly #parts: StatusParts
  readonly #reconciler: Reconciler
  readonly #wanted = new Map<string, Wanted>()
  /** What each object was told of last, so that of thousands only those are looked at that changed. */
  readonly #seen = new Map<string, readonly unknown[]>()
  #looking: Generator<undefined, void, undefined> | undefined

  constructor(parts: StatusParts) {
    this.#parts = parts
    this.#reconciler = new Reconciler('status', (key, signal) => this.#write(key, signal), parts.log, parts.times)
  }

  /** Looks at what was compiled, and from what; of thousands of policies a few at a time, so that requests have their turn. */
  look(snapshot: Snapshot, objects: ClusterObjects): void {
    const isUnderWay = this.#looking !== undefined
    this.#looking = this.#steps(snapshot, objects)
    if (!isUnderWay) this.#goOn()
  }

  #goOn(): void {
    const end = performance.now() + SLICE
    while (this.#looking) {
      if (this.#looking.next().done) this.#looking = undefined
      else if (performance.now() > end) return void setImmediate(() => this.#goOn())
    }
  }

  *#steps(snapshot: Snapshot, objects: ClusterObjects): Generator<undefined, void, undefined> {
    const tell = this.#parts.tell?.() ?? nothingTold
    const policies = new Map(snapshot.policies.map((p) => [p.name, p]))
    const gone = new Set(this.#seen.keys())
    for (const [name, object] of objects.policies) {
      yield
      const policy = policies.get(name)
      if (!policy) continue
      const known = tell.policy(object)
      const text = missingText(policy, object, objects.configMaps)
      gone.delete(keyOf('ClusterImagePolicy', name))
      this.#see('ClusterImagePolicy', name, object, [object, policy, known && JSON.stringify(known), text], () => {
        const steps = { ...stepsOf(policy), ...(text !== undefined && { policies: { failed: text } }) }
        return {
          steps: known?.isPending ? { ...steps, keys: 'pending' } : steps,
          facts: { ...keysOf(policy), ...linesOf(policy), ...known?.facts },
        }
      })
    }
    for (const [name, object] of objects.trustRoots) {
      yield
      const told = tell.trustRoot(name)
      gone.delete(keyOf('TrustRoot', name))
      if (told) this.#see('TrustRoot', name, object, [object, JSON.stringify(told)], () => told)
    }
    for (const key of gone) {
      this.#seen.delete(key)
      this.#wanted.delete(key)
    }
  }

  close(): Promise<void> {
    this.#looking = undefined
    return this.#reconciler.close()
  }

  #see(kind: Kind, name: string, object: object, of: readonly unknown[], told: () => Told): void {
    const key = keyOf(kind, name)
    const seen = this.#seen.get(key)
    if (seen && of.every((value, i) => value === seen[i])) return
    this.#seen.set(key, of)
    const wanted = { object, told: told() }
    this.#wanted.set(key, wanted)
    if (isToBeReleased(kind, object) || statusOf(object, wanted.told)) this.#reconciler.ask(key)
  }

  async #write(key: string, signal: AbortSignal): Promise<Worked> {
    const wanted = this.#wanted.get(key)
    if (!wanted) return { state: 'done' }
    const { kind, name } = ofKey(key)
    const { api, turned } = this.#parts
    // Of policies the stored version, so that the write needs no conversion, which may be us.
    const path = `/apis/policy.sigstore.dev/v1alpha1/${KINDS[kind].plural}/${encodeURIComponent(name)}`
    const read = await api.get(path, {}, signal)
    if (read.state !== 'answered') return workedOf(failure(read))
    const { uid, resourceVersion, generation, finalizers } = metadataOf(read.body)
    if (isToBeReleased(kind, read.body)) {
      const others = (finalizers as unknown[]).filter((f) => f !== KINDS[kind].finalizer)
      const released = await api.write('merge', path, { metadata: { uid, resourceVersion, finalizers: others } }, signal)
      if (released.state === 'answered')
        this.#parts.log.info('a finalizer of the sigstore policy controller was taken away', { [kind]: name })
      return released.state === 'answered' || isConflict(released) ? againIf(isConflict(released)) : workedOf(failure(released))
    }
    const compiled = metadataOf(wanted.object)
    // It changed meanwhile: what was compiled from it then comes here by itself.
    if (uid !== compiled['uid'] || generation !== compiled['generation']) return { state: 'done' }
    const status = statusOf(read.body, wanted.told)
    if (!status) return { state: 'done' }
    const written = await api.write('merge', `${path}/status`, { metadata: { uid, resourceVersion }, status }, signal)
    if (written.state !== 'answered') return isConflict(written) ? againIf(true) : workedOf(failure(written))
    const [before, after] = [whyNotReady(read.body['status']), whyNotReady(status)]
    if (before?.message !== after?.message) turned?.(kind, read.body, after)
    return { state: 'done' }
  }
}

/** Where the text of a policy in CUE or Rego is to be found and is not. Undefined: it is, or there is none. */
function missingText(policy: Policy, object: object, configMaps: ClusterObjects['configMaps']): string | undefined {
  const { refuses, authorities } = policy
  const hasText = [refuses, ...authorities.map((a) => a.refuses)].flat().some(({ code }) => code === 'field-not-carried-out')
  return hasText ? missingConfigMaps(readPolicy(policy.name, object).spec, configMaps)[0] : undefined
}

function againIf(isAgain: boolean): Worked {
  return { state: 'done', again: isAgain ? CONFLICT_PAUSE : undefined }
}

/** What is not there any more needs nothing. */
function workedOf(failed: ReturnType<typeof failure>): Worked {
  return failed.state === 'absent' ? { state: 'done' } : failed
}

function statusOf(object: object, { steps, facts }: Told): Status | undefined {
  const { generation } = metadataOf(object)
  return statusAfter((object as ApiObject)['status'], typeof generation === 'number' ? generation : 0, steps, facts, Date.now())
}

/** Whether it is being deleted and waits for a controller that is no longer there. */
function isToBeReleased(kind: Kind, object: object): boolean {
  const { deletionTimestamp, finalizers } = metadataOf(object)
  return typeof deletionTimestamp === 'string' && Array.isArray(finalizers) && finalizers.includes(KINDS[kind].finalizer)
}

function keyOf(kind: Kind, name: string): string {
  return `${kind} ${name}`
}

function ofKey(key: string): { readonly kind: Kind; readonly name: string } {
  const [kind = '', name = ''] = key.split(' ')
  return { kind: kind as Kind, name }
}
