import { BlockList, isIP } from 'node:net'
import { bare, nearness } from './address.ts'

/** Which requests go through a proxy, as Go's `httpproxy` reads it from the environment. */
export type ProxySettings = {
  readonly httpProxy: URL | undefined
  readonly httpsProxy: URL | undefined
  /** Whether a target is asked directly; `hostname` in lower case, IPv6 without brackets. */
  readonly isExcepted: (hostname: string, port: string) => boolean
}

export const NO_PROXY: ProxySettings = { httpProxy: undefined, httpsProxy: undefined, isExcepted: () => false }

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, or the same in lower case (golang.org/x/net/http/httpproxy).
 * A proxy that is no URL is an error: silently going without it would ask the wrong machine.
 */
export function proxySettings(env: Environment): ProxySettings | { readonly error: string } {
  const http = proxyUrl(env['HTTP_PROXY'] || env['http_proxy'])
  const https = proxyUrl(env['HTTPS_PROXY'] || env['https_proxy'])
  if (http === 'unreadable' || https === 'unreadable') {
    // The value may hold a password, so it is not shown.
    return { error: `${http === 'unreadable' ? 'HTTP_PROXY' : 'HTTPS_PROXY'} is not the URL of a proxy (http://, https:// or socks5://)` }
  }
  return { httpProxy: http, httpsProxy: https, isExcepted: exceptions(env['NO_PROXY'] || env['no_proxy'] || '') }
}

/** The proxy through which `target` is asked; undefined is directly. Loopback is always asked directly, as Go does. */
export function proxyFor(settings: ProxySettings, target: URL): URL | undefined {
  const proxy = target.protocol === 'https:' ? settings.httpsProxy : settings.httpProxy
  if (!proxy) return undefined
  const hostname = bare(target.hostname.toLowerCase())
  if (nearness(hostname) === 'loopback') return undefined
  return settings.isExcepted(hostname, target.port || (target.protocol === 'https:' ? '443' : '80')) ? undefined : proxy
}

function proxyUrl(text: string | undefined): URL | undefined | 'unreadable' {
  if (!text) return undefined
  // `proxy:3128` is how many write it; as a URL it would have the scheme `proxy:`.
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  return url && ['http:', 'https:', 'socks5:'].includes(url.protocol) && url.hostname ? url : 'unreadable'
}

/** `NO_PROXY`: `*`, addresses, CIDR, names (`a.b` also covers `x.a.b`; `.a.b` and `*.a.b` only `x.a.b`), each but CIDR with an optional port. */
function exceptions(text: string): ProxySettings['isExcepted'] {
  const rules: ProxySettings['isExcepted'][] = []
  for (const item of text.toLowerCase().split(',')) {
    const rule = item.trim()
    if (rule === '') continue
    if (rule === '*') return () => true
    const cidr = subnet(rule)
    if (cidr) {
      rules.push((hostname) => isIP(hostname) !== 0 && cidr.check(hostname, isIP(hostname) === 6 ? 'ipv6' : 'ipv4'))
      continue
    }
    const { host, port } = splitPort(rule)
    if (host === '') continue
    const portAgrees = (asked: string): boolean => port === undefined || asked === port
    if (isIP(host)) rules.push((hostname, asked) => hostname === host && portAgrees(asked))
    else {
      const suffix = host.startsWith('*.') ? host.slice(1) : host.startsWith('.') ? host : `.${host}`
      const itself = host.startsWith('*.') || host.startsWith('.') ? undefined : host
      rules.push((hostname, asked) => (hostname.endsWith(suffix) || hostname === itself) && portAgrees(asked))
    }
  }
  return (hostname, port) => rules.some((excepted) => excepted(hostname, port))
}

function subnet(rule: string): BlockList | undefined {
  const [net = '', prefix = '', ...rest] = rule.split('/')
  const family = isIP(net)
  if (family === 0 || rest.length > 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 4 ? 32 : 128)) return undefined
  const list = new BlockList()
  list.addSubnet(net, Number(prefix), family === 4 ? 'ipv4' : 'ipv6')
  return list
}

function splitPort(rule: string): { readonly host: string; readonly port: string | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(rule)
  if (bracketed) return { host: bracketed[1] ?? '', port: bracketed[2] }
  const named = /^([^:]*):(\d+)$/.exec(rule)
  return named ? { host: named[1] ?? '', port: named[2] } : { host: rule, port: undefined }
}
