import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { policyOf } from '../policy.ts'
import type { Question } from '../question.ts'

const STARTS = 5
const DELAY = 20 // ms that the registry is away

export const ready: Question = {
  name: 'ready',
  asks: 'how soon is it ready, and how long does the first review take then, its registry 20 ms away',
  async run(bench) {
    const registry = await bench.registry(DELAY)
    const images = await registry.fill('image', STARTS + 1, 'sig')
    const policies = [policyOf(await registry.key())]
    // Node keeps what it compiled, so the very first start takes longer than every other.
    const compiled = mkdtempSync(join(tmpdir(), 'sealgate-compiled-'))
    const times: number[] = []
    const processorTimes: number[] = []
    const firstReviews: number[] = []
    let memory = 0
    for (const image of images) {
      const webhook = await bench.webhook(policies, registry, { NODE_COMPILE_CACHE: compiled, NODE_OPTIONS: '' })
      times.push(await webhook.ready)
      processorTimes.push(webhook.processorTime() ?? NaN)
      memory = webhook.memory()
      firstReviews.push((await bench.load(webhook, { connections: 1, pods: [[image]], requests: 1 })).longest)
      await webhook.stop()
    }
    rmSync(compiled, { recursive: true, force: true })
    const [first = 0, ...later] = times
    return [
      { what: 'from start to ready, the slowest of five', value: Math.max(...later), unit: 'ms', goal: { atMost: 1000 } },
      { what: 'the first start of all, nothing compiled', value: first, unit: 'ms', goal: { atMost: 1000 } },
      { what: 'processor time of a start: the slowest of five', value: Math.max(...processorTimes.slice(1)), unit: 'ms' },
      { what: 'processor time of the first start of all', value: processorTimes[0] ?? NaN, unit: 'ms' },
      { what: 'the first review after a start, the slowest of five', value: Math.max(...firstReviews.slice(1)), unit: 'ms' },
      { what: 'resident memory when ready', value: memory, unit: 'MB' },
    ]
  },
}
