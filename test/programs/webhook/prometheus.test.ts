import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { openMetrics } from '../../../programs/webhook/prometheus.ts'

const linesOf = async (metrics: ReturnType<typeof openMetrics>, name: string): Promise<string[]> =>
  (await metrics.text()).split('\n').filter((line) => line.startsWith(name))

test('requests are counted by path, operation, kind and whether they were allowed', async () => {
  const metrics = openMetrics()
  metrics.requested('/validations', 'CREATE', 'Pod', true, 0.000_4)
  metrics.requested('/validations', 'CREATE', 'Pod', true, 0.002)
  metrics.requested('/validations', 'UPDATE', 'Deployment', false, 0.1)
  deepEqual(await linesOf(metrics, 'sealgate_requests_total'), [
    'sealgate_requests_total{path="/validations",operation="CREATE",kind="Pod",allowed="true"} 2',
    'sealgate_requests_total{path="/validations",operation="UPDATE",kind="Deployment",allowed="false"} 1',
  ])
  ok(
    (await linesOf(metrics, 'sealgate_request_duration_seconds')).includes(
      'sealgate_request_duration_seconds_bucket{le="0.0005",path="/validations"} 1',
    ),
  )
})

test('lesson 42: what comes from outside never becomes a label', async () => {
  const metrics = openMetrics()
  for (let i = 0; i < 1000; i++) metrics.requested(`/path${i}`, `OPERATION${i}`, `Kind${i}`, false, 0.1)
  deepEqual(await linesOf(metrics, 'sealgate_requests_total'), [
    'sealgate_requests_total{path="other",operation="other",kind="other",allowed="false"} 1000',
  ])
})

test('the decisions of 100 policies are counted apart, those of more together, and what is no longer in force is forgotten', async () => {
  const metrics = openMetrics()
  const names = Array.from({ length: 150 }, (_, i) => `policy-${i}`)
  const inForce = (some: readonly string[]) => some.map((name) => ({ name, ends: name === 'policy-149' ? 1_800_000_000_000 : undefined }))
  metrics.policies(inForce(names), 0)
  for (const policy of names)
    for (const mode of ['enforce', 'warn'] as const) metrics.decided({ policy, mode, outcome: 'pass', code: 'static-pass' })
  const series = await linesOf(metrics, 'sealgate_decisions_total')
  equal(series.length, 202)
  ok(series.includes('sealgate_decisions_total{policy="policy-99",mode="warn",outcome="pass",code="static-pass"} 1'))
  ok(series.includes('sealgate_decisions_total{policy="(others)",mode="warn",outcome="pass",code="static-pass"} 50'))
  deepEqual(await linesOf(metrics, 'sealgate_policy_expiry_timestamp_seconds'), [])
  metrics.policies(inForce(names.slice(99)), 0)
  deepEqual(await linesOf(metrics, 'sealgate_policy_expiry_timestamp_seconds'), [
    'sealgate_policy_expiry_timestamp_seconds{policy="policy-149"} 1800000000',
  ])
  const later = await linesOf(metrics, 'sealgate_decisions_total')
  equal(later.length, 4)
  metrics.decided({ policy: 'policy-149', mode: 'enforce', outcome: 'fail', code: 'static-fail' })
  ok(
    (await linesOf(metrics, 'sealgate_decisions_total')).includes(
      'sealgate_decisions_total{policy="policy-149",mode="enforce",outcome="fail",code="static-fail"} 1',
    ),
  )
})

test('everything else is counted under its own name', async () => {
  const metrics = openMetrics()
  metrics.turnedAway(415)
  metrics.decided({ policy: undefined, mode: undefined, outcome: 'fail', code: 'no-matching-policies' })
  metrics.staged('evidence', 0.02)
  metrics.registryAsked('found', 'mirror')
  metrics.remembered('pass', true)
  metrics.remembered('pass', false)
  metrics.wentOn()
  metrics.wentOn()
  metrics.cameToAnEnd()
  metrics.failedInside('compile')
  metrics.policies(
    ['a', 'b', 'c'].map((name) => ({ name, ends: undefined })),
    1,
  )
  metrics.watchMemory(() => ({ passes: 1, content: 2, tags: 3 }))
  metrics.withoutPoliciesKeyless(true)
  metrics.watchPressure({ level: () => 'critical', limit: 512 })
  metrics.watchUnderWay(() => 7)
  metrics.watchContact(() => 2500)
  metrics.certificateEnds(1_800_000_000)
  const text = await metrics.text()
  for (const line of [
    'sealgate_requests_turned_away_total{status="415"} 1',
    'sealgate_decisions_total{policy="(none)",mode="(none)",outcome="fail",code="no-matching-policies"} 1',
    'sealgate_stage_duration_seconds_bucket{le="0.025",stage="evidence"} 1',
    'sealgate_memory_held{what="content"} 2',
    'sealgate_registry_requests_total{outcome="found",host="mirror"} 1',
    'sealgate_memory_lookups_total{what="pass",result="hit"} 1',
    'sealgate_memory_lookups_total{what="pass",result="miss"} 1',
    'sealgate_late_work_total 2',
    'sealgate_late_work 1',
    'sealgate_internal_errors_total{where="compile"} 1',
    'sealgate_policies{state="in-force"} 3',
    'sealgate_policies{state="broken"} 1',
    'sealgate_without_policies_keyless 1',
    'sealgate_api_contact_age_seconds 2.5',
    'sealgate_memory_pressure 2',
    'sealgate_requests_under_way 7',
    'sealgate_memory_limit_bytes 512',
    'sealgate_certificate_expiry_timestamp_seconds 1800000000',
  ])
    ok(text.includes(`${line}\n`), line)
})

test('the memory and the event loop of the process are there too', async () => {
  const text = await openMetrics().text()
  match(text, /^process_resident_memory_bytes \d+$/m)
  match(text, /^nodejs_eventloop_lag_p99_seconds /m)
})

test('internal errors are there before the first, so that an alert sees the first', async () =>
  equal((await linesOf(openMetrics(), 'sealgate_internal_errors_total')).length, 4))

const HOUR = 60 * 60 * 1000

test('how it stands with trust roots is counted, and when each ends and was fetched is told by name', async () => {
  const metrics = openMetrics()
  const sigstore = { of: 'sigstore', name: '', state: 'stale', ends: 30 * HOUR, refreshed: undefined } as const
  const ours = { of: 'trust-root', name: 'ours', state: 'in-force', ends: 20 * HOUR, refreshed: 10 * HOUR } as const
  metrics.trust([sigstore, ours, { ...ours, name: 'keys', ends: undefined, refreshed: undefined }])
  deepEqual(await linesOf(metrics, 'sealgate_trust_roots'), [
    'sealgate_trust_roots{of="sigstore",state="in-force"} 0',
    'sealgate_trust_roots{of="sigstore",state="stale"} 1',
    'sealgate_trust_roots{of="sigstore",state="broken"} 0',
    'sealgate_trust_roots{of="trust-root",state="in-force"} 2',
    'sealgate_trust_roots{of="trust-root",state="stale"} 0',
    'sealgate_trust_roots{of="trust-root",state="broken"} 0',
  ])
  deepEqual(await linesOf(metrics, 'sealgate_trust_expiry'), [
    'sealgate_trust_expiry_timestamp_seconds{of="sigstore",name=""} 108000',
    'sealgate_trust_expiry_timestamp_seconds{of="trust-root",name="ours"} 72000',
  ])
  deepEqual(await linesOf(metrics, 'sealgate_trust_refreshed'), [
    'sealgate_trust_refreshed_timestamp_seconds{of="trust-root",name="ours"} 36000',
  ])
  metrics.trust([sigstore])
  equal((await linesOf(metrics, 'sealgate_trust_expiry')).length, 1)
})

test('a cluster with very many trust roots does not fill the memory: those beyond a hundred are told together, by the worst of them', async () => {
  const metrics = openMetrics()
  const all = Array.from({ length: 1_000 }, (_, i) => {
    const name = `root-${String(i).padStart(4, '0')}`
    return {
      of: 'trust-root',
      name,
      state: 'in-force',
      ends: i === 500 ? HOUR : 9 * HOUR,
      refreshed: i === 7 ? undefined : 8 * HOUR,
    } as const
  })
  metrics.trust(all)
  const ends = await linesOf(metrics, 'sealgate_trust_expiry')
  equal(ends.length, 101)
  ok(ends.includes('sealgate_trust_expiry_timestamp_seconds{of="trust-root",name="(others)"} 3600'))
  ok(ends.includes('sealgate_trust_expiry_timestamp_seconds{of="trust-root",name="root-0099"} 32400'))
})
