import { keylessPolicyOf, policyOf } from '../policy.ts'
import type { Bench } from '../processes.ts'
import type { Figure, Question } from '../question.ts'
import type { Form } from '../registry.ts'

const SECONDS = 4 // of each load
const CONNECTIONS = 16
const SIGNATURES = 100 // on one image
const DELAY = 20 // ms that the registry is away
const IMAGES = 40 // that are reviewed one after another, each for the first time

export const keyless: Question = {
  name: 'keyless',
  asks: 'what do identities cost more than keys',
  run: async (bench) => [...(await warmBeside(bench)), ...(await cold(bench)), ...(await many(bench))],
}

/** The same load on the same machine: the ratio is what counts. Each comes first once, since the first is faster whatever it is. */
async function warmBeside(bench: Bench): Promise<Figure[]> {
  const registry = await bench.registry()
  const rates: { readonly form: Form; readonly perSecond: number }[] = []
  for (const form of ['sig', { keyless: 1 }, { keyless: 1 }, 'sig'] as const) {
    bench.progress(form === 'sig' ? 'warm, by key' : 'warm, keyless')
    const manifests = form === 'sig' ? [policyOf(await registry.key())] : keylessPolicyOf(await registry.trustedRoot())
    const webhook = await bench.webhook(manifests, registry)
    const pods = [await registry.fill('warm', 1, form)]
    await bench.load(webhook, { connections: CONNECTIONS, pods, seconds: 3 })
    const { perSecond, allowed, requests } = await bench.load(webhook, { connections: CONNECTIONS, pods, seconds: SECONDS })
    if (allowed !== requests) throw new Error(`only ${allowed} of ${requests} reviews were admitted`)
    rates.push({ form, perSecond })
    await webhook.stop()
  }
  const meanOf = (isWanted: (form: Form) => boolean): number =>
    rates.filter(({ form }) => isWanted(form)).reduce((sum, { perSecond }, _, all) => sum + perSecond / all.length, 0)
  const byKey = meanOf((form) => form === 'sig')
  const byIdentity = meanOf((form) => form !== 'sig')
  return [
    { what: 'warm reviews by key, 16 connections', value: byKey, unit: '/s' },
    { what: 'warm reviews by identity', value: byIdentity, unit: '/s' },
    { what: 'warm by identity, of that by key', value: byIdentity / byKey, unit: '×', goal: { atLeast: 0.9 } },
  ]
}

async function cold(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const [form, called] of [
    [{ keyless: 1 }, 'cold, .sig'],
    ['keyless-bundle', 'cold, bundle'],
  ] as const satisfies readonly (readonly [Form, string])[]) {
    bench.progress(called)
    const registry = await bench.registry(DELAY)
    const webhook = await bench.webhook(keylessPolicyOf(await registry.trustedRoot()), registry)
    const others = await registry.fill('other', 200, form)
    await bench.load(webhook, { connections: CONNECTIONS, pods: others.map((image) => [image]), requests: others.length })
    const pods = (await registry.fill('image', IMAGES, form)).map((image) => [image])
    const { p50, allowed } = await bench.load(webhook, { connections: 1, pods, requests: IMAGES })
    if (allowed !== IMAGES) throw new Error(`only ${allowed} of ${IMAGES} images were admitted`)
    figures.push({ what: `${called}: p50, the registry ${DELAY} ms away`, value: p50, unit: 'ms' })
    await bench.end()
  }
  return figures
}

async function many(bench: Bench): Promise<Figure[]> {
  bench.progress(`${SIGNATURES} signatures`)
  const registry = await bench.registry()
  const webhook = await bench.webhook(keylessPolicyOf(await registry.trustedRoot()), registry)
  const warming = await registry.fill('one', 100, { keyless: 1 })
  await bench.load(webhook, { connections: 1, pods: warming.map((image) => [image]), requests: warming.length })
  const costs: { requests: number; p50: number }[] = []
  for (const signatures of [1, SIGNATURES]) {
    const pods = (await registry.fill(`with-${signatures}`, IMAGES, { keyless: signatures })).map((image) => [image])
    await registry.seen()
    const { p50, allowed } = await bench.load(webhook, { connections: 1, pods, requests: IMAGES })
    if (allowed !== IMAGES) throw new Error(`only ${allowed} of ${IMAGES} images were admitted`)
    costs.push({ p50, requests: (await registry.seen()).requests / IMAGES })
  }
  const [one, hundred] = costs
  if (!one || !hundred) throw new Error('nothing was measured')
  return [
    {
      what: `${SIGNATURES} signatures on an image: registry requests, of those for one`,
      value: hundred.requests / one.requests,
      unit: '×',
      goal: { atMost: 1 },
    },
    { what: `${SIGNATURES} signatures on an image: p50`, value: hundred.p50, unit: 'ms' },
    { what: 'one signature on an image: p50', value: one.p50, unit: 'ms' },
  ]
}
