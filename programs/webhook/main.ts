import type { Cluster } from '../../src/world/cluster/cluster.ts'
import { ManifestError, openManifests } from '../../src/world/cluster/manifests.ts'
import type { Log } from '../../src/world/log.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import { Pressure } from '../../src/world/pressure.ts'
import type { Registry } from '../../src/world/registry/registry.ts'
import type { Settings } from '../cli/options.ts'
import type { Note } from '../cli/parse.ts'
import { Controller } from '../controller/controller.ts'
import { tellOf } from '../controller/told.ts'
import { answerers } from './answer.ts'
import { describe } from './certificate.ts'
import type { Identity } from './identity.ts'
import { openIdentity } from './identity.ts'
import { levelIn } from './level.ts'
import { openLog } from './log.ts'
import type { FollowedOutside } from './outside.ts'
import { followOutside } from './outside.ts'
import { followPolicies } from './policies.ts'
import { openMetrics } from './prometheus.ts'
import { openRegistry, reach } from './reach.ts'
import { rehearse } from './rehearsal.ts'
import type { Readiness } from './server.ts'
import type { Webhook } from './start.ts'
import { startWebhook } from './start.ts'
import { openTracing } from './trace.ts'

const STOPPED = 0
const NOT_STARTED = 2 // exit status

const QUIET_IN_CLUSTER = 45_000 // ms: endpoints are taken out of every API server's list within it
const PROBE_PORT_IN_CLUSTER = 8080

/** `sealgate serve`: answers until SIGTERM or SIGINT. The answer is the exit status. */
export async function serve(settings: Settings, notes: readonly Note[]): Promise<number> {
  const log = openLog({ level: settings.logLevel, format: settings.logFormat ?? (process.stdout.isTTY ? 'text' : 'json'), to: 'stdout' })
  const metrics = openMetrics()
  surviveBugs(log, metrics)
  for (const { setting, why } of notes) log.warn('a setting is accepted and does nothing', { setting, why })

  const inCluster = settings.manifests.length === 0
  const cluster = await openCluster(settings, inCluster, log)
  if (typeof cluster === 'string') return notStarted(cluster, log)
  metrics.watchContact(() => cluster.lastContactAge())
  const pressure = new Pressure()
  metrics.watchPressure(pressure)
  const outside = await openOutside(settings, cluster, log, metrics, pressure)
  if (typeof outside === 'string') {
    await cluster.close()
    return notStarted(outside, log)
  }
  const { registry, identity, followed } = outside
  const controller =
    cluster.api &&
    new Controller({
      api: cluster.api,
      cluster,
      settings,
      log,
      metrics,
      tell: () => tellOf(followed.trust.statuses(), followed.kms.statuses()),
    })
  followed.trust.onStatus(() => controller?.look())
  followed.kms.onStatus(() => controller?.look())
  const snapshot = followPolicies(cluster, followed.outside, settings.systemNamespace, log, metrics, (now, objects) =>
    controller?.compiled(now, objects),
  )
  const { around, registrar } = await reach({
    settings,
    cluster,
    snapshot,
    metrics,
    environment: process.env,
    registry,
    outside: () => followed.outside.known(),
    identity,
    pressure: () => pressure.level(),
  })
  identity.follow()

  const readiness = readinessOf(cluster, followed, controller)

  await rehearse(settings).catch((error: unknown) => log.warn('the rehearsal failed: the first answers will be slower', { error }))
  const start = await startWebhook(inCluster ? { ...settings, probePort: settings.probePort ?? PROBE_PORT_IN_CLUSTER } : settings, {
    answerers: answerers(snapshot, around, registrar, metrics, (...judged) => controller?.judged(...judged)),
    readiness,
    pair: await controller?.firstPair(),
    log,
    metrics,
    tracing: await openTracing(),
    pressure,
    environment: process.env,
  })
  if (!start.ok) {
    await Promise.all([cluster.close(), followed.close(), registry.close(), identity.close()])
    return notStarted(start.text, log)
  }
  const { webhook } = start
  followSettings(cluster, settings, log)
  announce(webhook, log)
  controller?.start(webhook)
  announceReady(readiness, cluster, followed, controller, log)

  const signal = await ended()
  log.info('ending', { signal })
  const released = controller?.stop()
  const quiet = settings.drainQuiet ?? (inCluster ? QUIET_IN_CLUSTER : 0)
  const stopping = signal === 'SIGTERM' ? webhook.stop(quiet, settings.drainGrace) : webhook.stop(0, 0)
  // Whoever asks a second time does not want to wait.
  const how = await Promise.race([stopping, ended()])
  if (how !== 'finished') log.warn('requests under way were cut off')
  await released
  await Promise.all([cluster.close(), followed.close(), registry.close(), identity.close()])
  log.info('ended')
  await log.flush()
  return STOPPED
}

/** The cluster, or one line that says why there is none. */
async function openCluster(settings: Settings, inCluster: boolean, log: Log): Promise<Cluster | string> {
  const { systemNamespace } = settings
  try {
    if (!inCluster) return await openManifests(settings.manifests, { systemNamespace, log })
    // Imported here: files need nothing of it.
    const { openKubernetes } = await import('../../src/world/cluster/kubernetes.ts')
    const { kubeconfig, cluster, server } = settings
    return await openKubernetes({ kubeconfig, cluster, server, env: process.env, systemNamespace, log })
  } catch (error) {
    if (error instanceof ManifestError || (error instanceof Error && error.name === 'KubeconfigError')) return error.message
    throw error
  }
}

/** Registries, and what policies refer to outside of the cluster; or one line that says why a setting about them cannot be carried out. */
async function openOutside(
  settings: Settings,
  cluster: Cluster,
  log: Log,
  metrics: Metrics,
  pressure: Pressure,
): Promise<{ readonly registry: Registry; readonly identity: Identity; readonly followed: FollowedOutside } | string> {
  try {
    const registry = await openRegistry(settings, metrics, process.env, { isShort: () => pressure.level() === 'critical' })
    const identity = await openIdentity(process.env, log, metrics)
    return { registry, identity, followed: await followOutside(settings, cluster, registry, identity.cloud, log, metrics) }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** What was once fetched does not make a replica wait again. */
function readinessOf(cluster: Cluster, followed: FollowedOutside, controller: Controller | undefined): () => Readiness {
  let wasReady = false
  return () => {
    const waiting = [...cluster.waitingFor(), ...(controller?.waitingFor() ?? []), ...(wasReady ? [] : followed.waitingFor())]
    wasReady ||= waiting.length === 0
    return waiting.length === 0 ? { ready: true } : { ready: false, text: `waiting for ${waiting.join(', ')}` }
  }
}

/** The log level, as the cluster's ConfigMap has it. */
function followSettings(cluster: Cluster, settings: Settings, log: Log): void {
  let level = settings.logLevel
  const look = (): void => {
    const wanted = levelIn(cluster.objects().configMaps.get(settings.loggingConfigMap)) ?? settings.logLevel
    if (wanted === level) return
    level = wanted
    log.setLevel(level)
    log.info('log level changed', { level })
  }
  look()
  cluster.onChange(look)
}

function announce({ address, metricsAddress, certificate }: Webhook, log: Log): void {
  const { ca, caFile, ends } = certificate
  if (ca !== undefined)
    log.info('the certificate is self-signed: clients have to trust this CA', {
      ...(caFile === undefined ? {} : { file: caFile }),
      fingerprint: describe(ca).fingerprint,
      ends: ends.toISOString(),
      pem: ca,
    })
  log.info('listening', { webhook: `https://${address}`, metrics: `http://${metricsAddress}` })
}

function announceReady(
  readiness: () => Readiness,
  cluster: Cluster,
  followed: FollowedOutside,
  controller: Controller | undefined,
  log: Log,
): void {
  let isReady = false
  const look = (): void => {
    if (isReady || !readiness().ready) return
    isReady = true
    log.info('ready', { seconds: Math.round(process.uptime() * 1000) / 1000 })
  }
  look()
  if (!isReady)
    log.info('not ready', { waitingFor: [...cluster.waitingFor(), ...(controller?.waitingFor() ?? []), ...followed.waitingFor()] })
  cluster.onChange(look)
  controller?.onCertificate(look)
  followed.trust.onStatus(look)
}

/** A bug in what nobody waits for must not end the process for everybody: it is counted, logged, and the next request is answered. */
function surviveBugs(log: Log, metrics: Metrics): void {
  process.on('uncaughtException', (error, origin) => {
    metrics.failedInside(origin === 'unhandledRejection' ? 'unhandled-rejection' : 'uncaught-exception')
    log.error('an exception that nothing expected', { error })
  })
}

function ended(): Promise<'SIGTERM' | 'SIGINT'> {
  return new Promise((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
}

async function notStarted(text: string, log: Log): Promise<number> {
  await log.flush()
  process.stderr.write(`${text.replaceAll(/^/gm, 'sealgate serve: ')}\n`)
  return NOT_STARTED
}
