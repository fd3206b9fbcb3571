import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { legacyTargets } from '../../fakes/sigstore/tuf.ts'
import type { Json } from '../../src/image/json.ts'
import { whyUnreadable } from '../../src/trust/trust-root.ts'
import { readTrustedRoot } from '../../src/trust/trusted-root.ts'
import type { LegacyTarget } from '../../src/trust/tuf-target.ts'
import { materialOf, usageOf } from '../../src/trust/tuf-target.ts'

const sigstore = await Sigstore.create()

/** The targets of a Sigstore, as a client has them after downloading. */
function targets(): LegacyTarget[] {
  return Object.entries(legacyTargets(sigstore)).map(([file, { bytes, custom }]) => {
    const usage = usageOf(custom as Json)
    assert.ok(usage)
    return { file, bytes, ...usage }
  })
}

function why(found: readonly LegacyTarget[]): string {
  const read = materialOf(found, 'ours')
  assert.ok(!read.ok, 'it was read')
  assert.equal(read.reason.code, 'trust-root-unreadable')
  return whyUnreadable(read)
}

test('targets of the older kind say the same as a trusted root, but for periods', () => {
  const read = materialOf(targets(), 'ours')
  const newer = readTrustedRoot(JSON.stringify(sigstore.trustedRoot(['v1'])), 'ours')
  assert.ok(read.ok && newer.ok)
  const { certificateAuthorities, certificateLogs, transparencyLogs, timestampAuthorities, until } = read.value
  const ids = (logs: readonly { readonly id: string }[]): readonly string[] => logs.map(({ id }) => id)
  assert.deepEqual(ids(certificateLogs), ids(newer.value.certificateLogs))
  assert.deepEqual(ids(transparencyLogs), ids(newer.value.transparencyLogs))
  assert.deepEqual([timestampAuthorities, until], [[], undefined])
  const roots = certificateAuthorities.flatMap((ca) => ca.roots.map(({ root }) => root))
  assert.ok(
    newer.value.certificateAuthorities.every((ca) => ca.roots.every(({ root }) => roots.some((r) => r.toDER().equals(root.toDER())))),
  )
  const always = { from: 0, until: undefined }
  for (const { valid } of [...certificateAuthorities, ...certificateLogs, ...transparencyLogs]) assert.deepEqual(valid, always)
})

test('a certificate of an intermediate in a file of its own ends in the root of another file', () => {
  const read = materialOf(targets(), 'ours')
  assert.ok(read.ok)
  assert.ok(read.value.certificateAuthorities.length > 1)
  for (const { roots } of read.value.certificateAuthorities) assert.ok(roots.length > 0)
})

test('the URI of a target is that of the log or authority', () => {
  const read = materialOf(targets(), 'ours')
  assert.ok(read.ok)
  const [log] = sigstore.logs.v1
  assert.equal(read.value.transparencyLogs[0]?.url, log?.part.url)
})

for (const [custom, wanted] of [
  [{ sigstore: { usage: 'Fulcio', status: 'Active', uri: 'https://fulcio.example' } }, { usage: 'Fulcio', uri: 'https://fulcio.example' }],
  [{ sigstore: { usage: 'CTFE' } }, { usage: 'CTFE', uri: '' }],
  [{ sigstore: { usage: 'Rekor', uri: 7 } }, { usage: 'Rekor', uri: '' }],
  [{ sigstore: { usage: 'Rekor', uri: 'u'.repeat(9_000) } }, { usage: 'Rekor', uri: 'u'.repeat(2_048) }],
  [{ sigstore: { usage: 'TSA' } }, undefined],
  [{ sigstore: { usage: 'fulcio' } }, undefined],
  [{ sigstore: { usage: ['Fulcio'] } }, undefined],
  [{ sigstore: 'Fulcio' }, undefined],
  [{ usage: 'Fulcio' }, undefined],
  [undefined, undefined],
] as const)
  test(`${JSON.stringify(custom)?.slice(0, 70)} is ${wanted ? `for ${wanted.usage}` : 'nothing that is trusted'}`, () =>
    assert.deepEqual(usageOf(custom), wanted))

test('without a certificate authority nothing is trusted', () => {
  assert.equal(why(targets().filter(({ usage }) => usage !== 'Fulcio')), 'no certificate authorities found')
  assert.equal(why([]), 'no certificate authorities found')
})

for (const [usage, text, wanted] of [
  ['Fulcio', 'no PEM', /^deserializing certificate chain: broken: /],
  ['Fulcio', '', /^deserializing certificate chain: broken: /],
  ['Rekor', 'no PEM', /^creating transparency log instance: broken: /],
  ['CTFE', '', /^creating transparency log instance: broken: /],
] as const)
  test(`a ${usage} target that is ${JSON.stringify(text)} makes the whole root unreadable and is named: nothing is left out silently`, () =>
    assert.match(why([...targets(), { file: 'broken', usage, uri: '', bytes: Buffer.from(text) }]), wanted))

test('a certificate is no key of a log, and a key is no certificate', () => {
  const of = (usage: string): LegacyTarget => {
    const found = targets().find((t) => t.usage === usage)
    assert.ok(found)
    return found
  }
  assert.match(why([...targets(), { ...of('Fulcio'), usage: 'Rekor' }]), /^creating transparency log instance: /)
  assert.match(why([...targets(), { ...of('Rekor'), usage: 'Fulcio' }]), /^deserializing certificate chain: /)
})

test('intermediates alone lead nowhere', () => {
  const intermediates = targets().filter(({ usage, file }) => usage === 'Fulcio' && file.includes('intermediate'))
  assert.ok(intermediates.length > 0)
  assert.match(why(intermediates), /^deserializing certificate chain: .*no certificate of the chain is a root/)
})

test('whatever targets hold, a reason is the answer and never an exception', () => {
  const usage = fc.constantFrom('Fulcio' as const, 'CTFE' as const, 'Rekor' as const)
  fc.assert(
    fc.property(fc.array(fc.record({ file: fc.string(), usage, uri: fc.string(), bytes: fc.uint8Array() })), (found) => {
      assert.ok(!materialOf(found, 'ours').ok)
    }),
  )
  fc.assert(fc.property(fc.jsonValue(), (custom) => void usageOf(custom as Json)))
})
