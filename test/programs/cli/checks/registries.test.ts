import { deepEqual, match } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { FakeRegistry } from '../../../../fakes/registry.ts'
import { makeSigner } from '../../../../fakes/signer.ts'
import { registries } from '../../../../programs/cli/checks/registries.ts'
import { keychainOf } from '../../../../src/world/registry/keychain.ts'
import { NO_CREDENTIALS } from '../../../../src/world/registry/own-credentials.ts'
import type { Ward } from './ward.ts'
import { pod, sound, ward } from './ward.ts'

const keychain = keychainOf([], NO_CREDENTIALS, Buffer.alloc(32))
if (!keychain.ok) throw new Error('no keychain')
const anonymous = { keychain: keychain.value, scope: keychain.value.scope, renewed: async () => undefined }

/** A cluster whose namespace `shop` runs this image of a registry, with the credentials of nobody. */
async function running(t: TestContext, fake: FakeRegistry, image: string): Promise<Ward> {
  const one = await ward(t, sound().set('Pod app', pod('app', image, 'shop')))
  one.patient = { ...one.patient, access: async () => ({ ok: true, value: anonymous }) }
  t.after(() => fake.close())
  return one
}

test('a registry that has what runs is well', async (t) => {
  const fake = await FakeRegistry.start()
  const { digest } = fake.manifest('team/app', { schemaVersion: 2, layers: [] })
  const one = await running(t, fake, `${fake.host}/team/app@${digest}`)
  deepEqual(await one.found(registries), [`ok: ${fake.host}, for team/app of shop/app`])
})

test('one that asks for other credentials is told, with those that were tried', async (t) => {
  const fake = await FakeRegistry.start()
  fake.protect('team/app', { scheme: 'basic', username: 'puller', password: 's3cret' })
  const one = await running(t, fake, `${fake.host}/team/app:v1`)
  match((await one.found(registries))[0] ?? '', /^wrong: .*, for team\/app of shop\/app: .*UNAUTHORIZED.*; tried, in order: anonymous/)
})

test('one that does not have it any more is a warning, one that is not there is wrong', async (t) => {
  const fake = await FakeRegistry.start()
  const one = await running(t, fake, `${fake.host}/team/app:v1`)
  match((await one.found(registries))[0] ?? '', /^warning: .*, for team\/app of shop\/app: .*MANIFEST_UNKNOWN/)
  one.cluster.store.put(pod('app', 'localhost:1/team/app:v1', 'shop'))
  const again = await ward(t, sound().set('Pod app', pod('app', 'localhost:1/team/app:v1', 'shop')))
  again.patient = { ...again.patient, access: one.patient.access }
  match((await again.found(registries))[0] ?? '', /^wrong: localhost:1, for team\/app of shop\/app: .*connection refused/)
})

test('where a policy has its signatures is asked too, with the Secrets that it names', async (t) => {
  const fake = await FakeRegistry.start()
  t.after(() => fake.close())
  const source = [{ oci: `${fake.host}/signatures`, signaturePullSecrets: [{ name: 'pull' }] }]
  const spec = { images: [{ glob: '**' }], authorities: [{ key: { data: makeSigner().pem }, source }] }
  const one = await ward(t, sound(), { policies: new Map([['p', { metadata: { name: 'p' }, spec }]]) })
  deepEqual(await one.found(registries), [`wrong: ${fake.host}/signatures, where p has signatures: nobody has any`])
  one.patient = { ...one.patient, access: async () => ({ ok: true, value: anonymous }) }
  deepEqual(await one.found(registries), [`ok: ${fake.host}/signatures, where p has signatures`])
})

test('of files only what policies name is asked', async (t) => {
  const one = await ward(t)
  one.patient = { ...one.patient, reader: undefined }
  deepEqual(await one.found(registries), [])
})
