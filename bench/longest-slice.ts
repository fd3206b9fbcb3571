import { monitorEventLoopDelay } from 'node:perf_hooks'
import { answerParent } from './conversation.ts'

// Loaded into the webhook by the benchmark: tells for how many ms at most its event loop was held up since it was last asked.
const RESOLUTION = 1 // ms between looks, which the histogram counts as delay
const delays = monitorEventLoopDelay({ resolution: RESOLUTION })
delays.enable()

answerParent<'longest-slice', number>(() => {
  const longest = delays.max / 1e6 - RESOLUTION
  delays.reset()
  return longest
})
// The webhook ends when it wants to, whether or not somebody may still ask.
process.channel?.unref()
