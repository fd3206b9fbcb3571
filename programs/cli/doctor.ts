import { styleText } from 'node:util'
import type { Cluster } from '../../src/world/cluster/cluster.ts'
import { readManifests } from '../../src/world/cluster/manifests.ts'
import { openLog } from '../webhook/log.ts'
import { apiServer } from './checks/api-server.ts'
import { certificates } from './checks/certificates.ts'
import { definitions } from './checks/definitions.ts'
import type { Finding, Level } from './checks/finding.ts'
import { counted, unknown } from './checks/finding.ts'
import { leftOver } from './checks/left-over.ts'
import { namespaces } from './checks/namespaces.ts'
import type { Check, Patient } from './checks/patient.ts'
import { Reader } from './checks/patient.ts'
import { policies } from './checks/policies.ts'
import { reachability } from './checks/reachability.ts'
import { registries } from './checks/registries.ts'
import { rights } from './checks/rights.ts'
import { service } from './checks/service.ts'
import { trust } from './checks/trust.ts'
import { webhooks } from './checks/webhooks.ts'
import { offline } from './offline.ts'
import type { Settings } from './options.ts'

const NOTHING_WRONG = 0
const SOMETHING_WRONG = 1
const NOT_KNOWN = 2

const PATIENCE = 15_000 // ms for the first full lists of a cluster
const LOOK = 25 // ms

/** In the order in which one leans on another. */
const checks: readonly Check[] = [
  definitions,
  webhooks,
  service,
  certificates,
  rights,
  namespaces,
  reachability,
  policies,
  trust,
  registries,
  leftOver,
]

type Section = { readonly check: string; readonly findings: readonly Finding[] }

/** `sealgate doctor`: what is wrong with a cluster, or with files of what it would hold, and how to mend it. */
export async function doctor(settings: Settings): Promise<number> {
  try {
    return tell(await examine(settings), settings)
  } catch (error) {
    process.stderr.write(`sealgate doctor: ${error instanceof Error ? error.message : String(error)}\n`)
    return NOT_KNOWN
  }
}

async function examine(settings: Settings): Promise<readonly Section[]> {
  const log = openLog({ level: settings.manifests.length > 0 ? 'warn' : 'error', format: settings.logFormat ?? 'text', to: 'stderr' })
  const cluster = await openCluster(settings, log)
  try {
    const reader = cluster.api && new Reader(cluster.api)
    const first = reader ? [{ check: 'the API server', findings: await apiServer(reader) }] : []
    // Without an API server every other check would only say the same again.
    if (first.some(({ findings }) => findings.some(({ level }) => level === 'unknown'))) return first
    await listed(cluster)
    const others = await offline(settings, cluster, log, ({ registry, outside, around }) => {
      const access: Patient['access'] = (workload, credentials) => around.access(workload, credentials)
      const patient = { settings, objects: cluster, reader, registry, access, outside, now: new Date() }
      return Promise.all(checks.map(async (check) => ({ check: check.name, findings: await run(check, patient) })))
    })
    return [...first, ...others]
  } finally {
    await cluster.close()
  }
}

async function openCluster(settings: Settings, log: ReturnType<typeof openLog>): Promise<Cluster> {
  const { systemNamespace } = settings
  if (settings.manifests.length > 0) return readManifests(settings.manifests, { systemNamespace, log })
  const { openKubernetes } = await import('../../src/world/cluster/kubernetes.ts')
  const { kubeconfig, cluster, server } = settings
  return openKubernetes({ kubeconfig, cluster, server, env: process.env, systemNamespace, log })
}

/** Waits until everything was read that the controller reads; what cannot be is said by the checks. */
async function listed(cluster: Cluster): Promise<void> {
  const until = performance.now() + PATIENCE
  while (cluster.waitingFor().length > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, LOOK))
}

async function run(check: Check, patient: Patient): Promise<readonly Finding[]> {
  try {
    return await check.run(patient)
  } catch (error) {
    return [unknown(`this check failed inside: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, 'report it')]
  }
}

function tell(sections: readonly Section[], { json }: Settings): number {
  const all = sections.flatMap(({ check, findings }) => findings.map((finding) => ({ check, ...finding })))
  const count = (level: Level): number => all.filter((finding) => finding.level === level).length
  if (json)
    process.stdout.write(
      `${JSON.stringify({ findings: all, wrong: count('wrong'), warnings: count('warning'), unknown: count('unknown') })}\n`,
    )
  else process.stdout.write(textOf(sections, count))
  return count('wrong') > 0 ? SOMETHING_WRONG : count('unknown') > 0 ? NOT_KNOWN : NOTHING_WRONG
}

const COLOURS = { ok: 'green', note: 'cyan', warning: 'yellow', wrong: 'red', unknown: 'magenta' } as const

function textOf(sections: readonly Section[], count: (level: Level) => number): string {
  const isColoured = process.stdout.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
  const shown = (level: Level): string => (isColoured ? styleText(COLOURS[level], level.padEnd(7)) : level.padEnd(7))
  const text = sections
    .filter(({ findings }) => findings.length > 0)
    .map(({ check, findings }) => `${check}\n${findings.map((f) => lines(f, shown(f.level))).join('')}`)
    .join('\n')
  return `${text}\n${counted(count('wrong'), 'thing')} wrong, ${counted(count('warning'), 'warning')}, ${count('unknown')} not known\n`
}

function lines({ what, mend }: Finding, level: string): string {
  // Texts come from outside: a line break would look like a finding, an escape sequence like anything.
  const safe = (text: string): string => text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
  return `  ${level} ${safe(what)}\n${mend === undefined ? '' : `          → ${safe(mend)}\n`}`
}
