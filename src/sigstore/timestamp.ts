import { createHash, verify } from 'node:crypto'
import type { ASN1Obj, X509Certificate } from '@sigstore/core'
import { isJsonObject, readJson } from '../image/json.ts'
import { derOf, encodingOf, factsOf, readCertificates } from '../trust/certificate.ts'
import { parseDer } from '../trust/der.ts'
import type { CertificateAuthority } from '../trust/material.ts'
import { findPath } from '../trust/path.ts'
import type { Read } from '../verdict/read.ts'
import { quoted, sentenceOf } from '../verdict/reason.ts'
import { decodeBase64 } from './base64.ts'
import type { Bulk } from './bulk.ts'
import { atOnce } from './bulk.ts'

const MAX_TOKEN_BYTES = 16 * 1024 // one with a chain of three certificates has 6 KiB; the worst that can be nested into this takes 5 ms
const MAX_ANNOTATION_BYTES = 32 * 1024 // the base64 of it, and the JSON around
const MAX_CERTIFICATES = 8 // in a token; a chain has three
const MAX_ATTRIBUTES = 32 // signed ones; RFC 3161 knows four

// Not exported, and not in JSON: nothing but this file can make a value that carries it.
const verified: unique symbol = Symbol('verified')

/** An instant at which something was proven to exist. Only this file makes one. */
export type VerifiedTime = {
  readonly [verified]: true
  /** ms since 1970. */
  readonly at: number
  /** The `uri` of the authority that says so. */
  readonly authority: string
}

/**
 * Verifies an RFC 3161 timestamp, a TimeStampResp or the token alone, over the bytes `signed` (specification 7.3, step 1): about these
 * bytes, made by a certificate for time stamping of one of `authorities`, which was in service then and whose path is valid then.
 * An authority that names its own signing certificate is believed with no other; certificates in the token are only links. At most
 * 16 KiB; SHA-256, SHA-384, SHA-512; ECDSA, RSA (PKCS#1 v1.5), Ed25519. Answers `timestamp-invalid`; never throws.
 */
export function verifyTimestamp(
  token: Uint8Array,
  signed: Uint8Array,
  authorities: readonly CertificateAuthority[],
  bulk: Bulk = atOnce,
): Read<VerifiedTime> {
  if (authorities.length === 0) return refused('no TSA root certificate(s) provided to verify timestamp')
  const read = readStamp(token, authorities)
  if (!read.ok) return read
  const stamp = read.value
  if (!bulk.digest(stamp.imprint.hash, signed).equals(stamp.imprint.digest)) return refused(`hashed messages don't match`)
  if (!digest(stamp.digestHash, stamp.statement).equals(stamp.messageDigest))
    return refused('its message digest is not that of its content')

  let closest: Unsigned | undefined
  for (const authority of authorities) {
    const why = whyNotSignedBy(stamp, authority)
    if (why === undefined) return { ok: true, value: { [verified]: true, at: stamp.at, authority: authority.uri } }
    closest = closerOf(closest, why)
  }
  return refused((closest ?? STRANGER).detail)
}

/** Reads the annotation `dev.sigstore.cosign/rfc3161timestamp` (cosign's signature specification): the bytes of the timestamp. At most 32 KiB; never throws. */
export function readTimestampAnnotation(json: string): Read<Uint8Array> {
  const read = readJson(Buffer.from(json), { bytes: MAX_ANNOTATION_BYTES, depth: 4, values: 64 })
  if (!read.ok) return refused(read.detail)
  const base64 = isJsonObject(read.value) ? read.value['SignedRFC3161Timestamp'] : undefined
  if (typeof base64 !== 'string' || base64 === '') return refused('the annotation has no SignedRFC3161Timestamp')
  const decoded = decodeBase64(base64)
  return decoded.ok ? { ok: true, value: decoded.bytes } : refused(decoded.detail)
}

function refused(detail: string): Read<never> {
  return { ok: false, reason: { code: 'timestamp-invalid', detail } }
}

// — who made it

/** Why an authority did not sign a timestamp. `isSigner`: the certificate is one of its own, so that what is wrong is worth telling. */
type Unsigned = { readonly isSigner: boolean; readonly detail: string }

const UNTRUSTED = 'error while verifying with chain: pkcs7: failed to verify certificate chain: ' // the text that users know
const STRANGER: Unsigned = { isSigner: false, detail: `${UNTRUSTED}x509: certificate signed by unknown authority` }

function closerOf(one: Unsigned | undefined, other: Unsigned): Unsigned {
  return one && (one.isSigner || !other.isSigner) ? one : other
}

function whyNotSignedBy(stamp: Stamp, authority: CertificateAuthority): Unsigned | undefined {
  const own = [...authority.intermediates, ...authority.roots].filter((certificate) => !isAuthority(certificate))
  const signers = (own.length > 0 ? own : stamp.certificates).filter((certificate) => isNamed(certificate, stamp.signer))
  let closest: Unsigned | undefined
  // Everything is asked of one and the same certificate: what another one beside it says does not count (CVE-2026-39984).
  for (const certificate of signers) {
    const why = whyNotSignedWith(certificate, stamp, authority)
    if (why === undefined) return undefined
    closest = closerOf(closest, { ...why, isSigner: why.isSigner || own.length > 0 })
  }
  return closest ?? STRANGER
}

function whyNotSignedWith(certificate: X509Certificate, stamp: Stamp, authority: CertificateAuthority): Unsigned | undefined {
  // The path first: the key of a certificate that nobody vouches for is not even tried.
  const path = findPath(certificate, stamp.certificates, [authority], 'time-stamping', stamp.at)
  if (!path.ok) return { isSigner: false, detail: `${UNTRUSTED}${sentenceOf(path.reason)}` }
  const unsigned = (detail: string): Unsigned => ({ isSigner: true, detail })
  const { from, until } = authority.valid
  if (stamp.at < from || (until !== undefined && stamp.at > until))
    return unsigned(`the timestamp authority ${quoted(authority.uri)} was not in service at ${new Date(stamp.at).toISOString()}`)
  for (const { hash, value } of stamp.certificateIds) {
    if (!digest(hash, derOf(certificate)).equals(value)) return unsigned('its signing-certificate attribute names another certificate')
  }
  return isSigned(stamp, certificate) ? undefined : unsigned('signature verification failed')
}

function isAuthority(certificate: X509Certificate): boolean {
  try {
    return certificate.isCA
  } catch {
    return true
  }
}

function isNamed(certificate: X509Certificate, signer: SignerName): boolean {
  try {
    return signer.by === 'issuer'
      ? certificate.issuer.equals(signer.issuer) && certificate.serialNumber.equals(signer.serial)
      : (certificate.extSubjectKeyID?.keyIdentifier.equals(signer.keyIdentifier) ?? false)
  } catch {
    return false
  }
}

function isSigned(stamp: Stamp, certificate: X509Certificate): boolean {
  try {
    const facts = factsOf(certificate)
    const key = facts.ok ? facts.value.key?.key : undefined
    const { type, hash } = stamp.signatureAlgorithm
    return key?.asymmetricKeyType === type && verify(hash, stamp.signedAttributes, key, stamp.signature)
  } catch {
    return false
  }
}

// — what it says (RFC 3161, section 2.4.2; RFC 5652, section 5)

type Hash = 'sha256' | 'sha384' | 'sha512'
type SignerName =
  | { readonly by: 'issuer'; readonly issuer: Buffer; readonly serial: Buffer }
  | { readonly by: 'key'; readonly keyIdentifier: Buffer }

/** A timestamp, read; nobody believes it yet. */
type Stamp = {
  readonly at: number
  readonly imprint: { readonly hash: Hash; readonly digest: Buffer }
  /** The DER of its TSTInfo. */
  readonly statement: Buffer
  readonly digestHash: Hash
  readonly messageDigest: Buffer
  /** What it calls its signer's certificate by (RFC 2634, RFC 5035). */
  readonly certificateIds: readonly { readonly hash: Hash | 'sha1'; readonly value: Buffer }[]
  /** As they are signed: with the tag of a SET. */
  readonly signedAttributes: Buffer
  readonly signatureAlgorithm: { readonly type: 'ec' | 'rsa' | 'ed25519'; readonly hash: Hash | null }
  readonly signature: Buffer
  readonly signer: SignerName
  readonly certificates: readonly X509Certificate[]
}

const SIGNED_DATA = '1.2.840.113549.1.7.2'
const TST_INFO = '1.2.840.113549.1.9.16.1.4'
const CONTENT_TYPE = '1.2.840.113549.1.9.3'
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4'
const SIGNING_CERTIFICATE = '1.2.840.113549.1.9.16.2.12'
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47'
const RSA_ENCRYPTION = '1.2.840.113549.1.1.1'

const HASHES: { readonly [oid: string]: Hash | undefined } = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}
const SIGNATURES: { readonly [oid: string]: Stamp['signatureAlgorithm'] | undefined } = {
  '1.2.840.10045.4.3.2': { type: 'ec', hash: 'sha256' },
  '1.2.840.10045.4.3.3': { type: 'ec', hash: 'sha384' },
  '1.2.840.10045.4.3.4': { type: 'ec', hash: 'sha512' },
  '1.2.840.113549.1.1.11': { type: 'rsa', hash: 'sha256' },
  '1.2.840.113549.1.1.12': { type: 'rsa', hash: 'sha384' },
  '1.2.840.113549.1.1.13': { type: 'rsa', hash: 'sha512' },
  '1.3.101.112': { type: 'ed25519', hash: null },
}

/** Thrown and caught within this file only: reading goes twelve levels deep, and the library throws too. */
class Malformed extends Error {}

function readStamp(bytes: Uint8Array, authorities: readonly CertificateAuthority[]): Read<Stamp> {
  if (bytes.length > MAX_TOKEN_BYTES) return refused(`size of timestamp (${bytes.length}) exceeded the limit (${MAX_TOKEN_BYTES})`)
  try {
    return { ok: true, value: stampOf(signedDataOf(parseDer(bytes)), authorities) }
  } catch (error) {
    return refused(error instanceof Malformed ? error.message : 'it is not a timestamp in DER')
  }
}

/** The SignedData of a TimeStampResp, whose status must say that it was granted, or of a token alone. */
function signedDataOf(root: ASN1Obj): ASN1Obj {
  let content = sequence(root)
  if (!child(root, 0).tag.isOID()) {
    const status = child(child(root, 0), 0).toInteger()
    // Granted, and granted with modifications.
    if (status !== 0n && status !== 1n) throw new Malformed(`its status is ${status}, not granted`)
    if (content.length !== 2) throw new Malformed('it has no token')
    content = sequence(child(root, 1))
  }
  const [type, explicit] = content
  if (content.length !== 2 || type?.toOID() !== SIGNED_DATA) throw new Malformed('its content is not signed data')
  return only(tagged(explicit, 0))
}

function stampOf(signedData: ASN1Obj, authorities: readonly CertificateAuthority[]): Stamp {
  const [, , encapsulated, ...optional] = sequence(signedData)
  const infos = optional.pop()
  if (!encapsulated || !infos || !isUniversal(infos, SET)) throw new Malformed('its signed data is incomplete')
  const [type, explicit] = sequence(encapsulated)
  if (type?.toOID() !== TST_INFO) throw new Malformed('its content is not a TSTInfo')
  const statement = octets(only(tagged(explicit, 0)))
  const embedded = optional.filter((o) => o.tag.isContextSpecific(0)).flatMap((o) => o.subs)
  // RFC 3161, section 2.4.2: no signature but that of the authority.
  return { ...infoOf(parseDer(statement)), ...signerOf(only(infos)), statement, certificates: certificatesOf(embedded, authorities) }
}

function certificatesOf(embedded: readonly ASN1Obj[], authorities: readonly CertificateAuthority[]): X509Certificate[] {
  if (embedded.length > MAX_CERTIFICATES)
    throw new Malformed(`number of certificates (${embedded.length}) exceeded the limit (${MAX_CERTIFICATES})`)
  // Mostly they are those of the authority itself, which were read when it was named, and whose signatures were verified before.
  const known = authorities.flatMap(({ intermediates, roots }) => [...intermediates, ...roots])
  return embedded.flatMap((certificate) => {
    const der = encodingOf(certificate)
    const same = known.find((one) => derOf(one).equals(der))
    if (same) return [same]
    const read = readCertificates(der)
    if (!read.ok) throw new Malformed(`one of its certificates cannot be read: ${sentenceOf(read.reason)}`)
    return read.value
  })
}

function infoOf(info: ASN1Obj): Pick<Stamp, 'at' | 'imprint'> {
  const [version, , imprint, , time, ...optional] = sequence(info)
  if (version?.toInteger() !== 1n) throw new Malformed('its version is not 1')
  const [algorithm, hashed] = sequence(imprint)
  for (const extensions of optional.filter((o) => o.tag.isContextSpecific(1))) {
    // None is known here, and a critical one must be (RFC 3161, section 2.4.2).
    if (extensions.subs.some((extension) => extension.subs.some((part) => part.tag.isBoolean() && part.toBoolean())))
      throw new Malformed('it has a critical extension')
  }
  return { at: timeOf(time), imprint: { hash: hashOf(algorithm), digest: octets(hashed) } }
}

const TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?Z$/

/** A GeneralizedTime in ms since 1970, with the fraction of a second that RFC 3161 allows, cut to ms. */
function timeOf(time: ASN1Obj | undefined): number {
  const text = time?.tag.isGeneralizedTime() ? time.value.toString('latin1') : ''
  const [, year, month, day, hour, minute, second, fraction = ''] = TIME.exec(text) ?? []
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}Z`)
  // Date.parse takes the 31st of any month.
  if (Number.isNaN(at) || new Date(at).getUTCDate() !== Number(day) || Number(hour) > 23) throw new Malformed('its time cannot be read')
  return at
}

type SignerFields = 'digestHash' | 'messageDigest' | 'certificateIds' | 'signedAttributes' | 'signatureAlgorithm' | 'signature' | 'signer'

function signerOf(info: ASN1Obj): Pick<Stamp, SignerFields> {
  const [, sid, digestAlgorithm, attributes, signatureAlgorithm, signature] = sequence(info)
  // Without signed attributes the signature would be over the content itself, which could then be read as attributes.
  if (!attributes?.tag.isContextSpecific(0) || !attributes.tag.constructed) throw new Malformed('it has no signed attributes')
  if (attributes.subs.length > MAX_ATTRIBUTES) throw new Malformed('it has too many signed attributes')
  const type = attributeOf(attributes, CONTENT_TYPE)
  if (type?.toOID() !== TST_INFO) throw new Malformed('its content-type attribute is not that of a TSTInfo')
  const digestHash = hashOf(digestAlgorithm)
  const signedAttributes = attributes.toDER()
  signedAttributes[0] = 0x31 // RFC 5652, section 5.4: signed as a SET, not as [0]
  return {
    digestHash,
    messageDigest: octets(attributeOf(attributes, MESSAGE_DIGEST)),
    certificateIds: certificateIdsOf(attributes),
    signedAttributes,
    signatureAlgorithm: signatureAlgorithmOf(signatureAlgorithm, digestHash),
    signature: octets(signature),
    signer: signerNameOf(sid),
  }
}

function signerNameOf(sid: ASN1Obj | undefined): SignerName {
  if (sid?.tag.isContextSpecific(0) && !sid.tag.constructed) return { by: 'key', keyIdentifier: sid.value }
  const [issuer, serial] = sequence(sid)
  if (!issuer || !serial) throw new Malformed('its signer has no name')
  return { by: 'issuer', issuer: issuer.value, serial: serial.value }
}

/** The one value of the attribute, which may stand there once; undefined when it is not there. */
function attributeOf(attributes: ASN1Obj, oid: string): ASN1Obj | undefined {
  const found = attributes.subs.filter((attribute) => child(attribute, 0).toOID() === oid)
  if (found.length > 1) throw new Malformed('it has a signed attribute twice')
  const [attribute] = found
  return attribute && only(child(attribute, 1))
}

/** What the attributes signing-certificate and signing-certificate-v2 call the signer's certificate by: the first of each. */
function certificateIdsOf(attributes: ASN1Obj): Stamp['certificateIds'] {
  const ids: { hash: Hash | 'sha1'; value: Buffer }[] = []
  const v1 = attributeOf(attributes, SIGNING_CERTIFICATE)
  // SHA-1 by definition. It only tells a certificate from others of an authority that is believed.
  if (v1) ids.push({ hash: 'sha1', value: octets(child(child(child(v1, 0), 0), 0)) })
  const v2 = attributeOf(attributes, SIGNING_CERTIFICATE_V2)
  if (v2) {
    const [first, second] = sequence(child(child(v2, 0), 0))
    // The hash algorithm stands there only when it is not SHA-256.
    ids.push(
      first && isUniversal(first, SEQUENCE) ? { hash: hashOf(first), value: octets(second) } : { hash: 'sha256', value: octets(first) },
    )
  }
  return ids
}

function signatureAlgorithmOf(algorithm: ASN1Obj | undefined, digestHash: Hash): Stamp['signatureAlgorithm'] {
  const oid = sequence(algorithm)[0]?.toOID() ?? ''
  const known = oid === RSA_ENCRYPTION ? ({ type: 'rsa', hash: digestHash } as const) : SIGNATURES[oid]
  if (!known) throw new Malformed(`its signature algorithm ${quoted(oid)} is not supported`)
  return known
}

function hashOf(algorithm: ASN1Obj | undefined): Hash {
  const oid = sequence(algorithm)[0]?.toOID() ?? ''
  const hash = HASHES[oid]
  if (!hash) throw new Malformed(`its hash algorithm ${quoted(oid)} is not one of SHA-256, SHA-384, SHA-512`)
  return hash
}

// — DER

const SEQUENCE = 0x10
const SET = 0x11

function isUniversal({ tag }: ASN1Obj, number: number): boolean {
  return tag.isUniversal() && tag.number === number && tag.constructed
}

function sequence(object: ASN1Obj | undefined): ASN1Obj[] {
  if (!object || !isUniversal(object, SEQUENCE)) throw new Malformed('it is not a timestamp in DER')
  return [...object.subs]
}

function child(object: ASN1Obj, index: number): ASN1Obj {
  const found = object.subs[index]
  if (!found || !object.tag.constructed) throw new Malformed('it is not a timestamp in DER')
  return found
}

function only(object: ASN1Obj): ASN1Obj {
  if (object.subs.length !== 1) throw new Malformed('it has two values, or none, where one is wanted')
  return child(object, 0)
}

function tagged(object: ASN1Obj | undefined, number: number): ASN1Obj {
  if (!object?.tag.isContextSpecific(number)) throw new Malformed('it is not a timestamp in DER')
  return object
}

function octets(object: ASN1Obj | undefined): Buffer {
  if (!object?.tag.isOctetString() || object.tag.constructed) throw new Malformed('it is not a timestamp in DER')
  return object.value as Buffer
}

function digest(hash: Hash | 'sha1', bytes: Uint8Array): Buffer {
  return createHash(hash).update(bytes).digest()
}
