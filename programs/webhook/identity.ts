import { Cloud } from '../../src/world/cloud/cloud.ts'
import type { Log } from '../../src/world/log.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import { CloudLogins } from '../../src/world/registry/cloud-registry.ts'
import { CredentialHelpers } from '../../src/world/registry/credential-helper.ts'
import { DockerConfigFiles } from '../../src/world/registry/docker-config-files.ts'
import type { OwnCredentials } from '../../src/world/registry/own-credentials.ts'
import { ownCredentials } from '../../src/world/registry/own-credentials.ts'

/** What this process is to others, besides what workloads bring: its identity with clouds and key management services, and its Docker configs. */
export type Identity = {
  readonly cloud: Cloud
  readonly credentials: () => OwnCredentials
  /** Follows changes of the Docker configs from now on. */
  follow(): void
  close(): Promise<void>
}

/** Rejects with a line for the operator when a Docker config or a proxy cannot be read. */
export async function openIdentity(
  environment: Readonly<Record<string, string | undefined>>,
  log: Log,
  metrics: Metrics,
): Promise<Identity> {
  const files = await DockerConfigFiles.open(environment, log)
  const cloud = new Cloud(environment, metrics)
  return {
    cloud,
    credentials: ownCredentials(() => files.current(), new CredentialHelpers(environment), new CloudLogins(cloud)),
    follow: () => files.follow(),
    close: async () => {
      await Promise.all([files.close(), cloud.close()])
    },
  }
}
