import type { Reason } from '../verdict/reason.ts'
import { readKmsKey } from './kms.ts'
import type { ClusterObjects, Outside } from './objects.ts'
import type { KeyRef } from './read.ts'
import { isObject } from './shape.ts'

/** The PEM of a key or a certificate chain, or why there is none. `from` is what messages call the place, where it is not the policy itself. */
export type KeyText =
  | { readonly is: 'pem'; readonly pem: string; readonly hashAlgorithm: string; readonly from: string | undefined }
  | { readonly is: 'missing'; readonly cause: string }
  | { readonly is: 'refused'; readonly reason: Reason }
  | { readonly is: 'not-carried-out'; readonly field: string }

/**
 * The PEM of a key, from where the policy says that it lies. Secrets are looked up in the controller's namespace only (specification 10.1).
 * Without `kmsKeys`, which is for certificates, key management services are not.
 */
export function keyText(
  key: KeyRef,
  at: string,
  secrets: ClusterObjects['secrets'],
  systemNamespace: string,
  kmsKeys?: Outside['kmsKeys'],
): KeyText {
  const given = [key.data, key.kms, key.secretRef].filter((k) => k !== undefined && k !== '').length
  if (given !== 1)
    return { is: 'missing', cause: `expected exactly one, got ${given === 0 ? 'neither' : 'both'}: ${at}.data, ${at}.kms, ${at}.secretref` }
  const hashAlgorithm = key.hashAlgorithm ?? ''
  if (key.kms) return kmsKeys ? keyOfService(key.kms, at, hashAlgorithm, kmsKeys) : { is: 'not-carried-out', field: 'kms' }
  if (key.data) return { is: 'pem', pem: key.data, hashAlgorithm, from: undefined }
  const name = key.secretRef?.name ?? ''
  const namespace = key.secretRef?.namespace
  if (namespace && namespace !== systemNamespace)
    return {
      is: 'missing',
      cause: `secret "${name}" is asked for in namespace ${namespace}, but keys are read from ${systemNamespace} only`,
    }
  const secret = secrets.get(name)
  if (!isObject(secret)) return { is: 'missing', cause: `secret "${name}" not found` }
  const entries = isObject(secret['data']) ? Object.values(secret['data']) : []
  if (entries.length === 0) return { is: 'missing', cause: `secret "${name}" contains no data` }
  if (entries.length > 1) return { is: 'missing', cause: `secret "${name}" contains multiple data entries, only one is supported` }
  const [encoded] = entries
  return typeof encoded === 'string'
    ? { is: 'pem', pem: Buffer.from(encoded, 'base64').toString('utf8'), hashAlgorithm, from: `secret "${name}"` }
    : { is: 'missing', cause: `secret "${name}" contains an invalid public key: PEM decoding failed` }
}

function keyOfService(uri: string, at: string, hashAlgorithm: string, kmsKeys: Outside['kmsKeys']): KeyText {
  const named = readKmsKey(uri)
  if (!named.ok) return { is: 'missing', cause: `invalid value: ${uri}: ${at}.kms\n${named.detail}` }
  const read = kmsKeys.get(uri) ?? { ok: false, reason: { code: 'kms-key-unknown', uri, why: 'it was not read yet' } }
  return read.ok ? { is: 'pem', pem: read.value, hashAlgorithm, from: uri } : { is: 'refused', reason: read.reason }
}
