import type { Decision } from './decision.ts'
import type { Code, Outcome } from './reason.ts'

/** One answer of one policy about one image, as metrics count it; no policy where none spoke, or where the image was refused before one could. */
export type Tally = {
  readonly policy: string | undefined
  readonly mode: 'enforce' | 'warn' | undefined
  readonly outcome: Outcome
  /** Of the leaf that decided. */
  readonly code: Code
}

/** What a request's decision consists of, each part once: by policy where policies spoke, else by image. */
export function tally(request: Decision): readonly Tally[] {
  if (request.parts.length === 0) return [tallied(request)]
  return request.parts.flatMap((image) => {
    const policies = image.parts.filter((part) => part.question.about === 'policy')
    return policies.length > 0 ? policies.map(tallied) : [tallied(image)]
  })
}

function tallied(decision: Decision): Tally {
  const { question, outcome } = decision
  const { name, mode } = question.about === 'policy' ? question : { name: undefined, mode: undefined }
  return { policy: name, mode, outcome, code: deciding(decision) }
}

/** The reason of the first leaf that has the outcome of the whole. */
function deciding({ reason, parts, outcome }: Decision): Code {
  const part = reason ? undefined : parts.find((p) => p.outcome === outcome)
  return reason?.code ?? (part ? deciding(part) : 'internal-error')
}
