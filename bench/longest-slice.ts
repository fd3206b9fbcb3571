import { dlopen } from 'node:ffi'
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { answerParent } from './conversation.ts'

/**
 * For how long others had no turn at most, in ms: by the clock, which counts what the kernel gave to other processes meanwhile, and by the
 * processor time of the event loop's own thread, which is ours alone. `uncollected`: of slices in which V8 did not collect what is old, which takes as
 * long as other processes leave it few cores. `collecting`: the longest of such collections, by the clock.
 */
export type LongestSlice = { readonly clock: number; readonly own: number; readonly uncollected: number; readonly collecting: number }

// Loaded into the webhook by the benchmark: tells for how long at most its event loop was held up since it was last asked.
const LOOK = 1 // ms between looks
const WORTH_NOTING = 1 // ms
const SETTLED = 1000 // ms between looks at what was noted: the memory of the webhook is measured too
const delays = monitorEventLoopDelay({ resolution: LOOK })
delays.enable()

const processorTime = threadClock()
type Span = { readonly from: number; readonly to: number; readonly own: number }
const NOTHING: LongestSlice = { clock: 0, own: 0, uncollected: 0, collecting: 0 }
let longest = NOTHING
// What `longest` does not know of yet: collections are told of a little after they were.
let slices: Span[] = []
let collections: Span[] = []
const collector = new PerformanceObserver((seen) => collected(seen.getEntries()))
collector.observe({ entryTypes: ['gc'] })
let last = processorTime()
let from = performance.now()
setInterval(() => {
  const now = processorTime()
  const to = performance.now()
  if (now - last > WORTH_NOTING) slices.push({ from, to, own: now - last })
  last = now
  from = to
}, LOOK).unref()
setInterval(settle, SETTLED).unref()

/** `detail` is Node's own. */
type Collection = PerformanceEntry & { readonly detail?: { readonly kind: number } }

function collected(entries: readonly Collection[]): void {
  for (const { startTime, duration, detail } of entries) {
    if (detail?.kind !== constants.NODE_PERFORMANCE_GC_MINOR) collections.push({ from: startTime, to: startTime + duration, own: duration })
  }
}

function settle(): void {
  collected(collector.takeRecords())
  const alone = slices.filter((slice) => !collections.some((one) => one.from < slice.to && one.to > slice.from))
  const most = (before: number, spans: readonly Span[]): number => spans.reduce((some, { own }) => Math.max(some, own), before)
  longest = {
    clock: 0,
    own: most(longest.own, slices),
    uncollected: most(longest.uncollected, alone),
    collecting: most(longest.collecting, collections),
  }
  slices = []
  collections = []
}

answerParent<'longest-slice', LongestSlice>(async () => {
  await setImmediate()
  settle()
  // The histogram counts the time between looks as delay.
  const slice = { ...longest, clock: delays.max / 1e6 - LOOK }
  delays.reset()
  longest = NOTHING
  last = processorTime()
  return slice
})
// The webhook ends when it wants to, whether or not somebody may still ask.
process.channel?.unref()

/** Milliseconds of processor time of this thread. `process.threadCpuUsage` counts whole ticks of the kernel, 4 ms each. */
function threadClock(): () => number {
  const isLinux = process.platform === 'linux'
  const { functions } = dlopen(isLinux ? 'libc.so.6' : 'libSystem.B.dylib', {
    clock_gettime: { return: 'int32', arguments: ['int32', 'buffer'] },
  })
  const CLOCK_THREAD_CPUTIME_ID = isLinux ? 3 : 16
  const read = new BigInt64Array(2) // seconds, nanoseconds
  const bytes = Buffer.from(read.buffer)
  return () => {
    functions.clock_gettime(CLOCK_THREAD_CPUTIME_ID, bytes)
    return Number(read[0]) * 1e3 + Number(read[1]) / 1e6
  }
}
