import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readPolicy } from '../../src/policy/read.ts'

function read(spec: object) {
  return readPolicy('p', {
    apiVersion: 'policy.sigstore.dev/v1alpha1',
    kind: 'ClusterImagePolicy',
    metadata: { name: 'p', anything: [1] },
    spec,
    status: { conditions: [] },
  })
}

test('a policy that uses every field of specification 1.2 is read without problems', () => {
  const policy = {
    type: 'cue',
    data: '',
    remote: { url: 'u', sha256sum: 's' },
    configMapRef: { name: 'n', namespace: 'n', key: 'k' },
    fetchConfigFile: true,
    includeSpec: false,
    includeObjectMeta: true,
    includeTypeMeta: true,
  }
  const key = { secretRef: { name: 's', namespace: 'n' }, data: 'd', kms: 'k', hashAlgorithm: 'sha512' }
  const { spec, problems } = read({
    images: [{ glob: '**' }],
    authorities: [
      {
        name: 'a',
        key,
        keyless: {
          'url': 'u',
          'identities': [{ issuer: 'i', issuerRegExp: 'i', subject: 's', subjectRegExp: 's' }],
          'ca-cert': key,
          'trustRootRef': 't',
          'insecureIgnoreSCT': true,
        },
        static: { action: 'pass', message: 'm' },
        source: [{ oci: 'o', signaturePullSecrets: [{ name: 's' }], tagPrefix: 'p' }],
        ctlog: { url: 'u', trustRootRef: 't' },
        attestations: [{ name: 'n', predicateType: 't', policy }],
        rfc3161timestamp: { trustRootRef: 't' },
        signatureFormat: 'bundle',
      },
    ],
    policy,
    mode: 'warn',
    match: [
      {
        group: 'g',
        version: 'v',
        resource: 'r',
        selector: { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'k', operator: 'In', values: ['v'] }] },
      },
    ],
  })
  assert.deepEqual(problems, [])
  assert.deepEqual(spec.authorities?.[0]?.key, key)
  assert.deepEqual(spec.match?.[0]?.selector?.matchLabels, { a: 'b' })
})

for (const raw of [undefined, null, 5, 'text', [], { spec: null }, { spec: [] }, { spec: { images: [null] } }]) {
  test(`${JSON.stringify(raw)} is no policy, and says so instead of throwing`, () => assert.ok(readPolicy('p', raw).problems.length > 0))
}
