import type { ASN1Obj, X509Certificate } from '@sigstore/core'
import { RE2JS, RE2JSException } from 're2js'
import { parseDer } from '../trust/der.ts'
import type { Read } from '../verdict/read.ts'
import type { Reason } from '../verdict/reason.ts'
import { quoted } from '../verdict/reason.ts'
import type { Form, Identity, NamePattern } from './terms.ts'

const MAX_PATTERN_CHARACTERS = 8 * 1024 // of an issuer, a subject or an expression for one; compiling one takes under 20 ms
const MAX_PROGRAM = 4000 // instructions of a compiled expression; three hundred repositories side by side have 1800
const MAX_NAMES = 64 // alternative names of a certificate; those of Fulcio have one
const MAX_NAME_BYTES = 2048 // of one name; a workflow of GitHub has under 500
const MAX_SHOWN_NAMES = 8 // of a certificate, in a message
const MAX_SHOWN_CHARACTERS = 200 // of each
const MAX_SHOWN_PATTERN = 1000 // characters of an expression, and of what is wrong with it, in a message

/** An element of `keyless.identities`, as the policy writes it. Empty texts count as absent. */
export type IdentitySpec = {
  readonly issuer?: string | undefined
  readonly issuerRegExp?: string | undefined
  readonly subject?: string | undefined
  readonly subjectRegExp?: string | undefined
}

export type CompiledIdentity = { readonly identity: Identity; readonly warnings: readonly string[] }

/**
 * Compiles an element of `keyless.identities` (specification 7.6). Expressions are RE2 and are searched for anywhere in a name. With
 * `subjectGlobs` a subject with `*` in it is an anchored glob; an issuer never is. What has neither text nor expression matches nobody.
 * At most 8 KiB a text and 4000 instructions an expression. `warnings` tell the policy's author what is let in that does not look so.
 * Answers `identity-malformed` with the words of Go's regexp as its `cause`; never throws.
 */
export function compileIdentity(spec: IdentitySpec, options: { readonly subjectGlobs: boolean }): Read<CompiledIdentity> {
  const issuer = compileName('issuer', spec.issuer ?? '', spec.issuerRegExp ?? '', false)
  if (!issuer.ok) return issuer
  const subject = compileName('subject', spec.subject ?? '', spec.subjectRegExp ?? '', options.subjectGlobs)
  if (!subject.ok) return subject
  return {
    ok: true,
    value: {
      identity: { issuer: issuer.value.pattern, subject: subject.value.pattern },
      warnings: [...issuer.value.warnings, ...subject.value.warnings],
    },
  }
}

/**
 * Why a certificate that a trusted authority issued is nobody of `identities`, in the words of specification 7.6, for bundles of 7.5; undefined: it
 * is one of them. One identity's issuer and subject must both match; any of the certificate's names and either issuer extension may do it.
 * No identities match nobody.
 */
export function whyNotIdentity(certificate: X509Certificate, identities: readonly Identity[], form: Form): Reason | undefined {
  const { subjects, issuers } = namesOf(certificate)
  const isMatched = identities.some(
    ({ issuer, subject }) => issuers.some((name) => issuer.matches(name, form)) && subjects.some((name) => subject.matches(name, form)),
  )
  if (isMatched) return undefined
  const last = identities.at(-1)
  // In the words of 7.5, which tell what the last identity wants.
  if (form === 'bundle' && last) {
    const isSubject = !subjects.some((name) => last.subject.matches(name, form))
    const [what, wanted, names] = isSubject ? (['SAN', last.subject, subjects] as const) : (['issuer', last.issuer, issuers] as const)
    const text = wanted.isExpression ? `to match regex "${cut(wanted.text)}"` : `"${cut(wanted.text)}"`
    return { code: 'bundle-identity-mismatch', detail: `expected ${what} value ${text}, got "${cut(names[0] ?? '')}"` }
  }
  const shown = subjects.slice(0, MAX_SHOWN_NAMES).map((name) => cut(name))
  if (subjects.length > shown.length) shown.push(`and ${subjects.length - shown.length} more`)
  return { code: 'identity-mismatch', subjects: shown, issuer: [...new Set(issuers)].map((name) => cut(name)).join(', ') }
}

function cut(text: string, length = MAX_SHOWN_CHARACTERS): string {
  return text.length > length ? `${text.slice(0, length)}…` : text
}

// — patterns

type CompiledName = { readonly pattern: NamePattern; readonly warnings: readonly string[] }
type Part = 'issuer' | 'subject'

function compileName(part: Part, literal: string, expression: string, globs: boolean): Read<CompiledName> {
  for (const text of [literal, expression]) {
    if (text.length <= MAX_PATTERN_CHARACTERS) continue
    return malformed(part, text, `size of ${part} (${text.length}) exceeded the limit (${MAX_PATTERN_CHARACTERS})`)
  }
  const text = expression === '' ? literal : expression
  const isGlob = globs && literal.includes('*')
  const isLiteral = isGlob ? compileGlob(literal) : (name: string) => name === literal
  const warnings = isGlob ? globWarnings(literal) : starWarnings(part, literal)
  if (expression === '') {
    // An empty name in a certificate must not make an absent text match.
    const matches = literal === '' ? () => false : isLiteral
    return { ok: true, value: { pattern: { text, isExpression: false, matches }, warnings } }
  }

  const compiled = compileExpression(part, expression)
  if (!compiled.ok) return compiled
  const isFound = (name: string): boolean => compiled.value.test(name)
  const matches =
    literal === ''
      ? isFound
      : (name: string, form: Form): boolean => (form === 'bundle' ? isFound(name) && isLiteral(name) : isFound(name) || isLiteral(name))
  return {
    ok: true,
    value: { pattern: { text, isExpression: true, matches }, warnings: [...warnings, ...expressionWarnings(part, expression, isFound)] },
  }
}

function compileExpression(part: Part, expression: string): Read<RE2JS> {
  try {
    const compiled = RE2JS.compile(expression)
    const size = compiled.programSize()
    if (size <= MAX_PROGRAM) return { ok: true, value: compiled }
    return malformed(part, expression, `size of regular expression (${size}) exceeded the limit (${MAX_PROGRAM})`)
  } catch (error) {
    return malformed(part, expression, syntaxError(error))
  }
}

/** As Go words it; at the end of an expression it quotes what is left of it, which is nothing. */
function syntaxError(error: unknown): string {
  if (!(error instanceof RE2JSException)) return 'error parsing regexp: it cannot be compiled'
  return error.message.endsWith('trailing backslash at end of expression') ? `${error.message}: \`\`` : error.message
}

/**
 * What is wrong with an expression's syntax, in the words of Go's regexp; undefined: nothing. One that is too large is not wrong: its
 * identity matches nobody, and `compileIdentity` says why.
 */
export function whyNotExpression(expression: string): string | undefined {
  if (expression.length > MAX_PATTERN_CHARACTERS) return undefined
  try {
    RE2JS.compile(expression)
    return undefined
  } catch (error) {
    return syntaxError(error)
  }
}

function malformed(part: Part, pattern: string, cause: string): Read<never> {
  return {
    ok: false,
    reason: { code: 'identity-malformed', part, pattern: cut(pattern, MAX_SHOWN_PATTERN), cause: cut(cause, MAX_SHOWN_PATTERN) },
  }
}

const SEPARATOR = /[/@]/

/**
 * Compiles a subject with stars: before its last `@` (or everywhere, when it has none) `*` matches neither `/` nor `@`, after it anything.
 * Since no star crosses a separator, the separators of pattern and name must be the same one by one, and what lies between two of them is
 * matched alone, each star as short as possible: no step is ever taken back.
 */
function compileGlob(text: string): (name: string) => boolean {
  const at = text.lastIndexOf('@')
  const segments = segmentsOf(at === -1 ? text : text.slice(0, at + 1))
  const end = segments.pop()?.text ?? ''
  const path = segments.map(({ text, separator }) => ({ separator, literals: text.split('*') }))
  const rest = (at === -1 ? end : text.slice(at + 1)).split('*')
  return (name) => {
    let from = 0
    for (const { separator, literals } of path) {
      let end = from
      while (end < name.length && !SEPARATOR.test(name.charAt(end))) end++
      if (name.charAt(end) !== separator || !fits(literals, name.slice(from, end))) return false
      from = end + 1
    }
    const remaining = name.slice(from)
    return (at !== -1 || !SEPARATOR.test(remaining)) && fits(rest, remaining)
  }
}

/** The texts between separators, each with the separator that ends it; the last has none. */
function segmentsOf(text: string): { text: string; separator: string }[] {
  const segments: { text: string; separator: string }[] = []
  let from = 0
  for (let i = 0; i < text.length; i++) {
    if (!SEPARATOR.test(text.charAt(i))) continue
    segments.push({ text: text.slice(from, i), separator: text.charAt(i) })
    from = i + 1
  }
  return [...segments, { text: text.slice(from), separator: '' }]
}

/** Whether the literals stand in `text` in this order with anything between them, the first at its start and the last at its end. */
function fits(literals: readonly string[], text: string): boolean {
  const [first = '', ...more] = literals
  const last = more.pop()
  if (last === undefined) return text === first
  if (!text.startsWith(first)) return false
  let from = first.length
  for (const literal of more) {
    const at = text.indexOf(literal, from)
    if (at === -1) return false
    from = at + literal.length
  }
  return text.length - last.length >= from && text.endsWith(last)
}

// — what the author of a policy is told

const PULL_REQUEST = 'refs/pull/1/merge' // what follows the @ in the name of a workflow that a pull request ran

function globWarnings(text: string): string[] {
  const at = text.lastIndexOf('@')
  const reading =
    at === -1
      ? `subject ${quoted(text)} is read as a glob in which * matches neither / nor @`
      : `subject ${quoted(text)} is read as a glob in which * matches neither / nor @ before the last @, and anything after it`
  const warnings = [`${reading}; set subject-globs: false in config-policy-controller to compare it as it stands`]
  // Older documentation of the sigstore policy controller shows expressions here.
  if (text.includes('.*'))
    warnings.push(`subject ${quoted(text)} looks like an expression, in which .* is any text; write it as subjectRegExp`)
  if (at === -1) return warnings
  if (!text.slice(0, at).includes('/')) {
    if (text.slice(at + 1).includes('*'))
      warnings.push(`subject ${quoted(text)} lets in more than one host after the @; write the host that is meant`)
  } else if (fits(text.slice(at + 1).split('*'), PULL_REQUEST)) {
    warnings.push(`subject ${quoted(text)} lets in any ref, pull requests too; end it with the ref that is meant, such as @refs/heads/main`)
  }
  return warnings
}

function starWarnings(part: Part, text: string): string[] {
  if (!text.includes('*')) return []
  return [`${part} ${quoted(text)} is compared as it stands, the * too; for a pattern use ${part}RegExp`]
}

/** Names that no policy's author has in mind: an expression that finds all of them asks for nothing. */
const STRANGERS = ['https://stranger.invalid/x', 'stranger@mail.invalid', 'urn:x', '?']

function expressionWarnings(part: Part, expression: string, isFound: (name: string) => boolean): string[] {
  const named = `${part}RegExp ${quoted(expression)}`
  if (STRANGERS.every(isFound)) return [`${named} matches every ${part}; write who is meant`]
  const warnings: string[] = []
  const open = openEnds(expression)
  if (open !== undefined) {
    const missing = { 'before': '^ at its start', 'after': '$ at its end', 'before or after': '^ at its start and $ at its end' }[open]
    warnings.push(`${named} also matches a longer ${part} that has more text ${open} what it says; write ${missing}`)
  }
  const host = looseHost(expression)
  if (host !== undefined)
    warnings.push(
      `${named} has a . that stands for any character, so that it matches other hosts than ${quoted(host)}; write ${quoted(host.replaceAll(/(?<!\\)\./g, '\\.'))}`,
    )
  return warnings
}

/**
 * On which side an expression may find a name that goes on, without saying so by `.*` or `.+`; undefined on none. Read from the text, one
 * alternative at a time; it only ever makes a warning.
 */
function openEnds(expression: string): 'before' | 'after' | 'before or after' | undefined {
  const alternatives = alternativesOf(expression.replace(/^\(\?[a-zA-Z]+\)/, ''))
  const before = alternatives.some((text) => !/^(?:\^|\\A|\.[*+])/.test(text))
  const after = alternatives.some((text) => !/(?:\.[*+]\??|(?<!\\)(?:\\\\)*(?:\$|\\z))$/.test(text))
  return before && after ? 'before or after' : before ? 'before' : after ? 'after' : undefined
}

/** What stands between the `|` of an expression that are in no group; a group around all of it is taken off. */
function alternativesOf(expression: string): string[] {
  const alternatives: string[] = []
  let depth = 0
  let from = 0
  let groupEnd: number | undefined // of a group that begins the expression
  for (let i = 0; i < expression.length; i++) {
    const c = expression.charAt(i)
    if (c === '\\') i++
    else if (c === '[') i = classEnd(expression, i)
    else if (c === '(') depth++
    else if (c === ')' && --depth === 0) groupEnd ??= i
    else if (c === '|' && depth === 0) {
      alternatives.push(expression.slice(from, i))
      from = i + 1
    }
  }
  alternatives.push(expression.slice(from))
  const isOneGroup = alternatives.length === 1 && expression.startsWith('(') && groupEnd === expression.length - 1
  // Once is enough: nobody writes two groups around an expression.
  return isOneGroup
    ? expression
        .slice(0, -1)
        .replace(/^\((?:\?:|\?P?<\w+>)?/, '')
        .split('|')
    : alternatives
}

function classEnd(expression: string, from: number): number {
  let i = from + 1
  if (expression.charAt(i) === '^') i++
  if (expression.charAt(i) === ']') i++
  for (; i < expression.length && expression.charAt(i) !== ']'; i++) if (expression.charAt(i) === '\\') i++
  return i
}

/** The first host, behind `//` or `@`, that has a dot which no backslash makes one. */
function looseHost(expression: string): string | undefined {
  for (const [, host = ''] of expression.matchAll(/(?:\/\/|\\\/\\\/|@)([A-Za-z0-9.\\-]+)/g)) {
    if (/[A-Za-z0-9-]\.[A-Za-z0-9-]/.test(host)) return host
  }
  return undefined
}

// — names in a certificate

const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17'
const FULCIO_ISSUER = '1.3.6.1.4.1.57264.1.1' // the text itself
const FULCIO_ISSUER_V2 = '1.3.6.1.4.1.57264.1.8' // a DER UTF8String
const FULCIO_OTHER_NAME = '1.3.6.1.4.1.57264.1.7'
const UTF8_STRING = 0x0c

export type Names = { readonly subjects: readonly string[]; readonly issuers: readonly string[] }

/**
 * Who a certificate says that it is: its alternative names in the order of specification 7.6 (DNS names, e-mail addresses, IP addresses,
 * URIs, user names of Fulcio) and what Fulcio's two issuer extensions say. Believed only once the certificate's path is. At most 64 names
 * of 2 KiB. A certificate in which one of them cannot be read, or an extension stands twice, has no names at all; never throws.
 */
export function namesOf(certificate: X509Certificate): Names {
  try {
    const issuers = [
      ...extensionsOf(certificate, FULCIO_ISSUER).map((value) => textOf(value)),
      ...extensionsOf(certificate, FULCIO_ISSUER_V2).map((value) => utf8String(parseDer(value))),
    ]
    // An expression that matches anything, nothing included, may match it, as it does upstream; no literal does.
    return { subjects: subjectsOf(certificate), issuers: issuers.length > 0 ? issuers : [''] }
  } catch {
    // Of the library's parser, or an Unreadable of ours: half a list of names could be what an attacker wants to be seen.
    return { subjects: [], issuers: [] }
  }
}

class Unreadable extends Error {}

/** The value of the extension; none when it is not there. */
function extensionsOf(certificate: X509Certificate, oid: string): Uint8Array[] {
  const found = certificate.extensions.filter((extension) => extension.subs[0]?.toOID() === oid)
  if (found.length > 1) throw new Unreadable() // RFC 5280, section 4.2: «A certificate MUST NOT include more than one instance»
  return found.map((extension) => {
    const value = extension.subs.at(-1)
    if (!value?.tag.isOctetString()) throw new Unreadable()
    return value.value
  })
}

function subjectsOf(certificate: X509Certificate): string[] {
  const [extension] = extensionsOf(certificate, SUBJECT_ALTERNATIVE_NAME)
  if (!extension) return []
  const { tag, subs: names } = parseDer(extension)
  if (!tag.isUniversal() || tag.number !== 0x10 || names.length > MAX_NAMES) throw new Unreadable()
  const tagged = (number: number): readonly ASN1Obj[] => names.filter((name) => name.tag.isContextSpecific(number))
  return [
    ...tagged(2).map(asciiOf),
    ...tagged(1).map(asciiOf),
    ...tagged(7).map((name) => addressOf(name.value)),
    ...tagged(6).map(asciiOf),
    ...tagged(0).flatMap(userNameOf),
  ]
}

/** An IA5String (RFC 5280, section 4.2.1.6). */
function asciiOf({ tag, value }: ASN1Obj): string {
  if (tag.constructed || value.some((byte) => byte >= 0x80)) throw new Unreadable()
  return textOf(value)
}

/** A user name of Fulcio: an otherName, so a type and `[0] EXPLICIT UTF8String`. Other otherNames are nobody's. */
function userNameOf({ subs: [type, wrapped] }: ASN1Obj): string[] {
  if (type?.toOID() !== FULCIO_OTHER_NAME) return []
  const [value, ...more] = wrapped?.tag.isContextSpecific(0) ? wrapped.subs : []
  if (!value || more.length > 0) throw new Unreadable()
  return [utf8String(value)]
}

function utf8String({ tag, value }: ASN1Obj): string {
  if (!tag.isUniversal() || tag.number !== UTF8_STRING || tag.constructed) throw new Unreadable()
  return textOf(value)
}

/** UTF-8 without control characters: a line break or a zero byte in a name is there to be read in two ways. */
function textOf(bytes: Uint8Array): string {
  if (bytes.length > MAX_NAME_BYTES) throw new Unreadable()
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)) throw new Unreadable()
  return text
}

/** An IP address as RFC 5952 writes it, one of IPv4 within IPv6 as that of IPv4. */
function addressOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw new Unreadable()
  const hex = Buffer.from(bytes).toString('hex')
  if (hex.startsWith('00000000000000000000ffff')) return bytes.subarray(12).join('.')
  const groups = hex.match(/.{4}/g) ?? []
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
