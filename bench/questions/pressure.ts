import { container } from '../container.ts'
import { policyOf } from '../policy.ts'
import type { Question } from '../question.ts'

const CONTAINER = 512 * 1024 * 1024 // bytes; what the chart gives a replica
const IMAGES = 24
const SIGNATURES = 60 // of each image, half a MB each and none by the key of the policy: 30 MB an image, 720 MB together
const SECONDS = 8

export const pressure: Question = {
  name: 'pressure',
  asks: 'does it live in 512 MiB while images with 720 MB of signatures are asked for together, and are good ones admitted meanwhile',
  async run(bench) {
    const bounded = container(CONTAINER)
    if (!bounded)
      return [{ what: 'left out: this process may make no group of processes (cgroup) with a bound on memory', value: 0, unit: '' }]
    try {
      const registry = await bench.registry()
      const good = (await registry.fill('good', 20, 'sig')).map((image) => [image])
      const large = (await registry.fill('large', IMAGES, { bad: SIGNATURES, padded: 500_000 })).map((image) => [image])
      const webhook = await bench.webhook([policyOf(await registry.key())], registry, {}, bounded.enter)
      await bench.load(webhook, { connections: 4, pods: good, requests: 40 })
      let most = 0
      const watch = setInterval(() => (most = Math.max(most, webhook.memory())), 50)
      const [beside, attack] = await Promise.all([
        bench.load(webhook, { connections: 1, pods: good, seconds: SECONDS }),
        bench.load(webhook, { connections: 48, pods: large, seconds: SECONDS }),
      ])
      clearInterval(watch)
      const after = await bench.load(webhook, { connections: 1, pods: good, requests: 1 })
      if (attack.allowed > 0) throw new Error('the wrong images were admitted')
      return [
        { what: 'good ones admitted meanwhile, of all', value: beside.allowed / beside.requests, unit: '', goal: { atLeast: 1 } },
        { what: 'good ones: p99', value: beside.p99, unit: 'ms' },
        { what: 'large ones answered, all refused', value: attack.perSecond, unit: '/s' },
        { what: 'most resident memory', value: most, unit: 'MB', goal: { atMost: CONTAINER / 1024 / 1024 } },
        { what: 'good ones admitted afterwards', value: after.allowed, unit: '', goal: { atLeast: 1 } },
      ]
    } finally {
      await bench.end()
      bounded.remove()
    }
  },
}
