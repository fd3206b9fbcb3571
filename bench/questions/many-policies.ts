import { policyOf } from '../policy.ts'
import type { Question } from '../question.ts'

const POLICIES = 1000
const SECONDS = 4

export const manyPolicies: Question = {
  name: 'many-policies',
  asks: 'do requests wait while 1,000 policies change at once, and what do 1,000 policies cost each',
  async run(bench) {
    const registry = await bench.registry()
    const key = await registry.key()
    const [image = ''] = await registry.fill('app', 1, 'sig')
    const matching = policyOf(key)
    // The others speak about other registries.
    const others = (edition: number): object[] =>
      Array.from({ length: POLICIES }, (_, i) => policyOf(key, `other-${i}`, `registry-${i}.example/edition-${edition}/**`))
    const webhook = await bench.webhook([matching], registry)
    await bench.load(webhook, { connections: 16, pods: [[image]], seconds: 3 })
    const few = await bench.load(webhook, { connections: 16, pods: [[image]], seconds: SECONDS })
    bench.progress('1,000 policies arrive')
    await webhook.longestSlice()
    webhook.apply([matching, ...others(1)])
    await inForce(POLICIES + 1)
    const arriving = await webhook.longestSlice()
    bench.progress('1,000 policies change')
    webhook.apply([matching, ...others(2)])
    await new Promise((resolve) => setTimeout(resolve, 5000))
    const changing = await webhook.longestSlice()
    const many = await bench.load(webhook, { connections: 16, pods: [[image]], seconds: SECONDS })
    return [
      { what: 'longest slice of its own work while they arrive', value: arriving.own, unit: 'ms', goal: { atMost: 10 } },
      { what: 'longest slice of its own work while they change', value: changing.own, unit: 'ms', goal: { atMost: 10 } },
      {
        what: 'longest of both without collecting old garbage',
        value: Math.max(arriving.uncollected, changing.uncollected),
        unit: 'ms',
        goal: { atMost: 10 },
      },
      {
        what: 'longest time without a turn meanwhile, waits for a core included',
        value: Math.max(arriving.clock, changing.clock),
        unit: 'ms',
      },
      { what: 'reviews with one policy, 16 connections', value: few.perSecond, unit: '/s' },
      { what: 'reviews with 1,001 policies, 16 connections', value: many.perSecond, unit: '/s' },
      { what: 'resident memory with 1,001 policies', value: webhook.memory(), unit: 'MB' },
    ]

    async function inForce(policies: number): Promise<void> {
      const until = performance.now() + 60_000
      while ((await webhook.metric('sealgate_policies')) !== policies) {
        if (performance.now() > until) throw new Error('the policies did not come into force')
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
    }
  },
}
