import type { ASN1Obj } from '@sigstore/core'
import { byBytes } from '../verdict/diagnostic.ts'
import type { CertificateFacts, GeneralName } from './certificate.ts'
import { encodingOf } from './certificate.ts'

const EMAIL = 1
const DNS = 2
const DIRECTORY = 4
const URI = 6
const IP = 7
const OBEYED: readonly number[] = [EMAIL, DNS, DIRECTORY, URI, IP]

/**
 * Which name of `certificate` the name constraints of an authority above it forbid (RFC 5280, sections 4.2.1.10 and 6.1), in words;
 * undefined: none. E-mail addresses, DNS names, directory names, URIs and IP addresses are obeyed; constraints on any other form of name
 * refuse, and so does a name that cannot be compared. Text is compared without case where the form has none.
 */
export function whyNotPermitted(certificate: CertificateFacts, constraints: CertificateFacts['nameConstraints']): string | undefined {
  if (!constraints) return undefined
  const { permitted, excluded } = constraints
  if ([...permitted, ...excluded].some(({ tag }) => !OBEYED.includes(tag))) return 'it constrains a form of name that is not supported'
  const subject: GeneralName[] =
    certificate.subject.length === 0 ? [] : [{ tag: DIRECTORY, value: certificate.subject, parts: [certificate.subjectName] }]
  const mailboxes = certificate.names.length === 0 ? mailboxesIn(certificate.subjectName) : []
  for (const name of [...subject, ...mailboxes, ...certificate.names]) {
    const ofForm = ({ tag }: GeneralName): boolean => tag === name.tag
    const [wanted, unwanted] = [permitted.filter(ofForm), excluded.filter(ofForm)]
    if (wanted.length === 0 && unwanted.length === 0) continue
    const form = FORMS[name.tag]
    const within = unwanted.map((subtree) => form?.(name, subtree))
    // Undefined: it cannot be compared, and then it is neither permitted nor certainly not excluded.
    if (within.some((is) => is !== false)) return 'it excludes one of the names below it'
    if (wanted.length > 0 && !wanted.some((subtree) => form?.(name, subtree) === true))
      return 'it does not permit one of the names below it'
  }
  return undefined
}

/** Whether a name lies within a subtree; undefined where one of the two cannot be compared. */
type Form = (name: GeneralName, subtree: GeneralName) => boolean | undefined

const FORMS: { readonly [tag: number]: Form | undefined } = {
  [EMAIL]: isMailboxWithin,
  [DNS]: (name, subtree) => isHostWithin(ascii(name), ascii(subtree), 'with those below it'),
  [DIRECTORY]: isDirectoryWithin,
  [URI]: (name, subtree) => isHostWithin(hostOf(ascii(name)), ascii(subtree), 'alone'),
  [IP]: isAddressWithin,
}

function ascii({ value, parts }: GeneralName): string | undefined {
  return parts.length === 0 && value.every((byte) => byte > 0x20 && byte < 0x7f) ? value.toString('latin1') : undefined
}

const HOST = /^[a-z0-9_*-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/

/**
 * A subtree that begins with a dot is everything below that host; without one, DNS means the host and all below it, URIs and mailboxes
 * the host alone.
 */
function isHostWithin(name: string | undefined, subtree: string | undefined, host: 'alone' | 'with those below it'): boolean | undefined {
  const [found, wanted] = [name?.toLowerCase(), subtree?.toLowerCase()]
  if (found === undefined || wanted === undefined || !HOST.test(found)) return undefined
  if (wanted === '') return true
  if (!HOST.test(wanted.replace(/^\./, ''))) return undefined
  if (wanted.startsWith('.')) return found.endsWith(wanted)
  return found === wanted || (host === 'with those below it' && found.endsWith(`.${wanted}`))
}

const MAILBOX = /^([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+)@([^@]+)$/

function isMailboxWithin(name: GeneralName, subtree: GeneralName): boolean | undefined {
  const [, user, host] = MAILBOX.exec(ascii(name) ?? '') ?? []
  const wanted = ascii(subtree)
  if (wanted === undefined || !wanted.includes('@')) return isHostWithin(host, wanted, 'alone')
  const [, wantedUser, wantedHost] = MAILBOX.exec(wanted) ?? []
  if (user === undefined || host === undefined || wantedUser === undefined || wantedHost === undefined) return undefined
  return isHostWithin(host, wantedHost, 'alone') === true && user === wantedUser
}

// No backslash, no bracket, no empty host: whatever two parsers of URLs could read in two ways.
const AUTHORITY = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/(?:[^/?#@\\]*@)?([^/?#@:\\[\]]+)(?::\d*)?(?:[/?#]|$)/

/** The host of a URI; undefined where it has none, or an IP address, which no constraint speaks of. */
function hostOf(uri: string | undefined): string | undefined {
  const [, host] = AUTHORITY.exec(uri ?? '') ?? []
  return host === undefined || /^[\d.]+$/.test(host) ? undefined : host
}

function isAddressWithin({ value }: GeneralName, subtree: GeneralName): boolean | undefined {
  const length = subtree.value.length / 2
  const [network, mask] = [subtree.value.subarray(0, length), subtree.value.subarray(length)]
  const bits = [...mask].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  if (![4, 16].includes(length) || ![4, 16].includes(value.length) || bits.includes('01')) return undefined
  return value.length === length && value.every((byte, i) => (byte & (mask[i] ?? 0)) === ((network[i] ?? 0) & (mask[i] ?? 0)))
}

const EMAIL_ADDRESS = '2a864886f70d010901' // PKCS #9

/** Mailboxes in a subject, which count where there are no alternative names (RFC 5280, section 4.2.1.10). */
function mailboxesIn(subject: ASN1Obj): GeneralName[] {
  const attributes = subject.subs.flatMap((set) => set.subs)
  return attributes.flatMap(({ subs: [type, value] }) =>
    value && type?.value.toString('hex') === EMAIL_ADDRESS ? [{ tag: EMAIL, value: value.value as Buffer, parts: value.subs }] : [],
  )
}

// — directory names (RFC 5280, section 7.1)

function isDirectoryWithin(name: GeneralName, subtree: GeneralName): boolean | undefined {
  const [found, wanted] = [partsOf(name), partsOf(subtree)]
  if (!found || !wanted) return undefined
  return wanted.length <= found.length && wanted.every((part, i) => part === found[i])
}

/** The relative names, each as text that is equal when they are. */
function partsOf({ parts: [sequence, ...more] }: GeneralName): readonly string[] | undefined {
  if (!sequence || more.length > 0) return undefined
  const parts = sequence.subs.map((set) => set.subs.map(attribute))
  return parts.some((set) => set.includes('')) ? undefined : parts.map((set) => set.toSorted(byBytes).join('\n'))
}

/** UTF8String, NumericString, PrintableString, TeletexString, IA5String, VisibleString, BMPString. */
const ENCODINGS: { readonly [tag: number]: string | undefined } = {
  12: 'utf-8',
  18: 'utf-8',
  19: 'utf-8',
  20: 'latin1',
  22: 'utf-8',
  26: 'utf-8',
  30: 'utf-16be',
}
const UNIVERSAL_STRING = 28

/**
 * Type and value of one attribute, '' for none, or where the value is no text. Compared as RFC 4518 prepares it (section 2): without case and what
 * nobody sees, with runs of space as one, whatever type of string it is: another spelling must not evade an exclusion.
 */
function attribute({ subs: [type, value] }: ASN1Obj): string {
  if (!type || !value) return ''
  const text = textOf(value)
  if (text === undefined) return ''
  const seen = text.replace(UNSEEN, '').normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase()
  return `${type.value.toString('hex')}=${JSON.stringify(seen)}`
}

/** What RFC 4518 maps to nothing: format and control characters but those that are space, and variation selectors. */
const UNSEEN = /(?!\s)[\p{Cc}\p{Cf}\p{Variation_Selector}\ufffc]|\u034f|\ufeff/gu

/** Undefined: it says to be text, and is none. What is no text is compared byte for byte. */
function textOf(value: ASN1Obj): string | undefined {
  const { tag } = value
  const encoding = tag.isUniversal() && !tag.constructed ? ENCODINGS[tag.number] : undefined
  try {
    if (encoding !== undefined) return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(value.value)
    if (!tag.isUniversal() || tag.number !== UNIVERSAL_STRING) return `#${encodingOf(value).toString('hex')}`
    const words = Array.from({ length: value.value.length / 4 }, (_, i) => (value.value as Buffer).readUInt32BE(4 * i))
    return value.value.length % 4 === 0 ? String.fromCodePoint(...words) : undefined
  } catch {
    return undefined
  }
}
