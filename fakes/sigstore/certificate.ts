import { createHash, randomBytes } from 'node:crypto'
import type { KeyType, Signer } from '../signer.ts'
import { signBytes } from '../signer.ts'
import { bits, bool, explicit, ia5, implicit, integer, nothing, octets, oid, pem, sequence, setOf, time, utf8 } from './der.ts'

export type Certificate = {
  readonly der: Buffer
  readonly pem: string
  /** The subject's name in DER. */
  readonly name: Buffer
  readonly issuer: Buffer
  readonly serial: Buffer
  /** SubjectPublicKeyInfo in DER. */
  readonly key: Buffer
  /** ms since 1970 */
  readonly from: number
  readonly until: number
}

export type Extension = { readonly oid: string; readonly isCritical: boolean; readonly value: Buffer }

/** A certificate whose key is at hand, so that it can issue others. */
export type Issuer = { readonly certificate: Certificate; readonly key: Signer }

export type CertificateRequest = {
  readonly subject: Name
  readonly key: Signer
  /** Undefined: signed by itself. */
  readonly issuer: { readonly name: Buffer; readonly key: Signer } | undefined
  readonly from: number
  readonly until: number
  readonly extensions: readonly Extension[]
  /** Called with the TBSCertificate as it is without them, for signed certificate timestamps (RFC 6962, 3.2). */
  readonly more?: (tbs: Buffer) => readonly Extension[]
}

export type Name = { readonly organization?: string; readonly commonName?: string }

const SIGNATURE_ALGORITHM: { readonly [type in KeyType]: Buffer } = {
  p256: sequence(oid('1.2.840.10045.4.3.2')),
  p384: sequence(oid('1.2.840.10045.4.3.3')),
  p521: sequence(oid('1.2.840.10045.4.3.4')),
  rsa1024: sequence(oid('1.2.840.113549.1.1.11'), nothing()),
  rsa2048: sequence(oid('1.2.840.113549.1.1.11'), nothing()),
  rsa4096: sequence(oid('1.2.840.113549.1.1.11'), nothing()),
  ed25519: sequence(oid('1.3.101.112')),
}

export function signatureAlgorithm(signer: Signer): Buffer {
  return SIGNATURE_ALGORITHM[signer.type]
}

/** A signature with the hash that `signatureAlgorithm` names. */
export function signDer(signer: Signer, bytes: Uint8Array): Buffer {
  return signBytes(signer, bytes, signer.type === 'p384' ? 'sha384' : signer.type === 'p521' ? 'sha512' : 'sha256')
}

export function spkiOf(signer: Signer): Buffer {
  return signer.publicKey.export({ format: 'der', type: 'spki' })
}

export function nameOf({ organization, commonName }: Name): Buffer {
  const part = (id: string, text: string | undefined): Buffer[] => (text === undefined ? [] : [setOf(sequence(oid(id), utf8(text)))])
  return sequence(...part('2.5.4.10', organization), ...part('2.5.4.3', commonName))
}

/** Issues a certificate (RFC 5280) with whatever extensions it is told, sensible or not. */
export function issue(request: CertificateRequest): Certificate {
  const { key, from, until, extensions } = request
  const name = nameOf(request.subject)
  const issuer = request.issuer ?? { name, key }
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(15)])
  const tbsWith = (all: readonly Extension[]): Buffer =>
    sequence(
      explicit(0, integer(2)),
      integer(serial),
      signatureAlgorithm(issuer.key),
      issuer.name,
      sequence(time(from), time(until)),
      name,
      spkiOf(key),
      ...(all.length === 0 ? [] : [explicit(3, sequence(...all.map(extensionDer)))]),
    )
  const tbs = tbsWith([...extensions, ...(request.more?.(tbsWith(extensions)) ?? [])])
  const der = sequence(tbs, signatureAlgorithm(issuer.key), bits(signDer(issuer.key, tbs)))
  return { der, pem: pem('CERTIFICATE', der), name, issuer: issuer.name, serial, key: spkiOf(key), from, until }
}

function extensionDer({ oid: id, isCritical, value }: Extension): Buffer {
  return sequence(oid(id), ...(isCritical ? [bool(true)] : []), octets(value))
}

export function basicConstraints(isCa: boolean, pathLength?: number): Extension {
  const value = sequence(...(isCa ? [bool(true)] : []), ...(pathLength === undefined ? [] : [integer(pathLength)]))
  return { oid: '2.5.29.19', isCritical: true, value }
}

const KEY_USAGES = { digitalSignature: [0x07, 0x80], certSign: [0x01, 0x06] } as const

/** `certSign` is keyCertSign and cRLSign, as CAs have it. */
export function keyUsage(usage: keyof typeof KEY_USAGES): Extension {
  return { oid: '2.5.29.15', isCritical: true, value: Buffer.from([0x03, 0x02, ...KEY_USAGES[usage]]) }
}

const PURPOSES = {
  'server-auth': '1.3.6.1.5.5.7.3.1',
  'client-auth': '1.3.6.1.5.5.7.3.2',
  'code-signing': '1.3.6.1.5.5.7.3.3',
  'time-stamping': '1.3.6.1.5.5.7.3.8',
} as const
export type Purpose = keyof typeof PURPOSES

export function extendedKeyUsage(purposes: readonly Purpose[], isCritical = false): Extension {
  return { oid: '2.5.29.37', isCritical, value: sequence(...purposes.map((purpose) => oid(PURPOSES[purpose]))) }
}

export function keyIdOf(key: Uint8Array): Buffer {
  return createHash('sha1').update(key).digest()
}

/** The subject's and the issuer's key identifiers. */
export function keyIdentifiers(subject: Signer, issuer: Signer): readonly Extension[] {
  return [
    { oid: '2.5.29.14', isCritical: false, value: octets(keyIdOf(spkiOf(subject))) },
    { oid: '2.5.29.35', isCritical: false, value: sequence(implicit(0, keyIdOf(spkiOf(issuer)))) },
  ]
}

/** A subject's alternative name; `other` is Fulcio's otherName for machine identities. */
export type AlternativeName = { readonly type: 'uri' | 'email' | 'dns' | 'other'; readonly value: string }

export function alternativeNames(names: readonly AlternativeName[], isCritical = true): Extension {
  return { oid: '2.5.29.17', isCritical, value: sequence(...names.map(generalName)) }
}

function generalName({ type, value }: AlternativeName): Buffer {
  switch (type) {
    case 'email':
      return implicit(1, Buffer.from(value))
    case 'dns':
      return implicit(2, Buffer.from(value))
    case 'uri':
      return implicit(6, Buffer.from(value))
    case 'other':
      return explicit(0, oid('1.3.6.1.4.1.57264.1.7'), explicit(0, utf8(value)))
  }
}

/** Permits only names below `domain`: hosts of URIs, of addresses, and DNS names. */
export function permittedNames(domain: string): Extension {
  const below = [implicit(1, Buffer.from(`.${domain}`)), implicit(2, Buffer.from(domain)), implicit(6, Buffer.from(`.${domain}`))]
  return { oid: '2.5.29.30', isCritical: true, value: sequence(explicit(0, ...below.map((name) => sequence(name)))) }
}

/** An extension that nobody knows. */
export function unknownExtension(isCritical: boolean): Extension {
  return { oid: '1.3.6.1.4.1.57264.99.1', isCritical, value: ia5('what this means, nobody knows') }
}
