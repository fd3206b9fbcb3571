import type { JsonObject } from '../../image/json.ts'
import { isJsonObject, readJson } from '../../image/json.ts'
import type { GivenCredential } from './fetched.ts'

// Kubernetes takes no Secret above 1 MiB; a config with a thousand registries has some 200 KiB.
const BOUNDS = { bytes: 1024 * 1024, depth: 16, values: 50_000 }
const HELPER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const MAX_ENTRIES = 1000 // entries of one config that are looked at

/** One entry of a Docker config: the credential, and the places it is for. */
export type DockerAuth = {
  /** Where it is for, part by part; each part of a host may have wildcards. */
  readonly host: readonly string[]
  readonly port: string
  readonly path: string
  readonly credential: GivenCredential
}

/** The entries of one or several Docker configs, in the order in which they are tried. */
export type DockerConfig = readonly DockerAuth[]

/** What reading a Docker config gave; `error` says what is wrong and shows nothing of the content. */
export type DockerConfigRead = { readonly ok: true; readonly value: DockerConfig } | { readonly ok: false; readonly error: string }

/**
 * Reads `config.json` of Docker (and `auth.json` of containers-auth.json(5)): `{"auths": {key: entry}}`. An entry without a credential, as
 * credential stores leave them, is passed over. Keys come in reverse lexicographic order, so that of two for one host the longer is first.
 */
export function readDockerConfig(bytes: Uint8Array, source: string): DockerConfigRead {
  const read = readJson(bytes, BOUNDS)
  if (!read.ok || !isJsonObject(read.value)) return { ok: false, error: 'is not a JSON object' }
  const auths = read.value['auths'] ?? {}
  return isJsonObject(auths) ? { ok: true, value: readAuths(auths, source) } : { ok: false, error: 'has auths that are not an object' }
}

/** Reads the older form, `.dockercfg`: the same entries without `auths` around them. */
export function readDockerCfg(bytes: Uint8Array, source: string): DockerConfigRead {
  const read = readJson(bytes, BOUNDS)
  return read.ok && isJsonObject(read.value)
    ? { ok: true, value: readAuths(read.value, source) }
    : { ok: false, error: 'is not a JSON object' }
}

/** A Docker config of this process itself: of others' the programs that it names are never run. */
export type OwnDockerConfig = {
  readonly auths: DockerConfig
  /** The credential helper (`docker-credential-<name>`) of a registry (canonical host); it goes before the entries. */
  readonly helperOf: (registry: string) => string | undefined
}

export type OwnDockerConfigRead = { readonly ok: true; readonly value: OwnDockerConfig } | { readonly ok: false; readonly error: string }

/** Reads a Docker config as `readDockerConfig` does, with `credHelpers` and `credsStore` (docs.docker.com, «docker login», «Credential helpers»). */
export function readOwnDockerConfig(bytes: Uint8Array, source: string): OwnDockerConfigRead {
  const auths = readDockerConfig(bytes, source)
  if (!auths.ok) return auths
  const read = readJson(bytes, BOUNDS)
  const config = read.ok && isJsonObject(read.value) ? read.value : {}
  const { credHelpers = {}, credsStore = '' } = config
  if (!isJsonObject(credHelpers)) return { ok: false, error: 'has credHelpers that are not an object' }
  const byHost = new Map<string, string>()
  for (const [key, name] of [...Object.entries(credHelpers), ['', credsStore] as const]) {
    // A name is put behind `docker-credential-` and looked up on PATH: one with a slash would be a path.
    if (typeof name !== 'string' || (name !== '' && !HELPER.test(name)))
      return { ok: false, error: 'names a credential helper that is not the name of a program' }
    byHost.set(hostOf(key), name)
  }
  // An empty name for a host means that it has none, not even the store, which stands under the empty host.
  return { ok: true, value: { auths: auths.value, helperOf: (registry) => (byHost.get(registry) ?? byHost.get('')) || undefined } }
}

/** A registry as keys of `credHelpers` write it. */
function hostOf(key: string): string {
  const { host, port } = readKey(key)
  const name = `${host.join('.')}${port === '' ? '' : `:${port}`}`
  return name === 'docker.io' ? 'index.docker.io' : name
}

/** Whether an entry is for a place (spec section 9, «match»): as many parts in the host, the same port, and its path begins the repository's. */
export function appliesTo(auth: DockerAuth, registry: string, repository: string): boolean {
  const target = splitHost(registry)
  return (
    auth.port === target.port &&
    auth.host.length === target.host.length &&
    auth.host.every((pattern, i) => matchesPart(pattern, target.host[i] ?? '')) &&
    `/${repository}`.startsWith(auth.path)
  )
}

function readAuths(auths: JsonObject, source: string): DockerConfig {
  const keys = Object.keys(auths).slice(0, MAX_ENTRIES)
  keys.sort((a, b) => (a < b ? 1 : -1))
  return keys.flatMap((key) => {
    const entry = auths[key]
    const credential = isJsonObject(entry) ? readEntry(entry, source) : undefined
    return credential ? [{ ...readKey(key), credential }] : []
  })
}

/** `https://index.docker.io/v1/` → host and path: without scheme, and without the version that Docker's first registry put there. */
function readKey(key: string): { readonly host: readonly string[]; readonly port: string; readonly path: string } {
  const location = key.replace(/^https?:\/\//, '')
  const slash = location.indexOf('/')
  const path = slash < 0 ? '' : location.slice(slash).replace(/^\/v[12]\//, '/')
  return { ...splitHost((slash < 0 ? location : location.slice(0, slash)).toLowerCase()), path: path === '/' ? '' : path }
}

function splitHost(host: string): { readonly host: readonly string[]; readonly port: string } {
  const [, name = '', port = ''] = /^(.*?)(?::(\d*))?$/.exec(host) ?? []
  // The colons of an IPv6 address are no port.
  return name.includes(':') && !name.endsWith(']') ? { host: [host], port: '' } : { host: name.split('.'), port }
}

/** A shell pattern over one part of a host: `*`, `?`, and everything else as it is. */
function matchesPart(pattern: string, text: string): boolean {
  let p = 0
  let t = 0
  let star = -1
  let resume = 0
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++
      resume = t
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++resume
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

function readEntry(entry: JsonObject, source: string): DockerAuth['credential'] | undefined {
  const text = (name: string): string => (typeof entry[name] === 'string' ? entry[name] : '')
  const [username, password] = text('username') || text('password') ? [text('username'), text('password')] : splitAuth(text('auth'))
  if (isHeaderText(text('registrytoken'))) return { kind: 'registry-token', source, token: text('registrytoken') }
  if (text('identitytoken')) return { kind: 'identity-token', source, username, token: text('identitytoken') }
  return username || password ? { kind: 'basic', source, username, password } : undefined
}

/** Base64 of `user:password`; a password may have colons. */
function splitAuth(auth: string): readonly [string, string] {
  const pair = Buffer.from(auth, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon < 0 ? ['', ''] : [pair.slice(0, colon), pair.slice(colon + 1).replace(/\0+$/, '')]
}

/** Whether a token can stand in a header as it is: visible ASCII. */
export function isHeaderText(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text)
}
