import { createHash } from 'node:crypto'
import { json } from '@sigstore/core'
import type { Signer } from '../signer.ts'
import { makeSigner, signBytes } from '../signer.ts'
import { spkiOf } from './certificate.ts'
import type { SigningFault } from './fault.ts'
import { inclusionPath, leafHash, treeHash } from './merkle.ts'
import { checkpointText, noteKeyHash, signNote } from './signed-note.ts'

const OTHERS = 5 // entries of others that lie in a log before ours, so that no proof is trivial
const FORMER_SHARD = 1000 // entries of a former shard: a v1 log counts them, its tree does not
const TREE_ID = 0x1178_3361_0c5b_0a29n

/** An entry as the log hands it out; everything about it can be checked with the log's key. */
export type LoggedEntry = {
  readonly body: Buffer
  readonly kind: { readonly kind: string; readonly version: string }
  readonly logId: Buffer
  /** Among all of the log's entries. */
  readonly index: number
  /** Seconds since 1970; undefined in a v2 log, which knows no time. */
  readonly integratedTime: number | undefined
  /** The signed entry timestamp of a v1 log. */
  readonly promise: Buffer | undefined
  readonly proof:
    | {
        readonly index: number
        readonly size: number
        readonly root: Buffer
        readonly path: readonly Buffer[]
        readonly checkpoint: string
      }
    | undefined
}

/** Rekor v1 (promises, integrated times, ECDSA) or v2 (checkpoints only, Ed25519 unless told otherwise). */
export class TransparencyLog {
  readonly version: 'v1' | 'v2'
  readonly key: Signer
  readonly url: string
  readonly #name: string
  readonly #bodies: { readonly body: Buffer; readonly at: number }[] = []
  readonly #leaves: Buffer[] = []

  constructor(version: 'v1' | 'v2', name: string, key: Signer = makeSigner(version === 'v1' ? 'p256' : 'ed25519')) {
    this.version = version
    this.key = key
    this.#name = name
    this.url = `https://${name}`
    for (let i = 0; i < OTHERS; i++) this.#add(Buffer.from(`{"entry":${i},"of":"somebody else"}`), 0)
  }

  /** Rekor v1: SHA-256 of the key. Rekor v2: what a signed note's key ID is the beginning of. */
  get id(): Buffer {
    return this.version === 'v1' ? createHash('sha256').update(spkiOf(this.key)).digest() : noteKeyHash(this.#name, this.key)
  }

  /** Adds an entry at `at` (ms since 1970) and hands it out. */
  append(body: Buffer, at: number, faults: ReadonlySet<SigningFault> = new Set()): LoggedEntry {
    return this.#entry(this.#add(body, at), faults)
  }

  /** The entries whose body `matches`, proven in the tree as it is now; `uuid` as Rekor v1 names them. */
  find(
    matches: (body: Buffer) => boolean,
    faults: ReadonlySet<SigningFault> = new Set(),
  ): readonly { readonly uuid: string; readonly entry: LoggedEntry }[] {
    return this.#bodies.flatMap(({ body }, i) => {
      if (!matches(body)) return []
      return [{ uuid: TREE_ID.toString(16).padStart(16, '0') + leafHash(body).toString('hex'), entry: this.#entry(i, faults) }]
    })
  }

  #add(body: Buffer, at: number): number {
    this.#leaves.push(leafHash(body))
    return this.#bodies.push({ body, at }) - 1
  }

  #entry(place: number, faults: ReadonlySet<SigningFault>): LoggedEntry {
    const { body, at } = this.#bodies[place] ?? { body: Buffer.alloc(0), at: 0 }
    const { kind, apiVersion } = JSON.parse(body.toString()) as { kind?: string; apiVersion?: string }
    const isV1 = this.version === 'v1'
    const index = isV1 ? FORMER_SHARD + place : place
    const integratedTime = isV1 ? Math.floor(at / 1000) : undefined
    const promised = { body: body.toString('base64'), integratedTime, logID: this.id.toString('hex'), logIndex: index }
    const promiser = faults.has('promise-by-another-key') ? makeSigner('p256') : this.key
    const promise = isV1 ? signBytes(promiser, Buffer.from(json.canonicalize(promised))) : undefined
    return {
      body,
      kind: { kind: kind ?? '', version: apiVersion ?? '' },
      logId: this.id,
      index: faults.has('log-index-tampered') ? index + 1 : index,
      integratedTime: integratedTime !== undefined && faults.has('integrated-time-tampered') ? integratedTime + 60 : integratedTime,
      promise: faults.has('promise-missing') ? undefined : promise,
      proof: faults.has('proof-missing') ? undefined : this.#proof(place, faults),
    }
  }

  #proof(index: number, faults: ReadonlySet<SigningFault>): NonNullable<LoggedEntry['proof']> {
    const size = this.#leaves.length
    const root = treeHash(this.#leaves)
    const path = inclusionPath(index, this.#leaves)
    if (faults.has('merkle-path-wrong')) path[0] = leafHash(Buffer.from('another entry'))
    const origin = this.version === 'v1' ? `${this.#name} - ${TREE_ID}` : this.#name
    const signed = faults.has('checkpoint-of-another-root') ? leafHash(Buffer.from('another tree')) : root
    const signer = faults.has('checkpoint-by-another-key') ? makeSigner(this.key.type) : this.key
    // Under the true key's ID: it is the signature that must not verify.
    const checkpoint = signNote(checkpointText({ origin, size, root: signed }), this.#name, signer, noteKeyHash(this.#name, this.key))
    return { index, size, root, path, checkpoint }
  }
}
