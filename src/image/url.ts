import { quotedInGo } from './quote.ts'

/** A URL as Go's net/url reads it, which is what the API of policies means by one: wider than the WHATWG's, and other in its words. */
export type GoUrl = {
  /** In lower case; empty when there is none. */
  readonly scheme: string
  /** `host[:port]`; empty when there is none. */
  readonly host: string
  /** As Go writes it again: what has to be escaped is. */
  readonly text: string
}

export type UrlRead = { readonly ok: true; readonly url: GoUrl } | { readonly ok: false; readonly detail: string }

/** Reads any URL reference; the empty text is one. `detail` is Go's text: `parse "::x": missing protocol scheme`. Never throws. */
export function readUrl(text: string): UrlRead {
  const [before, fragment] = cut(text, '#')
  const read = parts(before, false)
  if (typeof read === 'string') return { ok: false, detail: `parse ${quotedInGo(before)}: ${read}` }
  if (fragment === undefined || fragment === '') return { ok: true, url: read }
  const wrong = badEscape(fragment)
  if (wrong !== undefined) return { ok: false, detail: `parse ${quotedInGo(text)}: ${wrong}` }
  return { ok: true, url: { ...read, text: `${read.text}#${escapedWhereNeeded(fragment, 'fragment')}` } }
}

/** Whether text is an absolute URI or begins with a slash, as a request line has it (Go's `url.ParseRequestURI`). */
export function isRequestUri(text: string): boolean {
  return typeof parts(text, true) !== 'string'
}

/** What is wrong, or the URL. */
function parts(text: string, inRequest: boolean): GoUrl | string {
  if (/[\u0000-\u001f\u007f]/.test(text)) return 'net/url: invalid control character in URL'
  if (text === '' && inRequest) return 'empty url'
  if (text === '*') return { scheme: '', host: '', text }
  if (text.startsWith(':')) return 'missing protocol scheme'
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/.exec(text)?.[0] ?? ''
  const start = scheme === '' ? '' : `${scheme.toLowerCase()}:`
  const [rest, query] = cut(text.slice(start.length), '?')
  const end = query === undefined ? '' : `?${query}`
  if (!rest.startsWith('/')) {
    if (scheme !== '') return { scheme: scheme.toLowerCase(), host: '', text: `${start}${rest}${end}` }
    if (inRequest) return 'invalid URI for request'
    if (cut(rest, '/')[0].includes(':')) return 'first path segment in URL cannot contain colon'
  }
  const hasAuthority = (scheme !== '' || (!inRequest && !rest.startsWith('///'))) && rest.startsWith('//')
  const slash = hasAuthority ? rest.indexOf('/', 2) : 0
  const authority = hasAuthority ? rest.slice(2, slash === -1 ? undefined : slash) : ''
  const path = slash === -1 ? '' : rest.slice(slash)
  const at = authority.lastIndexOf('@')
  const host = authority.slice(at + 1)
  const wrong = badHost(host) ?? badUser(authority.slice(0, Math.max(at, 0))) ?? badEscape(path)
  if (wrong !== undefined) return wrong
  // Nobody before nothing is not written; what is not ASCII in a host is escaped.
  const named =
    authority === '' && path === ''
      ? ''
      : hasAuthority
        ? `//${Buffer.from(authority)
            .toString('latin1')
            .replace(/[\u0080-\u00ff]+/g, escapedBytes)}`
        : ''
  return { scheme: scheme.toLowerCase(), host, text: `${start}${named}${escapedWhereNeeded(path, 'path')}${end}` }
}

function badHost(host: string): string | undefined {
  const bracketed = host.startsWith('[')
  if (bracketed && !host.includes(']')) return "missing ']' in host"
  const colon = host.lastIndexOf(':')
  const port = bracketed ? host.slice(host.lastIndexOf(']') + 1) : colon === -1 ? '' : host.slice(colon)
  if (!/^(:[0-9]*)?$/.test(port)) return `invalid port ${quotedInGo(port)} after host`
  const escape = badEscape(host)
  if (escape !== undefined) return escape
  // Beyond ASCII everything is taken; RFC 3986 names what else may stand in a registered name.
  const [wrong] = /[\u0020#/\\^`{|}?]/.exec(host) ?? []
  if (wrong !== undefined) return `invalid character ${quotedInGo(wrong)} in host name`
  // Within ASCII a host has nothing to escape, but the zone of an address.
  const [ascii] = /%(?!25)[0-7][0-9A-Fa-f]/.exec(host) ?? []
  return ascii === undefined ? undefined : `invalid URL escape ${quotedInGo(ascii)}`
}

function badUser(user: string): string | undefined {
  return /^[A-Za-z0-9._:~!$&'()*+,;=%@-]*$/.test(user) ? badEscape(user) : 'net/url: invalid userinfo'
}

function badEscape(text: string): string | undefined {
  const [wrong] = /%(?![0-9A-Fa-f]{2})[\s\S]{0,2}/.exec(text) ?? []
  return wrong === undefined ? undefined : `invalid URL escape ${quotedInGo(wrong)}`
}

// RFC 3986, sections 3.3 and 3.5: what may stand there as it is.
const LEGAL = { path: /^[A-Za-z0-9._~!$&'()*+,;=:@/%[\]-]*$/, fragment: /^[A-Za-z0-9._~!$&'()*+,;=:@/?%[\]-]*$/ }

/** Characters that each stand for a byte. */
function escapedBytes(bytes: string): string {
  return Array.from(bytes, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`).join('')
}

// What Go leaves as it is once it has to escape anything.
const KEPT = { path: /[A-Za-z0-9._~$&+,/:;=@-]/, fragment: /[A-Za-z0-9._~$&+,/:;=@?!()*-]/ }

/** As it is written, if that is legal; else with all that was escaped read, and what has to be escaped written, byte by byte. */
function escapedWhereNeeded(text: string, place: 'path' | 'fragment'): string {
  if (LEGAL[place].test(text)) return text
  const bytes = Buffer.from(text)
    .toString('latin1')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Array.from(bytes, (byte) => (KEPT[place].test(byte) ? byte : escapedBytes(byte))).join('')
}

function cut(text: string, at: string): [string, string | undefined] {
  const i = text.indexOf(at)
  return i === -1 ? [text, undefined] : [text.slice(0, i), text.slice(i + at.length)]
}
