import { policyOf } from '../policy.ts'
import { REGISTRY } from '../processes.ts'
import type { Question } from '../question.ts'
import { flat } from './memory.ts'

const ACCOUNTS = 500 // ServiceAccounts besides the one of the Pods
const DELAY = 20 // ms that the registry is away
const IMAGES = 40 // that are reviewed one after another, each for the first time
const CONNECTIONS = 16
const SECONDS = 6

export const inCluster: Question = {
  name: 'in-cluster',
  asks: 'the same in a cluster: an API server, ServiceAccounts, a pull secret',
  async run(bench) {
    const near = await bench.registry()
    const apiServer = await bench.apiServer(objects(await near.key()))
    bench.progress(apiServer.called)
    const webhook = await bench.webhookIn(apiServer, near)
    const [image = ''] = await near.fill('warm', 1, 'sig')
    await bench.load(webhook, { connections: CONNECTIONS, pods: [[image]], seconds: 3 })
    await near.seen()
    const asked = await apiServer.requests()
    bench.progress('warm')
    const warm = await bench.load(webhook, { connections: CONNECTIONS, pods: [[image]], seconds: SECONDS })
    const apiRequests = (await apiServer.requests()) - asked
    const { requests } = await near.seen()
    bench.progress('memory')
    const memory = await flat(bench, webhook, near, 300)
    await webhook.stop()

    bench.progress('cold')
    const far = await bench.registry(DELAY)
    const cold = await bench.webhookIn(await bench.apiServer(objects(await far.key())), far)
    const others = await far.fill('other', 200, 'sig')
    await bench.load(cold, { connections: CONNECTIONS, pods: others.map((i) => [i]), requests: others.length })
    const images = await far.fill('image', IMAGES, 'sig')
    const first = await bench.load(cold, { connections: 1, pods: images.map((i) => [i]), requests: IMAGES })
    if (first.allowed !== IMAGES) throw new Error('not every image was admitted')
    return [
      { what: `from start to ready, ${apiServer.called}`, value: await webhook.ready, unit: 'ms' },
      { what: 'warm reviews, 16 connections', value: warm.perSecond, unit: '/s', goal: { atLeast: 4000 }, theirs: 39 },
      { what: 'warm p50', value: warm.p50, unit: 'ms' },
      { what: 'warm p99', value: warm.p99, unit: 'ms', goal: { atMost: 10 }, theirs: 600 },
      { what: 'registry requests per warm review', value: requests / warm.requests, unit: '', goal: { atMost: 0 }, theirs: 3 },
      { what: 'API requests per warm review', value: apiRequests / warm.requests, unit: '', goal: { atMost: 0 } },
      { what: 'cold, registry 20 ms away: p50', value: first.p50, unit: 'ms', goal: { atMost: 60 }, theirs: 69 },
      ...memory,
    ]
  },
}

/** A policy, and a Pod's ServiceAccount whose pull secret names the registry, among many others. */
function objects(key: string): readonly object[] {
  const namespace = 'shop'
  const auths = { [REGISTRY]: { auth: Buffer.from('reader:not-a-secret').toString('base64') } }
  const account = (name: string, secrets: readonly string[]): object => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace },
    imagePullSecrets: secrets.map((secret) => ({ name: secret })),
  })
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    account('default', ['registry']),
    ...Array.from({ length: ACCOUNTS }, (_, i) => account(`account-${i}`, [])),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/dockerconfigjson',
      metadata: { name: 'registry', namespace },
      data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') },
    },
    policyOf(key),
  ]
}
