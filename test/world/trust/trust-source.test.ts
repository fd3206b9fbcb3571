import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import type { TufServer } from '../../../fakes/sigstore/tuf.ts'
import { trustedRootTarget, TufRepository } from '../../../fakes/sigstore/tuf.ts'
import { NO_PROXY } from '../../../src/world/network/proxy.ts'
import { Transport } from '../../../src/world/network/transport.ts'
import { fetchInstance, fetchTrustRoot, nameOfInstance, whyNotFetched } from '../../../src/world/trust/trust-source.ts'

const transport = new Transport({ ca: () => [], proxy: NO_PROXY, userAgent: 'sealgate-test', count: () => undefined })
const repository = new TufRepository({ now: Date.now(), targets: trustedRootTarget(await Sigstore.create()) })
const server: TufServer = await repository.serve()
after(async () => {
  await transport.close()
  await server.close()
})
const reach = { transport, mirrors: [] }
const soon = (): AbortSignal => AbortSignal.timeout(10_000)

test('an instance of the operator is fetched from its mirror, and called by it', async () => {
  const instance = { root: repository.root(), mirror: new URL(server.url), isPublic: false }
  const fetched = await fetchInstance(instance, reach, undefined, soon())
  assert.ok(fetched.ok, fetched.ok ? '' : fetched.why)
  assert.equal(fetched.material.name, `the Sigstore instance of ${server.url}/`)
  assert.equal(nameOfInstance(instance), fetched.material.name)
})

test('the public instance is called so wherever its mirror is, and without any', () => {
  assert.equal(nameOfInstance({ root: repository.root(), mirror: new URL(server.url), isPublic: true }), 'the public Sigstore instance')
  assert.equal(nameOfInstance(undefined), 'the public Sigstore instance')
})

test('a TrustRoot is fetched from where it says, and called as it is', async () => {
  const tuf = { root: repository.root(), targets: 'targets', target: 'trusted_root.json' }
  for (const root of [
    { from: 'remote', repository: tuf, mirror: new URL(server.url) },
    { from: 'repository', repository: tuf, archive: repository.packed() },
  ] as const) {
    const fetched = await fetchTrustRoot('ours', root, reach, undefined, soon())
    assert.ok(fetched.ok, fetched.ok ? '' : fetched.why)
    assert.equal(fetched.material.name, 'ours')
  }
})

test('a mirror that does not answer well is not known to be wrong; an archive is', () => {
  assert.deepEqual(whyNotFetched('ours', 'remote', 'why'), { code: 'trust-root-fetch-failed', name: 'ours', detail: 'why' })
  assert.deepEqual(whyNotFetched('ours', 'repository', 'why'), { code: 'trust-root-unreadable', name: 'ours', detail: 'why' })
})
