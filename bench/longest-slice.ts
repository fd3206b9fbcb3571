import { dlopen } from 'node:ffi'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { answerParent } from './conversation.ts'

/**
 * For how long others had no turn at most, in ms: by the clock, which counts what the kernel gave to other processes meanwhile, and by the
 * processor time of the event loop's own thread, which is ours alone.
 */
export type LongestSlice = { readonly clock: number; readonly own: number }

// Loaded into the webhook by the benchmark: tells for how long at most its event loop was held up since it was last asked.
const LOOK = 1 // ms between looks
const delays = monitorEventLoopDelay({ resolution: LOOK })
delays.enable()

const processorTime = threadClock()
let longest = 0
let last = processorTime()
setInterval(() => {
  const now = processorTime()
  longest = Math.max(longest, now - last)
  last = now
}, LOOK).unref()

answerParent<'longest-slice', LongestSlice>(() => {
  // The histogram counts the time between looks as delay.
  const slice = { clock: delays.max / 1e6 - LOOK, own: longest }
  delays.reset()
  longest = 0
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
