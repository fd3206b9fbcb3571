import { policyOf } from '../policy.ts'
import type { Question } from '../question.ts'

const SIGNATURES = 1000 // of the bad image; none is by the key of the policy
const SECONDS = 8
const CONNECTIONS = 4 // of those who ask for good images

export const badSignatures: Question = {
  name: 'bad-signatures',
  asks: 'do others wait while an image with 1,000 bad signatures is reviewed in a loop',
  async run(bench) {
    const registry = await bench.registry()
    const webhook = await bench.webhook([policyOf(await registry.key())], registry)
    const good = (await registry.fill('good', 20, 'sig')).map((image) => [image])
    const bad = (await registry.fill('bad', 1, { bad: SIGNATURES })).map((image) => [image])
    await bench.load(webhook, { connections: 16, pods: good, seconds: 3 })
    await bench.load(webhook, { connections: 1, pods: bad, requests: 2 })
    bench.progress('good ones alone')
    const alone = await bench.load(webhook, { connections: CONNECTIONS, pods: good, seconds: SECONDS })
    await webhook.longestSlice()
    bench.progress('good ones beside the bad one')
    const [beside, loop] = await Promise.all([
      bench.load(webhook, { connections: CONNECTIONS, pods: good, seconds: SECONDS }),
      bench.load(webhook, { connections: 1, pods: bad, seconds: SECONDS }),
    ])
    const slice = await webhook.longestSlice()
    if (loop.allowed > 0 || beside.allowed !== beside.requests) throw new Error('the wrong images were admitted')
    return [
      { what: 'good ones alone: p99', value: alone.p99, unit: 'ms' },
      { what: 'good ones beside the bad one: p99', value: beside.p99, unit: 'ms' },
      { what: 'p99 beside, of that alone', value: beside.p99 / alone.p99, unit: '×', goal: { atMost: 3 } },
      { what: 'good ones beside the bad one: longest', value: beside.longest, unit: 'ms' },
      { what: 'good reviews alone', value: alone.perSecond, unit: '/s' },
      { what: 'good reviews beside the bad one', value: beside.perSecond, unit: '/s' },
      { what: 'reviews of the bad one', value: loop.perSecond, unit: '/s' },
      { what: 'bad one: p50', value: loop.p50, unit: 'ms' },
      { what: 'longest slice of its own work', value: slice.own, unit: 'ms', goal: { atMost: 10 } },
      { what: 'longest of them without collecting old garbage', value: slice.uncollected, unit: 'ms', goal: { atMost: 10 } },
      { what: 'longest time without a turn, waits for a core included', value: slice.clock, unit: 'ms' },
    ]
  },
}
