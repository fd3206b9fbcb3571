/** What can be wrong with who is trusted: given to `Sigstore.create`. */
export type AuthorityFault =
  | 'intermediate-not-a-ca'
  | 'intermediate-without-cert-sign'
  | 'intermediate-for-servers'
  | 'intermediate-with-unknown-critical-extension'
  | 'intermediate-expired'
  | 'path-too-long'
  | 'name-not-permitted'
  | 'authority-out-of-service'
  | 'certificate-log-out-of-service'
  | 'log-out-of-service'
  | 'timestamp-authority-out-of-service'
  | 'timestamp-certificate-usage-not-critical'
  | 'timestamp-certificate-for-code'
  | 'timestamp-certificate-for-more'
  | 'timestamp-certificate-expired'

/** What can be wrong with one signature: given to whatever signs. */
export type SigningFault =
  | 'leaf-for-servers'
  | 'leaf-expired'
  | 'leaf-not-yet-valid'
  | 'leaf-with-unknown-critical-extension'
  | 'leaf-of-another-authority'
  | 'leaf-tampered'
  | 'leaf-signed-by-leaf'
  | 'sct-missing'
  | 'sct-of-another-log'
  | 'sct-tampered'
  | 'sct-second-tampered'
  | 'subject-other-than-trusted'
  | 'issuer-other-than-trusted'
  | 'subject-missing'
  | 'issuer-missing'
  | 'signature-by-another-key'
  | 'entry-missing'
  | 'entry-of-another-signature'
  | 'entry-of-another-payload'
  | 'entry-of-another-certificate'
  | 'entry-of-another-log'
  | 'promise-missing'
  | 'promise-by-another-key'
  | 'integrated-time-tampered'
  | 'log-index-tampered'
  | 'proof-missing'
  | 'merkle-path-wrong'
  | 'checkpoint-by-another-key'
  | 'checkpoint-of-another-root'
  | 'timestamp-missing'
  | 'timestamp-over-other-bytes'
  | 'timestamp-by-another-authority'
  | 'timestamp-tampered'
  | 'timestamp-after-certificate'
  | 'timestamp-before-certificate'
  | 'timestamp-refused'
  | 'envelope-with-several-signatures'
  | 'envelope-unsigned'
  | 'payload-type-other'
  | 'statement-malformed'
  | 'statement-type-other'
  | 'image-other'
  | 'predicate-type-other'

export type Fault = AuthorityFault | SigningFault

/** The check that must refuse. */
export type Check =
  | 'certificate path'
  | 'certificate time'
  | 'certificate timestamp'
  | 'identity'
  | 'signature'
  | 'log entry'
  | 'inclusion promise'
  | 'inclusion proof'
  | 'timestamp'
  | 'envelope'
  | 'statement'

/** A fault, what must refuse it, and what has to be made for it to show: without it, nothing is wrong with what is made. */
export type FaultRow<F extends Fault = Fault> = {
  readonly fault: F
  readonly trips: Check
  readonly needs: {
    readonly form?: 'annotations' | 'bundle'
    readonly log?: 'v1' | 'v2' | 'any'
    readonly timestamp?: true
    readonly makes?: 'statement'
    readonly certificate?: true
  }
}

const CERTIFICATE = { certificate: true } as const
const LOG = { log: 'any' } as const
const TIMESTAMP = { timestamp: true } as const
/** An annotation holds a promise and no proof; a bundle either. */
const PROMISE = { log: 'v1' } as const
const PROOF = { log: 'any', form: 'bundle' } as const
const STATEMENT = { makes: 'statement' } as const

export const authorityFaults: readonly FaultRow<AuthorityFault>[] = [
  { fault: 'intermediate-not-a-ca', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'intermediate-without-cert-sign', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'intermediate-for-servers', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'intermediate-with-unknown-critical-extension', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'intermediate-expired', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'path-too-long', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'name-not-permitted', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'authority-out-of-service', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'certificate-log-out-of-service', trips: 'certificate timestamp', needs: CERTIFICATE },
  { fault: 'log-out-of-service', trips: 'log entry', needs: PROMISE },
  { fault: 'timestamp-authority-out-of-service', trips: 'timestamp', needs: TIMESTAMP },
  { fault: 'timestamp-certificate-usage-not-critical', trips: 'timestamp', needs: TIMESTAMP },
  { fault: 'timestamp-certificate-for-code', trips: 'timestamp', needs: TIMESTAMP },
  { fault: 'timestamp-certificate-for-more', trips: 'timestamp', needs: TIMESTAMP },
  { fault: 'timestamp-certificate-expired', trips: 'timestamp', needs: TIMESTAMP },
]

export const signingFaults: readonly FaultRow<SigningFault>[] = [
  { fault: 'leaf-for-servers', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'leaf-expired', trips: 'certificate time', needs: CERTIFICATE },
  { fault: 'leaf-not-yet-valid', trips: 'certificate time', needs: CERTIFICATE },
  { fault: 'leaf-with-unknown-critical-extension', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'leaf-of-another-authority', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'leaf-tampered', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'leaf-signed-by-leaf', trips: 'certificate path', needs: CERTIFICATE },
  { fault: 'sct-missing', trips: 'certificate timestamp', needs: CERTIFICATE },
  { fault: 'sct-of-another-log', trips: 'certificate timestamp', needs: CERTIFICATE },
  { fault: 'sct-tampered', trips: 'certificate timestamp', needs: CERTIFICATE },
  { fault: 'sct-second-tampered', trips: 'certificate timestamp', needs: CERTIFICATE },
  { fault: 'subject-other-than-trusted', trips: 'identity', needs: CERTIFICATE },
  { fault: 'issuer-other-than-trusted', trips: 'identity', needs: CERTIFICATE },
  { fault: 'subject-missing', trips: 'identity', needs: CERTIFICATE },
  { fault: 'issuer-missing', trips: 'identity', needs: CERTIFICATE },
  { fault: 'signature-by-another-key', trips: 'signature', needs: {} },
  { fault: 'entry-missing', trips: 'log entry', needs: LOG },
  { fault: 'entry-of-another-signature', trips: 'log entry', needs: LOG },
  { fault: 'entry-of-another-payload', trips: 'log entry', needs: LOG },
  { fault: 'entry-of-another-certificate', trips: 'log entry', needs: LOG },
  { fault: 'entry-of-another-log', trips: 'log entry', needs: LOG },
  { fault: 'promise-missing', trips: 'inclusion promise', needs: PROMISE },
  { fault: 'promise-by-another-key', trips: 'inclusion promise', needs: PROMISE },
  { fault: 'integrated-time-tampered', trips: 'inclusion promise', needs: PROMISE },
  { fault: 'log-index-tampered', trips: 'inclusion promise', needs: PROMISE },
  { fault: 'proof-missing', trips: 'inclusion proof', needs: PROOF },
  { fault: 'merkle-path-wrong', trips: 'inclusion proof', needs: PROOF },
  { fault: 'checkpoint-by-another-key', trips: 'inclusion proof', needs: PROOF },
  { fault: 'checkpoint-of-another-root', trips: 'inclusion proof', needs: PROOF },
  { fault: 'timestamp-missing', trips: 'timestamp', needs: TIMESTAMP },
  { fault: 'timestamp-over-other-bytes', trips: 'timestamp', needs: TIMESTAMP },
  { fault: 'timestamp-by-another-authority', trips: 'timestamp', needs: TIMESTAMP },
  { fault: 'timestamp-tampered', trips: 'timestamp', needs: TIMESTAMP },
  { fault: 'timestamp-after-certificate', trips: 'certificate time', needs: { ...TIMESTAMP, ...CERTIFICATE } },
  { fault: 'timestamp-before-certificate', trips: 'certificate time', needs: { ...TIMESTAMP, ...CERTIFICATE } },
  { fault: 'timestamp-refused', trips: 'timestamp', needs: TIMESTAMP },
  // A bundle's rule: in annotations one good signature of several suffices.
  { fault: 'envelope-with-several-signatures', trips: 'envelope', needs: { ...STATEMENT, form: 'bundle' } },
  { fault: 'envelope-unsigned', trips: 'envelope', needs: STATEMENT },
  { fault: 'payload-type-other', trips: 'envelope', needs: STATEMENT },
  { fault: 'statement-malformed', trips: 'statement', needs: STATEMENT },
  { fault: 'statement-type-other', trips: 'statement', needs: STATEMENT },
  { fault: 'image-other', trips: 'statement', needs: {} },
  { fault: 'predicate-type-other', trips: 'statement', needs: STATEMENT },
]

/** Every fault, for tests to loop over. */
export const faults: readonly FaultRow[] = [...authorityFaults, ...signingFaults]
