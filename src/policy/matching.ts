import type { Read } from '../verdict/read.ts'
import { matches } from './match.ts'
import type { Policy } from './policy.ts'
import type { Subject } from './subject.ts'

/**
 * The policies that speak about an image (specification 3.3, 4.3), in their order: one of `spec.match` fits the object, when there is any,
 * and one of the globs fits the image's `Name()`. A broken selector or glob of any policy that is looked at refuses the image, since it is
 * not known whom that policy was meant for.
 */
export function matching(policies: readonly Policy[], name: string, subject: Subject): Read<readonly Policy[]> {
  const speaking: Policy[] = []
  for (const policy of policies) {
    if (policy.match.length > 0) {
      const answers = policy.match.map((m) => matches(m, subject))
      if (answers.includes('broken')) return { ok: false, reason: { code: 'match-selector-broken' } }
      if (!answers.includes('yes')) continue
    }
    for (const glob of policy.globs) if (glob.broken) return { ok: false, reason: { code: 'glob-broken', glob: glob.text } }
    if (policy.globs.some((glob) => !glob.broken && glob.matches(name))) speaking.push(policy)
  }
  return { ok: true, value: speaking }
}
