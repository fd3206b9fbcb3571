import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Put } from '../../../fakes/registry-content.ts'
import { FakeRegistry } from '../../../fakes/registry.ts'
import type { Pushed } from '../../../fakes/signer.ts'
import { bundleReferrer, makeSigner, signatureManifest, signatureReferrer, signBundle, signOldForm } from '../../../fakes/signer.ts'
import { Memory } from '../../../src/world/memory.ts'
import { NO_PROXY } from '../../../src/world/network/proxy.ts'
import type { RegistryAccess } from '../../../src/world/registry/credentials.ts'
import { gather } from '../../../src/world/registry/gather.ts'
import { keychainOf } from '../../../src/world/registry/keychain.ts'
import { NO_CREDENTIALS } from '../../../src/world/registry/own-credentials.ts'
import { Registry } from '../../../src/world/registry/registry.ts'

const signer = makeSigner()
const keychain = keychainOf([], NO_CREDENTIALS, Buffer.alloc(32))
assert.ok(keychain.ok)
const access: RegistryAccess = { keychain: keychain.value, scope: keychain.value.scope, renewed: async () => undefined }

let fake: FakeRegistry
let registry: Registry
let memory: Memory
let repositories = 0
/** Told of each question to the memory and to the registry, while a test wants to know. */
let onStep: (step: 'memory' | 'registry') => void = () => {}
before(async () => {
  fake = await FakeRegistry.start()
  registry = new Registry({
    mirrors: [],
    insecureRegistries: [],
    ca: () => [],
    proxy: NO_PROXY,
    userAgent: 'sealgate-test',
    count: () => onStep('registry'),
  })
})
beforeEach(() => {
  onStep = () => {}
  memory = new Memory({ maxPassBytes: 1000, maxContentBytes: 1_000_000, count: () => onStep('memory') })
  fake.seen.length = 0
  fake.behave()
})
after(async () => {
  await registry.close()
  await fake.close()
})

function pushed(): { readonly image: Put; readonly repository: string; push(...all: readonly Pushed[]): void } {
  const repository = `app${repositories++}`
  const image = fake.manifest(repository, { schemaVersion: 2, layers: [], annotations: { repository } })
  return {
    image,
    repository,
    push(...all) {
      for (const { manifest, blobs, tag } of all) {
        for (const blob of blobs) fake.blob(repository, blob.bytes)
        fake.manifest(repository, manifest.bytes, tag, manifest.mediaType)
      }
    },
  }
}

function asked(ask: Parameters<typeof gather>[0]['ask'], repository: string, image: Put, tagPrefix = '') {
  const place = { registry: fake.host, repository }
  return gather(
    { ask, place, digest: image.digest, tagPrefix, credentials: { of: 'workload' } },
    access,
    registry,
    memory,
    AbortSignal.timeout(5_000),
  )
}

function textOf(content: object): string {
  return content instanceof Uint8Array ? Buffer.from(content).toString() : JSON.stringify(content)
}

describe('by tag', () => {
  test('every layer is a signature, with its annotations and payload', async () => {
    const { image, repository, push } = pushed()
    const signatures = [signOldForm(signer, image.digest), signOldForm(signer, image.digest, { optional: { a: 'b' } })]
    push(signatureManifest(image.digest, signatures, 'x-'))
    const found = await asked('signatures-by-tag', repository, image, 'x-')
    assert.equal(found.state, 'found')
    assert.deepEqual(found.state === 'found' && found.signatures.map((s) => [s.form, s.layer, s.form === 'annotations' && s.payload]), [
      ['annotations', 0, signatures[0]?.payload],
      ['annotations', 1, signatures[1]?.payload],
    ])
  })

  test('payloads that signatures share are fetched once, and not again the next time', async () => {
    const { image, repository, push } = pushed()
    push(
      signatureManifest(
        image.digest,
        [1, 2, 3].map(() => signOldForm(signer, image.digest)),
      ),
    )
    await asked('signatures-by-tag', repository, image)
    assert.equal(fake.seen.filter((s) => s.path.includes('/blobs/')).length, 1)
    await asked('signatures-by-tag', repository, image)
    assert.equal(fake.seen.filter((s) => s.path.includes('/blobs/')).length, 1)
  })

  test('others have their turn between the steps of reading hundreds of signatures, though all of them are remembered', async () => {
    const { image, repository, push } = pushed()
    const signatures = Array.from({ length: 400 }, (_, i) => signOldForm(signer, image.digest, { optional: { i } }))
    push(signatureManifest(image.digest, signatures))
    await asked('signatures-by-tag', repository, image)
    let turn = 0
    let isDone = false
    const others = (async () => {
      for (; !isDone; turn++) await setImmediate()
    })()
    const seen: { readonly step: string; readonly turn: number }[] = []
    onStep = (step) => seen.push({ step, turn })
    const found = await asked('signatures-by-tag', repository, image)
    const end = turn
    isDone = true
    await others
    assert.equal(found.state === 'found' && found.signatures.length, 400)
    const answered = seen.findLast(({ step }) => step === 'registry')?.turn ?? 0
    const looked = seen.filter(({ step }) => step === 'memory').map((s) => s.turn)
    assert.ok((looked[0] ?? 0) - answered >= 3, 'before the manifest is read, after it, and before the payloads are looked for')
    assert.ok(end - (looked.at(-1) ?? 0) >= 1, 'before the signatures are put together')
  })

  test('no tag is no signature', async () => {
    const { image, repository } = pushed()
    assert.deepEqual(await asked('signatures-by-tag', repository, image), { state: 'absent' })
  })

  test('an error of the registry is not known to be anything', async () => {
    const { image, repository } = pushed()
    fake.misbehave('.sig', { status: 403 })
    const found = await asked('signatures-by-tag', repository, image)
    assert.equal(found.state === 'unknown' && found.reason.code, 'registry-refused')
    assert.deepEqual(found.state === 'unknown' && found.tried, ['anonymous'])
  })

  test('a payload that cannot be fetched is the signature’s own trouble, and leaves its neighbours alone', async () => {
    const { image, repository, push } = pushed()
    const [first, second] = [signOldForm(signer, image.digest), signOldForm(signer, image.digest, { optional: { a: 'b' } })]
    push(signatureManifest(image.digest, [first, second]))
    fake.content.falsify(repository, fake.blob(repository, first.payload).digest, Buffer.from('other bytes'))
    const found = await asked('signatures-by-tag', repository, image)
    assert.deepEqual(found.state === 'found' && found.signatures.map((s) => s.form === 'annotations' && s.payload instanceof Uint8Array), [
      false,
      true,
    ])
  })

  for (const [what, content] of [
    ['text', Buffer.from('garbage')],
    ['an index', Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] }))],
  ] as const) {
    test(`a tag that holds ${what} does not pass for «no signatures»`, async () => {
      const { image, repository } = pushed()
      fake.manifest(repository, content, `sha256-${image.digest.slice(7)}.sig`, 'application/vnd.oci.image.index.v1+json')
      assert.equal((await asked('signatures-by-tag', repository, image)).state, 'unknown')
    })
  }
})

describe('by referrers', () => {
  test('bundles and signatures of the old form are found', async () => {
    const { image, repository, push } = pushed()
    push(bundleReferrer(image, signBundle(signer, image.digest)), signatureReferrer(image, [signOldForm(signer, image.digest)]))
    const found = await asked('signatures-by-referrers', repository, image)
    assert.deepEqual(found.state === 'found' && found.signatures.map((s) => s.form).toSorted(), ['annotations', 'bundle'])
  })

  test('a bundle of an attestation is not fetched', async () => {
    const { image, repository, push } = pushed()
    push(bundleReferrer(image, signBundle(signer, image.digest), 'https://slsa.dev/provenance/v1'))
    assert.deepEqual(await asked('signatures-by-referrers', repository, image), { state: 'absent' })
    assert.equal(fake.seen.filter((s) => s.path.includes('/blobs/')).length, 0)
  })

  test('other referrers do not count', async () => {
    const { image, repository } = pushed()
    fake.manifest(repository, {
      schemaVersion: 2,
      artifactType: 'application/spdx+json',
      config: fake.blob(repository, '{}'),
      layers: [],
      subject: image,
    })
    assert.deepEqual(await asked('signatures-by-referrers', repository, image), { state: 'absent' })
  })

  test('a referrer that cannot be read may be the signature, so nothing is known', async () => {
    const { image, repository, push } = pushed()
    push(bundleReferrer(image, signBundle(signer, image.digest)))
    fake.misbehave(({ path }) => path.includes('/manifests/sha256:'), { status: 403 })
    assert.equal((await asked('signatures-by-referrers', repository, image)).state, 'unknown')
  })

  test('of very many referrers a hundred are looked into, and the rest is told', async () => {
    const { image, repository, push } = pushed()
    for (let i = 0; i < 103; i++) push(bundleReferrer(image, signBundle(signer, image.digest, { predicate: { i } })))
    const found = await asked('signatures-by-referrers', repository, image)
    assert.deepEqual(found.state === 'found' && [found.signatures.length, found.beyond], [100, 3])
  })
})

const PROVENANCE = 'https://slsa.dev/provenance/v1'
const ENVELOPE = 'application/vnd.dsse.envelope.v1+json'

describe('attestations', () => {
  /** A manifest of envelopes, under the tag `.att` or as a referrer of the old form. */
  function envelopes(repository: string, image: Put, bodies: readonly (string | Buffer)[], more: object, tag?: string): void {
    const layers = bodies.map((body) => ({
      ...fake.blob(repository, body),
      mediaType: ENVELOPE,
      annotations: { 'dev.cosignproject.cosign/signature': '', 'predicateType': PROVENANCE },
    }))
    fake.manifest(
      repository,
      { schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config: fake.blob(repository, '{}'), layers, ...more },
      tag,
    )
  }
  const tagOf = (image: Put) => `sha256-${image.digest.slice(7)}.att`

  test('under the tag each layer is an envelope, with its annotations', async () => {
    const { image, repository } = pushed()
    envelopes(repository, image, ['{"one":1}', '{"two":2}'], {}, tagOf(image))
    const found = await asked('attestations-by-tag', repository, image)
    assert.deepEqual(
      found.state === 'found' &&
        found.signatures.map((s) => [
          s.layer,
          s.form === 'annotations' && textOf(s.payload),
          s.form === 'annotations' && s.annotations['predicateType'],
        ]),
      [
        [0, '{"one":1}', PROVENANCE],
        [1, '{"two":2}', PROVENANCE],
      ],
    )
  })

  test('signatures and attestations do not lie under one tag', async () => {
    const { image, repository, push } = pushed()
    push(signatureManifest(image.digest, [signOldForm(signer, image.digest)]))
    assert.deepEqual(await asked('attestations-by-tag', repository, image), { state: 'absent' })
    envelopes(repository, image, ['{}'], {}, tagOf(image))
    const found = await asked('signatures-by-tag', repository, image)
    assert.deepEqual(found.state === 'found' && found.signatures.length, 1)
  })

  test('among the referrers a bundle of any statement counts: a policy may ask for that of a signature', async () => {
    const { image, repository, push } = pushed()
    const attested = signBundle(signer, image.digest, { predicateType: PROVENANCE })
    const signed = signBundle(signer, image.digest)
    push(bundleReferrer(image, signed), bundleReferrer(image, attested, PROVENANCE))
    const found = await asked('attestations-by-referrers', repository, image)
    assert.deepEqual(found.state === 'found' && found.signatures.map((s) => s.form === 'bundle' && textOf(s.bytes)), [
      JSON.stringify(signed),
      JSON.stringify(attested),
    ])
  })

  test('referrers of the in-toto form are envelopes that nobody believes yet', async () => {
    const { image, repository } = pushed()
    envelopes(repository, image, ['{"unsigned":true}'], { artifactType: 'application/vnd.in-toto+json', subject: image })
    const found = await asked('attestations-by-referrers', repository, image)
    assert.deepEqual(found.state === 'found' && found.signatures.map((s) => [s.form, s.form === 'annotations' && textOf(s.payload)]), [
      ['annotations', '{"unsigned":true}'],
    ])
    assert.deepEqual(await asked('signatures-by-referrers', repository, image), { state: 'absent' })
  })

  test('what refers to another image does not count', async () => {
    const { image, repository } = pushed()
    const other = fake.manifest(repository, { schemaVersion: 2, layers: [], annotations: { other: 'image' } })
    envelopes(repository, image, ['{}'], { artifactType: 'application/vnd.in-toto+json', subject: other })
    assert.deepEqual(await asked('attestations-by-referrers', repository, image), { state: 'absent' })
  })

  test('signatures and attestations that are asked for together share one list and the manifests in it', async () => {
    const { image, repository, push } = pushed()
    push(
      bundleReferrer(image, signBundle(signer, image.digest)),
      bundleReferrer(image, signBundle(signer, image.digest, { predicateType: PROVENANCE }), PROVENANCE),
    )
    const both = await Promise.all([
      asked('signatures-by-referrers', repository, image),
      asked('attestations-by-referrers', repository, image),
    ])
    assert.deepEqual(
      both.map((found) => found.state === 'found' && found.signatures.length),
      [1, 2],
    )
    const paths = fake.seen.map((s) => s.path)
    assert.equal(new Set(paths).size, paths.length)
  })

  test('an attestation may be much larger than a signature, within a bound', async () => {
    const { image, repository } = pushed()
    const large = Buffer.alloc(3 * 1024 * 1024, ' ')
    envelopes(repository, image, [large], {}, tagOf(image))
    const found = await asked('attestations-by-tag', repository, image)
    assert.equal(
      found.state === 'found' && found.signatures[0]?.form === 'annotations' && (found.signatures[0].payload as Uint8Array).length,
      large.length,
    )
    const config = fake.blob(repository, '{}')
    const layers = [{ ...fake.blob(repository, '{"small":1}'), size: 17 * 1024 * 1024 }, fake.blob(repository, '{}')]
    fake.manifest(repository, { schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config, layers }, tagOf(image))
    const bounded = await asked('attestations-by-tag', repository, image)
    assert.deepEqual(
      bounded.state === 'found' && bounded.signatures.map((s) => s.form === 'annotations' && s.payload instanceof Uint8Array),
      [false, true],
    )
  })

  test('what one image has is bounded as a whole: the rest is not fetched, and told', async () => {
    const { image, repository } = pushed()
    const layers = Array.from({ length: 5 }, (_, i) => ({ ...fake.blob(repository, `{"n":${i}}`), size: 10 * 1024 * 1024 }))
    const small = fake.blob(repository, '{}')
    fake.manifest(
      repository,
      { schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config: small, layers: [...layers, small] },
      tagOf(image),
    )
    const found = await asked('attestations-by-tag', repository, image)
    assert.deepEqual(found.state === 'found' && [found.signatures.map((s) => s.layer), found.beyond], [[0, 1, 2, 5], 2])
  })

  test('lessons 36, 38: a large payload counts as often as it is named, since each time it is read and hashed anew', async () => {
    const { image, repository } = pushed()
    const large = { ...fake.blob(repository, '{"large":1}'), size: 15 * 1024 * 1024 }
    const small = fake.blob(repository, '{}')
    const layers = [...new Array<object>(998).fill(large), small]
    fake.manifest(
      repository,
      { schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config: small, layers },
      tagOf(image),
    )
    const found = await asked('attestations-by-tag', repository, image)
    assert.deepEqual(found.state === 'found' && [found.signatures.map((s) => s.layer), found.beyond], [[0, 1, 2, 3, 998], 994])
  })
})
