import { lookup as systemLookup } from 'node:dns'
import type { LookupAddress, LookupOptions } from 'node:dns'
import { BlockList, isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import { LRUCache } from 'lru-cache'
import { Slots } from '../slots.ts'

const AT_ONCE = 3 // names that are asked for at a time: the system's resolver has four threads, which read files too, and a name whose server does not answer takes one for ten seconds or more
const MAX_WAITING = 1024 // names that wait for their turn
const WAIT_MS = 5_000 // for it; whoever wanted to connect has given up then
const SLOW_MS = 1_000 // after which what a name meant before is taken, while it is asked for
const MAX_NAMES = 1_000 // of which is remembered what they meant
const REMEMBERED_MS = 600_000 // how long

/** A connection was about to go where no registry is. The message names the address, which may be shown. */
export class AddressRefused extends Error {
  readonly address: string
  constructor(address: string) {
    super(`address ${address} is link-local or a cloud's metadata service`)
    this.address = address
  }
}

// Whoever may create a Pod chooses the host that is asked, and a registry chooses redirects and token realms. These addresses answer
// every process on a node with the node's own credentials, so nothing here ever connects to them (lesson 43). RFC 1918 stays allowed:
// that is where private registries are.
const REFUSED: readonly (readonly [net: string, prefix: number, family: 'ipv4' | 'ipv6'])[] = [
  ['169.254.0.0', 16, 'ipv4'], // link-local; metadata of AWS, GCP, Azure, OpenStack
  ['100.100.100.200', 32, 'ipv4'], // metadata of Alibaba Cloud
  ['168.63.129.16', 32, 'ipv4'], // Azure's host agent
  ['fe80::', 10, 'ipv6'], // link-local
  ['192.0.0.192', 32, 'ipv4'], // metadata of Oracle Cloud
  ['fd00:ec2::254', 128, 'ipv6'], // metadata of AWS
  ['fd00:ec2::23', 128, 'ipv6'], // the agent of AWS for the identities of Pods
  ['fd20:ce::254', 128, 'ipv6'], // metadata of Google Cloud
  ['fd00:c1::a9fe:a9fe', 128, 'ipv6'], // metadata of Oracle Cloud
]
// BlockList itself compares an IPv4-mapped IPv6 address with the IPv4 rules. The other ways to write an IPv4 address as an IPv6 one
// (RFC 4291 «IPv4-compatible», RFC 6052 NAT64) need rules of their own.
const EMBEDDINGS = ['::', '64:ff9b::']

const refused = new BlockList()
for (const [net, prefix, family] of REFUSED) {
  refused.addSubnet(net, prefix, family)
  if (family === 'ipv4') for (const before of EMBEDDINGS) refused.addSubnet(`${before}${net}`, 96 + prefix, 'ipv6')
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

const rfc1918 = new BlockList()
rfc1918.addSubnet('10.0.0.0', 8, 'ipv4')
rfc1918.addSubnet('172.16.0.0', 12, 'ipv4')
rfc1918.addSubnet('192.168.0.0', 16, 'ipv4')

/** Whether nothing may connect to `ip`; a name, or what is not an address, is not refused here but when it is resolved. */
export function isRefused(ip: string): boolean {
  return isIn(refused, ip)
}

/** How near a host is, judged by its name alone (spec 3.2): what a name resolves to is the network's word, not the operator's. */
export type Nearness = 'loopback' | 'private' | 'public'

/** `hostname` without port; an IPv6 address with or without brackets. */
export function nearness(hostname: string): Nearness {
  const host = bare(hostname)
  if (host === 'localhost' || isIn(loopback, host)) return 'loopback'
  if (host.endsWith('.local') || host.endsWith('.localhost') || isIn(rfc1918, host)) return 'private'
  return 'public'
}

/** An IPv6 address without the brackets that URLs put around it; anything else as it is. */
export function bare(hostname: string): string {
  return hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname
}

/**
 * Resolves names for a connection, and fails with `AddressRefused` when any address of a name is refused: whoever mixes such an address
 * among good ones wants it tried. Literal addresses never come here (`net.connect` does not look them up): check those with `isRefused`.
 * Concurrent questions for one name are one question, since the system's resolver has only a few threads for everybody. Whoever creates a Pod
 * may write a thousand names whose servers never answer: names that were resolved before mean meanwhile what they meant.
 */
export function guardedLookup(lookup: LookupFunction = systemLookup): LookupFunction {
  const asked = new Map<string, Promise<LookupAddress[]>>()
  const known = new LRUCache<string, LookupAddress[]>({ max: MAX_NAMES, ttl: REMEMBERED_MS })
  const slots = new Slots(AT_ONCE, MAX_WAITING)

  async function ask(hostname: string, options: LookupOptions): Promise<LookupAddress[]> {
    if ((await slots.take(AbortSignal.timeout(WAIT_MS))) !== 'taken')
      throw Object.assign(new Error(`too many names are being resolved`), { code: 'EAI_AGAIN', syscall: 'getaddrinfo', hostname })
    try {
      return await new Promise<LookupAddress[]>((found, failed) => {
        lookup(hostname, { ...options, all: true }, (error, addresses) => {
          if (error) failed(error)
          else found(Array.isArray(addresses) ? addresses : [{ address: addresses, family: isIP(addresses) }])
        })
      })
    } finally {
      slots.release()
    }
  }

  function resolve(hostname: string, options: LookupOptions): Promise<LookupAddress[]> {
    const key = `${hostname} ${options.family ?? 0} ${options.hints ?? 0}`
    let answer = asked.get(key)
    if (!answer) {
      answer = ask(hostname, options)
        .then((addresses) => {
          known.set(key, addresses)
          return addresses
        })
        .finally(() => asked.delete(key))
      asked.set(key, answer)
    }
    const before = known.get(key)
    return before ? soon(answer, before) : answer
  }

  return (hostname, options, callback) => {
    resolve(hostname, options).then(
      (addresses) => {
        const bad = addresses.find(({ address }) => isRefused(address))
        const first = addresses[0]
        if (bad) callback(new AddressRefused(bad.address), '')
        else if (!first)
          callback(Object.assign(new Error(`no address for ${hostname}`), { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname }), '')
        else if (options.all) callback(null, addresses)
        else callback(null, first.address, first.family)
      },
      (error: unknown) => callback(error as NodeJS.ErrnoException, ''),
    )
  }
}

function isIn(list: BlockList, ip: string): boolean {
  const family = isIP(ip)
  return family === 4 ? list.check(ip, 'ipv4') : family === 6 && list.check(ip.replace(/%.*$/, ''), 'ipv6')
}

/** The answer, or what it was before when it does not come soon. */
function soon<T>(answer: Promise<T>, before: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(before), SLOW_MS)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
