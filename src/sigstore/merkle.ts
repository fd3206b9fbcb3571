import { createHash } from 'node:crypto'

/** Hashes in an inclusion proof: as many as the bits of the largest size a log can have. */
export const MAX_PROOF_HASHES = 64
const LEAF = Buffer.of(0) // RFC 9162, section 2.1.1: so that no node is ever taken for a leaf
const NODE = Buffer.of(1)

/** The hash of a leaf of a log's Merkle tree (RFC 9162, section 2.1.1): of an entry's canonicalized body. */
export function leafHash(leaf: Uint8Array): Buffer {
  return createHash('sha256').update(LEAF).update(leaf).digest()
}

function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash('sha256').update(NODE).update(left).update(right).digest()
}

/**
 * The root of a tree of `size` leaves in which `leaf` is the hash at `index`, if `hashes` (leaf to root) are those beside its path: the
 * algorithm of RFC 9162, section 2.1.3.2. Undefined where they are too few, too many (above 64 always), or the tree has no such index.
 * `index` and `size` are integers, exact up to 2^53. It proves nothing until a log has signed that root with that size.
 */
export function rootOfProof(leaf: Uint8Array, index: number, size: number, hashes: readonly Uint8Array[]): Buffer | undefined {
  if (index < 0 || index >= size || hashes.length > MAX_PROOF_HASHES) return undefined
  let position = BigInt(index)
  let last = BigInt(size) - 1n
  let root: Buffer = Buffer.from(leaf)
  for (const hash of hashes) {
    if (last === 0n) return undefined
    if (isOdd(position) || position === last) {
      root = nodeHash(hash, root)
      // The last node of an incomplete level has no sibling until it is a right child.
      while (!isOdd(position) && position !== 0n) {
        position >>= 1n
        last >>= 1n
      }
    } else {
      root = nodeHash(root, hash)
    }
    position >>= 1n
    last >>= 1n
  }
  return last === 0n ? root : undefined
}

function isOdd(n: bigint): boolean {
  return (n & 1n) === 1n
}
