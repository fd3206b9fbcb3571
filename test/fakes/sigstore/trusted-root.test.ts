import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import { merged } from '../../../fakes/sigstore/trusted-root.ts'

const sigstore = await Sigstore.create()

test('a trusted root names logs, authorities and when they serve', () => {
  const root = sigstore.trustedRoot()
  assert.deepEqual(
    root.tlogs.map(({ baseUrl }) => baseUrl),
    ['https://rekor.sigstore.example', 'https://log1.rekor.sigstore.example'],
  )
  assert.deepEqual(root.certificateAuthorities[0]?.['validFor'], { start: '2025-01-01T00:00:00.000Z' })
  assert.equal(sigstore.trustedRoot(['v1']).tlogs.length, 1)
})

test('what is rotated out has an end', async () => {
  const rotated = await Sigstore.create()
  rotated.rotate('authority')
  const periods = rotated.trustedRoot().certificateAuthorities.map(({ validFor }) => validFor)
  assert.deepEqual(periods, [{ start: '2025-01-01T00:00:00.000Z', end: '2026-01-01T00:00:00.000Z' }, { start: '2026-01-01T00:00:00.000Z' }])
})

test('merged roots have the parts of both', async () => {
  const both = merged(sigstore.trustedRoot(), (await Sigstore.create()).trustedRoot())
  assert.deepEqual(
    [both.tlogs, both.ctlogs, both.certificateAuthorities, both.timestampAuthorities].map(({ length }) => length),
    [4, 2, 2, 2],
  )
})
