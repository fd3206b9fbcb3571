import { randomBytes } from 'node:crypto'
import type { Snapshot } from '../../src/policy/compile.ts'
import type { Outside } from '../../src/policy/objects.ts'
import { nothingFetched } from '../../src/policy/objects.ts'
import type { Cluster } from '../../src/world/cluster/cluster.ts'
import { Memory } from '../../src/world/memory.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import type { PressureLevel } from '../../src/world/pressure.ts'
import { WorldRegistrar } from '../../src/world/registrar.ts'
import { CredentialSource } from '../../src/world/registry/credentials.ts'
import { NO_CREDENTIALS } from '../../src/world/registry/own-credentials.ts'
import type { RegistryOptions } from '../../src/world/registry/registry.ts'
import { Registry, registryOptions } from '../../src/world/registry/registry.ts'
import { WorldAround } from '../../src/world/surroundings.ts'
import type { Settings } from '../cli/options.ts'
import type { Identity } from './identity.ts'

const MAX_PASS_BYTES = 16 * 1024 * 1024 // 10,000 images under three policies each take about 12 MB
const MAX_CONTENT_BYTES = 32 * 1024 * 1024 // payloads are some 250 bytes, bundles some 10 KiB

/** Registries, and what else is asked over HTTP, with the options given. `isShort`: whether there is no memory for a further answer. Rejects with a sentence for the operator. */
export async function openRegistry(
  settings: Settings,
  metrics: Metrics,
  environment: Readonly<Record<string, string | undefined>>,
  more: Pick<RegistryOptions, 'isShort' | 'told'> = {},
): Promise<Registry> {
  return new Registry({ ...(await registryOptions(settings, environment, metrics)), ...more })
}

/** `environment`: the process's, for proxies and trusted CAs. `identity`: what this process is to registries, besides what workloads bring. */
export type Reach = {
  readonly settings: Settings
  readonly cluster: Cluster
  readonly snapshot: () => Snapshot
  readonly metrics: Metrics
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly registry?: Registry
  readonly outside?: () => Outside
  readonly identity?: Identity
  readonly pressure?: () => PressureLevel
}

/** What an answer may reach: `registry`, else one that is opened with the options given; the cluster's credentials and this process's own; and memory. */
export async function reach({ settings, cluster, snapshot, metrics, environment, ...more }: Reach): Promise<{
  readonly around: WorldAround
  readonly registrar: WorldRegistrar
  readonly registry: Registry
}> {
  const { outside = nothingFetched, identity, pressure = () => 'none' } = more
  const registry = more.registry ?? (await openRegistry(settings, metrics, environment))
  const credentials = new CredentialSource({
    cluster,
    systemNamespace: settings.systemNamespace,
    own: identity?.credentials ?? (() => NO_CREDENTIALS),
    scopeKey: randomBytes(32),
  })
  const memory = new Memory({
    maxPassBytes: MAX_PASS_BYTES,
    maxContentBytes: MAX_CONTENT_BYTES,
    count: (what, hit) => metrics.remembered(what, hit),
    pressure,
  })
  metrics.watchMemory(() => memory.held())
  const at = settings.at?.getTime()
  const around = new WorldAround({
    registry,
    credentials,
    memory,
    now: at === undefined ? Date.now : () => at,
    rememberTags: () => snapshot().settings.rememberTags,
    onLate: (change) => (change === 1 ? metrics.wentOn() : metrics.cameToAnEnd()),
  })
  const { systemNamespace } = settings
  return { around, registrar: new WorldRegistrar({ systemNamespace, cluster, outside, around }), registry }
}
