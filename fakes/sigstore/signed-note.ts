import { createHash } from 'node:crypto'
import type { Signer } from '../signer.ts'
import { signBytes } from '../signer.ts'
import { spkiOf } from './certificate.ts'

/** The SHA-256 whose first four bytes are the key ID of a signed note: C2SP signed-note for Ed25519; for ECDSA that of the key alone. */
export function noteKeyHash(name: string, signer: Signer): Buffer {
  const spki = spkiOf(signer)
  const named = signer.type === 'ed25519' ? [Buffer.from(`${name}\n\u0001`), spki.subarray(-32)] : [spki]
  return createHash('sha256').update(Buffer.concat(named)).digest()
}

/** A signed note (C2SP). `id` is the key ID to write, by default that of the key. */
export function signNote(text: string, name: string, signer: Signer, id: Buffer = noteKeyHash(name, signer)): string {
  const signature = Buffer.concat([id.subarray(0, 4), signBytes(signer, Buffer.from(text))])
  return `${text}\n\u2014 ${name} ${signature.toString('base64')}\n`
}

export type Checkpoint = { readonly origin: string; readonly size: number; readonly root: Buffer }

/** The text of a checkpoint (C2SP tlog-checkpoint), ready for `signNote`. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`
}
