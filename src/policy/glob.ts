import { canonicalHost, DOCKER_HUB } from '../image/reference.ts'

/** A compiled `spec.images[].glob`. A broken one matches nothing: whoever looks at it must refuse (`glob-broken`). */
export type Glob = {
  /** As the policy has it. */
  readonly text: string
  readonly broken: boolean
  /**
   * Whether the glob fits an image's `Name()`. A `?` in the name stands for a hexadecimal digit that is not known and equals any:
   * so `repo@sha256:????…` asks whether the glob fits the repository at some digest, and nothing escapes by being unresolved.
   */
  matches(name: string): boolean
  /** As `matches`, but an unknown digit equals none: whether the glob fits whatever the digest is. What admits without a digest needs this. */
  matchesAnyDigest(name: string): boolean
}

const MAX_GLOB = 1024 // characters; the longest name of an image has 717
const LEGAL = /^[a-zA-Z0-9\-_:/*.@]+$/ // no `?`, `[`, `+`, `\`, …: what looks like another pattern language is an error, not a literal

/**
 * Compiles a glob: `**` is any text, `*` any text without a slash, all else itself, from the name's first character to its last; `:` is
 * no separator. A glob that is only `*` means Docker Hub's library; only two stars around a slash, all of Docker Hub. The text is foreign:
 * matching takes at most (length of the glob) × (length of the name) steps, whatever it says.
 */
export function compileGlob(text: string): Glob {
  if (text.length > MAX_GLOB || !LEGAL.test(text)) return { text, broken: true, matches: () => false, matchesAnyDigest: () => false }
  const pieces = piecesOf(text)
  return { text, broken: false, matches: (name) => fits(pieces, name, true), matchesAnyDigest: (name) => fits(pieces, name, false) }
}

/**
 * The rule for an image that is not admitted by the webhook but tried offline: a glob that does not fit the name may fit what was written,
 * so that `foo*` fits `foo`. The webhook compares names only.
 */
export function matchesOffline(glob: Glob, name: string, written: string): boolean {
  return glob.matches(name) || (written !== name && glob.matches(written))
}

/** Literals and stars: `a*b**` is `a`, `*`, `b`, `**`. No literal contains a star. */
function piecesOf(text: string): readonly string[] {
  const full = text === '*' ? `${DOCKER_HUB}/library/*` : text === '*/*' ? `${DOCKER_HUB}/*/*` : text
  // A `*` beside a `**` adds nothing to it.
  return (full.match(/\*+|[^*]+/g) ?? []).map((piece) => (piece.startsWith('**') ? '**' : piece))
}

/** Follows all ways of matching at once: the ends, in ascending order, that the pieces so far can have in the name. */
function fits(pieces: readonly string[], name: string, unknownEqualsAny: boolean): boolean {
  const [first = ''] = pieces
  // Most policies speak about other registries, which their first characters show.
  if (!first.startsWith('*') && !stands(first, name, 0, unknownEqualsAny)) return false
  let ends: readonly number[] = [0]
  for (const [i, piece] of pieces.entries()) {
    if (piece === '**' && i === pieces.length - 1) return true
    ends =
      piece === '**'
        ? upTo(name.length, ends)
        : piece === '*'
          ? withinSegment(name, ends)
          : afterLiteral(piece, name, ends, unknownEqualsAny)
    if (ends.length === 0) return false
  }
  return ends.at(-1) === name.length
}

function upTo(length: number, ends: readonly number[]): readonly number[] {
  const first = ends[0] ?? 0
  return Array.from({ length: length - first + 1 }, (_, i) => first + i)
}

function withinSegment(name: string, ends: readonly number[]): readonly number[] {
  const reached: number[] = []
  let next = 0 // the first end that no earlier start has reached
  for (const start of ends) {
    if (start < next) continue
    let end = start
    reached.push(end)
    while (end < name.length && name[end] !== '/') reached.push(++end)
    next = end + 1
  }
  return reached
}

function afterLiteral(literal: string, name: string, ends: readonly number[], unknownEqualsAny: boolean): readonly number[] {
  const reached: number[] = []
  for (const at of ends) if (stands(literal, name, at, unknownEqualsAny)) reached.push(at + literal.length)
  return reached
}

function stands(literal: string, name: string, at: number, unknownEqualsAny: boolean): boolean {
  if (name.startsWith(literal, at)) return true
  if (!unknownEqualsAny || at + literal.length > name.length || !name.endsWith('?')) return false
  for (let i = 0; i < literal.length; i++) {
    const wanted = literal.charCodeAt(i)
    if (name.charCodeAt(at + i) !== wanted && !(name[at + i] === '?' && isHexDigit(wanted))) return false
  }
  return true
}

function isHexDigit(c: number): boolean {
  return (c >= 48 && c <= 57) || (c >= 97 && c <= 102)
}

/** Whether the first glob fits every name that the second fits, as far as their texts show it: equal, or a beginning followed by `**`. */
export function covers(wider: Glob, narrower: Glob): boolean {
  if (wider.broken || narrower.broken) return false
  const [outer, inner] = [piecesOf(wider.text), piecesOf(narrower.text)]
  if (outer.join('') === inner.join('')) return true
  const [first = '', second, more] = outer
  if (first === '**') return second === undefined
  return !first.startsWith('*') && second === '**' && more === undefined && (inner[0] ?? '').startsWith(first)
}

/** What a glob of nothing but stars and a slash means, for its author: not every image, as it looks; undefined for any other. */
export function whyNarrow(text: string): string | undefined {
  if (text === '*') return `glob * means ${DOCKER_HUB}/library/*, the official images of Docker Hub; for every image write **`
  if (text === '*/*') return `glob */* means ${DOCKER_HUB}/*/*, images of Docker Hub; for every image write **`
  return undefined
}

const MAX_SEARCHED = 256 // characters of a glob for which a name that it fits is searched for; longer ones are taken to be alive

/**
 * Why a sound glob never matches an image that is admitted, as a sentence for the policy's author; undefined when it can. Admitted images
 * are compared as `registry/repository@sha256:…`, without tag (Q5), in the canonical spelling of the registry.
 */
export function whyDead(text: string): string | undefined {
  if (text.length > MAX_SEARCHED || !LEGAL.test(text)) return undefined
  const never = `glob ${text} never matches`
  const pieces = piecesOf(text)
  // Only a registry without stars is known well enough to say how it should be spelt.
  const [, host, path = ''] = /^([^/*]*)\/(.*)$/.exec(text) ?? []
  if (host !== undefined) {
    if (!host.includes('.') && !host.includes(':') && host !== 'localhost')
      return `${never}: names begin with their registry; for Docker Hub write ${alive(`${DOCKER_HUB}/${text}`)}`
    const registry = canonicalHost(host)
    if (registry === undefined) return `${never}: ${host} is not a registry`
    const hasNamespace = registry !== DOCKER_HUB || path.includes('/') || path.includes('**')
    const meant = `${registry}/${hasNamespace ? '' : 'library/'}${path}`
    if (registry !== host) return `${never}: that registry is always compared as ${registry}; write ${alive(meant)}`
    if (!hasNamespace) return `${never}: names on Docker Hub have a namespace; write ${alive(meant)}`
  }
  if (fitsSomeName(pieces)) return undefined
  if (!text.includes('/') && !text.includes('**')) {
    const isHost = /^[^*:]+\.[^*:]+\*?$/.test(text)
    return isHost
      ? `${never}: names begin with their registry and go on with a repository; write ${text.replace(/\*$/, '')}/**`
      : `${never}: names begin with their registry; for Docker Hub's library write ${alive(`${DOCKER_HUB}/library/${text}`)}`
  }
  if (/[A-Z]/.test(text)) return `${never}: registries, repositories and digests are lower case`
  const [named = '', digest] = text.split('@', 2)
  const untagged = named.replace(/:[^/:]*$/, '')
  if (untagged !== named) return `${never}: images are compared by digest, without their tag; write ${untagged}@${digest ?? '**'}`
  if (digest === undefined && fitsSomeName(piecesOf(`${text}@**`))) return `${never}: a name ends with its digest; write ${text}@**`
  return `${never}: names are written registry/repository@sha256:<64 lower-case digits>`
}

/** The glob, or without its tag and with any digest where only that makes a name fit it. */
function alive(text: string): string {
  const anyDigest = `${text.replace(/:[^/:@]*$/, '')}@**`
  return !fitsSomeName(piecesOf(text)) && !text.includes('@') && fitsSomeName(piecesOf(anyDigest)) ? anyDigest : text
}

// A name as a machine: in the host, after a slash, in the repository, then so many characters into the digest.
const IN_HOST = 1
const AFTER_SLASH = 2
const IN_REPOSITORY = 3
const DIGEST_START = '@sha256:'
const NAME_END = IN_REPOSITORY + DIGEST_START.length + 64
/** Enough characters to bring a name from any state to each that follows it. */
const KINDS = `a/${DIGEST_START}`

function nextState(state: number, c: string): number | undefined {
  if (state === 0) return /[a-z0-9[_]/.test(c) ? IN_HOST : undefined
  if (state === IN_HOST) return c === '/' ? AFTER_SLASH : /[a-z0-9._:\]-]/.test(c) ? IN_HOST : undefined
  if (state === AFTER_SLASH) return /[a-z0-9]/.test(c) ? IN_REPOSITORY : undefined
  if (state === IN_REPOSITORY && c !== '@') return c === '/' ? AFTER_SLASH : /[a-z0-9._-]/.test(c) ? IN_REPOSITORY : undefined
  const into = state - IN_REPOSITORY
  if (into < DIGEST_START.length) return c === DIGEST_START[into] ? state + 1 : undefined
  return state < NAME_END && isHexDigit(c.charCodeAt(0)) ? state + 1 : undefined
}

/** Whether some name fits the pieces: all states that a name can be in after each piece. */
function fitsSomeName(pieces: readonly string[]): boolean {
  let states: ReadonlySet<number> = new Set([0])
  for (const piece of pieces) {
    if (piece === '*' || piece === '**') {
      const reached = new Set(states)
      for (const state of reached) {
        for (const c of KINDS) {
          const next = piece === '*' && c === '/' ? undefined : nextState(state, c)
          if (next !== undefined) reached.add(next) // a set's walk goes on to what is added
        }
      }
      states = reached
    } else {
      for (const c of piece) states = new Set([...states].map((state) => nextState(state, c)).filter((state) => state !== undefined))
    }
  }
  return states.has(NAME_END)
}
