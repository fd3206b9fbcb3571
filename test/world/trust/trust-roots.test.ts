import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import type { TufOptions, TufServer } from '../../../fakes/sigstore/tuf.ts'
import { trustedRootTarget, TufRepository } from '../../../fakes/sigstore/tuf.ts'
import type { ClusterObjects } from '../../../src/policy/objects.ts'
import type { TrustMaterial } from '../../../src/trust/material.ts'
import { publicRoot, publicTufRoot } from '../../../src/trust/public-root.ts'
import { readTrustedRoot } from '../../../src/trust/trusted-root.ts'
import type { Read } from '../../../src/verdict/read.ts'
import { sentenceOf } from '../../../src/verdict/reason.ts'
import type { Log, Values } from '../../../src/world/log.ts'
import { silent } from '../../../src/world/log.ts'
import type { TrustShown } from '../../../src/world/metrics.ts'
import { NO_PROXY } from '../../../src/world/network/proxy.ts'
import { Transport } from '../../../src/world/network/transport.ts'
import type { TrustOptions } from '../../../src/world/trust/trust-roots.ts'
import { FollowedTrust } from '../../../src/world/trust/trust-roots.ts'

const transport = new Transport({ ca: () => [], proxy: NO_PROXY, userAgent: 'sealgate-test', count: () => undefined })
const closing: (() => Promise<unknown>)[] = []
afterEach(() => Promise.all(closing.splice(0).map((close) => close())))
after(() => transport.close())
const [ours, theirs] = [await Sigstore.create(), await Sigstore.create({ name: 'their.example' })]
const now = Date.now()
const options: TufOptions = { now, targets: trustedRootTarget(ours) }

function hashOf(sigstore: Sigstore, name = 'ours'): string {
  const read = readTrustedRoot(JSON.stringify(sigstore.trustedRoot()), name)
  assert.ok(read.ok)
  return read.value.hash
}

async function served(repository: TufRepository): Promise<TufServer> {
  const server = await repository.serve()
  closing.push(() => server.close())
  return server
}

type Spec = Readonly<Record<string, unknown>>
const trustRoot = (spec: Spec, metadata: Spec = {}): object => ({
  apiVersion: 'policy.sigstore.dev/v1alpha1',
  kind: 'TrustRoot',
  metadata: { name: 'ours', generation: 1, ...metadata },
  spec,
})
const remote = (repository: TufRepository, mirror: string, more: Spec = {}): Spec => ({
  remote: { root: repository.root().toString('base64'), mirror, ...more },
})
const packed = (repository: TufRepository): Spec => ({
  repository: { root: repository.root().toString('base64'), mirrorFS: repository.packed().toString('base64') },
})

/** What follows the TrustRoots that a test sets. */
function following(trustRoots: Readonly<Record<string, object>>, more: Partial<TrustOptions> = {}, objects: Partial<ClusterObjects> = {}) {
  const make = (named: Readonly<Record<string, object>>, others: Partial<ClusterObjects>): ClusterObjects => ({
    policies: new Map(),
    policiesIncomplete: undefined,
    secrets: new Map(),
    configMaps: new Map(),
    trustRoots: new Map(Object.entries(named)),
    ...others,
  })
  let held = make(trustRoots, objects)
  const listeners: (() => void)[] = []
  const lines: { readonly text: string; readonly values: Values }[] = []
  const at =
    (level: string) =>
    (text: string, values: Values = {}) =>
      void lines.push({ text: `${level} ${text}`, values })
  const log: Log = { ...silent, info: at('info'), warn: at('warn'), error: at('error') }
  let shown: readonly TrustShown[] = []
  const trust = new FollowedTrust({
    cluster: { objects: () => held, onChange: (listener) => void listeners.push(listener) },
    transport,
    mirrors: [],
    resync: 24 * 60 * 60 * 1000,
    instance: undefined,
    log,
    metrics: { trust: (all) => void (shown = all) },
    times: { firstPause: 20, longestPause: 50, soonest: 20, afterStart: 1 },
    ...more,
  })
  closing.push(() => trust.close())
  let changes = 0
  trust.onChange(() => changes++)
  return {
    trust,
    lines,
    shown: () => shown,
    changes: () => changes,
    set(named: Readonly<Record<string, object>>, others: Partial<ClusterObjects> = {}) {
      held = make(named, others)
      for (const listener of listeners) listener()
    },
    of: (name = 'ours') => told(trust.known().trustRoots.get(name)),
  }
}

/** The hash of what is trusted, or why nothing is. */
function told(read: Read<TrustMaterial> | undefined): string | undefined {
  return read && (read.ok ? read.value.hash : `${read.reason.code}: ${sentenceOf(read.reason)}`)
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!condition()) {
    assert.ok(performance.now() < end, 'it did not come')
    await sleep(5)
  }
}

// — what stands in the object

for (const [kind, spec] of [
  ['sigstoreKeys', { sigstoreKeys: ours.sigstoreKeys() }],
  ['trustedRoot', { trustedRoot: ours.trustedRoot() }],
] as const)
  test(`${kind} are in force at once, and gone at once with the object`, () => {
    const { trust, set, changes, lines } = following({ ours: trustRoot(spec) })
    const read = trust.known().trustRoots.get('ours')
    assert.ok(read?.ok)
    assert.equal(read.value.name, 'ours')
    assert.deepEqual(trust.waitingFor(), [])
    set({})
    assert.deepEqual([trust.known().trustRoots.size, changes()], [0, 1])
    assert.deepEqual(
      lines.map(({ text }) => text),
      ['info a trust root is in force', 'info a trust root is no longer in force'],
    )
  })

test('a changed object counts from then on', () => {
  const { of, set, changes } = following({ ours: trustRoot({ trustedRoot: ours.trustedRoot() }) })
  assert.equal(of(), hashOf(ours))
  set({ ours: trustRoot({ trustedRoot: theirs.trustedRoot() }) })
  assert.deepEqual([of(), changes()], [hashOf(theirs), 1])
})

test('a wrong object is a refusal with the field, and what it said before stops counting', () => {
  const { of, set, lines, shown } = following({ ours: trustRoot({ trustedRoot: ours.trustedRoot() }) })
  set({ ours: trustRoot({ trustedRoot: { ...ours.trustedRoot(), tlogs: [{}] } }) })
  assert.equal(of(), 'trust-root-unreadable: the trust root `ours` cannot be read: tlogs[0].publicKey is missing')
  assert.equal(lines.at(-1)?.text, 'warn a trust root is wrong: who needs it is refused')
  assert.equal(shown().find(({ name }) => name === 'ours')?.state, 'broken')
})

test('what else is written to an object, such as its status, changes nothing and fetches nothing', async () => {
  const repository = new TufRepository(options)
  const server = await served(repository)
  const { of, set, trust, changes } = following({ ours: trustRoot(remote(repository, server.url)) })
  await until(() => of() === hashOf(ours))
  const [asked, changed] = [server.seen.length, changes()]
  set({ ours: { ...trustRoot(remote(repository, server.url), { resourceVersion: '2' }), status: { conditions: [] } } })
  await sleep(50)
  assert.deepEqual([server.seen.length, changes(), of()], [asked, changed, hashOf(ours)])
  set({ ours: trustRoot(remote(repository, server.url), { generation: 2 }) })
  assert.equal(trust.statuses().get('ours')?.generation, 2)
})

// — what is fetched

test('a remote repository is fetched in the background; until then it could not be found out', async () => {
  const repository = new TufRepository(options)
  const server = await served(repository)
  const { of, trust, changes, shown } = following({ ours: trustRoot(remote(repository, server.url)) })
  assert.equal(of(), 'trust-root-not-fetched: the trust root `ours` has not been fetched yet')
  assert.deepEqual(trust.waitingFor(), ['trust root ours'])
  await until(() => of() === hashOf(ours))
  assert.deepEqual([changes(), trust.waitingFor()], [1, []])
  const status = trust.statuses().get('ours')
  assert.ok(status?.read.ok)
  assert.equal(status.generation, 1)
  assert.equal(status.error, undefined)
  assert.ok((status.refreshed ?? 0) >= now && status.since === status.refreshed && (status.next ?? 0) > Date.now())
  assert.deepEqual(
    shown().map(({ of: what, name, state }) => [what, name, state]),
    [
      ['sigstore', '', 'in-force'],
      ['trust-root', 'ours', 'in-force'],
    ],
  )
  assert.equal(shown()[1]?.ends, status.read.value.until)
})

test('a packed repository is unpacked, and one that is wrong is wrong until the object changes', async () => {
  const repository = new TufRepository(options)
  const broken = new TufRepository({ ...options, broken: 'target-tampered' })
  const expired = new TufRepository({ ...options, expires: now - 1_000 })
  const { of, set } = following({ ours: trustRoot(packed(repository)), theirs: trustRoot(packed(broken)), old: trustRoot(packed(expired)) })
  await until(() => of() === hashOf(ours) && ['theirs', 'old'].every((name) => of(name)?.startsWith('trust-root-unreadable')))
  assert.match(of('theirs') ?? '', /fetching trusted_root\.json: /)
  assert.match(of('old') ?? '', /expired/)
  set({ theirs: trustRoot(packed(repository)) })
  await until(() => of('theirs') === hashOf(ours, 'theirs'))
})

test('a mirror that could never be reached is a reason that says so, and is tried again until it can be', async () => {
  const repository = new TufRepository(options)
  const server = await served(repository)
  server.misbehave({ status: 404 })
  const { of, trust, lines } = following({ ours: trustRoot(remote(repository, server.url)) })
  await until(() => of()?.startsWith('trust-root-fetch-failed') === true)
  assert.match(of() ?? '', /the trust root `ours` could not be fetched: failed to construct TUF client from remote: .*timestamp\.json.*404/)
  assert.deepEqual(trust.waitingFor(), [])
  server.misbehave()
  await until(() => of() === hashOf(ours))
  assert.deepEqual(
    lines.map(({ text }) => text),
    ['warn a trust root cannot be fetched: who needs it is refused', 'info a trust root was fetched'],
  )
})

test('what was in force stays in force while the mirror is down, until it expires, and its status says so', async () => {
  const end = Math.ceil(Date.now() / 1000) * 1000 + 3_000
  const repository = new TufRepository({ ...options, expires: { timestamp: end } })
  const server = await served(repository)
  const { of, trust, shown, lines } = following({ ours: trustRoot(remote(repository, server.url)) })
  const state = (): string | undefined => shown().find(({ name }) => name === 'ours')?.state
  await until(() => of() === hashOf(ours))
  server.misbehave({ status: 503, body: 'out of order' })
  await until(() => state() === 'stale')
  assert.ok(Date.now() < end)
  assert.equal(of(), hashOf(ours))
  assert.match(trust.statuses().get('ours')?.error?.text ?? '', /503/)
  await until(() => state() === 'broken')
  assert.ok(Date.now() > end)
  // Whoever judges sees that its time is over: it is the same as before, and past its end.
  const read = trust.known().trustRoots.get('ours')
  assert.ok(read?.ok && read.value.until === end)
  server.misbehave()
  repository.publish({ expires: {} })
  await until(() => state() === 'in-force')
  const texts = lines.map(({ text }) => text)
  assert.ok(texts.includes('warn a trust root cannot be refreshed; what was in force stays in force'))
  assert.ok(texts.includes('error what a trust root says has expired: it is not believed any more'))
  assert.equal(texts.at(-1), 'info a trust root is refreshed again')
})

test('what a repository publishes is in force after the period, and nothing older ever again', async () => {
  const repository = new TufRepository(options)
  const old = new Map(repository.files)
  const server = await served(repository)
  const { of, trust } = following({ ours: trustRoot(remote(repository, server.url)) }, { resync: 40 })
  await until(() => of() === hashOf(ours))
  repository.publish({ targets: trustedRootTarget(theirs) })
  await until(() => of() === hashOf(theirs))
  repository.files.clear()
  for (const [name, bytes] of old) repository.files.set(name, bytes)
  await until(() => trust.statuses().get('ours')?.error !== undefined)
  assert.match(trust.statuses().get('ours')?.error?.text ?? '', /less than current version/)
  assert.equal(of(), hashOf(theirs))
})

test('another mirror of the same repository is another way to it: what was in force stays until it is fetched, and nothing older is taken', async () => {
  const repository = new TufRepository(options)
  const [old, server] = [new TufRepository(options), await served(repository)]
  for (const [name, bytes] of repository.files) old.files.set(name, bytes)
  const oldServer = await served(old)
  repository.publish()
  const { of, set, trust } = following({ ours: trustRoot(remote(repository, server.url)) })
  await until(() => of() === hashOf(ours))
  set({ ours: trustRoot(remote(repository, oldServer.url)) })
  assert.equal(of(), hashOf(ours))
  await until(() => trust.statuses().get('ours')?.error !== undefined)
  assert.match(trust.statuses().get('ours')?.error?.text ?? '', /less than current version/)
  assert.equal(of(), hashOf(ours))
})

test('another root means other trust: what was in force stops counting at once', async () => {
  const [repository, other] = [new TufRepository(options), new TufRepository({ ...options, targets: trustedRootTarget(theirs) })]
  const [server, otherServer] = [await served(repository), await served(other)]
  const { of, set } = following({ ours: trustRoot(remote(repository, server.url)) })
  await until(() => of() === hashOf(ours))
  set({ ours: trustRoot(remote(other, otherServer.url)) })
  assert.match(of() ?? '', /^trust-root-not-fetched/)
  await until(() => of() === hashOf(theirs))
})

test('another target of the same repository is not what the first one said', async () => {
  const repository = new TufRepository({ ...options, targets: { ...trustedRootTarget(ours), ...trustedRootTarget(theirs, 'other.json') } })
  const server = await served(repository)
  const { of, set } = following({ ours: trustRoot(remote(repository, server.url)) })
  await until(() => of() === hashOf(ours))
  set({ ours: trustRoot(remote(repository, server.url, { trustedRootTarget: 'other.json' })) })
  assert.match(of() ?? '', /^trust-root-not-fetched/)
  await until(() => of() === hashOf(theirs))
})

test('an object that is deleted and made again, or annotated, is fetched again', async () => {
  const repository = new TufRepository(options)
  const server = await served(repository)
  const { of, set, trust } = following({ ours: trustRoot(remote(repository, server.url), { uid: 'a' }) })
  await until(() => of() === hashOf(ours))
  let asked = server.seen.length
  const refreshed = (): number => trust.statuses().get('ours')?.refreshed ?? 0
  for (const metadata of [{ uid: 'b' }, { uid: 'b', annotations: { 'policy.sigstore.dev/refresh': '1' } }]) {
    const before = refreshed()
    await sleep(5)
    set({ ours: trustRoot(remote(repository, server.url), metadata) })
    await until(() => refreshed() > before)
    assert.ok(server.seen.length > asked)
    asked = server.seen.length
  }
})

test('what is closed asks nobody any more', async () => {
  const repository = new TufRepository(options)
  const server = await served(repository)
  server.misbehave({ isSilent: true })
  const { trust, changes, set } = following({ ours: trustRoot(remote(repository, server.url)) })
  await until(() => server.seen.length > 0)
  await trust.close()
  set({})
  const asked = server.seen.length
  await sleep(100)
  assert.deepEqual([server.seen.length, changes()], [asked, 0])
})

// — TrustRoots that could not be listed

const naming = (name: string): Partial<ClusterObjects> => ({
  policies: new Map([['p', { spec: { authorities: [{ keyless: { trustRootRef: name } }] } }]]),
})

test('where TrustRoots cannot be listed, whoever names one is told why, and nobody else is concerned', () => {
  const why = 'trustroots.policy.sigstore.dev is forbidden'
  const { of, set, trust, changes } = following({}, {}, { ...naming('ours'), trustRootsIncomplete: why })
  assert.equal(of(), `trust-roots-not-known: the TrustRoots of the cluster are not known: ${why}`)
  assert.deepEqual([...trust.known().trustRoots.keys()], ['ours'])
  set({ ours: trustRoot({ trustedRoot: ours.trustedRoot() }) }, naming('ours'))
  assert.deepEqual([of(), changes()], [hashOf(ours), 1])
  // Known ones stay known when the list cannot be read later.
  set({ ours: trustRoot({ trustedRoot: ours.trustedRoot() }) }, { ...naming('other'), trustRootsIncomplete: why })
  assert.equal(of(), hashOf(ours))
  assert.match(of('other') ?? '', /^trust-roots-not-known/)
})

test('a TrustRoot that a complete list lacks is not there', () => {
  const { trust } = following({}, {}, naming('ours'))
  assert.equal(trust.known().trustRoots.has('ours'), false)
})

// — the instance that is meant where no TrustRoot is named

test('the public Sigstore instance is in force from the first moment, and stays so without network', async () => {
  const down = await new TufRepository(options).serve()
  const mirror = new URL(down.url)
  await down.close()
  const { trust, shown } = following({}, { instance: { root: publicTufRoot, mirror, isPublic: true } })
  assert.deepEqual(trust.known().publicRoot, { ok: true, value: publicRoot() })
  assert.deepEqual(trust.waitingFor(), [])
  await until(() => trust.instanceStatus().error !== undefined)
  assert.equal(told(trust.known().publicRoot), publicRoot().hash)
  assert.deepEqual([shown()[0]?.state, shown()[0]?.ends, shown()[0]?.refreshed], ['stale', publicRoot().until, undefined])
})

test('what is embedded is in force, so the first seconds after a start belong to others', async () => {
  const server = await served(new TufRepository(options))
  const { trust } = following({}, { instance: { root: publicTufRoot, mirror: new URL(server.url), isPublic: true }, times: {} })
  await sleep(100)
  assert.equal(server.seen.length, 0)
  await trust.close()
})

test('with TUF switched off, nobody is asked and what is embedded is in force', async () => {
  const { trust, shown } = following({})
  await sleep(20)
  assert.deepEqual(trust.known().publicRoot, { ok: true, value: publicRoot() })
  const { next, error, refreshed } = trust.instanceStatus()
  assert.deepEqual([next, error, refreshed, shown()[0]?.state], [undefined, undefined, undefined, 'in-force'])
})

test('a mirror of the public instance that is signed by somebody else changes nothing', async () => {
  const server = await served(new TufRepository(options))
  const { trust } = following({}, { instance: { root: publicTufRoot, mirror: new URL(server.url), isPublic: true } })
  await until(() => trust.instanceStatus().error !== undefined)
  assert.equal(told(trust.known().publicRoot), publicRoot().hash)
})

test('what is fetched of the instance that is embedded takes its place, and is believed as long', async () => {
  const repository = new TufRepository({ ...options, expires: now + 60 * 60 * 1000 })
  const server = await served(repository)
  const { trust, changes } = following({}, { instance: { root: repository.root(), mirror: new URL(server.url), isPublic: true } })
  await until(() => changes() > 0)
  const read = trust.known().publicRoot
  assert.ok(read.ok)
  assert.deepEqual([read.value.hash, read.value.until], [hashOf(ours, 'the public Sigstore instance'), publicRoot().until])
  // It is asked again before the metadata expires, nevertheless.
  assert.ok((trust.instanceStatus().next ?? Infinity) < now + 60 * 60 * 1000)
})

test('an instance of the operator is not known before it is fetched: the public one does not stand in for it', async () => {
  const repository = new TufRepository({ ...options, expires: now + 60 * 60 * 1000 })
  const server = await served(repository)
  server.misbehave({ status: 500 })
  const { trust } = following({}, { instance: { root: repository.root(), mirror: new URL(server.url), isPublic: false } })
  assert.match(told(trust.known().publicRoot) ?? '', /^trust-root-not-fetched: the trust root `the Sigstore instance of http:/)
  await until(() => told(trust.known().publicRoot)?.startsWith('trust-root-fetch-failed') === true)
  server.misbehave()
  await until(() => trust.known().publicRoot.ok)
  const read = trust.known().publicRoot
  assert.ok(read.ok)
  assert.equal(read.value.hash, hashOf(ours, `the Sigstore instance of ${server.url}/`))
  assert.ok((read.value.until ?? Infinity) <= now + 60 * 60 * 1000)
})

test('many TrustRoots are fetched a few at a time, and all of them', async () => {
  const repository = new TufRepository(options)
  const server = await served(repository)
  const names = Array.from({ length: 8 }, (_, i) => `root-${i}`)
  const { of } = following(Object.fromEntries(names.map((name) => [name, trustRoot(remote(repository, server.url))])))
  await until(() => names.every((name) => of(name) === hashOf(ours, name)))
})
