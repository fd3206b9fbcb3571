const ESCAPES: { readonly [character: string]: string } = {
  '"': '\\"',
  '\\': '\\\\',
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u

/** Text in double quotes as Go's `%q` prints it, which is how the messages that users know show what was written. */
export function quotedInGo(text: string): string {
  let quoted = ''
  // Half of a surrogate pair is the replacement character to Go.
  for (const character of text.toWellFormed()) quoted += ESCAPES[character] ?? (PRINTABLE.test(character) ? character : escaped(character))
  return `"${quoted}"`
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const hex = code.toString(16)
  if (code < 0x80) return `\\x${hex.padStart(2, '0')}`
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}
