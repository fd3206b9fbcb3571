/**
 * The examples of the product documentation of the sigstore policy controller's users, each a spec with its placeholders filled and what it leaves
 * out added, nothing else changed. `parts`: what they name is there, so they come to be ready.
 */
export type Documented = { readonly name: string; readonly spec: Readonly<Record<string, unknown>>; readonly isReady: boolean }

export type Placeholders = { readonly key: string; readonly certificate: string }

/** Where keys and certificates lie that examples name, in the namespace of the controller. */
export const SECRETS = { key: 'cosign-public-key', certificate: 'fulcio-certificate', pull: 'signature-pull-secret' } as const

export function documented({ key, certificate }: Placeholders): readonly Documented[] {
  const images = [{ glob: 'registry.example.org/documented/*' }]
  const pass = { static: { action: 'pass' } }
  const of = (name: string, spec: object, isReady = true): Documented => ({ name, spec: { images, ...spec }, isReady })
  const url = 'https://fulcio.example.com'
  const identities = [{ issuerRegExp: '.*', subjectRegExp: '.*' }]
  return [
    of('mode-warn', { mode: 'warn', authorities: [{ key: { data: key } }] }),
    of('key-data', { authorities: [{ key: { data: key } }] }),
    of('key-secret', { authorities: [{ key: { secretRef: { name: SECRETS.key, namespace: 'cosign-system' } } }] }),
    // Nothing here is such a service: the policy is accepted, and says what it waits for.
    of(
      'key-kms',
      { authorities: [{ key: { kms: 'gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1' } }] },
      false,
    ),
    of('keyless-ca-cert-data', { authorities: [{ keyless: { url, 'ca-cert': { data: certificate }, identities } }] }),
    of('keyless-ca-cert-secret', {
      authorities: [{ keyless: { url, 'ca-cert': { secretRef: { name: SECRETS.certificate } }, identities } }],
    }),
    of('keyless-identities', {
      authorities: [
        {
          keyless: {
            url: 'https://fulcio.sigstore.dev',
            identities: [
              { issuer: 'https://accounts.google.com', subject: 'someone@example.com' },
              { issuer: 'https://token.actions.githubusercontent.com', subject: 'https://github.com/mycompany/*/.github/workflows/*' },
              { issuerRegExp: '.*kubernetes.default.*', subjectRegExp: '.*kubernetes.io/namespaces/default/serviceaccounts/default' },
            ],
          },
        },
      ],
    }),
    of('keyless-ctlog', {
      authorities: [{ keyless: { url: 'https://fulcio.sigstore.dev', identities }, ctlog: { url: 'https://rekor.sigstore.dev' } }],
    }),
    of('match', {
      match: [{ resource: 'cronjobs', group: 'batch', version: 'v1', selector: { matchLabels: { app: 'tap' } } }],
      authorities: [pass],
    }),
    of('static-pass', { authorities: [pass] }),
    of('static-fail', { authorities: [{ static: { action: 'fail' } }] }),
    of('source', {
      authorities: [
        { key: { data: key }, source: [{ oci: 'registry.example.org/signatures', signaturePullSecrets: [{ name: SECRETS.pull }] }] },
      ],
    }),
    of('every-image', { images: [{ glob: '**' }], mode: 'warn', authorities: [{ key: { data: key } }] }),
  ]
}
