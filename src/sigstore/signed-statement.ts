import type { Digest } from '../image/digest.ts'
import type { Read } from '../verdict/read.ts'
import type { Reason } from '../verdict/reason.ts'
import type { Bulk } from './bulk.ts'
import { atOnce } from './bulk.ts'
import type { Envelope, SignatureFound } from './envelope.ts'
import { signatureIn } from './envelope.ts'
import type { Statement } from './statement.ts'
import { isAbout } from './statement.ts'
import type { Terms } from './terms.ts'
import type { Material } from './verification-material.ts'
import type { Note, Refused, Verdict } from './verification.ts'
import { verifySigned } from './verification.ts'

/** A DSSE envelope, what lies beside it, and what it must be about. Nobody believes any of it. */
export type SignedStatement = {
  readonly material: Material
  readonly searched: Parameters<typeof verifySigned>[0]['searched']
  readonly envelope: Envelope
  /** The envelope as the layer of an attestation of the old form holds it; undefined in a bundle. */
  readonly json: Uint8Array | undefined
  readonly digest: Digest
  /** Whether a refusal by key says how many signatures were wanted (specification 7.3, step 4), or what is wrong with the one that there is. */
  readonly saysThreshold: boolean
}

export type StatementVerdict = (Verdict & { readonly statement: Statement }) | Refused

/**
 * Whether a statement is signed as `terms` demand and is about `digest`. Nothing of it is read before its signature stands; of which type
 * it may be is for others to say.
 */
export function verifySignedStatement(of: SignedStatement, terms: Terms, at: number, note?: Note, bulk: Bulk = atOnce): StatementVerdict {
  const { envelope, material, json } = of
  const isBundleOfCertificate = material.form === 'bundle' && terms.signer.by === 'certificate'
  let statement: Read<Statement> | undefined
  const anySignature = envelope.signatures[0] ?? Buffer.alloc(0)
  const verdict = verifySigned(
    {
      ...material,
      searched: of.searched,
      bulk,
      stamped: json ?? anySignature,
      content: { is: 'envelope', envelope, json },
      anySignature,
      signatureBy: (key) => {
        const found = signatureIn(envelope, key, bulk)
        if (found.ok) return { ok: true, value: found.signature }
        return { ok: false, reason: unsigned(found, of.saysThreshold, isBundleOfCertificate) }
      },
      whyNotClaimed: () => {
        statement = bulk.statement(envelope.payload)
        if (!statement.ok) return json ? ofEnvelope(statement.reason) : statement.reason
        if (isAbout(statement.value, of.digest)) return undefined
        return isBundleOfCertificate
          ? { code: 'bundle-signature-invalid', detail: 'provided artifact digest does not match any digest in statement' }
          : { code: 'statement-other-image' }
      },
    },
    terms,
    at,
    note,
  )
  if (!verdict.ok) return verdict
  if (!statement?.ok) throw new Error('a statement stands that was not read')
  return { ...verdict, statement: statement.value }
}

/** Where there is no bundle, no message may speak of one; what is no JSON is told in the words of the parser alone, as users know it. */
function ofEnvelope(reason: Reason): Reason {
  return reason.code === 'bundle-malformed' ? { code: 'envelope-malformed', detail: reason.detail.replace(/^its statement: /, '') } : reason
}

function unsigned(found: SignatureFound & { ok: false }, saysThreshold: boolean, isBundleOfCertificate: boolean): Reason {
  const threshold = found.isTried ? 'accepted signatures do not match threshold, Found: 0, Expected 1' : found.detail
  if (isBundleOfCertificate) return { code: 'bundle-signature-invalid', detail: `could not verify envelope: ${threshold}` }
  return { code: 'signature-invalid', detail: saysThreshold ? threshold : found.detail }
}
