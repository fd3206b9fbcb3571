/**
 * Whether text is a pattern that Go's `path.Match` takes: each `[` has a class with something in it and its `]`, nothing ends in a
 * backslash. Globs are compared by other rules; this is asked first only because users know its error text.
 */
export function isPathPattern(text: string): boolean {
  const characters = Array.from(text)
  let at = 0
  while (at < characters.length) {
    const character = characters[at]
    if (character === '\\') at += 2
    else if (character === '[') at = afterClass(characters, at + 1)
    else at += 1
  }
  // One step beyond the end: a backslash had nothing to escape, or a class did not end.
  return at === characters.length
}

/** Where a class ends whose `[` stands before `at`; infinite when it does not. */
function afterClass(characters: readonly string[], at: number): number {
  let next = characters[at] === '^' ? at + 1 : at
  for (let ranges = 0; ; ranges++) {
    if (characters[next] === ']' && ranges > 0) return next + 1
    next = afterBound(characters, next)
    if (characters[next] === '-') next = afterBound(characters, next + 1)
    if (next === Infinity) return Infinity
  }
}

/** Where one end of a range ends; infinite where there is none, or nothing follows it. */
function afterBound(characters: readonly string[], at: number): number {
  const character = characters[at]
  if (character === undefined || character === '-' || character === ']') return Infinity
  const next = character === '\\' ? at + 2 : at + 1
  return next < characters.length ? next : Infinity
}
