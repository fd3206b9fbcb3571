import { readReference } from '../image/reference.ts'
import { readAnchor } from '../trust/anchor.ts'
import { readPublicKey } from '../trust/key.ts'
import type { Reason } from '../verdict/reason.ts'
import { quoted, sentenceOf } from '../verdict/reason.ts'
import type { Wanted } from './demand.ts'
import { compileDemands } from './demand.ts'
import type { KeyText } from './key-source.ts'
import type { Outside } from './objects.ts'
import type { Authority, Check, Source } from './policy.ts'
import { predicateTypeOf } from './predicate-type.ts'
import type { AuthoritySpec } from './read.ts'
import type { Settings } from './settings.ts'

/** What an authority names that is not in the policy itself: the PEM of its key, of its `ca-cert`, and all that was fetched. */
export type Named = { readonly key: KeyText | undefined; readonly caCert: KeyText | undefined; readonly outside: Outside }

/**
 * Compiles the authority at the path `at`; that its form is right, `validate.ts` looks. What keeps the whole policy from judging is added to
 * `refuses`, what its author should know to `warnings`. Never throws.
 */
export function compileAuthority(
  spec: AuthoritySpec,
  at: string,
  named: Named,
  settings: Settings,
  refuses: Reason[],
  warnings: string[],
): Authority {
  const unreadable = (cause: string) => refuses.push({ code: 'policy-unreadable', cause })
  const notYet = (field: string): Reason => ({ code: 'field-not-carried-out', field: `${at}.${field}` })
  const mine: Reason[] = []
  // What is not carried out never counts as satisfied: the authority refuses, naming the field. Empty blocks ask for nothing (Q7, 7.1.4).
  if (spec.keyless && settings.keyless === 'disabled') mine.push({ code: 'keyless-disabled' })
  const attestations = (spec.attestations ?? []).map(({ name, predicateType, policy }, i) => {
    if (policy) mine.push(notYet(`attestations[${i}].policy`))
    return { name: name ?? '', written: predicateType ?? '', predicateType: predicateTypeOf(predicateType ?? '') }
  })
  const unlogged = whyLogUnchecked(spec)
  if (unlogged !== undefined) warnings.push(`${at}.ctlog is empty, so no transparency log is checked${unlogged}`)
  if (spec.rfc3161timestamp && !spec.rfc3161timestamp.trustRootRef && spec.signatureFormat !== 'bundle')
    warnings.push(`${at}.rfc3161timestamp is empty, so no timestamp is checked`)
  if (!['', 'legacy', 'bundle'].includes(spec.signatureFormat ?? ''))
    warnings.push(`${at}.signatureFormat ${quoted(spec.signatureFormat ?? '')} is neither legacy nor bundle, so both are looked for`)
  const { check, trust } = compileCheck(spec, at, named, settings, mine, refuses, warnings)
  return {
    name: spec.name ?? '',
    check,
    refuses: mine,
    source: compileSource(spec, at, unreadable),
    attestations,
    format: spec.signatureFormat === 'bundle' ? 'bundle' : spec.signatureFormat === 'legacy' ? 'annotations' : 'any',
    trust,
  }
}

/** Of which signatures an empty `ctlog` leaves the log out (Q7), to go on with the sentence; undefined: of none. A bundle of a certificate needs its entry all the same. */
function whyLogUnchecked({ ctlog, keyless, rfc3161timestamp, signatureFormat }: AuthoritySpec): string | undefined {
  if (!ctlog || ctlog.url || ctlog.trustRootRef) return undefined
  if (!keyless || rfc3161timestamp?.trustRootRef) return ''
  return signatureFormat === 'bundle'
    ? undefined
    : ' for signatures under the .sig and .att tags; their certificates must be valid when the workload is admitted: give it a url or trustRootRef'
}

function compileCheck(
  spec: AuthoritySpec,
  at: string,
  named: Named,
  settings: Settings,
  mine: Reason[],
  refuses: Reason[],
  warnings: string[],
): { readonly check: Check; readonly trust: Authority['trust'] } {
  const none = { check: { by: 'none' }, trust: [] } as const
  if (spec.static) {
    const { action, message } = spec.static
    if (action === 'pass' || action === 'fail') return { check: { by: 'static', action, message: message ?? '' }, trust: [] }
    return none
  }
  const wanted = spec.keyless ? keylessSigner(spec, at, named, mine, refuses) : keySigner(at, named, mine, refuses, warnings)
  if (!wanted) return none
  const compiled = compileDemands(spec, wanted, at, settings, named.outside)
  mine.push(...compiled.refuses)
  warnings.push(...compiled.warnings)
  return { check: { by: wanted.by, demands: compiled.demands }, trust: compiled.trust }
}

function keySigner(at: string, { key }: Named, mine: Reason[], refuses: Reason[], warnings: string[]): Wanted | undefined {
  const pem = key && pemOf(key, `${at}.key`, mine, refuses)
  if (!pem) return undefined
  const read = readPublicKey(pem.pem, pem.hashAlgorithm)
  if (!read.ok) {
    refuses.push({
      code: 'key-unusable',
      cause:
        pem.from === undefined
          ? `${at}.key.data: ${sentenceOf(read.reason)}`
          : `${pem.from} contains an invalid public key: ${sentenceOf(read.reason)}`,
    })
    return undefined
  }
  warnings.push(...read.value.warnings.map((warning) => `${at}.key: ${warning}`))
  return { by: 'key', key: read.value }
}

/** `ca-cert` takes the place of the certificate authorities of any trust root. */
function keylessSigner(spec: AuthoritySpec, at: string, { caCert }: Named, mine: Reason[], refuses: Reason[]): Wanted | undefined {
  if (!caCert) return { by: 'keyless', anchor: undefined }
  const pem = pemOf(caCert, `${at}.keyless.ca-cert`, mine, refuses)
  if (!pem) return undefined
  const anchor = readAnchor(pem.pem)
  if (anchor.ok) return { by: 'keyless', anchor: anchor.value }
  if (anchor.reason.code === 'ca-cert-is-key' && !spec.keyless?.url) mine.push({ code: 'keyless-without-url' })
  mine.push(anchor.reason)
  return undefined
}

type Pem = KeyText & { readonly is: 'pem' }

function pemOf(key: KeyText, at: string, mine: Reason[], refuses: Reason[]): Pem | undefined {
  if (key.is === 'pem') return key
  if (key.is === 'not-carried-out') mine.push({ code: 'field-not-carried-out', field: `${at}.${key.field}` })
  // Upstream drops the whole policy when a key cannot be had (Q22); here it stays and refuses, good neighbours of the key included.
  else refuses.push(key.is === 'refused' ? key.reason : { code: 'key-unusable', cause: key.cause })
  return undefined
}

function compileSource(spec: AuthoritySpec, at: string, unreadable: (cause: string) => void): Source {
  const [source] = spec.source ?? []
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
