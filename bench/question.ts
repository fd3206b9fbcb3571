import type { Bench } from './processes.ts'

/** One measured number. `goal` is what the project wants of it; `theirs` what the controller in use does on such a machine. */
export type Figure = {
  readonly what: string
  readonly value: number
  readonly unit: '/s' | 'ms' | 'MB' | '×' | ''
  readonly goal?: { readonly atMost: number } | { readonly atLeast: number }
  readonly theirs?: number
}

/** What is asked of the webhook, and how it is found out. */
export type Question = {
  /** As `npm run bench -- NAME` has it. */
  readonly name: string
  readonly asks: string
  run(bench: Bench): Promise<readonly Figure[]>
}

export function isReached({ value, goal }: Figure): boolean {
  if (!goal) return true
  return 'atMost' in goal ? value <= goal.atMost : value >= goal.atLeast
}
