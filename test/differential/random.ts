/** Numbers that a seed gives, the same each time (mulberry32). */
export type Random = { below(n: number): number; pick<T>(of: readonly T[]): T }

export function randomOf(seed: number): Random {
  let state = seed >>> 0
  const below = (n: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n)
  }
  return { below, pick: (of) => of[below(of.length)] as (typeof of)[number] }
}
