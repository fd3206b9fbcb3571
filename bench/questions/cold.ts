import { policyOf } from '../policy.ts'
import type { Bench } from '../processes.ts'
import type { Figure, Question } from '../question.ts'
import type { Form } from '../registry.ts'

const DELAY = 20 // ms that the registry is away
const IMAGES = 40 // that are reviewed one after another, each for the first time

export const cold: Question = {
  name: 'cold',
  asks: 'how long does an image take that was never seen, its registry 20 ms away',
  run: async (bench) => [
    ...(await first(bench, 'sig', '.sig', 2, { atMost: 60, theirs: 69 })),
    ...(await first(bench, 'bundle', 'bundle', 3, { atMost: 85 })),
  ],
}

async function first(
  bench: Bench,
  form: Form,
  called: string,
  trips: number,
  time: { atMost: number; theirs?: number },
): Promise<Figure[]> {
  bench.progress(called)
  const registry = await bench.registry(DELAY)
  const webhook = await bench.webhook([policyOf(await registry.key())], registry)
  // Opens the connections, and lets the code be compiled.
  const others = await registry.fill('other', 200, form)
  await bench.load(webhook, { connections: 16, pods: others.map((image) => [image]), requests: others.length })
  const images = await registry.fill('image', IMAGES, form)
  await registry.seen()
  const { p50, longest, allowed } = await bench.load(webhook, { connections: 1, pods: images.map((image) => [image]), requests: IMAGES })
  if (allowed !== IMAGES) throw new Error(`only ${allowed} of ${IMAGES} images were admitted`)
  const { requests } = await registry.seen()
  await bench.end()
  const { atMost, theirs } = time
  return [
    {
      what: `${called}: one after another, so many round trips`,
      value: Math.floor(p50 / DELAY),
      unit: '',
      goal: { atMost: trips },
      ...(theirs ? { theirs: 3 } : {}),
    },
    { what: `${called}: p50`, value: p50, unit: 'ms', goal: { atMost }, ...(theirs ? { theirs } : {}) },
    { what: `${called}: longest of ${IMAGES}`, value: longest, unit: 'ms' },
    { what: `${called}: registry requests per review`, value: requests / IMAGES, unit: '' },
  ]
}
