import type { KeyObject } from 'node:crypto'
import { createHash, verify } from 'node:crypto'
import type { LogKey } from '../trust/material.ts'
import { decodeBase64 } from './base64.ts'

const MAX_CHECKPOINT_CHARACTERS = 64 * 1024 // the log's signature has 200, each of its witnesses' as many
const MAX_SIGNATURES = 32 // the specification demands 16; only the first one of the log is ever verified
const MAX_SIGNATURE_BYTES = 8 * 1024 // RSA 16384 has 2 KiB, the largest of post-quantum ones 5 KiB

/** A line under a note: `— <name> <base64 of key ID and signature>`. */
type NoteSignature = { readonly name: string; readonly keyId: Buffer; readonly signature: Buffer }

/** What a log says of its tree, read; nobody believes it yet. */
export type Checkpoint = {
  readonly origin: string
  /** Leaves of the tree. */
  readonly size: number
  readonly root: Buffer
  /** What the signatures are over: the text with its last newline. */
  readonly signed: Buffer
  readonly signatures: readonly NoteSignature[]
}

/**
 * Reads a checkpoint (C2SP tlog-checkpoint, a signed-note): origin, tree size, base64 root hash and extension lines, an empty line, then
 * signatures. At most 64 Ki characters and 32 signatures. Answers what is wrong as text; never throws.
 */
export function readCheckpoint(note: string): Checkpoint | string {
  if (note.length > MAX_CHECKPOINT_CHARACTERS)
    return `size of checkpoint (${note.length}) exceeded the limit (${MAX_CHECKPOINT_CHARACTERS})`
  // The last empty line divides: the text itself may hold others.
  const divide = note.lastIndexOf('\n\n')
  if (divide < 0 || !note.endsWith('\n')) return 'the checkpoint is not a signed note'
  const [origin, size, root] = note.slice(0, divide).split('\n')
  if (!origin || size === undefined || root === undefined) return 'the checkpoint has no origin, tree size and root hash'
  const leaves = /^(?:0|[1-9][0-9]{0,15})$/.test(size) ? Number(size) : Number.NaN
  if (!Number.isSafeInteger(leaves)) return 'the tree size of the checkpoint is not a number up to 2^53'
  const hash = decodeBase64(root)
  if (!hash.ok || hash.bytes.length !== 32) return 'the root hash of the checkpoint is not a SHA-256 digest'
  const lines = note.slice(divide + 2, -1).split('\n')
  if (lines.length > MAX_SIGNATURES) return `number of signatures (${lines.length}) exceeded the limit (${MAX_SIGNATURES})`
  const signatures: NoteSignature[] = []
  for (const line of lines) {
    const signature = readSignature(line)
    if (!signature) return 'a signature of the checkpoint is malformed'
    signatures.push(signature)
  }
  return { origin, size: leaves, root: hash.bytes, signed: Buffer.from(note.slice(0, divide + 1)), signatures }
}

function readSignature(line: string): NoteSignature | undefined {
  const [, name, base64] = /^— ([^ +]+) ([A-Za-z0-9+/=]+)$/.exec(line) ?? []
  const decoded = name === undefined || base64 === undefined ? undefined : decodeBase64(base64)
  if (name === undefined || !decoded?.ok) return undefined
  const { bytes } = decoded
  return bytes.length > 4 && bytes.length <= MAX_SIGNATURE_BYTES
    ? { name, keyId: bytes.subarray(0, 4), signature: bytes.subarray(4) }
    : undefined
}

/**
 * Why `log` did not sign the checkpoint; undefined: it did. The first signature under the key ID of the log decides, as the specification of
 * signed notes has it; those of others (witnesses) are passed over.
 */
export function whyNotSignedBy(checkpoint: Checkpoint, log: LogKey): string | undefined {
  for (const { name, keyId, signature } of checkpoint.signatures) {
    if (!noteIds(checkpoint, name, log).some((id) => id.subarray(0, 4).equals(keyId))) continue
    return isSignedBy(log, checkpoint.signed, signature) ? undefined : 'the signature of the checkpoint is not one of the log'
  }
  return 'the checkpoint is not signed by the log'
}

/** Whether `id`, lower-case hex, is what the log is called by: SHA-256 of its key (Rekor v1), or what the key IDs of its checkpoint begin (Rekor v2). */
export function isNamed(id: string, log: LogKey, checkpoint: Checkpoint | undefined): boolean {
  if (id === log.id) return true
  if (!checkpoint) return false
  return noteIds(checkpoint, checkpoint.origin, log).some((noteId) => noteId.toString('hex') === id)
}

/**
 * What the four bytes of a key ID are the beginning of, for this log as the signer `name`. Rekor v1, and ECDSA everywhere: SHA-256 of the
 * key alone. Ed25519: over name, newline, 0x01 and key, and then the log's name must be the origin that it signs.
 */
function noteIds(checkpoint: Checkpoint, name: string, log: LogKey): readonly Buffer[] {
  const ofKey = Buffer.from(log.id, 'hex')
  if (log.key.asymmetricKeyType !== 'ed25519' || name !== checkpoint.origin) return [ofKey]
  return [ofKey, createHash('sha256').update(`${name}\n\u0001`).update(ed25519Bytes(log.key)).digest()]
}

// A function of the key, which OpenSSL takes long to write; it goes when the key does.
const written = new WeakMap<KeyObject, Buffer>()

/** The 32 bytes of RFC 8032: the end of its SubjectPublicKeyInfo. */
function ed25519Bytes(key: KeyObject): Buffer {
  const bytes = written.get(key) ?? key.export({ format: 'der', type: 'spki' }).subarray(-32)
  written.set(key, bytes)
  return bytes
}

/**
 * Whether the log made `signature`: ECDSA in DER, RSA by PKCS#1 v1.5, Ed25519 over the bytes themselves. ECDSA is over the digest of the curve or,
 * as Rekor v1 itself signs whatever its curve is (specification 7.3, step 2), over SHA-256.
 */
export function isSignedBy({ key, hash }: LogKey, bytes: Uint8Array, signature: Uint8Array): boolean {
  // Without a digest Node would silently take SHA-256.
  if ((hash === null) !== (key.asymmetricKeyType === 'ed25519')) return false
  try {
    return (
      verify(hash, bytes, key, signature) ||
      (key.asymmetricKeyType === 'ec' && hash !== 'sha256' && verify('sha256', bytes, key, signature))
    )
  } catch {
    return false
  }
}
