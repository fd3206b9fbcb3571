const BACKOFF_MS = [150, 450] as const // before the second and the third attempt, times 0.5 to 1.5
const MAX_RETRY_AFTER_MS = 2_000 // of Retry-After that is waited for; who asks for more is not asked again
const RETRIED: ReadonlySet<number> = new Set([408, 499, 500, 502, 503, 504, 522])

/** How an attempt ended: with a status, or without an answer for a reason that may pass. */
export type Attempted = { readonly status: number; readonly retryAfter: string | undefined } | 'transient'

/**
 * Milliseconds to wait before asking again, after the attempt numbered `attempt` from 0; undefined: not again. A 429 is only asked again
 * when it says when. `chance` is from 0 to 1: without it all who failed together would come back together. `now` is in ms since 1970.
 */
export function delayBeforeRetry(ended: Attempted, attempt: number, chance: number, now: number): number | undefined {
  const base = BACKOFF_MS[attempt]
  if (base === undefined) return undefined
  const backoff = base * (0.5 + chance)
  if (ended === 'transient') return backoff
  const asked = readRetryAfter(ended.retryAfter, now)
  if (ended.status === 429 ? asked === undefined : !RETRIED.has(ended.status)) return undefined
  if (asked === undefined) return backoff
  return asked <= MAX_RETRY_AFTER_MS ? Math.max(asked, backoff) : undefined
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110 section 10.2.3); undefined when there is none that can be read. */
function readRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

/** Waits; false when `signal` ended it. */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false)
  return new Promise((done) => {
    const end = (whole: boolean) => (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', cut)
      done(whole)
    }
    const cut = end(false)
    const timer = setTimeout(end(true), ms)
    signal.addEventListener('abort', cut)
  })
}
