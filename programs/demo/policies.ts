/** The example policies by file: the sample of the product documentation, and one for a team's own registry. `pem` is the key that both trust. */
export function examplePolicies(pem: string): Readonly<Record<string, string>> {
  return {
    'image-policy.yaml': policy('image-policy', 'gcr.io/projectsigstore/cosign*', 'official-cosign-key', pem),
    'team-policy.yaml': policy('team-policy', 'registry.demo.example/team/**', 'team-key', pem),
  }
}

function policy(name: string, glob: string, authority: string, pem: string): string {
  return `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: ${name}
spec:
  mode: enforce
  images:
    - glob: ${glob}
  authorities:
    - name: ${authority}
      key:
        data: |
${pem.trimEnd().replaceAll(/^/gm, '          ')}
`
}
