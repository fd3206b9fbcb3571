import type { TransparencyLogEntry } from '@sigstore/bundle'
import { json } from '@sigstore/core'
import type { Json, JsonObject } from '../image/json.ts'
import { isJsonObject, readJson } from '../image/json.ts'
import type { LogKey, Validity } from '../trust/material.ts'
import type { Read } from '../verdict/read.ts'
import { decodeBase64 } from './base64.ts'
import type { Checkpoint } from './checkpoint.ts'
import { isNamed, isSignedBy, readCheckpoint, whyNotSignedBy } from './checkpoint.ts'
import type { Logged } from './log-body.ts'
import { MAX_BODY_BYTES, whyNotAbout } from './log-body.ts'
import { leafHash, MAX_PROOF_HASHES, rootOfProof } from './merkle.ts'

export type { Logged } from './log-body.ts'
export { MAX_SEARCH_CHARACTERS, proposedEntries } from './log-body.ts'

const MAX_ANNOTATION_CHARACTERS = 2 * 1024 * 1024 // the base64 of the largest body, and the JSON around it
const MAX_ANSWER_BYTES = 4 * 1024 * 1024 // a log also hands out attestations that it keeps; nothing here reads those
const MAX_ENTRIES = 32 // found by one search, as many as a bundle may have; real answers have one to three
const MAX_SIGNATURE_BYTES = 2 * 1024 // a signed entry timestamp by RSA 16384

/**
 * An entry of a transparency log as somebody handed it out; nobody believes it yet. Where it comes from decides what must be there:
 * `annotation` (`dev.sigstore.cosign/bundle`) and `bundle-v0.1` a promise, `bundle` (v0.2 and later) an inclusion proof, `search` (the answer
 * of a Rekor v1) both. What is there besides must be right as well.
 */
export type LogEntry = {
  readonly from: 'annotation' | 'bundle-v0.1' | 'bundle' | 'search'
  /** The canonicalized body: JSON, the leaf of the log's tree. */
  readonly body: Buffer
  /** What a bundle says its kind is; undefined elsewhere. */
  readonly named: { readonly kind: string; readonly version: string } | undefined
  /** Lower-case hex of 32 bytes. Rekor v1: SHA-256 of the log's key; Rekor v2: what the key ID of its checkpoints begins. */
  readonly logId: string
  /** Among all entries of the log; up to 2^53. */
  readonly index: number
  /** Seconds since 1970, or 0: none. Only a promise covers it. */
  readonly integratedTime: number
  /** The inclusion promise: Rekor's signed entry timestamp. */
  readonly promise: Buffer | undefined
  readonly proof: InclusionProof | undefined
}

/** Says that a body is the leaf at `index` of a tree; only the checkpoint, a signed note, says that the tree is the log's. At most 64 hashes. */
export type InclusionProof = {
  readonly index: number
  readonly size: number
  readonly root: Buffer
  readonly hashes: readonly Buffer[]
  readonly checkpoint: string
}

// Not exported, and not in JSON: nothing but this file can make a value that carries it.
const verified: unique symbol = Symbol('verified')

/** A signature that a log has, or has promised to have. Only this file makes one. */
export type VerifiedEntry = {
  readonly [verified]: true
  /** The `id` of the log's key: who counts logs counts these (lesson 20). */
  readonly logId: string
  readonly index: number
  /** When the log says that it took the entry, ms since 1970; undefined where no promise covers a time (Rekor v2 has none). */
  readonly at: number | undefined
  /** When the log's key was in service. `at` is within it; without `at`, the time that something else proves must be. */
  readonly valid: Validity
  /** The instant, in ms since 1970, at which this ends to be so; undefined where `at` is known, for what was then stays. */
  readonly until: number | undefined
}

/**
 * Verifies that one of `logs` has this signature by this signer over this content (specification 7.3, step 2). A promise and an inclusion
 * proof are each verified where they are there; which one must be, `entry.from` decides. The integrated time is believed only where a
 * promise covers it, and must lie within the service of the log's key. Answers `log-entry-invalid`; never throws.
 */
export function verifyLogEntry(entry: LogEntry, about: Logged, logs: readonly LogKey[]): Read<VerifiedEntry> {
  const refuse = (detail: string): Read<never> => refused(entry.from, detail)
  if (logs.length === 0) return refuse('no trusted rekor public keys provided')
  const why = whyNotAbout(entry.body, about, entry.named)
  if (why !== undefined) return refuse(why)

  const checkpoint = entry.proof && readCheckpoint(entry.proof.checkpoint)
  if (typeof checkpoint === 'string') return refuse(`verifying inclusion proof: ${checkpoint}`)
  const [log, ...others] = logs.filter((l) => isNamed(entry.logId, l, checkpoint))
  if (!log) return refuse(UNKNOWN_LOG[entry.from])
  // The time and everything else is looked at only once the log's own signature stands (lesson 22).
  const unproven = whyNotPromised(entry, log) ?? whyNotIncluded(entry, checkpoint, log)
  if (unproven !== undefined) return refuse(unproven)

  const at = entry.promise && entry.integratedTime > 0 ? entry.integratedTime * 1000 : undefined
  // The same key may have been in service twice.
  const inService = at === undefined ? log : [log, ...others].find(({ valid }) => covers(valid, at))
  if (!inService || (at !== undefined && at > LAST_INSTANT))
    return refuse(`the log's key was not in service at the integrated time ${entry.integratedTime}`)
  const index = entry.promise || !entry.proof ? entry.index : entry.proof.index
  const { valid } = inService
  return {
    ok: true,
    value: { [verified]: true, logId: log.id, index, at, valid, until: at === undefined ? valid.until : undefined },
  }
}

const LAST_INSTANT = 8.64e15 // ECMAScript's last Date: callers print it

function covers({ from, until }: Validity, at: number): boolean {
  return from <= at && (until === undefined || at <= until)
}

const UNKNOWN_LOG: { readonly [from in LogEntry['from']]: string } = {
  'annotation': 'verifying bundle: rekor log public key not found for payload',
  'bundle-v0.1': 'rekor log public key not found for payload',
  'bundle': 'rekor log public key not found for payload',
  'search':
    'rekor log public key not found for payload. Check your TUF root (see cosign initialize) or set a custom key with env var SIGSTORE_REKOR_PUBLIC_KEY',
}

function whyNotPromised({ from, body, logId, index, integratedTime, promise }: LogEntry, log: LogKey): string | undefined {
  if (!promise && from === 'bundle') return undefined
  const signed = json.canonicalize({ body: body.toString('base64'), integratedTime, logID: logId, logIndex: index })
  if (promise && isSignedBy(log, Buffer.from(signed), promise)) return undefined
  return from === 'search' ? 'verifying signedEntryTimestamp: unable to verify SET' : 'unable to verify SET'
}

function whyNotIncluded({ from, body, proof }: LogEntry, checkpoint: Checkpoint | undefined, log: LogKey): string | undefined {
  if (!proof || !checkpoint) return from === 'annotation' || from === 'bundle-v0.1' ? undefined : 'inclusion proof not provided'
  const why = whyNotProven(body, proof, checkpoint) ?? whyNotSignedBy(checkpoint, log)
  return why === undefined ? undefined : `verifying inclusion proof: ${why}`
}

function whyNotProven(body: Buffer, { index, size, root, hashes }: InclusionProof, checkpoint: Checkpoint): string | undefined {
  if (checkpoint.size !== size) return `the checkpoint is of a tree of ${checkpoint.size} entries, the proof of one of ${size}`
  if (!checkpoint.root.equals(root)) return 'the checkpoint has another root hash than the proof'
  const computed = rootOfProof(leafHash(body), index, size, hashes)
  if (!computed) return `a proof of ${hashes.length} hashes does not lead from entry ${index} to the root of ${size} entries`
  return computed.equals(root) ? undefined : 'calculated root does not match the root hash'
}

function refused(from: LogEntry['from'], detail: string): Read<never> {
  return { ok: false, reason: { code: 'log-entry-invalid', detail: from === 'annotation' ? `error verifying bundle: ${detail}` : detail } }
}

// — the three forms

/** Reads the annotation `dev.sigstore.cosign/bundle` (cosign's `RekorBundle`). At most 2 Mi characters; answers `log-entry-invalid`, never throws. */
export function readLogBundle(annotation: string): Read<LogEntry> {
  const refuse = (detail: string): Read<never> => refused('annotation', detail)
  if (annotation.length > MAX_ANNOTATION_CHARACTERS)
    return refuse(`size of annotation (${annotation.length}) exceeded the limit (${MAX_ANNOTATION_CHARACTERS})`)
  const read = readJson(Buffer.from(annotation), { bytes: 4 * MAX_ANNOTATION_CHARACTERS, depth: 4, values: 64 })
  if (!read.ok) return refuse(`unmarshaling bundle payload: ${read.detail}`)
  const promise = bytesOf(isJsonObject(read.value) ? read.value['SignedEntryTimestamp'] : undefined)
  const payload = isJsonObject(read.value) ? read.value['Payload'] : undefined
  if (!isJsonObject(payload) || typeof payload['body'] !== 'string') return refuse('bundle payload body is not a string')
  const entry = entryOfRekor(payload)
  if (typeof entry === 'string') return refuse(entry)
  return bounded({ ...entry, from: 'annotation', promise, proof: undefined })
}

/** Reads an entry of a Sigstore bundle of v0.2 or later, or of v0.1 where `from` says so. Answers `log-entry-invalid`; never throws. */
export function logEntryOf(entry: TransparencyLogEntry, from: 'bundle' | 'bundle-v0.1' = 'bundle'): Read<LogEntry> {
  const { logId, logIndex, integratedTime, kindVersion, inclusionPromise, inclusionProof, canonicalizedBody } = entry
  const index = integerOf(logIndex)
  const seconds = integerOf(integratedTime)
  if (index === undefined || seconds === undefined) return refused(from, 'logIndex or integratedTime is not a number from 0 to 2^53')
  if (logId?.keyId.length !== 32) return refused(from, 'logId is not a SHA-256 digest')
  const proof = inclusionProof?.checkpoint?.envelope
    ? proofOf(
        inclusionProof.logIndex,
        inclusionProof.treeSize,
        inclusionProof.rootHash,
        inclusionProof.hashes,
        inclusionProof.checkpoint.envelope,
      )
    : undefined
  if (typeof proof === 'string') return refused(from, `verifying inclusion proof: ${proof}`)
  return bounded({
    from,
    body: canonicalizedBody,
    named: kindVersion && { kind: kindVersion.kind, version: kindVersion.version },
    logId: logId.keyId.toString('hex'),
    index,
    integratedTime: seconds,
    promise: inclusionPromise?.signedEntryTimestamp,
    proof,
  })
}

/**
 * Reads what a Rekor v1 answers to a search (`POST /api/v1/log/entries/retrieve`): a list of objects, from an entry's UUID to the entry. An entry that
 * does not have the leaf hash which its UUID ends with is skipped (specification 7.3.2), and so is one that cannot be read. At most 4 MiB and
 * 32 entries. Answers `log-entry-not-found` for an empty list, `log-entry-invalid` else; never throws.
 */
export function readSearchAnswer(bytes: Uint8Array): Read<readonly LogEntry[]> {
  const read = readJson(bytes, { bytes: MAX_ANSWER_BYTES, depth: 16, values: 20_000 })
  if (!read.ok) return refused('search', `searching log query: ${read.detail}`)
  if (!Array.isArray(read.value)) return refused('search', 'searching log query: the answer is not a list')
  const all = (read.value as readonly Json[]).flatMap((item) => (isJsonObject(item) ? Object.entries(item) : []))
  if (all.length === 0) return { ok: false, reason: { code: 'log-entry-not-found' } }
  if (all.length > MAX_ENTRIES) return refused('search', `number of log entries (${all.length}) exceeded the limit (${MAX_ENTRIES})`)
  const entries = all.flatMap(([uuid, value]) => searchedEntry(uuid, value) ?? [])
  return entries.length > 0 ? { ok: true, value: entries } : refused('search', 'no valid tlog entries found with proposed entry')
}

function searchedEntry(uuid: string, value: Json): LogEntry | undefined {
  const entry = isJsonObject(value) ? entryOfRekor(value) : 'not an object'
  if (typeof entry === 'string' || !isJsonObject(value)) return undefined
  // In front of the leaf hash there may be the ID of the log's tree.
  if (!/^(?:[0-9a-f]{16})?[0-9a-f]{64}$/.test(uuid) || uuid.slice(-64) !== leafHash(entry.body).toString('hex')) return undefined
  const verification = isJsonObject(value['verification']) ? value['verification'] : {}
  const proof = isJsonObject(verification['inclusionProof']) ? proofOfRekor(verification['inclusionProof']) : undefined
  const read = bounded({ ...entry, from: 'search', promise: bytesOf(verification['signedEntryTimestamp']), proof })
  return read.ok ? read.value : undefined
}

/** The part of an entry that annotations and answers of Rekor write alike. */
function entryOfRekor(entry: JsonObject): Pick<LogEntry, 'body' | 'named' | 'logId' | 'index' | 'integratedTime'> | string {
  const body = bytesOf(entry['body'])
  const { logID: logId } = entry
  const index = integerOf(entry['logIndex'])
  const integratedTime = integerOf(entry['integratedTime'])
  if (!body) return 'bundle payload body is not base64'
  if (index === undefined || integratedTime === undefined) return 'logIndex or integratedTime is not a number from 0 to 2^53'
  if (typeof logId !== 'string' || !/^[0-9a-f]{64}$/.test(logId)) return 'logID is not a SHA-256 digest in hex'
  return { body, named: undefined, logId, index, integratedTime }
}

function proofOfRekor(proof: JsonObject): InclusionProof | undefined {
  const { hashes, checkpoint, rootHash } = proof
  if (!Array.isArray(hashes) || typeof checkpoint !== 'string') return undefined
  const read = proofOf(proof['logIndex'], proof['treeSize'], hashOf(rootHash), (hashes as readonly Json[]).map(hashOf), checkpoint)
  return typeof read === 'string' ? undefined : read
}

function hashOf(value: Json | undefined): Buffer {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value) ? Buffer.from(value, 'hex') : Buffer.alloc(0)
}

function proofOf(
  logIndex: unknown,
  treeSize: unknown,
  root: Buffer,
  hashes: readonly Buffer[],
  checkpoint: string,
): InclusionProof | string {
  const index = integerOf(logIndex)
  const size = integerOf(treeSize)
  if (index === undefined || size === undefined) return 'logIndex or treeSize is not a number from 0 to 2^53'
  if (hashes.length > MAX_PROOF_HASHES) return `number of hashes (${hashes.length}) exceeded the limit (${MAX_PROOF_HASHES})`
  if ([root, ...hashes].some((hash) => hash.length !== 32)) return 'a hash is not a SHA-256 digest'
  return { index, size, root, hashes, checkpoint }
}

function bounded(entry: LogEntry): Read<LogEntry> {
  const { from, body, promise } = entry
  if (body.length > MAX_BODY_BYTES) return refused(from, `size of log entry (${body.length}) exceeded the limit (${MAX_BODY_BYTES})`)
  if (promise && promise.length > MAX_SIGNATURE_BYTES)
    return refused(from, `size of signed entry timestamp (${promise.length}) exceeded the limit (${MAX_SIGNATURE_BYTES})`)
  return { ok: true, value: entry }
}

/** An int64 as JSON has it, a number or a decimal string: from 0 to 2^53 - 1, so that it is exact; undefined otherwise. */
function integerOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^(?:0|[1-9][0-9]{0,15})$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined
}

function bytesOf(value: Json | undefined): Buffer | undefined {
  if (typeof value !== 'string') return undefined
  const decoded = decodeBase64(value)
  return decoded.ok ? decoded.bytes : undefined
}
