import { policyOf } from '../policy.ts'
import type { Question } from '../question.ts'

const DELAY = 20 // ms that the registry is away
const IMAGES = 20 // in one repository, reviewed one after another

export const token: Question = {
  name: 'token',
  asks: 'what does a registry cost that wants a token',
  async run(bench) {
    const registry = await bench.registry(DELAY)
    const webhook = await bench.webhook([policyOf(await registry.key())], registry)
    await registry.guard()
    const others = await registry.fill('other', 100, 'sig')
    await bench.load(webhook, { connections: 16, pods: others.map((image) => [image]), requests: others.length })
    const [image = '', ...further] = await registry.fill('team/app', IMAGES, 'sig', true)
    await registry.seen()
    const first = await bench.load(webhook, { connections: 1, pods: [[image]], requests: 1 })
    const firstSeen = await registry.seen()
    const later = await bench.load(webhook, { connections: 1, pods: further.map((i) => [i]), requests: further.length })
    const laterSeen = await registry.seen()
    if (first.allowed + later.allowed !== IMAGES) throw new Error('not every image was admitted')
    const perLater = laterSeen.requests / further.length
    return [
      // The refusal that names the realm, and the realm: each once.
      { what: 'first image of a repository: round trips', value: Math.floor(first.longest / DELAY), unit: '', goal: { atMost: 4 } },
      { what: 'first image of a repository', value: first.longest, unit: 'ms' },
      { what: 'first image: registry requests', value: firstSeen.requests, unit: '' },
      { what: 'later images: round trips', value: Math.floor(later.p50 / DELAY), unit: '', goal: { atMost: 2 } },
      { what: 'later images: p50', value: later.p50, unit: 'ms', goal: { atMost: 60 } },
      { what: 'later images: registry requests per review', value: perLater, unit: '' },
    ]
  },
}
