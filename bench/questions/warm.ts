import { policyOf } from '../policy.ts'
import type { Figure, Question } from '../question.ts'

const SECONDS = 6 // of each load
const WARMING_SECONDS = 3 // before, so that the code that is run is compiled, as it is in a process of some age

export const warm: Question = {
  name: 'warm',
  asks: 'how fast is an image answered that was verified before',
  async run(bench) {
    const registry = await bench.registry()
    const [image = ''] = await registry.fill('warm', 1, 'sig')
    const webhook = await bench.webhook([policyOf(await registry.key())], registry)
    const pods = [[image]]
    await bench.load(webhook, { connections: 16, pods, seconds: WARMING_SECONDS })
    await registry.seen()
    const figures: Figure[] = []
    let reviews = 0
    for (const connections of [1, 16, 64]) {
      bench.progress(`${connections} connections`)
      const { perSecond, p50, p99, requests } = await bench.load(webhook, { connections, pods, seconds: SECONDS })
      reviews += requests
      const isAsked = connections === 16
      figures.push(
        {
          what: `reviews, ${connections} connections`,
          value: perSecond,
          unit: '/s',
          ...(isAsked ? { goal: { atLeast: 4000 }, theirs: 39 } : {}),
        },
        { what: `p50, ${connections} connections`, value: p50, unit: 'ms' },
        { what: `p99, ${connections} connections`, value: p99, unit: 'ms', ...(isAsked ? { goal: { atMost: 10 }, theirs: 600 } : {}) },
      )
    }
    const { requests } = await registry.seen()
    return [
      ...figures,
      { what: 'registry requests per review', value: requests / reviews, unit: '', goal: { atMost: 0 }, theirs: 3 },
      { what: 'resident memory', value: webhook.memory(), unit: 'MB', goal: { atMost: 200 } },
    ]
  },
}
