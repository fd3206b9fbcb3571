import { quotedInGo } from '../image/quote.ts'
import { isRequestUri, readUrl } from '../image/url.ts'
import { whyNotExpression } from '../sigstore/identity.ts'
import { readAnchor } from '../trust/anchor.ts'
import { isPublicKey, readHash } from '../trust/key.ts'
import type { Diagnostic } from '../verdict/diagnostic.ts'
import { below, merged, rendered } from '../verdict/diagnostic.ts'
import { sentenceOf } from '../verdict/reason.ts'
import { compileGlob } from './glob.ts'
import { whyInvalidKms } from './kms.ts'
import { RESOURCES } from './match.ts'
import { whyNotOciSource } from './oci-source.ts'
import { isPathPattern } from './path-pattern.ts'
import type { AuthoritySpec, KeyRef, MatchSpec, PolicySpec } from './read.ts'

/**
 * What is wrong with a policy. `isVital`: as long as it is wrong nobody knows what the policy asks for, so one that is in force all the same
 * refuses; whatever else is wrong is told when what it is about is compiled.
 */
export type Finding = Diagnostic & { readonly isVital?: true }

/** What a policy is held against besides itself. */
export type Terms = {
  readonly systemNamespace: string
  readonly failOnEmptyAuthorities: boolean
  /** `vital`: only those of vital findings, which need no key, certificate or expression to be read. */
  readonly rules?: 'vital'
}

type KeylessSpec = NonNullable<AuthoritySpec['keyless']>
type IdentitySpec = NonNullable<KeylessSpec['identities']>[number]
type SourceSpec = NonNullable<AuthoritySpec['source']>[number]
type AttestationSpec = NonNullable<AuthoritySpec['attestations']>[number]
type PolicySource = NonNullable<PolicySpec['policy']>

/**
 * What is wrong with a policy, as it was written: every rule of specification 2.3, in its order and its words (V1–V37, P1–P8). Errors refuse
 * it when it is written; warnings do not. The rules look at the policy alone: what it names may be missing and come later.
 */
export function whyNotPolicy(spec: PolicySpec, terms: Terms): readonly Finding[] {
  const { images = [], authorities = [], mode = '', match = [], policy } = spec
  return below('spec', [
    ...(images.length === 0 ? [vital(missing('images'))] : images.flatMap(({ glob = '' }, i) => below(`images[${i}]`, whyNotGlob(glob)))),
    ...(authorities.length === 0 && terms.failOnEmptyAuthorities ? [missing('authorities')] : []),
    ...authorities.flatMap((a, i) => below(`authorities[${i}]`, whyNotAuthority(a, terms))),
    ...(mode === '' || mode === 'enforce' || mode === 'warn' ? [] : [vital(invalid(mode, 'mode', 'unsupported mode'))]),
    ...match.flatMap((m, k) => below(`match[${k}]`, whyNotMatch(m))),
    // The texts that users know name spec itself as the place of spec.policy's fields (Q9).
    ...(policy ? whyNotSource(policy) : []),
  ])
}

/** Why a policy that is in force refuses whatever it is asked, however it came to be there: one text a finding, merged as users know it. */
export function whyNotInForce(spec: PolicySpec): readonly string[] {
  const findings = whyNotPolicy(spec, { systemNamespace: '', failOnEmptyAuthorities: false, rules: 'vital' })
  return merged(findings.filter(({ isVital }) => isVital)).map(rendered)
}

// V2–V4
function whyNotGlob(glob: string): Finding[] {
  if (glob === '') return [vital(missing('glob'))]
  if (!isPathPattern(glob)) return [invalid(glob, 'glob', 'glob is invalid: syntax error in pattern')]
  return compileGlob(glob).broken ? [invalid(glob, 'glob', `glob is invalid: invalid glob ${quotedInGo(glob)}`)] : []
}

// V7–V11 and what follows for each kind of authority
function whyNotAuthority(authority: AuthoritySpec, terms: Terms): readonly Finding[] {
  const { key, keyless, static: fixed, source = [], attestations = [], ctlog, rfc3161timestamp } = authority
  const { rules } = terms
  const kinds = [key, keyless, fixed].filter((kind) => kind !== undefined).length
  if (kinds !== 1) return [vital(oneOf(kinds, 'key', 'keyless', 'static'))]
  const others = Object.entries({ attestations: attestations[0], source: source[0], ctlog, rfc3161timestamp })
  return [
    ...(fixed ? whyNotStatic(fixed.action ?? '') : []),
    ...(fixed ? others.filter(([, other]) => other !== undefined).map(([name]) => vital(oneOf(2, 'static', name))) : []),
    ...(source.length > 1 ? [vital(invalid('source', 'source', 'only single source is supported'))] : []),
    ...(source.length === 1 ? source.flatMap((s) => below('source[0]', whyNotSignatureSource(s))) : []),
    ...(key && rules !== 'vital' ? below('key', whyNotKey(key, terms, whyNotPublicKey)) : []),
    ...(keyless ? below('keyless', whyNotKeyless(keyless, terms)) : []),
    // Without their index, as users know it (V31–V34).
    ...attestations.flatMap((attestation) => below('attestations', whyNotAttestation(attestation))),
  ]
}

// V9, V10
function whyNotStatic(action: string): Finding[] {
  if (action === '') return below('static', [vital(missing('action'))])
  return action === 'pass' || action === 'fail' ? [] : below('static', [vital(invalid(action, 'action', 'unsupported action'))])
}

// V13, V14
function whyNotSignatureSource({ oci = '', signaturePullSecrets = [] }: SourceSpec): Finding[] {
  const wrong = oci === '' ? undefined : whyNotOciSource(oci)
  const found = wrong === undefined ? [] : [invalid(oci, 'oci', wrong)]
  // Each nameless secret is put before the paths of all that was found so far: the specified quirk, so that the texts are the known ones.
  return signaturePullSecrets.reduce<Finding[]>(
    (before, { name = '' }, j) => (name === '' ? below(`signaturePullSecrets[${j}]`, [...before, vital(missing('name'))]) : before),
    found,
  )
}

// V15–V21
function whyNotKey(key: KeyRef, { systemNamespace }: Terms, whyNotData: (pem: string) => Diagnostic[]): Diagnostic[] {
  const { data = '', kms = '', secretRef, hashAlgorithm = '' } = key
  const hash = readHash(hashAlgorithm) === undefined ? [invalid(hashAlgorithm, 'hashAlgorithm')] : []
  const given = [data !== '', kms !== '', secretRef !== undefined].filter(Boolean).length
  if (given !== 1) return [oneOf(given, 'data', 'kms', 'secretref'), ...hash]
  const malformed = kms === '' ? undefined : whyInvalidKms(kms)
  const namespace = secretRef?.namespace ?? ''
  return [
    ...hash,
    ...(data === '' ? [] : whyNotData(data)),
    ...(malformed === undefined ? [] : [invalid(kms, 'kms', malformed)]),
    ...(namespace === '' || namespace === systemNamespace ? [] : [invalid(namespace, 'secretref.namespace', OTHER_NAMESPACE)]),
  ]
}

const OTHER_NAMESPACE = 'secretref.namespace is invalid. If set, it should use the same namespace where the policy-controller was deployed'

// V18
function whyNotPublicKey(data: string): Diagnostic[] {
  return isPublicKey(data) ? [] : [invalid(data, 'data')]
}

// The public key that policies had to give before may stay, though no certificate leads to it: compiling it warns.
function whyNotAnchor(data: string): Diagnostic[] {
  const read = readAnchor(data)
  return read.ok || isPublicKey(data) ? [] : [{ ...invalid(data, 'data'), added: [sentenceOf(read.reason)] }]
}

// V22–V25. A certificate chain in ca-cert, alone or beside url, is what the product documentation shows, so V23 is no rule and V24 wider.
function whyNotKeyless(keyless: KeylessSpec, terms: Terms): Finding[] {
  const { url, 'ca-cert': chain, identities = [] } = keyless
  const { rules } = terms
  return [
    ...(url === undefined && !chain ? [oneOf(0, 'ca-cert', 'url')] : []),
    ...(chain && rules !== 'vital' ? below('ca-cert', whyNotKey(chain, terms, whyNotAnchor)) : []),
    ...(identities.length === 0 ? [vital(missing('identities'))] : []),
    ...(rules === 'vital' ? [] : identities).flatMap((identity, j) => below(`identities[${j}]`, whyNotIdentity(identity))),
  ]
}

// V26–V30
function whyNotIdentity({ issuer = '', issuerRegExp = '', subject = '', subjectRegExp = '' }: IdentitySpec): Diagnostic[] {
  return [...whyNotName('issuer', issuer, issuerRegExp), ...whyNotName('subject', subject, subjectRegExp)]
}

function whyNotName(name: string, text: string, expression: string): Diagnostic[] {
  if (text === '' && expression === '') return [missing(name, `${name}RegExp`)]
  const both = text !== '' && expression !== '' ? [oneOf(2, name, `${name}RegExp`)] : []
  const wrong = expression === '' ? undefined : whyNotExpression(expression)
  return wrong === undefined ? both : [...both, invalid(expression, `${name}RegExp`, `regex is invalid: ${wrong}`)]
}

// V31–V34
function whyNotAttestation({ name = '', predicateType = '', policy }: AttestationSpec): Finding[] {
  // The short names are no URIs either.
  const isDeprecated = predicateType !== '' && !isRequestUri(predicateType)
  const deprecated = invalid(predicateType, 'predicateType', 'deprecated value, please use RFC 3986 conformant values')
  return [
    ...(name === '' ? [vital(missing('name'))] : []),
    ...(predicateType === '' ? [vital(missing('predicateType'))] : []),
    ...(isDeprecated ? [{ ...deprecated, level: 'warning' as const }] : []),
    ...(policy ? below('policy', [...whyNotSource(policy), ...whyNotOfAttestation(policy)]) : []),
  ]
}

// V35, V36
function whyNotMatch({ group = '', version = '', resource = '', selector }: MatchSpec): Diagnostic[] {
  const isAboutNothing = selector !== undefined && resource === '' && version === '' && group === ''
  return [
    ...(resource === '' || RESOURCES.has(resource) ? [] : [invalid(resource, 'resource', 'unsupported resource name')]),
    ...(isAboutNothing ? [invalid('', 'selector', 'selector requires a resource type to match the labels')] : []),
  ]
}

// P1–P6
function whyNotSource({ type = '', data = '', remote, configMapRef }: PolicySource): Diagnostic[] {
  const given = [data !== '', remote !== undefined, configMapRef !== undefined].filter(Boolean).length
  return [
    ...(type === 'cue' || type === 'rego' ? [] : [invalid(type, 'type', 'only [cue,rego] are supported at the moment')]),
    ...(given === 0 ? [missing('configMapRef', 'data', 'remote')] : given > 1 ? [oneOf(given, 'configMapRef', 'data', 'remote')] : []),
    ...(remote ? below('remote', whyNotRemote(remote.url ?? '', remote.sha256sum ?? '')) : []),
    ...(configMapRef
      ? (['name', 'key'] as const).filter((field) => !configMapRef[field]).map((field) => missing(`configMapRef.${field}`))
      : []),
  ]
}

// P4, P5
function whyNotRemote(url: string, sha256sum: string): Diagnostic[] {
  const read = readUrl(url)
  const isHttps = read.ok && read.url.host !== '' && read.url.scheme === 'https'
  return [
    ...(isHttps ? [] : [invalid(url, 'url', 'url valid is invalid. host and https scheme are expected')]),
    ...(sha256sum === '' ? [missing('sha256sum')] : []),
  ]
}

// P7
function whyNotOfAttestation(policy: PolicySource): Diagnostic[] {
  const forPoliciesOnly = ['fetchConfigFile', 'includeSpec', 'includeObjectMeta', 'includeTypeMeta'] as const
  return forPoliciesOnly
    .filter((field) => policy[field] !== undefined)
    .map((field) => ({ ...missing(field), message: 'must not set the field(s)' }))
}

// — the standard messages

function vital(found: Diagnostic): Finding {
  return { ...found, isVital: true }
}

function missing(...paths: readonly string[]): Diagnostic {
  return { level: 'error', message: 'missing field(s)', paths, details: '', added: [] }
}

function oneOf(given: number, ...paths: readonly string[]): Diagnostic {
  return { level: 'error', message: `expected exactly one, got ${given === 0 ? 'neither' : 'both'}`, paths, details: '', added: [] }
}

function invalid(value: string, path: string, details = ''): Diagnostic {
  return { level: 'error', message: `invalid value: ${value}`, paths: [path], details, added: [] }
}
