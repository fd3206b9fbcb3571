import { policyOf } from '../policy.ts'
import type { Question } from '../question.ts'

const DELAY = 20 // ms that the registry is away
const IMAGES = 20

export const tenContainers: Question = {
  name: 'ten-containers',
  asks: 'do ten containers of one digest cost what one costs',
  async run(bench) {
    const registry = await bench.registry(DELAY)
    const webhook = await bench.webhook([policyOf(await registry.key())], registry)
    const others = await registry.fill('other', 100, 'sig')
    await bench.load(webhook, { connections: 16, pods: others.map((image) => [image]), requests: others.length })
    await registry.seen()
    const once = await registry.fill('once', IMAGES, 'sig')
    const one = await bench.load(webhook, { connections: 1, pods: once.map((image) => [image]), requests: IMAGES })
    const oneSeen = await registry.seen()
    const often = await registry.fill('often', IMAGES, 'sig')
    const ten = await bench.load(webhook, { connections: 1, pods: often.map((image) => Array<string>(10).fill(image)), requests: IMAGES })
    const tenSeen = await registry.seen()
    if (one.allowed + ten.allowed !== 2 * IMAGES) throw new Error('not every image was admitted')
    return [
      { what: 'one container: p50', value: one.p50, unit: 'ms' },
      { what: 'ten containers: p50', value: ten.p50, unit: 'ms' },
      { what: 'ten containers, time of one', value: ten.p50 / one.p50, unit: '×', goal: { atMost: 1.2 } },
      { what: 'ten containers, registry requests of one', value: tenSeen.requests / oneSeen.requests, unit: '×', goal: { atMost: 1 } },
    ]
  },
}
