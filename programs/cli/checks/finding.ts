/** `wrong`: something does not work, or will not. `warning`: it works otherwise than most want. `unknown`: it could not be found out. */
export type Level = 'ok' | 'note' | 'warning' | 'wrong' | 'unknown'

/** What a check found, and what to do about it. */
export type Finding = { readonly level: Level; readonly what: string; readonly mend?: string }

export function ok(what: string): Finding {
  return { level: 'ok', what }
}

export function note(what: string): Finding {
  return { level: 'note', what }
}

export function warning(what: string, mend: string): Finding {
  return { level: 'warning', what, mend }
}

export function wrong(what: string, mend: string): Finding {
  return { level: 'wrong', what, mend }
}

export function unknown(what: string, mend: string): Finding {
  return { level: 'unknown', what, mend }
}

const MAX_NAMED = 5 // of many things that are the same

/** `a, b, c and 3 more`. */
export function named(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMED).join(', ')
  return names.length > MAX_NAMED ? `${shown} and ${names.length - MAX_NAMED} more` : shown
}

/** `1 policy`, `2 policies`. */
export function counted(number: number, one: string, several: string = `${one}s`): string {
  return `${number} ${number === 1 ? one : several}`
}
