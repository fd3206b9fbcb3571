import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { leaseTimesIn } from '../../../programs/controller/leader-election.ts'
import { usualLeaseTimes } from '../../../src/world/cluster/lease.ts'

const upstream = { duration: 60_000, deadline: 40_000, retry: 10_000 }

for (const [what, data, times] of [
  ['with dashes', { 'lease-duration': '60s', 'renew-deadline': '40s', 'retry-period': '10s' }, upstream],
  ['in one word', { leaseDuration: '60s', renewDeadline: '40s', retryPeriod: '10s', buckets: '1' }, upstream],
  ['one of them', { 'renew-deadline': '12s' }, { ...usualLeaseTimes, deadline: 12_000 }],
  ['nothing but an example', { _example: 'leaseDuration: 60s' }, usualLeaseTimes],
  ['what is no duration', { leaseDuration: 'long', retryPeriod: '-1s' }, usualLeaseTimes],
  ['a deadline after the end', { leaseDuration: '10s', renewDeadline: '10s' }, usualLeaseTimes],
  ['a lease for ever', { leaseDuration: '1000h', renewDeadline: '999h', retryPeriod: '1h' }, usualLeaseTimes],
  ['no lease at all', { leaseDuration: '1ms', renewDeadline: '1ms', retryPeriod: '1ms' }, usualLeaseTimes],
] as const)
  test(`the times of leading, ${what}`, () => deepEqual(leaseTimesIn({ data }), times))

test('without the ConfigMap, or with a broken one, the usual times hold', () => {
  for (const broken of [undefined, {}, { data: null }, { data: [] }, { data: { leaseDuration: 60 } }])
    deepEqual(leaseTimesIn(broken), usualLeaseTimes)
})
