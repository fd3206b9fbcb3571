import { createHmac } from 'node:crypto'
import type { Read } from '../../verdict/read.ts'
import { quoted } from '../../verdict/reason.ts'
import type { PullSecret } from '../cluster/cluster.ts'
import type { DockerAuth, DockerConfigRead } from './docker-config.ts'
import { appliesTo, readDockerCfg, readDockerConfig } from './docker-config.ts'
import type { Credential, Keychain } from './fetched.ts'
import type { OwnCredentials } from './own-credentials.ts'

const MAX_MATCHING = 32 // credentials of pull secrets that are tried for one place, each with a request; a Secret of 1 MiB has place for thousands
const ANONYMOUS: Credential = { kind: 'anonymous', source: 'anonymous' }

/**
 * The credentials of pull secrets, in the order given, then the controller's own, anonymous last. Every one that matches a place is in the
 * list: the next is tried after a 401 or 403.
 *
 * Without `own` the secrets stand alone, as `signaturePullSecrets` do: where one of them applies, nothing else is tried, not even
 * anonymously. A place that none of them is for is still read anonymously.
 *
 * Secrets of other types than the two for Docker configs are passed over; one of them that is not JSON answers `credentials-unreadable`.
 * `scopeKey` keys the hashes that `scope` gives, so that they say nothing about a password to whoever sees them.
 */
export function keychainOf(secrets: readonly PullSecret[], own: OwnCredentials | undefined, scopeKey: Uint8Array): Read<Keychain> {
  const auths: DockerAuth[] = []
  for (const secret of secrets) {
    const read = readPullSecret(secret)
    if (!read.ok)
      return {
        ok: false,
        reason: { code: 'credentials-unreadable', text: `Secret ${quoted(`${secret.namespace}/${secret.name}`)} ${read.error}` },
      }
    auths.push(...read.value)
  }
  const anonymousScope = scopeOf([ANONYMOUS], scopeKey)

  // Asked for each piece of evidence in one place, and with thousands of entries it takes milliseconds.
  let last: { readonly place: string; readonly matching: readonly Credential[] } | undefined

  function matchingFor(registry: string, repository: string): readonly Credential[] {
    const place = `${registry}/${repository}`
    if (last?.place === place) return last.matching
    const applying = auths.filter((auth) => appliesTo(auth, registry, repository)).slice(0, MAX_MATCHING)
    last = { place, matching: applying.map(({ credential }) => credential) }
    return last.matching
  }

  function credentialsFor(registry: string, repository: string): readonly Credential[] {
    const matching = matchingFor(registry, repository)
    if (!own) return matching.length > 0 ? matching : [ANONYMOUS]
    return [...matching, ...own.credentialsFor(registry, repository), ANONYMOUS]
  }

  function scope(registry: string, repository: string): string {
    const credentials = credentialsFor(registry, repository)
    return credentials[0] === ANONYMOUS ? anonymousScope : scopeOf(credentials, scopeKey)
  }

  return { ok: true, value: { credentialsFor, scope } }
}

function readPullSecret({ namespace, name, type, data }: PullSecret): DockerConfigRead {
  const source = `Secret ${namespace}/${name}`
  const config = data['.dockerconfigjson']
  const cfg = data['.dockercfg']
  if (type === 'kubernetes.io/dockerconfigjson' && config !== undefined) return readDockerConfig(Buffer.from(config, 'base64'), source)
  if (type === 'kubernetes.io/dockercfg' && cfg !== undefined) return readDockerCfg(Buffer.from(cfg, 'base64'), source)
  return { ok: true, value: [] }
}

/** The same for the same credentials in the same order, whatever the Secrets are called that hold them. */
function scopeOf(credentials: readonly Credential[], key: Uint8Array): string {
  const content = credentials.map((credential) => {
    switch (credential.kind) {
      case 'anonymous':
        return [credential.kind]
      case 'asked':
        return [credential.kind, credential.identity]
      case 'basic':
        return [credential.kind, credential.username, credential.password]
      case 'identity-token':
        return [credential.kind, credential.username, credential.token]
      case 'registry-token':
        return [credential.kind, credential.token]
    }
  })
  return createHmac('sha256', key).update(JSON.stringify(content)).digest('base64url')
}
