import 'reflect-metadata'
import type { webcrypto } from 'node:crypto'
import { createHash, KeyObject, sign } from 'node:crypto'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { X509Certificate } from '@sigstore/core'
import type { CertificateAuthority } from '../../src/trust/material.ts'

const DAY = 24 * 60 * 60 * 1000
/** When timestamps are made unless something else is said; certificates are valid a day before and after it. */
export const NOON = Date.parse('2026-01-15T12:00:00Z')

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) } as const
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8'

type Minted = {
  readonly name: string
  readonly certificate: X509Certificate
  readonly key: KeyObject
  readonly keys: webcrypto.CryptoKeyPair
}

export type Made = {
  /** The leaf's extended key usages and whether they are critical; time stamping, critical, unless something else is said. */
  readonly usages?: readonly string[]
  readonly isCritical?: boolean
  readonly algorithm?: 'EC' | 'RSA' | 'Ed25519'
  /** When the leaf is valid, ms since 1970. */
  readonly leafValid?: { readonly from: number; readonly until: number }
}

/** What a token says, and what is wrong with it. */
export type Said = {
  readonly at?: number
  /** As it stands in the token; overrides `at`. */
  readonly time?: string
  readonly hash?: 'sha1' | 'sha256' | 'sha384' | 'sha512'
  readonly digestHash?: 'sha256' | 'sha384' | 'sha512'
  readonly status?: number
  readonly tokenOnly?: boolean
  readonly nonce?: number
  readonly criticalExtension?: boolean
  readonly infoVersion?: number
  readonly infoType?: string
  readonly attributeType?: string
  readonly messageDigest?: Buffer
  readonly names?: 'by issuer' | 'by key'
  readonly certificateId?: 'v2' | 'v2 with SHA-512' | 'v1' | 'of another' | 'none'
  readonly attributes?: 'as wanted' | 'none' | 'twice' | 'too many'
  readonly signers?: number
  /** The certificates in the token, the leaf unless something else is said. */
  readonly embedded?: readonly X509Certificate[]
  readonly signedWith?: KeyObject
}

export type TimestampAuthority = {
  readonly leaf: Minted
  readonly intermediate: Minted
  readonly root: Minted
  /** What a trust root says of it, without its leaf. */
  readonly trusted: CertificateAuthority
  stamp(signed: Uint8Array, said?: Said): Buffer
}

/** A timestamp authority with root, intermediate and leaf, that makes RFC 3161 timestamps, broken ones on demand. */
export async function makeTimestampAuthority(name: string, made: Made = {}): Promise<TimestampAuthority> {
  const valid = { from: NOON - DAY, until: NOON + DAY }
  const root = await mint(`CN=${name} root`, undefined, valid, [
    new BasicConstraintsExtension(true, 1, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
  ])
  const intermediate = await mint(`CN=${name} intermediate`, root, valid, [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    new ExtendedKeyUsageExtension([TIME_STAMPING]),
  ])
  const usages = [...(made.usages ?? [TIME_STAMPING])]
  const leaf = await mint(
    `CN=${name}`,
    intermediate,
    made.leafValid ?? valid,
    [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      ...(usages.length > 0 ? [new ExtendedKeyUsageExtension(usages, made.isCritical ?? true)] : []),
    ],
    made.algorithm,
  )
  return {
    leaf,
    intermediate,
    root,
    trusted: {
      uri: `https://${name}.example`,
      roots: [root.certificate],
      intermediates: [intermediate.certificate],
      valid: { from: NOON - DAY, until: undefined },
    },
    stamp: (signed, said = {}) => stampOf(leaf, made.algorithm ?? 'EC', signed, said),
  }
}

type Extensions = NonNullable<Parameters<typeof X509CertificateGenerator.create>[0]['extensions']>

async function mint(
  subject: string,
  by: Minted | undefined,
  valid: { readonly from: number; readonly until: number },
  extensions: Extensions,
  algorithm: 'EC' | 'RSA' | 'Ed25519' = 'EC',
): Promise<Minted> {
  const kind = { EC, RSA, Ed25519: { name: 'Ed25519' } }[algorithm]
  const keys = (await crypto.subtle.generateKey(kind, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  const minted = await X509CertificateGenerator.create({
    subject,
    issuer: by?.name ?? subject,
    notBefore: new Date(valid.from),
    notAfter: new Date(valid.until),
    publicKey: keys.publicKey,
    signingKey: by?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: EC,
    extensions: [...extensions, await SubjectKeyIdentifierExtension.create(keys.publicKey)],
  })
  return { name: subject, certificate: X509Certificate.parse(Buffer.from(minted.rawData)), key: KeyObject.from(keys.privateKey), keys }
}

// — tokens (RFC 3161, RFC 5652)

const HASHES = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
}
const SIGNATURES = { EC: '1.2.840.10045.4.3.2', RSA: '1.2.840.113549.1.1.11', Ed25519: '1.3.101.112' }
const TST_INFO = '1.2.840.113549.1.9.16.1.4'

function stampOf(leaf: Minted, algorithm: 'EC' | 'RSA' | 'Ed25519', signed: Uint8Array, said: Said): Buffer {
  const { hash = 'sha256', digestHash = 'sha256', at = NOON } = said
  const time =
    said.time ??
    new Date(at)
      .toISOString()
      .replace(/[-:T]/g, '')
      .replace(/\.000Z$/, 'Z')
  const info = sequence(
    integer(said.infoVersion ?? 1),
    oid('1.2.3.4'),
    sequence(identifier(HASHES[hash]), der(0x04, digest(hash, signed))),
    integer(7),
    der(0x18, time),
    ...(said.nonce === undefined ? [] : [integer(said.nonce)]),
    ...(said.criticalExtension ? [der(0xa1, sequence(oid('1.2.3.5'), der(0x01, Buffer.from([0xff])), der(0x04, 'x')))] : []),
  )
  const attributes = attributesOf(leaf, said, said.messageDigest ?? digest(digestHash, info))
  const toSign = attributes.length > 0 ? der(0x31, ...attributes) : info
  const signature = sign(algorithm === 'Ed25519' ? null : 'sha256', toSign, said.signedWith ?? leaf.key)
  const { certificate } = leaf
  const signer = sequence(
    integer(said.names === 'by key' ? 3 : 1),
    said.names === 'by key'
      ? der(0x80, certificate.extSubjectKeyID?.keyIdentifier ?? '')
      : sequence(der(0x30, certificate.issuer), der(0x02, certificate.serialNumber)),
    identifier(HASHES[digestHash]),
    ...(attributes.length > 0 ? [der(0xa0, ...attributes)] : []),
    identifier(SIGNATURES[algorithm]),
    der(0x04, signature),
  )
  const embedded = said.embedded ?? [certificate]
  const signedData = sequence(
    integer(3),
    der(0x31, identifier(HASHES[digestHash])),
    sequence(oid(said.infoType ?? TST_INFO), der(0xa0, der(0x04, info))),
    ...(embedded.length > 0 ? [der(0xa0, ...embedded.map((c) => c.root.toDER()))] : []),
    der(0x31, ...Array.from({ length: said.signers ?? 1 }, () => signer)),
  )
  const token = sequence(oid('1.2.840.113549.1.7.2'), der(0xa0, signedData))
  return said.tokenOnly ? token : sequence(sequence(integer(said.status ?? 0)), token)
}

function attributesOf(leaf: Minted, said: Said, messageDigest: Buffer): Buffer[] {
  if (said.attributes === 'none') return []
  const certificate = leaf.certificate.root.toDER()
  const attribute = (type: string, value: Buffer) => sequence(oid(type), der(0x31, value))
  const v2 = (...id: Buffer[]) => attribute('1.2.840.113549.1.9.16.2.47', sequence(sequence(sequence(...id))))
  const ids = {
    'v2': [v2(der(0x04, digest('sha256', certificate)))],
    'v2 with SHA-512': [v2(identifier(HASHES.sha512), der(0x04, digest('sha512', certificate)))],
    'v1': [attribute('1.2.840.113549.1.9.16.2.12', sequence(sequence(sequence(der(0x04, digest('sha1', certificate))))))],
    'of another': [v2(der(0x04, digest('sha256', Buffer.from('another certificate'))))],
    'none': [],
  }[said.certificateId ?? 'v2']
  const type = attribute('1.2.840.113549.1.9.3', oid(said.attributeType ?? TST_INFO))
  const all = [type, attribute('1.2.840.113549.1.9.4', der(0x04, messageDigest)), ...ids]
  if (said.attributes === 'twice') all.push(type)
  if (said.attributes === 'too many') all.push(...Array.from({ length: 40 }, (_, i) => attribute(`1.2.3.${i}`, integer(i))))
  return all
}

function digest(hash: string, bytes: Uint8Array): Buffer {
  return createHash(hash).update(bytes).digest()
}

// — DER

export function der(tag: number, ...content: (Uint8Array | string)[]): Buffer {
  const value = Buffer.concat(content.map((c) => (typeof c === 'string' ? Buffer.from(c) : c)))
  const long = value.length.toString(16)
  const bytes = Buffer.from(long.length % 2 === 1 ? `0${long}` : long, 'hex')
  return Buffer.concat([
    Buffer.from([tag]),
    value.length < 0x80 ? bytes : Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]),
    value,
  ])
}

function sequence(...content: Buffer[]): Buffer {
  return der(0x30, ...content)
}

/** Below 128. */
function integer(value: number): Buffer {
  return der(0x02, Buffer.from([value]))
}

function identifier(algorithm: string): Buffer {
  return sequence(oid(algorithm))
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...arcs] = text.split('.').map(Number)
  const base128 = (arc: number): number[] => {
    const bytes = [arc & 0x7f]
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift((rest & 0x7f) | 0x80)
    return bytes
  }
  return der(0x06, Buffer.from([first * 40 + second, ...arcs.flatMap(base128)]))
}
