import { readFile, readdir, stat } from 'node:fs/promises'
import type { LookupFunction } from 'node:net'
import { join } from 'node:path'
import { LRUCache } from 'lru-cache'
import type { Digest } from '../../image/digest.ts'
import { hexOf, isDigest } from '../../image/digest.ts'
import type { Descriptor } from '../../image/manifest.ts'
import { MANIFEST_ACCEPT, readManifest } from '../../image/manifest.ts'
import type { Repository } from '../../image/reference.ts'
import type { HostClass, Metrics, RegistryOutcome } from '../metrics.ts'
import type { Endpoint, Mirror } from '../network/endpoint.ts'
import type { ProxySettings } from '../network/proxy.ts'
import { proxySettings } from '../network/proxy.ts'
import { certificatesIn, isCertificate, systemRoots } from '../network/system-roots.ts'
import { Transport } from '../network/transport.ts'
import type { Answer } from '../network/transport.ts'
import { Authentication, reasonOf } from './authentication.ts'
import type { Asked, CredentialAttempt, Question } from './authentication.ts'
import type { Fetched, Keychain } from './fetched.ts'
import type { RegistryReason } from './registry-error.ts'
import { Tokens } from './token.ts'

const MAX_MANIFEST = 4 * 1024 * 1024 // bytes; what registries take at most (OCI distribution-spec, «Pushing Manifests»)
const MAX_REFERRER_PAGES = 20 // pages of one list of referrers
const MAX_REFERRERS = 5_000 // entries of one list of referrers
const MAX_HOSTS = 1_000 // registries of which is remembered that they have the referrers API
const LEARNED_MS = 600_000 // how long that is believed

const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'
const MANIFEST_TYPES = MANIFEST_ACCEPT.join(', ')
/** Statuses by which a registry says that it has no referrers API. */
const NO_REFERRERS: ReadonlySet<number> = new Set([400, 404, 405, 406])

export type RegistryOptions = {
  readonly mirrors: readonly Mirror[]
  /** Canonical hosts that may be asked by plain http, with credentials. */
  readonly insecureRegistries: readonly string[]
  /** Certificates (PEM) that sign registries' certificates; called at the first https connection. */
  readonly ca: () => readonly string[]
  readonly proxy: ProxySettings
  readonly userAgent: string
  /** Whether there is no memory for a further answer; always enough when absent. */
  readonly isShort?: () => boolean
  /** Called once for every HTTP request, however it ended. */
  readonly count: (outcome: RegistryOutcome, host: HostClass) => void
  /** Called once for every question, with what became of each credential that was tried. */
  readonly told?: (place: Repository, attempts: readonly CredentialAttempt[]) => void
  /** How names become addresses; the system's resolver when absent. What it answers is still checked. */
  readonly lookup?: LookupFunction
}

/** The bytes of a manifest or index, which have the digest; the media type is what the registry says of them. */
export type FetchedManifest = { readonly bytes: Uint8Array; readonly digest: Digest; readonly mediaType: string | undefined }

/** The settings of the command line and the environment that concern registries. Rejects with a sentence for the operator. */
export async function registryOptions(
  settings: {
    readonly mirrors: readonly Mirror[]
    readonly insecureRegistries: readonly string[]
    /** Paths of PEM files, and of folders of them. */
    readonly registryCas: readonly string[]
  },
  environment: Readonly<Record<string, string | undefined>>,
  metrics: Metrics,
): Promise<RegistryOptions> {
  const proxy = proxySettings(environment)
  if ('error' in proxy) throw new Error(proxy.error)
  const named = await Promise.all(settings.registryCas.map(certificatesAt))
  return {
    mirrors: settings.mirrors,
    insecureRegistries: settings.insecureRegistries,
    ca: () => [...systemRoots(environment), ...named.flat()],
    proxy,
    userAgent: 'sealgate',
    count: (outcome, host) => metrics.registryAsked(outcome, host),
  }
}

/** The certificates of a file, or of all files of a folder, such as a Secret that is mounted. Rejects where there are none, or broken ones. */
async function certificatesAt(path: string): Promise<readonly string[]> {
  // Kubernetes keeps the files of a volume in a folder whose name begins with a dot, and links to them.
  const isFolder = (await stat(path)).isDirectory()
  const files = isFolder ? (await readdir(path)).filter((name) => !name.startsWith('.')).map((name) => join(path, name)) : [path]
  const found = (await Promise.all(files.map(async (file) => certificatesIn(await readFile(file, 'latin1'))))).flat()
  if (found.length === 0 || !found.every(isCertificate))
    throw new Error(`--registry-ca ${path}: no certificate in the ${isFolder ? 'folder' : 'file'} that can be read`)
  return found
}

/**
 * Reads from OCI registries (distribution-spec 1.1). Whatever comes back was written by who may push there, or by who stands between: every
 * content is compared with its digest, and is as large as announced or refused. Nothing is remembered here but how hosts are reached.
 */
export class Registry {
  readonly #transport: Transport
  readonly #authentication: Authentication
  readonly #withReferrers = new LRUCache<string, true>({ max: MAX_HOSTS, ttl: LEARNED_MS })

  constructor(options: RegistryOptions) {
    this.#transport = new Transport(options)
    const { mirrors, insecureRegistries, told } = options
    this.#authentication = new Authentication(this.#transport, new Tokens(this.#transport), mirrors, insecureRegistries, told)
  }

  /** A manifest or index under a digest or a tag, at most 4 MiB. Under a tag the digest is computed from the bytes (lesson 4). */
  async manifest(place: Repository, reference: string, keychain: Keychain, signal: AbortSignal): Promise<Fetched<FetchedManifest>> {
    if (!isDigest(reference) && !TAG.test(reference)) {
      return {
        state: 'failed',
        reason: malformed(`could not parse reference: ${place.registry}/${place.repository}:${reference.slice(0, 200)}`),
        tried: [],
      }
    }
    const path = `${place.repository}/manifests/${reference}`
    return read(
      await this.#ask({ place, path, accept: MANIFEST_TYPES, maxBytes: MAX_MANIFEST }, keychain, signal),
      ({ body, digest, headers }) => {
        const mediaType = headers['content-type']
        if (mediaType?.toLowerCase().startsWith('text/html')) return { wrong: 'a web page instead of a manifest' }
        if (isDigest(reference) && digest !== reference) return { wrong: differs('manifest digest', digest, reference) }
        // The header never decides. One that names other content than what came is a registry that contradicts itself.
        const claimed = headers['docker-content-digest']
        if (typeof claimed === 'string' && claimed.startsWith('sha256:') && claimed !== digest)
          return { wrong: differs('Docker-Content-Digest', claimed, digest) }
        return { value: { bytes: body, digest, mediaType } }
      },
    )
  }

  /** The digest that a tag points to now: that of the manifest's bytes, whatever the headers say (lessons 3 and 4). */
  async resolve(place: Repository, tag: string, keychain: Keychain, signal: AbortSignal): Promise<Fetched<Digest>> {
    const fetched = await this.manifest(place, tag, keychain, signal)
    return fetched.state === 'found' ? { ...fetched, value: fetched.value.digest } : fetched
  }

  /** A blob of exactly this digest and size (lesson 5), refused unread when it is larger than `maxBytes`. */
  async blob(
    place: Repository,
    { digest: wanted, size }: { readonly digest: Digest; readonly size: number },
    maxBytes: number,
    keychain: Keychain,
    signal: AbortSignal,
  ): Promise<Fetched<Uint8Array>> {
    if (size > maxBytes)
      return { state: 'failed', reason: malformed(`size of layer (${size}) exceeded the limit (${maxBytes})`), tried: [] }
    const path = `${place.repository}/blobs/${wanted}`
    return read(await this.#ask({ place, path, accept: '*/*', maxBytes, size }, keychain, signal), ({ body, digest }) =>
      digest === wanted
        ? { value: body }
        : {
            wrong: `error verifying sha256 checksum after reading ${body.length} bytes; got ${JSON.stringify(digest)}, want ${JSON.stringify(wanted)}`,
          },
    )
  }

  /**
   * What refers to a digest: by the referrers API, else by the fallback tag `sha256-<hex>` (distribution-spec, «Unavailable Referrers API»).
   * No such tag is an empty list. A list that does not end within the bounds is `failed`, since what is beyond could matter.
   */
  async referrers(place: Repository, digest: Digest, keychain: Keychain, signal: AbortSignal): Promise<Fetched<readonly Descriptor[]>> {
    // Of a registry that has the API everything is known after one request. Of any other both are asked at once, for the sake of time: it
    // cannot be remembered that a registry has none, since a 404 may concern one repository only.
    if (this.#withReferrers.has(place.registry)) {
      return (await this.#referrersByApi(place, digest, keychain, signal)) ?? this.#referrersByTag(place, digest, keychain, signal)
    }
    const [byApi, byTag] = await Promise.all([
      this.#referrersByApi(place, digest, keychain, signal),
      this.#referrersByTag(place, digest, keychain, signal),
    ])
    return byApi ?? byTag
  }

  /** What requests go through: with the operator's certificates, proxy and bounds, for others who ask (transparency logs). */
  get transport(): Transport {
    return this.#transport
  }

  async close(): Promise<void> {
    await this.#transport.close()
  }

  /** Undefined: the registry has no such API. */
  async #referrersByApi(
    place: Repository,
    digest: Digest,
    keychain: Keychain,
    signal: AbortSignal,
  ): Promise<Fetched<readonly Descriptor[]> | undefined> {
    const found: Descriptor[] = []
    let path: string | undefined = `${place.repository}/referrers/${digest}`
    for (let page = 0; path !== undefined; page++) {
      const asked: Asked = await this.#ask({ place, path, accept: INDEX_TYPE, maxBytes: MAX_MANIFEST }, keychain, signal)
      if (!asked.ok) return { state: 'failed', reason: asked.reason, tried: asked.tried }
      const { answer, endpoint } = asked
      const isIndex = answer.status === 200 && mediaTypeOf(answer) === INDEX_TYPE
      if (page === 0 && (NO_REFERRERS.has(answer.status) || (answer.status === 200 && !isIndex))) return undefined
      const { tried } = asked
      const failed = (wrong: string): Fetched<never> => ({
        state: 'failed',
        reason: malformed(`GET ${answer.target.shown}: ${wrong}`),
        tried,
      })
      if (answer.status !== 200) return { state: 'failed', reason: reasonOf(answer), tried }
      const index = isIndex ? readManifest(answer.body, INDEX_TYPE) : undefined
      if (index?.ok !== true || index.value.kind !== 'index')
        return failed(index?.ok === false ? index.detail : 'the answer is not an index')
      found.push(...index.value.manifests)
      const next = nextPage(answer, endpoint)
      if (next === 'elsewhere') return failed('the next page is somewhere else')
      if (found.length > MAX_REFERRERS || (next !== undefined && page + 1 === MAX_REFERRER_PAGES))
        return failed('the list of referrers is too long')
      path = next?.path
    }
    this.#withReferrers.set(place.registry, true)
    return { state: 'found', value: found, tried: [] }
  }

  async #referrersByTag(
    place: Repository,
    digest: Digest,
    keychain: Keychain,
    signal: AbortSignal,
  ): Promise<Fetched<readonly Descriptor[]>> {
    const fetched = await this.manifest(place, `sha256-${hexOf(digest)}`, keychain, signal)
    if (fetched.state === 'absent') return { state: 'found', value: [], tried: fetched.tried }
    if (fetched.state === 'failed') return fetched
    const index = readManifest(fetched.value.bytes, fetched.value.mediaType)
    const wrong = !index.ok ? index.detail : index.value.kind !== 'index' ? 'is not an index' : undefined
    if (wrong !== undefined || !index.ok || index.value.kind !== 'index') {
      return {
        state: 'failed',
        reason: malformed(`${place.registry}/${place.repository}:sha256-${hexOf(digest)}: ${wrong}`),
        tried: fetched.tried,
      }
    }
    return { state: 'found', value: index.value.manifests, tried: fetched.tried }
  }

  #ask(question: Question, keychain: Keychain, signal: AbortSignal): Promise<Asked> {
    return this.#authentication.ask(question, keychain, signal)
  }
}

/** An answer as what was asked for: a 200 that `judge` takes, a 404, or a failure. */
function read<T>(asked: Asked, judge: (answer: Answer) => { readonly value: T } | { readonly wrong: string }): Fetched<T> {
  const { tried } = asked
  if (!asked.ok) return { state: 'failed', reason: asked.reason, tried }
  const { answer } = asked
  if (answer.status !== 200) return { state: answer.status === 404 ? 'absent' : 'failed', reason: reasonOf(answer), tried }
  const judged = judge(answer)
  return 'value' in judged
    ? { state: 'found', value: judged.value, tried }
    : { state: 'failed', reason: malformed(`GET ${answer.target.shown}: ${judged.wrong}`), tried }
}

function malformed(text: string): RegistryReason {
  return { code: 'registry-malformed', text }
}

function differs(what: string, found: string, wanted: string): string {
  return `${what}: ${JSON.stringify(found.slice(0, 100))} does not match ${JSON.stringify(wanted)}`
}

function mediaTypeOf({ headers }: Answer): string | undefined {
  return headers['content-type']?.split(';')[0]?.trim().toLowerCase()
}

/** The path of the next page (RFC 8288, `rel="next"`). A page is only followed within the API of the same registry. */
function nextPage({ headers, url }: Answer, endpoint: Endpoint): { readonly path: string } | undefined | 'elsewhere' {
  const link = headers['link']
  const [, target, parameters = ''] = /^\s*<([^>]*)>([^,]*)/.exec(typeof link === 'string' ? link : (link?.[0] ?? '')) ?? []
  if (target === undefined || !/;\s*rel="?next"?/i.test(parameters)) return undefined
  const next = URL.parse(target, url)
  const path = next ? endpoint.below(next) : undefined
  return path === undefined ? 'elsewhere' : { path }
}
