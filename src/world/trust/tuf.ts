import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TargetFile, Updater } from 'tuf-js'
import type { Json, JsonObject } from '../../image/json.ts'
import { isJsonObject, readJson } from '../../image/json.ts'
import { canonicalHost } from '../../image/reference.ts'
import type { TrustMaterial } from '../../trust/material.ts'
import type { TufRepository } from '../../trust/trust-root.ts'
import { whyUnreadable } from '../../trust/trust-root.ts'
import { readTrustedRoot, MAX_TRUSTED_ROOT_BYTES } from '../../trust/trusted-root.ts'
import { MAX_LEGACY_TARGETS, materialOf, usageOf } from '../../trust/tuf-target.ts'
import type { LegacyTarget } from '../../trust/tuf-target.ts'
import type { Mirror } from '../network/endpoint.ts'
import type { Transport } from '../network/transport.ts'
import { refusal } from '../registry/registry-error.ts'
import { unpack } from './archive.ts'

const MAX_REFRESH_MS = 120_000 // all of one refresh; a root that is many rotations old takes a request for each
const MAX_ROOT_ROTATIONS = 256 // roots that are followed in one refresh; the public instance has made 16 in five years
const MAX_DELEGATIONS = 32 // roles that are visited to find a target; Sigstore's are one deep
// Bytes of each kind of metadata: reading it is some 20 ms of work at most. Sigstore's have 8 KiB.
const MAX_ROOT_BYTES = 512 * 1024
const MAX_TIMESTAMP_BYTES = 16 * 1024
const MAX_SNAPSHOT_BYTES = 512 * 1024
const MAX_TARGETS_BYTES = 1024 * 1024
const MAX_METADATA_DEPTH = 16
const MAX_METADATA_VALUES = 20_000
const MAX_MEMBERS = 500 // keys, roles, targets or signatures of one metadata file: the client's work grows with their square
const MAX_WHY = 500 // characters of an explanation, which may hold foreign text

const TOP_LEVEL = ['root', 'timestamp', 'snapshot', 'targets'] as const
const ARCHIVE = 'http://archive.invalid' // the mirror of an archive; no host has this name (RFC 2606), and nothing is sent there

/** Where the files of a repository come from. */
export type TufMirror =
  /** `mirrors`: where other hosts are asked instead; messages name the host that was meant. */
  | { readonly from: 'remote'; readonly url: URL; readonly transport: Pick<Transport, 'ask'>; readonly mirrors: readonly Mirror[] }
  /** A gzip'd tar. */
  | { readonly from: 'repository'; readonly archive: Uint8Array }

/** Verified metadata of the top-level roles by file name: the next refresh begins with it, so that nothing older is taken any more. */
export type Metadata = ReadonlyMap<string, Uint8Array>

/** Trust material with `until`: when the first of the metadata that it rests on expires. `why` is for the author of the TrustRoot, on one line. */
export type Refreshed =
  | { readonly ok: true; readonly material: TrustMaterial; readonly metadata: Metadata }
  | { readonly ok: false; readonly why: string; readonly step?: TufStep }

/** How far a refresh came that failed: verified metadata (`client`), a list of targets, and what they say. */
export type TufStep = 'client' | 'targets' | 'content'

/**
 * What a TUF repository (The Update Framework 1.0) says is trusted: its target `repository.target`, a Sigstore trusted root, under
 * `<mirror>/targets`; where it has no such target, targets of the older kind (specification 10.3). Begins with `known`, what an earlier
 * refresh of the same repository answered, else with `repository.root`; follows at most 256 rotations of the root; ends within 120 s and
 * `signal`. Metadata that is expired now, older than known, or not signed by whom root names is refused, whatever else the mirror does.
 * Called `name` in messages. Never rejects.
 */
export async function refreshFromTuf(
  name: string,
  repository: TufRepository,
  mirror: TufMirror,
  known: Metadata | undefined,
  signal: AbortSignal,
): Promise<Refreshed> {
  const client = `failed to construct TUF client from ${mirror.from === 'remote' ? 'remote' : 'mirror'}`
  const fetch = await openMirror(mirror)
  if (!fetch.ok) return failed(`${client}: ${fetch.detail}`, 'client')
  const folder = await makeFolder()
  if (folder === undefined) return failed(`${client}: no folder for temporary files can be written`, 'client')
  const whole = new AbortController()
  const timer = setTimeout(() => whole.abort(), MAX_REFRESH_MS)
  try {
    const fetcher = new Fetcher(fetch.value, folder, AbortSignal.any([signal, whole.signal]))
    return await new Refresh(name, repository, fetcher, folder, client).run(known, fetch.base)
  } catch (error) {
    return failed(textOf(error), error instanceof Failed ? error.step : 'content')
  } finally {
    clearTimeout(timer)
    await rm(folder, { recursive: true, force: true }).catch(() => undefined)
  }
}

/**
 * What is wrong with a packed TUF repository, for who writes a TrustRoot: as `refreshFromTuf` finds it, in the words of the validating
 * webhook (specification 2.6, T8 and T9). Never rejects.
 */
export async function whyNotRepository(
  repository: TufRepository,
  archive: Uint8Array,
  signal: AbortSignal,
): Promise<{ readonly step: TufStep; readonly text: string } | undefined> {
  const refreshed = await refreshFromTuf('', repository, { from: 'repository', archive }, undefined, signal)
  if (refreshed.ok) return undefined
  const { step = 'content', why } = refreshed
  return { step, text: why.replace(/^(failed to construct TUF client from mirror|getting top-level targets): /, '') }
}

/** A step that failed, with all that is to be said. */
class Failed extends Error {
  readonly step: TufStep

  constructor(text: string, step: TufStep = 'content') {
    super(text)
    this.step = step
  }
}

class Refresh {
  readonly #name: string
  readonly #repository: TufRepository
  readonly #fetcher: Fetcher
  readonly #folder: string
  readonly #client: string

  constructor(name: string, repository: TufRepository, fetcher: Fetcher, folder: string, client: string) {
    this.#name = name
    this.#repository = repository
    this.#fetcher = fetcher
    this.#folder = folder
    this.#client = client
  }

  async run(known: Metadata | undefined, base: string): Promise<Refreshed> {
    const { target, targets } = this.#repository
    const updater = await this.#step(`${this.#client}: failed to create TUF client`, () => this.#updated(known, base), 'client')
    const info = await this.#step(`fetching ${target}`, () => updater.getTargetInfo(target))
    const found = info ? await this.#trustedRoot(updater, info, `${base}/targets`) : await this.#legacy(updater, `${base}/${targets}`)
    const metadata = await this.#metadata()
    const until = Math.min(...[...metadata.values()].map(expiryOf))
    if (!Number.isFinite(until))
      throw new Failed(`${this.#client}: failed to create TUF client: metadata without a time of expiry`, 'client')
    return {
      ok: true,
      material: { ...found, until },
      // Those of delegated roles are bound by the snapshot, and one that is no longer visited would count as expired for ever.
      metadata: new Map([...metadata].filter(([file]) => TOP_LEVEL.some((role) => file === `${role}.json`))),
    }
  }

  /** A client whose metadata is verified. */
  async #updated(known: Metadata | undefined, base: string): Promise<Updater> {
    // Imported when it is needed: most clusters name no TUF repository, and nobody waits for it.
    const tuf = await import('tuf-js')
    await writeFile(join(this.#folder, 'root.json'), this.#repository.root)
    for (const [file, bytes] of known ?? []) await writeFile(join(this.#folder, file), bytes)
    const updater = new tuf.Updater({
      metadataDir: this.#folder,
      metadataBaseUrl: base,
      fetcher: this.#fetcher,
      config: {
        maxRootRotations: MAX_ROOT_ROTATIONS,
        maxDelegations: MAX_DELEGATIONS,
        rootMaxLength: MAX_ROOT_BYTES,
        timestampMaxLength: MAX_TIMESTAMP_BYTES,
        snapshotMaxLength: MAX_SNAPSHOT_BYTES,
        targetsMaxLength: MAX_TARGETS_BYTES,
      },
    })
    await updater.refresh()
    return updater
  }

  async #trustedRoot(updater: Updater, info: TargetFile, base: string): Promise<TrustMaterial> {
    const { target } = this.#repository
    const bytes = await this.#step(`fetching ${target}`, () => this.#target(updater, info, base))
    const read = readTrustedRoot(bytes, this.#name)
    if (!read.ok) throw new Failed(`parsing ${target}: ${whyUnreadable(read)}`)
    return read.value
  }

  /** A file for each certificate and key, and in its custom metadata what it is for. */
  async #legacy(updater: Updater, base: string): Promise<TrustMaterial> {
    const listed = await this.#step(
      'getting top-level targets',
      async () => {
        const signed = signedIn(await readFile(join(this.#folder, 'targets.json')))
        return isJsonObject(signed['targets']) ? Object.entries(signed['targets']) : []
      },
      'targets',
    )
    const used = listed.flatMap(([file, described]) => {
      const usage = usageOf(isJsonObject(described) ? described['custom'] : undefined)
      return usage ? [{ file, ...usage }] : []
    })
    if (used.length > MAX_LEGACY_TARGETS)
      throw new Failed(`getting top-level targets: number of targets (${used.length}) exceeded the limit (${MAX_LEGACY_TARGETS})`)
    const found: LegacyTarget[] = []
    for (const { file, usage, uri } of used) {
      const bytes = await this.#step(`downloading target ${file}`, async () => {
        const info = await updater.getTargetInfo(file)
        return info ? this.#target(updater, info, base) : Buffer.alloc(0)
      })
      found.push({ file, usage, uri, bytes })
    }
    const read = materialOf(found, this.#name)
    if (!read.ok) throw new Failed(whyUnreadable(read))
    return read.value
  }

  async #target(updater: Updater, info: TargetFile, base: string): Promise<Uint8Array> {
    if (info.length > MAX_TRUSTED_ROOT_BYTES)
      throw new Error(`size of target (${info.length}) exceeded the limit (${MAX_TRUSTED_ROOT_BYTES})`)
    // Without a hash the client would compare nothing but the length.
    if (info.hashes['sha256'] === undefined && info.hashes['sha512'] === undefined)
      throw new Error('the target has neither sha256 nor sha512')
    const file = join(this.#folder, 'target')
    await updater.downloadTarget(info, file, base)
    return readFile(file)
  }

  async #metadata(): Promise<Map<string, Uint8Array>> {
    const files = (await readdir(this.#folder)).filter((file) => file.endsWith('.json'))
    return new Map(await Promise.all(files.map(async (file) => [file, await readFile(join(this.#folder, file))] as const)))
  }

  async #step<T>(what: string, work: () => Promise<T>, step: TufStep = 'content'): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw new Failed(`${what}: ${this.#fetcher.trouble ?? wordedAsKnown(textOf(error))}`, step)
    }
  }
}

/** What a mirror has under a path; a number: the HTTP status without it; a text: why nothing is known. */
type Fetch = (path: string, maxBytes: number, signal: AbortSignal) => Promise<Uint8Array | { status: number; text: string } | string>
type Opened = { readonly ok: true; readonly value: Fetch; readonly base: string } | { readonly ok: false; readonly detail: string }

async function openMirror(mirror: TufMirror): Promise<Opened> {
  if (mirror.from === 'remote') {
    const { url, mirrors, transport } = mirror
    const path = url.pathname.replace(/\/+$/, '')
    const base = `${url.origin}${path}`
    const asked = mirrors.findLast(({ host }) => host === (canonicalHost(url.host) ?? url.host))?.url.replace(/\/+$/, '') ?? url.origin
    return {
      ok: true,
      base,
      value: (shown, maxBytes, signal) => ask(transport, new URL(`${asked}${path}${shown.slice(base.length)}`), shown, maxBytes, signal),
    }
  }
  const unpacked = await unpack(mirror.archive)
  if (!unpacked.ok) return unpacked
  const { files } = unpacked
  return {
    ok: true,
    base: ARCHIVE,
    value: async (url, maxBytes) => {
      const path = decodeURIComponent(new URL(url).pathname.slice(1))
      const bytes = files.get(path)
      if (!bytes) return { status: 404, text: `open ${path}: file does not exist` }
      return bytes.length > maxBytes ? `${path} is larger than the limit (${maxBytes} bytes)` : bytes
    },
  }
}

async function ask(transport: Pick<Transport, 'ask'>, url: URL, shown: string, maxBytes: number, signal: AbortSignal): ReturnType<Fetch> {
  const target = { url, shown, shownBase: `${new URL(shown).origin}/`, kind: 'tuf' } as const
  const answer = await transport.ask({ method: 'GET', targets: [target], headers: {}, maxBytes }, signal)
  if (!('status' in answer)) return answer.reason.text
  const { status, body } = answer
  return status === 200 ? body : { status, text: refusal('GET', target.shown, status, body).text }
}

/** What the TUF client reads through. It believes nothing of what it is given, but takes whatever shape it has: so that is looked at here. */
class Fetcher {
  readonly #fetch: Fetch
  readonly #folder: string
  readonly #signal: AbortSignal
  /** Why the last file could not be had, where that is not about what it says: the client wraps it beyond recognition. */
  trouble: string | undefined

  constructor(fetch: Fetch, folder: string, signal: AbortSignal) {
    this.#fetch = fetch
    this.#folder = folder
    this.#signal = signal
  }

  /** Metadata. */
  async downloadBytes(url: string, maxLength: number): Promise<Buffer> {
    const bytes = await this.#get(url, Math.min(maxLength, MAX_TARGETS_BYTES))
    const wrong = whyNotMetadata(bytes)
    if (wrong !== undefined) throw this.#told(`${url.replace(`${ARCHIVE}/`, '')}: ${wrong}`)
    return bytes
  }

  /** A target. */
  async downloadFile<T>(url: string, maxLength: number, handler: (file: string) => Promise<T>): Promise<T> {
    const file = join(this.#folder, 'download')
    await writeFile(file, await this.#get(url, Math.min(maxLength, MAX_TRUSTED_ROOT_BYTES)))
    return handler(file)
  }

  async #get(url: string, maxBytes: number): Promise<Buffer> {
    this.trouble = undefined
    if (this.#signal.aborted) throw this.#told('context deadline exceeded')
    const got = await this.#fetch(url, maxBytes, this.#signal)
    if (typeof got === 'string') throw this.#told(got)
    if (got instanceof Uint8Array) return Buffer.from(got)
    // That a newer root is not there is how a client learns that it has the newest.
    const isNewestRoot = /\/\d+\.root\.json$/.test(url) && (got.status === 404 || got.status === 403)
    if (!isNewestRoot) this.trouble = got.text
    const { DownloadHTTPError } = await import('tuf-js/dist/error.js')
    throw new DownloadHTTPError(got.text, got.status)
  }

  #told(trouble: string): Error {
    this.trouble = trouble
    return new Error(trouble)
  }
}

// A role's name becomes the name of a file, and a path's pattern a regular expression with braces expanded (lesson 46).
const ROLE = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const PATTERN = /^[\w.@+?/-]*(?:\*[\w.@+?/-]*){0,4}$/
const MAX_PATTERN = 256

/** Why bytes are no metadata that the client may look at; what they say is for the client to verify. */
function whyNotMetadata(bytes: Uint8Array): string | undefined {
  const read = readJson(bytes, { bytes: MAX_TARGETS_BYTES, depth: MAX_METADATA_DEPTH, values: MAX_METADATA_VALUES })
  if (!read.ok) return read.detail
  const signed = isJsonObject(read.value) ? read.value['signed'] : undefined
  if (!isJsonObject(read.value) || !isJsonObject(signed)) return 'it is not TUF metadata'
  const delegations = isJsonObject(signed['delegations']) ? signed['delegations'] : {}
  const roles = Array.isArray(delegations['roles']) ? (delegations['roles'] as readonly Json[]) : []
  const all = [read.value['signatures'], signed['keys'], signed['roles'], signed['meta'], signed['targets'], delegations['keys'], roles]
  if (all.some((members) => typeof members === 'object' && members !== null && Object.keys(members).length > MAX_MEMBERS))
    return `number of members exceeded the limit (${MAX_MEMBERS})`
  const named = [...roles.map((role) => (isJsonObject(role) ? role['name'] : undefined)), ...prefixIn(delegations)]
  if (named.some((name) => typeof name !== 'string' || !ROLE.test(name) || isTopLevel(name)))
    return 'the name of a delegated role is not made of letters, digits, dots, dashes and underscores'
  const patterns = roles.flatMap((role) => (isJsonObject(role) && Array.isArray(role['paths']) ? (role['paths'] as readonly Json[]) : []))
  const isPlain = (pattern: Json): boolean => typeof pattern === 'string' && pattern.length <= MAX_PATTERN && PATTERN.test(pattern)
  if (!patterns.every(isPlain)) return 'a path of a delegated role is neither a plain one nor one with at most four *'
  return typeof signed['_type'] === 'string' ? undefined : 'it is not TUF metadata'
}

/** Why bytes are no root metadata that a client could begin with; whether it is signed as it says is for the client to find out. */
export function whyNotTufRoot(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_ROOT_BYTES) return `larger than the limit (${MAX_ROOT_BYTES} bytes)`
  return whyNotMetadata(bytes) ?? (signedIn(bytes)['_type'] === 'root' ? undefined : 'it is not the root metadata of a TUF repository')
}

/** Of a role that spreads targets over many (TAP 15). */
function prefixIn(delegations: JsonObject): readonly (Json | undefined)[] {
  const succinct = delegations['succinct_roles']
  return isJsonObject(succinct) ? [succinct['name_prefix']] : []
}

function isTopLevel(name: string): boolean {
  return TOP_LEVEL.some((role) => role === name.toLowerCase())
}

/** In ms since 1970; NaN where it does not say. */
function expiryOf(bytes: Uint8Array): number {
  const expires = signedIn(bytes)['expires']
  return Date.parse(typeof expires === 'string' ? expires : '')
}

function signedIn(bytes: Uint8Array): JsonObject {
  const read = readJson(bytes, { bytes: MAX_TARGETS_BYTES, depth: MAX_METADATA_DEPTH, values: MAX_METADATA_VALUES })
  const signed = read.ok && isJsonObject(read.value) ? read.value['signed'] : undefined
  return isJsonObject(signed) ? signed : {}
}

/** The client reads and writes files: a container's may all be read-only but one, or all but shared memory. */
async function makeFolder(): Promise<string | undefined> {
  for (const parent of [tmpdir(), homedir(), '/dev/shm']) {
    const folder = await mkdtemp(join(parent, '.sealgate-tuf-')).catch(() => undefined)
    if (folder !== undefined) return folder
  }
  return undefined
}

function failed(why: string, step: TufStep): Refreshed {
  const line = why.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
  return { ok: false, why: line.length > MAX_WHY ? `${line.slice(0, MAX_WHY)}…` : line, step }
}

/** What the client says of metadata, in the words of the client that users know, where those are known. */
function wordedAsKnown(text: string): string {
  const loading = 'failed to load metadata: tuf refresh failed: '
  const [, role, got, want] = /^(\S+) was signed by (\d+)\/(\d+) keys$/.exec(text) ?? []
  if (role !== undefined)
    return `${loading}unsigned metadata error: Verifying ${role} failed, not enough signatures, got ${got}, want ${want}`
  return text.endsWith('.json is expired') ? `${loading}expired metadata error: ${text.replace(/^Final/, 'final')}` : text
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
