import { policyOf } from '../policy.ts'
import { REGISTRY } from '../processes.ts'
import type { Question } from '../question.ts'

const BYTES = 15.9 * 1024 * 1024 // of each attestation in base64: as large as they may be
const IMAGES = 6 // with a good one, and as many with a bad one: more than is remembered of their bytes
const SECONDS = 10
const CONNECTIONS = 4 // of those who ask for other images

export const largeAttestations: Question = {
  name: 'large-attestations',
  asks: 'do others wait while images with attestations of 16 MiB are reviewed',
  async run(bench) {
    const registry = await bench.registry()
    const key = await registry.key()
    const others = (await registry.fill('good', 20, 'sig')).map((image) => [image])
    const large: (readonly string[])[] = []
    const bad: (readonly string[])[] = []
    for (const attested of ['sig', 'bundle'] as const) {
      large.push(
        ...(await registry.fill(`large-${attested}`, IMAGES / 2, { attested, bytes: BYTES, isBad: false })).map((image) => [image]),
      )
      bad.push(
        ...(await registry.fill(`large-bad-${attested}`, IMAGES / 2, { attested, bytes: BYTES, isBad: true })).map((image) => [image]),
      )
    }
    const policies = [
      policyOf(key, 'signed', `${REGISTRY}/good-*`),
      policyOf(key, 'attested', `${REGISTRY}/large-*`, ['https://spdx.dev/Document']),
    ]
    const webhook = await bench.webhook(policies, registry)
    await bench.load(webhook, { connections: 16, pods: others, seconds: 3 })
    await bench.load(webhook, { connections: 1, pods: bad, requests: 2 })
    bench.progress('others alone')
    const alone = await bench.load(webhook, { connections: CONNECTIONS, pods: others, seconds: SECONDS })
    await webhook.longestSlice()
    bench.progress('others beside the large ones')
    const [beside, good, loop] = await Promise.all([
      bench.load(webhook, { connections: CONNECTIONS, pods: others, seconds: SECONDS }),
      bench.load(webhook, { connections: 1, pods: large, requests: IMAGES }),
      bench.load(webhook, { connections: 2, pods: bad, seconds: SECONDS }),
    ])
    const slice = await webhook.longestSlice()
    if (beside.allowed !== beside.requests || loop.allowed > 0) throw new Error('the wrong images were admitted')
    return [
      { what: 'longest slice of its own work', value: slice.own, unit: 'ms', goal: { atMost: 10 } },
      { what: 'longest of them without collecting old garbage', value: slice.uncollected, unit: 'ms', goal: { atMost: 10 } },
      { what: 'longest time without a turn, waits for a core included', value: slice.clock, unit: 'ms' },
      { what: 'longest collection of old garbage, waits for a core included', value: slice.collecting, unit: 'ms' },
      { what: 'large good ones admitted, of all', value: good.allowed / good.requests, unit: '', goal: { atLeast: 1 } },
      { what: 'a large good one beside all others: p50', value: good.p50, unit: 'ms' },
      { what: 'reviews of large bad ones', value: loop.perSecond, unit: '/s' },
      { what: 'others alone: p99', value: alone.p99, unit: 'ms' },
      { what: 'others beside the large ones: p99', value: beside.p99, unit: 'ms' },
      { what: 'others beside the large ones: longest', value: beside.longest, unit: 'ms' },
      { what: 'others beside the large ones', value: beside.perSecond, unit: '/s' },
    ]
  },
}
