import { createHash } from 'node:crypto'
import { dsse } from '@sigstore/core'
import { CERTIFICATE_ANNOTATION, SIGNATURE_ANNOTATION } from '../../src/sigstore/annotations.ts'
import { IN_TOTO_PAYLOAD_TYPE } from '../../src/sigstore/envelope.ts'
import type { OldSignature, Signer } from '../signer.ts'
import { makePayload, makeSigner, signBytes } from '../signer.ts'
import type { Keyless } from './authority.ts'
import { Authority } from './authority.ts'
import { CertificateLog } from './certificate-log.ts'
import type { Certificate } from './certificate.ts'
import { signDer, spkiOf } from './certificate.ts'
import type { AuthorityFault, SigningFault } from './fault.ts'
import type { EntryKind, Loggable } from './log-body.ts'
import { logBody } from './log-body.ts'
import { TimestampAuthority } from './timestamp-authority.ts'
import type { LoggedEntry } from './transparency-log.ts'
import { TransparencyLog } from './transparency-log.ts'
import type { Serving, Trusted, TrustedRootJson } from './trusted-root.ts'
import { sigstoreKeysOf, trustedRootOf } from './trusted-root.ts'

const YEAR = 365 * 24 * 60 * 60 * 1000
const HOUR = 60 * 60 * 1000
export const SIGNED_AT = Date.UTC(2026, 0, 1)

export type SigstoreOptions = {
  /** ms since 1970: when things are signed unless they are told otherwise. */
  readonly now?: number
  /** A domain, which all names in it end in. */
  readonly name?: string
  readonly timestampAuthorities?: number
  /** Whether timestamps carry the certificates of their authority. */
  readonly embedsTimestampCertificates?: boolean
  readonly v2KeyType?: 'ed25519' | 'p256'
  readonly broken?: Broken<AuthorityFault>
}

type Broken<F> = F | readonly F[]
/** An identity, for which a certificate is issued, or a key. */
export type Signing = Keyless | Signer

export type SignOptions = {
  readonly signer?: Signing
  /** When it is signed, logged (a second later) and stamped (two seconds later), in ms since 1970. */
  readonly at?: number
  readonly log?: 'v1' | 'v2' | 'none'
  /** How the log writes it down, where it has a choice. */
  readonly entry?: EntryKind
  /** False: it is logged, but what is made does not carry the entry, so that only a search finds it. */
  readonly carriesEntry?: boolean
  readonly timestamp?: boolean
  /** Of the bundle. */
  readonly version?: '0.1' | '0.2' | '0.3'
  readonly broken?: Broken<SigningFault>
}
export type ImageOptions = SignOptions & { readonly digest: string; readonly repository?: string }
export type AttestOptions = ImageOptions & { readonly predicateType: string; readonly predicate: unknown }
export type BlobOptions = SignOptions & { readonly bytes: Uint8Array }

export type Envelope = {
  readonly payloadType: string
  readonly payload: string
  readonly signatures: readonly { readonly keyid?: string; readonly sig: string }[]
}
/** A Sigstore bundle as JSON. */
export type SigstoreBundle = { readonly mediaType: string; readonly verificationMaterial: object }
export type EnvelopeBundle = SigstoreBundle & { readonly dsseEnvelope: Envelope }
export type MessageBundle = SigstoreBundle & {
  readonly messageSignature: { readonly messageDigest: object; readonly signature: string }
}

export type Part = 'authority' | 'certificate-log' | 'log-v1' | 'log-v2' | 'timestamp-authority'

const BUNDLE_TYPES = {
  '0.1': 'application/vnd.dev.sigstore.bundle+json;version=0.1',
  '0.2': 'application/vnd.dev.sigstore.bundle+json;version=0.2',
  '0.3': 'application/vnd.dev.sigstore.bundle.v0.3+json',
}

/**
 * A whole Sigstore of one's own, in memory: a CA, a certificate log, Rekor v1 and v2, timestamp authorities, and clients that sign with them.
 * What it makes is right unless a fault is asked for. No clock: times are values.
 */
export class Sigstore {
  readonly now: number
  readonly name: string
  readonly authorities: Serving<Authority>[] = []
  readonly certificateLogs: Serving<CertificateLog>[] = []
  readonly logs: { readonly v1: Serving<TransparencyLog>[]; readonly v2: Serving<TransparencyLog>[] } = { v1: [], v2: [] }
  readonly timestampAuthorities: Serving<TimestampAuthority>[] = []
  readonly #options: SigstoreOptions
  readonly #faults: ReadonlySet<AuthorityFault>
  #stranger: Sigstore | undefined

  private constructor(options: SigstoreOptions) {
    this.#options = options
    this.now = options.now ?? SIGNED_AT
    this.name = options.name ?? 'sigstore.example'
    this.#faults = setOf(options.broken)
    for (const part of ['authority', 'certificate-log', 'log-v1', 'log-v2'] as const) this.#start(part, this.now - YEAR)
    for (let i = 0; i < (options.timestampAuthorities ?? 1); i++) this.#start('timestamp-authority', this.now - YEAR)
  }

  static create(options: SigstoreOptions = {}): Promise<Sigstore> {
    return Promise.resolve(new Sigstore(options))
  }

  /** Ends the service of a part at `at` and puts another in its place, which signs from then on; both stay trusted, each for its time. */
  rotate(part: Part, at: number = this.now): void {
    const last = this.#serving(part).at(-1)
    if (last) last.until = at
    this.#start(part, at)
  }

  /** A TrustedRoot, version 0.1, as JSON. `logs`: of which kinds of Rekor; both by default. */
  trustedRoot(logs: readonly ('v1' | 'v2')[] = ['v1', 'v2']): TrustedRootJson {
    return trustedRootOf(this.#trusted(logs))
  }

  /** `spec.sigstoreKeys` of a TrustRoot. */
  sigstoreKeys(logs: readonly ('v1' | 'v2')[] = ['v1', 'v2']): Readonly<Record<string, unknown>> {
    return sigstoreKeysOf(this.#trusted(logs))
  }

  /** The current CA: the intermediate, then the root. */
  caPem(): string {
    return this.#current(this.authorities)
      .chain.map(({ pem }) => pem)
      .join('')
  }

  /** Signs an image as cosign 2 does (`annotations`: a layer of a `.sig` tag) or as cosign 3 does (`bundle`: a statement about it). */
  signImage(options: ImageOptions & { readonly form: 'annotations' }): OldSignature
  signImage(options: ImageOptions & { readonly form: 'bundle' }): { readonly bundle: EnvelopeBundle }
  signImage(options: ImageOptions & { readonly form: 'annotations' | 'bundle' }): OldSignature | { readonly bundle: EnvelopeBundle }
  signImage(options: ImageOptions & { readonly form: 'annotations' | 'bundle' }): OldSignature | { readonly bundle: EnvelopeBundle } {
    if (options.form === 'bundle') return this.#attest({ predicateType: 'https://sigstore.dev/cosign/sign/v1', predicate: {}, ...options })
    const faults = setOf(options.broken)
    const payload = makePayload(imageOf(options.digest, faults), options.repository)
    const made = this.#sign(options, faults, payload, () => payload, 'hashedrekord 0.0.1')
    return { payload, annotations: { [SIGNATURE_ANNOTATION]: made.signature.toString('base64'), ...annotationsOf(made) } }
  }

  /** Attests to an image as cosign 2 does (a layer of an `.att` tag: `payload` is the envelope) or as cosign 3 does. */
  attest(options: AttestOptions & { readonly form: 'annotations' }): OldSignature
  attest(options: AttestOptions & { readonly form: 'bundle' }): { readonly bundle: EnvelopeBundle }
  attest(options: AttestOptions & { readonly form: 'annotations' | 'bundle' }): OldSignature | { readonly bundle: EnvelopeBundle }
  attest(options: AttestOptions & { readonly form: 'annotations' | 'bundle' }): OldSignature | { readonly bundle: EnvelopeBundle } {
    return this.#attest(options)
  }

  /** Signs a file: a bundle with a message signature. */
  signBlob(options: BlobOptions): { readonly bundle: MessageBundle } {
    const made = this.#sign(options, setOf(options.broken), options.bytes, () => Buffer.from(options.bytes), 'hashedrekord 0.0.1')
    const messageDigest = { algorithm: 'SHA2_256', digest: sha256(options.bytes).toString('base64') }
    return {
      bundle: { ...bundleOf(made, options.version), messageSignature: { messageDigest, signature: made.signature.toString('base64') } },
    }
  }

  #attest(options: AttestOptions & { readonly form: 'annotations' }): OldSignature
  #attest(options: AttestOptions & { readonly form: 'bundle' }): { readonly bundle: EnvelopeBundle }
  #attest(options: AttestOptions & { readonly form: 'annotations' | 'bundle' }): OldSignature | { readonly bundle: EnvelopeBundle }
  #attest(options: AttestOptions & { readonly form: 'annotations' | 'bundle' }): OldSignature | { readonly bundle: EnvelopeBundle } {
    const faults = setOf(options.broken)
    const payload = statementOf(options, faults)
    const payloadType = faults.has('payload-type-other') ? 'application/json' : IN_TOTO_PAYLOAD_TYPE
    const envelopeOf = (signature: Buffer): Envelope => ({
      payloadType,
      payload: payload.toString('base64'),
      signatures: faults.has('envelope-unsigned') ? [] : [{ keyid: '', sig: signature.toString('base64') }],
    })
    // A timestamp of cosign 2 is over the whole envelope, one in a bundle over the signature.
    const stamped = (signature: Buffer): Buffer =>
      options.form === 'bundle' ? signature : Buffer.from(JSON.stringify(envelopeOf(signature)))
    const made = this.#sign(options, faults, dsse.preAuthEncoding(payloadType, payload), stamped, 'dsse 0.0.1', {
      payload,
      payloadType,
      envelopeOf: (signature) => JSON.stringify(envelopeOf(signature)),
    })
    const envelope = envelopeOf(made.signature)
    if (options.form === 'annotations') {
      const annotations = { [SIGNATURE_ANNOTATION]: '', predicateType: options.predicateType, ...annotationsOf(made) }
      return { payload: Buffer.from(JSON.stringify(envelope)), annotations }
    }
    const second = { sig: signBytes(makeSigner(), dsse.preAuthEncoding(payloadType, payload)).toString('base64') }
    const signatures = envelope.signatures.map(({ sig }) => ({ sig }))
    if (faults.has('envelope-with-several-signatures')) signatures.push(second)
    return { bundle: { ...bundleOf(made, options.version), dsseEnvelope: { ...envelope, signatures } } }
  }

  /** Signs `bytes`, has it logged and stamped. `dsseParts`: what is in the envelope that `bytes` are the encoding of. */
  #sign(
    options: SignOptions,
    faults: ReadonlySet<SigningFault>,
    bytes: Uint8Array,
    stampedBytes: (signature: Buffer) => Buffer,
    kind: 'hashedrekord 0.0.1' | 'dsse 0.0.1',
    dsseParts?: { readonly payload: Buffer; readonly payloadType: string; readonly envelopeOf: (signature: Buffer) => string },
  ): Made {
    const at = options.at ?? this.now
    const signer = this.#signerOf(options.signer ?? {}, at, faults)
    const signature = signDer(faults.has('signature-by-another-key') ? makeSigner(signer.key.type) : signer.key, bytes)
    const loggable: Loggable = {
      signed: bytes,
      signature,
      signer: logSigner(signer),
      ...(dsseParts ? { payload: dsseParts.payload, envelope: dsseParts.envelopeOf(signature), payloadType: dsseParts.payloadType } : {}),
    }
    const log = options.log ?? 'v1'
    const entry = log === 'none' || faults.has('entry-missing') ? undefined : this.#log(log, loggable, options, kind, signer, at, faults)
    const isStamped = options.timestamp === true && !faults.has('timestamp-missing')
    const timestamps = isStamped ? this.#stamp(stampOf(signature), at, faults) : []
    return { signature, signer, entry: options.carriesEntry === false ? undefined : entry, timestamps }

    function stampOf(made: Buffer): Buffer {
      return kind === 'hashedrekord 0.0.1' ? made : stampedBytes(made)
    }
  }

  #signerOf(signing: Signing, at: number, faults: ReadonlySet<SigningFault>): Made['signer'] {
    if ('privateKey' in signing) return { key: signing, certificate: undefined, chain: [] }
    const from = faults.has('leaf-of-another-authority') ? this.#strangers() : this
    const logs = this.certificateLogs.slice(-1).map(({ part }) => part)
    const leaf = from.#current(from.authorities).issue(
      signing,
      at,
      logs,
      this.#strangers().#current(this.#strangers().certificateLogs),
      faults,
    )
    return leaf
  }

  #log(
    version: 'v1' | 'v2',
    loggable: Loggable,
    options: SignOptions,
    kind: 'hashedrekord 0.0.1' | 'dsse 0.0.1',
    signer: Made['signer'],
    at: number,
    faults: ReadonlySet<SigningFault>,
  ): LoggedEntry {
    const other = Buffer.from('other bytes')
    const changed: Loggable = {
      ...loggable,
      ...(faults.has('entry-of-another-signature') ? { signature: signDer(signer.key, other) } : {}),
      ...(faults.has('entry-of-another-payload') ? { signed: other, payload: other, envelope: '{}' } : {}),
      ...(faults.has('entry-of-another-certificate')
        ? { signer: logSigner(signer.certificate ? this.#signerOf({}, at, new Set()) : { ...signer, key: makeSigner(signer.key.type) }) }
        : {}),
    }
    const usual = version === 'v1' ? kind : kind === 'dsse 0.0.1' ? 'dsse 0.0.2' : 'hashedrekord 0.0.2'
    const from = faults.has('entry-of-another-log') ? this.#strangers() : this
    return from.#current(from.logs[version]).append(logBody(options.entry ?? usual, changed), at + 1000, faults)
  }

  /** One timestamp of each authority in service; where none is, one of the last all the same. */
  #stamp(bytes: Buffer, at: number, faults: ReadonlySet<SigningFault>): readonly Buffer[] {
    const from = faults.has('timestamp-by-another-authority') ? this.#strangers() : this
    const late = faults.has('timestamp-after-certificate') ? HOUR : faults.has('timestamp-before-certificate') ? -HOUR : 2000
    const all = from.timestampAuthorities
    const serving = all.filter((one) => one.from <= at && (one.until === undefined || one.until > at))
    return (serving.length > 0 ? serving : all.slice(-1)).map(({ part }) => part.stamp(bytes, at + late, faults))
  }

  /** Another Sigstore with the same names, whom nobody trusts. */
  #strangers(): Sigstore {
    return (this.#stranger ??= new Sigstore({ ...this.#options, broken: [], timestampAuthorities: 1 }))
  }

  #start(part: Part, from: number): void {
    const { now, name } = this
    const faults = this.#faults
    const until = (isOut: boolean): number | undefined => (isOut ? now - HOUR : undefined)
    switch (part) {
      case 'authority':
        this.authorities.push({ part: new Authority(name, now, faults), from, until: until(faults.has('authority-out-of-service')) })
        return
      case 'certificate-log': {
        const log = new CertificateLog(`https://ctfe.${name}`)
        this.certificateLogs.push({ part: log, from, until: until(faults.has('certificate-log-out-of-service')) })
        return
      }
      case 'log-v1':
        this.logs.v1.push({ part: new TransparencyLog('v1', `rekor.${name}`), from, until: until(faults.has('log-out-of-service')) })
        return
      case 'log-v2': {
        const log = new TransparencyLog(
          'v2',
          `log${this.logs.v2.length + 1}.rekor.${name}`,
          makeSigner(this.#options.v2KeyType ?? 'ed25519'),
        )
        this.logs.v2.push({ part: log, from, until: until(faults.has('log-out-of-service')) })
        return
      }
      case 'timestamp-authority': {
        const authority = new TimestampAuthority(name, now, this.#options.embedsTimestampCertificates ?? true, faults)
        this.timestampAuthorities.push({ part: authority, from, until: until(faults.has('timestamp-authority-out-of-service')) })
      }
    }
  }

  #serving(part: Part): Serving<unknown>[] {
    switch (part) {
      case 'authority':
        return this.authorities
      case 'certificate-log':
        return this.certificateLogs
      case 'log-v1':
        return this.logs.v1
      case 'log-v2':
        return this.logs.v2
      case 'timestamp-authority':
        return this.timestampAuthorities
    }
  }

  #current<T>(serving: readonly Serving<T>[]): T {
    const last = serving.at(-1)
    if (!last) throw new Error('nothing is in service')
    return last.part
  }

  #trusted(logs: readonly ('v1' | 'v2')[]): Trusted {
    const { authorities, certificateLogs, timestampAuthorities } = this
    return { logs: logs.flatMap((version) => this.logs[version]), authorities, certificateLogs, timestampAuthorities }
  }
}

/** A signature and what was had for it. */
type Made = {
  readonly signature: Buffer
  readonly signer: { readonly key: Signer; readonly certificate: Certificate | undefined; readonly chain: readonly Certificate[] }
  readonly entry: LoggedEntry | undefined
  readonly timestamps: readonly Buffer[]
}

function setOf<F extends string>(broken: Broken<F> | undefined): ReadonlySet<F> {
  return new Set(broken === undefined ? [] : typeof broken === 'string' ? [broken] : broken)
}

function logSigner({ key, certificate }: Pick<Made['signer'], 'key' | 'certificate'>): Loggable['signer'] {
  return certificate ? { is: 'certificate', der: certificate.der, keyType: key.type } : { is: 'key', der: spkiOf(key), keyType: key.type }
}

function imageOf(digest: string, faults: ReadonlySet<SigningFault>): string {
  return faults.has('image-other') ? `sha256:${sha256(Buffer.from('another image')).toString('hex')}` : digest
}

function statementOf(options: AttestOptions, faults: ReadonlySet<SigningFault>): Buffer {
  if (faults.has('statement-malformed')) return Buffer.from('{"_type":"https://in-toto.io/Statement/v1","subject":')
  const statement = {
    _type: faults.has('statement-type-other') ? 'https://elsewhere.example/Statement' : 'https://in-toto.io/Statement/v1',
    subject: [
      {
        ...(options.repository === undefined ? {} : { name: options.repository }),
        digest: { sha256: imageOf(options.digest, faults).replace('sha256:', '') },
      },
    ],
    predicateType: faults.has('predicate-type-other') ? 'https://elsewhere.example/predicate/v1' : options.predicateType,
    predicate: options.predicate,
  }
  return Buffer.from(JSON.stringify(statement))
}

/** What cosign 2 lays beside a signature (specification 7.2); it has no place for a proof of inclusion. */
function annotationsOf({ signer, entry, timestamps }: Made): Readonly<Record<string, string>> {
  const { certificate, chain } = signer
  const bundle = entry && {
    SignedEntryTimestamp: entry.promise?.toString('base64') ?? '',
    Payload: {
      body: entry.body.toString('base64'),
      integratedTime: entry.integratedTime ?? 0,
      logIndex: entry.index,
      logID: entry.logId.toString('hex'),
    },
  }
  return {
    ...(certificate && { [CERTIFICATE_ANNOTATION]: certificate.pem, 'dev.sigstore.cosign/chain': chain.map(({ pem }) => pem).join('') }),
    ...(bundle && { 'dev.sigstore.cosign/bundle': JSON.stringify(bundle) }),
    ...(timestamps[0] && {
      'dev.sigstore.cosign/rfc3161timestamp': JSON.stringify({ SignedRFC3161Timestamp: timestamps[0].toString('base64') }),
    }),
  }
}

function bundleOf({ signer, entry, timestamps }: Made, version: SignOptions['version'] = '0.3'): SigstoreBundle {
  const { key, certificate, chain } = signer
  const who = certificate ? certified([certificate, ...chain], version) : { publicKey: { hint: sha256(spkiOf(key)).toString('base64') } }
  return {
    mediaType: BUNDLE_TYPES[version],
    verificationMaterial: {
      ...who,
      tlogEntries: entry ? [entryJson(entry)] : [],
      ...(timestamps.length > 0 && {
        timestampVerificationData: { rfc3161Timestamps: timestamps.map((token) => ({ signedTimestamp: token.toString('base64') })) },
      }),
    },
  }
}

/** Up to 0.2 a chain without its root; from 0.3 on the leaf alone. */
function certified(chain: readonly Certificate[], version: SignOptions['version']): object {
  const certificates = chain.slice(0, -1).map(({ der }) => ({ rawBytes: der.toString('base64') }))
  return version === '0.3' ? { certificate: certificates[0] } : { x509CertificateChain: { certificates } }
}

/** TransparencyLogEntry of protobuf-specs (sigstore_rekor.proto): 64-bit integers are strings. */
function entryJson({ body, kind, logId, index, integratedTime, promise, proof }: LoggedEntry): object {
  return {
    logIndex: String(index),
    logId: { keyId: logId.toString('base64') },
    kindVersion: kind,
    integratedTime: String(integratedTime ?? 0),
    ...(promise && { inclusionPromise: { signedEntryTimestamp: promise.toString('base64') } }),
    ...(proof && {
      inclusionProof: {
        logIndex: String(proof.index),
        rootHash: proof.root.toString('base64'),
        treeSize: String(proof.size),
        hashes: proof.path.map((hash) => hash.toString('base64')),
        checkpoint: { envelope: proof.checkpoint },
      },
    }),
    canonicalizedBody: body.toString('base64'),
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
