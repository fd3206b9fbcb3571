import type { Workload } from '../../src/admission/workload.ts'
import type { Access, Deadline, Judged, LogSearched, Resolved, Surroundings } from '../../src/admit.ts'
import type { Digest } from '../../src/image/digest.ts'
import type { Reference } from '../../src/image/reference.ts'
import type { Ask, Credentials, ImageAtDigest } from '../../src/policy/ask.ts'
import type { LogQuery } from '../../src/policy/decide.ts'
import type { Found } from '../../src/sigstore/evidence.ts'
import type { Read } from '../../src/verdict/read.ts'
import type { Metrics, Stage } from '../../src/world/metrics.ts'
import type { Trace } from './trace.ts'

/** The surroundings of one request, with the time of each stage counted and, where there is a trace, a span of it. */
export class Observed<A extends Access> implements Surroundings<A> {
  readonly #around: Surroundings<A>
  readonly #metrics: Metrics
  readonly #trace: Trace | undefined

  constructor(around: Surroundings<A>, metrics: Metrics, trace: Trace | undefined) {
    this.#around = around
    this.#metrics = metrics
    this.#trace = trace
  }

  access(workload: Workload, credentials: Credentials): Promise<Read<A>> {
    return this.#timed('credentials', () => this.#around.access(workload, credentials))
  }

  gather(ask: Ask, access: A): Promise<Found> {
    return this.#timed('evidence', () => this.#around.gather(ask, access))
  }

  resolve(image: Reference, access: A, budget: number): Promise<Resolved> {
    return this.#timed('tag', () => this.#around.resolve(image, access, budget))
  }

  search(query: LogQuery): Promise<LogSearched> {
    return this.#timed('log', () => this.#around.search(query))
  }

  platforms(image: ImageAtDigest, access: A): Promise<Read<readonly Digest[]>> {
    return this.#timed('platforms', () => this.#around.platforms(image, access))
  }

  once(key: string, ttl: number, work: () => Promise<Judged>): ReturnType<Surroundings<A>['once']> {
    return this.#around.once(key, ttl, () => this.#timed('judgement', work))
  }

  within<T>(work: Promise<T>, deadline: Deadline): Promise<T | 'late'> {
    return this.#around.within(work, deadline)
  }

  remaining(deadline: Deadline): number {
    return this.#around.remaining(deadline)
  }

  now(): number {
    return this.#around.now()
  }

  turn(taken: number): Promise<void> {
    return this.#around.turn(taken)
  }

  /** What is not asynchronous is timed too: `read`. */
  read<T>(work: () => T): T {
    const done = this.#begin('read')
    const result = work()
    done()
    return result
  }

  #timed<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
    const done = this.#begin(stage)
    return work().finally(done)
  }

  #begin(stage: Stage): () => void {
    const began = performance.now()
    const endSpan = this.#trace?.stage(stage)
    return () => {
      endSpan?.()
      this.#metrics.staged(stage, (performance.now() - began) / 1000)
    }
  }
}
