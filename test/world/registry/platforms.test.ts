import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeSigner, signOldForm, signatureManifest } from '../../../fakes/signer.ts'
import { explain } from '../../../src/verdict/explain.ts'
import { about, Desk, pod } from '../../desk.ts'

const signer = makeSigner()
const INDEX = 'application/vnd.oci.image.index.v1+json'
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const official = { name: 'official', key: { data: signer.pem } }

type Entry = { readonly digest: string; readonly size: number; readonly os?: string; readonly mediaType?: string }

/** A desk that asks for each platform, with an index `registry.example/app` that is signed. */
async function opened(settings: Readonly<Record<string, string>> = { 'verify-platform-manifests': 'true' }) {
  const desk = await Desk.open({ policies: { p: about(official) }, settings })
  const sign = (digest: `sha256:${string}`): void => desk.push('app', signatureManifest(digest, [signOldForm(signer, digest)]))
  const index = (entries: readonly Entry[]) =>
    desk.fake.manifest(
      'app',
      {
        schemaVersion: 2,
        mediaType: INDEX,
        manifests: entries.map(({ digest, size, os = 'linux', mediaType = MANIFEST }) => ({
          mediaType,
          digest,
          size,
          platform: { os, architecture: os === 'unknown' ? os : 'amd64' },
        })),
      },
      'index',
      INDEX,
    )
  const admitted = async (digest: string) => desk.validate(pod(`registry.example/app@${digest}`))
  return { desk, sign, index, admitted }
}

describe('verify-platform-manifests', () => {
  test('admits an index of which each platform is signed, and refuses it when one is not, naming that', async () => {
    const { desk, sign, index, admitted } = await opened()
    await using _ = desk
    const [amd64, arm64] = [desk.image('app', 'amd64'), desk.image('app', 'arm64')]
    const both = index([amd64, arm64])
    sign(both.digest)
    sign(amd64.digest)
    const { allowed, message, admission } = await admitted(both.digest)
    assert.equal(allowed, false)
    assert.ok(admission.decision)
    const told = explain(admission.decision)
      .split('\n')
      .filter((line) => line.includes('policy p'))
    assert.deepEqual(
      told.map((line) => line.replace(/ +policy /, ' ').replace(/: each of these must pass$/, '')),
      ['fail p', `pass p about ${both.digest}`, `pass p about ${amd64.digest}`, `fail p about ${arm64.digest}`],
    )
    assert.match(message, new RegExp(`for registry\\.example/app@${arm64.digest}: no signatures found$`))
    sign(arm64.digest)
    assert.equal((await admitted(both.digest)).allowed, true)
    const asked = desk.fake.seen.length
    assert.equal((await admitted(both.digest)).allowed, true)
    assert.equal(desk.fake.seen.length, asked, 'and remembers it')
  })

  test('without it a signature of the index suffices, and of a platform alone does not', async () => {
    const { desk, sign, index, admitted } = await opened({})
    await using _ = desk
    const platform = desk.image('app', 'amd64')
    const image = index([platform])
    sign(platform.digest)
    assert.equal((await admitted(image.digest)).allowed, false)
    sign(image.digest)
    assert.equal((await admitted(image.digest)).allowed, true)
  })

  test('asks for the index’s own signature as well', async () => {
    const { desk, sign, index, admitted } = await opened()
    await using _ = desk
    const platform = desk.image('app', 'amd64')
    const image = index([platform])
    sign(platform.digest)
    assert.equal((await admitted(image.digest)).allowed, false)
  })

  test('follows an index in an index', async () => {
    const { desk, sign, index, admitted } = await opened()
    await using _ = desk
    const hidden = desk.image('app', 'hidden')
    const inner = index([hidden])
    const outer = index([{ ...inner, mediaType: INDEX }])
    for (const { digest } of [inner, outer]) sign(digest)
    assert.equal((await admitted(outer.digest)).allowed, false)
    sign(hidden.digest)
    assert.equal((await admitted(outer.digest)).allowed, true)
  })

  test('passes over what is for no platform, where builders put attestations', async () => {
    const { desk, sign, index, admitted } = await opened()
    await using _ = desk
    const [platform, attestation] = [desk.image('app', 'amd64'), desk.image('app', 'attestation')]
    const image = index([platform, { ...attestation, os: 'unknown' }])
    for (const { digest } of [platform, image]) sign(digest)
    assert.equal((await admitted(image.digest)).allowed, true)
  })

  test('changes nothing for an image of one platform', async () => {
    const { desk, sign, admitted } = await opened()
    await using _ = desk
    const image = desk.image('app', 'single')
    assert.equal((await admitted(image.digest)).allowed, false)
    sign(image.digest)
    assert.equal((await admitted(image.digest)).allowed, true)
  })

  test('refuses what it cannot find out, and says so', async () => {
    const { desk, sign, index, admitted } = await opened()
    await using _ = desk
    const gone = index([{ digest: `sha256:${'e'.repeat(64)}`, size: 2 }])
    sign(gone.digest)
    const { allowed, codes } = await admitted(gone.digest)
    assert.deepEqual([allowed, codes.includes('platform-manifests-unknown')], [false, true])

    const many = index(Array.from({ length: 65 }, (_entry, i) => ({ digest: `sha256:${String(i).padStart(64, '0')}`, size: 2 })))
    sign(many.digest)
    const bounded = await admitted(many.digest)
    assert.match(bounded.message, /number of manifests \(65\) exceeded the limit \(64\)/)
  })
})
