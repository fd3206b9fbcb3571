import { quoted } from '../verdict/reason.ts'
import { covers } from './glob.ts'
import type { Match } from './match.ts'
import type { Policy } from './policy.ts'

/**
 * Why some policies can never both pass, as sentences for the author of `policy`: one refuses whatever the image is, and speaks about every
 * image and object that the other speaks about. Only what is certain: nothing is said of signatures that somebody may yet make.
 */
export function conflictsOf(policy: Policy, others: readonly Policy[]): readonly string[] {
  return others
    .filter(({ name }) => name !== policy.name)
    .flatMap((other) => {
      if (refusesAll(other) && isWithin(policy, other) && !refusesAll(policy))
        return [`no image can satisfy this policy and ${quoted(other.name)}, which refuses every image that this one speaks about`]
      if (refusesAll(policy) && isWithin(other, policy) && !refusesAll(other))
        return [`no image can satisfy ${quoted(other.name)} any more: this policy refuses every image that it speaks about`]
      return []
    })
}

/** A policy of nothing but `static: fail`. What is broken refuses too, but not for ever, and is told of by itself. */
function refusesAll({ mode, authorities }: Policy): boolean {
  const isFail = (check: Policy['authorities'][number]['check']): boolean => check.by === 'static' && check.action === 'fail'
  return mode === 'enforce' && authorities.length > 0 && authorities.every(({ check }) => isFail(check))
}

/** Whether all that `inner` speaks about `outer` speaks about too. */
function isWithin(inner: Policy, outer: Policy): boolean {
  const isMatched = outer.match.length === 0 || (inner.match.length > 0 && inner.match.every((m) => outer.match.some((o) => isSame(m, o))))
  return isMatched && inner.globs.length > 0 && inner.globs.every((glob) => outer.globs.some((wider) => covers(wider, glob)))
}

function isSame(a: Match, b: Match): boolean {
  return textOf(a) === textOf(b)
}

function textOf({ group, version, resource, selector }: Match): string {
  const requirements = selector === 'broken' ? selector : selector.map(({ key, operator, values }) => [key, operator, ...values])
  return JSON.stringify([group, version, resource, requirements])
}
