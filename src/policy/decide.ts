import { createHash } from 'node:crypto'
import type { VerifiedStatement } from '../sigstore/attestation.ts'
import { verifyAttestationInTurns } from '../sigstore/attestation.ts'
import type { Found, SignatureEvidence } from '../sigstore/evidence.ts'
import type { LogEntry } from '../sigstore/log-entry.ts'
import { MAX_SEARCH_CHARACTERS } from '../sigstore/log-entry.ts'
import type { Note, Refused, Signer } from '../sigstore/signature.ts'
import { verifySignature } from '../sigstore/signature.ts'
import type { Terms } from '../sigstore/terms.ts'
import type { Decision, Question } from '../verdict/decision.ts'
import { allOf, anyOf, because } from '../verdict/decision.ts'
import { byBytes } from '../verdict/diagnostic.ts'
import type { Code, Reason } from '../verdict/reason.ts'
import type { Ask, ImageAtDigest } from './ask.ts'
import { keyOf, lookups } from './ask.ts'
import type { Demand } from './demand.ts'
import type { Authority, Policy, WantedAttestation } from './policy.ts'

/** Signatures, or attestations, tried per image and authority; beyond it the answer is unknown. Upstream's own bound on layers. */
export const MAX_SIGNATURES_TRIED = 1000

/** Searches of transparency logs for one policy and image; each is a request to the log, and whoever signs chooses how many there are. */
export const MAX_LOG_SEARCHES = 10

/** What a transparency log is to be searched for: signatures that came without their entry. */
export type LogQuery = { readonly url: string; readonly proposals: readonly object[] }

/** One judgement of one policy about one image. It remembers what it has verified, so that deciding again as evidence arrives costs nothing twice. */
export type Judgement = {
  readonly policy: Policy
  readonly image: ImageAtDigest
  /** Now, in ms since 1970. */
  readonly at: number
  /** Evidence by `keyOf(ask)`; what is not there has not come yet. */
  readonly gathered: Map<string, Found>
  readonly verified: Map<SignatureEvidence, Map<Demand, Verified>>
  /** Searches that were asked for and not begun yet, by what they ask; whoever takes one out gives its answer to `searched` and decides again. */
  readonly wanted: Map<string, LogQuery>
  readonly searched: Map<string, readonly LogEntry[] | Reason | 'under way'>
  /** The earliest instant at which a fact ends that a verified signature rests on, in ms since 1970. */
  until: number | undefined
  /** Lets others have their turn: awaited after each signature, so that no judging holds up another request. */
  readonly turn: () => Promise<void>
  /** Whether nobody waits for the answer any more, nor for what it would let be remembered. */
  readonly isOver: () => boolean
  /** Whether everything is judged, though what has passed suffices: for an explanation. */
  readonly isThorough?: boolean
}

/** What verifying one piece of evidence by one key gave; `statement` when it is an attestation that stands. */
type Verified = { readonly decision: Decision; readonly statement?: VerifiedStatement }

/** A judgement at its beginning. */
export function judgementOf(
  policy: Policy,
  image: ImageAtDigest,
  at: number,
  turn: Judgement['turn'],
  isOver: Judgement['isOver'] = () => false,
  isThorough = false,
): Judgement {
  const found = { gathered: new Map(), verified: new Map(), wanted: new Map(), searched: new Map() } satisfies Partial<Judgement>
  return { policy, image, at, ...found, until: undefined, turn, isOver, isThorough }
}

/** All that keeps the policy from judging, then any of its authorities: `authorities` are any-of, `refuses` spoil the whole policy. */
export async function decide(judgement: Judgement): Promise<Decision> {
  const { policy } = judgement
  const question: Question = questionOfPolicy(policy)
  if (policy.refuses.length > 0) {
    return allOf(
      question,
      policy.refuses.map((reason) => because({ about: 'check', check: 'the policy can be carried out' }, reason)),
      { code: 'policy-without-authorities', policy: policy.name },
    )
  }
  const parts: Decision[] = []
  for (const authority of policy.authorities) {
    const part = await authorityDecision(judgement, authority)
    parts.push(part)
    if (part.outcome === 'pass' && !judgement.isThorough) break
  }
  return anyOf(question, parts, { code: 'policy-without-authorities', policy: policy.name })
}

export function questionOfPolicy({ name, mode, isFallback }: Policy): Question {
  return { about: 'policy', name, mode, ...(isFallback && { isFallback }) }
}

async function authorityDecision(judgement: Judgement, authority: Authority): Promise<Decision> {
  const { check, name } = authority
  const of = authority.attestations.length > 0 ? ({ of: 'attestations' } as const) : {}
  const question: Question = { about: 'authority', name, by: check.by, image: judgement.image.name, ...of }
  if (authority.refuses.length > 0) {
    return allOf(
      question,
      authority.refuses.map((reason, i) =>
        because({ about: 'check', check: 'the authority can be carried out', ...(i > 0 && { isAside: true }) }, reason),
      ),
      { code: 'no-public-keys', authority: name },
    )
  }
  switch (check.by) {
    case 'static':
      return because(question, check.action === 'pass' ? { code: 'static-pass' } : { code: 'static-fail', message: check.message })
    case 'key':
    case 'keyless': {
      if (check.demands.length === 0) return because(question, { code: 'no-public-keys', authority: name })
      for (const { name: root, until } of authority.trust)
        if (until !== undefined && until < judgement.at)
          return because(question, { code: 'trust-root-expired', name: root, until: new Date(until).toISOString() })
      const decision =
        authority.attestations.length > 0
          ? await attestationsDecision(judgement, authority, check.demands, question)
          : await signaturesDecision(judgement, authority, check.demands, question)
      if (decision.outcome === 'pass') for (const { until } of authority.trust) restOn(judgement, until)
      return decision
    }
    case 'none':
      return because(question, { code: 'no-public-keys', authority: name })
  }
}

/** Any signature that meets any demand, wherever it lies, suffices (specification 7.4). */
async function signaturesDecision(
  judgement: Judgement,
  authority: Authority,
  demands: readonly Demand[],
  question: Question,
): Promise<Decision> {
  const parts: Decision[] = []
  let left = MAX_SIGNATURES_TRIED
  for (const ask of lookups(authority, judgement.image)) {
    const { lookup, tried } = await lookupDecision(judgement, ask, authority, left, {
      one: (signature) => signatureDecision(judgement, signature, demands),
      isEnough: (part) => part.outcome === 'pass',
    })
    left -= tried
    parts.push(lookup)
    if (lookup.outcome === 'pass' && !judgement.isThorough) break
  }
  return anyOf(question, parts, { code: 'no-public-keys', authority: authority.name })
}

/**
 * Each wanted attestation must be among those that stand (specification 7.5, 8.1), wherever it lies; another type is no failure. Of several
 * demands each must be met. What was not found while a place could not be read is unknown.
 */
async function attestationsDecision(
  judgement: Judgement,
  authority: Authority,
  demands: readonly Demand[],
  question: Question,
): Promise<Decision> {
  const standing: VerifiedStatement[] = []
  const wanted = (of: WantedAttestation) => standing.find(({ statement }) => statement.predicateType === of.predicateType)
  const groups: Decision[] = []
  const unknown: Decision[] = []
  let left = MAX_SIGNATURES_TRIED
  for (const demand of demands) {
    const parts: Decision[] = []
    for (const ask of lookups(authority, judgement.image)) {
      const { lookup, tried } = await lookupDecision(judgement, ask, authority, left, {
        one: async (evidence) => {
          const { decision, statement } = await attestationDecision(judgement, evidence, demand)
          if (statement) standing.push(statement)
          return anyOf(questionOf(evidence), [decision], { code: 'no-attestations' })
        },
        isEnough: () => authority.attestations.every(wanted),
      })
      left -= tried
      parts.push(lookup)
      if (authority.attestations.every(wanted) && !judgement.isThorough) break
    }
    if (parts.every((p) => p.outcome !== 'pass')) return anyOf(question, parts, { code: 'no-public-keys', authority: authority.name })
    groups.push(anyOf({ about: 'check', check: `attested by ${demand.signer}` }, parts, { code: 'no-attestations' }))
    unknown.push(...parts.filter((p) => p.outcome === 'unknown' || p.parts.some((part) => part.outcome === 'unknown')))
  }
  for (const of of authority.attestations) {
    const check: Question = { about: 'check', check: `there is an attestation of type ${of.written}` }
    const found = wanted(of)
    if (found) {
      groups.push(because(check, attestedBy(found.signer, of.predicateType)))
      continue
    }
    const types = [...new Set(standing.map(({ statement }) => statement.predicateType))].toSorted(byBytes)
    const missing = because(check, { code: 'attestation-other-type', wanted: of.written, found: types })
    groups.push(
      unknown.length > 0 ? anyOf(check, [missing, ...unknown.filter((p) => p.outcome !== 'pass')], { code: 'deadline' }) : missing,
    )
    break
  }
  return allOf(question, groups, { code: 'no-public-keys', authority: authority.name })
}

/** How a piece of evidence is judged, and when no further one is needed. */
type Judging = {
  readonly one: (evidence: SignatureEvidence) => Promise<Decision>
  readonly isEnough: (part: Decision) => boolean
}

/** What is said of a place where nothing lies. */
const absence = {
  'signatures-by-tag': 'no-signatures',
  'signatures-by-referrers': 'no-referrers',
  'attestations-by-tag': 'no-attestations',
  'attestations-by-referrers': 'no-attestations-in-referrers',
} as const satisfies Record<Ask['ask'], Code>

async function lookupDecision(
  judgement: Judgement,
  ask: Ask,
  authority: Authority,
  left: number,
  judging: Judging,
): Promise<{ lookup: Decision; tried: number }> {
  const place = ask.ask.endsWith('-by-tag') ? 'tag' : 'referrers'
  const isAttested = ask.ask.startsWith('attestations-')
  const where = `${ask.place.registry}/${ask.place.repository}`
  const question: Question = { about: 'lookup', place, where, ...(isAttested && { of: 'attestations' }) }
  // Where nothing but bundles counts, the specified text speaks of them (7.5).
  const none = { code: isAttested && authority.format === 'bundle' ? ('no-bundles' as const) : absence[ask.ask] }
  const found = judgement.gathered.get(keyOf(ask))
  if (!found) return { lookup: because(question, { code: 'deadline' }), tried: 0 }
  switch (found.state) {
    case 'absent':
      return { lookup: because(question, none), tried: 0 }
    case 'unknown': {
      const failure = because({ about: 'check', check: 'the registry answers' }, found.reason)
      const tried = refusedAll(found)
        ? [because({ about: 'check', check: 'the credentials suffice' }, { code: 'credentials-tried', tried: found.tried })]
        : []
      const further = found.further ? [because({ about: 'check', check: 'what lies there can be read' }, found.further)] : []
      return { lookup: anyOf(question, [failure, ...tried, ...further], found.reason), tried: 0 }
    }
    case 'found': {
      const wanted = found.signatures.filter((s) => authority.format === 'any' || authority.format === s.form)
      const parts: Decision[] = []
      for (const signature of wanted.slice(0, left)) {
        if (judgement.isOver()) {
          parts.push(because({ about: 'check', check: 'every signature was tried' }, { code: 'deadline' }))
          return { lookup: anyOf(question, parts, none), tried: parts.length }
        }
        const part = await judging.one(signature)
        parts.push(part)
        if (judging.isEnough(part) && !judgement.isThorough) return { lookup: anyOf(question, parts, none), tried: parts.length }
      }
      const beyond = found.beyond + Math.max(0, wanted.length - left)
      if (beyond > 0)
        parts.push(
          because({ about: 'check', check: 'every signature was tried' }, { code: 'too-many-signatures', tried: parts.length, beyond }),
        )
      return { lookup: anyOf(question, parts, none), tried: parts.length }
    }
  }
}

/** Whether a registry took none of the credentials that there are, so that whoever reads of it wants to know which these were. */
export function refusedAll({ reason, tried }: { readonly reason: Reason; readonly tried: readonly string[] }): boolean {
  return (reason.code === 'registry-refused' || reason.code === 'registry-credentials-unknown') && tried.length > 0
}

function questionOf({ form, manifest, layer }: SignatureEvidence): Question {
  return { about: 'signature', form, manifest, layer }
}

async function signatureDecision(judgement: Judgement, signature: SignatureEvidence, demands: readonly Demand[]): Promise<Decision> {
  const parts: Decision[] = []
  for (const demand of demands) {
    const { decision } = await once(judgement, signature, demand, 'signed', (terms, evidence, note) => {
      const answer = verifySignature(evidence, judgement.image.digest, terms, judgement.at, note)
      if (!answer.ok) return answer
      const { signer, until } = answer.signature
      return { ok: true, reason: signedBy(signer), until }
    })
    parts.push(decision)
    if (decision.outcome === 'pass') break
  }
  return anyOf(questionOf(signature), parts, { code: 'no-matching-signatures' })
}

function attestationDecision(judgement: Judgement, attestation: SignatureEvidence, demand: Demand): Promise<Verified> {
  return once(judgement, attestation, demand, 'attested', async (terms, evidence, note) => {
    const answer = await verifyAttestationInTurns(evidence, judgement.image.digest, terms, 'any', judgement.at, note, judgement.turn)
    if (!answer.ok) return answer
    const { statement } = answer
    return { ok: true, reason: attestedBy(statement.signer, statement.statement.predicateType), until: statement.until, statement }
  })
}

type Passed = { readonly ok: true; readonly reason: Reason; readonly until: number | undefined; readonly statement?: VerifiedStatement }
type Answer = Passed | Refused
type Verify = (terms: Terms, evidence: SignatureEvidence, note: Note) => Answer | Promise<Answer>

/** Each piece of evidence is verified once by each demand, and once more when a log was searched for its entry. */
async function once(
  judgement: Judgement,
  evidence: SignatureEvidence,
  demand: Demand,
  what: 'signed' | 'attested',
  verify: Verify,
): Promise<Verified> {
  const byDemand = judgement.verified.get(evidence) ?? new Map<Demand, Verified>()
  judgement.verified.set(evidence, byDemand)
  const before = byDemand.get(demand)
  if (before) return before
  const question: Question = { about: 'check', check: `${demand.signer} ${what} this digest` }
  let steps: Reason[] = []
  const answer = await withSearch(judgement, demand[evidence.form], evidence, (terms, searched) => {
    steps = []
    return verify(terms, searched, (step) => steps.push(step))
  })
  await judgement.turn()
  if (answer === 'under way') return { decision: because(question, { code: 'deadline' }) }
  const statement = answer.ok ? answer.statement : undefined
  const last = because(question, answer.reason)
  const stood = steps.map((step) => because({ about: 'check', check: CHECKS[step.code] ?? 'it stands' }, step))
  // What a key signed has nothing to explain but that.
  const decision = stood.length > (answer.ok ? 1 : 0) ? allOf(question, [...stood, last], answer.reason) : last
  const verified = { decision, ...(statement && { statement }) }
  if (answer.ok) restOn(judgement, answer.until)
  byDemand.set(demand, verified)
  return verified
}

/** What each step of a verification asked. */
const CHECKS: { readonly [code in Code]?: string } = {
  'timestamp-verified': 'a timestamp says when it was made',
  'log-entry-verified': 'a transparency log has it',
  'certificate-trusted': 'the certificate is of an authority that is trusted',
  'identity-matches': 'the certificate names an identity of the policy',
  'certificate-logged': 'the certificate is in certificate transparency logs',
  'signature-intact': 'the signature stands',
}

/** Where only a log entry is missing, and the log can be searched for it: what the search found, once it has. */
async function withSearch(
  judgement: Judgement,
  terms: Terms,
  evidence: SignatureEvidence,
  verify: (terms: Terms, evidence: SignatureEvidence) => Answer | Promise<Answer>,
): Promise<Answer | 'under way'> {
  const answer = await verify(terms, evidence)
  const url = terms.log === 'ignored' ? undefined : terms.log.search
  // Of an envelope in a bundle there is nothing to ask for.
  if (answer.ok || !answer.search || answer.search.proposals.length === 0 || url === undefined) return answer
  const query: LogQuery = { url, proposals: answer.search.proposals }
  const asked = JSON.stringify(query)
  if (asked.length > MAX_SEARCH_CHARACTERS) {
    const text = `size of query (${asked.length}) exceeded the limit (${MAX_SEARCH_CHARACTERS})`
    return { ok: false, reason: { code: 'log-search-failed', text } }
  }
  const key = createHash('sha256').update(asked).digest('hex')
  const found = judgement.searched.get(key)
  if (found !== undefined) return found === 'under way' ? found : verify(terms, { ...evidence, entries: found })
  if (judgement.searched.size >= MAX_LOG_SEARCHES) return { ok: false, reason: { code: 'log-searches-too-many', limit: MAX_LOG_SEARCHES } }
  judgement.wanted.set(key, query)
  judgement.searched.set(key, 'under way')
  return 'under way'
}

function restOn(judgement: Judgement, until: number | undefined): void {
  if (until !== undefined) judgement.until = Math.min(judgement.until ?? Infinity, until)
}

function signedBy(signer: Signer): Reason {
  if (signer.by === 'key') return { code: 'signature-verified', keyId: signer.keyId }
  return { code: 'identity-verified', subjects: signer.subjects, issuer: signer.issuer }
}

function attestedBy(signer: Signer, predicateType: string): Reason {
  if (signer.by === 'key') return { code: 'attested', predicateType, keyId: signer.keyId }
  return { code: 'identity-attested', predicateType, subjects: signer.subjects, issuer: signer.issuer }
}
