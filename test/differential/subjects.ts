import { createHash } from 'node:crypto'
import { makeSigner } from '../../fakes/signer.ts'
import type { SignOptions } from '../../fakes/sigstore/sigstore.ts'
import { SIGNED_AT, Sigstore } from '../../fakes/sigstore/sigstore.ts'
import type { Asked } from './verdicts.ts'

/** A bundle that is mutated, others whose parts it is given, and what is asked about all of them. */
export type Subject = {
  readonly name: string
  readonly bundle: object
  readonly donors: readonly object[]
  readonly asked: Asked
  /** How many of a hundred mutants are of this kind: timestamps take long, keys do not. */
  readonly share: number
}

const sigstore = await Sigstore.create()
const stranger = await Sigstore.create()
const signers = { p256: makeSigner(), ed25519: makeSigner('ed25519') }
const artifact = Buffer.from('a file')
const LATER = SIGNED_AT + 30 * 24 * 60 * 60 * 1000

type Make = (options: SignOptions, of?: Buffer, by?: Sigstore) => object
const message: Make = (options, of = artifact, by = sigstore) => by.signBlob({ bytes: of, ...options }).bundle
const statement: Make = (options, of = artifact, by = sigstore) => {
  const about = { digest: `sha256:${createHash('sha256').update(of).digest('hex')}`, form: 'bundle' } as const
  return by.attest({ ...about, predicateType: 'https://slsa.dev/provenance/v1', predicate: {}, ...options }).bundle
}

const rows: readonly (readonly [name: string, make: Make, options: SignOptions, share: number])[] = [
  ['message, Rekor v1', message, {}, 8],
  ['message, bundle v0.1, Rekor v1', message, { version: '0.1' }, 6],
  ['message by RSA, bundle v0.2, Rekor v1', message, { version: '0.2', signer: { keyType: 'rsa2048' } }, 4],
  ['message, Rekor v1, timestamp', message, { timestamp: true }, 4],
  ['message, Rekor v2, timestamp', message, { log: 'v2', timestamp: true }, 5],
  ['statement, Rekor v1', statement, {}, 8],
  ['statement, Rekor v1, intoto', statement, { entry: 'intoto 0.0.2' }, 6],
  ['statement, Rekor v1, hashedrekord', statement, { entry: 'hashedrekord 0.0.1' }, 4],
  ['statement, Rekor v2, timestamp', statement, { log: 'v2', timestamp: true }, 5],
  ['message by key, Rekor v1', message, { signer: signers.p256 }, 16],
  ['message by key, Rekor v2', message, { signer: signers.p256, log: 'v2' }, 10],
  ['statement by key, Rekor v1', statement, { signer: signers.p256 }, 16],
  ['statement by an Ed25519 key, Rekor v2', statement, { signer: signers.ed25519, log: 'v2' }, 8],
]

export const subjects: readonly Subject[] = rows.map(([name, make, options, share]) => {
  const { signer } = options
  const key = signer !== undefined && 'pem' in signer ? signer.pem : undefined
  const another = key === undefined ? { signer: { subject: 'eve@elsewhere.example' } } : {}
  const donors = [
    make({ ...options, at: SIGNED_AT + 60_000 }, Buffer.from('another file')),
    make({ ...options, at: SIGNED_AT + 120_000, ...another }),
    make(options, artifact, stranger),
  ]
  return { name, bundle: make(options), donors, asked: { artifact, root: sigstore.trustedRoot(), key, at: LATER }, share }
})
