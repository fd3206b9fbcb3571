import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Updater } from 'tuf-js'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import type { TufOptions, TufServer } from '../../../fakes/sigstore/tuf.ts'
import { legacyTargets, trustedRootTarget, TufRepository } from '../../../fakes/sigstore/tuf.ts'

const folder = mkdtempSync(join(tmpdir(), 'tuf-'))
const servers: TufServer[] = []
after(async () => {
  await Promise.all(servers.map((server) => server.close()))
  rmSync(folder, { recursive: true })
})
const sigstore = await Sigstore.create()
const soon = Date.now() + 60 * 60 * 1000
const options: TufOptions = { now: Date.now(), targets: trustedRootTarget(sigstore) }

/** What tuf-js downloads as a target, beginning with the first root. */
async function downloaded(repository: TufRepository, name = 'trusted_root.json'): Promise<string> {
  const server = await repository.serve()
  servers.push(server)
  const metadataDir = mkdtempSync(join(folder, 'm-'))
  writeFileSync(join(metadataDir, 'root.json'), repository.root())
  const urls = { metadataBaseUrl: server.url, targetBaseUrl: `${server.url}/targets` }
  const updater = new Updater({ metadataDir, targetDir: metadataDir, ...urls, config: { fetchRetry: { retries: 0 } } })
  await updater.refresh()
  const info = await updater.getTargetInfo(name)
  if (!info) return 'no such target'
  return readFileSync(await updater.downloadTarget(info), 'utf8')
}

for (const keyType of ['ed25519', 'p256'] as const)
  for (const consistentSnapshot of [true, false])
    test(`an independent client reads a repository signed with ${keyType}${consistentSnapshot ? '' : ' without consistent snapshots'}`, async () => {
      const repository = new TufRepository({ ...options, keyType, consistentSnapshot })
      assert.deepEqual(JSON.parse(await downloaded(repository)), sigstore.trustedRoot())
    })

test('after keys are rotated and targets changed, the first root still leads to the newest', async () => {
  const repository = new TufRepository(options)
  repository.rotate()
  repository.rotate({ targets: { 'trusted_root.json': { bytes: Buffer.from('new') } } })
  repository.publish()
  assert.equal(await downloaded(repository), 'new')
})

test('a target that is delegated is found', async () => {
  const delegated = { role: 'registry', paths: ['team/*'], targets: { 'team/root.json': { bytes: Buffer.from('theirs') } } }
  assert.equal(await downloaded(new TufRepository({ ...options, delegated }), 'team/root.json'), 'theirs')
})

for (const role of ['timestamp', 'snapshot', 'targets', 'root'] as const)
  test(`expired ${role} metadata is refused by an independent client, and such that is about to is not`, async () => {
    await assert.rejects(downloaded(new TufRepository({ ...options, expires: { [role]: Date.now() - 1000 } })), /expired/i)
    await downloaded(new TufRepository({ ...options, expires: soon }))
  })

for (const broken of [
  'timestamp-by-another-key',
  'snapshot-by-another-key',
  'targets-by-another-key',
  'target-tampered',
  'target-missing',
  'snapshot-of-another-version',
] as const)
  test(`${broken}: an independent client refuses it`, async () => {
    await assert.rejects(downloaded(new TufRepository({ ...options, broken })))
  })

test('root-by-another-key: an independent client refuses a root that the former does not vouch for', async () => {
  const repository = new TufRepository(options)
  repository.rotate({ broken: 'root-by-another-key' })
  await assert.rejects(downloaded(repository))
})

test('targets of the older kind say what they are for', async () => {
  const repository = new TufRepository({ ...options, targets: legacyTargets(sigstore) })
  assert.match(await downloaded(repository, 'fulcio_intermediate.crt.pem'), /BEGIN CERTIFICATE/)
  const { signed } = JSON.parse(repository.files.get('1.targets.json')?.toString() ?? '') as {
    signed: { targets: Record<string, { custom: { sigstore: object } }> }
  }
  assert.deepEqual(Object.keys(signed.targets), ['fulcio_intermediate.crt.pem', 'fulcio.crt.pem', 'ctfe.pub', 'rekor.pub'])
  assert.deepEqual(signed.targets['rekor.pub']?.custom.sigstore, {
    usage: 'Rekor',
    status: 'Active',
    uri: 'https://rekor.sigstore.example',
  })
})

test('a server that misbehaves does so for the path it is told, and behaves again', async () => {
  const server = await new TufRepository(options).serve()
  servers.push(server)
  server.misbehave({ path: 'timestamp', status: 500 })
  assert.equal((await fetch(`${server.url}/timestamp.json`)).status, 500)
  assert.equal((await fetch(`${server.url}/1.root.json`)).status, 200)
  server.misbehave()
  assert.equal((await fetch(`${server.url}/timestamp.json`)).status, 200)
  assert.equal((await fetch(`${server.url}/9.root.json`)).status, 404)
  assert.equal(server.seen.length, 4)
})
