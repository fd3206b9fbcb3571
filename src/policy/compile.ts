import { createHash } from 'node:crypto'
import { readReference } from '../image/reference.ts'
import { readPublicKey } from '../trust/key.ts'
import { byBytes } from '../verdict/diagnostic.ts'
import type { Reason } from '../verdict/reason.ts'
import { sentenceOf } from '../verdict/reason.ts'
import { compileGlob, whyDead } from './glob.ts'
import { compileMatch } from './match.ts'
import type { ClusterObjects, Outside } from './objects.ts'
import { nothingFetched } from './objects.ts'
import type { Authority, Check, Policy, Source } from './policy.ts'
import { predicateTypeOf } from './predicate-type.ts'
import type { AuthoritySpec, KeyRef, PolicyObject } from './read.ts'
import { defaulted, readPolicy } from './read.ts'
import type { Settings, SettingProblem } from './settings.ts'
import { defaultSettings, readSettings } from './settings.ts'
import { isObject } from './shape.ts'

/** Everything that one review judges by. Immutable; one review sees one snapshot. */
export type Snapshot = {
  /** In name order (bytes), which is the order of every answer. */
  readonly policies: readonly Policy[]
  readonly settings: Settings
  readonly settingProblems: readonly SettingProblem[]
  /** Why it is not known which policies are in force. Then nothing is admitted. */
  readonly unknownBecause: string | undefined
}

/** Nothing is known yet: refuses everything. */
export const nothingKnown: Snapshot = {
  policies: [],
  settings: defaultSettings,
  settingProblems: [],
  unknownBecause: 'they have not been read yet',
}

const SETTINGS = 'config-policy-controller'

/**
 * Compiles what the cluster holds into what requests are judged by. Never throws for anything that an object says: a policy that cannot be
 * carried out stays, and refuses the images that it speaks about. `before` lends what has not changed.
 */
export function compile(
  objects: ClusterObjects,
  systemNamespace: string,
  before: Snapshot = nothingKnown,
  outside: Outside = nothingFetched(),
): Snapshot {
  const compiling = compileInSteps(objects, systemNamespace, before, outside)
  for (;;) {
    const step = compiling.next()
    if (step.done) return step.value
  }
}

/** As `compile`, a policy a step (some 0.2 ms), so that whoever takes the steps can let others have their turn between them. */
export function* compileInSteps(
  objects: ClusterObjects,
  systemNamespace: string,
  before: Snapshot,
  _outside: Outside,
): Generator<undefined, Snapshot, undefined> {
  const configMap = objects.configMaps.get(SETTINGS)
  const data = isObject(configMap) && isObject(configMap['data']) ? configMap['data'] : {}
  const { settings, problems } = readSettings(data, before.settings)
  const known = new Map(before.policies.map((p) => [p.hash, p]))
  const policies: Policy[] = []
  for (const [name, raw] of objects.policies) {
    policies.push(compilePolicy(readPolicy(name, raw), objects.secrets, systemNamespace, settings, known))
    yield
  }
  const unknownBecause = policies.length === 0 ? objects.policiesIncomplete : undefined
  return { policies: policies.toSorted((a, b) => byBytes(a.name, b.name)), settings, settingProblems: problems, unknownBecause }
}

function compilePolicy(
  object: PolicyObject,
  secrets: ClusterObjects['secrets'],
  systemNamespace: string,
  settings: Settings,
  known: ReadonlyMap<string, Policy>,
): Policy {
  const spec = defaulted(object.spec)
  const keys = (spec.authorities ?? []).map((a, i) =>
    a.key ? keyText(a.key, `spec.authorities[${i}].key`, secrets, systemNamespace) : undefined,
  )
  const hash = contentHash([object.name, spec, object.problems, keys, settings.keyless, settings.tagResolutionFor])
  const same = known.get(hash)
  if (same) return same

  const refuses: Reason[] = object.problems.map((p) => ({
    code: 'policy-unreadable',
    cause: `${p.at}: found ${p.found}, wanted ${p.wanted}`,
  }))
  const warnings: string[] = []
  const unreadable = (cause: string) => refuses.push({ code: 'policy-unreadable', cause })

  const texts = (spec.images ?? []).map((image) => image.glob ?? '')
  // A policy that cannot say whom it is about speaks about everyone: what it was meant for must not slip through.
  if (texts.length === 0 || texts.includes(''))
    unreadable(texts.length === 0 ? 'missing field(s): spec.images' : `missing field(s): spec.images[${texts.indexOf('')}].glob`)
  // So does one whose images or match were only half read: what is missing may be what it is about.
  const isHalfRead = object.problems.some((p) => p.at === 'spec' || p.at.startsWith('spec.images') || p.at.startsWith('spec.match'))
  const globs = (texts.length === 0 || isHalfRead ? ['**'] : texts.map((t) => (t === '' ? '**' : t))).map((t) => compileGlob(t))
  for (const text of texts) {
    const why = text === '' ? undefined : whyDead(text)
    if (why !== undefined) warnings.push(why)
  }
  for (const { broken, text } of globs)
    if (broken) warnings.push(`${sentenceOf({ code: 'glob-broken', glob: text })} refuses every image that is compared with it`)
  if (spec.mode !== 'enforce' && spec.mode !== 'warn') unreadable(`invalid value: ${spec.mode}: spec.mode\nunsupported mode`)
  if (spec.policy) refuses.push({ code: 'field-not-carried-out', field: 'spec.policy' })
  if (settings.tagResolutionFor === 'pods' && (spec.match ?? []).length > 0 && !(spec.match ?? []).some((m) => m.resource === 'pods')) {
    warnings.push(
      'spec.match leaves out pods, and with tag-resolution-for: pods only the Pod carries the digest that runs: add an entry for pods',
    )
  }

  const authorities = (spec.authorities ?? []).map((a, i) =>
    compileAuthority(a, `spec.authorities[${i}]`, keys[i], settings, refuses, warnings),
  )
  return {
    name: object.name,
    mode: spec.mode === 'warn' ? 'warn' : 'enforce',
    globs,
    match: isHalfRead ? [] : (spec.match ?? []).map((m) => compileMatch(m)),
    authorities,
    refuses,
    warnings: [
      ...warnings,
      ...refuses.map(sentenceOf),
      ...authorities.flatMap((a) => a.refuses.map((r) => `authority ${a.name}: ${sentenceOf(r)}`)),
    ],
    hash,
  }
}

function compileAuthority(
  spec: AuthoritySpec,
  at: string,
  key: KeyText | undefined,
  settings: Settings,
  refuses: Reason[],
  warnings: string[],
): Authority {
  const unreadable = (cause: string) => refuses.push({ code: 'policy-unreadable', cause })
  const notYet = (field: string): Reason => ({ code: 'field-not-carried-out', field: `${at}.${field}` })
  const mine: Reason[] = []
  const kinds = [spec.key, spec.keyless, spec.static].filter((k) => k !== undefined).length
  if (kinds !== 1) unreadable(`expected exactly one, got ${kinds === 0 ? 'neither' : 'both'}: ${at}.key, ${at}.keyless, ${at}.static`)

  // What is not carried out never counts as satisfied: the authority refuses, naming the field. Empty blocks ask for nothing (Q7, 7.1.4).
  if (spec.keyless) mine.push(settings.keyless === 'disabled' ? { code: 'keyless-disabled' } : notYet('keyless'))
  const attestations = (spec.attestations ?? []).map(({ name, predicateType, policy }, i) => {
    if (!name) unreadable(`missing field(s): ${at}.attestations.name`)
    if (!predicateType) unreadable(`missing field(s): ${at}.attestations.predicateType`)
    if (policy) mine.push(notYet(`attestations[${i}].policy`))
    return { name: name ?? '', written: predicateType ?? '', predicateType: predicateTypeOf(predicateType ?? '') }
  })
  if (spec.ctlog) {
    if (spec.ctlog.url || spec.ctlog.trustRootRef) mine.push(notYet('ctlog'))
    else warnings.push(`${at}.ctlog is empty, so no transparency log is checked`)
  }
  if (spec.rfc3161timestamp) {
    if (spec.rfc3161timestamp.trustRootRef) mine.push(notYet('rfc3161timestamp'))
    else warnings.push(`${at}.rfc3161timestamp is empty, so no timestamp is checked`)
  }
  if (spec.static) {
    const others = (['attestations', 'source', 'ctlog', 'rfc3161timestamp'] as const).filter(
      (f) => spec[f] !== undefined && !(Array.isArray(spec[f]) && spec[f].length === 0),
    )
    if (others.length > 0) unreadable(`expected exactly one, got both: ${others.map((o) => `${at}.${o}`).join(', ')}, ${at}.static`)
  }
  const check = compileCheck(spec, at, key, mine, refuses)
  if (check.by === 'key') warnings.push(...check.keys.flatMap((k) => k.warnings.map((w) => `${at}.key: ${w}`)))
  return {
    name: spec.name ?? '',
    check,
    refuses: mine,
    source: compileSource(spec, at, unreadable),
    attestations,
    format: spec.signatureFormat === 'bundle' ? 'bundle' : spec.signatureFormat === 'legacy' ? 'annotations' : 'any',
  }
}

function compileCheck(spec: AuthoritySpec, at: string, key: KeyText | undefined, mine: Reason[], refuses: Reason[]): Check {
  if (spec.static) {
    const { action, message } = spec.static
    if (action === 'pass' || action === 'fail') return { by: 'static', action, message: message ?? '' }
    refuses.push({
      code: 'policy-unreadable',
      cause: action ? `invalid value: ${action}: ${at}.static.action\nunsupported action` : `missing field(s): ${at}.static.action`,
    })
    return { by: 'none' }
  }
  if (spec.keyless) return { by: 'keyless' }
  if (!key) return { by: 'none' }
  if (key.is === 'not-carried-out') mine.push({ code: 'field-not-carried-out', field: `${at}.key.${key.field}` })
  if (key.is !== 'pem') {
    // Upstream drops the whole policy when a key cannot be had (Q22); here it stays and refuses, good neighbours of the key included.
    if (key.is === 'missing') refuses.push({ code: 'key-unusable', cause: key.cause })
    return { by: 'none' }
  }
  const read = readPublicKey(key.pem, key.hashAlgorithm)
  if (read.ok) return { by: 'key', keys: [read.value] }
  refuses.push({
    code: 'key-unusable',
    cause:
      key.from === undefined
        ? `${at}.key.data: ${sentenceOf(read.reason)}`
        : `secret "${key.from}" contains an invalid public key: ${sentenceOf(read.reason)}`,
  })
  return { by: 'none' }
}

function compileSource(spec: AuthoritySpec, at: string, unreadable: (cause: string) => void): Source {
  const [source, another] = spec.source ?? []
  if (another) unreadable(`invalid value: source: ${at}.source\nonly single source is supported`)
  const nameless = (source?.signaturePullSecrets ?? []).findIndex((s) => !s.name)
  if (nameless >= 0) unreadable(`missing field(s): ${at}.source[0].signaturePullSecrets[${nameless}].name`)
  let repository: Source['repository']
  if (source?.oci) {
    // Upstream reads `example.com` as a repository of Docker Hub (Q15): nobody means that, so it is refused. A colon-separated port is no tag.
    const reference = source.oci.includes('/') ? readReference(source.oci) : undefined
    if (!reference || reference.digest || reference.tag !== undefined)
      unreadable(
        `invalid value: ${source.oci}: ${at}.source[0].oci\na repository with its registry is wanted, such as registry.example.com/signatures`,
      )
    else repository = { registry: reference.registry, repository: reference.repository }
  }
  const names = (source?.signaturePullSecrets ?? []).flatMap((s) => (s.name ? [s.name] : []))
  return { repository, tagPrefix: source?.tagPrefix ?? '', pullSecrets: names.length > 0 ? names : undefined }
}

type KeyText =
  | { readonly is: 'pem'; readonly pem: string; readonly hashAlgorithm: string; readonly from: string | undefined }
  | { readonly is: 'missing'; readonly cause: string }
  | { readonly is: 'not-carried-out'; readonly field: string }

/** The PEM of a key, from where the policy says that it lies. Secrets are looked up in the controller's namespace only (specification 10.1). */
function keyText(key: KeyRef, at: string, secrets: ClusterObjects['secrets'], systemNamespace: string): KeyText {
  const given = [key.data, key.kms, key.secretRef].filter((k) => k !== undefined && k !== '').length
  if (given !== 1)
    return { is: 'missing', cause: `expected exactly one, got ${given === 0 ? 'neither' : 'both'}: ${at}.data, ${at}.kms, ${at}.secretref` }
  if (key.kms) return { is: 'not-carried-out', field: 'kms' }
  const hashAlgorithm = key.hashAlgorithm ?? ''
  if (key.data) return { is: 'pem', pem: key.data, hashAlgorithm, from: undefined }
  const name = key.secretRef?.name ?? ''
  const namespace = key.secretRef?.namespace
  if (namespace && namespace !== systemNamespace)
    return {
      is: 'missing',
      cause: `secret "${name}" is asked for in namespace ${namespace}, but keys are read from ${systemNamespace} only`,
    }
  const secret = secrets.get(name)
  if (!isObject(secret)) return { is: 'missing', cause: `secret "${name}" not found` }
  const entries = isObject(secret['data']) ? Object.values(secret['data']) : []
  if (entries.length === 0) return { is: 'missing', cause: `secret "${name}" contains no data` }
  if (entries.length > 1) return { is: 'missing', cause: `secret "${name}" contains multiple data entries, only one is supported` }
  const [encoded] = entries
  return typeof encoded === 'string'
    ? { is: 'pem', pem: Buffer.from(encoded, 'base64').toString('utf8'), hashAlgorithm, from: name }
    : { is: 'missing', cause: `secret "${name}" contains an invalid public key: PEM decoding failed` }
}

function contentHash(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex')
}
