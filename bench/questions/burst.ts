import { policyOf } from '../policy.ts'
import type { Question } from '../question.ts'

const DELAY = 20 // ms that the registry is away
const IMAGES = 20
const REVIEWS = 200

export const burst: Question = {
  name: 'burst',
  asks: 'is the evidence of 20 images fetched once when 200 reviews come at the same time',
  async run(bench) {
    const registry = await bench.registry(DELAY)
    const webhook = await bench.webhook([policyOf(await registry.key())], registry)
    const images = await registry.fill('burst', IMAGES, 'sig')
    await registry.seen()
    const { allowed, p50, longest } = await bench.load(webhook, {
      connections: REVIEWS,
      pods: images.map((image) => [image]),
      requests: REVIEWS,
    })
    if (allowed !== REVIEWS) throw new Error(`only ${allowed} of ${REVIEWS} were admitted`)
    const { requests, mostAsked } = await registry.seen()
    return [
      { what: 'the same request to the registry, at most so often', value: mostAsked, unit: '', goal: { atMost: 1 } },
      { what: 'registry requests per image', value: requests / IMAGES, unit: '' },
      { what: 'p50', value: p50, unit: 'ms' },
      { what: 'longest', value: longest, unit: 'ms' },
    ]
  },
}
