import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeRegistry } from '../../fakes/registry.ts'
import { Cloud } from '../../src/world/cloud/cloud.ts'
import { openManifests } from '../../src/world/cluster/manifests.ts'
import type { Log } from '../../src/world/log.ts'
import type { Settings } from '../cli/options.ts'
import { answerers } from '../webhook/answer.ts'
import { openLog } from '../webhook/log.ts'
import { followOutside } from '../webhook/outside.ts'
import { followPolicies } from '../webhook/policies.ts'
import { openMetrics } from '../webhook/prometheus.ts'
import { reach } from '../webhook/reach.ts'
import type { Webhook } from '../webhook/start.ts'
import { startWebhook } from '../webhook/start.ts'
import { ApiServer, podOf, reviewOf } from './cluster.ts'
import type { Filled } from './images.ts'
import { fill, mirrorsTo } from './images.ts'
import type { Place } from './page.ts'
import { answered, heading, launcherFrom, whatNext } from './page.ts'
import { examplePolicies } from './policies.ts'

const ENDED = 0
const NOT_STARTED = 2

const GRACE = 1_000 // ms that requests under way get at the end

const REQUESTS = [
  ['cosign', 'gcr.io/projectsigstore/cosign:v1.2.1', 'signed with the key that the policy trusts'],
  ['busybox', 'busybox', 'no policy speaks about it'],
  ['cosign-fail', 'gcr.io/projectsigstore/cosign:v0.3.0', 'signed, but with another key'],
] as const

/** `sealgate demo`: the main job with nothing around it. Everything lies in memory and in one temporary folder, and is gone on Ctrl-C. */
export async function demo(given: Settings): Promise<number> {
  const asked = ended()
  const format = given.logFormat ?? (process.stderr.isTTY ? 'text' : 'json')
  // What is printed first is to be read in peace: the log shows what comes after it.
  const log = openLog({ level: given.logLevel === 'info' ? 'warn' : given.logLevel, format, to: 'stderr' })
  await using things = new AsyncDisposableStack()
  try {
    const { webhook, place } = await opened(given, log, things)
    await show(webhook, place)
  } catch (error) {
    process.stderr.write(`sealgate demo: ${error instanceof Error ? error.message : String(error)}\n`)
    return NOT_STARTED
  }
  log.setLevel(given.logLevel)
  await asked
  log.setLevel('error')
  await log.flush()
  process.stdout.write('\nended, and nothing is left behind\n')
  return ENDED
}

/** The registry, the files and the webhook; `things` are closed in the reverse order. */
async function opened(given: Settings, log: Log, things: AsyncDisposableStack): Promise<{ webhook: Webhook; place: Place }> {
  const folder = await mkdtemp(join(tmpdir(), 'sealgate-demo-'))
  // However the process ends, a bug included.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const registry = await FakeRegistry.start()
  things.defer(() => registry.close())
  const settings: Settings = {
    ...given,
    manifests: [join(folder, 'policies')],
    mirrors: [...mirrorsTo(registry), ...given.mirrors],
    tlsFolder: given.tlsFolder ?? join(folder, 'tls'),
    tlsMinVersion: '1.2', // so that any curl can speak to it
  }
  await writeExamples(folder, await fill(registry, Date.now()))

  const metrics = openMetrics()
  const cluster = await openManifests(settings.manifests, { systemNamespace: settings.systemNamespace, log })
  things.defer(() => cluster.close())
  // Without the environment: a proxy or a Docker config of this machine has nothing to say about a registry on loopback.
  const reached = await reach({ settings, cluster, snapshot: () => snapshot(), metrics, environment: {} })
  things.defer(() => reached.registry.close())
  const offline = {
    ...settings,
    disableTuf: true,
    tufMirror: undefined,
    tufRoot: undefined,
    trustrootResyncPeriod: 0,
    policyResyncPeriod: 0,
  }
  const cloud = new Cloud({}, metrics)
  things.defer(() => cloud.close())
  const followed = await followOutside(offline, cluster, reached.registry, cloud, log, metrics)
  things.defer(() => followed.close())
  const snapshot = followPolicies(cluster, followed.outside, settings.systemNamespace, log, metrics)
  const start = await startWebhook(settings, {
    answerers: answerers(snapshot, reached.around, reached.registrar, metrics),
    readiness: () => ({ ready: true }),
    log,
    metrics,
    environment: process.env,
    anyPort: true,
  })
  if (!start.ok) throw new Error(start.text)
  const { webhook } = start
  things.defer(async () => void (await webhook.stop(0, GRACE)))
  return {
    webhook,
    place: {
      folder,
      webhook: `https://${reachable(webhook.address)}`,
      metrics: `http://${reachable(webhook.metricsAddress)}`,
      registry: registry.url,
      mirrors: mirrorsTo(registry),
      caFile: webhook.certificate.caFile,
      launcher: launcherFrom(process.env['INIT_CWD'] ?? process.cwd()),
      taken: {
        webhook: given.port === 0 || webhook.port === given.port ? undefined : given.port,
        metrics: given.metricsPort === 0 || webhook.metricsPort === given.metricsPort ? undefined : given.metricsPort,
      },
      isProxied: Object.entries(process.env).some(([name, value]) => /^(https?|all)_proxy$/i.test(name) && value !== ''),
    },
  }
}

async function show(webhook: Webhook, place: Place): Promise<void> {
  process.stdout.write(heading())
  await using server = new ApiServer(place.webhook, webhook.certificate.ca)
  for (const [name, image, about] of REQUESTS) process.stdout.write(answered({ name, image, about }, await server.run(name, image)))
  process.stdout.write(whatNext(place))
}

/** `folder/policies`, which are followed; `folder/reviews`, as the validating webhook gets them; and one as the mutating webhook gets it. */
async function writeExamples(folder: string, { trusted, examples, moving }: Filled): Promise<void> {
  const write = (name: string, image: string, file: string) =>
    writeFile(join(folder, 'reviews', file), `${JSON.stringify(reviewOf(podOf(name, image), name), undefined, 2)}\n`)
  await Promise.all([mkdir(join(folder, 'policies')), mkdir(join(folder, 'reviews', 'by-tag'), { recursive: true })])
  await Promise.all([
    ...Object.entries(examplePolicies(trusted)).map(([file, text]) => writeFile(join(folder, 'policies', file), text)),
    ...Object.entries(examples).map(([name, image]) => write(name, image, `${name}.json`)),
    write('moving', moving, 'by-tag/moving.json'),
  ])
}

/** Where a client on this machine finds it, of the `host:port` that it listens on. */
function reachable(address: string): string {
  return address.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:')
}

/** Resolves on Ctrl-C and its kin, and when nobody reads what is printed any more. */
function ended(): Promise<void> {
  return new Promise((resolve) => {
    // Not once: npm passes on the Ctrl-C that this process gets too, and the second must not end it halfway.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
    process.stdout.on('error', () => resolve())
  })
}
