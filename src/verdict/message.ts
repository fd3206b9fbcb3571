import type { Decision } from './decision.ts'
import { sentenceOf } from './reason.ts'

/**
 * The texts of a policy that did not pass, in the words of the specification (6.5, 6.6, 7.4): one text an authority, in the policy's order,
 * and the lines that Sealgate adds: what the specified text, which knows the `.sig` tag only, does not say.
 */
export type Blame = { readonly texts: readonly string[]; readonly added: readonly string[] }

const MAX_ADDED_LINES = 5 // per policy and image; more would bury the specified lines

export function blame(policy: Decision): Blame {
  if (policy.reason) return { texts: [sentenceOf(policy.reason)], added: [] }
  // One of an image's platforms speaks for all of them.
  const platform = policy.parts.find((p) => p.question.about === 'policy' && p.outcome !== 'pass')
  if (platform) return blame(platform)
  const parts = policy.parts.filter((p) => p.outcome !== 'pass' && p.question.about !== 'policy')
  const added = [...new Set(parts.flatMap(addedLines))]
  return { texts: parts.map(textOf), added: added.slice(0, MAX_ADDED_LINES) }
}

/** Every leaf that is not a pass: their codes go into auditAnnotations and metrics. */
export function reasonsOf(decision: Decision): readonly NonNullable<Decision['reason']>[] {
  if (decision.outcome === 'pass') return []
  if (decision.reason) return [decision.reason]
  return decision.parts.flatMap(reasonsOf)
}

/** Which identity a pass rests on, as its reason says it; '' where it rests on none: a key, or a static pass. */
export function signerOf(decision: Decision): string {
  if (decision.outcome !== 'pass') return ''
  const { reason } = decision
  if (reason?.code === 'remembered') return reason.note
  if (reason) return reason.code === 'identity-verified' || reason.code === 'identity-attested' ? sentenceOf(reason) : ''
  for (const part of decision.parts) {
    const signer = signerOf(part)
    if (signer !== '') return signer
  }
  return ''
}

function textOf(part: Decision): string {
  if (part.question.about !== 'authority') {
    if (part.reason) return sentenceOf(part.reason)
    return part.parts
      .filter((p) => p.question.about !== 'lookup')
      .map(textOf)
      .join('; ')
  }
  if (part.reason) return sentenceOf(part.reason)
  const { by, name, image, of } = part.question
  const lookup = of ? firstFailing(part) : part.parts.find((p) => p.question.about === 'lookup')
  if (!lookup)
    return part.parts
      .filter((p) => p.outcome !== 'pass' && !isAside(p))
      .map(textOf)
      .join('; ')
  return `${of ? 'attestation' : 'signature'} ${by} validation failed for authority ${name} for ${image}: ${lookupText(lookup)}`
}

/** The lookup that the text speaks of when nothing was attested; with something attested, the wanted types speak for themselves. */
function firstFailing(authority: Decision): Decision | undefined {
  const lookups = authority.parts.filter((p) => p.question.about === 'lookup')
  return lookups.some((p) => p.outcome === 'pass') ? undefined : lookups[0]
}

function lookupText(lookup: Decision): string {
  if (lookup.reason) return sentenceOf(lookup.reason)
  const texts = lookup.parts.filter((p) => p.question.about === 'signature').map(firstFailure)
  const what = lookup.question.about === 'lookup' && lookup.question.of ? 'attestations' : 'signatures'
  return texts.length > 0 ? `no matching ${what}: ${texts.join('\n ')}` : lookup.parts.slice(0, 1).map(firstFailure).join('')
}

function firstFailure(signature: Decision): string {
  const reason = reasonsOf(signature)[0]
  return reason ? sentenceOf(reason) : ''
}

function isAside({ question }: Decision): boolean {
  return question.about === 'check' && question.isAside === true
}

function addedLines(authority: Decision): string[] {
  const asides = authority.parts.filter(isAside)
  if (asides.length > 0) return asides.map(textOf)
  const [specified, ...others] = authority.parts.filter((p) => p.question.about === 'lookup')
  if (!specified) return missedLines(authority)
  return [...beside(specified), ...others.filter((o) => o.outcome !== 'pass').flatMap(elsewhere)]
}

/** Where a wanted attestation may lie as well, but could not be looked for. */
function missedLines(authority: Decision): string[] {
  const lookups = authority.parts
    .filter((p) => p.outcome === 'unknown')
    .flatMap((p) => p.parts.filter((q) => q.question.about === 'lookup'))
  return lookups.flatMap((p) => (p.question.about === 'lookup' && p.question.place === 'tag' ? [lookupText(p)] : elsewhere(p)))
}

/** Checks that explain the specified text; the first one is the text itself when there were no signatures. */
function beside(lookup: Decision): string[] {
  const checks = lookup.parts.filter((p) => p.question.about === 'check' && p.outcome !== 'pass')
  const isText = !lookup.reason && !lookup.parts.some((p) => p.question.about === 'signature')
  return checks.slice(isText ? 1 : 0).map(firstFailure)
}

function elsewhere(lookup: Decision): string[] {
  const { code } = lookup.reason ?? {}
  if (code === 'no-referrers' || code === 'no-attestations-in-referrers' || code === 'no-bundles') return []
  const signatures = lookup.parts.filter((p) => p.question.about === 'signature')
  const checks = lookup.parts.filter((p) => p.question.about === 'check')
  if (signatures.length === 0)
    return [sentenceOf({ code: 'referrers-unreadable', text: lookupText(lookup) }), ...checks.slice(1).map(firstFailure)]
  return [...signatures.map((p) => sentenceOf({ code: 'bundle-signature-failed', detail: firstFailure(p) })), ...checks.map(firstFailure)]
}
