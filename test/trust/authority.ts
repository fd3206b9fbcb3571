import type { KeyObject } from 'node:crypto'
import { constants, createHash, generateKeyPairSync, sign } from 'node:crypto'
import { X509Certificate } from '@sigstore/core'
import type { CertificateAuthority, LogKey } from '../../src/trust/material.ts'

// Certificates written byte by byte: what is wrong with them is what no library would write.

const DAY = 24 * 60 * 60 * 1000
/** An instant at which everything is valid unless something else is said, from a day before to a day after. */
export const NOON = Date.parse('2026-01-15T12:00:00Z')

export const CODE_SIGNING = '1.3.6.1.5.5.7.3.3'
export const TIME_STAMPING = '1.3.6.1.5.5.7.3.8'
export const SERVER = '1.3.6.1.5.5.7.3.1'
export const ANY_USAGE = '2.5.29.37.0'
export const SCT_LIST = '1.3.6.1.4.1.11129.2.4.2'

export type KeyKind = 'P-256' | 'P-384' | 'P-521' | 'RSA' | 'Ed25519'
export type KeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
export type Extension = { readonly oid: string | Buffer; readonly critical?: boolean; readonly value: Buffer }
type Usage = 'digitalSignature' | 'nonRepudiation' | 'keyCertSign' | 'cRLSign'

/** What a certificate says, and what is wrong with it. */
export type Made = {
  readonly subject?: string | Buffer
  /** Who issues it: itself, unless something is said. */
  readonly by?: Minted
  readonly issuer?: Buffer
  readonly keys?: KeyPair
  readonly kind?: KeyKind
  readonly from?: number
  readonly until?: number
  /** The two times in DER, instead. */
  readonly validity?: Buffer
  /** True for an authority, or how many may be below it. */
  readonly authority?: boolean | number
  readonly keyUsage?: readonly Usage[]
  readonly usages?: readonly string[]
  readonly usagesCritical?: boolean
  readonly names?: readonly Buffer[]
  readonly permitted?: readonly Buffer[]
  readonly excluded?: readonly Buffer[]
  readonly extensions?: readonly Extension[]
  readonly logs?: readonly TestLog[]
  /** The content of the list of timestamps, instead. */
  readonly timestamps?: (entry: Buffer) => Buffer
  readonly hash?: 'sha1' | 'sha256' | 'sha384' | 'sha512'
  readonly pss?: boolean
  readonly version?: number
  /** The signature algorithm within what is signed, when it is another. */
  readonly innerAlgorithm?: Buffer
  readonly trailing?: Buffer
}

export type Minted = {
  readonly certificate: X509Certificate
  readonly der: Buffer
  readonly pem: string
  readonly name: Buffer
  readonly keys: KeyPair
}

export function makeKeys(kind: KeyKind = 'P-256'): KeyPair {
  if (kind === 'RSA') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return kind === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: kind })
}

export function mint(made: Made): Minted {
  const keys = made.keys ?? makeKeys(made.kind)
  const name = typeof made.subject === 'string' ? nameOf(made.subject) : (made.subject ?? sequence())
  const signer = made.by?.keys.privateKey ?? keys.privateKey
  const algorithm = algorithmOf(signer, made)
  const tbsWith = (extensions: readonly Extension[]): Buffer =>
    sequence(
      ...(made.version === 1 ? [] : [der(0xa0, integer((made.version ?? 3) - 1))]),
      integer(7),
      made.innerAlgorithm ?? algorithm,
      made.issuer ?? made.by?.name ?? name,
      made.validity ?? sequence(utcTime(made.from ?? NOON - DAY), utcTime(made.until ?? NOON + DAY)),
      name,
      keys.publicKey.export({ format: 'der', type: 'spki' }),
      ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions.map(extensionOf)))]),
    )
  const extensions = extensionsOf(made)
  const spki = (made.by?.keys ?? keys).publicKey.export({ format: 'der', type: 'spki' })
  const before = tbsWith(extensions)
  const entry = Buffer.concat([createHash('sha256').update(spki).digest(), uint(before.length, 3), before])
  const list = made.timestamps?.(entry) ?? (made.logs ? vector(...made.logs.map((log) => vector(log.stamp(entry)))) : undefined)
  const tbs = list ? tbsWith([...extensions, { oid: SCT_LIST, value: der(0x04, list) }]) : before
  const bytes = Buffer.concat([
    sequence(tbs, algorithm, der(0x03, Buffer.from([0]), signWith(signer, made, tbs))),
    made.trailing ?? Buffer.alloc(0),
  ])
  const certificate = made.trailing ? (undefined as unknown as X509Certificate) : X509Certificate.parse(Buffer.from(bytes))
  return { certificate, der: bytes, pem: pemOf(bytes), name, keys }
}

/** An authority that signs certificates: a root unless `by` is given. */
export function mintAuthority(subject: string, made: Made = {}): Minted {
  return mint({ subject, authority: true, keyUsage: ['keyCertSign', 'cRLSign'], ...made })
}

/** A certificate as Fulcio makes them: no subject, a critical alternative name, for code signing. */
export function mintLeaf(by: Minted, made: Made = {}): Minted {
  return mint({ by, keyUsage: ['digitalSignature'], usages: [CODE_SIGNING], names: [email('dev@example.com')], ...made })
}

export function trusted(
  roots: readonly Minted[],
  intermediates: readonly Minted[] = [],
  made: Partial<CertificateAuthority> = {},
): CertificateAuthority {
  return {
    uri: 'https://ca.example',
    roots: roots.map(({ certificate }) => certificate),
    intermediates: intermediates.map(({ certificate }) => certificate),
    valid: { from: 0, until: undefined },
    ...made,
  }
}

export function pemOf(bytes: Uint8Array, label = 'CERTIFICATE'): string {
  return `-----BEGIN ${label}-----\n${Buffer.from(bytes).toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END ${label}-----\n`
}

// — names

export const email = (text: string): Buffer => der(0x81, text)
export const dns = (text: string): Buffer => der(0x82, text)
export const uri = (text: string): Buffer => der(0x86, text)
export const ip = (...bytes: number[]): Buffer => der(0x87, Buffer.from(bytes))
export const directory = (name: Buffer): Buffer => der(0xa4, name)
export const userName = (text: string): Buffer => der(0xa0, oid('1.3.6.1.4.1.57264.1.7'), der(0xa0, der(0x0c, text)))

/** `O=…,CN=…` and such, with the tag of the strings. */
export function nameOf(text: string, tag = 0x0c): Buffer {
  const types: Readonly<Record<string, string>> = { CN: '2.5.4.3', O: '2.5.4.10', OU: '2.5.4.11' }
  const parts = text.split(',').map((part) => part.split('=') as [string, string])
  return sequence(...parts.map(([type, value]) => der(0x31, sequence(oid(types[type] ?? '2.5.4.3'), der(tag, value)))))
}

// — extensions

function extensionsOf(made: Made): Extension[] {
  const { authority, keyUsage, usages, names, permitted, excluded } = made
  const trees = [permitted, excluded].flatMap((tree, i) => (tree ? [der(0xa0 + i, ...tree.map((name) => sequence(name)))] : []))
  const pathLength = typeof authority === 'number' ? [integer(authority)] : []
  return [
    ...(authority === undefined
      ? []
      : [
          {
            oid: '2.5.29.19',
            critical: true,
            value: authority === false ? sequence() : sequence(der(0x01, Buffer.from([0xff])), ...pathLength),
          },
        ]),
    ...(keyUsage ? [{ oid: '2.5.29.15', critical: true, value: keyUsageOf(keyUsage) }] : []),
    ...(usages ? [{ oid: '2.5.29.37', critical: made.usagesCritical ?? false, value: sequence(...usages.map(oid)) }] : []),
    ...(names ? [{ oid: '2.5.29.17', critical: true, value: sequence(...names) }] : []),
    ...(trees.length > 0 ? [{ oid: '2.5.29.30', critical: true, value: sequence(...trees) }] : []),
    ...(made.extensions ?? []),
  ]
}

function keyUsageOf(usages: readonly Usage[]): Buffer {
  const bits = { digitalSignature: 0x80, nonRepudiation: 0x40, keyCertSign: 0x04, cRLSign: 0x02 }
  return der(0x03, Buffer.from([0, usages.reduce((all, usage) => all | bits[usage], 0)]))
}

function extensionOf({ oid: id, critical, value }: Extension): Buffer {
  return sequence(typeof id === 'string' ? oid(id) : der(0x06, id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value))
}

// — signatures

const ECDSA = { sha1: '1.2.840.10045.4.1', sha256: '1.2.840.10045.4.3.2', sha384: '1.2.840.10045.4.3.3', sha512: '1.2.840.10045.4.3.4' }
const RSA = {
  sha1: '1.2.840.113549.1.1.5',
  sha256: '1.2.840.113549.1.1.11',
  sha384: '1.2.840.113549.1.1.12',
  sha512: '1.2.840.113549.1.1.13',
}
const HASHES = { sha256: '2.16.840.1.101.3.4.2.1', sha384: '2.16.840.1.101.3.4.2.2', sha512: '2.16.840.1.101.3.4.2.3' }
const NULL = der(0x05)

export function algorithmOf(key: KeyObject, { hash = 'sha256', pss }: Pick<Made, 'hash' | 'pss'> = {}): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sequence(oid('1.3.101.112'))
  if (key.asymmetricKeyType === 'ec') return sequence(oid(ECDSA[hash]))
  if (!pss || hash === 'sha1') return sequence(oid(RSA[hash]), NULL)
  const identifier = sequence(oid(HASHES[hash]), NULL)
  const mask = sequence(oid('1.2.840.113549.1.1.8'), identifier)
  const salt = integer({ sha256: 32, sha384: 48, sha512: 64 }[hash])
  return sequence(oid('1.2.840.113549.1.1.10'), sequence(der(0xa0, identifier), der(0xa1, mask), der(0xa2, salt)))
}

function signWith(key: KeyObject, { hash = 'sha256', pss }: Made, bytes: Buffer): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sign(null, bytes, key)
  if (!pss) return sign(hash, bytes, key)
  return sign(hash, bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST })
}

// — certificate transparency

export type TestLog = {
  readonly key: LogKey
  /** A timestamp over the entry of a precertificate (RFC 6962, section 3.2). */
  stamp(entry: Buffer): Buffer
}

/** What a log says, and what is wrong with it. */
export type Stamped = {
  readonly kind?: KeyKind
  readonly at?: number
  readonly valid?: LogKey['valid']
  readonly version?: number
  readonly extensions?: Buffer
  /** The two bytes that name hash and signature. */
  readonly algorithm?: readonly [number, number]
  readonly trailing?: Buffer
}

export function makeLog({ kind = 'P-256', at = NOON, valid = { from: 0, until: undefined }, ...said }: Stamped = {}): TestLog {
  const { publicKey, privateKey } = makeKeys(kind)
  const id = createHash('sha256')
    .update(publicKey.export({ format: 'der', type: 'spki' }))
    .digest('hex')
  const named = kind === 'RSA' ? ([4, 1] as const) : kind === 'Ed25519' ? ([8, 7] as const) : ([4, 3] as const)
  const hash = kind === 'Ed25519' ? null : 'sha256'
  return {
    key: { id, key: publicKey, hash, url: 'https://ct.example', valid },
    stamp: (entry) => {
      const extensions = vector(said.extensions ?? Buffer.alloc(0))
      const time = Buffer.alloc(8)
      time.writeBigUInt64BE(BigInt(at))
      const version = Buffer.from([said.version ?? 0])
      const signature = sign(hash, Buffer.concat([version, Buffer.from([0]), time, Buffer.from([0, 1]), entry, extensions]), privateKey)
      const algorithm = Buffer.from(said.algorithm ?? named)
      return Buffer.concat([
        version,
        Buffer.from(id, 'hex'),
        time,
        extensions,
        algorithm,
        vector(signature),
        said.trailing ?? Buffer.alloc(0),
      ])
    },
  }
}

/** Bytes with their length before them, as TLS writes them. */
export function vector(...content: Buffer[]): Buffer {
  const bytes = Buffer.concat(content)
  return Buffer.concat([uint(bytes.length, 2), bytes])
}

// — DER

export function der(tag: number, ...content: (Uint8Array | string)[]): Buffer {
  const value = Buffer.concat(content.map((c) => (typeof c === 'string' ? Buffer.from(c) : c)))
  const size =
    value.length < 0x80 ? [value.length] : value.length < 0x100 ? [0x81, value.length] : [0x82, value.length >> 8, value.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), value])
}

export function sequence(...content: Buffer[]): Buffer {
  return der(0x30, ...content)
}

/** Below 128. */
export function integer(value: number): Buffer {
  return der(0x02, Buffer.from([value]))
}

export function utcTime(at: number): Buffer {
  return der(0x17, `${new Date(at).toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`)
}

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...arcs] = text.split('.').map(Number)
  const base128 = (arc: number): number[] => {
    const bytes = [arc & 0x7f]
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift((rest & 0x7f) | 0x80)
    return bytes
  }
  return der(0x06, Buffer.from([first * 40 + second, ...arcs.flatMap(base128)]))
}

function uint(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}
