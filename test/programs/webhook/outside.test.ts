import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Vault } from '../../../fakes/cloud/vault.ts'
import { Internet } from '../../../fakes/internet.ts'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import { trustedRootTarget, TufRepository } from '../../../fakes/sigstore/tuf.ts'
import { parse } from '../../../programs/cli/parse.ts'
import type { OutsideSettings } from '../../../programs/webhook/outside.ts'
import { fetchOutside, followOutside } from '../../../programs/webhook/outside.ts'
import { openRegistry } from '../../../programs/webhook/reach.ts'
import { publicRoot } from '../../../src/trust/public-root.ts'
import { readTrustedRoot } from '../../../src/trust/trusted-root.ts'
import { Cloud } from '../../../src/world/cloud/cloud.ts'
import type { Cluster } from '../../../src/world/cluster/cluster.ts'
import { openManifests, readManifests } from '../../../src/world/cluster/manifests.ts'
import { silent } from '../../../src/world/log.ts'
import { uncounted } from '../../../src/world/metrics.ts'
import { keeping } from './client.ts'

const folder = await mkdtemp(join(tmpdir(), 'sealgate-outside-'))
const sigstore = await Sigstore.create()
const repository = new TufRepository({ now: Date.now(), targets: trustedRootTarget(sigstore) })
const server = await repository.serve()
const rootFile = join(folder, 'root.json')
await writeFile(rootFile, repository.root())

function settingsOf(...given: readonly string[]) {
  const parsed = parse('serve', given, {})
  ok(parsed.ok, parsed.ok ? '' : parsed.text)
  return parsed.settings
}

const registry = await openRegistry(settingsOf(), uncounted, {})
const vault = new Vault()
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
vault.keys.set('signing', { type: 'ecdsa-p256', versions: [publicKey] })
const internet = await Internet.start('vault.example')
internet.host('metadata', vault.host())
const cloud = new Cloud({ VAULT_ADDR: `http://${internet.plain}`, VAULT_TOKEN: vault.token }, uncounted)
after(async () => {
  await registry.close()
  await cloud.close()
  await internet.close()
  await server.close()
})

async function fileWith(name: string, ...objects: readonly object[]): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))
  return file
}

const options = { systemNamespace: 'cosign-system', log: silent }
const policy = {
  apiVersion: 'policy.sigstore.dev/v1beta1',
  kind: 'ClusterImagePolicy',
  metadata: { name: 'p' },
  spec: { images: [{ glob: '**' }], authorities: [{ keyless: { trustRootRef: 'ours', identities: [{ issuer: 'a', subject: 'b' }] } }] },
}
const trustRoot = {
  apiVersion: 'policy.sigstore.dev/v1alpha1',
  kind: 'TrustRoot',
  metadata: { name: 'ours' },
  spec: { remote: { root: repository.root().toString('base64'), mirror: 'https://tuf.example' } },
}
const keyless = { ...policy, spec: { ...policy.spec, authorities: [{ keyless: { identities: [{ issuer: 'a', subject: 'b' }] } }] } }
const mirrored = ['--mirror', `tuf.example=${server.url}`]

function hashOf(name: string): string {
  const read = readTrustedRoot(JSON.stringify(sigstore.trustedRoot()), name)
  ok(read.ok)
  return read.value.hash
}

async function follow(cluster: Cluster, settings: OutsideSettings, log = silent) {
  const followed = await followOutside(settings, cluster, registry, cloud, log, uncounted)
  after(() => followed.close())
  return followed
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!condition()) {
    ok(performance.now() < end, 'it did not come')
    await sleep(5)
  }
}

test('TrustRoots in files are followed as those of a cluster, through mirrors that are given', async () => {
  const cluster = await openManifests([await fileWith('followed.json', policy, trustRoot)], options)
  after(() => cluster.close())
  const { outside, trust, waitingFor } = await follow(cluster, settingsOf('--disable-tuf', ...mirrored))
  deepEqual(waitingFor(), ['trust root ours'])
  let told = 0
  outside.onChange(() => told++)
  await until(() => told > 0)
  const read = outside.known().trustRoots.get('ours')
  ok(read?.ok)
  equal(read.value.hash, hashOf('ours'))
  deepEqual([waitingFor(), trust.statuses().size], [[], 1])
})

test('the operator may name another Sigstore instance', async () => {
  const cluster = await readManifests([await fileWith('keyless.json', keyless)], options)
  const { outside } = await follow(cluster, settingsOf('--tuf-mirror', server.url, '--tuf-root', rootFile))
  equal(outside.known().publicRoot.ok, false)
  await until(() => outside.known().publicRoot.ok)
  const { publicRoot: read } = outside.known()
  ok(read.ok)
  equal(read.value.hash, hashOf(`the Sigstore instance of ${server.url}/`))
})

test('with TUF switched off nobody is asked, and what is given for it is told to be unused', async () => {
  const cluster = await readManifests([await fileWith('off.json', keyless)], options)
  const log = keeping()
  const { outside, trust } = await follow(cluster, settingsOf('--disable-tuf', '--tuf-mirror', server.url), log)
  deepEqual(outside.known().publicRoot, { ok: true, value: publicRoot() })
  equal(trust.instanceStatus().next, undefined)
  match(log.lines[0]?.text ?? '', /^warn TUF is switched off/)
})

test('a root that cannot be read is told to the operator in one line', async () => {
  const cluster = await readManifests([await fileWith('wrong.json', policy)], options)
  const wrong = join(folder, 'wrong-root.json')
  await writeFile(wrong, '{}')
  for (const [file, text] of [
    [join(folder, 'absent'), /^--tuf-root \S+absent: no such file$/],
    [folder, /^--tuf-root \S+: /],
    [wrong, /^--tuf-root \S+wrong-root\.json: it is not TUF metadata$/],
  ] as const)
    await rejects(followOutside(settingsOf('--tuf-root', file), cluster, registry, cloud, silent, uncounted), { message: text })
})

test('offline commands fetch what policies name, and nobody is asked where none is named', async () => {
  const settings = settingsOf(...mirrored)
  const named = await fetchOutside(settings, await readManifests([await fileWith('a.json', policy, trustRoot)], options), registry, cloud)
  const read = named.trustRoots.get('ours')
  ok(read?.ok)
  equal(read.value.hash, hashOf('ours'))
  const before = server.seen.length
  const unnamed = await fetchOutside(
    settings,
    await readManifests([await fileWith('b.json', keyless, trustRoot)], options),
    registry,
    cloud,
  )
  deepEqual([unnamed.trustRoots.size, unnamed.publicRoot], [0, { ok: true, value: publicRoot() }])
  equal(server.seen.length, before)
})

test('offline commands ask another instance where one is given', async () => {
  const cluster = await readManifests([await fileWith('c.json', keyless)], options)
  const { publicRoot: read } = await fetchOutside(settingsOf('--tuf-mirror', server.url, '--tuf-root', rootFile), cluster, registry, cloud)
  ok(read.ok)
  equal(read.value.hash, hashOf(`the Sigstore instance of ${server.url}/`))
})

const kms = 'hashivault://signing'
const withKms = { ...policy, spec: { ...policy.spec, authorities: [{ key: { kms } }] } }
const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString()

test('keys of key management services are followed beside what is trusted, and offline commands read them too', async () => {
  const cluster = await readManifests([await fileWith('kms.json', withKms)], options)
  const followed = await follow(cluster, settingsOf('--disable-tuf'))
  deepEqual(followed.waitingFor(), [`the public key of ${kms}`])
  await until(() => followed.outside.known().kmsKeys.has(kms))
  deepEqual(followed.outside.known().kmsKeys.get(kms), { ok: true, value: pem })
  deepEqual(followed.waitingFor(), [])
  equal(followed.kms.statuses().get(kms)?.error, undefined)
  const { kmsKeys, publicRoot: read } = await fetchOutside(settingsOf('--disable-tuf'), cluster, registry, cloud)
  deepEqual([kmsKeys.get(kms), read.ok], [{ ok: true, value: pem }, true])
})
