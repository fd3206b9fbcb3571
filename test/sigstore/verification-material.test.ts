import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSigner } from '../../fakes/signer.ts'
import { SIGNED_AT, Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { CERTIFICATE_ANNOTATION, CHAIN_ANNOTATION, LOG_ANNOTATION, TIMESTAMP_ANNOTATION } from '../../src/sigstore/annotations.ts'
import { readBundle } from '../../src/sigstore/bundle.ts'
import { annotated, bundled } from '../../src/sigstore/verification-material.ts'

const sigstore = await Sigstore.create({ now: SIGNED_AT })
const digest = `sha256:${'ab'.repeat(32)}`

function counted({ certificates, timestamps, entries }: ReturnType<typeof annotated>) {
  return [
    certificates?.ok && 1 + certificates.value.links.length,
    timestamps.filter((t) => t.ok).length,
    entries.filter((e) => e.ok).length,
  ]
}

test('annotations hold a certificate and its chain, a timestamp and a log entry; an empty one holds nothing', () => {
  const { annotations } = sigstore.signImage({ digest, form: 'annotations', timestamp: true })
  assert.deepEqual(counted(annotated(annotations)), [3, 1, 1])
  const empty = Object.fromEntries(
    [CERTIFICATE_ANNOTATION, CHAIN_ANNOTATION, LOG_ANNOTATION, TIMESTAMP_ANNOTATION].map((name) => [name, '']),
  )
  for (const none of [empty, {}]) assert.deepEqual(counted(annotated(none)), [undefined, 0, 0])
})

test('what cannot be read is a reason, and not absent', () => {
  const nonsense = Object.fromEntries([CERTIFICATE_ANNOTATION, LOG_ANNOTATION, TIMESTAMP_ANNOTATION].map((name) => [name, 'nonsense']))
  const { certificates, timestamps, entries } = annotated(nonsense)
  assert.deepEqual([certificates?.ok, timestamps.map((t) => t.ok), entries.map((e) => e.ok)], [false, [false], [false]])
})

test('lesson 38: a chain of more certificates than any signature needs is refused', () => {
  const { annotations } = sigstore.signImage({ digest, form: 'annotations' })
  const endless = { ...annotations, [CHAIN_ANNOTATION]: (annotations[CHAIN_ANNOTATION] ?? '').repeat(8) }
  assert.equal(annotated(endless).certificates?.ok, false)
})

for (const [what, options, count] of [
  ['0.1 holds a chain', { version: '0.1' }, [2, 0, 1]],
  ['0.3 holds a certificate', { version: '0.3', timestamp: true }, [1, 1, 1]],
  ['by key holds none', { signer: makeSigner(), log: 'none' }, [undefined, 0, 0]],
] as const) {
  test(`a bundle ${what}`, () => {
    const bundle = readBundle(Buffer.from(JSON.stringify(sigstore.signImage({ digest, form: 'bundle', ...options }).bundle)))
    assert.ok(bundle.ok)
    assert.deepEqual(counted(bundled(bundle.value)), count)
  })
}
