import { readConversion } from '../../src/admission/conversion.ts'
import type { AdmissionAnswer } from '../../src/admission/response.ts'
import type { Review } from '../../src/admission/review.ts'
import { readReview } from '../../src/admission/review.ts'
import type { Access, Deadline, Surroundings } from '../../src/admit.ts'
import { mutate, validate } from '../../src/admit.ts'
import type { Registrar } from '../../src/configure.ts'
import { check, convert, setDefaults } from '../../src/configure.ts'
import type { Snapshot } from '../../src/policy/compile.ts'
import type { Decision } from '../../src/verdict/decision.ts'
import { tally } from '../../src/verdict/tally.ts'
import type { Metrics } from '../../src/world/metrics.ts'
import { Observed } from './observed.ts'
import type { About, Answer, Answerer } from './server.ts'

/** Where requests arrive, by the paths that users' webhook configurations have. */
export const paths = ['/validations', '/mutations', '/defaulting', '/validating', '/resource-conversion'] as const
export type Path = (typeof paths)[number]

/** What `serve`, `demo` and `review` answer with, by path. One request sees one snapshot. `judged` is told of each validation of a workload. */
export function answerers<A extends Access>(
  snapshot: () => Snapshot,
  around: Surroundings<A>,
  registrar: Registrar,
  metrics: Metrics,
  judged: (review: Review, answer: AdmissionAnswer, decision: Decision | undefined) => void = () => undefined,
): ReadonlyMap<string, Answerer> {
  const workloads =
    (way: typeof validate<A>, told: typeof judged = () => undefined): Answerer =>
    async (body, deadline, trace) => {
      const observed = new Observed(around, metrics, trace)
      const read = observed.read(() => readReview(body))
      if (!read.ok) return { status: read.status, body: read.text }
      const { answer, codes, decision } = await way(read.review, snapshot(), observed, deadline)
      if (decision) for (const counted of tally(decision)) metrics.decided(counted)
      told(read.review, answer, decision)
      return answered(read.review, answer, codes)
    }
  const resources =
    (way: (review: Review, deadline: Deadline) => AdmissionAnswer | Promise<AdmissionAnswer>): Answerer =>
    async (body, deadline) => {
      const read = readReview(body)
      return read.ok ? answered(read.review, await way(read.review, deadline), []) : { status: read.status, body: read.text }
    }
  const table: Readonly<Record<Path, Answerer>> = {
    '/validations': workloads(validate, judged),
    '/mutations': workloads(mutate),
    '/defaulting': resources(setDefaults),
    '/validating': resources((review, deadline) => check(review, snapshot(), registrar, deadline)),
    '/resource-conversion': conversions,
  }
  return new Map(Object.entries(table))
}

function answered(review: Review, answer: AdmissionAnswer, codes: readonly string[]): Answer {
  return { status: 200, body: JSON.stringify(answer), about: aboutOf(review, answer.response.allowed, codes) }
}

async function conversions(body: Buffer): Promise<Answer> {
  const read = readConversion(body)
  if (!read.ok) return { status: read.status, body: read.text }
  const { conversion } = read
  const answer = convert(conversion)
  const about: About = {
    uid: conversion.uid,
    operation: 'CONVERT',
    kind: 'ConversionReview',
    subResource: '',
    namespace: '',
    name: '',
    user: '',
    allowed: answer.response.result.status === 'Success',
    codes: [],
  }
  return { status: 200, body: JSON.stringify(answer), about }
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
