/** What the example policies trust: a key (PEM), and a Sigstore of the demonstration's own (a trusted root) with the identity that it certifies. */
export type Trusted = {
  readonly pem: string
  readonly trustedRoot: object
  readonly identity: { readonly issuer: string; readonly subject: string }
}

/** The example policies by file: the sample of the product documentation, one for a team's own registry, and one for what a workflow releases. */
export function examplePolicies({ pem, trustedRoot, identity }: Trusted): Readonly<Record<string, string>> {
  return {
    'image-policy.yaml': policy('image-policy', 'gcr.io/projectsigstore/cosign*', key('official-cosign-key', pem)),
    'team-policy.yaml': policy('team-policy', 'registry.demo.example/team/**', key('team-key', pem)),
    'release-policy.yaml': `${policy('release-policy', 'registry.demo.example/released/**', keyless('release-workflow', identity))}---
apiVersion: policy.sigstore.dev/v1alpha1
kind: TrustRoot
metadata:
  name: demo-sigstore
spec:
  trustedRoot: ${JSON.stringify(trustedRoot)}
`,
  }
}

function policy(name: string, glob: string, authority: string): string {
  return `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: ${name}
spec:
  mode: enforce
  images:
    - glob: ${glob}
  authorities:
${authority}`
}

function key(name: string, pem: string): string {
  return `    - name: ${name}
      key:
        data: |
${pem.trimEnd().replaceAll(/^/gm, '          ')}
`
}

function keyless(name: string, { issuer, subject }: Trusted['identity']): string {
  return `    - name: ${name}
      keyless:
        trustRootRef: demo-sigstore
        identities:
          - issuer: ${issuer}
            subject: ${subject}
      ctlog:
        trustRootRef: demo-sigstore
`
}
