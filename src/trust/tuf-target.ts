import type { X509Certificate } from '@sigstore/core'
import type { Json } from '../image/json.ts'
import { isJsonObject } from '../image/json.ts'
import type { Read } from '../verdict/read.ts'
import { sentenceOf } from '../verdict/reason.ts'
import { readCertificates } from './certificate.ts'
import { readPublicKey } from './key.ts'
import type { LogKey, TrustMaterial, Validity } from './material.ts'
import { authoritiesOf, logKeyOf, MAX_INSTANCES, MAX_URL, trustMaterial } from './trusted-root.ts'

/** Targets of the older kind that are downloaded: a request each. Sigstore's own repository has eight. */
export const MAX_LEGACY_TARGETS = MAX_INSTANCES

const USAGES = ['Fulcio', 'CTFE', 'Rekor'] as const
export type Usage = (typeof USAGES)[number]

/** A target of the older kind: a certificate chain or a public key, as PEM. */
export type LegacyTarget = { readonly file: string; readonly usage: Usage; readonly uri: string; readonly bytes: Uint8Array }

/** The older kind knew no periods. */
const ALWAYS: Validity = { from: 0, until: undefined }

/** What `custom` metadata says that a target is for: `{"sigstore": {"usage": "Fulcio", "uri": …}}`; undefined: nothing that is trusted. */
export function usageOf(custom: Json | undefined): { readonly usage: Usage; readonly uri: string } | undefined {
  const sigstore = isJsonObject(custom) ? custom['sigstore'] : undefined
  if (!isJsonObject(sigstore)) return undefined
  const usage = USAGES.find((known) => known === sigstore['usage'])
  const uri = sigstore['uri']
  return usage && { usage, uri: typeof uri === 'string' ? uri.slice(0, MAX_URL) : '' }
}

/**
 * The trust material that targets of the older kind make (specification 10.3): Fulcio's are certificate authorities, CTFE's certificate
 * logs, Rekor's transparency logs. The bytes are those that metadata names, and nothing else of them is believed. Answers
 * `trust-root-unreadable` with the target; never throws.
 */
export function materialOf(targets: readonly LegacyTarget[], name: string): Read<TrustMaterial> {
  const unreadable = (detail: string): Read<never> => ({ ok: false, reason: { code: 'trust-root-unreadable', name, detail } })
  const chains: { at: string; uri: string; certificates: readonly X509Certificate[]; valid: Validity }[] = []
  const logs: Record<'CTFE' | 'Rekor', LogKey[]> = { CTFE: [], Rekor: [] }
  for (const { file, usage, uri, bytes } of targets) {
    if (usage === 'Fulcio') {
      const certificates = readCertificates(Buffer.from(bytes))
      if (!certificates.ok) return unreadable(`deserializing certificate chain: ${file}: ${sentenceOf(certificates.reason)}`)
      chains.push({ at: file, uri, certificates: certificates.value, valid: ALWAYS })
    } else {
      const key = readPublicKey(Buffer.from(bytes).toString('latin1'), '')
      if (!key.ok) return unreadable(`creating transparency log instance: ${file}: ${sentenceOf(key.reason)}`)
      logs[usage].push(logKeyOf(key.value, uri, ALWAYS))
    }
  }
  if (chains.length === 0) return unreadable('no certificate authorities found')
  const joined = authoritiesOf(chains, false)
  if (!joined.ok) return unreadable(`deserializing certificate chain: ${joined.at}: ${joined.detail}`)
  return {
    ok: true,
    value: trustMaterial({
      name,
      certificateAuthorities: joined.authorities,
      certificateLogs: logs.CTFE,
      transparencyLogs: logs.Rekor,
      timestampAuthorities: [],
      until: undefined,
    }),
  }
}
