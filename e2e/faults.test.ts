import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { ApiServer, type ApiAnswer } from '../src/world/cluster/api-server.ts'
import { openAccess } from '../src/world/cluster/kubeconfig.ts'
import { applied } from './cluster.ts'
import { type Installed, frontOf, install } from './installed.ts'
import { leftOutWithout, partsIfPresent } from './parts.ts'
import { temporaryFolder } from './processes.ts'
import { type Content, type Registry, contentOf, restore, startRegistry } from './registry.ts'
import type { Replica } from './replica.ts'

const needed = ['kube-apiserver', 'etcd', 'kubectl', 'helm', 'registry', 'cosign2', 'cosign3'] as const
const skip =
  process.platform === 'linux'
    ? leftOutWithout(needed)
    : 'the API server reaches Services at 127.96.0.0/16 only where all of 127.0.0.0/8 is loopback (Linux)'

const NAMESPACE = 'checked'
const COSIGN = 'gcr.io/projectsigstore/cosign'
const SWITCHED = `registry.example.org/switched@sha256:${'7'.repeat(64)}`
const IN_FORCE = 1_000 // ms after a change within which it must be in force
const SLACK = 750 // ms after a server is back, or gone, in which connections may still be those of before

/** A time in which something was away. */
type Outage = { readonly of: 'api-server' | 'replica' | 'registry'; readonly from: number; to: number }

/** What is asked again and again, and what must be answered. */
type Question = { readonly image: string; readonly expects: () => 'admitted' | 'refused' | 'either' }

type Seen = { readonly image: string; readonly text: string; readonly from: number; readonly to: number }

suite('faults: everything is killed and comes back, under load', { skip, timeout: 120_000 }, () => {
  let held: Installed
  let api: ApiServer
  let policies: ApiServer
  const outages: Outage[] = []
  const counts = { admitted: 0, refused: 0, cut: 0 }
  const wrong: Seen[] = []
  const unanswered: Seen[] = []
  const never = new AbortController().signal
  let isOver = false
  /** The one that took the place of the first. */
  let registry: Registry | undefined
  const running: Promise<void>[] = []
  /** What the switched policy says, since when, and until when the change before may still be in force. */
  let switched = { passes: true, settled: 0, isChanging: false }

  before(async () => {
    const parts = partsIfPresent(needed)
    assert.ok(parts)
    held = await install(parts, 'the chart', ['--certificate-overlap=2s', '--drain-quiet=2s'])
    const access = await openAccess({ kubeconfig: held.cluster.adminKubeconfig, env: {} })
    api = new ApiServer(access)
    policies = new ApiServer(access)
    await applied(held.cluster, ['create', 'namespace', NAMESPACE])
    await applied(held.cluster, ['label', 'namespace', NAMESPACE, 'policy.sigstore.dev/include=true'])
    const election = { 'lease-duration': '4s', 'renew-deadline': '3s', 'retry-period': '1s' }
    const list = [
      { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'config-leader-election', namespace: 'cosign-system' }, data: election },
      {
        kind: 'Secret',
        apiVersion: 'v1',
        metadata: { name: 'key', namespace: 'cosign-system' },
        stringData: { 'cosign.pub': held.keys.ours.pem },
      },
      policy('signed', [`${COSIGN}*`], [{ name: 'key', key: { secretRef: { name: 'key' } } }]),
      policy('switched', ['registry.example.org/switched*'], [{ name: 'switch', static: { action: 'pass' } }]),
    ]
    await applied(held.cluster, ['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: list }))
    await wait(2 * IN_FORCE)
  })
  after(async () => {
    isOver = true
    await Promise.all(running)
    await Promise.all([api?.close(), policies?.close()])
    await registry?.stop()
    await held?.stop()
  })

  const away = async (of: Outage['of'], work: () => Promise<unknown>): Promise<void> => {
    const outage: Outage = { of, from: performance.now(), to: Infinity }
    outages.push(outage)
    await work()
    outage.to = performance.now() + SLACK
  }
  const wasAway = (of: Outage['of'], { from, to }: Seen): boolean => outages.some((o) => o.of === of && from < o.to && to > o.from)

  async function ask(api: ApiServer, { image, expects }: Question): Promise<void> {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { generateName: 'pod-' }, spec: { containers: [{ name: 'a', image }] } }
    const from = performance.now()
    const before = expects()
    const answer = await api.write('create', `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`, pod, never)
    const expected = before === expects() ? before : 'either'
    const seen: Seen = { image, text: textOf(answer), from, to: performance.now() }
    if (answer.state === 'answered') {
      counts.admitted++
      if (expected === 'refused') wrong.push(seen)
    } else if (/denied the request: validation failed: /.test(seen.text)) {
      counts.refused++
      if (expected !== 'admitted') return
      // Whether it is signed could not be learnt: it is told so, and nobody is admitted for that.
      if (wasAway('registry', seen) && !/no matching signatures|no signatures found/.test(seen.text)) counts.cut++
      else wrong.push(seen)
    } else {
      // Its own server was killed: the API server, or the replica that was to judge it.
      const isOfWebhook = /failed calling webhook/.test(seen.text)
      if (wasAway('api-server', seen) || (isOfWebhook && wasAway('replica', seen))) counts.cut++
      else unanswered.push(seen)
    }
  }

  const write = (path: string, body: object) => policies.write('merge', path, body, never)
  const POLICIES = '/apis/policy.sigstore.dev/v1beta1/clusterimagepolicies'

  /** Policies and keys change all the time, such that most answers stay as they are. */
  async function change(n: number): Promise<void> {
    const isUp = outages.every((o) => o.of !== 'api-server' || performance.now() > o.to + 10_000)
    const data = Buffer.from(`${'# changed\n'.repeat(n % 3)}${held.keys.ours.pem}`).toString('base64')
    await write('/api/v1/namespaces/cosign-system/secrets/key', { data: { 'cosign.pub': data } })
    await write(`${POLICIES}/signed`, { spec: { images: [{ glob: `${COSIGN}*` }, { glob: `registry.example.org/${n}` }] } })
    if (!isUp) return
    const passes = !switched.passes
    switched = { ...switched, isChanging: true }
    const changed = await write(`${POLICIES}/switched`, {
      spec: { authorities: [{ name: 'switch', static: { action: passes ? 'pass' : 'fail' } }] },
    })
    if (changed.state === 'answered') switched = { passes, settled: performance.now() + IN_FORCE, isChanging: false }
    // Whether it was done nobody knows.
    else switched = { ...switched, settled: Infinity, isChanging: false }
  }

  test('load begins', async () => {
    const { signed, signedWithBundle, otherKey, busybox } = held.images
    const always = (expected: 'admitted' | 'refused') => () => expected
    const questions: readonly Question[] = [
      { image: `${COSIGN}:v1.2.1`, expects: always('admitted') },
      { image: `${COSIGN}@${signed}`, expects: always('admitted') },
      { image: `${COSIGN}@${signedWithBundle}`, expects: always('admitted') },
      { image: `${COSIGN}:v0.3.0`, expects: always('refused') },
      { image: `${COSIGN}@${otherKey}`, expects: always('refused') },
      { image: `busybox@${busybox}`, expects: always('refused') },
      {
        image: SWITCHED,
        expects: () => {
          const isUp = outages.every((o) => o.of !== 'api-server' || performance.now() > o.to + 10_000)
          if (switched.isChanging || performance.now() < switched.settled || !isUp) return 'either'
          return switched.passes ? 'admitted' : 'refused'
        },
      },
    ]
    const load = async (first: number): Promise<void> => {
      for (let n = first; !isOver; n++) {
        await ask(api, questions[n % questions.length]!)
        await wait(10)
      }
    }
    const changing = async (): Promise<void> => {
      for (let n = 0; !isOver; n++) {
        await change(n)
        await wait(2_500)
      }
    }
    running.push(load(0), load(2), load(4), load(6), changing())
    await wait(2_000)
    assert.ok(counts.admitted > 10 && counts.refused > 10, JSON.stringify(counts))
  })

  const leaders = async () => Promise.all(held.replicas.map((r) => r.isLeading()))
  const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    const patience = Date.now() + 40_000 // a Lease that nobody gives up lasts 15 s
    while (!(await isSo())) {
      assert.ok(Date.now() < patience, what)
      await wait(100)
    }
  }
  const kill = async (replica: Replica): Promise<void> => {
    await away('replica', () => replica.stop('SIGKILL'))
    await wait(500)
    await replica.start()
    await replica.untilReady()
  }
  const other = (replica: Replica | undefined): Replica => held.replicas.find((r) => r !== replica)!
  const leading = async (): Promise<Replica> => {
    await until('one leads', async () => (await leaders()).includes(true))
    return held.replicas[(await leaders()).indexOf(true)]!
  }

  test('a replica that does not lead is killed', async () => kill(other(await leading())))

  test('the replica that leads is killed, and another leads', async () => {
    const leader = await leading()
    await kill(leader)
    // The one that was killed is another when it is back, so either may be the next.
    await until('one leads', async () => (await leaders()).includes(true))
  })

  test('a replica is asked to end, as when a new version is rolled out: no request is lost', async () => {
    const leader = await leading()
    await leader.stop('SIGTERM')
    await leader.start()
    await leader.untilReady()
  })

  test('the registry is killed and comes back', async () => {
    const contents: readonly Content[] = await Promise.all(
      ['gcr.io/projectsigstore/cosign', 'docker.io/library/busybox'].map((repository) => contentOf(held.registry, repository)),
    )
    await away('registry', async () => {
      held.registryFront.clear()
      await held.registry.stop('SIGKILL')
      await wait(2_000)
      registry = await startRegistry(partsIfPresent(needed)!.registry, `${temporaryFolder('registry')}/log`, false)
      for (const content of contents) await restore(registry, content)
      held.registryFront.add(frontOf(registry))
    })
    await wait(1_500)
  })

  test('CA and certificate are exchanged', async () => {
    const bundle = () =>
      applied(held.cluster, [
        'get',
        'validatingwebhookconfiguration',
        'policy.sigstore.dev',
        '-o',
        'jsonpath={.webhooks[0].clientConfig.caBundle}',
      ])
    const cas = (text: string): number => Buffer.from(text, 'base64').toString().split('BEGIN CERTIFICATE').length - 1
    const before = await bundle()
    await applied(held.cluster, ['annotate', 'secret', 'webhook-certs', '-n', 'cosign-system', 'policy.sigstore.dev/refresh=1'])
    await until('both are trusted', async () => cas(await bundle()) === 2)
    await until('the new one alone is', async () => {
      const now = await bundle()
      return now !== before && cas(now) === 1
    })
    await wait(1_000)
  })

  test('the API server is killed and comes back', async () => {
    await away('api-server', async () => {
      await held.cluster.killApiServer()
      await wait(2_000)
      await held.cluster.startApiServer()
    })
    await until('one leads again', async () => (await leaders()).filter(Boolean).length === 1)
  })

  test('no request was answered wrongly, and none was left without an answer but those whose own server was killed', async (t) => {
    isOver = true
    await Promise.all(running)
    t.diagnostic(JSON.stringify(counts))
    assert.deepEqual(wrong, [])
    assert.deepEqual(unanswered, [])
    assert.ok(counts.admitted > 100 && counts.refused > 100, JSON.stringify(counts))
    assert.doesNotMatch(held.log(), /an exception that nothing expected/)
  })

  test('afterwards policies say what is in force', async () => {
    await until('they are ready', async () => {
      const { stdout } = await held.cluster.kubectl([
        'get',
        'cip',
        '-o',
        'jsonpath={range .items[*]}{.metadata.generation}={.status.observedGeneration} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}',
      ])
      return stdout
        .trim()
        .split('\n')
        .every((line) => /^(\d+)=\1 True$/.test(line))
    })
  })
})

function textOf(answer: ApiAnswer): string {
  return answer.state === 'refused' || answer.state === 'failed' ? answer.text : answer.state
}

function policy(name: string, globs: readonly string[], authorities: readonly object[]): object {
  return {
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name },
    spec: { images: globs.map((glob) => ({ glob })), authorities },
  }
}
