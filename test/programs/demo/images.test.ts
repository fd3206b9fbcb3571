import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { FakeRegistry } from '../../../fakes/registry.ts'
import type { Filled } from '../../../programs/demo/images.ts'
import { fill, hosts, mirrorsTo } from '../../../programs/demo/images.ts'
import { readReference } from '../../../src/image/reference.ts'

let registry: FakeRegistry
let filled: Filled
before(async () => {
  registry = await FakeRegistry.start()
  filled = await fill(registry, Date.now())
})
after(() => registry.close())

async function status(path: string): Promise<number> {
  return (await fetch(`${registry.url}/v2/${path}`)).status
}

test('every example is in the registry, below the host that it stands for', async () => {
  for (const image of Object.values(filled.examples)) {
    const reference = readReference(image)
    assert.ok(reference?.digest, image)
    assert.equal(await status(`${reference.registry}/${reference.repository}/manifests/${reference.digest}`), 200, image)
    assert.ok(
      mirrorsTo(registry).some((mirror) => mirror.host === reference.registry && mirror.url === `${registry.url}/${reference.registry}`),
    )
  }
})

test('the unsigned ones have no signature, the others have', async () => {
  const signatureOf = async (name: string) => {
    const { registry: host, repository, digest = '' } = readReference(filled.examples[name] ?? '')!
    return status(`${host}/${repository}/manifests/${digest.replace(':', '-')}.sig`)
  }
  assert.deepEqual(await Promise.all(['cosign', 'cosign-fail', 'multi', 'moving-signed'].map(signatureOf)), [200, 200, 200, 200])
  assert.deepEqual(
    await Promise.all(['busybox', 'referred', 'bundled', 'released', 'moving-unsigned'].map(signatureOf)),
    [404, 404, 404, 404, 404],
  )
})

test('the tag that moves means another image each time', async () => {
  const digests = await Promise.all(
    [1, 2].map(async () => (await fetch(`${registry.url}/v2/${hosts[2]}/team/moving/manifests/v1`)).headers.get('docker-content-digest')),
  )
  assert.notEqual(digests[0], digests[1])
})
