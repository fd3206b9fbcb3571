import type { Server as PlainServer } from 'node:http'
import type { Server } from 'node:https'
import type { Log } from '../../src/world/log.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import type { Pressure } from '../../src/world/pressure.ts'
import type { Settings } from '../cli/options.ts'
import type { Pair } from '../controller/serving-secret.ts'
import { describe } from './certificate.ts'
import { Draining } from './drain.ts'
import { listen } from './listen.ts'
import { openProbes } from './probes.ts'
import type { Answerer, Readiness } from './server.ts'
import { openServer } from './server.ts'
import type { ServingCertificate } from './tls.ts'
import { contextOf, openCertificate } from './tls.ts'
import type { Tracing } from './trace.ts'

export type WebhookSettings = Pick<
  Settings,
  | 'address'
  | 'port'
  | 'metricsAddress'
  | 'metricsPort'
  | 'probePort'
  | 'tlsCert'
  | 'tlsKey'
  | 'tlsFolder'
  | 'tlsMinVersion'
  | 'serviceName'
  | 'systemNamespace'
>

export type WebhookParts = {
  readonly answerers: ReadonlyMap<string, Answerer>
  /** Whether requests can be answered well; draining is added to it. */
  readonly readiness: () => Readiness
  readonly log: Log
  readonly metrics: Metrics
  readonly tracing?: Tracing | undefined
  readonly pressure?: Pressure
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What to serve with at first, where it is exchanged with `use`. */
  readonly pair?: Pair | undefined
  /** Whether a port that is taken is replaced by a free one, as only a demonstration may. */
  readonly anyPort?: boolean
}

/** A webhook that listens. */
export type Webhook = {
  readonly port: number
  readonly metricsPort: number
  /** `host:port`, as they stand in URLs. */
  readonly address: string
  readonly metricsAddress: string
  readonly certificate: ServingCertificate
  /** Serves with another certificate from the next connection on. */
  use(pair: Pair): void
  /** Stops as SIGTERM does; at once when both are 0. */
  stop(quiet: number, grace: number): Promise<'finished' | 'cut-off'>
}

export type Start = { readonly ok: true; readonly webhook: Webhook } | { readonly ok: false; readonly text: string }

/** Opens the TLS port and the plain ports; says in one line why that cannot be. */
export async function startWebhook(settings: WebhookSettings, parts: WebhookParts): Promise<Start> {
  const { log, metrics } = parts
  const opened = await openCertificate(settings, parts.environment, log, parts.pair)
  if (!opened.ok) return opened
  const { certificate } = opened
  const draining = new Draining()
  const readiness = (): Readiness => (draining.isDraining() ? { ready: false, text: 'shutting down' } : parts.readiness())
  const { pressure } = parts
  const server = openServer({
    ...parts,
    pressure: pressure && { level: () => pressure.level(), limit: pressure.limit },
    tls: certificate.context,
    readiness,
    closing: () => draining.isDraining(),
  })
  draining.watch(server)
  const isStuck = (): boolean => pressure?.isLasting() ?? false
  const probes = openProbes(readiness, metrics, isStuck)
  const servers: (Server | PlainServer)[] = [server, probes]
  const close = (): void => {
    certificate.close()
    for (const s of servers) s.close().closeAllConnections()
  }

  const at = await listenOn(server, settings.address, settings.port, '--port', parts.anyPort)
  if (!at.ok) return (close(), at)
  const metricsAt = await listenOn(
    probes,
    settings.metricsAddress ?? settings.address,
    settings.metricsPort,
    '--metrics-port',
    parts.anyPort,
  )
  if (!metricsAt.ok) return (close(), metricsAt)
  if (settings.probePort !== undefined) {
    const further = openProbes(readiness, metrics, isStuck)
    const opened = await listenOn(further, settings.address, settings.probePort, '--probe-port', false)
    // The metrics port answers the same, so this one is worth a warning and no more.
    if (opened.ok) servers.push(further)
    else log.warn('the probe port cannot be opened; the metrics port answers its paths', { why: opened.text })
  }
  // An error after listening (no file descriptors left) is about one connection; without a listener it would end the process.
  for (const s of servers) s.on('error', (error: Error) => log.error('a server failed to accept', { error }))

  metrics.certificateEnds(certificate.ends.getTime() / 1000)
  certificate.follow((context, ends) => {
    server.setSecureContext(context)
    metrics.certificateEnds(ends.getTime() / 1000)
  })
  return {
    ok: true,
    webhook: {
      port: at.port,
      metricsPort: metricsAt.port,
      address: at.address,
      metricsAddress: metricsAt.address,
      certificate,
      use(pair) {
        server.setSecureContext(contextOf(pair, settings))
        metrics.certificateEnds(describe(pair.certificate).ends.getTime() / 1000)
      },
      async stop(quiet, grace) {
        const how = await draining.drain(server, quiet, grace)
        close()
        return how
      },
    },
  }
}

async function listenOn(
  server: Server | PlainServer,
  address: string,
  port: number,
  option: string,
  anyPort: boolean | undefined,
): ReturnType<typeof listen> {
  const at = await listen(server, address, port, option)
  return at.ok || !anyPort || port === 0 ? at : listen(server, address, 0, option)
}
