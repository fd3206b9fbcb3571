import type { PublicKey } from '../trust/key.ts'
import type { CertificateAuthority, LogKey } from '../trust/material.ts'
import type { Reason } from '../verdict/reason.ts'

/** How a signature lies in a registry; where a literal and a regular expression are both given, the forms join them differently (7.5, 7.6). */
export type Form = 'annotations' | 'bundle'

/** Text that a name in a certificate is compared with, compiled when the policy arrived. */
export interface NamePattern {
  /** As the policy writes it, for messages; '' when it writes none: then it matches nothing. */
  readonly text: string
  /** Whether it is a regular expression, for messages. */
  readonly isExpression: boolean
  matches(name: string, form: Form): boolean
}

/** Both must match: `issuer` one of the certificate's issuer extensions, `subject` one of its alternative names. */
export type Identity = { readonly issuer: NamePattern; readonly subject: NamePattern }

/** Whose signature it must be. */
export type SignerTerms =
  | { readonly by: 'key'; readonly key: PublicKey }
  | {
      readonly by: 'certificate'
      readonly authorities: readonly CertificateAuthority[]
      /** Any of them; empty matches nobody. */
      readonly identities: readonly Identity[]
      /** Keys for the signed certificate timestamps; `insecure-ignored` is `insecureIgnoreSCT`. A reason where no key is known: it refuses. */
      readonly certificateLogs: readonly LogKey[] | 'insecure-ignored' | Reason
    }

/**
 * What an authority demands of a signature or attestation; one signer each. Compiled when the policy arrived (specification 7.1).
 * `log`: `ignored` as in the matrix of 7.1.3; otherwise an entry of one of `keys` is needed, and where the signature came without one it may be searched
 * at `search` (a Rekor v1 URL; undefined: offline, then its absence refuses).
 * `time`: the authorities of `rfc3161timestamp`. `required`: a timestamp of one of them must be there (the setting `require-timestamps: false` makes it optional).
 */
export type Terms = {
  readonly signer: SignerTerms
  readonly log:
    | 'ignored'
    | {
        readonly keys: readonly LogKey[] | Reason
        readonly search: string | undefined
        /** Timestamp authorities of the same trust root: an entry of Rekor v2 has no time of its own, so a certificate then needs a timestamp of one of them (or of `time`). */
        readonly authorities?: readonly CertificateAuthority[]
      }
  readonly time: 'ignored' | { readonly authorities: readonly CertificateAuthority[] | Reason; readonly isRequired: boolean }
}
