import { readDuration } from '../cli/duration.ts'

const DEFAULT_BUDGET = 10_000 // ms; what the API server waits when a webhook configuration says nothing
const MAX_BUDGET = 30_000 // ms; the most that a webhook configuration may say
const MAX_MARGIN = 300 // ms; for the way back and the API server's own work, or a tenth of the budget if that is less
const MAX_KNOWN = 64 // targets that are remembered; an API server sends a handful

/** What a request's target asks for. `useful` is the milliseconds after which an answer is still in time, `last` those after which none is. */
export type Target = { readonly path: string; readonly useful: number; readonly last: number }

const known = new Map<string, Target>()

/** Reads `/validations?timeout=10s`, as the API server writes it. A timeout that is no Go duration, or not positive, is as if not there. */
export function targetOf(url: string): Target {
  const before = known.get(url)
  if (before) return before
  const at = url.indexOf('?')
  const path = at < 0 ? url : url.slice(0, at)
  const timeout = at < 0 ? null : new URLSearchParams(url.slice(at)).get('timeout')
  const target = { path, ...budgetOf((timeout !== null && readDuration(timeout)) || DEFAULT_BUDGET) }
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(url, target)
  return target
}

function budgetOf(asked: number): Omit<Target, 'path'> {
  const budget = Math.min(asked, MAX_BUDGET)
  const margin = Math.min(MAX_MARGIN, budget / 10)
  return { useful: budget - margin, last: budget - margin / 2 }
}
