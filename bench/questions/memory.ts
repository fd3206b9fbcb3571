import { policyOf } from '../policy.ts'
import type { Bench, RegistryProcess, WebhookProcess } from '../processes.ts'
import type { Figure, Question } from '../question.ts'

const IMAGES = 10_000
const REVIEWS = { full: 1_000_000, scaledDown: 100_000 }
const PARTS = 10 // between which memory is looked at
const CONNECTIONS = 16

export const memory: Question = {
  name: 'memory',
  asks: 'does memory stay flat over many reviews of 10,000 images (a million reviews with --full)',
  async run(bench) {
    const registry = await bench.registry()
    const webhook = await bench.webhook([policyOf(await registry.key())], registry)
    return flat(bench, webhook, registry, 200)
  },
}

/** Reviews 10,000 images round and round, and looks at the memory between. `atMost` in MB. */
export async function flat(bench: Bench, webhook: WebhookProcess, registry: RegistryProcess, atMost: number): Promise<readonly Figure[]> {
  const pods = (await registry.fill('image', IMAGES, 'sig')).map((image) => [image])
  const reviews = bench.full ? REVIEWS.full : REVIEWS.scaledDown
  const sizes: number[] = []
  let perSecond = 0
  let p99 = 0
  for (let part = 1; part <= PARTS; part++) {
    const measured = await bench.load(webhook, { connections: CONNECTIONS, pods, requests: reviews / PARTS })
    if (measured.allowed !== measured.requests) throw new Error('not every image was admitted')
    ;({ perSecond, p99 } = measured)
    sizes.push(webhook.memory())
    bench.progress(`${(part * reviews) / PARTS} reviews, ${Math.round(sizes.at(-1) ?? 0)} MB`)
  }
  const firstHalf = Math.max(...sizes.slice(0, PARTS / 2))
  return [
    { what: `resident memory after ${reviews} reviews`, value: sizes.at(-1) ?? 0, unit: 'MB', goal: { atMost } },
    { what: 'resident memory, at most', value: Math.max(...sizes), unit: 'MB', goal: { atMost } },
    { what: 'growth over the second half', value: Math.max(...sizes) - firstHalf, unit: 'MB', goal: { atMost: 10 } },
    { what: 'reviews in the last part', value: perSecond, unit: '/s' },
    { what: 'p99 in the last part', value: p99, unit: 'ms' },
  ]
}
