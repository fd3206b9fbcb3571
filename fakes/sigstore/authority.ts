import type { KeyType, Signer } from '../signer.ts'
import { makeSigner } from '../signer.ts'
import type { CertificateLog } from './certificate-log.ts'
import { sctExtension } from './certificate-log.ts'
import type { AlternativeName, Certificate, Extension, Issuer } from './certificate.ts'
import {
  alternativeNames,
  basicConstraints,
  extendedKeyUsage,
  issue,
  keyIdentifiers,
  keyUsage,
  permittedNames,
  unknownExtension,
} from './certificate.ts'
import { pem, utf8 } from './der.ts'
import type { AuthorityFault, SigningFault } from './fault.ts'

const YEAR = 365 * 24 * 60 * 60 * 1000
const HOUR = 60 * 60 * 1000
const LEAF_LIFE = 10 * 60 * 1000

/** Who signs, as an identity provider vouches for it. */
export type Keyless = {
  /** A name with `://` is a URI, one with `@` an address, else a DNS name. By default a release workflow at GitHub. */
  readonly subject?: string | readonly AlternativeName[]
  /** Written into both issuer extensions, `.1.1` and `.1.8`, unless they are given apart. */
  readonly issuer?: string | { readonly old?: string; readonly new?: string }
  /** Fulcio's further extensions by their last number, e.g. `{ 12: 'https://github.com/acme/web' }`. */
  readonly claims?: Readonly<Record<number, string>>
  readonly keyType?: KeyType
  /** Whose key it is; without one a key is made. */
  readonly key?: Signer
}

export const DEFAULT_SUBJECT = 'https://github.com/acme/web/.github/workflows/release.yml@refs/heads/main'
export const DEFAULT_ISSUER = 'https://token.actions.githubusercontent.com'

/** A leaf and its key. */
export type Leaf = { readonly certificate: Certificate; readonly key: Signer; readonly chain: readonly Certificate[] }

/** A CA like Fulcio: a root, an intermediate, leaves of ten minutes. */
export class Authority {
  readonly uri: string
  readonly root: Issuer
  /** The issuing one first. */
  readonly intermediates: readonly Issuer[]

  constructor(name: string, now: number, faults: ReadonlySet<AuthorityFault>) {
    this.uri = `https://fulcio.${name}`
    this.root = makeRoot({ organization: name, commonName: 'sigstore' }, now)
    this.intermediates = intermediatesOf(name, this.root, now, faults)
  }

  get chain(): readonly Certificate[] {
    return [...this.intermediates, this.root].map(({ certificate }) => certificate)
  }

  /** Issues a leaf at `at` (ms since 1970) for ten minutes. `foreignLog` is one that nobody trusts. */
  issue(
    keyless: Keyless,
    at: number,
    logs: readonly CertificateLog[],
    foreignLog: CertificateLog,
    faults: ReadonlySet<SigningFault>,
  ): Leaf {
    const issuing = this.intermediates[0] ?? this.root
    const issuer = faults.has('leaf-signed-by-leaf') ? leafAsIssuer(issuing, at) : issuing
    const key = keyless.key ?? makeSigner(keyless.keyType ?? 'p256')
    const from = faults.has('leaf-expired') ? at - HOUR : faults.has('leaf-not-yet-valid') ? at + HOUR : at
    const certificate = issue({
      subject: {},
      key,
      issuer: { name: issuer.certificate.name, key: issuer.key },
      from,
      until: from + LEAF_LIFE,
      extensions: leafExtensions(keyless, key, issuer.key, faults),
      more: (tbs) => sctsOf(tbs, issuer.key, from, logs, foreignLog, faults),
    })
    const chain = issuer === issuing ? this.chain : [issuer.certificate, ...this.chain]
    return { certificate: faults.has('leaf-tampered') ? tampered(certificate) : certificate, key, chain }
  }
}

export function makeRoot(subject: { organization: string; commonName: string }, now: number): Issuer {
  const key = makeSigner('p256')
  const extensions = [keyUsage('certSign'), basicConstraints(true, 1), ...keyIdentifiers(key, key)]
  return { key, certificate: issue({ subject, key, issuer: undefined, from: now - YEAR, until: now + 9 * YEAR, extensions }) }
}

function intermediatesOf(name: string, root: Issuer, now: number, faults: ReadonlySet<AuthorityFault>): readonly Issuer[] {
  const extra: Extension[] = []
  if (faults.has('name-not-permitted')) extra.push(permittedNames('elsewhere.example'))
  if (faults.has('intermediate-with-unknown-critical-extension')) extra.push(unknownExtension(true))
  const first = intermediate(`${name} intermediate`, root, now, {
    isCa: !faults.has('intermediate-not-a-ca'),
    mayIssue: !faults.has('intermediate-without-cert-sign'),
    isExpired: faults.has('intermediate-expired'),
    purpose: faults.has('intermediate-for-servers') ? 'server-auth' : 'code-signing',
    extra,
  })
  // The first one's path length is 0: it may issue leaves only.
  if (faults.has('path-too-long')) return [intermediate(`${name} second intermediate`, first, now, {}), first]
  return [first]
}

type IntermediateOptions = {
  readonly isCa?: boolean
  readonly mayIssue?: boolean
  readonly isExpired?: boolean
  readonly purpose?: 'code-signing' | 'server-auth' | 'time-stamping'
  readonly extra?: readonly Extension[]
}

export function intermediate(commonName: string, issuer: Issuer, now: number, options: IntermediateOptions): Issuer {
  const { isCa = true, mayIssue = true, isExpired = false, purpose = 'code-signing', extra = [] } = options
  const key = makeSigner('p256')
  const certificate = issue({
    subject: { organization: 'sigstore.example', commonName },
    key,
    issuer: { name: issuer.certificate.name, key: issuer.key },
    from: now - YEAR,
    until: isExpired ? now - HOUR : now + 9 * YEAR,
    extensions: [
      keyUsage(mayIssue ? 'certSign' : 'digitalSignature'),
      extendedKeyUsage([purpose]),
      isCa ? basicConstraints(true, 0) : basicConstraints(false),
      ...keyIdentifiers(key, issuer.key),
      ...extra,
    ],
  })
  return { key, certificate }
}

/** A certificate of a signer that then issues another, as only a CA may. */
function leafAsIssuer(issuer: Issuer, at: number): Issuer {
  const key = makeSigner('p256')
  const certificate = issue({
    subject: { commonName: 'a signer' },
    key,
    issuer: { name: issuer.certificate.name, key: issuer.key },
    from: at,
    until: at + LEAF_LIFE,
    extensions: [keyUsage('digitalSignature'), extendedKeyUsage(['code-signing']), ...keyIdentifiers(key, issuer.key)],
  })
  return { key, certificate }
}

function leafExtensions(keyless: Keyless, key: Signer, issuer: Signer, faults: ReadonlySet<SigningFault>): readonly Extension[] {
  const names = faults.has('subject-other-than-trusted')
    ? namesOf('https://github.com/eve/web')
    : namesOf(keyless.subject ?? DEFAULT_SUBJECT)
  return [
    keyUsage('digitalSignature'),
    extendedKeyUsage([faults.has('leaf-for-servers') ? 'server-auth' : 'code-signing']),
    ...keyIdentifiers(key, issuer),
    ...(faults.has('subject-missing') || names.length === 0 ? [] : [alternativeNames(names)]),
    ...issuerExtensions(keyless, faults),
    ...Object.entries(keyless.claims ?? {}).map(([number, text]) => claim(Number(number), text)),
    ...(faults.has('leaf-with-unknown-critical-extension') ? [unknownExtension(true)] : []),
  ]
}

function namesOf(subject: string | readonly AlternativeName[]): readonly AlternativeName[] {
  if (typeof subject !== 'string') return subject
  return [{ type: subject.includes('://') ? 'uri' : subject.includes('@') ? 'email' : 'dns', value: subject }]
}

function issuerExtensions(keyless: Keyless, faults: ReadonlySet<SigningFault>): readonly Extension[] {
  if (faults.has('issuer-missing')) return []
  const issuer = faults.has('issuer-other-than-trusted') ? 'https://issuer.elsewhere.example' : (keyless.issuer ?? DEFAULT_ISSUER)
  const both = typeof issuer === 'string' ? { old: issuer, new: issuer } : issuer
  return [...(both.old === undefined ? [] : [claim(1, both.old)]), ...(both.new === undefined ? [] : [claim(8, both.new)])]
}

/** Up to `.1.6` the bare text, from `.1.8` on a UTF8String (Fulcio's oid-info). */
function claim(number: number, text: string): Extension {
  return { oid: `1.3.6.1.4.1.57264.1.${number}`, isCritical: false, value: number < 8 ? Buffer.from(text) : utf8(text) }
}

function sctsOf(
  tbs: Buffer,
  issuer: Signer,
  at: number,
  logs: readonly CertificateLog[],
  foreignLog: CertificateLog,
  faults: ReadonlySet<SigningFault>,
): readonly Extension[] {
  if (faults.has('sct-missing')) return []
  const used = faults.has('sct-of-another-log') ? [foreignLog] : logs
  const stamps = used.map((log) => log.stamp(tbs, issuer, at, faults.has('sct-tampered') ? at + 1000 : at))
  if (faults.has('sct-second-tampered') && used[0]) stamps.push(used[0].stamp(tbs, issuer, at, at + 1000))
  return stamps.length === 0 ? [] : [sctExtension(stamps)]
}

/** A bit of the serial number is another one: what the issuer signed is no longer what stands there. */
function tampered(certificate: Certificate): Certificate {
  const der = Buffer.from(certificate.der)
  const serial = der.indexOf(certificate.serial)
  der.writeUInt8((der[serial + 3] ?? 0) ^ 1, serial + 3)
  return { ...certificate, der, pem: pem('CERTIFICATE', der) }
}
