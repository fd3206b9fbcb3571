import { createHash } from 'node:crypto'
import type { X509Certificate } from '@sigstore/core'
import { derOf, factsOf, readCertificates } from '../trust/certificate.ts'
import type { PublicKey } from '../trust/key.ts'
import { readSubjectPublicKeyInfo } from '../trust/key.ts'
import type { CertificateAuthority, LogKey } from '../trust/material.ts'
import type { CertificatePath } from '../trust/path.ts'
import { findPath, whyNotValidAt } from '../trust/path.ts'
import { whySctsNotBelieved } from '../trust/sct.ts'
import type { Read } from '../verdict/read.ts'
import type { Reason } from '../verdict/reason.ts'
import { sentenceOf } from '../verdict/reason.ts'
import type { Bulk } from './bulk.ts'
import { isNamed, readCheckpoint } from './checkpoint.ts'
import { namesOf, whyNotIdentity } from './identity.ts'
import type { LogEntry, Logged, VerifiedEntry } from './log-entry.ts'
import { MAX_SEARCH_CHARACTERS, proposedEntries, verifyLogEntry } from './log-entry.ts'
import type { Form, SignerTerms, Terms } from './terms.ts'
import { verifyTimestamp } from './timestamp.ts'

const MAX_CERTIFICATE_CHARACTERS = 64 * 1024 // PEM or DER, with all above it; those of Fulcio have under 4 KiB
const MAX_LINKS = 8 // certificates above a signer's own; Fulcio has two
const MAX_STAMP_BYTES = 64 * 1024 // of all timestamps of a signature: one with its chain has 6 KiB, and reading 16 KiB of nonsense takes 5 ms

/** Who signed. */
export type Signer =
  | { readonly by: 'key'; readonly keyId: string }
  | {
      readonly by: 'certificate'
      readonly subjects: readonly string[]
      readonly issuer: string
      /** The hex SHA-256 of the certificate's DER. */
      readonly fingerprint: string
    }

/** A signer's certificate and those that came above it, which are believed only as links of a path. */
export type Certificates = { readonly leaf: X509Certificate; readonly links: readonly X509Certificate[] }

/** A signature and everything that came with it, whatever its form. Nobody believes any of it. */
export type Signed = {
  readonly form: Form
  /** Undefined: none came with it. */
  readonly certificates: Read<Certificates> | undefined
  readonly timestamps: readonly Read<Uint8Array>[]
  /** The bytes that timestamps are about. */
  readonly stamped: Uint8Array
  /** The log entries that came with it. */
  readonly entries: readonly Read<LogEntry>[]
  /** How much there is to hash; in one go when absent. */
  readonly bulk?: Bulk | undefined
  /** What searching the log gave; undefined: nobody searched yet. */
  readonly searched: readonly LogEntry[] | Reason | undefined
  /** What a log entry must be about. */
  readonly content: Logged['content']
  /** The signature that stands for all of them where none is by the signer. */
  readonly anySignature: Uint8Array
  /** The one that `key` made. */
  signatureBy(key: PublicKey): Read<Uint8Array>
  /** Why what was signed is not about what it must be about: asked only once its signature stands. */
  whyNotClaimed(): Reason | undefined
}

/** `search`: the only thing that is missing is a log entry, for which the log may be searched; then verify again with what it says. */
export type Refused = { readonly ok: false; readonly reason: Reason; readonly search?: LogSearch }
/** Bodies for Rekor v1's `/api/v1/log/entries/retrieve`. */
export type LogSearch = { readonly proposals: readonly object[] }

/** What stands. */
export type Verdict = {
  readonly ok: true
  readonly signer: Signer
  /** When the signature was proven to exist, ms since 1970, by timestamps and by logs; none: it was judged now. */
  readonly times: readonly number[]
  /** The instant, in ms since 1970, at which a fact it rests on ends; undefined when none does. */
  readonly until: number | undefined
}

/** Told of each step that stands, with what was found: for an explanation, which also wants to know how far a refused signature came. */
export type Note = (step: Reason) => void

/**
 * Whether a signature is what `terms` demand, and if not, why: the steps of specification 7.3 in their order, for both forms. Whatever came
 * with it is believed only through a key, an authority or a log of the terms. `at` is now, in ms since 1970. Synchronous, about 1 ms; never throws.
 */
export function verifySigned(signed: Signed, terms: Terms, at: number, note: Note = () => undefined): Verdict | Refused {
  const signer = signerOf(signed, terms.signer)
  // First, though it is told only where its turn is: whoever brings a key that nobody vouches for chooses how long it takes to verify with it.
  const ofCertificate: Reason[] = []
  const path =
    signer.ok && terms.signer.by === 'certificate'
      ? verifyCertificate(signer.value, terms.signer, signed.form, (step) => ofCertificate.push(step))
      : undefined
  const signature = !signer.ok
    ? signer
    : path?.ok === false
      ? { ok: true as const, value: signed.anySignature }
      : signed.signatureBy(signer.value.key)

  const stamps = signedTimes(signed, terms)
  if (!stamps.ok) return stamps
  for (const time of stamps.value) note({ code: 'timestamp-verified', at: rfc3339(time.at) })
  const logged = loggedTimes(signed, terms, signer, signature.ok ? signature.value : signed.anySignature, stamps.value, at)
  if (!logged.ok) return logged
  for (const { logId, index, at: time } of logged.value.entries)
    note({ code: 'log-entry-verified', log: logId.slice(0, 16), index, at: time === undefined ? undefined : rfc3339(time) })
  if (!signer.ok) return signer
  for (const step of ofCertificate) note(step)
  if (path?.ok === false) return path
  if (!signature.ok) return signature
  note({ code: 'signature-intact' })
  const unclaimed = signed.whyNotClaimed()
  if (unclaimed) return refused(unclaimed)

  const times = [...logged.value.stamps, ...logged.value.times]
  const window = windowOf(signed, path?.value)
  if (!window.ok) return window
  const invalid = window.value && whyNotValid(window.value, times, at, signed.form, terms)
  // A signature in annotations without a timestamp goes all the way, as specified, so that what else is wrong is told first; and no further.
  const isUnstamped = terms.time !== 'ignored' && terms.time.isRequired && stamps.value.length === 0
  const isExpired = invalid !== undefined && times.length === 0 && window.value !== undefined && at > window.value.until
  if (isUnstamped && (!invalid || isExpired)) return refused({ code: 'timestamp-missing', ...(isExpired && { isExpired }) })
  if (invalid) return refused(invalid)
  return {
    ok: true,
    signer: whoIs(signer.value),
    times: times.map((time) => time.at).toSorted((a, b) => a - b),
    until: earliest([times.length === 0 ? window.value?.until : undefined, logged.value.until]),
  }
}

/** The certificates of a signature, PEM or DER: the leaf first in `leaf`, and whatever is in `links`. */
export function readSignerCertificates(leaf: Uint8Array | string, links: readonly (Uint8Array | string)[]): Read<Certificates> {
  const read = readBounded(leaf)
  const first = read.ok ? read.value[0] : undefined
  // OpenSSL's own words change with its version, and messages must not.
  if (!first) return { ok: false, reason: { code: 'signature-malformed', detail: 'the certificate of the signature cannot be parsed' } }
  const above = links.map(readBounded).flatMap((chain) => (chain.ok ? chain.value : []))
  if (above.length > MAX_LINKS) {
    const detail = `number of certificates (${above.length}) exceeded the limit (${MAX_LINKS})`
    return { ok: false, reason: { code: 'signature-malformed', detail } }
  }
  return { ok: true, value: { leaf: first, links: above } }
}

function readBounded(certificates: Uint8Array | string): Read<readonly X509Certificate[]> {
  if (certificates.length <= MAX_CERTIFICATE_CHARACTERS) return readCertificates(certificates)
  return { ok: false, reason: { code: 'signature-malformed', detail: 'a certificate is longer than any' } }
}

// — who it must be by

type Named = { readonly key: PublicKey; readonly certificate: X509Certificate | undefined; readonly links: readonly X509Certificate[] }

function signerOf(signed: Signed, terms: SignerTerms): Read<Named> {
  if (terms.by === 'key') return { ok: true, value: { key: terms.key, certificate: undefined, links: [] } }
  if (!signed.certificates) return refused({ code: 'certificate-missing' })
  if (!signed.certificates.ok) return signed.certificates
  const { leaf, links } = signed.certificates.value
  const key = keyIn(leaf)
  return key.ok ? { ok: true, value: { key: key.value, certificate: leaf, links } } : key
}

/** A certificate names no digest: it is SHA-256, or in envelopes and over bytes that of its curve. */
function keyIn(certificate: X509Certificate): Read<PublicKey> {
  const facts = factsOf(certificate)
  if (facts.ok && facts.value.key) return { ok: true, value: facts.value.key }
  const key = readSubjectPublicKeyInfo(certificate.publicKey)
  return key.ok ? key : refused({ code: 'signature-malformed', detail: `the certificate of the signature: ${sentenceOf(key.reason)}` })
}

function whoIs({ key, certificate }: Named): Signer {
  if (!certificate) return { by: 'key', keyId: key.id }
  const { subjects, issuers } = namesOf(certificate)
  const fingerprint = createHash('sha256').update(derOf(certificate)).digest('hex')
  return { by: 'certificate', subjects, issuer: [...new Set(issuers)].join(', '), fingerprint }
}

// — step 1: signed timestamps

type Time = { readonly at: number; readonly by: 'timestamp' | 'bundle' }

function signedTimes(signed: Signed, { time }: Terms): Read<readonly Time[]> {
  if (time === 'ignored') return { ok: true, value: [] }
  const { authorities, isRequired } = time
  if ('code' in authorities) return refused(authorities)
  const stamps = stampsOf(signed, authorities)
  return stamps.ok && stamps.value.length === 0 && isRequired && signed.form === 'bundle' ? noTimestamp(signed) : stamps
}

/**
 * None came: none. One at least of those that came must be good; in a bundle others may lie beside it, of authorities that are not ours. The same
 * twice is refused (lesson 20).
 */
function stampsOf(signed: Signed, authorities: readonly CertificateAuthority[]): Read<readonly Time[]> {
  const times: Time[] = []
  const seen = new Set<string>()
  let wrong: Reason | undefined
  let size = 0
  for (const token of signed.timestamps) {
    const bytes = token.ok ? Buffer.from(token.value).toString('base64') : ''
    if (token.ok && seen.has(bytes)) return refused({ code: 'timestamps-too-few', detail: 'duplicate timestamps found' })
    seen.add(bytes)
    size += token.ok ? token.value.length : 0
    if (size > MAX_STAMP_BYTES)
      return refused({ code: 'timestamps-too-few', detail: `size of timestamps (${size}) exceeded the limit (${MAX_STAMP_BYTES})` })
    const verified = token.ok ? verifyTimestamp(token.value, signed.stamped, authorities, signed.bulk) : token
    if (verified.ok) times.push({ at: verified.value.at, by: 'timestamp' })
    else wrong ??= verified.reason
  }
  if (times.length > 0 || !wrong) return { ok: true, value: times }
  if (signed.form === 'annotations') return refused(wrong)
  const detail = `threshold not met for verified signed timestamps: 0 < 1; error: ${sentenceOf(wrong)}`
  return refused({ code: 'timestamps-too-few', detail })
}

function noTimestamp({ form }: Signed): Read<never> {
  if (form === 'annotations') return refused({ code: 'timestamp-missing' })
  return refused({ code: 'timestamps-too-few', detail: 'threshold not met for verified signed timestamps: 0 < 1' })
}

// — step 2: the transparency log

/** `stamps`: those of step 1, or what had to be asked for because a log gave no time. */
type LoggedTimes = {
  readonly stamps: readonly Time[]
  readonly times: readonly Time[]
  readonly entries: Entries
  readonly until: number | undefined
}

function loggedTimes(
  signed: Signed,
  { log, time, signer: of }: Terms,
  signer: Read<Named>,
  signature: Uint8Array,
  stamps: readonly Time[],
  at: number,
): { readonly ok: true; readonly value: LoggedTimes } | Refused {
  if (log === 'ignored') return { ok: true, value: { stamps, times: [], entries: [], until: undefined } }
  if ('code' in log.keys) return refused(log.keys)
  // Without a certificate there is nothing that an entry could be about.
  if (!signer.ok) return signed.entries.length > 0 ? signer : missing(signed, undefined)
  const about = aboutOf(signed, signer.value, signature)
  if (!about.ok) return about
  if (signed.entries.length === 0 && signed.searched === undefined)
    return missing(signed, log.search === undefined ? undefined : about.value)
  const entries =
    signed.entries.length > 0 ? cameWith(signed, about.value, log.keys) : wereFound(signed.searched ?? [], about.value, log.keys)
  if (!entries.ok) return entries

  const times = entries.value.flatMap(({ at }): Time[] => (at === undefined ? [] : [{ at, by: 'bundle' }]))
  // Rekor v2 says no time; a key does not end, a certificate of ten minutes does.
  const isTimeMissing = of.by === 'certificate' && times.length === 0 && stamps.length === 0
  const asked = isTimeMissing && time === 'ignored' ? stampsOf(signed, log.authorities ?? []) : { ok: true as const, value: stamps }
  if (!asked.ok) return asked
  if (isTimeMissing && asked.value.length === 0) return noTimestamp(signed)
  return inService(entries.value, { stamps: asked.value, times }, at, signed.form)
}

/** The key of a log that says no time must have been in service at the time that something else proves, or else be so now. */
function inService(entries: Entries, { stamps, times }: Pick<LoggedTimes, 'stamps' | 'times'>, at: number, form: Form): Read<LoggedTimes> {
  const timeless = entries.filter((entry) => entry.at === undefined)
  const proven = [...stamps, ...times].map((time) => time.at)
  for (const { valid } of timeless) {
    if ((proven.length > 0 ? proven : [at]).every((time) => time >= valid.from && (valid.until === undefined || time <= valid.until)))
      continue
    const detail = `the log's key was not in service when the signature was made`
    return refused(form === 'bundle' ? { code: 'log-inclusion-failed', detail } : { code: 'log-entry-missing', detail })
  }
  const until = proven.length > 0 ? undefined : earliest(timeless.map((entry) => entry.until))
  return { ok: true, value: { stamps, times, entries, until } }
}

type Abouts = readonly [Logged, ...Logged[]]

/** An entry of a signature by key names the key, or the certificate beside it, which must then be for this key. */
function aboutOf(signed: Signed, signer: Named, signature: Uint8Array): Read<Abouts> {
  const { content, bulk } = signed
  if (signer.certificate) return { ok: true, value: [{ signature, signer: derOf(signer.certificate), content, bulk }] }
  const spki = signer.key.key.export({ format: 'der', type: 'spki' })
  const byKey = { signature, signer: spki, content, bulk }
  if (signed.form === 'bundle' || !signed.certificates?.ok) return { ok: true, value: [byKey] }
  const { leaf } = signed.certificates.value
  if (!leaf.publicKey.equals(spki)) return refused({ code: 'certificate-not-of-key' })
  return { ok: true, value: [byKey, { ...byKey, signer: derOf(leaf) }] }
}

const NO_ENTRIES = 'not enough verified log entries from transparency log: 0 < 1'

function missing({ form, content }: Signed, search: Abouts | undefined): Refused {
  const reason: Reason =
    form === 'bundle'
      ? { code: 'log-inclusion-failed', detail: NO_ENTRIES }
      : { code: 'log-entry-missing', detail: 'offline verification failed' }
  if (!search) return refused(reason)
  // Writing the question, with all of the envelope in it, would take long.
  if (content.is === 'envelope' && content.json && content.json.length > MAX_SEARCH_CHARACTERS) {
    const text = `size of query (more than ${content.json.length}) exceeded the limit (${MAX_SEARCH_CHARACTERS})`
    return refused({ code: 'log-search-failed', text })
  }
  return {
    ok: false,
    reason: { code: 'log-entry-missing', detail: sentenceOf(reason) },
    search: { proposals: search.flatMap(proposedEntries) },
  }
}

type Entries = readonly VerifiedEntry[]

/** Entries that came with the signature: one at least must stand, none of a log of ours may be wrong, and none may stand twice (lesson 20). */
function cameWith(signed: Signed, about: Abouts, logs: readonly LogKey[]): Read<Entries> {
  const isBundle = signed.form === 'bundle'
  const verified: Entries[number][] = []
  const seen = new Set<string>()
  for (const read of signed.entries) {
    const entry = read.ok ? verifyAbout(read.value, about, logs) : read
    if (!entry.ok) {
      if (isBundle && read.ok && !isOfKnownLog(read.value, logs)) continue
      return isBundle ? refused({ code: 'log-inclusion-failed', detail: sentenceOf(entry.reason) }) : entry
    }
    // Only a promise covers the index that stands beside it, so the same body under two of them is the same entry.
    const { logId, index } = entry.value
    const names = [`${logId} ${index}`, `${logId} ${read.ok ? read.value.body.toString('base64') : ''}`]
    if (names.some((name) => seen.has(name))) return refused({ code: 'log-inclusion-failed', detail: 'duplicate tlog entries found' })
    for (const name of names) seen.add(name)
    verified.push(entry.value)
  }
  return verified.length > 0 ? { ok: true, value: verified } : refused({ code: 'log-inclusion-failed', detail: NO_ENTRIES })
}

function isOfKnownLog({ logId, proof }: LogEntry, logs: readonly LogKey[]): boolean {
  const checkpoint = proof && readCheckpoint(proof.checkpoint)
  return logs.some((log) => isNamed(logId, log, typeof checkpoint === 'string' ? undefined : checkpoint))
}

/**
 * Entries that the log was searched for: the earliest that stands counts. Anybody may upload a signature again, so a later one must not spoil
 * it; what the log signed says when it was there first.
 */
function wereFound(found: readonly LogEntry[] | Reason, about: Abouts, logs: readonly LogKey[]): Read<Entries> {
  if ('code' in found) return refused(found)
  const details: string[] = []
  const verified: Entries[number][] = []
  for (const one of found) {
    const entry = verifyAbout(one, about, logs)
    if (entry.ok) verified.push(entry.value)
    else details.push(sentenceOf(entry.reason))
  }
  const [first] = verified.toSorted((a, b) => (a.at ?? Infinity) - (b.at ?? Infinity))
  if (first) return { ok: true, value: [first] }
  const detail =
    details.length > 0 ? `no valid tlog entries found ${details.join(', ')}` : 'no valid tlog entries found with proposed entry'
  return refused({ code: 'log-entry-missing', detail })
}

function verifyAbout(entry: LogEntry, [first, ...others]: Abouts, logs: readonly LogKey[]): ReturnType<typeof verifyLogEntry> {
  const verified = verifyLogEntry(entry, first, logs)
  if (verified.ok) return verified
  return others.map((about) => verifyLogEntry(entry, about, logs)).find((other) => other.ok) ?? verified
}

// — step 3: the certificate

/** Its path to an authority of the terms at its notBefore, whose it is, and its signed certificate timestamps. */
function verifyCertificate(
  { certificate, links }: Named,
  terms: SignerTerms & { by: 'certificate' },
  form: Form,
  note: Note,
): Read<CertificatePath> | undefined {
  if (!certificate) return undefined
  const facts = factsOf(certificate)
  const path = facts.ok ? findPath(certificate, links, terms.authorities, 'code-signing', facts.value.from) : facts
  if (!path.ok) return form === 'bundle' ? refused({ code: 'leaf-certificate-untrusted', detail: sentenceOf(path.reason) }) : path
  note({ code: 'certificate-trusted', from: rfc3339(path.value.from), until: rfc3339(path.value.until) })
  const stranger = whyNotIdentity(certificate, terms.identities, form)
  if (stranger) return refused(stranger)
  note({ code: 'identity-matches' })
  const logs = terms.certificateLogs
  if (logs === 'insecure-ignored') return path
  const unlogged = 'code' in logs ? logs : whySctsNotBelieved(path.value, logs)
  if (!unlogged) {
    note({ code: 'certificate-logged' })
    return path
  }
  const isWorded = form === 'bundle' && !('code' in logs)
  return refused(isWorded ? { code: 'certificate-timestamps-too-few', detail: sentenceOf(unlogged) } : unlogged)
}

// — step 6: validity in time

/** When a signature's certificates are valid: those of its path, or the one beside a signature by key, of which nothing else is believed. */
type Window = { readonly from: number; readonly until: number; whyNotValidAt(at: number): string | undefined }

/** Whoever signs with a key and a certificate of their own can let the certificate end. */
function windowOf(signed: Signed, path: CertificatePath | undefined): Read<Window | undefined> {
  if (path) return { ok: true, value: { from: path.from, until: path.until, whyNotValidAt: (at) => whyNotValidAt(path, at) } }
  if (!signed.certificates || signed.form === 'bundle') return { ok: true, value: undefined }
  if (!signed.certificates.ok) return signed.certificates
  const facts = factsOf(signed.certificates.value.leaf)
  if (!facts.ok) return facts
  const { from, until } = facts.value
  const why = (at: number): string | undefined => {
    if (at > until) return `certificate expired before observed time: ${rfc3339(until)} is before ${rfc3339(at)}`
    return at < from ? `certificate was issued after observed time: ${rfc3339(from)} is after ${rfc3339(at)}` : undefined
  }
  return { ok: true, value: { from, until, whyNotValidAt: why } }
}

/** At every proven time, not only the first (lessons 19, 22), and every certificate of the path; without one, now. */
function whyNotValid(window: Window, times: readonly Time[], at: number, form: Form, terms: Terms): Reason | undefined {
  for (const time of times) {
    const why = window.whyNotValidAt(time.at)
    if (why === undefined) continue
    const detail = `checking expiry on certificate with ${time.by}: ${why}`
    return form === 'bundle' ? { code: 'leaf-certificate-untrusted', detail } : { code: 'certificate-not-valid-then', detail }
  }
  if (times.length > 0 || (at >= window.from && at <= window.until)) return undefined
  if (form === 'bundle') return { code: 'leaf-certificate-untrusted', detail: 'it is not valid now, and nothing proves when it signed' }
  const detail =
    terms.signer.by === 'certificate' && at < window.from
      ? `certificate was issued after observed time: ${rfc3339(window.from)} is after ${rfc3339(at)}`
      : 'expected a signed timestamp to verify an expired certificate'
  return { code: 'certificate-not-valid-now', detail }
}

function rfc3339(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z')
}

function earliest(instants: readonly (number | undefined)[]): number | undefined {
  const known = instants.filter((instant) => instant !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}

function refused(reason: Reason): { readonly ok: false; readonly reason: Reason } {
  return { ok: false, reason }
}
