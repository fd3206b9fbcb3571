import type { ClusterObjects } from './objects.ts'
import type { KeyRef } from './read.ts'
import { isObject } from './shape.ts'

/** The PEM of a key or a certificate chain, or why there is none. */
export type KeyText =
  | { readonly is: 'pem'; readonly pem: string; readonly hashAlgorithm: string; readonly from: string | undefined }
  | { readonly is: 'missing'; readonly cause: string }
  | { readonly is: 'not-carried-out'; readonly field: string }

/** The PEM of a key, from where the policy says that it lies. Secrets are looked up in the controller's namespace only (specification 10.1). */
export function keyText(key: KeyRef, at: string, secrets: ClusterObjects['secrets'], systemNamespace: string): KeyText {
  const given = [key.data, key.kms, key.secretRef].filter((k) => k !== undefined && k !== '').length
  if (given !== 1)
    return { is: 'missing', cause: `expected exactly one, got ${given === 0 ? 'neither' : 'both'}: ${at}.data, ${at}.kms, ${at}.secretref` }
  if (key.kms) return { is: 'not-carried-out', field: 'kms' }
  const hashAlgorithm = key.hashAlgorithm ?? ''
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
    ? { is: 'pem', pem: Buffer.from(encoded, 'base64').toString('utf8'), hashAlgorithm, from: name }
    : { is: 'missing', cause: `secret "${name}" contains an invalid public key: PEM decoding failed` }
}
