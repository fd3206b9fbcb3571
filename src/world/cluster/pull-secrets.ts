import { LRUCache } from 'lru-cache'
import { isObject } from '../../policy/shape.ts'
import type { Got, PullSecret } from './cluster.ts'

const KEPT = 30_000 // ms that a pull secret, or that there is none, is remembered: as long as a rotated one may go unnoticed where the old still works
const MAX_BYTES = 16 * 1024 * 1024 // of remembered Secrets; a thousand workloads with one of 2 KB each are 2 MB
const ENTRY_OVERHEAD = 400 // bytes of an entry besides its texts

/** The entries that credentials are read from (specification 9); nothing else of a Secret is kept. */
const ENTRIES = ['.dockerconfigjson', '.dockercfg']

/** A Secret reduced to what credentials need. */
export function pullSecretOf(namespace: string, name: string, secret: object): PullSecret {
  const { type, data } = secret as { readonly type?: unknown; readonly data?: unknown }
  const texts = isObject(data) ? data : {}
  const entries = ENTRIES.flatMap((key) => (typeof texts[key] === 'string' ? [[key, texts[key]] as const] : []))
  return { namespace, name, type: typeof type === 'string' ? type : 'Opaque', data: Object.fromEntries(entries) }
}

/**
 * Pull secrets of workloads, read on demand. Found and absent ones are remembered for 30 s, failures are not; equal questions at the
 * same time are asked once.
 */
export class PullSecrets {
  readonly #read: (namespace: string, name: string) => Promise<Got<PullSecret>>
  readonly #running = new Map<string, Promise<Got<PullSecret>>>()
  readonly #kept: LRUCache<string, Got<PullSecret>>

  constructor(read: (namespace: string, name: string) => Promise<Got<PullSecret>>, keptMs: number = KEPT) {
    this.#read = read
    this.#kept = new LRUCache({ maxSize: MAX_BYTES, ttl: keptMs, sizeCalculation: sizeOf })
  }

  /** `fresh` does not take what is remembered, only what is being read. */
  get(namespace: string, name: string, fresh: boolean): Promise<Got<PullSecret>> {
    const key = `${namespace}/${name}`
    const kept = fresh ? undefined : this.#kept.get(key)
    if (kept) return Promise.resolve(kept)
    const running = this.#running.get(key)
    if (running) return running
    const started = this.#readOne(key, namespace, name).finally(() => this.#running.delete(key))
    this.#running.set(key, started)
    return started
  }

  async #readOne(key: string, namespace: string, name: string): Promise<Got<PullSecret>> {
    const got = await this.#read(namespace, name)
    if (got.state === 'failed') this.#kept.delete(key)
    else this.#kept.set(key, got)
    return got
  }
}

function sizeOf(got: Got<PullSecret>, key: string): number {
  const data = got.state === 'found' ? Object.values(got.value.data).reduce((sum, text) => sum + text.length, 0) : 0
  return key.length + data + ENTRY_OVERHEAD
}
