import { compileIdentity } from '../sigstore/identity.ts'
import type { Identity, NamePattern, SignerTerms, Terms } from '../sigstore/terms.ts'
import type { PublicKey } from '../trust/key.ts'
import type { CertificateAuthority, LogKey, TrustMaterial } from '../trust/material.ts'
import type { Reason } from '../verdict/reason.ts'
import { outcomeOf } from '../verdict/reason.ts'
import type { Outside } from './objects.ts'
import type { AuthoritySpec } from './read.ts'
import type { Settings } from './settings.ts'

/**
 * What an authority demands of a signature or attestation by one signer, compiled when the policy arrived. The two forms in which signatures lie in a
 * registry are judged by different rules: those of specification 7.1.1 for bundles, 7.1.2 to 7.1.4 for annotations.
 */
export type Demand = {
  /** Whose signature is wanted, for people: `the key 0123456789abcdef`. */
  readonly signer: string
  readonly annotations: Terms
  readonly bundle: Terms
}

/** Whose signature it must be; `anchor`: the certificate authority that `ca-cert` names, instead of those of a trust root. */
export type Wanted =
  | { readonly by: 'key'; readonly key: PublicKey }
  | { readonly by: 'keyless'; readonly anchor: CertificateAuthority | undefined }

export type Demands = {
  readonly demands: readonly Demand[]
  /** Why the authority refuses whatever is signed: the specified text first. */
  readonly refuses: readonly Reason[]
  readonly warnings: readonly string[]
  /** What all of it rests on. */
  readonly trust: readonly TrustMaterial[]
}

/** What an authority demands. `at` is its path in the policy, for warnings. Never throws. */
export function compileDemands(spec: AuthoritySpec, wanted: Wanted, at: string, settings: Settings, outside: Outside): Demands {
  const { ctlog, rfc3161timestamp, keyless } = spec
  const warnings: string[] = []
  const isBundleOnly = spec.signatureFormat === 'bundle'
  const roots = new Roots(spec, outside)

  const identities: Identity[] = []
  for (const identity of wanted.by === 'keyless' ? (keyless?.identities ?? []) : []) {
    const compiled = compileIdentity(plainIdentity(identity), { subjectGlobs: settings.subjectGlobs })
    if (!compiled.ok) return { demands: [], refuses: [compiled.reason], warnings: [], trust: [] }
    identities.push(compiled.value.identity)
    warnings.push(...compiled.value.warnings.map((warning) => `${at}.keyless.identities: ${warning}`))
  }
  if (isBundleOnly) {
    const differs = whyRootsDiffer(spec)
    if (differs !== undefined) return { demands: [], refuses: [roots.refusal(differs)], warnings, trust: [] }
  }
  const bundle = bundleTerms(spec, wanted, identities, roots)
  const annotations = isBundleOnly ? bundle : annotationTerms(spec, wanted, identities, settings, roots)

  if (keyless?.trustRootRef && !ctlog && !isBundleOnly && !rfc3161timestamp?.trustRootRef)
    warnings.push(
      `${at}.keyless.trustRootRef is set and ctlog is not, so no transparency log is checked for signatures under the .sig and .att tags; their certificates must be valid when the workload is admitted: add ctlog with the trustRootRef`,
    )
  if (keyless?.insecureIgnoreSCT)
    warnings.push(`${at}.keyless.insecureIgnoreSCT is set, so a certificate that no certificate transparency log has seen passes`)
  if (rfc3161timestamp?.trustRootRef && (ctlog?.url || ctlog?.trustRootRef))
    warnings.push(`${at} has rfc3161timestamp and ctlog: timestamps are checked, and the transparency log is not`)
  if (rfc3161timestamp?.trustRootRef && !isBundleOnly && !settings.requireTimestamps)
    warnings.push(
      `${at}.rfc3161timestamp is set, but with require-timestamps: false a signature under the .sig and .att tags passes without one`,
    )
  if (roots.refuses.length > 0 || !bundle || !annotations) return { demands: [], refuses: roots.refuses, warnings, trust: roots.used }
  const signer = wanted.by === 'key' ? `the key ${wanted.key.id.slice(0, 16)}` : whoIsWanted(identities)
  return { demands: [{ signer, annotations, bundle }], refuses: [], warnings, trust: roots.used }
}

const MAX_SHOWN_IDENTITIES = 3 // of an authority, where it is told who was wanted
const MAX_SHOWN_CHARACTERS = 200 // of a subject or an issuer there

/** Who is wanted, for people. */
function whoIsWanted(identities: readonly Identity[]): string {
  const shown = ({ text, isExpression }: NamePattern): string => {
    const cut = text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text
    return isExpression ? `/${cut}/` : cut
  }
  const all = identities.slice(0, MAX_SHOWN_IDENTITIES).map(({ subject, issuer }) => `${shown(subject)} with issuer ${shown(issuer)}`)
  if (identities.length > all.length) all.push(`${identities.length - all.length} more`)
  return all.length > 0 ? `an identity of the policy (${all.join(' or ')})` : 'an identity of the policy'
}

type IdentityOfSpec = NonNullable<NonNullable<AuthoritySpec['keyless']>['identities']>[number]

function plainIdentity({ issuer, issuerRegExp, subject, subjectRegExp }: IdentityOfSpec): Parameters<typeof compileIdentity>[0] {
  return { issuer, issuerRegExp, subject, subjectRegExp }
}

/** Specification 7.1.1: bundles alone are verified with one trust root. */
function whyRootsDiffer({ keyless, ctlog, rfc3161timestamp }: AuthoritySpec): string | undefined {
  if (!keyless) return undefined
  const own = keyless.trustRootRef ?? ''
  if (rfc3161timestamp && (rfc3161timestamp.trustRootRef ?? '') !== own) return rootsDiffer('TSA')
  return ctlog && (ctlog.trustRootRef ?? '') !== own ? rootsDiffer('TLog') : undefined
}

function rootsDiffer(of: 'TSA' | 'TLog'): string {
  return `when using the new bundle format, the trustRootRef for the ${of} must be the same as the trustRootRef for the Keyless authority`
}

/** Specification 7.1.2 to 7.1.4. */
function annotationTerms(
  { name = '', keyless, ctlog, rfc3161timestamp }: AuthoritySpec,
  wanted: Wanted,
  identities: readonly Identity[],
  settings: Settings,
  roots: Roots,
): Terms | undefined {
  const own = wanted.by === 'keyless' ? roots.find(keyless?.trustRootRef, `getting Fulcio certs: ${name}: `) : undefined
  if (wanted.by === 'keyless' && !own) return undefined
  const signer = signerTerms(wanted, own, identities, keyless?.insecureIgnoreSCT === true)

  const stamps = rfc3161timestamp?.trustRootRef ? roots.find(rfc3161timestamp.trustRootRef, '') : undefined
  if (rfc3161timestamp?.trustRootRef) {
    if (!stamps) return undefined
    const time = { authorities: stampers(stamps), isRequired: settings.requireTimestamps }
    return { signer, log: 'ignored', time }
  }
  if (ctlog && (ctlog.url || ctlog.trustRootRef)) {
    const logs = roots.find(ctlog.trustRootRef, `getting Rekor public keys: ${name}: fetching keys for trustRootRef: `)
    if (!logs) return undefined
    return { signer, log: logTerms(logs, searchAt(ctlog, logs)), time: 'ignored' }
  }
  // Q7: an empty ctlog, or a trust root without ctlog, asks for no log.
  if (!own || ctlog || keyless?.trustRootRef) return { signer, log: 'ignored', time: 'ignored' }
  return { signer, log: logTerms(own, undefined), time: 'ignored' }
}

/** Specification 7.1.1, and for keys, which it leaves out (Q26), what it says of the old form. */
function bundleTerms(
  { name = '', keyless, ctlog, rfc3161timestamp, signatureFormat }: AuthoritySpec,
  wanted: Wanted,
  identities: readonly Identity[],
  roots: Roots,
): Terms | undefined {
  const own =
    wanted.by === 'keyless'
      ? roots.find(keyless?.trustRootRef, signatureFormat === 'bundle' ? '' : `getting Fulcio certs: ${name}: `)
      : undefined
  if (wanted.by === 'keyless' && !own) return undefined
  const signer = signerTerms(wanted, own, identities, keyless?.insecureIgnoreSCT === true)

  if (rfc3161timestamp?.trustRootRef || (rfc3161timestamp && signatureFormat === 'bundle')) {
    const stamps = roots.find(rfc3161timestamp.trustRootRef, '')
    if (!stamps) return undefined
    return { signer, log: 'ignored', time: { authorities: stampers(stamps), isRequired: true } }
  }
  const isLogAsked = wanted.by === 'keyless' || Boolean(ctlog?.url || ctlog?.trustRootRef)
  if (!isLogAsked) return { signer, log: 'ignored', time: 'ignored' }
  const logs = roots.find(
    ctlog?.trustRootRef || keyless?.trustRootRef,
    signatureFormat === 'bundle' ? '' : `getting Rekor public keys: ${name}: fetching keys for trustRootRef: `,
  )
  if (!logs) return undefined
  return { signer, log: logTerms(logs, ctlog && searchAt(ctlog, logs)), time: 'ignored' }
}

function signerTerms(wanted: Wanted, own: TrustMaterial | undefined, identities: readonly Identity[], ignoresSct: boolean): SignerTerms {
  if (wanted.by === 'key') return { by: 'key', key: wanted.key }
  const logs = own?.certificateLogs ?? []
  return {
    by: 'certificate',
    // It replaces the others and is never added to them.
    authorities: wanted.anchor ? [wanted.anchor] : (own?.certificateAuthorities ?? []),
    identities,
    certificateLogs: ignoresSct ? 'insecure-ignored' : logs.length > 0 ? logs : { code: 'sct-no-keys' },
  }
}

function logTerms(root: TrustMaterial, search: string | undefined): Terms['log'] {
  const keys: readonly LogKey[] | Reason = root.transparencyLogs.length > 0 ? root.transparencyLogs : { code: 'log-no-keys' }
  return { keys, search, authorities: root.timestampAuthorities }
}

/** Where a log can be searched (7.1.3): what the trust root says of its last log, else what the policy says. */
function searchAt({ url, trustRootRef }: NonNullable<AuthoritySpec['ctlog']>, root: TrustMaterial): string | undefined {
  const ofRoot = trustRootRef ? root.transparencyLogs.at(-1)?.url : undefined
  return ofRoot || url || undefined
}

function stampers({ timestampAuthorities }: TrustMaterial): readonly CertificateAuthority[] | Reason {
  return timestampAuthorities.length > 0
    ? timestampAuthorities
    : { code: 'timestamp-invalid', detail: 'no TSA root certificate(s) provided to verify timestamp' }
}

/** The trust roots that an authority names, and why one that it names cannot be had. */
class Roots {
  readonly used: TrustMaterial[] = []
  readonly refuses: Reason[] = []
  readonly #prefix: string
  readonly #outside: Outside

  constructor({ name = '', attestations }: AuthoritySpec, outside: Outside) {
    this.#prefix = (attestations ?? []).length > 0 ? 'creating CheckOpts: ' : `constructing checkOpts for ${name}: `
    this.#outside = outside
  }

  /** None named: the public Sigstore instance. `step` is what the specified text says that it was needed for. */
  find(name: string | undefined, step: string): TrustMaterial | undefined {
    const found = name ? this.#outside.trustRoots.get(name) : this.#outside.publicRoot
    if (found?.ok) {
      if (!this.used.includes(found.value)) this.used.push(found.value)
      return found.value
    }
    if (this.refuses.length > 0) return undefined
    const text = `${this.#prefix}${step}${name ? `trustRootRef ${name} not found` : 'the public Sigstore instance is not known'}`
    const isUnknown = found !== undefined && outcomeOf(found.reason) === 'unknown'
    this.refuses.push(
      isUnknown ? { code: 'trust-root-unknown', text } : { code: 'trust-root-not-found', text },
      ...(found ? [found.reason] : []),
    )
    return undefined
  }

  refusal(detail: string): Reason {
    return { code: 'options-contradictory', text: `${this.#prefix}${detail}` }
  }
}
