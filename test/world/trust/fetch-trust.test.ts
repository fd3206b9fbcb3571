import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import type { TufServer } from '../../../fakes/sigstore/tuf.ts'
import { trustedRootTarget, TufRepository } from '../../../fakes/sigstore/tuf.ts'
import type { ClusterObjects } from '../../../src/policy/objects.ts'
import type { TrustMaterial } from '../../../src/trust/material.ts'
import { publicRoot, publicTufRoot } from '../../../src/trust/public-root.ts'
import { readTrustedRoot } from '../../../src/trust/trusted-root.ts'
import type { Read } from '../../../src/verdict/read.ts'
import { NO_PROXY } from '../../../src/world/network/proxy.ts'
import { Transport } from '../../../src/world/network/transport.ts'
import { fetchTrust } from '../../../src/world/trust/fetch-trust.ts'

const transport = new Transport({ ca: () => [], proxy: NO_PROXY, userAgent: 'sealgate-test', count: () => undefined })
const sigstore = await Sigstore.create()
const repository = new TufRepository({ now: Date.now(), targets: trustedRootTarget(sigstore) })
const server: TufServer = await repository.serve()
after(async () => {
  await transport.close()
  await server.close()
})
const reach = { transport, mirrors: [] }
const soon = (): AbortSignal => AbortSignal.timeout(10_000)

const remote = (mirror = server.url): object => ({ spec: { remote: { root: repository.root().toString('base64'), mirror } } })
const SPECS: Readonly<Record<string, object>> = {
  keys: { spec: { sigstoreKeys: sigstore.sigstoreKeys() } },
  file: { spec: { trustedRoot: sigstore.trustedRoot() } },
  packed: { spec: { repository: { root: repository.root().toString('base64'), mirrorFS: repository.packed().toString('base64') } } },
  remote: remote(),
  wrong: { spec: {} },
  cut: { spec: { repository: { root: repository.root().toString('base64'), mirrorFS: 'e30=' } } },
}

function objects(named: readonly string[], trustRoots = SPECS): ClusterObjects {
  const authorities = named.map((name) => ({ keyless: { trustRootRef: name } }))
  return {
    policies: new Map([['p', { spec: { authorities } }]]),
    policiesIncomplete: undefined,
    secrets: new Map(),
    configMaps: new Map(),
    trustRoots: new Map(Object.entries(trustRoots)),
  }
}

function hashOf(name: string): string {
  const read = readTrustedRoot(JSON.stringify(sigstore.trustedRoot()), name)
  assert.ok(read.ok)
  return read.value.hash
}

const told = (read: Read<TrustMaterial> | undefined): string | undefined => read && (read.ok ? read.value.hash : read.reason.code)

test('what a policy names is there: keys, a file, a packed repository, a remote one', async () => {
  const { trustRoots } = await fetchTrust(objects(['keys', 'file', 'packed', 'remote']), undefined, reach, soon())
  assert.ok(trustRoots.get('keys')?.ok)
  for (const name of ['file', 'packed', 'remote']) assert.equal(told(trustRoots.get(name)), hashOf(name))
})

test('what cannot be had is a reason', async () => {
  const { trustRoots } = await fetchTrust(objects(['wrong', 'cut', 'absent']), undefined, reach, soon())
  assert.deepEqual(
    [...trustRoots].map(([name, read]) => [name, told(read)]),
    [
      ['wrong', 'trust-root-unreadable'],
      ['cut', 'trust-root-unreadable'],
    ],
  )
})

test('nobody is asked about what no policy names', async () => {
  const before = server.seen.length
  const { trustRoots } = await fetchTrust(objects(['file']), undefined, reach, soon())
  assert.deepEqual([...trustRoots.keys()], ['file'])
  assert.equal(server.seen.length, before)
})

test('a mirror that is silent is waited for only as long as there is time', async () => {
  const silent = await repository.serve()
  silent.misbehave({ isSilent: true })
  const began = performance.now()
  const given = objects(['file', 'remote'], { ...SPECS, remote: remote(silent.url) })
  const { trustRoots } = await fetchTrust(given, undefined, reach, AbortSignal.timeout(300))
  assert.deepEqual([told(trustRoots.get('file')), told(trustRoots.get('remote'))], [hashOf('file'), 'trust-root-fetch-failed'])
  assert.ok(performance.now() - began < 5_000)
  await silent.close()
})

test('without an instance, what is embedded is trusted', async () => {
  assert.deepEqual((await fetchTrust(objects([]), undefined, reach, soon())).publicRoot, { ok: true, value: publicRoot() })
})

const keyless: ClusterObjects = { ...objects([]), policies: new Map([['p', { spec: { authorities: [{ keyless: {} }] } }]]) }
const instance = { root: repository.root(), mirror: new URL(server.url), isPublic: false }

test('an instance of the operator is fetched where a policy rests on it', async () => {
  const { publicRoot: root } = await fetchTrust(keyless, instance, reach, soon())
  assert.equal(told(root), hashOf(`the Sigstore instance of ${server.url}/`))
  const before = server.seen.length
  assert.equal(told((await fetchTrust(objects(['file']), instance, reach, soon())).publicRoot), 'trust-root-not-fetched')
  assert.equal(server.seen.length, before)
})

test('an instance of the operator that does not answer is a reason; the public one stays as it is embedded', async () => {
  const down = { ...instance, root: publicTufRoot }
  assert.equal(told((await fetchTrust(keyless, down, reach, soon())).publicRoot), 'trust-root-fetch-failed')
  assert.equal(told((await fetchTrust(keyless, { ...down, isPublic: true }, reach, soon())).publicRoot), publicRoot().hash)
})
