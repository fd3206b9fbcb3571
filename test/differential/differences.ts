import type { Fault } from '../../fakes/sigstore/fault.ts'
import type { Said } from './verdicts.ts'
import { ACCEPTED } from './verdicts.ts'

/**
 * Where this verifier and `@sigstore/verify` may differ on a mutant, and why. Everything else fails the tests. `here`: why it is refused here, where the
 * other accepts. `repair`: where the other refuses, what is to be made of the bundle for it to accept as well; one of them must do.
 */
export type Difference = { readonly name: string; readonly because: string } & (
  | { readonly here: RegExp; readonly repair?: undefined }
  | { readonly here?: undefined; readonly repair: (bundle: Bundle) => readonly Bundle[] }
)

/** As much of a bundle as repairs touch. Anything may be missing: it is a mutant. */
type Bundle = {
  readonly mediaType?: unknown
  readonly verificationMaterial?: {
    readonly tlogEntries?: readonly Entry[]
    readonly timestampVerificationData?: { readonly rfc3161Timestamps?: readonly object[] }
  }
}
type Entry = { readonly inclusionProof?: { readonly checkpoint?: { readonly envelope?: unknown } | null } | null }

const CHECKPOINT = 'log-inclusion-failed: failed to verify log inclusion: verifying inclusion proof:'

export const differences: readonly Difference[] = [
  {
    name: 'proof-beside-checkpoint',
    here: new RegExp(`^${CHECKPOINT} (the checkpoint (is of a tree|has another root)|a hash is not a|logIndex or treeSize is not)`),
    because: 'the root and the size that stand beside a proof must be those of its checkpoint here; there nobody reads them',
  },
  {
    name: 'number-out-of-range',
    here: /logIndex or integratedTime is not a number/,
    because: 'numbers of a log entry are never negative here, nor beyond 2^53; there they do not matter where no promise covers them',
  },
  {
    name: 'first-signature-of-log',
    here: new RegExp(`^${CHECKPOINT} the signature of the checkpoint is not one of the log`),
    because: 'the first signature under the key ID of the log decides here, as C2SP has it; there another one may make up for it',
  },
  {
    name: 'checkpoint-to-the-letter',
    here: new RegExp(`^${CHECKPOINT} (the checkpoint is not a signed note|a signature of the checkpoint is malformed)`),
    because: 'a checkpoint is a signed note to its last letter here; there what is between and after its signatures is passed over',
  },
  {
    name: 'unreadable-checkpoint-of-v2',
    here: /^log-inclusion-failed: .* not enough verified log entries from transparency log/,
    because: 'likewise: of an entry of Rekor v2 with such a checkpoint it cannot be told of which log it is',
  },
  {
    name: 'certificate-to-the-bit',
    here: /^signature-malformed: the certificate of the signature cannot be parsed/,
    because: 'a certificate must be DER to the last bit here; there some of it is not read',
  },
  {
    name: 'timestamp-to-the-bit',
    here: new RegExp(
      '^timestamps-too-few: .* unable to verify RFC3161 timestamp bundle: (one of its certificates cannot be read|it is not a timestamp in DER|' +
        'it has two values|it has no token|its (status|content|signed data|version|signature algorithm|hash algorithm|signer) )',
    ),
    because: 'likewise a timestamp, in what nobody signed of it too: algorithms that it names, certificates that lie beside',
  },
  {
    name: 'digest-beside-signature',
    here: /digest (in|does not match digest in) message signature/,
    because:
      'the digest beside a signature, which nobody signed, is compared by the algorithm that stands with it here; there as SHA-256, or not at all',
  },
  {
    name: 'media-type',
    here: /its media type is not that of a bundle/,
    because: 'the media type of a bundle is compared as it stands here; there as what it begins with',
  },
  {
    name: 'name-before-signature',
    repair: (bundle) => [withEntries(bundle, (entries) => entries.map(renamed))],
    because:
      'the name in front of a signature of a checkpoint is signed by nobody: here its key ID says whose it is, there the name must fit too',
  },
  {
    name: 'proof-without-checkpoint',
    repair: (bundle) =>
      bundle.mediaType === 'application/vnd.dev.sigstore.bundle+json;version=0.1'
        ? [withEntries(bundle, (entries) => entries.map(withoutEmptyProof))]
        : [],
    because:
      'a bundle v0.1 rests on its promise: a proof in it without a checkpoint proves nothing and is passed over here; there it is an error',
  },
  {
    name: 'one-entry-of-several',
    repair: (bundle) => entriesOf(bundle).map((entry) => withEntries(bundle, () => [entry])),
    because: 'an entry beside a good one is passed over here where it is of no log that is trusted; there all must be good',
  },
  {
    name: 'one-timestamp-of-several',
    repair: (bundle) => {
      const { rfc3161Timestamps: all = [] } = bundle.verificationMaterial?.timestampVerificationData ?? {}
      return all.map((one) => ({
        ...bundle,
        verificationMaterial: { ...bundle.verificationMaterial, timestampVerificationData: { rfc3161Timestamps: [one] } },
      }))
    },
    because: 'one good timestamp of several is enough here, as another authority may have made the others; there all must be good',
  },
]

function entriesOf({ verificationMaterial }: Bundle): readonly Entry[] {
  return verificationMaterial?.tlogEntries ?? []
}

function withEntries(bundle: Bundle, change: (entries: readonly Entry[]) => readonly Entry[]): Bundle {
  return { ...bundle, verificationMaterial: { ...bundle.verificationMaterial, tlogEntries: change(entriesOf(bundle)) } }
}

/** Signatures under the name that the checkpoint begins with, up to its first space. */
function renamed(entry: Entry): Entry {
  const envelope = entry.inclusionProof?.checkpoint?.envelope
  if (typeof envelope !== 'string') return entry
  const [origin = ''] = envelope.split(/[ \n]/)
  return {
    ...entry,
    inclusionProof: { ...entry.inclusionProof, checkpoint: { envelope: envelope.replaceAll(/^— \S+ /gm, `— ${origin} `) } },
  }
}

function withoutEmptyProof(entry: Entry): Entry {
  if (entry.inclusionProof?.checkpoint?.envelope) return entry
  const { inclusionProof: _, ...rest } = entry
  return rest
}

/**
 * The row that explains what the two say of a bundle, where they differ; undefined: none. `there` is asked about what was repaired: by one row, or,
 * as a mutant may have two changes, by one row after another.
 */
export function explanationOf(bundle: Uint8Array, here: Said, there: (bundle: Uint8Array) => Said): Difference | undefined {
  if (here !== ACCEPTED) return differences.find((row) => row.here?.test(here))
  const isAccepted = (repaired: Bundle): boolean => there(Buffer.from(JSON.stringify(repaired))) === ACCEPTED
  const read = JSON.parse(Buffer.from(bundle).toString()) as Bundle
  const repairing = differences.filter((row) => row.repair !== undefined)
  const alone = repairing.find((row) => row.repair(read).some(isAccepted))
  return alone ?? repairing.find((row) => row.repair(read).some((once) => repairing.some((then) => then.repair(once).some(isAccepted))))
}

/** Faults of fakes/sigstore that are refused here and accepted there, and why. All others are refused by both. */
export const faultDifferences: { readonly [fault in Fault]?: string } = {
  'intermediate-for-servers': 'no extended key usage is looked at there',
  'leaf-for-servers': 'likewise',
  'intermediate-with-unknown-critical-extension': 'critical extensions that it does not know are passed over there, against RFC 5280',
  'leaf-with-unknown-critical-extension': 'likewise',
  'name-not-permitted': 'name constraints are not looked at there',
  'timestamp-certificate-usage-not-critical': 'no extended key usage is looked at there, of whom stamps neither (RFC 3161, section 2.3)',
  'timestamp-certificate-for-code': 'likewise',
  'timestamp-certificate-for-more': 'likewise',
  'subject-missing': 'anybody who has a name and an issuer is asked for here; there nobody is',
  'issuer-missing': 'likewise',
  'entry-of-another-certificate': 'whose signature a log entry speaks of is not compared there',
  'payload-type-other': 'what an envelope holds is for its caller to read there',
  'statement-malformed': 'likewise',
  'statement-type-other': 'likewise',
  'image-other': 'likewise',
}

/** Faults that are none for the question that both are asked: anybody's signature over this artifact, of any predicate type, at a proven time. */
export function noFaultHere(fault: Fault, by: 'certificate' | 'key', log: 'v1' | 'v2'): boolean {
  switch (fault) {
    case 'subject-other-than-trusted':
    case 'issuer-other-than-trusted':
    case 'predicate-type-other':
      return true
    case 'promise-missing': // the proof is there, and a key asks for no time
      return by === 'key'
    case 'timestamp-missing': // the log says a time, or a key asks for none
      return by === 'key' || log === 'v1'
    default:
      return false
  }
}
