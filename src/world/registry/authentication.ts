import { LRUCache } from 'lru-cache'
import type { Repository } from '../../image/reference.ts'
import { endpointsOf } from '../network/endpoint.ts'
import type { Endpoint, Mirror } from '../network/endpoint.ts'
import type { Answer, Target, Transport, Trouble } from '../network/transport.ts'
import { readChallenge } from './challenge.ts'
import type { Challenge } from './challenge.ts'
import type { Credential, Keychain } from './fetched.ts'
import { refusal } from './registry-error.ts'
import type { RegistryReason } from './registry-error.ts'
import { basicAuthorization } from './token.ts'
import type { Tokens } from './token.ts'

const MAX_HOSTS = 1_000 // registries of which is remembered how they are reached and what they ask for
const MAX_PLACES = 10_000 // repositories of which is remembered which credential worked
const LEARNED_MS = 600_000 // how long that is believed; a registry that changed costs one more request then
const PLAIN_LEARNED_MS = 60_000 // the same for «only by plain http»: a registry that restarts must not be without credentials for long
const MAX_SCOPE = 1_024 // characters of a challenge's scope; longer ones are not taken
const MAX_PING = 64 * 1024 // bytes of the answer to `/v2/`, which is `{}`

/** What is asked of a registry, about one repository. */
export type Question = {
  readonly place: Repository
  /** Below `/v2/`. */
  readonly path: string
  readonly accept: string
  readonly maxBytes: number
  readonly size?: number
}

/** What came of it: an answer that is no 401 or 403, or the reason why there is none. `tried` names the credentials, in order. */
export type Asked =
  | { readonly ok: true; readonly answer: Answer; readonly endpoint: Endpoint; readonly tried: readonly string[] }
  | { readonly ok: false; readonly reason: RegistryReason; readonly tried: readonly string[] }

type WithoutTried<T> = T extends unknown ? Omit<T, 'tried'> : never

/** What became of one credential, for people: never its content. `withheld`: it was not sent, and `why`; `unanswered`: there was no answer. */
export type CredentialAttempt = {
  readonly source: string
  readonly became: 'taken' | 'refused' | 'withheld' | 'unanswered'
  readonly why?: string
}

/** What is known of a registry's demand: a challenge, or that `/v2/` is open to everybody. `inside`: its scopes name repositories with the mirror's path. */
type Demand = { readonly challenge: Challenge; readonly inside: boolean } | 'none'

type Reply = { readonly answer: Answer; readonly endpoint: Endpoint; readonly isBare: boolean }
/** What one credential led to. `withheld`: it was not sent, and why; `isUnknown`: it could not be found out whether there is one. */
type Attempt = Reply | (Trouble & { readonly refused?: boolean }) | { readonly withheld: string; readonly isUnknown?: boolean }

/** One question under way. `bare` is what came of asking without credentials: that is not done twice. */
type Course = {
  readonly question: Question
  readonly endpoints: readonly Endpoint[]
  readonly signal: AbortSignal
  bare: Reply | undefined
}

/**
 * Asks registries under the credentials that a keychain has for them, one after the other (distribution-spec, «Authentication»). Nothing is
 * asked beforehand: the first answer tells what a registry wants, and that is remembered for the host, so the next question is right at once.
 * A password is only ever sent to a host that asked for one, or to the token realm which that host named.
 */
export class Authentication {
  readonly #transport: Transport
  readonly #tokens: Tokens
  readonly #mirrors: readonly Mirror[]
  readonly #insecure: readonly string[]
  readonly #reached = new LRUCache<string, Endpoint>({ max: MAX_HOSTS })
  readonly #demands = new LRUCache<string, Demand>({ max: MAX_HOSTS, ttl: LEARNED_MS })
  readonly #scopes = new LRUCache<string, string>({ max: MAX_PLACES, ttl: LEARNED_MS })
  readonly #told: (place: Repository, attempts: readonly CredentialAttempt[]) => void
  readonly #worked = new LRUCache<string, number>({ max: MAX_PLACES, ttl: LEARNED_MS })

  constructor(
    transport: Transport,
    tokens: Tokens,
    mirrors: readonly Mirror[],
    insecure: readonly string[],
    told: (place: Repository, attempts: readonly CredentialAttempt[]) => void = () => {},
  ) {
    this.#transport = transport
    this.#tokens = tokens
    this.#mirrors = mirrors
    this.#insecure = insecure
    this.#told = told
  }

  async ask(question: Question, keychain: Keychain, signal: AbortSignal): Promise<Asked> {
    const attempts: CredentialAttempt[] = []
    const asked = await this.#ask(question, keychain, signal, attempts)
    this.#told(question.place, attempts)
    const tried = attempts.map(({ source, became, why }) => (became === 'withheld' ? `${source} (${why ?? ''})` : source))
    return { ...asked, tried }
  }

  async #ask(question: Question, keychain: Keychain, signal: AbortSignal, attempts: CredentialAttempt[]): Promise<WithoutTried<Asked>> {
    const { registry, repository } = question.place
    const endpoints = endpointsOf(registry, this.#mirrors, this.#insecure)
    if (endpoints.length === 0) return { ok: false, reason: { code: 'registry-malformed', text: `could not parse registry: ${registry}` } }
    const credentials = keychain.credentialsFor(registry, repository)
    const place = `${registry}/${repository} ${keychain.scope(registry, repository)}`
    const course: Course = { question, endpoints, signal, bare: undefined }
    let told: RegistryReason | undefined
    let unknown: string | undefined
    for (const credential of startingWith(credentials, this.#worked.get(place))) {
      const attempt = await this.#attempt(credential, course)
      if ('withheld' in attempt) {
        attempts.push({ source: credential.source, became: 'withheld', why: attempt.withheld })
        if (attempt.isUnknown) unknown ??= `the credentials of ${credential.source} could not be had: ${attempt.withheld}`
        continue
      }
      if ('answer' in attempt && !isRefused(attempt.answer)) {
        // Some registries tell strangers that what they may not see is not there.
        if (attempt.answer.status === 404 && unknown !== undefined) {
          const text = `GET ${attempt.answer.target.shown}: ${unknown}`
          attempts.push({ source: credential.source, became: 'taken' })
          return { ok: false, reason: { code: 'registry-credentials-unknown', text } }
        }
        this.#worked.set(place, credentials.indexOf(credential))
        const { answer, endpoint, isBare } = attempt
        attempts.push({ source: isBare ? 'anonymous' : credential.source, became: 'taken' })
        return { ok: true, answer, endpoint }
      }
      const reason = 'answer' in attempt ? reasonOf(attempt.answer) : attempt.reason
      const isOpen = !('answer' in attempt) && attempt.refused !== true
      attempts.push({ source: credential.source, became: isOpen ? 'unanswered' : 'refused' })
      if (isOpen) return { ok: false, reason }
      if (credential.kind === 'asked') credential.refused()
      // The refusal of the last credential is told; that nobody may read it either only when there was no credential.
      if (told === undefined || credential.kind !== 'anonymous') told = reason
    }
    const shown = this.#reached.get(registry) ?? endpoints[0]
    const nothingSent = `GET ${shown?.shown(question.path)}: no credentials that may be sent there`
    return {
      ok: false,
      reason: told ?? (course.bare ? reasonOf(course.bare.answer) : { code: 'registry-refused', text: nothingSent }),
    }
  }

  /** Asks with one credential: at once in the way that the registry is known to want, else bare, and then as its answer demands. */
  async #attempt(credential: Credential, course: Course): Promise<Attempt> {
    const { question } = course
    const endpoint = this.#endpoint(course)
    const demand = endpoint && this.#demands.get(endpoint.key)
    if (endpoint && demand !== undefined && demand !== 'none') {
      const given = await this.#authorization(
        credential,
        demand.challenge,
        this.#scope(endpoint, question, demand),
        endpoint,
        undefined,
        course,
      )
      if (!('header' in given)) return given
      const reply = await this.#send(given.header, course)
      if (!('answer' in reply) || reply.answer.status !== 401) return reply
      return this.#answerChallenge(credential, reply, given, course)
    }
    const reply = await this.#send(undefined, course)
    if (!('answer' in reply)) return reply
    if (reply.answer.status === 401) return this.#answerChallenge(credential, reply, undefined, course)
    // Some registries hide from strangers what they would show to others, without asking who it is: `/v2/` asks.
    const hides = reply.answer.status === 403 || reply.answer.status === 404
    if (!hides || credential.kind === 'anonymous' || demand === 'none') return reply
    const why = withholding(credential, reply.endpoint)
    if (why !== undefined) return reply.answer.status === 404 ? reply : { withheld: why }
    const asks = await this.#ping(reply.endpoint, course.signal)
    if (asks === 'none') return reply
    const scope = this.#scope(reply.endpoint, question, asks)
    const given = await this.#authorization(credential, asks.challenge, scope, reply.endpoint, undefined, course)
    return 'header' in given ? this.#send(given.header, course) : given
  }

  /** After a 401: what it asks for is remembered, and given when it is something else than what was sent. */
  async #answerChallenge(credential: Credential, reply: Reply, sent: Given | undefined, course: Course): Promise<Attempt> {
    const { answer, endpoint } = reply
    const challenge = challengeOf(answer, endpoint)
    if (!challenge) return reply
    const demand = this.#learn(challenge, endpoint, course.question)
    const scope = this.#scope(endpoint, course.question, demand)
    // A token fresh from the realm that is not taken will not be taken the second time.
    if (sent?.header !== undefined && (challenge.kind === 'basic' ? sent.token === undefined : sent.isFresh && sent.scope === scope))
      return reply
    const given = await this.#authorization(credential, challenge, scope, endpoint, sent?.token, course)
    if (!('header' in given)) return given
    return given.header === sent?.header ? reply : this.#send(given.header, course)
  }

  async #authorization(
    credential: Credential,
    challenge: Challenge,
    scope: string,
    endpoint: Endpoint,
    rejected: string | undefined,
    course: Course,
  ): Promise<Given | Exclude<Attempt, Reply>> {
    const { question, signal } = course
    const why = withholding(credential, endpoint)
    if (why !== undefined) return { withheld: why }
    if (credential.kind === 'asked') {
      const got = await credential.get(signal)
      if (got.state !== 'found') return { withheld: got.why, isUnknown: got.state === 'unknown' }
      return this.#authorization(got.credential, challenge, scope, endpoint, rejected, course)
    }
    if (challenge.kind === 'basic')
      return { header: credential.kind === 'basic' ? basicAuthorization(credential) : undefined, scope, isFresh: true }
    if (credential.kind === 'registry-token') return { header: `Bearer ${credential.token}`, token: credential.token, scope, isFresh: true }
    if (challenge.realm.protocol !== 'https:' && endpoint.secure) {
      return {
        reason: {
          code: 'registry-malformed',
          text: `GET ${endpoint.shown(question.path)}: the token realm that the registry names is not https`,
        },
      }
    }
    const read = await this.#tokens.get({ challenge, scope, credential, kind: endpoint.kind }, rejected, signal)
    return read.ok
      ? { header: `Bearer ${read.token}`, token: read.token, scope, isFresh: !read.kept }
      : { reason: read.reason, refused: read.refused }
  }

  async #send(authorization: string | undefined, course: Course): Promise<Reply | Trouble> {
    if (authorization === undefined && course.bare) return course.bare
    const { question, signal } = course
    const known = this.#endpoint(course)
    const endpoints = known ? [known] : course.endpoints
    const targets = endpoints.map((endpoint) => targetOf(endpoint, question.path))
    const answer = await this.#transport.ask(
      {
        method: 'GET',
        targets,
        headers: { accept: question.accept, ...(authorization === undefined ? {} : { authorization }) },
        maxBytes: question.maxBytes,
        ...(question.size === undefined ? {} : { size: question.size }),
      },
      signal,
    )
    const { registry } = question.place
    if (!('status' in answer)) {
      if (answer.reason.code === 'registry-unreachable') this.#reached.delete(registry)
      return answer
    }
    const endpoint = endpoints[targets.indexOf(answer.target)]
    if (!endpoint) throw new Error('an answer from a target that was not asked')
    if (!known) this.#reached.set(registry, endpoint, { ttl: endpoint.withholds === 'plain http' ? PLAIN_LEARNED_MS : LEARNED_MS })
    const reply = { answer, endpoint, isBare: authorization === undefined }
    if (authorization === undefined) course.bare = reply
    return reply
  }

  /** The endpoint that this question goes to, once that is known. A course stays with the one that it began with. */
  #endpoint({ question, endpoints, bare }: Course): Endpoint | undefined {
    if (bare) return bare.endpoint
    if (endpoints.length === 1) return endpoints[0]
    const reached = this.#reached.get(question.place.registry)
    return endpoints.find(({ key }) => key === reached?.key)
  }

  /** What `/v2/` asks for. */
  async #ping(endpoint: Endpoint, signal: AbortSignal): Promise<Demand> {
    const answer = await this.#transport.ask({ method: 'GET', targets: [targetOf(endpoint, '')], headers: {}, maxBytes: MAX_PING }, signal)
    if (!('status' in answer)) return 'none'
    const challenge = answer.status === 401 ? challengeOf(answer, endpoint) : undefined
    const demand = challenge ? { challenge, inside: false } : 'none'
    this.#demands.set(endpoint.key, demand)
    return demand
  }

  #learn(challenge: Challenge, endpoint: Endpoint, { place }: Question): Exclude<Demand, 'none'> {
    const scope =
      challenge.kind === 'bearer' && challenge.scope !== undefined && challenge.scope.length <= MAX_SCOPE ? challenge.scope : undefined
    const inside = endpoint.repository(place.repository)
    if (scope !== undefined) this.#scopes.set(`${endpoint.key} ${place.repository}`, scope)
    const demand = { challenge, inside: inside !== place.repository && (scope?.includes(`repository:${inside}:`) ?? false) }
    this.#demands.set(endpoint.key, demand)
    return demand
  }

  /** The scope that the registry named for this repository; before it did, the repository by the name under which it spoke of others. */
  #scope(endpoint: Endpoint, { place: { repository } }: Question, { inside }: Exclude<Demand, 'none'>): string {
    return this.#scopes.get(`${endpoint.key} ${repository}`) ?? pullScope(inside ? endpoint.repository(repository) : repository)
  }
}

/** What is sent as `Authorization`; without a header the credential is none for this challenge. */
type Given = { readonly header: string | undefined; readonly token?: string; readonly scope: string; readonly isFresh: boolean }

/** The error status of an answer in words. */
export function reasonOf({ target, status, body }: Answer): RegistryReason {
  return refusal('GET', target.shown, status, body)
}

/** What the registry asks for. What another host asks for, to which it redirected, is not for the registry's credentials to answer (lesson 43). */
function challengeOf({ headers, url }: Answer, endpoint: Endpoint): Challenge | undefined {
  return url.origin === endpoint.url('').origin ? readChallenge(headers['www-authenticate']) : undefined
}

function isRefused({ status }: Answer): boolean {
  return status === 401 || status === 403
}

function withholding(credential: Credential, { withholds }: Endpoint): string | undefined {
  if (credential.kind === 'anonymous' || withholds === undefined) return undefined
  return withholds === 'mirror' ? 'not sent to the mirror' : 'not sent by plain http'
}

function targetOf(endpoint: Endpoint, path: string): Target {
  return { url: endpoint.url(path), shown: endpoint.shown(path), shownBase: endpoint.shown(''), kind: endpoint.kind }
}

function pullScope(repository: string): string {
  return `repository:${repository}:pull`
}

function startingWith<T>(items: readonly T[], index: number | undefined): readonly T[] {
  const first = index === undefined ? undefined : items[index]
  return first === undefined ? items : [first, ...items.filter((item) => item !== first)]
}
