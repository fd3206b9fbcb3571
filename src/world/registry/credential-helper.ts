import { LRUCache } from 'lru-cache'
import { isJsonObject, readJson } from '../../image/json.ts'
import { run } from '../program.ts'
import { Slots } from '../slots.ts'
import type { AskedCredential, Got } from './fetched.ts'

const HELPER_MS = 10_000 // a helper may ask a cloud, and some take seconds
const MAX_ANSWER = { bytes: 64 * 1024, depth: 4, values: 100 } // of a helper: a name and a token
const MAX_AT_A_TIME = 4 // helpers that run
const MAX_WAITING = 256 // that wait for it
const MAX_KEPT = 1_000 // answers that are kept; whoever creates a Pod chooses the registry that a store is asked for
const KEPT_MS = 60_000 // how long an answer counts: it does not say when it ends, and helpers keep what they know themselves
const AGAIN_MS = 10_000 // the same of a helper that failed
const NOT_FOUND = /credentials not found/i // how helpers say that they have none (docker-credential-helpers, «credentials»)

/**
 * Credential helpers as Docker runs them: `docker-credential-<name> get` on PATH, with the registry on standard input. Each is asked once a
 * registry for all who want it at that time; what it answers is kept for a minute. Nothing of its output is ever shown.
 */
export class CredentialHelpers {
  readonly #environment: Readonly<Record<string, string | undefined>>
  readonly #slots = new Slots(MAX_AT_A_TIME, MAX_WAITING)
  readonly #kept = new LRUCache<string, Got>({ max: MAX_KEPT })
  readonly #running = new Map<string, Promise<Got>>()

  constructor(environment: Readonly<Record<string, string | undefined>>) {
    this.#environment = environment
  }

  /** `name` without `docker-credential-`; it has to be the name of a program. */
  credentialFor(name: string, registry: string): AskedCredential {
    const key = `${name}\n${registry}`
    return {
      kind: 'asked',
      source: `docker-credential-${name}`,
      identity: key,
      get: (signal) => this.#get(name, registry, key, signal),
      refused: () => void this.#kept.delete(key),
    }
  }

  async #get(name: string, registry: string, key: string, signal: AbortSignal): Promise<Got> {
    const kept = this.#kept.get(key)
    if (kept) return kept
    let running = this.#running.get(key)
    if (!running) {
      running = this.#ask(name, registry).finally(() => this.#running.delete(key))
      this.#running.set(key, running)
      void running.then((got) => this.#kept.set(key, got, { ttl: got.state === 'unknown' ? AGAIN_MS : KEPT_MS }))
    }
    const late = new Promise<Got>((resolve) => {
      const cut = (): void => resolve({ state: 'unknown', why: 'there was no answer in time' })
      if (signal.aborted) cut()
      else signal.addEventListener('abort', cut, { once: true })
    })
    return Promise.race([running, late])
  }

  async #ask(name: string, registry: string): Promise<Got> {
    const source = `docker-credential-${name}`
    const slot = await this.#slots.take(AbortSignal.timeout(HELPER_MS))
    if (slot !== 'taken') return { state: 'unknown', why: 'too many credential helpers are running' }
    try {
      const ended = await run({
        command: source,
        args: ['get'],
        env: this.#environment,
        // Docker Hub has the name by which its first registry was known.
        input: `${registry === 'index.docker.io' ? 'https://index.docker.io/v1/' : registry}\n`,
        ms: HELPER_MS,
        maxBytes: MAX_ANSWER.bytes,
      })
      switch (ended.how) {
        case 'killed':
          return { state: 'unknown', why: `it was ended after ${HELPER_MS / 1000} s or ${MAX_ANSWER.bytes} bytes` }
        case 'not-run':
          return { state: 'unknown', why: `it could not be run: ${/\bE[A-Z]+\b/.exec(ended.why)?.[0] ?? 'no reason'}` }
        case 'ended':
          if (ended.code === 0) return credentialIn(ended.answer, source)
          return NOT_FOUND.test(ended.answer)
            ? { state: 'none', why: 'it has none for this registry' }
            : { state: 'unknown', why: `it ended with ${ended.code}` }
      }
    } finally {
      this.#slots.release()
    }
  }
}

/** `{"ServerURL", "Username", "Secret"}`; the user `<token>` says that the secret is an identity token. */
function credentialIn(answer: string, source: string): Got {
  const read = readJson(Buffer.from(answer), MAX_ANSWER)
  const { Username: username, Secret: secret } = read.ok && isJsonObject(read.value) ? read.value : {}
  if (typeof username !== 'string' || typeof secret !== 'string')
    return { state: 'unknown', why: 'it did not answer with a user name and a secret' }
  if (username === '' && secret === '') return { state: 'none', why: 'it has none for this registry' }
  return {
    state: 'found',
    credential:
      username === '<token>'
        ? { kind: 'identity-token', source, username, token: secret }
        : { kind: 'basic', source, username, password: secret },
  }
}
