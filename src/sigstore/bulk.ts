import { createHash } from 'node:crypto'
import type { Hash, PublicKey } from '../trust/key.ts'
import { digestInTurns, whyNotSigned, whyNotSignedInTurns } from '../trust/key.ts'
import type { Read } from '../verdict/read.ts'
import type { Statement } from './statement.ts'
import { readStatement, readStatementInTurns } from './statement.ts'

const LITTLE = 16 * 1024 // bytes up to which nothing is gained by waiting for a turn

/** What is done with the whole of what was signed, however much it is. */
export interface Bulk {
  digest(hash: Hash, bytes: Uint8Array): Buffer
  /** Why the key did not sign `bytes`, in words; undefined: it did. */
  whyNotSigned(key: PublicKey, hash: Hash, bytes: Uint8Array, signature: Uint8Array): string | undefined
  statement(bytes: Uint8Array): Read<Statement>
}

const digests = new WeakMap<Uint8Array, Map<Hash, Buffer>>()

/** In one go, for what is not much. A digest is computed once: each of 32 log entries may speak of the same bytes. */
export const atOnce: Bulk = {
  digest(hash, bytes) {
    const known = digests.get(bytes) ?? new Map<Hash, Buffer>()
    digests.set(bytes, known)
    const digest = known.get(hash) ?? createHash(hash).update(bytes).digest()
    known.set(hash, digest)
    return digest
  },
  whyNotSigned: (key, hash, bytes, signature) => whyNotSigned(key.key, hash, bytes, signature),
  statement: readStatement,
}

/**
 * For what is much. Verification goes through in one go, so of what is not known yet it is told «no», and the question is kept. What it answers
 * then counts for nothing: `work` finds out while others have their turn, and verification is asked again, until it has asked nothing new.
 */
export class InTurns implements Bulk {
  readonly #turn: () => Promise<void>
  readonly #known = new Map<Uint8Array, Map<string, unknown>>()
  #questions: (() => Promise<void>)[] = []

  constructor(turn: () => Promise<void>) {
    this.#turn = turn
  }

  digest(hash: Hash, bytes: Uint8Array): Buffer {
    if (bytes.length <= LITTLE) return atOnce.digest(hash, bytes)
    return this.#answer(bytes, hash, Buffer.alloc(0), () => digestInTurns(hash, bytes, this.#turn))
  }

  whyNotSigned(key: PublicKey, hash: Hash, bytes: Uint8Array, signature: Uint8Array): string | undefined {
    if (bytes.length <= LITTLE) return atOnce.whyNotSigned(key, hash, bytes, signature)
    const question = `${hash} ${key.id} ${Buffer.from(signature).toString('hex')}`
    const find = (): Promise<string | undefined> => whyNotSignedInTurns(key.key, hash, bytes, signature, this.#turn)
    return this.#answer<string | undefined>(bytes, question, 'not known yet', find)
  }

  statement(bytes: Uint8Array): Read<Statement> {
    const notYet = { ok: false, reason: { code: 'internal-error' } } as const
    return this.#answer<Read<Statement>>(bytes, 'statement', notYet, () => readStatementInTurns(bytes, this.#turn))
  }

  /** Whether something was asked that was not known, and is now. */
  async work(): Promise<boolean> {
    const questions = this.#questions
    this.#questions = []
    for (const find of questions) await find()
    return questions.length > 0
  }

  #answer<T>(bytes: Uint8Array, question: string, notYet: T, find: () => Promise<T>): T {
    const known = this.#known.get(bytes) ?? new Map<string, unknown>()
    this.#known.set(bytes, known)
    if (!known.has(question)) {
      known.set(question, notYet)
      this.#questions.push(async () => void known.set(question, await find()))
    }
    return known.get(question) as T
  }
}
