/** Decoded bytes, or what is wrong in the words of Go's encoding/base64. */
export type Decoded = { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly detail: string }

/**
 * Decodes base64 as Go's `StdEncoding` does: the standard alphabet, padding a must, `\r` and `\n` allowed anywhere, nothing else, bits
 * behind the last byte not looked at. Node's own decoder takes the URL alphabet and skips what it does not know, so that several texts
 * would be one signature. The index in `illegal base64 data at input byte 30` counts every character.
 */
export function decodeBase64(text: string): Decoded {
  const illegal = whereIllegal(text)
  return illegal === undefined
    ? { ok: true, bytes: Buffer.from(text, 'base64') }
    : { ok: false, detail: `illegal base64 data at input byte ${illegal}` }
}

const ODD = /[^A-Za-z0-9+/]/

function whereIllegal(text: string): number | undefined {
  // Whole quanta without line breaks, as nearly all are. Not one expression for all of it: texts have up to 24 MiB, and one that repeats a group of
  // several characters keeps every repetition on a stack, which ends at some 5 MiB.
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  if (text.length % 4 === 0 && !ODD.test(padding === 0 ? text : text.slice(0, -padding))) return undefined
  let letters = 0 // of the current quantum of four
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === LINE_FEED || c === CARRIAGE_RETURN) continue
    if (isLetter(c)) {
      letters = (letters + 1) % 4
      continue
    }
    return c === EQUALS && letters >= 2 ? wherePaddingIllegal(text, i, letters) : i
  }
  // The quantum is not full: Go names the place where it began. Line breaks within it do not count.
  return letters === 0 ? undefined : text.length - letters
}

const LINE_FEED = 10
const CARRIAGE_RETURN = 13
const EQUALS = 61

/** `A` to `Z`, `a` to `z`, `0` to `9`, `+`, `/`. */
function isLetter(c: number): boolean {
  return (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || (c >= 47 && c <= 57) || c === 43
}

/** `at` is the first `=`, behind two or three letters of a quantum: after it only the second one may come, and line breaks. */
function wherePaddingIllegal(text: string, at: number, letters: number): number | undefined {
  let i = afterBreaks(text, at + 1)
  if (letters === 2) {
    if (i >= text.length) return text.length
    if (text.charAt(i) !== '=') return i - 1
    i = afterBreaks(text, i + 1)
  }
  return i < text.length ? i : undefined
}

function afterBreaks(text: string, from: number): number {
  let i = from
  while (text.charAt(i) === '\n' || text.charAt(i) === '\r') i++
  return i
}
