import type { KeyObject } from 'node:crypto'
import { createHash, sign } from 'node:crypto'
import type { TransparencyLogEntry } from '@sigstore/bundle'
import { dsse } from '@sigstore/core'
import type { KeyType } from '../../fakes/signer.ts'
import { makeSigner } from '../../fakes/signer.ts'
import { IN_TOTO_PAYLOAD_TYPE } from '../../src/sigstore/envelope.ts'
import type { Logged } from '../../src/sigstore/log-entry.ts'
import type { LogKey, Validity } from '../../src/trust/material.ts'

/** When entries are logged unless something else is said: seconds since 1970. */
export const NOON = Date.parse('2026-01-15T12:00:00Z') / 1000
const FORMER_SHARD = 1000 // entries that are not in the tree, so that no test confuses the two indexes of Rekor v1

/** What a log hands out, before it is written in one of three forms; to break a part of it, spread it. */
export type Handed = {
  readonly body: Buffer
  readonly logId: string
  readonly index: number
  readonly integratedTime: number
  readonly promise: Buffer | undefined
  readonly proof:
    | {
        readonly index: number
        readonly size: number
        readonly root: Buffer
        readonly hashes: readonly Buffer[]
        readonly checkpoint: string
      }
    | undefined
}

export type Noted = {
  readonly origin: string
  readonly size: number
  readonly root: Buffer
  readonly name?: string
  readonly keyId?: Buffer
  readonly signedBy?: KeyObject
  /** Lines after the three, and after the log's signature. */
  readonly extension?: string
  readonly witnesses?: string
}

/** A log of these tests: one entry of its own among others. */
export class TestLog {
  readonly key: LogKey
  readonly version: 'v1' | 'v2'
  readonly name: string
  readonly #privateKey: KeyObject

  constructor(version: 'v1' | 'v2' = 'v1', type: KeyType = version === 'v1' ? 'p256' : 'ed25519', valid?: Validity) {
    const signer = makeSigner(type)
    this.version = version
    this.name = `${version}.rekor.example`
    this.#privateKey = signer.privateKey
    this.key = {
      id: createHash('sha256').update(spkiOf(signer.publicKey)).digest('hex'),
      key: signer.publicKey,
      hash: type === 'ed25519' ? null : type === 'p384' ? 'sha384' : type === 'p521' ? 'sha512' : 'sha256',
      url: `https://${this.name}`,
      valid: valid ?? { from: 0, until: undefined },
    }
  }

  /** What a key ID is the beginning of, and what entries call the log by. */
  get noteId(): Buffer {
    return this.version === 'v2' && this.key.key.asymmetricKeyType === 'ed25519'
      ? createHash('sha256').update(`${this.name}\n\x01`).update(spkiOf(this.key.key).subarray(-32)).digest()
      : Buffer.from(this.key.id, 'hex')
  }

  get origin(): string {
    return this.version === 'v1' ? `${this.name} - 1193050959916656506` : this.name
  }

  enter(entry: object | Buffer, integratedTime = this.version === 'v1' ? NOON : 0, others = 5): Handed {
    const body = Buffer.isBuffer(entry) ? entry : Buffer.from(JSON.stringify(entry))
    const leaves = [...Array.from({ length: others }, (_, i) => hashOf(0, Buffer.from(`entry ${i}`))), hashOf(0, body)]
    // Others come behind it, too.
    leaves.push(hashOf(0, Buffer.from('entry behind')))
    const root = treeHash(leaves)
    const handed = {
      body,
      logId: this.noteId.toString('hex'),
      index: this.version === 'v1' ? FORMER_SHARD + others : others,
      integratedTime,
    }
    const checkpoint = this.note({ origin: this.origin, size: leaves.length, root })
    return {
      ...handed,
      promise: this.version === 'v1' ? this.promise(handed) : undefined,
      proof: { index: others, size: leaves.length, root, hashes: pathOf(others, leaves), checkpoint },
    }
  }

  promise({ body, integratedTime, logId, index }: Pick<Handed, 'body' | 'integratedTime' | 'logId' | 'index'>): Buffer {
    // In RFC 8785's order of members, written out, so that a mistake in the library would show.
    const signed = `{"body":"${body.toString('base64')}","integratedTime":${integratedTime},"logID":"${logId}","logIndex":${index}}`
    return sign(this.key.hash, Buffer.from(signed), this.#privateKey)
  }

  note({ origin, size, root, name = this.name, keyId = this.noteId, signedBy, extension = '', witnesses = '' }: Noted): string {
    const text = `${origin}\n${size}\n${root.toString('base64')}\n${extension}`
    const signature = sign(this.key.hash, Buffer.from(text), signedBy ?? this.#privateKey)
    return `${text}\n— ${name} ${Buffer.concat([keyId.subarray(0, 4), signature]).toString('base64')}\n${witnesses}`
  }
}

export function spkiOf(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' })
}

// — the three forms

export function annotationOf({ body, integratedTime, logId, index, promise }: Handed): string {
  const payload = { body: body.toString('base64'), integratedTime, logIndex: index, logID: logId }
  return JSON.stringify({ SignedEntryTimestamp: promise?.toString('base64'), Payload: payload })
}

export function bundleEntryOf(handed: Handed, kindVersion = kindOf(handed.body)): TransparencyLogEntry {
  const { body, logId, index, integratedTime, promise, proof } = handed
  return {
    logIndex: String(index),
    logId: { keyId: Buffer.from(logId, 'hex') },
    kindVersion,
    integratedTime: String(integratedTime),
    inclusionPromise: promise && { signedEntryTimestamp: promise },
    inclusionProof: proof && {
      logIndex: String(proof.index),
      treeSize: String(proof.size),
      rootHash: proof.root,
      hashes: [...proof.hashes],
      checkpoint: { envelope: proof.checkpoint },
    },
    canonicalizedBody: body,
  }
}

export function answerOf(...entries: readonly Handed[]): Buffer {
  return Buffer.from(JSON.stringify(entries.map((handed) => ({ [uuidOf(handed)]: searchedOf(handed) }))))
}

export function uuidOf({ body }: Handed): string {
  return '108e9186e8c5677a' + hashOf(0, body).toString('hex')
}

export function searchedOf({ body, integratedTime, logId, index, promise, proof }: Handed): object {
  return {
    body: body.toString('base64'),
    integratedTime,
    logID: logId,
    logIndex: index,
    verification: {
      inclusionProof: proof && {
        checkpoint: proof.checkpoint,
        hashes: proof.hashes.map((hash) => hash.toString('hex')),
        logIndex: proof.index,
        rootHash: proof.root.toString('hex'),
        treeSize: proof.size,
      },
      signedEntryTimestamp: promise?.toString('base64'),
    },
  }
}

function kindOf(body: Buffer): { kind: string; version: string } {
  const { kind, apiVersion } = JSON.parse(body.toString()) as { kind: string; apiVersion: string }
  return { kind, version: apiVersion }
}

// — what is logged

export const CERTIFICATE = Buffer.from('3003020101', 'hex') // for what never looks into one

export function bytesLogged(bytes: Uint8Array = Buffer.from('a payload')): Logged {
  return { signature: Buffer.from('a signature'), signer: CERTIFICATE, content: { is: 'bytes', bytes } }
}

/** As a bundle holds it, or with the JSON of the old form. */
export function envelopeLogged(form: 'bundle' | 'old form' = 'bundle'): Logged {
  const envelope = {
    payloadType: IN_TOTO_PAYLOAD_TYPE,
    payload: Buffer.from('{"a":"statement"}'),
    signatures: [Buffer.from('a signature')],
  }
  const json = {
    payloadType: IN_TOTO_PAYLOAD_TYPE,
    payload: envelope.payload.toString('base64'),
    signatures: [{ keyid: '', sig: Buffer.from('a signature').toString('base64') }],
  }
  return {
    signature: Buffer.from('a signature'),
    signer: CERTIFICATE,
    content: { is: 'envelope', envelope, json: form === 'bundle' ? undefined : Buffer.from(JSON.stringify(json)) },
  }
}

export const KINDS_OF_BYTES = ['hashedrekord 0.0.1', 'hashedrekord 0.0.2', 'rekord 0.0.1'] as const
export const KINDS_OF_ENVELOPES = ['dsse 0.0.1', 'dsse 0.0.2', 'intoto 0.0.1', 'intoto 0.0.2'] as const
export type Kind = (typeof KINDS_OF_BYTES)[number] | (typeof KINDS_OF_ENVELOPES)[number]

/** The body of an entry about `about`, as the log would have canonicalized it. */
export function bodyOf(kind: Kind, about: Logged, algorithm: 'sha256' | 'sha384' | 'sha512' = 'sha256'): object {
  const [name, apiVersion] = kind.split(' ')
  return { apiVersion, kind: name, spec: specOf(kind, about, algorithm) }
}

function specOf(kind: Kind, { signature, signer, content }: Logged, algorithm: 'sha256' | 'sha384' | 'sha512'): object {
  const sig = Buffer.from(signature).toString('base64')
  const publicKey = Buffer.from(pemOf(signer)).toString('base64')
  const hash = (bytes: Uint8Array): object => ({ algorithm, value: createHash(algorithm).update(bytes).digest('hex') })
  const output = (bytes: Uint8Array): object => ({
    algorithm: algorithm.replace('sha', 'SHA2_'),
    digest: createHash(algorithm).update(bytes).digest('base64'),
  })
  const verifier = { keyDetails: 'PKIX_ECDSA_P256_SHA_256', x509Certificate: { rawBytes: Buffer.from(signer).toString('base64') } }
  const signed =
    content.is === 'bytes'
      ? content.bytes
      : content.is === 'envelope'
        ? dsse.preAuthEncoding(content.envelope.payloadType, content.envelope.payload)
        : Buffer.alloc(0)
  const payload = content.is === 'envelope' ? content.envelope.payload : Buffer.alloc(0)
  const envelope = content.is === 'envelope' ? (content.json ?? Buffer.from('the JSON that the log saw')) : Buffer.alloc(0)
  switch (kind) {
    case 'hashedrekord 0.0.1':
      return { data: { hash: hash(signed) }, signature: { content: sig, publicKey: { content: publicKey } } }
    case 'rekord 0.0.1':
      return { data: { hash: hash(signed) }, signature: { content: sig, format: 'x509', publicKey: { content: publicKey } } }
    case 'hashedrekord 0.0.2':
      return { hashedRekordV002: { data: output(signed), signature: { content: sig, verifier } } }
    case 'dsse 0.0.1':
      return { envelopeHash: hash(envelope), payloadHash: hash(payload), signatures: [{ signature: sig, verifier: publicKey }] }
    case 'dsse 0.0.2':
      return { dsseV002: { payloadHash: output(payload), signatures: [{ content: sig, verifier }] } }
    case 'intoto 0.0.1':
      return { content: { hash: hash(envelope), payloadHash: hash(payload) }, publicKey }
    case 'intoto 0.0.2': {
      const signatures = [{ publicKey, sig: Buffer.from(sig).toString('base64') }]
      return { content: { envelope: { payloadType: IN_TOTO_PAYLOAD_TYPE, signatures }, hash: hash(envelope), payloadHash: hash(payload) } }
    }
  }
}

export function pemOf(der: Uint8Array, label = 'CERTIFICATE'): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

// — the tree (RFC 9162, section 2.1.1 and 2.1.3.1), by its recursive definition

export function hashOf(prefix: 0 | 1, ...parts: readonly Uint8Array[]): Buffer {
  return createHash('sha256')
    .update(Buffer.concat([Buffer.of(prefix), ...parts]))
    .digest()
}

export function treeHash(leaves: readonly Buffer[]): Buffer {
  const half = halfOf(leaves.length)
  return leaves.length === 1 && leaves[0] ? leaves[0] : hashOf(1, treeHash(leaves.slice(0, half)), treeHash(leaves.slice(half)))
}

export function pathOf(index: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length === 1) return []
  const half = halfOf(leaves.length)
  const [left, right] = [leaves.slice(0, half), leaves.slice(half)]
  return index < half ? [...pathOf(index, left), treeHash(right)] : [...pathOf(index - half, right), treeHash(left)]
}

/** The largest power of two below `size`. */
function halfOf(size: number): number {
  let half = 1
  while (half * 2 < size) half *= 2
  return half
}
