import type { Snapshot } from '../../src/policy/compile.ts'
import { compile, nothingKnown } from '../../src/policy/compile.ts'
import type { Outside } from '../../src/policy/objects.ts'
import type { Cluster } from '../../src/world/cluster/cluster.ts'
import { uncounted } from '../../src/world/metrics.ts'
import type { WorldRegistrar } from '../../src/world/registrar.ts'
import type { Registry, RegistryOptions } from '../../src/world/registry/registry.ts'
import type { WorldAround } from '../../src/world/surroundings.ts'
import { openIdentity } from '../webhook/identity.ts'
import type { openLog } from '../webhook/log.ts'
import { fetchOutside } from '../webhook/outside.ts'
import { openRegistry, reach } from '../webhook/reach.ts'
import type { Settings } from './options.ts'

/** What a command that answers once and ends works with: the policies of a moment, and all that an answer may reach. */
export type Offline = {
  readonly registry: Registry
  readonly outside: Outside
  readonly snapshot: Snapshot
  readonly around: WorldAround
  readonly registrar: WorldRegistrar
}

/**
 * Runs `use` with the policies that `cluster` holds now, after everything they name outside of it was fetched once, and closes what was opened for it.
 * `told` hears which credentials were tried.
 */
export async function offline<Result>(
  settings: Settings,
  cluster: Cluster,
  log: ReturnType<typeof openLog>,
  use: (opened: Offline) => Promise<Result>,
  more: Pick<RegistryOptions, 'told'> = {},
): Promise<Result> {
  const registry = await openRegistry(settings, uncounted, process.env, more)
  try {
    const identity = await openIdentity(process.env, log, uncounted)
    try {
      const outside = await fetchOutside(settings, cluster, registry, identity.cloud)
      const snapshot = compile(cluster.objects(), settings.systemNamespace, nothingKnown, outside)
      const reached = await reach({
        settings,
        cluster,
        snapshot: () => snapshot,
        metrics: uncounted,
        environment: process.env,
        registry,
        outside: () => outside,
        identity,
      })
      return await use({ ...reached, outside, snapshot })
    } finally {
      await identity.close()
    }
  } finally {
    await registry.close()
  }
}

/** Says on standard error which settings of the cluster could not be read, and that their defaults are in force. */
export function saySettingProblems(command: string, { settingProblems }: Snapshot): void {
  for (const { key, found, wanted } of settingProblems)
    process.stderr.write(`sealgate ${command}: setting ${key}: found ${found}, wanted ${wanted}; the default is in force\n`)
}
