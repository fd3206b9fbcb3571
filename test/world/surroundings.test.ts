import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { FakeRegistry } from '../../fakes/registry.ts'
import { makeSigner, signatureManifest, signOldForm } from '../../fakes/signer.ts'
import { readReference } from '../../src/image/reference.ts'
import type { Ask } from '../../src/policy/ask.ts'
import { Memory } from '../../src/world/memory.ts'
import { NO_PROXY } from '../../src/world/network/proxy.ts'
import type { PressureLevel } from '../../src/world/pressure.ts'
import type { CredentialSource, RegistryAccess } from '../../src/world/registry/credentials.ts'
import { keychainOf } from '../../src/world/registry/keychain.ts'
import { NO_CREDENTIALS } from '../../src/world/registry/own-credentials.ts'
import { Registry } from '../../src/world/registry/registry.ts'
import { WorldAround } from '../../src/world/surroundings.ts'
import { dockerConfig } from '../desk.ts'

async function opened(rememberTags = 0, pressure: () => PressureLevel = () => 'none') {
  const fake = await FakeRegistry.start()
  const registry = new Registry({
    mirrors: [],
    insecureRegistries: [],
    ca: () => [],
    proxy: NO_PROXY,
    userAgent: 'sealgate-test',
    count: () => {},
  })
  const late: number[] = []
  const around = new WorldAround({
    registry,
    credentials: {} as CredentialSource,
    memory: new Memory({ maxPassBytes: 1000, maxContentBytes: 10_000, pressure }),
    rememberTags: () => rememberTags,
    now: () => 5,
    onLate: (change) => late.push(change),
  })
  const image = fake.manifest('app', { schemaVersion: 2, layers: [] }, 'v1')
  const close = async () => {
    await registry.close()
    await fake.close()
  }
  return { fake, around, late, image, reference: readReference(`${fake.host}/app:v1`)!, [Symbol.asyncDispose]: close }
}

function access(password?: string, host = '', renewed: () => Promise<RegistryAccess | undefined> = async () => undefined): RegistryAccess {
  const secrets = password === undefined ? [] : [dockerConfig('demo', 's', 'puller', password, host)]
  const keychain = keychainOf(secrets, NO_CREDENTIALS, Buffer.alloc(32))
  assert.ok(keychain.ok)
  return { keychain: keychain.value, scope: keychain.value.scope, renewed }
}

test('a tag is asked for once by all who ask at the same time, and again by the next', async () => {
  await using o = await opened()
  const anonymous = access()
  const all = await Promise.all([1, 2, 3].map(() => o.around.resolve(o.reference, anonymous, 1000)))
  assert.ok(all.every((a) => a.ok && a.value === o.image.digest))
  assert.equal(o.fake.seen.length, 1)
  await o.around.resolve(o.reference, anonymous, 1000)
  assert.equal(o.fake.seen.length, 2)
})

test('a tag is remembered when the setting gives a time', async () => {
  await using o = await opened(60_000)
  await o.around.resolve(o.reference, access(), 1000)
  await o.around.resolve(o.reference, access(), 1000)
  assert.equal(o.fake.seen.length, 1)
})

test('a tag that takes longer than the budget is a time-out, and never an absent one', async () => {
  await using o = await opened()
  o.fake.misbehave('/v1', { late: 200 })
  const answer = await o.around.resolve(o.reference, access(), 20)
  assert.equal(!answer.ok && answer.reason.code, 'registry-timeout')
})

test('work that outlives its deadline is late, goes on, and is counted until it ends', async () => {
  await using o = await opened()
  const work = setTimeout(30, 'done')
  assert.equal(await o.around.within(work, { at: performance.now() + 5 }), 'late')
  assert.deepEqual(o.late, [1])
  assert.equal(await work, 'done')
  await setTimeout(1)
  assert.deepEqual(o.late, [1, -1])
  assert.equal(await o.around.within(Promise.resolve('quick'), { at: performance.now() + 1000 }), 'quick')
})

test('a deadline that has passed leaves no time, and never a negative one', async () => {
  await using o = await opened()
  assert.equal(o.around.remaining({ at: performance.now() - 50 }), 0)
  assert.equal(o.around.now(), 5)
})

test('a registry that refuses is asked once more with Secrets that were read anew', async () => {
  await using o = await opened()
  const signer = makeSigner()
  const { manifest, blobs, tag } = signatureManifest(o.image.digest, [signOldForm(signer, o.image.digest)])
  for (const blob of blobs) o.fake.blob('app', blob.bytes)
  o.fake.manifest('app', manifest.bytes, tag, manifest.mediaType)
  o.fake.protect('app', { scheme: 'basic', username: 'puller', password: 's3cret' })
  const ask: Ask = { ask: 'signatures-by-tag', place: o.reference, digest: o.image.digest, tagPrefix: '', credentials: { of: 'workload' } }
  const rotated = access('old', o.fake.host, async () => access('s3cret', o.fake.host))
  assert.equal((await o.around.gather(ask, rotated)).state, 'found')
  const unchanged = access('old', o.fake.host)
  assert.equal((await o.around.gather(ask, unchanged)).state, 'unknown')
})

test('so is one that refuses a tag, or the manifests of an image’s platforms', async () => {
  await using o = await opened()
  o.fake.protect('app', { scheme: 'basic', username: 'puller', password: 's3cret' })
  const rotated = access('old', o.fake.host, async () => access('s3cret', o.fake.host))
  const digest = o.image.digest
  assert.deepEqual(await o.around.resolve(o.reference, rotated, 5000), { ok: true, value: digest })
  assert.deepEqual(await o.around.platforms({ ...o.reference, digest }, rotated), { ok: true, value: [] })
  const unchanged = access('old', o.fake.host)
  const refused = await o.around.resolve(o.reference, unchanged, 5000)
  assert.equal(refused.ok === false && refused.reason.code, 'registry-refused')
  assert.deepEqual(refused.ok === false && refused.tried, ['Secret demo/s', 'anonymous'])
  assert.equal((await o.around.platforms({ ...o.reference, digest }, unchanged)).ok, false)
})

test('under pressure a few places are looked into, the others are not known; without it all are', async () => {
  let level: PressureLevel = 'high'
  await using o = await opened(0, () => level)
  const lookInto = (): Promise<string[]> =>
    Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const ask: Ask = {
          ask: 'signatures-by-tag',
          place: { ...o.reference, repository: `app${i}` },
          digest: o.image.digest,
          tagPrefix: '',
          credentials: { of: 'workload' },
        }
        const found = await o.around.gather(ask, access())
        return found.state === 'unknown' ? found.reason.code : found.state
      }),
    )
  const told = await lookInto()
  assert.deepEqual([told.filter((t) => t === 'absent').length, told.filter((t) => t === 'under-pressure').length], [8, 12])
  assert.equal((await lookInto()).filter((t) => t === 'absent').length, 8, 'those that ended make room')
  level = 'none'
  assert.ok((await lookInto()).every((t) => t === 'absent'))
})
