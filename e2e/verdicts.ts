import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FakeRegistry } from '../fakes/registry.ts'
import type { OldSignature, Signer } from '../fakes/signer.ts'
import { attestationManifest, bundleEvidence, bundleReferrer, makeSigner, oldEvidence, signatureManifest } from '../fakes/signer.ts'
import type { BundleJson } from '../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../fakes/sigstore/authority.ts'
import type { Fault, FaultRow } from '../fakes/sigstore/fault.ts'
import type { Form, MadeOf } from '../fakes/sigstore/faulty.ts'
import { faulty, PREDICATE_TYPE, showsIn } from '../fakes/sigstore/faulty.ts'
import type { SignOptions, Sigstore } from '../fakes/sigstore/sigstore.ts'
import { verifyAttestation } from '../src/sigstore/attestation.ts'
import type { SignatureEvidence } from '../src/sigstore/evidence.ts'
import { verifySignature } from '../src/sigstore/signature.ts'
import { sentenceOf } from '../src/verdict/reason.ts'
import { byKey, keyless, keyOf } from '../test/sigstore/demands.ts'
import type { Cosign } from './cosign.ts'
import { cosignEnv } from './cosign.ts'
import type { Parts } from './parts.ts'
import { run, temporaryFolder } from './processes.ts'

/** How something is signed, and so how both are asked about it: with its log entry, unless it has none, and with its timestamp, if it has one. */
export type Way = {
  readonly form: Form
  readonly by: 'certificate' | 'key'
  readonly log: 'v1' | 'v2' | 'none'
  readonly timestamp: boolean
}

export const ways: readonly Way[] = [
  { form: 'annotations', by: 'certificate', log: 'v1', timestamp: false },
  { form: 'annotations', by: 'certificate', log: 'v1', timestamp: true },
  { form: 'annotations', by: 'certificate', log: 'none', timestamp: true },
  { form: 'annotations', by: 'key', log: 'v1', timestamp: false },
  { form: 'bundle', by: 'certificate', log: 'v1', timestamp: false },
  { form: 'bundle', by: 'certificate', log: 'v2', timestamp: true },
  { form: 'bundle', by: 'certificate', log: 'none', timestamp: true },
  { form: 'bundle', by: 'key', log: 'v1', timestamp: false },
  { form: 'bundle', by: 'key', log: 'v2', timestamp: false },
]

/** Whether a fault shows in what is signed this way. */
export function shows(row: FaultRow, way: Way): boolean {
  const { log = 'none', timestamp = false, certificate = false } = row.needs
  return (
    showsIn(row, way.form) &&
    (log === 'none' || (log === 'any' ? way.log !== 'none' : way.log === log)) &&
    (!timestamp || way.timestamp) &&
    (!certificate || way.by === 'certificate')
  )
}

/** Where a cosign accepts what is refused here, and why. */
export type Difference = {
  readonly fault: Fault
  readonly form?: Form
  readonly accepting: readonly Cosign[]
  readonly because: string
}

const NO_PERIODS = 'what cosign 2 trusts for annotations it is told as PEM files, which have no periods of service'

export const differences: readonly Difference[] = [
  { fault: 'authority-out-of-service', form: 'annotations', accepting: ['cosign2'], because: NO_PERIODS },
  { fault: 'certificate-log-out-of-service', form: 'annotations', accepting: ['cosign2'], because: NO_PERIODS },
  { fault: 'log-out-of-service', form: 'annotations', accepting: ['cosign2'], because: NO_PERIODS },
  { fault: 'timestamp-authority-out-of-service', form: 'annotations', accepting: ['cosign2'], because: NO_PERIODS },
  {
    fault: 'sct-second-tampered',
    form: 'annotations',
    accepting: ['cosign3'],
    because: 'one good certificate timestamp is enough for it, for cosign 2 in annotations and here all must be',
  },
  { fault: 'sct-second-tampered', form: 'bundle', accepting: ['cosign2', 'cosign3'], because: 'likewise' },
  {
    fault: 'entry-of-another-payload',
    form: 'bundle',
    accepting: ['cosign2'],
    because: 'it does not compare the payload with that of the log entry; cosign 3 does',
  },
  {
    fault: 'timestamp-missing',
    form: 'annotations',
    accepting: ['cosign2', 'cosign3'],
    because: 'a timestamp that is asked for is needed here (Q11); in annotations with a log entry cosign does without',
  },
  {
    fault: 'statement-type-other',
    accepting: ['cosign2', 'cosign3'],
    because: 'they do not read the type of a statement; here it must be in-toto v0.1 or v1, as clients of Sigstore must have it',
  },
]

/** What is none of a fault in one way: all accept it. The proof of inclusion is there, and a key asks for no time. */
export function isNoFault({ fault }: FaultRow, { form, by }: Way): boolean {
  return fault === 'promise-missing' && form === 'bundle' && by === 'key'
}

export function differenceOf({ fault }: FaultRow, way: Way): Difference | undefined {
  // With a timestamp and no log entry nothing else says when it was signed.
  if (fault === 'timestamp-missing' && way.log === 'none') return undefined
  return differences.find((row) => row.fault === fault && (row.form ?? way.form) === way.form)
}

/** Undefined: accepted; else why not. */
export type Objection = string | undefined
export type Verdicts = Readonly<Record<Cosign | 'here', Objection>>

/** One that asks Sealgate and both cosigns about what a Sigstore in memory signed. Nothing but the registry is asked for anything. */
export class Court {
  readonly #parts: Pick<Parts, Cosign>
  readonly #registry: FakeRegistry
  readonly #folder = temporaryFolder('verdicts')
  readonly #signer: Signer = makeSigner()
  #cases = 0

  constructor(parts: Pick<Parts, Cosign>, registry: FakeRegistry) {
    this.#parts = parts
    this.#registry = registry
  }

  /** What they say of an image, or of a statement about one where the fault needs that, with the fault; with `isSound`, without. */
  async hear(row: FaultRow, way: Way, isSound: boolean, options: SignOptions = {}): Promise<Verdicts> {
    const isStatement = row.needs.makes === 'statement'
    const repository = `case-${this.#cases++}`
    const image = this.#registry.manifest(repository, { schemaVersion: 2, layers: [], annotations: { repository } }, 'v1')
    const made = await faulty(row, way.form, image.digest, { ...this.#optionsOf(way), ...options }, isSound)
    const pushed = pushedOf(made.made, image, isStatement)
    for (const blob of pushed.blobs) this.#registry.blob(repository, blob.bytes)
    this.#registry.manifest(repository, pushed.manifest.bytes, pushed.tag, pushed.manifest.mediaType)

    const reference = `${this.#registry.host}/${repository}@${image.digest}`
    const verb = isStatement ? ['verify-attestation', '--type', PREDICATE_TYPE] : ['verify']
    const [cosign2, cosign3] = await Promise.all(
      (['cosign2', 'cosign3'] as const).map((cosign) => this.#ask(cosign, [...verb, reference], made.sigstore, way)),
    )
    return { here: this.#judge(made, image.digest, way, isStatement), cosign2, cosign3 }
  }

  #optionsOf({ by, log, timestamp }: Way): SignOptions {
    return {
      log,
      timestamp,
      ...(by === 'key' ? { signer: this.#signer } : {}),
      // Of the kinds of Rekor v2 cosign 3 reads only this one.
      ...(log === 'v2' ? { entry: 'hashedrekord 0.0.2' } : {}),
    }
  }

  #judge({ made, sigstore }: MadeOf, digest: `sha256:${string}`, { by, log, timestamp }: Way, isStatement: boolean): Objection {
    const demands = { log: log === 'none' ? 'ignored' : 'offline', time: timestamp ? 'required' : 'ignored' } as const
    const terms = by === 'key' ? byKey(sigstore, keyOf(this.#signer.pem), demands) : keyless(sigstore, demands)
    const evidence: SignatureEvidence = 'bundle' in made ? bundleEvidence(made.bundle) : oldEvidence(made)
    const answer = isStatement
      ? verifyAttestation(evidence, digest, terms, [PREDICATE_TYPE], Date.now())
      : verifySignature(evidence, digest, terms, Date.now())
    return answer.ok ? undefined : sentenceOf(answer.reason)
  }

  async #ask(cosign: Cosign, verb: readonly string[], sigstore: Sigstore, way: Way): Promise<Objection> {
    const { form, by, log, timestamp } = way
    const trust = cosign === 'cosign2' && form === 'annotations' ? this.#files(sigstore, way) : this.#root(cosign, sigstore)
    const who =
      by === 'key'
        ? ['--key', this.#put('key.pub', this.#signer.pem)]
        : ['--certificate-identity', DEFAULT_SUBJECT, '--certificate-oidc-issuer', DEFAULT_ISSUER]
    const flags = [...(log === 'none' ? ['--insecure-ignore-tlog'] : []), ...(timestamp ? ['--use-signed-timestamps'] : [])]
    const env = cosignEnv(this.#folder, trust.env)
    const { code, stderr } = await run(this.#parts[cosign], [...verb, ...trust.flags, ...who, ...flags], { env })
    return code === 0 ? undefined : stderr.trim()
  }

  #root(cosign: Cosign, sigstore: Sigstore): { flags: readonly string[]; env: NodeJS.ProcessEnv } {
    const root = ['--trusted-root', this.#put(`root-${cosign}.json`, JSON.stringify(sigstore.trustedRoot()))]
    return { flags: cosign === 'cosign2' ? ['--new-bundle-format', ...root] : root, env: {} }
  }

  /** The same as files, each of one certificate chain or key. */
  #files(sigstore: Sigstore, { by, timestamp }: Way): { flags: readonly string[]; env: NodeJS.ProcessEnv } {
    const stamps = sigstore.timestampAuthorities.flatMap(({ part }) => part.chain.map(({ pem }) => pem)).join('')
    return {
      flags: [
        '--offline',
        ...(by === 'certificate' ? ['--certificate-chain', this.#put('ca.pem', sigstore.caPem())] : []),
        ...(timestamp ? ['--timestamp-certificate-chain', this.#put('tsa.pem', stamps)] : []),
      ],
      env: {
        SIGSTORE_REKOR_PUBLIC_KEY: this.#put('rekor.pub', sigstore.logs.v1.map(({ part }) => part.key.pem).join('')),
        SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: this.#put('ctfe.pub', sigstore.certificateLogs.map(({ part }) => part.key.pem).join('')),
      },
    }
  }

  #put(name: string, text: string): string {
    const file = join(this.#folder, name)
    writeFileSync(file, text)
    return file
  }
}

function pushedOf(made: MadeOf['made'], image: Parameters<typeof bundleReferrer>[0], isStatement: boolean) {
  if ('bundle' in made) return bundleReferrer(image, made.bundle as BundleJson, isStatement ? PREDICATE_TYPE : undefined)
  const layers: readonly OldSignature[] = [made]
  return isStatement ? attestationManifest(image.digest, layers) : signatureManifest(image.digest, layers)
}
