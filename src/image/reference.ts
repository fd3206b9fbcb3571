import type { Digest } from './digest.ts'
import { isDigest } from './digest.ts'

/** Where images lie: a registry host and a repository, both in the spelling that policies are compared with. */
export type Repository = {
  /** Canonical `host[:port]`: lower case, default port and trailing dot removed, `index.docker.io` for every name of Docker Hub. */
  readonly registry: string
  /** With `library/` on Docker Hub; never empty. */
  readonly repository: string
}

/** An image reference that was read without doubt. */
export type Reference = Repository & {
  /** As it stands in the object; this is what messages show. */
  readonly written: string
  /** Undefined when none was written; `name` then says `latest`. */
  readonly tag: string | undefined
  readonly digest: Digest | undefined
  /** go-containerregistry's `Name()`: `registry/repository@digest` when there is a digest (a tag is dropped), else `registry/repository:tag`, `latest` by default. Policies match against this. */
  readonly name: string
}

const MAX_WRITTEN = 1024 // characters; host, port, repository, tag and digest at their longest are 717
const MAX_HOST = 253 // characters, RFC 1035 section 2.3.4 without the root's dot
const MAX_REPOSITORY = 255 // characters
const MIN_REPOSITORY = 2 // characters: go-containerregistry, and so every tool of the field, reads no shorter one

// OCI distribution-spec, «Pulling manifests»: a path component of <name>, and <reference> as a tag.
const COMPONENT = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/

/**
 * Reads an image reference as go-containerregistry does with its weak rules (Docker Hub and `latest` are what is left out), restricted to
 * the OCI grammar: `//`, `..`, `docker://…`, spaces, and whatever else no registry takes is undefined. Of several spellings of one place
 * only one comes out, so that no spelling escapes a policy. `written` is foreign: any text, of any length. Never throws.
 */
export function readReference(written: string): Reference | undefined {
  if (written.length > MAX_WRITTEN) return undefined
  const [named = '', digest, more] = written.split('@', 3)
  if (more !== undefined || (digest !== undefined && !isDigest(digest))) return undefined

  // The text after the last colon is a tag, unless a slash in it shows that the colon belongs to a port.
  const colon = named.lastIndexOf(':')
  const tag = colon < 0 || named.includes('/', colon) ? undefined : named.slice(colon + 1)
  if (tag !== undefined && !TAG.test(tag)) return undefined
  const place = readPlace(tag === undefined ? named : named.slice(0, colon))
  if (!place) return undefined
  const { registry, repository } = place
  const name = digest === undefined ? `${registry}/${repository}:${tag ?? 'latest'}` : `${registry}/${repository}@${digest}`
  return { registry, repository, written, tag, digest, name }
}

/** The same image at a digest that its tag was resolved to. `written` and `tag` stay, so messages and the patch can show them. */
export function withDigest(reference: Reference, digest: Digest): Reference & { readonly digest: Digest } {
  return { ...reference, digest, name: `${reference.registry}/${reference.repository}@${digest}` }
}

export const DOCKER_HUB = 'index.docker.io'

/** Names by which Docker Hub answers, or by which people call it. All are one place. */
const HUB_NAMES: ReadonlySet<string> = new Set([
  'docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
  'hub.docker.com',
  DOCKER_HUB,
])

function readPlace(text: string): Repository | undefined {
  const slash = text.indexOf('/')
  const first = text.slice(0, Math.max(slash, 0))
  // Without a dot or a colon the first segment is a part of a Docker Hub name. Upstream says so of `localhost` too, but container runtimes do not:
  // what they would pull from the node itself must not be judged as an image of Docker Hub.
  const namesHost = first.includes('.') || first.includes(':') || first.toLowerCase() === 'localhost'
  const registry = namesHost ? canonicalHost(first) : DOCKER_HUB
  const repository = namesHost ? text.slice(slash + 1) : text
  if (registry === undefined || repository.length < MIN_REPOSITORY || repository.length > MAX_REPOSITORY) return undefined
  if (!repository.split('/').every((component) => COMPONENT.test(component))) return undefined
  return { registry, repository: registry === DOCKER_HUB && !repository.includes('/') ? `library/${repository}` : repository }
}

/**
 * The one spelling of a registry's `host[:port]`, or undefined when it is none. Port 80 stays: that is another server than the one at 443.
 * A host without a dot or a port would read as a part of a Docker Hub name, so a lone label keeps `:443` (and `name.` gets it).
 */
export function canonicalHost(text: string): string | undefined {
  const [, bracketed, named = '', portDigits] = /^(?:(\[[0-9A-Fa-f:.]+\])|([^:[\]]+))(?::([0-9]{1,8}))?$/.exec(text) ?? []
  const host = bracketed === undefined ? canonicalName(named) : canonicalIPv6(bracketed)
  const port = portDigits === undefined ? 443 : Number(portDigits)
  if (host === undefined || port < 1 || port > 65_535) return undefined
  if (HUB_NAMES.has(host) && port === 443) return DOCKER_HUB
  const readsAsHost = host.includes('.') || bracketed !== undefined
  return port === 443 && readsAsHost ? host : `${host}:${port}`
}

// RFC 1123 labels, and the underscore that container networks use in names.
const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/

function canonicalName(text: string): string | undefined {
  const undotted = text.endsWith('.') ? text.slice(0, -1) : text
  const labels = undotted.split('.')
  if (undotted.length > MAX_HOST || !labels.every((label) => LABEL.test(label))) return undefined
  const name = undotted.toLowerCase() // after the labels were looked at: beyond ASCII, the Kelvin sign would become a k
  // Resolvers read `127.1`, `0177.0.0.1` and `0x7f000001` as addresses too: of those only the usual spelling is taken.
  const isNumeric = /^(?:\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? '')
  return !isNumeric || IPV4.test(name) ? name : undefined
}

/** Shortest form, lower case (RFC 5952). */
function canonicalIPv6(bracketed: string): string | undefined {
  return URL.parse(`https://${bracketed}/`)?.hostname
}
