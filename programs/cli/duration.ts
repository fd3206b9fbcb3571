const MILLISECONDS = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['μs', 1e-3],
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
])

const MAX_DURATION_TEXT = 32 // characters; the API server writes at most `30s`, people at most `1h30m15s`

/**
 * Milliseconds of a duration as Go writes it: `10s`, `1m30s`, `1.5h`, `300ms`, `0`. Undefined for anything else, a bare number but 0
 * and a negative duration included. The text may come from a URL.
 */
export function readDuration(text: string): number | undefined {
  if (text === '0') return 0
  if (text === '' || text.length > MAX_DURATION_TEXT) return undefined
  const part = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)/y
  let total = 0
  while (part.lastIndex < text.length) {
    const found = part.exec(text)
    if (!found) return undefined
    total += Number(found[1]) * (MILLISECONDS.get(found[2] ?? '') ?? NaN)
  }
  return Number.isFinite(total) ? total : undefined
}
