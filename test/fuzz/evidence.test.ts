import { createHash } from 'node:crypto'
import { TransparencyLogEntry } from '@sigstore/protobuf-specs'
import { attestOldForm, bundleEvidence, makeSigner, oldEvidence } from '../../fakes/signer.ts'
import type { EntryKind } from '../../fakes/sigstore/log-body.ts'
import { logBody } from '../../fakes/sigstore/log-body.ts'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { readJson } from '../../src/image/json.ts'
import { verifyArtifactBundle } from '../../src/sigstore/artifact.ts'
import { verifyAttestation } from '../../src/sigstore/attestation.ts'
import { readCheckpoint } from '../../src/sigstore/checkpoint.ts'
import { readEnvelope } from '../../src/sigstore/envelope.ts'
import { whyNotAbout } from '../../src/sigstore/log-body.ts'
import { logEntryOf, readLogBundle, readSearchAnswer } from '../../src/sigstore/log-entry.ts'
import { verifySignature } from '../../src/sigstore/signature.ts'
import { readTimestampAnnotation, verifyTimestamp } from '../../src/sigstore/timestamp.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { overlapping } from '../differential/der.ts'
import { keyless, trustOf } from '../sigstore/demands.ts'
import type { Answer, Reader } from './reader.ts'
import { fuzz, HOSTILE_BYTES, of, text } from './reader.ts'

const BOUNDS = { bytes: 4 * HOSTILE_BYTES, depth: 64, values: 20_000 }
const sigstore = await Sigstore.create()
const bytes = Buffer.from('a file')
const hex = createHash('sha256').update(bytes).digest('hex')
const digest = `sha256:${hex}` as const
const LATER = sigstore.now + 24 * 60 * 60 * 1000
const terms = keyless(sigstore, { time: 'optional' })
const offline = keyless(sigstore)

const image = { digest, timestamp: true } as const
const statement = { ...image, predicateType: 'https://slsa.dev/provenance/v1', predicate: {} } as const
const old = sigstore.signImage({ ...image, form: 'annotations' })
const oldStatement = sigstore.attest({ ...statement, form: 'annotations' })
const bundles = ['v1', 'v2'].map((log) => sigstore.signImage({ ...image, form: 'bundle', log: log as 'v1' | 'v2' }).bundle)
const statements = ['v1', 'v2'].map((log) => sigstore.attest({ ...statement, form: 'bundle', log: log as 'v1' | 'v2' }).bundle)
const files = ['v1', 'v2'].map((log) => sigstore.signBlob({ bytes, timestamp: true, log: log as 'v1' | 'v2' }).bundle)
type Stamped = { verificationMaterial: { timestampVerificationData: { rfc3161Timestamps: readonly { signedTimestamp: string }[] } } }
const tokens = (files as unknown as readonly Stamped[]).flatMap(({ verificationMaterial: { timestampVerificationData: stamps } }) =>
  stamps.rfc3161Timestamps.map(({ signedTimestamp }) => Buffer.from(signedTimestamp, 'base64')),
)
const { signature } = (files[0] ?? { messageSignature: { signature: '' } }).messageSignature
type Logged = { verificationMaterial: { tlogEntries: readonly [object] } }
const entries = (files as unknown as readonly Logged[]).map(({ verificationMaterial: { tlogEntries } }) => tlogEntries[0])
const checkpoints = entries.map((entry) => TransparencyLogEntry.fromJSON(entry).inclusionProof?.checkpoint?.envelope ?? '')

/** Everything of a signature of the old form, as JSON: its annotations and its payload. */
function layer(bytesOf: Uint8Array, verify: (annotations: Record<string, string>, payload: Buffer) => Answer): Answer {
  const read = readJson(bytesOf, BOUNDS)
  if (!read.ok) return { why: read.detail }
  const { annotations, payload } = Object(read.value) as { annotations?: unknown; payload?: unknown }
  const texts = Object.entries(Object(annotations) as object).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return verify(Object.fromEntries(texts), Buffer.from(typeof payload === 'string' ? payload : ''))
}
const written = ({ annotations, payload }: typeof old): string => JSON.stringify({ annotations, payload: payload.toString() })

const KINDS: readonly EntryKind[] = [
  'hashedrekord 0.0.1',
  'rekord 0.0.1',
  'dsse 0.0.1',
  'intoto 0.0.1',
  'intoto 0.0.2',
  'hashedrekord 0.0.2',
  'dsse 0.0.2',
]
const signer = makeSigner()
const spki = signer.publicKey.export({ format: 'der', type: 'spki' })
const envelope = attestOldForm([signer], digest).payload
const { payload, payloadType, signatures } = JSON.parse(envelope.toString()) as {
  payload: string
  payloadType: string
  signatures: readonly [{ sig: string }]
}
const made = Buffer.from(signatures[0].sig, 'base64')

const readers: readonly Reader[] = [
  {
    name: 'verifySignature, of the old form',
    samples: [written(old)],
    read: (given) =>
      layer(given, (annotations, content) => {
        const answer = verifySignature(oldEvidence({ annotations, payload: content }), digest, terms, LATER)
        return answer.ok ? 'read' : { why: sentenceOf(answer.reason) }
      }),
  },
  {
    name: 'verifyAttestation, of the old form',
    samples: [written(oldStatement)],
    read: (given) =>
      layer(given, (annotations, content) => {
        const answer = verifyAttestation(oldEvidence({ annotations, payload: content }), digest, terms, 'any', LATER)
        return answer.ok ? 'read' : { why: sentenceOf(answer.reason) }
      }),
  },
  {
    name: 'verifySignature, of a bundle',
    samples: bundles.map((bundle) => JSON.stringify(bundle)),
    read: (given) => {
      const answer = verifySignature({ ...bundleEvidence({}), bytes: Buffer.from(given) }, digest, terms, LATER)
      return answer.ok ? 'read' : { why: sentenceOf(answer.reason) }
    },
  },
  {
    name: 'verifyAttestation, of a bundle',
    samples: statements.map((bundle) => JSON.stringify(bundle)),
    read: (given) => {
      const answer = verifyAttestation({ ...bundleEvidence({}), bytes: Buffer.from(given) }, digest, terms, 'any', LATER)
      return answer.ok ? 'read' : { why: sentenceOf(answer.reason) }
    },
  },
  {
    name: 'verifyArtifactBundle',
    samples: files.map((bundle) => JSON.stringify(bundle)),
    read: (given) => of(verifyArtifactBundle(given, { digest: hex, bytes }, offline, LATER)),
  },
  { name: 'readEnvelope', samples: [envelope], read: (given) => of(readEnvelope(given)) },
  {
    name: 'readCheckpoint',
    samples: checkpoints,
    read: (given) => {
      const read = readCheckpoint(text(given))
      return typeof read === 'string' ? { why: read } : 'read'
    },
  },
  {
    name: 'readLogBundle',
    samples: [old.annotations['dev.sigstore.cosign/bundle'] ?? ''],
    read: (given) => of(readLogBundle(text(given))),
  },
  {
    name: 'logEntryOf',
    samples: entries.map((entry) => JSON.stringify(entry)),
    read: (given) => {
      const read = readJson(given, BOUNDS)
      if (!read.ok) return { why: read.detail }
      try {
        return of(logEntryOf(TransparencyLogEntry.fromJSON(read.value) as Parameters<typeof logEntryOf>[0]))
      } catch {
        return { why: 'no entry' } // reading a bundle catches it
      }
    },
  },
  {
    name: 'readSearchAnswer',
    samples: [searchAnswer()],
    read: (given) => of(readSearchAnswer(given)),
  },
  ...KINDS.map((kind): Reader => {
    const isOfEnvelope = !kind.includes('rekord')
    const signed = isOfEnvelope ? Buffer.from(payload, 'base64') : bytes
    const content = isOfEnvelope
      ? ({ is: 'envelope', envelope: { payloadType, payload: signed }, json: envelope } as const)
      : ({ is: 'bytes', bytes } as const)
    const by = { is: 'key', der: spki, keyType: signer.type } as const
    const body = logBody(kind, { signed, payload: signed, signature: made, signer: by, envelope: envelope.toString(), payloadType })
    return {
      name: `whyNotAbout, ${kind}`,
      samples: [body],
      read: (given) => {
        const why = whyNotAbout(given, { signature: made, signer: spki, content }, undefined)
        return why === undefined ? 'read' : { why }
      },
    }
  }),
  {
    name: 'readTimestampAnnotation',
    samples: [old.annotations['dev.sigstore.cosign/rfc3161timestamp'] ?? ''],
    read: (given) => of(readTimestampAnnotation(text(given))),
  },
  {
    name: 'verifyTimestamp',
    samples: tokens.slice(0, 1),
    hostile: [overlapping(40)],
    read: (given) => of(verifyTimestamp(given, Buffer.from(signature, 'base64'), trustOf(sigstore).timestampAuthorities)),
  },
]

/** What a Rekor v1 answers: a list of objects, from the UUID of an entry to the entry. */
function searchAnswer(): string {
  const [log] = sigstore.logs.v1
  const found = log?.part.find((body) => body.includes('hashedrekord')) ?? []
  return JSON.stringify(
    found.slice(0, 1).map(({ uuid, entry: { body, integratedTime, logId, index, promise } }) => ({
      [uuid]: {
        body: body.toString('base64'),
        integratedTime,
        logID: logId.toString('hex'),
        logIndex: index,
        verification: { signedEntryTimestamp: promise?.toString('base64') },
      },
    })),
  )
}

fuzz(readers)
