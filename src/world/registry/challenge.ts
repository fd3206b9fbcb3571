const MAX_HEADER = 8 * 1024 // characters of WWW-Authenticate that are read; real ones have some 200
const MAX_REALM = 2 * 1024 // characters of a realm's URL

/** What a registry asks for with a 401, in the form that is answered. */
export type Challenge =
  | { readonly kind: 'basic' }
  /** Whoever wants the repository first fetches a token at `realm` (distribution-spec, «Token Authentication»). */
  | { readonly kind: 'bearer'; readonly realm: URL; readonly service: string | undefined; readonly scope: string | undefined }

/**
 * Reads the `WWW-Authenticate` headers of an answer (RFC 9110 section 11.6.1: several challenges, in one header or in several) and chooses:
 * Bearer before Basic, since a password that is shown to one token service is better than one that is sent with every request.
 * Undefined: there is none that this client can answer.
 */
export function readChallenge(header: string | readonly string[] | undefined): Challenge | undefined {
  const offers = challengesIn(header === undefined ? '' : typeof header === 'string' ? header : header.join(', '))
  for (const { scheme, parameters } of offers) {
    if (scheme !== 'bearer') continue
    const text = parameters.get('realm') ?? ''
    const realm = text.length <= MAX_REALM ? URL.parse(text) : null
    if (!realm || (realm.protocol !== 'https:' && realm.protocol !== 'http:') || realm.username || realm.password) continue
    realm.hash = ''
    return { kind: 'bearer', realm, service: parameters.get('service'), scope: parameters.get('scope') }
  }
  return offers.some(({ scheme }) => scheme === 'basic') ? { kind: 'basic' } : undefined
}

type Offer = { readonly scheme: string; readonly parameters: Map<string, string> }

// One of: a comma; a parameter `name=value` or `name="value"`; a word, which begins a challenge.
const PIECE = /[\s,]*(?:([\w!#$%&'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|([\w!#$%&'*+.^`|~-]+))/y

function challengesIn(header: string): readonly Offer[] {
  const offers: Offer[] = []
  const text = header.slice(0, MAX_HEADER)
  PIECE.lastIndex = 0
  for (let piece = PIECE.exec(text); piece; piece = PIECE.exec(text)) {
    const [, name, quotedValue, value, scheme] = piece
    if (scheme !== undefined) offers.push({ scheme: scheme.toLowerCase(), parameters: new Map() })
    else if (name !== undefined) offers.at(-1)?.parameters.set(name.toLowerCase(), quotedValue?.replace(/\\(.)/g, '$1') ?? value ?? '')
  }
  return offers
}
