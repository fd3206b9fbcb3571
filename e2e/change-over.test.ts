import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { applied } from './cluster.ts'
import { type Installed, install } from './installed.ts'
import { leftOutWithout, partsIfPresent } from './parts.ts'

const needed = ['kube-apiserver', 'etcd', 'kubectl', 'registry', 'cosign2', 'cosign3', 'helm'] as const
const skip = process.platform === 'linux' ? leftOutWithout(needed) : 'the API server reaches Services at 127.96.0.0/16 only on Linux'

const COSIGN = 'gcr.io/projectsigstore/cosign'

/**
 * The steps of docs/change-over.md, one controller after the other behind one Service, while workloads are created. The first one is an installation
 * of Sealgate too: what is shown is that no request falls between the two, not that the other one answers the same.
 */
suite('changing over and back, on real parts', { skip, timeout: 180_000 }, () => {
  let session: Installed
  before(async () => {
    const parts = partsIfPresent(needed)
    assert.ok(parts)
    // As in a cluster, one that ends answers until everybody has learnt that it is gone; here that takes a tenth of a second, and the rest is for connections that lie idle.
    session = await install(parts, 'kubectl apply -k', ['--drain-quiet=2s'])
  })
  after(() => session?.stop())

  test('no request falls between two controllers: what is signed gets in, what is not does not', async () => {
    const kubectl = (line: string) => session.cluster.kubectl(line.split(' '))
    await kubectl('create namespace shop')
    await kubectl('label namespace shop policy.sigstore.dev/include=true')
    const authorities = [{ name: 'key', key: { data: session.keys.ours.pem } }]
    const policy = {
      apiVersion: 'policy.sigstore.dev/v1beta1',
      kind: 'ClusterImagePolicy',
      metadata: { name: 'p' },
      spec: { images: [{ glob: `${COSIGN}*` }], authorities },
    }
    await applied(session.cluster, ['apply', '-f', '-'], JSON.stringify(policy))
    let isOver = false
    const wrong: string[] = []
    const counts = { admitted: 0, refused: 0 }
    const asking = (tag: string, isRight: (code: number, stderr: string) => boolean, what: keyof typeof counts) =>
      (async () => {
        while (!isOver) {
          const { code, stdout, stderr } = await kubectl(`run app --image=${COSIGN}:${tag} --dry-run=server -n shop`)
          counts[what]++
          if (!isRight(code, stderr)) wrong.push(`${tag}: ${stdout}${stderr}`)
        }
      })()
    // A policy is in force within a second of its writing.
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const load = Promise.all([
      asking('v1.2.1', (code) => code === 0, 'admitted'),
      asking(
        'v0.3.0',
        (code, stderr) => code === 1 && stderr.includes('denied the request: validation failed: failed policy: p'),
        'refused',
      ),
    ])
    try {
      const over = session.another('over-1', '--read-only')
      await over.start()
      await over.untilReady()
      for (const replica of session.replicas) await replica.stop()
      const writing = session.another('over-2')
      await writing.start()
      await writing.untilReady()
      await over.stop()
      for (const replica of session.replicas) {
        await replica.start()
        await replica.untilReady()
      }
      await writing.stop()
    } finally {
      isOver = true
      await load
    }
    assert.deepEqual(wrong, [])
    assert.ok(counts.admitted > 10 && counts.refused > 10, JSON.stringify(counts))
  })
})
