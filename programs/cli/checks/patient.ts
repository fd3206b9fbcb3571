import type { Workload } from '../../../src/admission/workload.ts'
import type { Credentials } from '../../../src/policy/ask.ts'
import type { Outside } from '../../../src/policy/objects.ts'
import { isObject } from '../../../src/policy/shape.ts'
import type { Read } from '../../../src/verdict/read.ts'
import type { ApiServer } from '../../../src/world/cluster/api-server.ts'
import type { ApiObject } from '../../../src/world/cluster/change.ts'
import type { Cluster } from '../../../src/world/cluster/cluster.ts'
import type { RegistryAccess } from '../../../src/world/registry/credentials.ts'
import type { Registry } from '../../../src/world/registry/registry.ts'
import type { Settings } from '../options.ts'
import type { Finding } from './finding.ts'
import { unknown } from './finding.ts'

/** What is examined: a cluster, or files that hold what a cluster would. */
export type Patient = {
  readonly settings: Settings
  readonly objects: Cluster
  /** Undefined: files. */
  readonly reader: Reader | undefined
  readonly registry: Registry
  /** The credentials that a workload's images are read with, or those of `signaturePullSecrets`. */
  readonly access: (workload: Workload, credentials: Credentials) => Promise<Read<RegistryAccess>>
  /** What policies refer to outside of the cluster, fetched now. */
  readonly outside: Outside
  readonly now: Date
}

/** `name` is a heading. A check that finds nothing to say is left out. */
export type Check = { readonly name: string; readonly run: (patient: Patient) => Promise<readonly Finding[]> }

/** A check of what only a cluster has. */
export function ofCluster(name: string, run: (reader: Reader, patient: Patient) => Promise<readonly Finding[]>): Check {
  return { name, run: async (patient) => (patient.reader ? run(patient.reader, patient) : []) }
}

export type Got<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly status: number | undefined; readonly text: string }

const PAGE = 500 // objects
const MAX_PAGES = 20
const PATIENCE = 15_000 // ms for each answer

/** Reads objects of a cluster as they are now, each once. */
export class Reader {
  readonly api: ApiServer
  readonly #known = new Map<string, Promise<Got<unknown>>>()

  constructor(api: ApiServer) {
    this.api = api
  }

  /** One object; undefined where there is none. */
  one(path: string): Promise<Got<ApiObject | undefined>> {
    return this.#once(path, async (): Promise<Got<ApiObject | undefined>> => {
      const answer = await this.api.get(path, {}, AbortSignal.timeout(PATIENCE))
      if (answer.state === 'answered') return { ok: true, value: answer.body }
      return answer.state === 'refused' && answer.status === 404 ? { ok: true, value: undefined } : failed(answer)
    })
  }

  /** All objects of a collection, up to 10,000. */
  all(path: string, query: Readonly<Record<string, string>> = {}): Promise<Got<readonly ApiObject[]>> {
    return this.#once(`${path} ${JSON.stringify(query)}`, async (): Promise<Got<readonly ApiObject[]>> => {
      const items: ApiObject[] = []
      let token = ''
      for (let page = 0; page < MAX_PAGES; page++) {
        const paged = { ...query, limit: String(PAGE), ...(token !== '' && { continue: token }) }
        const answer = await this.api.get(path, paged, AbortSignal.timeout(PATIENCE))
        if (answer.state !== 'answered') return failed(answer)
        const { items: more, metadata } = answer.body
        items.push(...(Array.isArray(more) ? (more as unknown[]) : []).filter(isObject))
        token = isObject(metadata) && typeof metadata['continue'] === 'string' ? metadata['continue'] : ''
        if (token === '') break
      }
      return { ok: true, value: items }
    })
  }

  /** Asks the API server something by creating what is not kept: an access review, or an object that is only tried. */
  async ask(path: string, body: object): Promise<Got<ApiObject>> {
    const answer = await this.api.write('create', path, body, AbortSignal.timeout(PATIENCE), PATIENCE)
    return answer.state === 'answered' ? { ok: true, value: answer.body } : failed(answer)
  }

  #once<T>(key: string, read: () => Promise<Got<T>>): Promise<Got<T>> {
    const known = this.#known.get(key) ?? read()
    this.#known.set(key, known)
    return known as Promise<Got<T>>
  }
}

function failed(answer: { readonly state: string; readonly status?: number; readonly text?: string }): Got<never> {
  return { ok: false, status: answer.status, text: answer.text ?? 'the answer is too large' }
}

/** What is said of what could not be read. */
export function unread(what: string, got: Got<unknown> & { readonly ok: false }): Finding {
  return got.status === 403
    ? unknown(`${what} may not be read: ${got.text}`, 'use a kubeconfig of somebody who may')
    : unknown(`${what} could not be read: ${got.text}`, 'try again')
}

/** A field deep in an object, whatever it is. */
export function at(object: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, name) =>
      typeof name === 'number' ? (Array.isArray(inner) ? inner[name] : undefined) : isObject(inner) ? inner[name] : undefined,
    object,
  )
}

export function textAt(object: unknown, ...path: readonly (string | number)[]): string {
  const value = at(object, ...path)
  return typeof value === 'string' ? value : ''
}

export function listAt(object: unknown, ...path: readonly (string | number)[]): readonly ApiObject[] {
  const value = at(object, ...path)
  return Array.isArray(value) ? (value as unknown[]).filter(isObject) : []
}

export function nameOf(object: ApiObject): string {
  return textAt(object, 'metadata', 'name')
}
