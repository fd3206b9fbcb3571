import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { FakeRegistry } from '../../fakes/registry.ts'
import { openManifests } from '../../src/world/manifests.ts'
import type { Settings } from '../cli/options.ts'
import { answerers } from '../webhook/answer.ts'
import { openLog } from '../webhook/log.ts'
import { followPolicies } from '../webhook/policies.ts'
import { openMetrics } from '../webhook/prometheus.ts'
import { reach } from '../webhook/reach.ts'
import type { Webhook } from '../webhook/start.ts'
import { startWebhook } from '../webhook/start.ts'
import { ApiServer, podOf, reviewOf } from './cluster.ts'
import type { Filled } from './images.ts'
import { fill, mirrorsTo } from './images.ts'
import { examplePolicies } from './policies.ts'

const ENDED = 0
const NOT_STARTED = 2

const requests = [
  ['cosign', 'gcr.io/projectsigstore/cosign:v1.2.1', 'signed with the key that the policy trusts'],
  ['busybox', 'busybox', 'no policy speaks about it'],
  ['cosign-fail', 'gcr.io/projectsigstore/cosign:v0.3.0', 'signed, but with another key'],
] as const

/** `sealgate demo`: the main job with nothing around it. Everything lies in memory and one temporary folder, and is gone on Ctrl-C. */
export async function demo(given: Settings): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'sealgate-demo-'))
  const registry = await FakeRegistry.start()
  const settings: Settings = {
    ...given,
    // Nobody but this machine is meant to reach it.
    address: given.address === '::' ? '127.0.0.1' : given.address,
    manifests: [join(folder, 'policies')],
    mirrors: [...mirrorsTo(registry), ...given.mirrors],
    tlsFolder: given.tlsFolder ?? join(folder, 'tls'),
    tlsMinVersion: '1.2', // so that any curl can speak to it
  }
  const log = openLog({ level: given.logLevel === 'info' ? 'warn' : given.logLevel, format: given.logFormat ?? 'text', to: 'stderr' })
  const metrics = openMetrics()
  await writeExamples(folder, fill(registry))

  const cluster = await openManifests(settings.manifests, { systemNamespace: settings.systemNamespace, log })
  const snapshot = followPolicies(cluster, settings.systemNamespace, log, metrics)
  const reached = await reach(settings, cluster, snapshot, metrics, {})
  const close = async (webhook?: Webhook): Promise<void> => {
    await webhook?.stop(0, 0)
    await Promise.all([cluster.close(), reached.registry.close(), registry.close()])
    await rm(folder, { recursive: true, force: true })
    log.flush()
  }
  const start = await startWebhook(settings, {
    answerers: answerers(snapshot, reached.around, metrics),
    readiness: () => ({ ready: true }),
    log,
    metrics,
    environment: process.env,
    anyPort: true,
  })
  if (!start.ok) {
    await close()
    process.stderr.write(`sealgate demo: ${start.text}\n`)
    return NOT_STARTED
  }
  const { webhook } = start
  const ended = new Promise<void>((resolve) => {
    process.on('SIGINT', () => resolve())
    process.on('SIGTERM', () => resolve())
  })
  await show(webhook, settings, folder, registry)
  await ended
  process.stdout.write('\nended, and nothing is left behind\n')
  await close(webhook)
  return ENDED
}

async function show(webhook: Webhook, settings: Settings, folder: string, registry: FakeRegistry): Promise<void> {
  const { ca = '', caFile = '' } = webhook.certificate
  const url = `https://127.0.0.1:${webhook.port}`
  const server = new ApiServer(url, ca)
  say(bold('Sealgate, with nothing around it: a registry with images, two policies, the webhook, and three requests.'), '')
  for (const [name, image, why] of requests) {
    say(`${bold(`$ kubectl run ${name} --image=${image} --dry-run=server`)}   ${dim(`# ${why}`)}`)
    for (const line of await server.run(name, image)) say(line)
    say('')
  }
  await server.close()

  const moved = [
    ...(webhook.port === settings.port ? [] : [`port ${settings.port} is taken, so the webhook has ${webhook.port}`]),
    ...(webhook.metricsPort === settings.metricsPort
      ? []
      : [`port ${settings.metricsPort} is taken, so the metrics have ${webhook.metricsPort}`]),
  ]
  if (moved.length > 0) say(...moved, '')
  say(
    `webhook   ${url}/validations and /mutations`,
    `metrics   http://127.0.0.1:${webhook.metricsPort}/metrics`,
    `registry  ${registry.url}`,
    `policies  ${join(folder, 'policies')}   ${dim('(edit them: they are followed)')}`,
    '',
  )
  const review = join(folder, 'reviews', 'cosign-fail.json')
  const mirrors = mirrorsTo(registry).map(({ host, url: to }) => `--mirror ${host}=${to}`)
  say(
    bold('Try next:'),
    '# ask the webhook yourself',
    `curl -s --cacert ${caFile} -H 'Content-Type: application/json' --data @${review} '${url}/validations?timeout=10s'`,
    '# the same without a server',
    `${launcher()} review --manifests ${join(folder, 'policies')} ${mirrors.join(' ')} ${review}`,
    '# only warn from now on, and ask again',
    `sed -i.bak 's/mode: enforce/mode: warn/' ${join(folder, 'policies', 'image-policy.yaml')}`,
    '# what was decided so far',
    `curl -s http://127.0.0.1:${webhook.metricsPort}/metrics | grep sealgate_decisions`,
    '',
    dim('Ctrl-C ends it.'),
  )
}

async function writeExamples(folder: string, { pem, examples }: Filled): Promise<void> {
  await mkdir(join(folder, 'policies'))
  await mkdir(join(folder, 'reviews'))
  for (const [file, text] of Object.entries(examplePolicies(pem))) await writeFile(join(folder, 'policies', file), text)
  for (const [name, image] of Object.entries(examples))
    await writeFile(join(folder, 'reviews', `${name}.json`), `${JSON.stringify(reviewOf(podOf(name, image), name), undefined, 2)}\n`)
}

/** The command line as it is called from the folder where this was started, so that what is printed can be pasted. */
function launcher(): string {
  return relative(process.cwd(), join(import.meta.dirname, '../../bin/sealgate'))
}

function say(...lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}

const isColoured = process.stdout.isTTY === true && !process.env['NO_COLOR']

function bold(text: string): string {
  return isColoured ? `\u001b[1m${text}\u001b[22m` : text
}

function dim(text: string): string {
  return isColoured ? `\u001b[2m${text}\u001b[22m` : text
}
