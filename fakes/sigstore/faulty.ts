import type { OldSignature } from '../signer.ts'
import type { AuthorityFault, FaultRow, SigningFault } from './fault.ts'
import { authorityFaults } from './fault.ts'
import type { EnvelopeBundle, SignOptions } from './sigstore.ts'
import { Sigstore } from './sigstore.ts'

export type Form = 'annotations' | 'bundle'
export const PREDICATE_TYPE = 'https://slsa.dev/provenance/v1'

/** What was made of an image, by a Sigstore that knows whose it is. */
export type MadeOf = {
  readonly sigstore: Sigstore
  readonly options: SignOptions
  readonly made: OldSignature | { readonly bundle: EnvelopeBundle }
}

/** Whether a fault shows in this form. */
export function showsIn({ needs }: FaultRow, form: Form): boolean {
  return needs.form === undefined || needs.form === form
}

/**
 * A signature of an image (an attestation, where the fault needs a statement) with everything that the fault needs, and the fault; with
 * `isSound` the same without it, which must pass. With a timestamp but no log where it is the timestamp that counts, else with a log (`options.log`, v1).
 */
export async function faulty(row: FaultRow, form: Form, digest: string, options: SignOptions = {}, isSound = false): Promise<MadeOf> {
  const isOfAuthority = authorityFaults.some(({ fault }) => fault === row.fault)
  const sigstore = await Sigstore.create(isOfAuthority && !isSound ? { broken: row.fault as AuthorityFault } : {})
  const { needs } = row
  const stamps = needs.timestamp === true || options.log === 'v2' ? { timestamp: true } : {}
  const signing: SignOptions = {
    log: needs.timestamp === true && needs.log === undefined ? 'none' : 'v1',
    ...stamps,
    ...options,
    ...(isOfAuthority || isSound ? {} : { broken: row.fault as SigningFault }),
  }
  const isStatement = needs.makes === 'statement'
  const what = { digest, form, ...signing }
  const made = isStatement ? sigstore.attest({ ...what, predicateType: PREDICATE_TYPE, predicate: {} }) : sigstore.signImage(what)
  return { sigstore, options: signing, made }
}
