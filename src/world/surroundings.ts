import type { Workload } from '../admission/workload.ts'
import type { Deadline, Judged, LogSearched, Resolved, Surroundings } from '../admit.ts'
import type { Digest } from '../image/digest.ts'
import type { Reference, Repository } from '../image/reference.ts'
import type { Ask, Credentials, ImageAtDigest } from '../policy/ask.ts'
import { keyOf } from '../policy/ask.ts'
import type { LogQuery } from '../policy/decide.ts'
import type { Found } from '../sigstore/evidence.ts'
import { readSearchAnswer } from '../sigstore/log-entry.ts'
import type { Decision } from '../verdict/decision.ts'
import type { Read } from '../verdict/read.ts'
import type { Memory } from './memory.ts'
import type { CredentialSource, RegistryAccess } from './registry/credentials.ts'
import { gather } from './registry/gather.ts'
import { platformsOf } from './registry/platforms.ts'
import type { Registry } from './registry/registry.ts'
import { searchLog } from './trust/rekor.ts'
import { Turns } from './turns.ts'

/** Milliseconds that work begun for a request may go on, whatever became of the request. */
const WORK_BOUND = 30_000
const FEW_GATHERING = 8 // places looked into at the same time however little memory there is: with none it would never find out that there is more

export type SurroundingsOptions = {
  readonly registry: Registry
  readonly credentials: CredentialSource
  readonly memory: Memory
  /** Milliseconds that the digest of a tag is remembered; read anew for each request, since it is a setting. */
  readonly rememberTags: () => number
  /** The clock that signatures are checked by; only offline commands set another than the machine's. */
  readonly now: () => number
  /** Called when work outlives the request that began it, and again when it has ended. */
  readonly onLate?: (change: 1 | -1) => void
}

/** The world as `admit.ts` sees it: registries, credentials, memory and time. */
export class WorldAround implements Surroundings<RegistryAccess> {
  readonly #options: SurroundingsOptions
  readonly #turns = new Turns()
  #gathering = 0

  constructor(options: SurroundingsOptions) {
    this.#options = options
  }

  access(workload: Workload, credentials: Credentials): Promise<Read<RegistryAccess>> {
    return this.#options.credentials.access(workload, credentials)
  }

  gather(ask: Ask, access: RegistryAccess): Promise<Found> {
    const { registry, memory } = this.#options
    const scope = access.scope(ask.place.registry, ask.place.repository)
    return memory.single(`gather\n${keyOf(ask)}\n${scope}`, async () => {
      // What is remembered is answered all the same: it takes no memory.
      if (memory.pressure() !== 'none' && this.#gathering >= FEW_GATHERING)
        return { state: 'unknown', reason: { code: 'under-pressure' }, tried: [] }
      this.#gathering++
      return bounded((signal) =>
        believed(
          ask.place,
          access,
          (used) => gather(ask, used, registry, memory, signal),
          (found) => found.state === 'unknown' && found.reason.code === 'registry-refused',
        ),
      ).finally(() => this.#gathering--)
    })
  }

  search(query: LogQuery): Promise<LogSearched> {
    const { registry, memory } = this.#options
    // Several policies may ask the same of the same log.
    return memory.single(`search\n${JSON.stringify(query)}`, () =>
      bounded(async (signal) => {
        const answer = await searchLog(query.url, query.proposals, registry.transport, signal)
        if (!answer.ok) return answer.reason
        const entries = readSearchAnswer(answer.value)
        return entries.ok ? entries.value : entries.reason
      }),
    )
  }

  platforms(image: ImageAtDigest, access: RegistryAccess): Promise<Read<readonly Digest[]>> {
    const { registry, memory } = this.#options
    return memory.single(`platforms\n${image.name}\n${access.scope(image.registry, image.repository)}`, () =>
      bounded((signal) =>
        believed(
          image,
          access,
          (used) => platformsOf(image, image.digest, used, registry, memory, signal),
          (found) => !found.ok && found.isRefused,
        ),
      ),
    )
  }

  async resolve(image: Reference, access: RegistryAccess, budget: number): Promise<Resolved> {
    const { registry, memory, rememberTags } = this.#options
    const key = `${image.registry}/${image.repository}:${image.tag ?? 'latest'}\n${access.scope(image.registry, image.repository)}`
    const known = memory.tag(key, rememberTags())
    if (known) return { ok: true, value: known }
    const asked = memory.single(`resolve\n${key}`, async (): Promise<Resolved> => {
      const fetched = await bounded((signal) =>
        believed(
          image,
          access,
          (used) => registry.resolve(image, image.tag ?? 'latest', used.keychain, signal),
          (got) => got.state === 'failed' && got.reason.code === 'registry-refused',
        ),
      )
      if (fetched.state !== 'found') return { ok: false, reason: fetched.reason, tried: fetched.tried }
      memory.keepTag(key, fetched.value, rememberTags())
      return { ok: true, value: fetched.value }
    })
    const answer = await this.#withinMs(asked, budget)
    return answer === 'late'
      ? {
          ok: false,
          reason: { code: 'registry-timeout', text: `${image.registry} did not answer within ${(budget / 1000).toFixed(1)} s` },
          tried: [],
        }
      : answer
  }

  once(key: string, ttl: number, work: () => Promise<Judged>): Promise<Decision | { readonly remembered: string }> {
    return this.#options.memory.judged(key, ttl, work)
  }

  within<T>(work: Promise<T>, deadline: Deadline): Promise<T | 'late'> {
    return this.#withinMs(work, this.remaining(deadline))
  }

  remaining(deadline: Deadline): number {
    return Math.max(0, deadline.at - performance.now())
  }

  now(): number {
    return this.#options.now()
  }

  turn(taken: number): Promise<void> {
    return this.#turns.take(taken)
  }

  #withinMs<T>(work: Promise<T>, ms: number): Promise<T | 'late'> {
    const { onLate } = this.#options
    return new Promise((resolve, reject) => {
      let late = false
      const timer = setTimeout(() => {
        late = true
        onLate?.(1)
        resolve('late')
      }, ms)
      work.then(resolve, reject).finally(() => {
        clearTimeout(timer)
        if (late) onLate?.(-1)
      })
    })
  }
}

/** What the work gave; where the registry refused, what it gives with Secrets that are read anew: a pull secret may have been rotated since it was read. */
async function believed<T>(
  { registry, repository }: Repository,
  access: RegistryAccess,
  work: (access: RegistryAccess) => Promise<T>,
  isRefused: (given: T) => boolean,
): Promise<T> {
  const given = await work(access)
  if (!isRefused(given)) return given
  const renewed = await access.renewed()
  const isOther = renewed && renewed.scope(registry, repository) !== access.scope(registry, repository)
  return isOther ? work(renewed) : given
}

/** Gives the work a signal that ends it; the timer is gone as soon as the work is, since thousands of them would weigh on the heap. */
async function bounded<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(new DOMException('the work took too long', 'TimeoutError')), WORK_BOUND)
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
  }
}
