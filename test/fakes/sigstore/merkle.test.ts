import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { inclusionPath, leafHash, treeHash } from '../../../fakes/sigstore/merkle.ts'

// The tree that certificate-transparency implementations test with (RFC 6962 does not publish one).
const ENTRIES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const leaves = ENTRIES.map((hex) => leafHash(Buffer.from(hex, 'hex')))

test('the hashes of the known tree come out', () => {
  assert.equal(treeHash([]).toString('hex'), createHash('sha256').digest('hex'))
  assert.equal(leaves[0]?.toString('hex'), '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d')
  assert.equal(treeHash(leaves).toString('hex'), '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328')
})

test('the known path of the first of eight leaves comes out', () => {
  assert.deepEqual(
    inclusionPath(0, leaves).map((hash) => hash.toString('hex')),
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  )
})
