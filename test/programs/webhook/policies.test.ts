import { deepEqual, equal, match } from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { makeSigner } from '../../../fakes/signer.ts'
import { followPolicies } from '../../../programs/webhook/policies.ts'
import { openMetrics } from '../../../programs/webhook/prometheus.ts'
import type { ClusterObjects, Outside } from '../../../src/policy/objects.ts'
import { nothingFetched } from '../../../src/policy/objects.ts'
import { publicRoot } from '../../../src/trust/public-root.ts'
import type { Cluster } from '../../../src/world/cluster/cluster.ts'
import { uncounted } from '../../../src/world/metrics.ts'
import { together } from '../../../src/world/outside.ts'
import { keeping } from './client.ts'

const KEY = makeSigner().pem

/** A cluster whose objects are set by the test. */
function clusterOf(policies: Readonly<Record<string, object>>, more: Partial<ClusterObjects> = {}) {
  const make = (named: Readonly<Record<string, object>>, others: Partial<ClusterObjects>): ClusterObjects => ({
    policies: new Map(Object.entries(named)),
    policiesIncomplete: undefined,
    secrets: new Map(),
    configMaps: new Map(),
    trustRoots: new Map(),
    ...others,
  })
  let objects = make(policies, more)
  const listeners: (() => void)[] = []
  const cluster: Cluster = {
    objects: () => objects,
    onChange: (listener) => void listeners.push(listener),
    waitingFor: () => [],
    pullSecretsOf: () => ({ state: 'absent' }),
    pullSecret: async () => ({ state: 'absent' }),
    lastContactAge: () => 0,
    close: async () => undefined,
  }
  return {
    cluster,
    set(named: Readonly<Record<string, object>>, others: Partial<ClusterObjects> = {}) {
      objects = make(named, others)
      for (const listener of listeners) listener()
    },
  }
}

const policy = (glob: string, authorities: readonly object[]): object => ({
  apiVersion: 'policy.sigstore.dev/v1beta1',
  kind: 'ClusterImagePolicy',
  spec: { images: [{ glob }], authorities },
})
const pass = policy('**', [{ name: 'a', static: { action: 'pass' } }])
const fail = policy('**', [{ name: 'a', static: { action: 'fail' } }])

// On a busy machine compiling takes several turns.
async function compiled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await setImmediate()
}

test('policies are in force at once, and a change soon after it', async () => {
  const { cluster, set } = clusterOf({ p: pass })
  const log = keeping()
  const snapshot = followPolicies(cluster, together(), 'cosign-system', log, uncounted)
  deepEqual(
    snapshot().policies.map((p) => p.name),
    ['p'],
  )
  set({ p: fail, q: pass })
  await compiled()
  deepEqual(
    snapshot().policies.map((p) => p.name),
    ['p', 'q'],
  )
  set({ q: pass })
  await compiled()
  const said = log.lines.map((l) => `${l.text} ${String(l.values['policy'])}`)
  deepEqual(said, ['info policy in force p', 'info policy changed p', 'info policy in force q', 'info policy no longer in force p'])
})

test('changes that come together are compiled once', async () => {
  const { cluster, set } = clusterOf({})
  let asked = 0
  followPolicies({ ...cluster, objects: () => (asked++, cluster.objects()) }, together(), 'cosign-system', keeping(), uncounted)
  for (let i = 0; i < 100; i++) set({ p: pass })
  await compiled()
  equal(asked, 2)
})

test('what is wrong with a policy is logged when it arrives, once', async () => {
  const { cluster, set } = clusterOf({ p: policy('ghcr.io/acme/**', [{ name: 'a', key: { data: 'no key' } }]) })
  const log = keeping()
  followPolicies(cluster, together(), 'cosign-system', log, uncounted)
  const before = log.lines.filter((l) => l.text.startsWith('warn')).length
  equal(before > 0, true)
  set({ p: policy('ghcr.io/acme/**', [{ name: 'a', key: { data: 'no key' } }]) })
  await compiled()
  equal(log.lines.filter((l) => l.text.startsWith('warn')).length, before)
})

test('a setting that is not understood is logged once', async () => {
  const configMaps = new Map([['config-policy-controller', { data: { 'tag-resolution': 'sometimes' } }]])
  const { cluster, set } = clusterOf({ p: pass }, { configMaps })
  const log = keeping()
  followPolicies(cluster, together(), 'cosign-system', log, uncounted)
  set({ p: pass, q: pass }, { configMaps })
  await compiled()
  const lines = log.lines.filter((l) => l.text === 'warn setting not understood; what was in force stays')
  deepEqual(
    lines.map((l) => l.values),
    [{ key: 'tag-resolution', found: 'sometimes', wanted: 'keep-tag or digest-only' }],
  )
})

test('without any policy, the log and a metric say that images are verified keyless, as long as it is so', async () => {
  const { cluster, set } = clusterOf({})
  const log = keeping()
  const metrics = openMetrics()
  followPolicies(cluster, together(), 'cosign-system', log, metrics)
  match(log.lines[0]?.text ?? '', /^warn there is no policy: images are verified keyless/)
  match(await metrics.text(), /^sealgate_without_policies_keyless 1$/m)
  set({ p: pass })
  await compiled()
  match(await metrics.text(), /^sealgate_without_policies_keyless 0$/m)
})

test('policies that may not be complete are never taken for none', async () => {
  const { cluster } = clusterOf({}, { policiesIncomplete: 'clusterimagepolicies is forbidden' })
  const log = keeping()
  const metrics = openMetrics()
  followPolicies(cluster, together(), 'cosign-system', log, metrics)
  deepEqual(log.lines, [
    { text: 'warn nothing is admitted: the policies are not known', values: { why: 'clusterimagepolicies is forbidden' } },
  ])
  match(await metrics.text(), /^sealgate_without_policies_keyless 0$/m)
})

test('lesson 48: when compiling fails inside, nothing is admitted and the process goes on', async () => {
  const { cluster, set } = clusterOf({ p: pass })
  let isBroken = false
  const log = keeping()
  const metrics = openMetrics()
  const objects = (): ClusterObjects => {
    if (isBroken) throw new Error('never thought of')
    return cluster.objects()
  }
  const snapshot = followPolicies({ ...cluster, objects }, together(), 'cosign-system', log, metrics)
  isBroken = true
  set({ p: fail })
  await compiled()
  equal(snapshot().unknownBecause, 'an internal error; the log has the stack')
  match(await metrics.text(), /^sealgate_internal_errors_total\{where="compile"\} 1$/m)
  isBroken = false
  set({ p: fail })
  await compiled()
  deepEqual([snapshot().unknownBecause, snapshot().policies.length], [undefined, 1])
})

test('a policy that can admit nobody is counted as broken', async () => {
  const metrics = openMetrics()
  const { cluster } = clusterOf({ good: pass, bad: policy('**', []), worse: policy('**', [{ keyless: {} }]) })
  followPolicies(cluster, together(), 'cosign-system', keeping(), metrics)
  const text = await metrics.text()
  match(text, /^sealgate_policies\{state="in-force"\} 3$/m)
  match(text, /^sealgate_policies\{state="broken"\} 2$/m)
})

test('whoever asks is told what was compiled and from what, after every change', async () => {
  const { cluster, set } = clusterOf({ p: pass })
  const told: string[] = []
  followPolicies(cluster, together(), 'cosign-system', keeping(), uncounted, (now, objects) =>
    told.push(`${now.policies.map((p) => p.name).join()} of ${[...objects.policies.keys()].join()}`),
  )
  set({ p: pass, q: fail })
  await compiled()
  deepEqual(told, ['p of p', 'p,q of p,q'])
})

test('what is fetched for policies is compiled in when it comes', async () => {
  const { cluster } = clusterOf({
    p: policy('**', [{ name: 'a', ctlog: { url: 'https://log.example', trustRootRef: 'ours' }, key: { data: KEY } }]),
  })
  let known: Outside = nothingFetched()
  const listeners: (() => void)[] = []
  const outside = { known: () => known, onChange: (listener: () => void) => void listeners.push(listener) }
  const snapshot = followPolicies(cluster, outside, 'cosign-system', keeping(), uncounted)
  const why = (): readonly string[] => snapshot().policies.flatMap((p) => p.authorities.flatMap((a) => a.refuses.map((r) => r.code)))
  equal(why().includes('trust-root-not-found'), true)
  known = { ...known, trustRoots: new Map([['ours', { ok: true, value: publicRoot() }]]) }
  for (const listener of listeners) listener()
  await compiled()
  deepEqual(why(), [])
})

test('that unchanged objects are not judged again is said when it begins, and not with every change', async () => {
  const log = keeping()
  const unseen = { configMaps: new Map([['config-policy-controller', { data: { 'recheck-unchanged': 'false' } }]]) }
  const { cluster, set } = clusterOf({ p: pass })
  followPolicies(cluster, together(), 'cosign-system', log, uncounted)
  const warnings = (): number =>
    log.lines.filter(({ text }) => text.startsWith('warn updates that change no image are let through unseen')).length
  equal(warnings(), 0)
  set({ p: pass }, unseen)
  await compiled()
  set({ p: fail }, unseen)
  await compiled()
  equal(warnings(), 1)
})
