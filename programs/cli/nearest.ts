const MAX_NAME = 64 // characters of a mistyped name that are compared

/** The one of `names` that `typed` was probably meant to be, or undefined when none is near. Ties go to the first. */
export function nearest(typed: string, names: readonly string[]): string | undefined {
  const word = typed.slice(0, MAX_NAME)
  // A third of the letters may be wrong: beyond it, a suggestion is noise.
  let best: string | undefined
  let limit = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const name of names) {
    const apart = distance(word, name)
    if (apart < limit) [best, limit] = [name, apart]
  }
  return best ?? names.find((name) => word.length >= 3 && name.startsWith(word))
}

/** How many letters are inserted, left out, replaced or swapped with their neighbour between `a` and `b` (optimal string alignment). */
export function distance(a: string, b: string): number {
  let before: number[] = []
  let last: number[] = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    before = last
    last = row
  }
  return last[b.length] ?? 0
}
