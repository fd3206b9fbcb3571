import { createHash, randomBytes } from 'node:crypto'
import type { Signer } from '../signer.ts'
import { makeSigner } from '../signer.ts'
import { intermediate, makeRoot } from './authority.ts'
import type { Certificate, Issuer } from './certificate.ts'
import { basicConstraints, extendedKeyUsage, issue, keyIdentifiers, keyUsage, signatureAlgorithm, signDer } from './certificate.ts'
import { explicit, generalizedTime, integer, octets, oid, sequence, setOf, time } from './der.ts'
import type { AuthorityFault, SigningFault } from './fault.ts'

const YEAR = 365 * 24 * 60 * 60 * 1000
const HOUR = 60 * 60 * 1000
const SHA256 = sequence(oid('2.16.840.1.101.3.4.2.1'))
const SIGNED_DATA = oid('1.2.840.113549.1.7.2')
const TST_INFO = oid('1.2.840.113549.1.9.16.1.4')

/** A timestamp authority (RFC 3161): root, intermediate, and a leaf that signs. */
export class TimestampAuthority {
  readonly uri: string
  readonly chain: readonly Certificate[]
  readonly #leaf: Issuer
  readonly #embeds: boolean

  /** `embeds`: whether a token carries the leaf and the intermediate, as it does when it was asked for them. */
  constructor(name: string, now: number, embeds: boolean, faults: ReadonlySet<AuthorityFault>) {
    this.uri = `https://timestamp.${name}/api/v1/timestamp`
    const root = makeRoot({ organization: name, commonName: 'sigstore-tsa' }, now)
    const middle = intermediate(`${name} tsa intermediate`, root, now, { purpose: 'time-stamping' })
    this.#leaf = makeLeaf(middle, now, faults)
    this.chain = [this.#leaf, middle, root].map(({ certificate }) => certificate)
    this.#embeds = embeds
  }

  /** A timestamp response in DER that says that `bytes` were there at `at` (ms since 1970; a second's precision). */
  stamp(bytes: Uint8Array, at: number, faults: ReadonlySet<SigningFault> = new Set()): Buffer {
    if (faults.has('timestamp-refused')) return sequence(sequence(integer(2)))
    const info = (moment: number): Buffer =>
      sequence(
        integer(1),
        oid('1.3.6.1.4.1.57264.2'),
        sequence(SHA256, octets(sha256(faults.has('timestamp-over-other-bytes') ? Buffer.from('other bytes') : bytes))),
        integer(serial),
        generalizedTime(moment),
      )
    const serial = Buffer.concat([Buffer.from([1]), randomBytes(11)])
    const signed = info(at)
    const shown = faults.has('timestamp-tampered') ? info(at + 1000) : signed
    return sequence(sequence(integer(0)), sequence(SIGNED_DATA, explicit(0, this.#signedData(signed, shown, at))))
  }

  /** CMS SignedData (RFC 5652, 5.1) with one signer, whose attributes cover `signed`, around `shown`. */
  #signedData(signed: Buffer, shown: Buffer, at: number): Buffer {
    const { certificate, key } = this.#leaf
    const attribute = (id: string, value: Buffer): Buffer => sequence(oid(id), setOf(value))
    const attributes = [
      attribute('1.2.840.113549.1.9.3', TST_INFO),
      attribute('1.2.840.113549.1.9.5', time(at)),
      attribute('1.2.840.113549.1.9.4', octets(sha256(signed))),
      // signingCertificateV2 (RFC 5816)
      attribute('1.2.840.113549.1.9.16.2.47', sequence(sequence(sequence(octets(sha256(certificate.der)))))),
    ]
    const set = setOf(...attributes)
    const signer = sequence(
      integer(1),
      sequence(certificate.issuer, integer(certificate.serial)),
      SHA256,
      Buffer.concat([Buffer.from([0xa0]), set.subarray(1)]), // [0] IMPLICIT; what is signed has the tag of a SET (5.4)
      signatureAlgorithm(key),
      octets(signDer(key, set)),
    )
    const embedded = this.#embeds ? [explicit(0, ...this.chain.slice(0, -1).map(({ der }) => der))] : []
    return sequence(integer(3), setOf(SHA256), sequence(TST_INFO, explicit(0, octets(shown))), ...embedded, setOf(signer))
  }
}

function makeLeaf(issuer: Issuer, now: number, faults: ReadonlySet<AuthorityFault>): Issuer {
  const key: Signer = makeSigner('p256')
  const purpose = faults.has('timestamp-certificate-for-code') ? 'code-signing' : 'time-stamping'
  const purposes = faults.has('timestamp-certificate-for-more') ? ([purpose, 'code-signing'] as const) : ([purpose] as const)
  const certificate = issue({
    subject: { organization: 'sigstore.example', commonName: 'sigstore tsa' },
    key,
    issuer: { name: issuer.certificate.name, key: issuer.key },
    from: now - YEAR,
    until: faults.has('timestamp-certificate-expired') ? now - HOUR : now + 8 * YEAR,
    extensions: [
      keyUsage('digitalSignature'),
      basicConstraints(false),
      // RFC 3161, 2.3: only this purpose, and critical.
      extendedKeyUsage(purposes, !faults.has('timestamp-certificate-usage-not-critical')),
      ...keyIdentifiers(key, issuer.key),
    ],
  })
  return { key, certificate }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
