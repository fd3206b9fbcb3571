import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leafHash, rootOfProof } from '../../src/sigstore/merkle.ts'
import { hashOf, pathOf, treeHash } from './log.ts'

const leaves = Array.from({ length: 33 }, (_, i) => hashOf(0, Buffer.from(`entry ${i}`)))

test('the hash of a leaf is that of RFC 9162: SHA-256 of a zero byte and the entry', () => {
  assert.equal(leafHash(Buffer.alloc(0)).toString('hex'), '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d')
  assert.deepEqual(leafHash(Buffer.from('entry 7')), leaves[7])
})

test('the audit path of every leaf of every tree of 1 to 33 leaves leads to its root', () => {
  for (let size = 1; size <= leaves.length; size++) {
    const tree = leaves.slice(0, size)
    const root = treeHash(tree)
    for (const [index, leaf] of tree.entries()) assert.deepEqual(rootOfProof(leaf, index, size, pathOf(index, tree)), root)
  }
})

test('a path leads to the root from its own leaf at its own index only, and with all of its hashes only', () => {
  for (const size of [1, 2, 7, 8, 21, 32, 33]) {
    const tree = leaves.slice(0, size)
    const root = treeHash(tree)
    for (const [index, leaf] of tree.entries()) {
      const path = pathOf(index, tree)
      const isRoot = (...proof: Parameters<typeof rootOfProof>): boolean => rootOfProof(...proof)?.equals(root) ?? false
      assert.ok(!isRoot(hashOf(0, Buffer.from('another entry')), index, size, path))
      for (let other = 0; other <= size; other++) {
        if (other !== index) assert.ok(!isRoot(leaf, other, size, path), `${index} of ${size} is not ${other}`)
      }
      assert.ok(!isRoot(leaf, index, size, path.slice(0, -1)) || path.length === 0)
      assert.ok(!isRoot(leaf, index, size, [...path, root]))
      for (let i = 0; i < path.length; i++) assert.ok(!isRoot(leaf, index, size, path.with(i, hashOf(0, Buffer.from('x')))))
    }
  }
})

test('a node is no leaf: what hashes to an inner node proves nothing', () => {
  const [a, b, c] = leaves as [Buffer, Buffer, Buffer]
  const inner = Buffer.concat([a, b])
  assert.notDeepEqual(rootOfProof(leafHash(inner), 0, 2, [c]), treeHash([a, b, c]))
})

test('indexes and sizes up to 2^53 - 1 are exact, and a proof has at most 64 hashes', () => {
  const size = Number.MAX_SAFE_INTEGER
  const path = Array.from({ length: 53 }, () => leafHash(Buffer.from('x')))
  const [leaf] = leaves as [Buffer]
  const roots = [0, 1, size - 2].map((index) => rootOfProof(leaf, index, size, path)?.toString('hex'))
  assert.equal(new Set(roots).size, 3)
  assert.ok(!roots.includes(undefined))
  assert.equal(rootOfProof(leaf, 0, size, [...path, ...path]), undefined)
})

for (const [title, index, size] of [
  ['a negative index', -1, 3],
  ['an index that the tree does not have', 3, 3],
  ['an empty tree', 0, 0],
] as const) {
  test(`there is no root for ${title}`, () => assert.equal(rootOfProof(hashOf(0), index, size, []), undefined))
}
