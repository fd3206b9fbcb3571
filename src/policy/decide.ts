import type { Found, SignatureEvidence } from '../sigstore/evidence.ts'
import { verifySignature } from '../sigstore/signature.ts'
import type { PublicKey } from '../trust/key.ts'
import type { Decision, Question } from '../verdict/decision.ts'
import { allOf, anyOf, because } from '../verdict/decision.ts'
import type { Ask, ImageAtDigest } from './ask.ts'
import { byReferrers, byTag, keyOf } from './ask.ts'
import type { Authority, Policy } from './policy.ts'

/** Signatures tried per image and authority; beyond it the answer is unknown. Upstream's own bound on layers. */
export const MAX_SIGNATURES_TRIED = 1000

/** One judgement of one policy about one image. It remembers what it has verified, so that deciding again as evidence arrives costs nothing twice. */
export type Judgement = {
  readonly policy: Policy
  readonly image: ImageAtDigest
  /** Now, in ms since 1970. */
  readonly at: number
  /** Evidence by `keyOf(ask)`; what is not there has not come yet. */
  readonly gathered: Map<string, Found>
  readonly verified: Map<SignatureEvidence, Map<PublicKey, Decision>>
  /** The earliest instant at which a fact ends that a verified signature rests on, in ms since 1970. */
  until: number | undefined
  /** Lets others have their turn: awaited after each signature, so that no judging holds up another request. */
  readonly turn: () => Promise<void>
}

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
  const question: Question = { about: 'authority', name, by: check.by, image: judgement.image.name }
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
      const asks = [byTag(authority, judgement.image), byReferrers(authority, judgement.image)].filter((a) => a !== undefined)
      const lookups: Decision[] = []
      let left = MAX_SIGNATURES_TRIED
      for (const ask of asks) {
        const { lookup, tried } = await lookupDecision(judgement, ask, authority, check.keys, left)
        left -= tried
        lookups.push(lookup)
        if (lookup.outcome === 'pass') break
      }
      return anyOf(question, lookups, { code: 'no-public-keys', authority: name })
    }
    case 'keyless':
    case 'none':
      return because(question, { code: 'no-public-keys', authority: name })
  }
}

async function lookupDecision(
  judgement: Judgement,
  ask: Ask,
  authority: Authority,
  keys: readonly PublicKey[],
  left: number,
): Promise<{ lookup: Decision; tried: number }> {
  const place = ask.ask === 'signatures-by-tag' ? 'tag' : 'referrers'
  const question: Question = { about: 'lookup', place, where: `${ask.place.registry}/${ask.place.repository}` }
  const found = judgement.gathered.get(keyOf(ask))
  if (!found) return { lookup: because(question, { code: 'deadline' }), tried: 0 }
  switch (found.state) {
    case 'absent':
      return { lookup: because(question, place === 'tag' ? { code: 'no-signatures' } : { code: 'no-referrers' }), tried: 0 }
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
        const part = await signatureDecision(judgement, signature, keys)
        parts.push(part)
        if (part.outcome === 'pass') return { lookup: anyOf(question, parts, { code: 'no-signatures' }), tried: parts.length }
      }
      const beyond = found.beyond + Math.max(0, wanted.length - left)
      if (beyond > 0)
        parts.push(
          because({ about: 'check', check: 'every signature was tried' }, { code: 'too-many-signatures', tried: parts.length, beyond }),
        )
      return { lookup: anyOf(question, parts, place === 'tag' ? { code: 'no-signatures' } : { code: 'no-referrers' }), tried: parts.length }
    }
  }
}

async function signatureDecision(judgement: Judgement, signature: SignatureEvidence, keys: readonly PublicKey[]): Promise<Decision> {
  const question: Question = { about: 'signature', form: signature.form, manifest: signature.manifest, layer: signature.layer }
  const parts: Decision[] = []
  for (const key of keys) {
    const part = await keyDecision(judgement, signature, key)
    parts.push(part)
    if (part.outcome === 'pass') break
  }
  return anyOf(question, parts, { code: 'no-matching-signatures' })
}

async function keyDecision(judgement: Judgement, signature: SignatureEvidence, key: PublicKey): Promise<Decision> {
  const byKey = judgement.verified.get(signature) ?? new Map<PublicKey, Decision>()
  judgement.verified.set(signature, byKey)
  const before = byKey.get(key)
  if (before) return before
  const answer = verifySignature(signature, judgement.image.digest, key, judgement.at)
  const decision = because(
    { about: 'check', check: `the key ${key.id.slice(0, 16)} signed this digest` },
    answer.ok ? { code: 'signature-verified', keyId: answer.signature.signer.keyId } : answer.reason,
  )
  if (answer.ok && answer.signature.until !== undefined) judgement.until = Math.min(judgement.until ?? Infinity, answer.signature.until)
  byKey.set(key, decision)
  await judgement.turn()
  return decision
}
