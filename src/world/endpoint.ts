import { nearness } from './address.ts'

/** `--mirror HOST=URL[,credentials]`: requests for registry `host` go to `url`; a path in it goes between `/v2/` and the repository. */
export type Mirror = { readonly host: string; readonly url: URL; readonly credentials: boolean }

/** One way to reach a registry. */
export type Endpoint = {
  /** What everything learned about this endpoint is remembered under: scheme, host, port and path. */
  readonly key: string
  readonly secure: boolean
  /** Why credentials are not sent there; undefined: they are. */
  readonly withholds: 'plain http' | 'mirror' | undefined
  /** The URL that is asked for `/v2/<path>`. */
  readonly url: (path: string) => URL
  /** The URL that messages show: the registry's own name, with the scheme that is really used (issue «--mirror»). */
  readonly shown: (path: string) => string
  /** The repository as the server at this endpoint knows it. */
  readonly repository: (repository: string) => string
}

/** Reads the value of `--mirror`; an error says what is wrong, for the command line. */
export function readMirror(value: string): Mirror | { readonly error: string } {
  const wrong = (why: string): { error: string } => ({ error: `--mirror ${value}: ${why}; write HOST=URL or HOST=URL,credentials` })
  const equals = value.indexOf('=')
  if (equals < 1) return wrong('no registry host before =')
  const [text = '', ...options] = value.slice(equals + 1).split(',')
  if (options.some((option) => option !== 'credentials')) return wrong('the only option is credentials')
  const url = URL.parse(text)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) return wrong('the URL must begin with http:// or https://')
  if (url.username || url.password || url.search || url.hash) return wrong('the URL may only have a scheme, a host, a port and a path')
  return { host: registryName(value.slice(0, equals)), url, credentials: options.length > 0 }
}

/** The name under which references have a registry that an operator wrote as `host`: lower case, one name for Docker Hub. */
export function registryName(host: string): string {
  const name = host.toLowerCase().replace(/\.?(:443)?$/, '')
  return name === 'docker.io' || name === 'registry-1.docker.io' ? 'index.docker.io' : name
}

/**
 * The ways to reach `registry` (canonical `host[:port]`), in the order in which they are tried; empty when it cannot be a host.
 * A mirror is the only way. Public hosts: https. Others: https, then plain http, which carries credentials only to loopback and to hosts
 * that the operator named in `--insecure-registry`.
 */
export function endpointsOf(registry: string, mirrors: readonly Mirror[], insecure: readonly string[]): readonly Endpoint[] {
  const mirror = mirrors.find(({ host }) => host === registry)
  if (mirror) return [endpoint(registry, mirror.url, mirror.credentials ? undefined : 'mirror')]
  const https = URL.parse(`https://${registry}`)
  const http = URL.parse(`http://${registry}`)
  // What is left beside the host could only come from a name that is not one (`a@b`, `a?b`).
  if (!https || !http || [https, http].some((url) => url.username || url.password || url.search || url.hash || url.pathname !== '/'))
    return []
  const near = nearness(https.hostname)
  const named = insecure.includes(registry)
  if (near === 'public' && !named) return [endpoint(registry, https, undefined)]
  return [endpoint(registry, https, undefined), endpoint(registry, http, near === 'loopback' || named ? undefined : 'plain http')]
}

function endpoint(registry: string, base: URL, withholds: Endpoint['withholds']): Endpoint {
  const prefix = base.pathname.replace(/^\/+|\/+$/g, '')
  const inside = (path: string): string => (prefix === '' || path === '' ? path : `${prefix}/${path}`)
  return {
    key: `${base.origin}/${prefix}`,
    secure: base.protocol === 'https:',
    withholds,
    url: (path) => new URL(`${base.origin}/v2/${inside(path)}`),
    shown: (path) => `${base.protocol}//${registry}/v2/${path}`,
    repository: inside,
  }
}
