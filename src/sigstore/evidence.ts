import type { Digest } from '../image/digest.ts'
import type { Reason } from '../verdict/reason.ts'

/** One signature as it lies in a registry. Nobody believes it yet: only `signature.ts` turns it into a `VerifiedSignature`. */
export type SignatureEvidence =
  /** A layer of a cosign signature manifest (cosign SIGNATURE_SPEC). A payload that could not be fetched is a reason. */
  | {
      readonly form: 'annotations'
      readonly manifest: Digest
      readonly layer: number
      readonly annotations: Readonly<Record<string, string>>
      readonly payload: Uint8Array | Reason
    }
  /** A Sigstore bundle (protobuf-specs `bundle.proto`, JSON), as a layer of a referrer. */
  | { readonly form: 'bundle'; readonly manifest: Digest; readonly layer: number; readonly bytes: Uint8Array | Reason }

/** What looking in one place gave. `beyond` counts signatures that were not fetched because of a bound. */
export type Found =
  | { readonly state: 'found'; readonly signatures: readonly SignatureEvidence[]; readonly beyond: number }
  | { readonly state: 'absent' }
  | { readonly state: 'unknown'; readonly reason: Reason; readonly tried: readonly string[] }
