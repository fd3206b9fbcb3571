import type { HostClass } from '../metrics.ts'
import { nearness } from './address.ts'

/** `--mirror HOST=URL[,credentials]`: requests for registry `host` (canonical) go to `url`; a path in it goes between `/v2/` and the repository. */
export type Mirror = { readonly host: string; readonly url: string; readonly credentials: boolean }

/** One way to reach a registry. */
export type Endpoint = {
  /** What everything learned about this endpoint is remembered under: scheme, host, port and path. */
  readonly key: string
  readonly secure: boolean
  /** Why credentials are not sent there; undefined: they are. */
  readonly withholds: 'plain http' | 'mirror' | undefined
  /** For metrics. */
  readonly kind: HostClass
  /** The URL that is asked for `/v2/<path>`. */
  readonly url: (path: string) => URL
  /** The URL that messages show: the registry's own name, with the scheme that is really used (issue «--mirror»). */
  readonly shown: (path: string) => string
  /** The path of a URL below `/v2/`, as `url` takes it; undefined: the URL is somewhere else. */
  readonly below: (url: URL) => string | undefined
  /** The repository as the server at this endpoint knows it. */
  readonly repository: (repository: string) => string
}

/**
 * The ways to reach `registry` (canonical `host[:port]`), in the order in which they are tried; empty when it cannot be a host.
 * A mirror is the only way. Public hosts: https. Others: https, then plain http, which carries credentials only to loopback and to hosts
 * that the operator named in `--insecure-registry`.
 */
export function endpointsOf(registry: string, mirrors: readonly Mirror[], insecure: readonly string[]): readonly Endpoint[] {
  // As of any option that is given twice, the last counts.
  const mirror = mirrors.findLast(({ host }) => host === registry)
  if (mirror) return [endpoint(registry, new URL(mirror.url), mirror.credentials ? undefined : 'mirror', 'mirror')]
  const https = URL.parse(`https://${registry}`)
  const http = URL.parse(`http://${registry}`)
  // What is left beside the host could only come from a name that is not one (`a@b`, `a?b`).
  if (!https || !http || [https, http].some((url) => url.username || url.password || url.search || url.hash || url.pathname !== '/'))
    return []
  const near = nearness(https.hostname)
  const named = insecure.includes(registry)
  if (near === 'public' && !named) return [endpoint(registry, https, undefined, near)]
  return [
    endpoint(registry, https, undefined, near),
    endpoint(registry, http, near === 'loopback' || named ? undefined : 'plain http', near),
  ]
}

function endpoint(registry: string, base: URL, withholds: Endpoint['withholds'], kind: HostClass): Endpoint {
  const prefix = base.pathname.replace(/^\/+|\/+$/g, '')
  const inside = (path: string): string => (prefix === '' || path === '' ? path : `${prefix}/${path}`)
  const root = prefix === '' ? '/v2/' : `/v2/${prefix}/`
  return {
    key: `${base.origin}/${prefix}`,
    secure: base.protocol === 'https:',
    withholds,
    kind,
    url: (path) => new URL(`${base.origin}/v2/${inside(path)}`),
    shown: (path) => `${base.protocol}//${registry}/v2/${path}`,
    below: ({ origin, pathname, search }) =>
      origin === base.origin && pathname.startsWith(root) ? `${pathname.slice(root.length)}${search}` : undefined,
    repository: inside,
  }
}
