import type { Decision } from './decision.ts'
import type { Diagnostic } from './diagnostic.ts'
import { blame, reasonsOf, signerOf } from './message.ts'
import type { Code } from './reason.ts'
import { sentenceOf } from './reason.ts'

/** What an image that no policy speaks about gets (ConfigMap `config-policy-controller`). */
export type NoMatchPolicy = 'deny' | 'warn' | 'allow'

/** What the API server is told. `codes` are the distinct reason codes of everything that did not pass. */
export type Ruling = { readonly allowed: boolean; readonly diagnostics: readonly Diagnostic[]; readonly codes: readonly Code[] }

/**
 * Applies `mode` and `no-match-policy` to the decision about a request: the only place that does. Starts from «not allowed»: each image is
 * admitted by proven passes, or by a warning where the operator asked for warnings, and by nothing else.
 * `podSpecPath` is where credential errors are reported (specification 6.1.1).
 */
export function enforce(request: Decision, noMatchPolicy: NoMatchPolicy, podSpecPath: string): Ruling {
  const images = request.parts
  const rulings = images.map((image) => rule(image, noMatchPolicy, podSpecPath))
  const codes = [...new Set(images.flatMap(reasonsOf).map((r) => r.code))].toSorted()
  const allowed = images.length > 0 ? rulings.every((r) => r.admitted) : request.outcome === 'pass'
  const diagnostics = rulings.flatMap((r) => r.diagnostics)
  if (!allowed && diagnostics.every((d) => d.level === 'warning')) throw new Error('a refusal without a diagnostic')
  return { allowed, diagnostics, codes }
}

type ImageRuling = { readonly admitted: boolean; readonly diagnostics: readonly Diagnostic[] }

function rule(image: Decision, noMatchPolicy: NoMatchPolicy, podSpecPath: string): ImageRuling {
  if (image.question.about !== 'image') throw new Error(`a request is made of images, not of ${image.question.about}`)
  const { written, paths } = image.question
  const policies = image.parts.filter((p) => p.question.about === 'policy')
  const checks = image.parts.filter((p) => p.question.about === 'check' && p.outcome !== 'pass')
  // What explains an image as a whole (why its tag could not be resolved) is said once, beside the leaf that it explains.
  const added = checks.flatMap((p) => (p.reason && !speaksForItself(p.reason.code) ? [sentenceOf(p.reason)] : []))
  const unmatched =
    image.reason?.code === 'no-matching-policies' ? image.reason : checks.find((p) => p.reason?.code === 'no-matching-policies')?.reason

  if (unmatched) {
    const level = levelOf(noMatchPolicy)
    if (level === 'none') return { admitted: true, diagnostics: [] }
    const leaf = { level, message: sentenceOf(unmatched), paths, details: written, added: [] }
    const byTag = checks
      .filter((p) => p.reason?.code === 'image-not-digest')
      .map((p) => ({ level, message: sentenceOf(p.reason!), paths, details: '', added }))
    return { admitted: level === 'warning', diagnostics: [...byTag, leaf] }
  }
  if (image.reason) {
    if (image.outcome === 'pass') return { admitted: true, diagnostics: [] }
    const details = image.reason.code === 'match-selector-broken' || image.reason.code === 'glob-broken' ? written : ''
    return { admitted: false, diagnostics: [{ level: 'error', message: sentenceOf(image.reason), paths, details, added }] }
  }

  const diagnostics = policies.flatMap((p) => (p.outcome === 'pass' ? [] : [diagnosticOf(p, written, paths, podSpecPath, added)]))
  // Nobody has said who may sign: whoever did is named.
  for (const policy of policies.filter(isFallback)) {
    const message = sentenceOf({ code: 'without-policies-admitted', signer: signerOf(policy) })
    if (policy.outcome === 'pass') diagnostics.push({ level: 'warning', message, paths, details: written, added: [] })
  }
  const admitted = policies.length > 0 && policies.every((p) => p.outcome === 'pass' || modeOf(p) === 'warn')
  return { admitted, diagnostics }
}

/** Codes that are leaves of their own in the answer, not explanations of another. */
function speaksForItself(code: Code): boolean {
  return code === 'image-not-digest' || code === 'no-matching-policies'
}

function diagnosticOf(
  policy: Decision,
  written: string,
  paths: readonly string[],
  podSpecPath: string,
  added: readonly string[],
): Diagnostic {
  const level = modeOf(policy) === 'warn' ? 'warning' : 'error'
  const name = policy.question.about === 'policy' ? policy.question.name : ''
  if (policy.reason?.code === 'image-not-digest') return { level, message: sentenceOf(policy.reason), paths, details: '', added }
  if (policy.reason?.code === 'credentials-unreadable')
    return { level, message: sentenceOf(policy.reason), paths: [podSpecPath], details: '', added }
  const { texts, added: own } = blame(policy)
  const why = isFallback(policy) ? [sentenceOf({ code: 'without-policies' })] : []
  return { level, message: `failed policy: ${name}`, paths, details: [written, ...texts].join(' '), added: [...own, ...why, ...added] }
}

function isFallback({ question }: Decision): boolean {
  return question.about === 'policy' && question.isFallback === true
}

function modeOf(policy: Decision): 'enforce' | 'warn' {
  return policy.question.about === 'policy' ? policy.question.mode : 'enforce'
}

function levelOf(noMatchPolicy: NoMatchPolicy): 'error' | 'warning' | 'none' {
  switch (noMatchPolicy) {
    case 'deny':
      return 'error'
    case 'warn':
      return 'warning'
    case 'allow':
      return 'none'
  }
}
