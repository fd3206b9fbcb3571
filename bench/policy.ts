import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../fakes/sigstore/authority.ts'
import { REGISTRY } from './processes.ts'

/** A policy about the images of the benchmark's registry, satisfied by a signature with the key (PEM), or by attestations of these types. */
export function policyOf(key: string, name = 'signed', glob = `${REGISTRY}/**`, types: readonly string[] = []): object {
  const attestations = types.length > 0 ? { attestations: types.map((predicateType, i) => ({ name: `type-${i}`, predicateType })) } : {}
  return {
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name },
    spec: { images: [{ glob }], authorities: [{ name: 'official', key: { data: key, hashAlgorithm: 'sha256' }, ...attestations }] },
  }
}

/** A TrustRoot that says what `trustedRoot` does, and a policy that is satisfied by the benchmark's identity. */
export function keylessPolicyOf(trustedRoot: object): readonly object[] {
  const identities = [{ issuer: DEFAULT_ISSUER, subject: DEFAULT_SUBJECT }]
  const authority = {
    name: 'release',
    keyless: { url: 'https://fulcio.example', identities, trustRootRef: 'bench' },
    ctlog: { trustRootRef: 'bench' },
  }
  return [
    { apiVersion: 'policy.sigstore.dev/v1alpha1', kind: 'TrustRoot', metadata: { name: 'bench' }, spec: { trustedRoot } },
    {
      apiVersion: 'policy.sigstore.dev/v1beta1',
      kind: 'ClusterImagePolicy',
      metadata: { name: 'keyless' },
      spec: { images: [{ glob: `${REGISTRY}/**` }], authorities: [authority] },
    },
  ]
}
