import { canonicalHost } from '../../src/image/reference.ts'
import { readDuration } from './duration.ts'

/** What reading the text of one option or environment variable gave. `text` says what is wrong and what was wanted. */
export type Taken<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly text: string }

/** How the text after an option is read. `shown` stands for it in the help; undefined for a switch, which takes none. */
export type Value<T> = {
  readonly shown: string | undefined
  readonly read: (text: string) => Taken<T>
}

/** Requests for the registry `host` go to `url`; the names stay. `credentials`: those of `host` may be sent there. */
export type Mirror = { readonly host: string; readonly url: string; readonly credentials: boolean }

export const text = (shown: string): Value<string> => ({
  shown,
  read: (given) => (given === '' ? wrong('must not be empty') : right(given)),
})

export const toggle: Value<boolean> = { shown: undefined, read: readBoolean }

export const port: Value<number> = {
  shown: 'PORT',
  read(given) {
    const number = /^[0-9]{1,5}$/.test(given) ? Number(given) : NaN
    return number <= 65_535 ? right(number) : wrong(`not a port: ${quoted(given)}`)
  },
}

export const duration: Value<number> = {
  shown: 'DURATION',
  read(given) {
    const milliseconds = readDuration(given)
    return milliseconds === undefined ? wrong(`not a duration such as 45s or 1m30s: ${quoted(given)}`) : right(milliseconds)
  },
}

/** One of a few words. */
export function oneOf<const T extends string>(...words: readonly T[]): Value<T> {
  return {
    shown: words.join('|'),
    read(given) {
      const word = words.find((w) => w === given)
      return word === undefined ? wrong(`must be one of ${words.join(', ')}: ${quoted(given)}`) : right(word)
    },
  }
}

/** `HOST=URL[,credentials]`. A path in URL is kept: it is put between `/v2/` and the repository. */
export const mirror: Value<Mirror> = {
  shown: 'HOST=URL[,credentials]',
  read(given) {
    const at = given.indexOf('=')
    if (at <= 0) return wrong(`must be HOST=URL or HOST=URL,credentials: ${quoted(given)}`)
    const credentials = given.endsWith(',credentials')
    const written = given.slice(at + 1, credentials ? -',credentials'.length : undefined)
    const url = URL.parse(written)
    if (!url || !/^https?:$/.test(url.protocol)) return wrong(`the mirror must be an http or https URL: ${quoted(written)}`)
    // The whole text is not shown: it holds a password.
    if (url.username !== '' || url.password !== '') return wrong('the URL of a mirror must not hold a user name or password')
    if (url.search !== '' || url.hash !== '' || written.includes(','))
      return wrong(`the URL of a mirror ends with its path: ${quoted(written)}`)
    const host = readHost(given.slice(0, at))
    return host.ok ? right({ host: host.value, url: url.href.replace(/\/+$/, ''), credentials }) : host
  },
}

/** Where a TUF repository is. What it says is signed, so plain http is good enough. */
export const repositoryUrl: Value<URL> = {
  shown: 'URL',
  read(given) {
    const url = URL.parse(given)
    if (!url || !/^https?:$/.test(url.protocol)) return wrong(`must be an http or https URL: ${quoted(given)}`)
    // The whole text is not shown: it may hold a password.
    if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
      return wrong('the URL of a TUF repository must hold no user name, password, query or fragment')
    return right(url)
  },
}

export const registryHost: Value<string> = { shown: 'HOST', read: readHost }

/** An instant as RFC 3339 writes it, with its zone. */
export const instant: Value<Date> = {
  shown: 'RFC3339',
  read(given) {
    const whole = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/.test(given)
    const date = new Date(given.toUpperCase())
    return whole && !Number.isNaN(date.getTime()) ? right(date) : wrong(`not an instant such as 2026-01-31T12:00:00Z: ${quoted(given)}`)
  },
}

/** `host`, `host:port`, `1.2.3.4:port`, `[::1]:port`; no scheme, no path. In the one spelling that references are read in: `docker.io` is `index.docker.io`. */
function readHost(given: string): Taken<string> {
  const host = canonicalHost(given)
  return host === undefined ? wrong(`must be a registry's host or host:port, without scheme and path: ${quoted(given)}`) : right(host)
}

/** As Go's `strconv.ParseBool`. */
function readBoolean(given: string): Taken<boolean> {
  if (/^(1|t|T|TRUE|true|True)$/.test(given)) return right(true)
  if (/^(0|f|F|FALSE|false|False)$/.test(given)) return right(false)
  return wrong(`must be true or false: ${quoted(given)}`)
}

function right<T>(value: T): Taken<T> {
  return { ok: true, value }
}

function wrong(why: string): { readonly ok: false; readonly text: string } {
  return { ok: false, text: why }
}

const MAX_SHOWN = 200 // characters of what was typed that an error repeats

function quoted(given: string): string {
  const line = JSON.stringify(given).slice(1, -1)
  return `\`${line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line}\``
}
