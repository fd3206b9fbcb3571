import { deepEqual, equal, match } from 'node:assert/strict'
import { test } from 'node:test'
import { compile } from '../../src/policy/compile.ts'
import type { InForce, Status, Steps } from '../../src/policy/status.ts'
import { keysOf, linesOf, statusAfter, stepsOf, whyNotReady } from '../../src/policy/status.ts'

const AT = Date.parse('2024-01-01T00:00:00Z')
const LATER = Date.parse('2024-01-02T03:04:05.678Z')
const done: Steps = { keys: 'done', policies: 'done', inForce: 'done' }
const none: InForce = { keys: 0, hash: '' }
const one: InForce = { keys: 1, hash: 'a' }

/** What stands in the object after the status was written: a merge. */
function written(before: object | undefined, status: Status | undefined): { conditions: object[]; annotations: Record<string, string> } {
  const annotations = { ...(before as { annotations?: object } | undefined)?.annotations, ...status?.annotations }
  const kept = Object.entries(annotations).filter((e): e is [string, string] => typeof e[1] === 'string')
  return { ...before, ...status, conditions: [...(status?.conditions ?? [])], annotations: Object.fromEntries(kept) }
}
const short = (status: { conditions: readonly object[] } | undefined) =>
  (status?.conditions as { type: string; status: string; reason?: string }[]).map((c) => `${c.type} ${c.status} ${c.reason ?? ''}`.trim())

test('a healthy policy has all its conditions True, sorted, without reason or message', () => {
  const time = { lastTransitionTime: '2024-01-01T00:00:00Z', status: 'True' }
  deepEqual(statusAfter(undefined, 1, done, none, AT), {
    observedGeneration: 1,
    conditions: ['ConfigMapUpdated', 'KeysInlined', 'PoliciesInlined', 'Ready'].map((type) => ({ type, ...time })),
    annotations: { keys: '0' },
  })
})

test('a policy whose Secret is missing says so where users of the policy controller look for it', () => {
  const why = { reason: 'InliningKeysFailed', message: 'secret "cosign-key" not found' }
  const status = statusAfter({}, 1, { ...done, keys: { failed: why.message } }, none, AT)
  deepEqual(
    status?.conditions.map((c) => ({ ...c, lastTransitionTime: undefined })),
    [
      { type: 'ConfigMapUpdated', status: 'Unknown' },
      { type: 'KeysInlined', status: 'False', ...why },
      { type: 'PoliciesInlined', status: 'Unknown' },
      { type: 'Ready', status: 'False', ...why },
    ].map((c) => ({ ...c, lastTransitionTime: undefined })),
  )
  deepEqual(whyNotReady(status), why)
})

test('what fails after it was well leaves the conditions of later steps as they were', () => {
  const well = written(undefined, statusAfter(undefined, 1, done, one, AT))
  const failed = statusAfter(well, 1, { ...done, policies: { failed: 'configmap "p" not found' } }, one, LATER)
  deepEqual(short(failed), [
    'ConfigMapUpdated True',
    'KeysInlined True',
    'PoliciesInlined False InliningPoliciesFailed',
    'Ready False InliningPoliciesFailed',
  ])
  // Only what changed has a new time.
  deepEqual(
    failed?.conditions.map((c) => c.lastTransitionTime.slice(0, 10)),
    ['2024-01-01', '2024-01-01', '2024-01-02', '2024-01-02'],
  )
  deepEqual(short(statusAfter(written(well, failed), 1, done, one, LATER)).at(-1), 'Ready True')
})

test('a policy that cannot be put in force fails the last step', () => {
  deepEqual(short(statusAfter({}, 1, { ...done, inForce: { failed: 'missing field(s): spec.images' } }, none, AT)), [
    'ConfigMapUpdated False UpdatingConfigMap',
    'KeysInlined True',
    'PoliciesInlined True',
    'Ready False UpdatingConfigMap',
  ])
})

test('a TrustRoot has no condition about policies', () => {
  deepEqual(short(statusAfter({}, 1, { keys: 'done', inForce: 'done' }, none, AT)), [
    'ConfigMapUpdated True',
    'KeysInlined True',
    'Ready True',
  ])
})

test('a new generation whose keys are not known yet is not ready, and not what was observed before either', () => {
  const well = written(undefined, statusAfter(undefined, 1, done, one, AT))
  const status = statusAfter(well, 2, { ...done, keys: 'pending' }, one, LATER)
  deepEqual([status?.observedGeneration, short(status).at(-1)], [2, 'Ready Unknown NewObservedGenFailure'])
  equal(status?.conditions.at(-1)?.message, 'unsuccessfully observed a new generation')
  equal(whyNotReady(status), undefined)
})

test('a status that is as it should be is not written again', () => {
  const well = written({ annotations: { theirs: 'kept' } }, statusAfter(undefined, 1, done, one, AT))
  equal(statusAfter(well, 1, done, one, LATER), undefined)
  deepEqual(statusAfter(well, 2, done, one, LATER)?.observedGeneration, 2)
  const broken = { ...well, conditions: [...well.conditions.slice(1), 'nonsense'] }
  deepEqual(short(statusAfter(broken, 1, done, one, LATER))[0], 'ConfigMapUpdated True')
})

test('conditions that another controller has added stay', () => {
  const theirs = { type: 'Approved', status: 'True', lastTransitionTime: '2020-01-01T00:00:00Z' }
  deepEqual(statusAfter({ conditions: [theirs] }, 1, done, none, AT)?.conditions[0], theirs)
})

test('keys count as read when they were, else when they were first seen to be others', () => {
  const facts = (before: object | undefined, now: InForce, at: number) =>
    written(before, statusAfter(before, 1, done, now, at)).annotations['keysReadAt']
  const first = written(undefined, statusAfter(undefined, 1, done, one, AT))
  equal(first.annotations['keysReadAt'], '2024-01-01T00:00:00Z')
  equal(facts(first, one, LATER), '2024-01-01T00:00:00Z')
  equal(facts(first, { keys: 1, hash: 'b' }, LATER), '2024-01-02T03:04:05Z')
  equal(facts(first, { ...one, readAt: LATER }, LATER), '2024-01-02T03:04:05Z')
  // Read by the replica that led before.
  equal(facts(first, { ...one, readAt: AT - 60_000 }, LATER), '2024-01-01T00:00:00Z')
})

test('what went wrong last is told as long as it is so', () => {
  const failing: InForce = { ...one, readAt: AT, nextRefresh: LATER, lastError: 'x'.repeat(5_000), lastErrorAt: AT, expires: LATER }
  const status = written(undefined, statusAfter(undefined, 1, done, failing, AT))
  const { lastError, keysHash, ...others } = status.annotations
  equal(lastError?.length, 1024)
  match(keysHash ?? '', /^[0-9a-f]{16}$/)
  deepEqual(others, {
    keys: '1',
    keysReadAt: '2024-01-01T00:00:00Z',
    nextRefresh: '2024-01-02T03:04:05Z',
    lastErrorAt: '2024-01-01T00:00:00Z',
    expires: '2024-01-02T03:04:05Z',
  })
  deepEqual(statusAfter(status, 1, done, { ...one, readAt: AT }, LATER)?.annotations, {
    nextRefresh: null,
    lastError: null,
    lastErrorAt: null,
    expires: null,
  })
})

const policy = (spec: object) => {
  const objects = {
    policies: new Map([['p', { apiVersion: 'policy.sigstore.dev/v1beta1', kind: 'ClusterImagePolicy', spec }]]),
    policiesIncomplete: undefined,
    secrets: new Map(),
    configMaps: new Map(),
    trustRoots: new Map(),
  }
  return compile(objects, 'cosign-system').policies[0]!
}

test('images and authorities of a policy are one line each, cut where a terminal ends', () => {
  const pass = { static: { action: 'pass' } }
  const lines = (count: number) =>
    linesOf(
      policy({
        images: Array.from({ length: count }, (_, i) => ({ glob: `registry.example.com/team-${i}/**` })),
        authorities: [
          { ...pass, name: 'ours' },
          { ...pass, name: 'theirs' },
        ],
      }),
    )
  deepEqual(lines(2), { images: 'registry.example.com/team-0/**,registry.example.com/team-1/**', authorities: 'ours,theirs' })
  match(lines(9).images ?? '', /^registry\.example\.com\/team-0\/\*\*,.*team-3\/\*\*,… \(5 more\)$/)
  // One that names no images refuses all of them.
  equal(linesOf(policy({})).images, '**')
  const status = statusAfter(undefined, 1, done, { ...none, ...lines(2) }, AT)
  equal(status?.annotations['authorities'], 'ours,theirs')
  equal(statusAfter(written(undefined, status), 1, done, { ...none, ...lines(2) }, LATER), undefined)
  equal(
    statusAfter(written(undefined, status), 1, done, { ...none, ...lines(1) }, LATER)?.annotations['images'],
    'registry.example.com/team-0/**',
  )
})

test('the steps of a policy are told from why it refuses', () => {
  const pass = { static: { action: 'pass' } }
  const sound = policy({ images: [{ glob: '**' }], authorities: [pass] })
  deepEqual([stepsOf(sound), keysOf(sound)], [done, { keys: 0, hash: '' }])
  deepEqual(linesOf(sound), { images: '**', authorities: 'authority-0' })
  deepEqual(stepsOf(policy({ images: [{ glob: '**' }], authorities: [{ key: { secretRef: { name: 'cosign-key' } } }] })), {
    ...done,
    keys: { failed: 'secret "cosign-key" not found' },
  })
  deepEqual(stepsOf(policy({ authorities: [pass] })), { ...done, inForce: { failed: 'missing field(s): spec.images' } })
})
