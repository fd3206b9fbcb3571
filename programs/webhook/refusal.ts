import { TRY_AGAIN } from '../../src/admission/response.ts'
import type { Reason } from '../../src/verdict/reason.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

/**
 * The answer to a request that could not be judged: refused under its uid, or undefined where no uid can be read. Never throws.
 * What may be tried again at once says so as the API server itself does, with 429 and a time: clients of Kubernetes then try again.
 */
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
      : { uid, allowed: false, status: { metadata: {}, status: 'Failure', message, ...semanticsOf(reason) } }
  return JSON.stringify({ apiVersion, kind, response })
}

function semanticsOf({ code }: Reason): object {
  return code === 'under-pressure' ? TRY_AGAIN : { reason: 'InternalError', code: 500 }
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
