import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { TufRepository, trustedRootTarget } from '../../fakes/sigstore/tuf.ts'
import type { ClusterObjects } from '../../src/policy/objects.ts'
import { nothingFetched } from '../../src/policy/objects.ts'
import { WorldRegistrar } from '../../src/world/registrar.ts'

const objects: ClusterObjects = {
  policies: new Map(),
  policiesIncomplete: undefined,
  secrets: new Map(),
  configMaps: new Map(),
  trustRoots: new Map(),
}
const registrar = new WorldRegistrar({
  systemNamespace: 'cosign-system',
  cluster: { objects: () => objects },
  outside: nothingFetched,
  around: { within: async (work) => work },
})

const sigstore = await Sigstore.create()
const now = Date.now()
const rootOf = (repository: TufRepository, archive: Uint8Array = repository.packed()) =>
  ({
    from: 'repository',
    repository: { root: repository.root(), targets: 'targets', target: 'trusted_root.json' },
    archive,
  }) as const

test('the registrar passes on what the cluster holds and what was fetched', async () => {
  assert.equal(registrar.systemNamespace, 'cosign-system')
  assert.equal(registrar.objects(), objects)
  assert.ok(registrar.outside().publicRoot.ok)
  assert.equal(await registrar.within(Promise.resolve('x'), { at: 0 }), 'x')
})

test('a packed repository that can be used has nothing wrong with it', async () => {
  const repository = new TufRepository({ now, targets: trustedRootTarget(sigstore) })
  assert.equal(await registrar.whyNotRepository(rootOf(repository)), undefined)
})

test('what is wrong with a packed repository is said with how far one came', async () => {
  const targets = trustedRootTarget(sigstore)
  const repository = new TufRepository({ now, targets })
  assert.deepEqual(await registrar.whyNotRepository(rootOf(repository, Buffer.from('x'))), {
    step: 'client',
    text: 'failed to uncompress: unexpected EOF',
  })
  const expired = new TufRepository({ now, targets, expires: now - 1_000 })
  const problem = await registrar.whyNotRepository(rootOf(expired))
  assert.equal(problem?.step, 'client')
  const loading = 'failed to create TUF client: failed to load metadata: tuf refresh failed: '
  assert.equal(problem?.text, `${loading}expired metadata error: final root.json is expired`)
  const forged = await registrar.whyNotRepository(rootOf(new TufRepository({ now, targets, broken: 'timestamp-by-another-key' })))
  assert.equal(forged?.text, `${loading}unsigned metadata error: Verifying timestamp failed, not enough signatures, got 0, want 1`)
  const empty = await registrar.whyNotRepository(rootOf(new TufRepository({ now, targets: {} })))
  assert.deepEqual(empty, { step: 'content', text: 'no certificate authorities found' })
})
