import { createHash } from 'node:crypto'

/** The Merkle tree of RFC 6962, section 2.1, over SHA-256. */

export function leafHash(entry: Uint8Array): Buffer {
  return hashOf(0, entry)
}

function hashOf(prefix: 0 | 1, ...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256').update(Buffer.from([prefix]))
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** MTH of leaf hashes. */
export function treeHash(leaves: readonly Buffer[]): Buffer {
  const [only] = leaves
  if (only === undefined) return createHash('sha256').digest()
  if (leaves.length === 1) return only
  const half = split(leaves.length)
  return hashOf(1, treeHash(leaves.slice(0, half)), treeHash(leaves.slice(half)))
}

/** PATH(m, D[n]): the hashes that lead from leaf `index` to the root, the lowest first. */
export function inclusionPath(index: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length <= 1) return []
  const half = split(leaves.length)
  return index < half
    ? [...inclusionPath(index, leaves.slice(0, half)), treeHash(leaves.slice(half))]
    : [...inclusionPath(index - half, leaves.slice(half)), treeHash(leaves.slice(0, half))]
}

/** The largest power of two that is smaller than `size`. */
function split(size: number): number {
  return 2 ** Math.floor(Math.log2(size - 1))
}
