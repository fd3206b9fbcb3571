import { REGISTRY } from './processes.ts'

/** A policy about the images of the benchmark's registry, satisfied by a signature with the key (PEM). */
export function policyOf(key: string, name = 'signed', glob = `${REGISTRY}/**`): object {
  return {
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name },
    spec: { images: [{ glob }], authorities: [{ name: 'official', key: { data: key, hashAlgorithm: 'sha256' } }] },
  }
}
