import { isObject } from '../../src/policy/shape.ts'
import { type LeaseTimes, usualLeaseTimes } from '../../src/world/cluster/lease.ts'
import { readDuration } from '../cli/duration.ts'

const SHORTEST = 1_000 // ms; a shorter lease is lost to every pause of the API server
const LONGEST = 300_000 // ms; as long at most nobody leads after a leader that vanished

/**
 * What the ConfigMap `config-leader-election` asks for, in either spelling that the sigstore policy controller reads. Times that are missing or
 * not understood are the usual ones, all of them where they do not fit each other: nobody may believe to lead when another already does.
 */
export function leaseTimesIn(configMap: object | undefined): LeaseTimes {
  const data = (configMap as { readonly data?: unknown } | undefined)?.data
  const entries = isObject(data) ? data : {}
  const read = (name: string, usual: number): number => {
    const text = entries[name] ?? entries[name.replace(/-./, (dash) => dash.slice(1).toUpperCase())]
    const time = typeof text === 'string' ? readDuration(text.trim()) : undefined
    return time !== undefined && time >= SHORTEST && time <= LONGEST ? time : usual
  }
  const times = {
    duration: read('lease-duration', usualLeaseTimes.duration),
    deadline: read('renew-deadline', usualLeaseTimes.deadline),
    retry: read('retry-period', usualLeaseTimes.retry),
  }
  return times.duration > times.deadline && times.deadline >= 2 * times.retry ? times : usualLeaseTimes
}
