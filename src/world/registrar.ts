import type { Deadline } from '../admit.ts'
import type { Registrar, RepositoryProblem } from '../configure.ts'
import type { ClusterObjects, Outside } from '../policy/objects.ts'
import type { TrustRoot } from '../trust/trust-root.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { WorldAround } from './surroundings.ts'
import { whyNotRepository } from './trust/tuf.ts'

const MAX_CHECK = 20_000 // ms of looking into one packed repository, whatever becomes of who asked

export type RegistrarOptions = {
  readonly systemNamespace: string
  readonly cluster: Pick<Cluster, 'objects'>
  /** What policies refer to outside of the cluster, as it is in force. */
  readonly outside: () => Outside
  readonly around: Pick<WorldAround, 'within'>
}

/** The world as `configure.ts` sees it: the cluster's objects, and packed repositories looked into. */
export class WorldRegistrar implements Registrar {
  readonly #options: RegistrarOptions

  constructor(options: RegistrarOptions) {
    this.#options = options
  }

  get systemNamespace(): string {
    return this.#options.systemNamespace
  }

  objects(): ClusterObjects {
    return this.#options.cluster.objects()
  }

  outside(): Outside {
    return this.#options.outside()
  }

  whyNotRepository({ repository, archive }: Extract<TrustRoot, { from: 'repository' }>): Promise<RepositoryProblem | undefined> {
    return whyNotRepository(repository, archive, AbortSignal.timeout(MAX_CHECK))
  }

  within<T>(work: Promise<T>, deadline: Deadline): Promise<T | 'late'> {
    return this.#options.around.within(work, deadline)
  }
}
