import type { Access, Admission, Deadline, Surroundings } from '../../src/admit.ts'
import { mutate, validate } from '../../src/admit.ts'
import { readReview } from '../../src/admission/review.ts'
import type { Snapshot } from '../../src/policy/compile.ts'

/** What goes back over the wire. */
export type Answer = { readonly status: number; readonly body: string; readonly admission: Admission | undefined }

/** Answers one request body of one path. Never rejects for anything that the body says. */
export type Answerer = (path: string, body: Buffer, deadline: Deadline) => Promise<Answer>

type Way = <A extends Access>(...given: Parameters<typeof validate<A>>) => Promise<Admission>

/** The paths as users' webhook configurations have them. */
const ways: ReadonlyMap<string, Way> = new Map<string, Way>([
  ['/validations', validate],
  ['/mutations', mutate],
])

/** What `serve`, `demo` and `review` answer with. One request sees one snapshot. */
export function answerer<A extends Access>(snapshot: () => Snapshot, around: Surroundings<A>): Answerer {
  return async (path, body, deadline) => {
    const way = ways.get(path)
    if (!way) return { status: 400, body: `no controller registered for: ${path}`, admission: undefined }
    const read = readReview(body)
    if (!read.ok) return { status: read.status, body: read.text, admission: undefined }
    const admission = await way(read.review, snapshot(), around, deadline)
    return { status: 200, body: JSON.stringify(admission.answer), admission }
  }
}
