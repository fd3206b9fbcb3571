import type { CloudLogins } from './cloud-registry.ts'
import type { CredentialHelpers } from './credential-helper.ts'
import type { OwnDockerConfig } from './docker-config.ts'
import { appliesTo } from './docker-config.ts'
import type { Credential } from './fetched.ts'

/** What this process itself may read registries with, besides what a workload brings. */
export interface OwnCredentials {
  /** In the order in which they are tried; without anonymous. */
  credentialsFor(registry: string, repository: string): readonly Credential[]
}

export const NO_CREDENTIALS: OwnCredentials = { credentialsFor: () => [] }

/**
 * The controller's own credentials: of each Docker config its credential helper before its entries, as Docker has it; the cloud whose registry
 * it is last. What is answered is the same object until `configs` answers another.
 */
export function ownCredentials(
  configs: () => readonly OwnDockerConfig[],
  helpers: Pick<CredentialHelpers, 'credentialFor'>,
  logins: Pick<CloudLogins, 'credentialFor'>,
): () => OwnCredentials {
  let of: readonly OwnDockerConfig[] | undefined
  let own = NO_CREDENTIALS
  return () => {
    const now = configs()
    if (now !== of) own = credentialsOf(now, helpers, logins)
    of = now
    return own
  }
}

function credentialsOf(
  configs: readonly OwnDockerConfig[],
  helpers: Pick<CredentialHelpers, 'credentialFor'>,
  logins: Pick<CloudLogins, 'credentialFor'>,
): OwnCredentials {
  return {
    credentialsFor(registry, repository) {
      const ofFiles = configs.flatMap(({ auths, helperOf }): readonly Credential[] => {
        const helper = helperOf(registry)
        return [
          ...(helper === undefined ? [] : [helpers.credentialFor(helper, registry)]),
          ...auths.filter((auth) => appliesTo(auth, registry, repository)).map(({ credential }) => credential),
        ]
      })
      const ofCloud = logins.credentialFor(registry)
      return ofCloud ? [...ofFiles, ofCloud] : ofFiles
    },
  }
}
