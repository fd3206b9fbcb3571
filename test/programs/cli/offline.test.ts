import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { FakeRegistry } from '../../../fakes/registry.ts'
import type { Offline } from '../../../programs/cli/offline.ts'
import { offline } from '../../../programs/cli/offline.ts'
import { parse } from '../../../programs/cli/parse.ts'
import { openLog } from '../../../programs/webhook/log.ts'
import { readReference } from '../../../src/image/reference.ts'
import { readManifests } from '../../../src/world/cluster/manifests.ts'
import type { Keychain } from '../../../src/world/registry/fetched.ts'

const image = readReference('registry.example/app:v1')!
const keychain: Keychain = { credentialsFor: () => [{ kind: 'anonymous', source: 'anonymous' }], scope: () => '' }
const log = openLog({ level: 'error', format: 'text', to: 'stderr' })

let folder: string
let fake: FakeRegistry
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealgate-offline-'))
  fake = await FakeRegistry.start()
  fake.manifest('app', { schemaVersion: 2, layers: [] }, 'v1')
  await writeFile(
    join(folder, 'policy.yaml'),
    'apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: { name: p }\nspec: { images: [{ glob: "**" }], authorities: [{ static: { action: pass } }] }\n',
  )
})
after(async () => {
  await fake.close()
  await rm(folder, { recursive: true })
})

async function during<Result>(use: (opened: Offline) => Promise<Result>): Promise<Result> {
  const parsed = parse('review', ['--manifests', folder, '--mirror', `registry.example=${fake.url}`], {})
  assert.ok(parsed.ok)
  const cluster = await readManifests(parsed.settings.manifests, { systemNamespace: 'cosign-system', log })
  return offline(parsed.settings, cluster, log, use)
}

async function isFound({ registry }: Offline): Promise<boolean> {
  return (await registry.manifest(image, 'v1', keychain, AbortSignal.timeout(5000))).state === 'found'
}

async function everyConnectionIsClosed(): Promise<boolean> {
  for (let tries = 0; tries < 500 && fake.connections > 0; tries++) await new Promise((resolve) => void setTimeout(resolve, 10))
  return fake.connections === 0
}

test('what a command answers with is open while it answers, and closed after', async () => {
  const names = await during(async (opened) => {
    assert.ok(await isFound(opened))
    assert.equal(fake.connections, 1)
    return opened.snapshot.policies.map(({ name }) => name)
  })
  assert.deepEqual(names, ['p'])
  assert.ok(await everyConnectionIsClosed())
})

test('it is closed too when the answer fails, and the failure is told', async () => {
  await assert.rejects(
    during(async (opened) => {
      assert.ok(await isFound(opened))
      throw new Error('no answer')
    }),
    /no answer/,
  )
  assert.ok(await everyConnectionIsClosed())
})
