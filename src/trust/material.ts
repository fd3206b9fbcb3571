import type { KeyObject } from 'node:crypto'
import type { X509Certificate } from '@sigstore/core'

/** When something counts, in ms since 1970, both ends included; without `until` it has no end. */
export type Validity = { readonly from: number; readonly until: number | undefined }

/** Whose certificates are believed: a path must end in one of `roots`. Made of a CA of Fulcio's kind or of a timestamp authority. */
export type CertificateAuthority = {
  readonly uri: string
  readonly roots: readonly X509Certificate[]
  readonly intermediates: readonly X509Certificate[]
  /** When it was in service; a certificate or timestamp made outside of it is not believed. */
  readonly valid: Validity
  /** It has no root of its own, and `roots` are those of others: a path leads there only over one of its own certificates, lest it lend others its time of service. */
  readonly isRootless?: true
}

/** The key of a certificate transparency log or of a transparency log. */
export type LogKey = {
  /** Lower-case hex of SHA-256 of its SubjectPublicKeyInfo (RFC 6962, section 3.2; Rekor's log ID). */
  readonly id: string
  readonly key: KeyObject
  /** For `crypto.verify`; null for Ed25519, which names none. */
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null
  readonly url: string
  readonly valid: Validity
}

/** Whom we believe about identities, logs and time. Everything was read and checked when it arrived. */
export type TrustMaterial = {
  /** How messages call it: a TrustRoot's name, or «the public Sigstore instance». */
  readonly name: string
  readonly certificateAuthorities: readonly CertificateAuthority[]
  readonly certificateLogs: readonly LogKey[]
  readonly transparencyLogs: readonly LogKey[]
  readonly timestampAuthorities: readonly CertificateAuthority[]
  /** Content hash of all of the above: what is remembered is remembered under it. */
  readonly hash: string
  /** The instant, in ms since 1970, after which none of this is believed: where it came from says so (TUF). Undefined: it has no end of its own. */
  readonly until: number | undefined
  /** What whoever gave it should know, such as a log that had to be left out. */
  readonly warnings?: readonly string[]
}
