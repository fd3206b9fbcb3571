import type { VerifiedStatement } from '../sigstore/attestation.ts'
import { verifyAttestation } from '../sigstore/attestation.ts'
import type { Found, SignatureEvidence } from '../sigstore/evidence.ts'
import type { Signer } from '../sigstore/signature.ts'
import { verifySignature } from '../sigstore/signature.ts'
import type { PublicKey } from '../trust/key.ts'
import type { Decision, Question } from '../verdict/decision.ts'
import { allOf, anyOf, because } from '../verdict/decision.ts'
import { byBytes } from '../verdict/diagnostic.ts'
import type { Code } from '../verdict/reason.ts'
import type { Ask, ImageAtDigest } from './ask.ts'
import { keyOf, lookups } from './ask.ts'
import type { Authority, Policy, WantedAttestation } from './policy.ts'

/** Signatures, or attestations, tried per image and authority; beyond it the answer is unknown. Upstream's own bound on layers. */
export const MAX_SIGNATURES_TRIED = 1000

/** One judgement of one policy about one image. It remembers what it has verified, so that deciding again as evidence arrives costs nothing twice. */
export type Judgement = {
  readonly policy: Policy
  readonly image: ImageAtDigest
  /** Now, in ms since 1970. */
  readonly at: number
  /** Evidence by `keyOf(ask)`; what is not there has not come yet. */
  readonly gathered: Map<string, Found>
  readonly verified: Map<SignatureEvidence, Map<PublicKey, Verified>>
  /** The earliest instant at which a fact ends that a verified signature rests on, in ms since 1970. */
  until: number | undefined
  /** Lets others have their turn: awaited after each signature, so that no judging holds up another request. */
  readonly turn: () => Promise<void>
}

/** What verifying one piece of evidence by one key gave; `statement` when it is an attestation that stands. */
type Verified = { readonly decision: Decision; readonly statement?: VerifiedStatement }

/** All that keeps the policy from judging, then any of its authorities: `authorities` are any-of, `refuses` spoil the whole policy. */
export async function decide(judgement: Judgement): Promise<Decision> {
  const { policy } = judgement
  const question: Question = { about: 'policy', name: policy.name, mode: policy.mode }
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
    if (part.outcome === 'pass') break
  }
  return anyOf(question, parts, { code: 'policy-without-authorities', policy: policy.name })
}

async function authorityDecision(judgement: Judgement, authority: Authority): Promise<Decision> {
  const { check, name } = authority
  const of = authority.attestations.length > 0 ? ({ of: 'attestations' } as const) : {}
  const question: Question = { about: 'authority', name, by: check.by, image: judgement.image.name, ...of }
  if (authority.refuses.length > 0) {
    return allOf(
      question,
      authority.refuses.map((reason) => because({ about: 'check', check: 'the authority can be carried out' }, reason)),
      { code: 'no-public-keys', authority: name },
    )
  }
  switch (check.by) {
    case 'static':
      return because(question, check.action === 'pass' ? { code: 'static-pass' } : { code: 'static-fail', message: check.message })
    case 'key': {
      if (check.keys.length === 0) return because(question, { code: 'no-public-keys', authority: name })
      return authority.attestations.length > 0
        ? attestationsDecision(judgement, authority, check.keys, question)
        : signaturesDecision(judgement, authority, check.keys, question)
    }
    case 'keyless':
    case 'none':
      return because(question, { code: 'no-public-keys', authority: name })
  }
}

/** Any signature by any key, wherever it lies, suffices (specification 7.4). */
async function signaturesDecision(
  judgement: Judgement,
  authority: Authority,
  keys: readonly PublicKey[],
  question: Question,
): Promise<Decision> {
  const parts: Decision[] = []
  let left = MAX_SIGNATURES_TRIED
  for (const ask of lookups(authority, judgement.image)) {
    const { lookup, tried } = await lookupDecision(judgement, ask, authority, left, {
      one: (signature) => signatureDecision(judgement, signature, keys),
      isEnough: (part) => part.outcome === 'pass',
    })
    left -= tried
    parts.push(lookup)
    if (lookup.outcome === 'pass') break
  }
  return anyOf(question, parts, { code: 'no-public-keys', authority: authority.name })
}

/**
 * Each wanted attestation must be among those that stand (specification 7.5, 8.1), wherever it lies; another type is no failure. Of several
 * keys each must have attested. What was not found while a place could not be read is unknown.
 */
async function attestationsDecision(
  judgement: Judgement,
  authority: Authority,
  keys: readonly PublicKey[],
  question: Question,
): Promise<Decision> {
  const standing: VerifiedStatement[] = []
  const wanted = (of: WantedAttestation) => standing.find(({ statement }) => statement.predicateType === of.predicateType)
  const groups: Decision[] = []
  const unknown: Decision[] = []
  let left = MAX_SIGNATURES_TRIED
  for (const key of keys) {
    const parts: Decision[] = []
    for (const ask of lookups(authority, judgement.image)) {
      const { lookup, tried } = await lookupDecision(judgement, ask, authority, left, {
        one: async (evidence) => {
          const { decision, statement } = await attestationDecision(judgement, evidence, key)
          if (statement) standing.push(statement)
          return anyOf(questionOf(evidence), [decision], { code: 'no-attestations' })
        },
        isEnough: () => authority.attestations.every(wanted),
      })
      left -= tried
      parts.push(lookup)
      if (authority.attestations.every(wanted)) break
    }
    if (parts.every((p) => p.outcome !== 'pass')) return anyOf(question, parts, { code: 'no-public-keys', authority: authority.name })
    groups.push(anyOf({ about: 'check', check: `attested with the key ${key.id.slice(0, 16)}` }, parts, { code: 'no-attestations' }))
    unknown.push(...parts.filter((p) => p.outcome === 'unknown' || p.parts.some((part) => part.outcome === 'unknown')))
  }
  for (const of of authority.attestations) {
    const check: Question = { about: 'check', check: `there is an attestation of type ${of.written}` }
    const found = wanted(of)
    if (found) {
      groups.push(because(check, { code: 'attested', predicateType: of.predicateType, keyId: keyIdOf(found.signer) }))
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
  const none = { code: absence[ask.ask] }
  const found = judgement.gathered.get(keyOf(ask))
  if (!found) return { lookup: because(question, { code: 'deadline' }), tried: 0 }
  switch (found.state) {
    case 'absent':
      return { lookup: because(question, none), tried: 0 }
    case 'unknown': {
      const failure = because({ about: 'check', check: 'the registry answers' }, found.reason)
      const refused = found.reason.code === 'registry-refused' && found.tried.length > 0
      const tried = refused
        ? [because({ about: 'check', check: 'the credentials suffice' }, { code: 'credentials-tried', tried: found.tried })]
        : []
      return { lookup: anyOf(question, [failure, ...tried], found.reason), tried: 0 }
    }
    case 'found': {
      const wanted = found.signatures.filter((s) => authority.format === 'any' || authority.format === s.form)
      const parts: Decision[] = []
      for (const signature of wanted.slice(0, left)) {
        const part = await judging.one(signature)
        parts.push(part)
        if (judging.isEnough(part)) return { lookup: anyOf(question, parts, none), tried: parts.length }
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

function questionOf({ form, manifest, layer }: SignatureEvidence): Question {
  return { about: 'signature', form, manifest, layer }
}

async function signatureDecision(judgement: Judgement, signature: SignatureEvidence, keys: readonly PublicKey[]): Promise<Decision> {
  const parts: Decision[] = []
  for (const key of keys) {
    const { decision } = await once(judgement, signature, key, () => {
      const answer = verifySignature(signature, judgement.image.digest, key, judgement.at)
      return {
        decision: because(
          { about: 'check', check: `the key ${key.id.slice(0, 16)} signed this digest` },
          answer.ok ? { code: 'signature-verified', keyId: keyIdOf(answer.signature.signer) } : answer.reason,
        ),
        until: answer.ok ? answer.signature.until : undefined,
      }
    })
    parts.push(decision)
    if (decision.outcome === 'pass') break
  }
  return anyOf(questionOf(signature), parts, { code: 'no-matching-signatures' })
}

function attestationDecision(judgement: Judgement, evidence: SignatureEvidence, key: PublicKey): Promise<Verified> {
  return once(judgement, evidence, key, () => {
    const answer = verifyAttestation(evidence, judgement.image.digest, key, judgement.at)
    const check: Question = { about: 'check', check: `the key ${key.id.slice(0, 16)} attested this digest` }
    if (!answer.ok) return { decision: because(check, answer.reason), until: undefined }
    const { statement } = answer
    const attested = { code: 'attested', predicateType: statement.statement.predicateType, keyId: keyIdOf(statement.signer) } as const
    return { decision: because(check, attested), statement, until: statement.until }
  })
}

async function once(
  judgement: Judgement,
  evidence: SignatureEvidence,
  key: PublicKey,
  verify: () => Verified & { readonly until: number | undefined },
): Promise<Verified> {
  const byKey = judgement.verified.get(evidence) ?? new Map<PublicKey, Verified>()
  judgement.verified.set(evidence, byKey)
  const before = byKey.get(key)
  if (before) return before
  const verified = verify()
  if (verified.until !== undefined) judgement.until = Math.min(judgement.until ?? Infinity, verified.until)
  byKey.set(key, verified)
  await judgement.turn()
  return verified
}

function keyIdOf(signer: Signer): string {
  return signer.by === 'key' ? signer.keyId : signer.fingerprint
}
