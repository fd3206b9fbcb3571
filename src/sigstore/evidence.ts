import type { Digest } from '../image/digest.ts'
import type { Reason } from '../verdict/reason.ts'
import type { LogEntry } from './log-entry.ts'

/** Where a piece of evidence lay, and what was found besides. */
type Place = {
  readonly manifest: Digest
  readonly layer: number
  /** What searching the log gave, after a verification had asked for it; undefined: nobody searched. */
  readonly entries?: readonly LogEntry[] | Reason | undefined
}

/** One signature as it lies in a registry. Nobody believes it yet: only `signature.ts` turns it into a `VerifiedSignature`. */
export type SignatureEvidence = Place &
  /** A layer of a cosign signature manifest (cosign SIGNATURE_SPEC). A payload that could not be fetched is a reason. */
  (
    | {
        readonly form: 'annotations'
        readonly annotations: Readonly<Record<string, string>>
        readonly payload: Uint8Array | Reason
      }
    /** A Sigstore bundle (protobuf-specs `bundle.proto`, JSON), as a layer of a referrer. */
    | { readonly form: 'bundle'; readonly bytes: Uint8Array | Reason }
  )

/** One attestation as it lies in a registry, in the same two forms: the payload of a layer is a DSSE envelope. Only `attestation.ts` turns it into a `VerifiedStatement`. */
export type AttestationEvidence = SignatureEvidence

/** What looking in one place gave: signatures or attestations, as was asked. `beyond` counts those that were not fetched because of a bound. */
export type Found =
  | { readonly state: 'found'; readonly signatures: readonly SignatureEvidence[]; readonly beyond: number }
  | { readonly state: 'absent' }
  /** `further`: what `reason`, in the words of the specification, does not say. */
  | { readonly state: 'unknown'; readonly reason: Reason; readonly tried: readonly string[]; readonly further?: Reason }
