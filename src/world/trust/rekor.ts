import type { Read } from '../../verdict/read.ts'
import { bare, nearness } from '../network/address.ts'
import type { Target, Transport } from '../network/transport.ts'
import type { RegistryReason } from '../registry/registry-error.ts'
import { refusal } from '../registry/registry-error.ts'

/** Bytes of an answer: an entry has some 10 KiB with its inclusion proof, and up to 100 KiB where it keeps an attestation. */
export const MAX_SEARCH_ANSWER_BYTES = 4 * 1024 * 1024
const MAX_QUERY_BYTES = 16 * 1024 * 1024 // of what is asked: an attestation is sent whole, twice; public logs take less
const PATH = '/api/v1/log/entries/retrieve'

/**
 * Searches Rekor v1 for entries that are like the `proposed` ones (Rekor's API, `searchLogQuery`; specification 7.3.2), and answers the body of
 * what it says, at most 4 MiB, which nobody believes yet. `url` comes from a policy. Answers are believed by the log's signature only, so plain
 * http could hide an entry and not make one; it is spoken all the same only to hosts of a private network.
 * Without an answer: `log-search-failed` (`searching log query: …`), `log-search-timeout`, or `log-without-search` where nothing answers under
 * that path, as with Rekor v2. Never rejects.
 */
export async function searchLog(
  url: string,
  proposed: readonly object[],
  transport: Transport,
  signal: AbortSignal,
): Promise<Read<Uint8Array>> {
  const target = targetOf(url)
  if (!target) return failed(`${JSON.stringify(url.slice(0, 200))} is not a URL of a log: https, or http within a private network`)
  const body = JSON.stringify({ entries: proposed })
  if (body.length > MAX_QUERY_BYTES) return failed(`size of query (${body.length}) exceeded the limit (${MAX_QUERY_BYTES})`)
  const answer = await transport.ask(
    {
      method: 'POST',
      targets: [target],
      headers: { 'content-type': 'application/json', 'accept': 'application/json' },
      body,
      maxBytes: MAX_SEARCH_ANSWER_BYTES,
    },
    signal,
  )
  if (!('status' in answer)) return failedBecause(answer.reason)
  if (answer.status === 404 || answer.status === 405) return { ok: false, reason: { code: 'log-without-search', url: target.shownBase } }
  return answer.status === 200 ? { ok: true, value: answer.body } : failedBecause(refusal('POST', target.shown, answer.status, answer.body))
}

/** Undefined: nothing that is asked. A path in the URL is kept: logs lie behind one. */
function targetOf(text: string): Target | undefined {
  const base = URL.parse(text)
  if (!base || base.username || base.password || base.search || base.hash) return undefined
  const isPrivate = nearness(base.hostname) !== 'public' || isOfCluster(bare(base.hostname))
  if (base.protocol !== 'https:' && !(base.protocol === 'http:' && isPrivate)) return undefined
  const url = new URL(`${base.origin}${base.pathname.replace(/\/+$/, '')}${PATH}`)
  return { url, shown: url.href, shownBase: `${base.origin}/`, kind: 'log' }
}

/** Names of Services: `rekor`, `rekor.rekor-system.svc`, `rekor.rekor-system.svc.cluster.local`. */
function isOfCluster(hostname: string): boolean {
  return /^[a-z0-9-]+$/.test(hostname) || hostname.endsWith('.svc')
}

function failedBecause({ code, text }: RegistryReason): Read<never> {
  return code === 'registry-timeout' ? { ok: false, reason: { code: 'log-search-timeout', text } } : failed(text)
}

function failed(text: string): Read<never> {
  return { ok: false, reason: { code: 'log-search-failed', text } }
}
