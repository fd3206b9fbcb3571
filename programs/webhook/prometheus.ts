import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { Tally } from '../../src/verdict/tally.ts'
import type { Metrics, TrustShown } from '../../src/world/metrics.ts'

const KINDS = new Set(
  'Pod ReplicaSet Deployment StatefulSet DaemonSet Job CronJob ReplicationController ClusterImagePolicy TrustRoot'.split(' '),
)
const OPERATIONS = new Set(['CREATE', 'UPDATE', 'DELETE', 'CONNECT'])
const PATHS = new Set(['/validations', '/mutations', '/validating', '/defaulting', '/resource-conversion'])

// Warm answers take well below a millisecond, and the API server waits 30 seconds at most.
const SECONDS = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

const MAX_NAMED = 100 // trust roots that are a series of their own; clusters have a handful

/** The metrics of this process, those of Node.js included. */
export function openMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const requests = new Counter({
    name: 'sealgate_requests_total',
    help: 'Admission requests answered',
    labelNames: ['path', 'operation', 'kind', 'allowed'],
    registers,
  })
  const latency = new Histogram({
    name: 'sealgate_request_duration_seconds',
    help: 'Time from the first byte of a request to its answer',
    labelNames: ['path'],
    buckets: SECONDS,
    registers,
  })
  const away = new Counter({
    name: 'sealgate_requests_turned_away_total',
    help: 'Requests refused before they were read',
    labelNames: ['status'],
    registers,
  })
  const stages = new Histogram({
    name: 'sealgate_stage_duration_seconds',
    help: 'Time of one part of the way: read, credentials, tag, evidence (what lies in one place of a registry), log (a search in one), platforms (of an image), judgement (one policy about one image, evidence included)',
    labelNames: ['stage'],
    buckets: SECONDS,
    registers,
  })
  const decisions = new Counter({
    name: 'sealgate_decisions_total',
    help: 'Answers of a policy about an image, by the reason that decided; policy="(none)" where none spoke, "(others)" beyond the first 100 of them',
    labelNames: ['policy', 'mode', 'outcome', 'code'],
    registers,
  })
  const byPolicy = new NamedPolicies((labels) => decisions.remove(labels))
  const registryRequests = new Counter({
    name: 'sealgate_registry_requests_total',
    help: 'Requests to registries, to transparency logs (host="log"), to TUF repositories (host="tuf") and to services of clouds (host="cloud")',
    labelNames: ['outcome', 'host'],
    registers,
  })
  const lookups = new Counter({
    name: 'sealgate_memory_lookups_total',
    help: 'Questions to the memory',
    labelNames: ['what', 'result'],
    registers,
  })
  const late = new Counter({
    name: 'sealgate_late_work_total',
    help: 'Work that went on after its request had to be answered',
    registers,
  })
  const lateNow = new Gauge({
    name: 'sealgate_late_work',
    help: 'Work that goes on now though its request was answered',
    registers,
  })
  const errors = new Counter({
    name: 'sealgate_internal_errors_total',
    help: 'Exceptions that no code expected; the log has their stacks',
    labelNames: ['where'],
    registers,
  })
  const policies = new Gauge({
    name: 'sealgate_policies',
    help: 'ClusterImagePolicies by whether they can be carried out; a broken one refuses',
    labelNames: ['state'],
    registers,
  })
  const policyEnds = new Gauge({
    name: 'sealgate_policy_expiry_timestamp_seconds',
    help: 'When the certificates and keys have ended that a policy trusts, so that nothing signed from then on passes it; none: they do not end',
    labelNames: ['policy'],
    registers,
  })
  const keyless = new Gauge({
    name: 'sealgate_without_policies_keyless',
    help: '1 while there is no policy at all and images are verified keyless against the public Sigstore instance',
    registers,
  })
  const trusted = new Gauge({
    name: 'sealgate_trust_roots',
    help: 'Trust roots by whether they can be believed: TrustRoots, and the Sigstore instance that is meant where none is named (of="sigstore"); a stale one is in force, though its last refresh failed',
    labelNames: ['of', 'state'],
    registers,
  })
  const trustEnds = new Gauge({
    name: 'sealgate_trust_expiry_timestamp_seconds',
    help: 'When what a trust root says is not believed any more unless it is refreshed; none: it has no end',
    labelNames: ['of', 'name'],
    registers,
  })
  const trustRefreshed = new Gauge({
    name: 'sealgate_trust_refreshed_timestamp_seconds',
    help: 'When what a trust root says was fetched last; none: never, or nothing has to be fetched',
    labelNames: ['of', 'name'],
    registers,
  })
  const kmsReads = new Counter({
    name: 'sealgate_kms_reads_total',
    help: 'Public keys asked for of key management services',
    labelNames: ['service', 'outcome'],
    registers,
  })
  const kmsKeys = new Gauge({
    name: 'sealgate_kms_keys',
    help: 'Keys of key management services that policies name; a stale one is in force, though it could not be read again',
    labelNames: ['state'],
    registers,
  })
  const certificate = new Gauge({
    name: 'sealgate_certificate_expiry_timestamp_seconds',
    help: 'When the serving certificate ends',
    registers,
  })
  const leader = new Gauge({
    name: 'sealgate_leader',
    help: '1 while this replica is the one that writes status, certificate and configurations',
    registers,
  })
  // A series that exists before its first event lets an alert see the first event.
  for (const where of ['answer', 'unhandled-rejection', 'uncaught-exception', 'compile']) errors.inc({ where }, 0)

  return {
    requested(path, operation, kind, allowed, seconds) {
      const known = PATHS.has(path) ? path : 'other'
      requests.inc({
        path: known,
        operation: OPERATIONS.has(operation) ? operation : 'other',
        kind: KINDS.has(kind) ? kind : 'other',
        allowed: allowed ? 'true' : 'false',
      })
      latency.observe({ path: known }, seconds)
    },
    watchUnderWay(number) {
      const gauge: Gauge = new Gauge({
        name: 'sealgate_requests_under_way',
        help: 'Requests that are being answered now',
        registers,
        collect: () => gauge.set(number()),
      })
    },
    turnedAway: (status) => away.inc({ status }),
    decided: (tally) => decisions.inc(byPolicy.labelsOf(tally)),
    staged: (stage, seconds) => stages.observe({ stage }, seconds),
    registryAsked: (outcome, host) => registryRequests.inc({ outcome, host }),
    remembered: (what, hit) => lookups.inc({ what, result: hit ? 'hit' : 'miss' }),
    wentOn() {
      late.inc()
      lateNow.inc()
    },
    cameToAnEnd: () => lateNow.dec(),
    failedInside: (where) => errors.inc({ where }),
    policies(inForce, broken) {
      byPolicy.areInForce(inForce.map(({ name }) => name))
      policyEnds.reset()
      for (const { name, ends } of inForce) if (ends !== undefined && byPolicy.isNamed(name)) policyEnds.set({ policy: name }, ends / 1000)
      policies.set({ state: 'in-force' }, inForce.length)
      policies.set({ state: 'broken' }, broken)
    },
    withoutPoliciesKeyless: (inForce) => keyless.set(inForce ? 1 : 0),
    trust(shown) {
      for (const gauge of [trustEnds, trustRefreshed]) gauge.reset()
      for (const kind of ['sigstore', 'trust-root'] as const)
        for (const state of ['in-force', 'stale', 'broken'] as const)
          trusted.set({ of: kind, state }, shown.filter((one) => one.of === kind && one.state === state).length)
      for (const { of, name, ends, refreshed } of named(shown)) {
        if (ends !== undefined) trustEnds.set({ of, name }, ends / 1000)
        if (refreshed !== undefined) trustRefreshed.set({ of, name }, refreshed / 1000)
      }
    },
    watchMemory(held) {
      const gauge: Gauge = new Gauge({
        name: 'sealgate_memory_held',
        help: 'What is remembered now: passes and content in bytes, tags by number',
        labelNames: ['what'],
        registers,
        collect() {
          for (const [what, size] of Object.entries(held())) gauge.set({ what }, size)
        },
      })
    },
    kmsRead: (service, outcome) => kmsReads.inc({ service, outcome }),
    kmsKeys(inForce, stale, broken) {
      kmsKeys.set({ state: 'in-force' }, inForce)
      kmsKeys.set({ state: 'stale' }, stale)
      kmsKeys.set({ state: 'broken' }, broken)
    },
    watchPressure(pressure) {
      const limit: Gauge = new Gauge({
        name: 'sealgate_memory_limit_bytes',
        help: "Memory that the process may have: its container's, else the machine's",
        registers,
        collect: () => limit.set(pressure.limit),
      })
      const level: Gauge = new Gauge({
        name: 'sealgate_memory_pressure',
        help: '1 while further requests are refused for want of memory, 2 while nothing further is fetched either',
        registers,
        collect: () => level.set({ none: 0, high: 1, critical: 2 }[pressure.level()]),
      })
    },
    watchContact(age) {
      const gauge: Gauge = new Gauge({
        name: 'sealgate_api_contact_age_seconds',
        help: 'Time since the API server was last heard of; 0 when objects come from files',
        registers,
        collect: () => gauge.set(age() / 1000),
      })
    },
    certificateEnds: (at) => certificate.set(at),
    leads: (held) => leader.set(held ? 1 : 0),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

/** The first ones by name; the others together, with the first end and the oldest refresh among them. */
function named(shown: readonly TrustShown[]): readonly TrustShown[] {
  const sorted = shown.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const [first, ...others] = sorted.slice(MAX_NAMED)
  if (!first) return sorted
  const earlier = (a: number | undefined, b: number | undefined): number | undefined => (a === undefined || (b ?? a) < a ? b : a)
  const together = others.reduce(
    (all, one) => ({ ...all, ends: earlier(all.ends, one.ends), refreshed: earlier(all.refreshed, one.refreshed) }),
    { ...first, name: '(others)' },
  )
  return [...sorted.slice(0, MAX_NAMED), together]
}

const MAX_NAMED_POLICIES = 100 // whose decisions are counted apart; each takes a series for every reason that its decisions had

type DecisionLabels = { policy: string; mode: string; outcome: string; code: string }

/**
 * The policies whose names are labels: as many as may be, of those in force. One that is no longer takes its series along, so that names that
 * come and go fill nothing. No object of Kubernetes has parentheses in its name.
 */
class NamedPolicies {
  readonly #drop: (labels: DecisionLabels) => void
  readonly #named = new Map<string, Map<string, DecisionLabels>>()

  constructor(drop: (labels: DecisionLabels) => void) {
    this.#drop = drop
  }

  areInForce(names: readonly string[]): void {
    const inForce = new Set(names)
    for (const [name, series] of this.#named) {
      if (inForce.has(name)) continue
      this.#named.delete(name)
      for (const labels of series.values()) this.#drop(labels)
    }
    for (const name of names) if (this.#named.size < MAX_NAMED_POLICIES && !this.#named.has(name)) this.#named.set(name, new Map())
  }

  isNamed(name: string): boolean {
    return this.#named.has(name)
  }

  labelsOf({ policy, mode, outcome, code }: Tally): DecisionLabels {
    const series = policy === undefined ? undefined : this.#named.get(policy)
    if (!series || policy === undefined)
      return { policy: policy === undefined ? '(none)' : '(others)', mode: mode ?? '(none)', outcome, code }
    const key = `${mode} ${outcome} ${code}`
    const labels = series.get(key) ?? { policy, mode: mode ?? '(none)', outcome, code }
    series.set(key, labels)
    return labels
  }
}
