import type { Reason } from '../../src/verdict/reason.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

/** The answer to a request that could not be judged: refused under its uid, or undefined where no uid can be read. Never throws. */
export function refusal(body: Buffer, reason: Reason): string | undefined {
  const review = read(body)
  const request = review?.['request']
  const uid = isObject(request) ? request['uid'] : undefined
  if (!review || typeof uid !== 'string') return undefined
  const { apiVersion, kind } = review
  const message = sentenceOf(reason)
  const response =
    kind === 'ConversionReview'
      ? { uid, convertedObjects: [], result: { status: 'Failure', message } }
      : { uid, allowed: false, status: { metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 } }
  return JSON.stringify({ apiVersion, kind, response })
}

function read(body: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
