import type { Review } from '../../src/admission/review.ts'
import { readReview } from '../../src/admission/review.ts'
import type { Access, Surroundings } from '../../src/admit.ts'
import { mutate, validate } from '../../src/admit.ts'
import type { Snapshot } from '../../src/policy/compile.ts'
import { tally } from '../../src/verdict/tally.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import { Observed } from './observed.ts'
import type { About, Answerer } from './server.ts'

/** What `serve`, `demo` and `review` answer with, by the paths that users' webhook configurations have. One request sees one snapshot. */
export function answerers<A extends Access>(
  snapshot: () => Snapshot,
  around: Surroundings<A>,
  metrics: Metrics,
): ReadonlyMap<string, Answerer> {
  const answering =
    (way: typeof validate<A>): Answerer =>
    async (body, deadline, trace) => {
      const observed = new Observed(around, metrics, trace)
      const read = observed.read(() => readReview(body))
      if (!read.ok) return { status: read.status, body: read.text }
      const { answer, codes, decision } = await way(read.review, snapshot(), observed, deadline)
      if (decision) for (const counted of tally(decision)) metrics.decided(counted)
      return { status: 200, body: JSON.stringify(answer), about: aboutOf(read.review, answer.response.allowed, codes) }
    }
  return new Map([
    ['/validations', answering(validate)],
    ['/mutations', answering(mutate)],
  ])
}

function aboutOf(review: Review, allowed: boolean, codes: readonly string[]): About {
  return {
    uid: review.uid,
    operation: review.operation,
    kind: review.kind.kind,
    subResource: review.subResource,
    namespace: review.namespace,
    name: review.name,
    user: review.user,
    allowed,
    codes,
  }
}
