import { LRUCache } from 'lru-cache'
import type { Cloud, Obtained, RegistryLogin } from '../cloud/cloud.ts'
import { whyOf } from '../cloud/cloud.ts'
import type { AskedCredential, Got } from './fetched.ts'

const LOGIN_MS = 15_000 // to ask a cloud for a login, its libraries' loading included
const EARLY_MS = 5 * 60_000 // before its end a login is not used any more, or at half of its time if that is later
const UNDATED_MS = 10 * 60_000 // how long a login is used that does not say when it ends
const AGAIN_MS = 10_000 // after which a cloud is asked again that could not be asked
const NONE_MS = 60_000 // the same where this process has no identity: to notice that can take seconds
const MAX_LOGINS = 1_000 // that are kept: one a region of AWS, one a registry of Azure, whose names whoever creates a Pod chooses
const REFUSED_MS = 30_000 // a login that a registry refuses is thrown away if it is older

/** Whose a registry is, and what has to be known to log in there. */
export type CloudHost =
  | { readonly of: 'Amazon ECR'; readonly region: string; readonly fips: boolean }
  | { readonly of: 'Amazon ECR Public' }
  | { readonly of: 'Google' }
  | { readonly of: 'Azure ACR'; readonly host: string }
  | { readonly of: 'GitHub' }

const ECR = /^\d{12}\.dkr\.ecr(-fips)?\.([a-z]{2,4}(?:-[a-z]+){1,3}-\d{1,2})\.amazonaws\.(?:com(?:\.cn)?|eu)$/
// Those that answer by IPv6 too.
const ECR_DUAL = /^\d{12}\.dkr-ecr(-fips)?\.([a-z]{2,4}(?:-[a-z]+){1,3}-\d{1,2})\.on\.(?:aws|amazonwebservices\.com\.cn)$/
const GOOGLE = /^(?:gcr\.io|(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}(?:gcr\.io|pkg\.dev|google\.com))$/
const AZURE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.azurecr\.(?:io|cn|us)$/

/**
 * The cloud whose registry `registry` (canonical `host[:port]`) is; undefined: nobody's, and no cloud's credential ever goes there. The whole
 * host has to be one of theirs: a credential that is sent to `x.azurecr.io.evil.example` opens everything that the controller may do (lesson
 * 32). None of them has a port.
 */
export function cloudHostOf(registry: string): CloudHost | undefined {
  if (registry.length > 253) return undefined
  const [ecr, fips, region] = ECR.exec(registry) ?? ECR_DUAL.exec(registry) ?? []
  if (ecr !== undefined && region !== undefined) return { of: 'Amazon ECR', region, fips: fips !== undefined }
  if (registry === 'public.ecr.aws') return { of: 'Amazon ECR Public' }
  if (GOOGLE.test(registry)) return { of: 'Google' }
  if (AZURE.test(registry)) return { of: 'Azure ACR', host: registry }
  return registry === 'ghcr.io' ? { of: 'GitHub' } : undefined
}

type Kept = { readonly login: Obtained<RegistryLogin>; readonly since: number; readonly until: number }

/**
 * Logins of this process's own identity to the registries of clouds. Each is asked for when a registry of that cloud wants to know who it is,
 * once for all who ask at that time, and kept until shortly before it ends. `now` in ms since 1970.
 */
export class CloudLogins {
  readonly #cloud: Cloud
  readonly #now: () => number
  readonly #kept = new LRUCache<string, Kept>({ max: MAX_LOGINS })
  readonly #running = new Map<string, Promise<Obtained<RegistryLogin>>>()

  constructor(cloud: Cloud, now: () => number = Date.now) {
    this.#cloud = cloud
    this.#now = now
  }

  /** Undefined: the registry is no cloud's. */
  credentialFor(registry: string): AskedCredential | undefined {
    const host = cloudHostOf(registry)
    if (!host) return undefined
    const key = JSON.stringify(host)
    return {
      kind: 'asked',
      source: host.of,
      identity: key,
      get: async (signal) => {
        const login = await sooner(this.#login(host, key), signal)
        return login.state === 'found'
          ? given(host.of, login.value)
          : { state: login.state === 'none' ? 'none' : 'unknown', why: login.why }
      },
      refused: () => {
        const kept = this.#kept.get(key)
        if (kept && this.#now() - kept.since > REFUSED_MS) this.#kept.delete(key)
      },
    }
  }

  #login(host: CloudHost, key: string): Promise<Obtained<RegistryLogin>> {
    const kept = this.#kept.get(key)
    if (kept && this.#now() < kept.until) return Promise.resolve(kept.login)
    let running = this.#running.get(key)
    if (!running) {
      // Not the asker's signal: others wait for the same login, and theirs may last longer.
      running = sooner(ask(host, this.#cloud, AbortSignal.timeout(LOGIN_MS)), AbortSignal.timeout(LOGIN_MS))
        .then((login) => {
          const since = this.#now()
          this.#kept.set(key, { login, since, until: since + lifeOf(login, since) })
          return login
        })
        .finally(() => this.#running.delete(key))
      this.#running.set(key, running)
    }
    return running
  }
}

async function ask(host: CloudHost, cloud: Cloud, signal: AbortSignal): Promise<Obtained<RegistryLogin>> {
  // Imported when a registry of theirs is asked: most clusters have those of one cloud, or of none.
  try {
    switch (host.of) {
      case 'Amazon ECR':
        return await (await import('../cloud/aws.ts')).ecrLogin(host.region, host.fips, cloud, signal)
      case 'Amazon ECR Public':
        return await (await import('../cloud/aws.ts')).ecrPublicLogin(cloud, signal)
      case 'Google':
        return await (await import('../cloud/google.ts')).googleLogin(cloud, signal)
      case 'Azure ACR':
        return await (await import('../cloud/azure.ts')).acrLogin(host.host, cloud, signal)
      case 'GitHub': {
        const { GITHUB_TOKEN } = cloud.environment
        // GitHub looks at the token alone.
        return GITHUB_TOKEN
          ? { state: 'found', value: { username: 'token', password: GITHUB_TOKEN, ends: undefined } }
          : { state: 'none', why: 'GITHUB_TOKEN is not set' }
      }
    }
  } catch (error) {
    return { state: 'unknown', why: whyOf(error) }
  }
}

function given(source: string, { username, password }: RegistryLogin): Got {
  return { state: 'found', credential: { kind: 'basic', source, username, password } }
}

/** Milliseconds that an answer is kept. */
function lifeOf(login: Obtained<RegistryLogin>, now: number): number {
  if (login.state === 'none') return NONE_MS
  if (login.state !== 'found') return AGAIN_MS
  if (login.value.ends === undefined) return UNDATED_MS
  const left = login.value.ends - now
  return Math.max(0, left - EARLY_MS, left / 2)
}

/** `work`, or that there was no time for it. */
function sooner<T>(work: Promise<Obtained<T>>, signal: AbortSignal): Promise<Obtained<T>> {
  const late: Obtained<T> = { state: 'unknown', why: 'there was no answer in time' }
  if (signal.aborted) return Promise.resolve(late)
  return new Promise((resolve, reject) => {
    const cut = (): void => resolve(late)
    signal.addEventListener('abort', cut, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cut))
  })
}
