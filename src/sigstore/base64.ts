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

const PIECE = 32 * 1024 // bytes that are decoded at a time: as a text they are young, so that collecting them costs nothing; a larger one would be old at once
const PIECES = 8 // of them, before others have their turn
const LONGEST_ESCAPE = 6 // bytes of one character in JSON: `\u0000`
const FOREIGN = /[^A-Za-z0-9+/_-]/g

/** Bytes before those of `decodeBase64In`, in the same buffer, which nobody uses: whoever has to put something before them needs not copy them. */
export const ROOM_BEFORE = 128
const withRoom = new WeakSet<Uint8Array>()

/** Whether there is `ROOM_BEFORE` before these bytes. */
export function hasRoomBefore(bytes: Uint8Array): boolean {
  return withRoom.has(bytes)
}

/**
 * Decodes base64 as it stands in JSON, quotes included, and lets others have their turn meanwhile. `json` is a text that was walked over. `strict`: as
 * `decodeBase64`; otherwise as Node's own decoder, which passes over what it does not know.
 */
export async function decodeBase64In(
  json: Uint8Array,
  strict: boolean,
  turn: () => Promise<void>,
  pieceBytes: number = PIECE,
): Promise<Decoded> {
  const source = Buffer.from(json.buffer, json.byteOffset + 1, json.length - 2)
  const all = Buffer.allocUnsafe(ROOM_BEFORE + Math.ceil((source.length / 4) * 3))
  const bytes = all.subarray(ROOM_BEFORE)
  const letters = new Letters()
  let length = 0
  let carried = ''
  for (let from = 0, to = 0, piece = 1; from < source.length; from = to, piece++) {
    to = Math.min(from + pieceBytes, source.length)
    // Not in the middle of an escaped character: there are only so many.
    while (to < source.length && source.subarray(Math.max(from, to - LONGEST_ESCAPE), to).includes(BACKSLASH)) to++
    const written = source.toString('latin1', from, to)
    const text = written.includes('\\') ? (JSON.parse(`"${written}"`) as string) : written
    const plain = carried === '' ? lengthIfPlain(text, bytes, length) : undefined
    if (plain !== undefined && letters.isPlainTaken(text)) length += plain
    else {
      const illegal = strict ? letters.whereIllegal(text) : undefined
      if (illegal !== undefined) return { ok: false, detail: `illegal base64 data at input byte ${illegal}` }
      const known = carried + text.replace(FOREIGN, '')
      const whole = known.length - (known.length % 4)
      length += bytes.write(known.slice(0, whole), length, 'base64')
      carried = known.slice(whole)
    }
    if (piece % PIECES === 0) await turn()
  }
  const illegal = strict ? letters.whereIncomplete() : undefined
  if (illegal !== undefined) return { ok: false, detail: `illegal base64 data at input byte ${illegal}` }
  length += bytes.write(carried, length, 'base64')
  const decoded = bytes.subarray(0, length)
  withRoom.add(decoded)
  return { ok: true, bytes: decoded }
}

/** Decodes whole quanta of letters alone, as nearly all pieces are, and answers into how many bytes: much faster than looking at each letter. */
function lengthIfPlain(text: string, bytes: Buffer, at: number): number | undefined {
  if (text.length % 4 !== 0 || text.includes('-') || text.includes('_')) return undefined
  const length = bytes.write(text, at, 'base64')
  return length === (text.length / 4) * 3 ? length : undefined
}

function whereIllegal(text: string): number | undefined {
  const letters = new Letters()
  return letters.whereIllegal(text) ?? letters.whereIncomplete()
}

const ODD = /[^A-Za-z0-9+/]/

const LINE_FEED = 10
const CARRIAGE_RETURN = 13
const EQUALS = 61
const BACKSLASH = 92

/** `A` to `Z`, `a` to `z`, `0` to `9`, `+`, `/`. */
function isLetter(c: number): boolean {
  return (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || (c >= 47 && c <= 57) || c === 43
}

/** How far a text is legal, which may come in pieces. */
class Letters {
  #at = 0
  /** Of the current quantum of four. */
  #letters = 0
  /** `half`: one `=` behind two letters, to which another one belongs. Behind the padding only line breaks may come. */
  #padding: 'none' | 'half' | 'whole' = 'none'

  /** Takes whole quanta of letters alone, where they may come. */
  isPlainTaken(text: string): boolean {
    if (this.#padding !== 'none') return false
    this.#at += text.length
    return true
  }

  whereIllegal(text: string): number | undefined {
    // Without line breaks, as nearly all are. Not one expression for all of it: texts have up to 24 MiB, and one that repeats a group of
    // several characters keeps every repetition on a stack, which ends at some 5 MiB.
    const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
    const plain = padding === 0 ? text : text.slice(0, -padding)
    let from = 0
    if (this.#padding === 'none' && !ODD.test(plain)) {
      this.#letters = (this.#letters + plain.length) % 4
      this.#at += plain.length
      from = plain.length
    }
    for (let i = from; i < text.length; i++, this.#at++) {
      const c = text.charCodeAt(i)
      if (c === LINE_FEED || c === CARRIAGE_RETURN) continue
      switch (this.#padding) {
        case 'none':
          if (isLetter(c)) this.#letters = (this.#letters + 1) % 4
          else if (c === EQUALS && this.#letters >= 2) this.#padding = this.#letters === 2 ? 'half' : 'whole'
          else return this.#at
          break
        case 'half':
          if (c !== EQUALS) return this.#at - 1
          this.#padding = 'whole'
          break
        case 'whole':
          return this.#at
      }
    }
    return undefined
  }

  /** The end has come. Where the quantum is not full, Go names the place where it began; line breaks within it do not count. */
  whereIncomplete(): number | undefined {
    if (this.#padding === 'half') return this.#at
    return this.#padding === 'whole' || this.#letters === 0 ? undefined : this.#at - this.#letters
  }
}
