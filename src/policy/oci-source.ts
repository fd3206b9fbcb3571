import { readUrl } from '../image/url.ts'

const HUB = ['docker.io', 'index.docker.io']
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789_-./'

/**
 * What is wrong with `source[].oci` (specification 2.4), in the words that users know; undefined: nothing. A value with a registry before
 * its first slash must be a repository by go-containerregistry's strict rules, any other a registry.
 */
export function whyNotOciSource(text: string): string | undefined {
  const slash = text.indexOf('/')
  const first = text.slice(0, Math.max(slash, 0))
  if (!first.includes('.') && !first.includes(':')) return whyNotRegistry(text)
  const repository = text.slice(slash + 1)
  const length = Array.from(repository).length
  if (length < 2 || length > 255) return `repository must be between 2 and 255 characters in length: ${repository}`
  if (!/^[a-z0-9_./-]*$/.test(repository)) return `repository can only contain the characters \`${ALPHABET}\`: ${repository}`
  const wrong = whyNotRegistry(first)
  if (wrong !== undefined) return wrong
  return HUB.includes(first) && !repository.includes('/')
    ? "strict validation requires the full repository path (missing 'library')"
    : undefined
}

function whyNotRegistry(text: string): string | undefined {
  if (text === '') return 'strict validation requires the registry to be explicitly defined'
  const read = readUrl(`//${text}`)
  return read.ok && read.url.host === text ? undefined : `registries must be valid RFC 3986 URI authorities: ${text}`
}
