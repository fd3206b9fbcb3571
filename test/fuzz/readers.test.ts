import { makeSigner, signatureManifest, signBundle, signOldForm } from '../../fakes/signer.ts'
import { readConversion } from '../../src/admission/conversion.ts'
import { readReview } from '../../src/admission/review.ts'
import { whySkipped } from '../../src/admission/skip.ts'
import { readWorkload } from '../../src/admission/workload.ts'
import { convert, setDefaults } from '../../src/configure.ts'
import { digestOf } from '../../src/image/digest.ts'
import { readJson } from '../../src/image/json.ts'
import { readManifest } from '../../src/image/manifest.ts'
import { readReference } from '../../src/image/reference.ts'
import { defaulted } from '../../src/policy/default.ts'
import { compileGlob, whyDead } from '../../src/policy/glob.ts'
import { readKmsKey } from '../../src/policy/kms.ts'
import { readPolicy } from '../../src/policy/read.ts'
import { defaultSettings, readSettings } from '../../src/policy/settings.ts'
import { decodeBase64 } from '../../src/sigstore/base64.ts'
import { readBundle } from '../../src/sigstore/bundle.ts'
import { compileIdentity } from '../../src/sigstore/identity.ts'
import { readPayload } from '../../src/sigstore/payload.ts'
import { readStatement } from '../../src/sigstore/statement.ts'
import { readPublicKey } from '../../src/trust/key.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { readDocuments } from '../../src/world/cluster/documents.ts'
import { readObjects } from '../../src/world/cluster/objects.ts'
import { readChallenge } from '../../src/world/registry/challenge.ts'
import { cloudHostOf } from '../../src/world/registry/cloud-registry.ts'
import { readDockerCfg, readDockerConfig, readOwnDockerConfig } from '../../src/world/registry/docker-config.ts'
import { refusal } from '../../src/world/registry/registry-error.ts'
import type { Reader } from './reader.ts'
import { fuzz, HOSTILE_BYTES, of, text } from './reader.ts'

const signer = makeSigner()
const digest = digestOf(Buffer.from('an image'))
const old = signOldForm(signer, digest)
const bundle = signBundle(signer, digest)
const pod = {
  metadata: { name: 'web', labels: { app: 'web' } },
  spec: { containers: [{ name: 'web', image: 'ghcr.io/acme/web@' + digest }] },
}
const review = {
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: { uid: 'u', kind: { group: '', version: 'v1', kind: 'Pod' }, operation: 'CREATE', namespace: 'n', object: pod, oldObject: null },
}
const policy = {
  apiVersion: 'policy.sigstore.dev/v1beta1',
  kind: 'ClusterImagePolicy',
  metadata: { name: 'p' },
  spec: {
    images: [{ glob: 'ghcr.io/acme/**' }],
    authorities: [
      { key: { data: signer.pem, hashAlgorithm: 'sha256' } },
      { keyless: { identities: [{ issuer: 'https://a.example', subjectRegExp: '^b$' }] }, ctlog: { url: 'https://rekor.example' } },
    ],
    match: [{ resource: 'pods', version: 'v1', selector: { matchLabels: { app: 'web' } } }],
    mode: 'enforce',
  },
}
const trustRoot = {
  apiVersion: 'policy.sigstore.dev/v1alpha1',
  kind: 'TrustRoot',
  metadata: { name: 't' },
  spec: { remote: { root: 'e30=', mirror: 'https://tuf.example' } },
}
const conversion = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'ConversionReview',
  request: { uid: 'u', desiredAPIVersion: 'policy.sigstore.dev/v1alpha1', objects: [policy] },
}
function written(object: { apiVersion: string; kind: string }): object {
  const [group = '', version = ''] = object.apiVersion.split('/')
  return { ...review, request: { ...review.request, kind: { group, version, kind: object.kind }, object } }
}
const dockerAuths = { 'https://index.docker.io/v1/': { auth: 'dXNlcjpwYXNz' }, '*.example:5000/a': { username: 'u', password: 'p' } }

const readers: readonly Reader[] = [
  {
    name: 'readJson',
    samples: [JSON.stringify(review), '{"__proto__":{"a":[1e9,-0.5,true,null,"\\ud800\\n"]}}'],
    read: (bytes) => {
      const got = readJson(bytes, { bytes: 4 * HOSTILE_BYTES, depth: 64, values: 20_000 })
      return got.ok ? 'read' : { why: got.detail }
    },
  },
  {
    name: 'readManifest',
    samples: [signatureManifest(digest, [old]).manifest.bytes],
    read: (bytes) => {
      const got = readManifest(bytes, undefined)
      return got.ok ? 'read' : { why: got.detail }
    },
  },
  { name: 'readBundle', samples: [JSON.stringify(bundle)], read: (bytes) => of(readBundle(bytes)) },
  { name: 'readPayload', samples: [old.payload], read: (bytes) => of(readPayload(bytes)) },
  { name: 'readStatement', samples: [Buffer.from(bundle.dsseEnvelope.payload, 'base64')], read: (bytes) => of(readStatement(bytes)) },
  {
    name: 'decodeBase64',
    samples: ['TWFu\r\nTWE='],
    read: (bytes) => {
      const got = decodeBase64(text(bytes))
      return got.ok ? 'read' : { why: got.detail }
    },
  },
  { name: 'readPublicKey', samples: [signer.pem, makeSigner('ed25519').pem], read: (bytes) => of(readPublicKey(text(bytes), '')) },
  {
    name: 'compileIdentity, an expression',
    samples: ['^https://github\\.com/(?:acme|example)/[^/@]+/.*@refs/(heads|tags)/v\\d{1,3}$'],
    read: (bytes) => {
      const got = compileIdentity({ issuer: 'i', subjectRegExp: text(bytes) }, { subjectGlobs: true })
      if (got.ok) got.value.identity.subject.matches('https://github.com/acme/web/.github/workflows/a.yml@refs/heads/main', 'bundle')
      return of(got)
    },
  },
  {
    name: 'compileIdentity, a glob',
    samples: ['https://github.com/acme/*/.github/workflows/*@*'],
    read: (bytes) => {
      const got = compileIdentity({ issuer: 'i', subject: text(bytes) }, { subjectGlobs: true })
      if (got.ok) got.value.identity.subject.matches(text(bytes).replaceAll('*', 'a'), 'annotations')
      return of(got)
    },
  },
  {
    name: 'compileGlob',
    isWordy: true,
    samples: ['ghcr.io/acme/**', 'gcr.io/*/a*b@sha256:*'],
    read: (bytes) => {
      const glob = compileGlob(text(bytes))
      glob.matches(`ghcr.io/acme/web@${digest}`)
      return glob.broken ? { why: 'broken' } : { why: whyDead(glob.text) ?? 'alive' }
    },
  },
  {
    name: 'readReference',
    samples: [`ghcr.io/acme/web:v1@${digest}`, 'localhost:5000/a__b', '[::1]:5000/ab'],
    read: (bytes) => (readReference(text(bytes)) ? 'read' : { why: 'not a reference' }),
  },
  {
    name: 'readReview',
    samples: [JSON.stringify(review)],
    read: (bytes) => {
      const got = readReview(bytes)
      if (!got.ok) return { why: got.text }
      whySkipped(got.review, { recheckUnchanged: false })
      const workload = readWorkload(got.review)
      // Only the API server sends reviews, and the specified text names its kind whole.
      return workload.ok ? 'read' : { why: workload.text.slice(0, 1000) }
    },
  },
  {
    name: 'readConversion',
    samples: [JSON.stringify(conversion)],
    read: (bytes) => {
      const got = readConversion(bytes)
      if (!got.ok) return { why: got.text }
      const { result } = convert(got.conversion).response
      // It shows 100 characters of an object, and names a kind and a version whole.
      return result.status === 'Success' ? 'read' : { why: result.message.slice(0, 1000) }
    },
  },
  {
    name: 'setDefaults',
    samples: [policy, trustRoot].map((object) => JSON.stringify(written(object))),
    read: (bytes) => {
      const got = readReview(bytes)
      if (!got.ok) return { why: got.text }
      const { response } = setDefaults(got.review)
      // Likewise.
      return response.allowed ? 'read' : { why: (response.status?.message ?? '').slice(0, 1000) }
    },
  },
  {
    name: 'readPolicy',
    samples: [JSON.stringify(policy)],
    read: (bytes) => {
      const json = readJson(bytes, { bytes: 4 * HOSTILE_BYTES, depth: 64, values: 20_000 })
      if (!json.ok) return { why: json.detail }
      const { problems, spec } = readPolicy('p', json.value)
      defaulted(spec)
      const [first] = problems
      return first ? { why: `${first.at}: found ${first.found}, wanted ${first.wanted}` } : 'read'
    },
  },
  {
    name: 'readSettings',
    samples: ['{"no-match-policy":"deny","remember-passes":"5m","fail-on-empty-authorities":"true"}'],
    read: (bytes) => {
      const json = readJson(bytes, { bytes: 4 * HOSTILE_BYTES, depth: 64, values: 20_000 })
      if (!json.ok || typeof json.value !== 'object' || json.value === null) return { why: 'no object' }
      const [first] = readSettings(json.value as Record<string, unknown>, defaultSettings).problems
      return first ? { why: `${first.key}: found ${first.found}, wanted ${first.wanted}` } : 'read'
    },
  },
  {
    name: 'readDocuments',
    hostileBytes: 32 * 1024, // the parser makes an error of each character: linear, but slow; and the files are the operator's own
    samples: [
      `# a file\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: &n web, labels: {a: *n}}\n---\n${JSON.stringify(policy)}\n`,
    ],
    read: async (bytes) => {
      const got = await readDocuments(text(bytes))
      if (!got.ok) return { why: got.problem }
      const objects = readObjects(got.documents)
      return objects.ok ? 'read' : { why: objects.problem }
    },
  },
  {
    name: 'readDockerConfig',
    samples: [JSON.stringify({ auths: dockerAuths, credsStore: 'x' })],
    read: (bytes) => {
      const got = readDockerConfig(bytes, 'a file')
      return got.ok ? 'read' : { why: got.error }
    },
  },
  {
    name: 'readDockerCfg',
    samples: [JSON.stringify(dockerAuths)],
    read: (bytes) => {
      const got = readDockerCfg(bytes, 'a file')
      return got.ok ? 'read' : { why: got.error }
    },
  },
  {
    name: 'readOwnDockerConfig',
    samples: [JSON.stringify({ auths: dockerAuths, credsStore: 'x', credHelpers: { 'registry.example': 'ecr-login' } })],
    read: (bytes) => {
      const got = readOwnDockerConfig(bytes, 'a file')
      return got.ok ? 'read' : { why: got.error }
    },
  },
  {
    name: 'readKmsKey',
    samples: [
      'awskms://localhost:4566/arn:aws:kms:us-east-2:111122223333:alias/ExampleAlias',
      'gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1',
      'azurekms://myvault.vault.azure.net/signing/0123456789abcdef',
      'hashivault://team-a.cosign_2',
    ],
    read: (bytes) => {
      const got = readKmsKey(text(bytes))
      return got.ok ? 'read' : { why: got.detail }
    },
  },
  {
    name: 'cloudHostOf',
    samples: ['123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com', 'europe-west1-docker.pkg.dev', 'myregistry.azurecr.io'],
    read: (bytes) => (cloudHostOf(text(bytes)) ? 'read' : { why: 'nobody’s' }),
  },
  {
    name: 'readChallenge',
    samples: ['Bearer realm="https://auth.example/token",service="a b",scope="repository:a:pull", Basic realm="x\\"y"'],
    read: (bytes) => (readChallenge(text(bytes)) ? 'read' : { why: 'no challenge' }),
  },
  {
    name: 'the errors of a registry',
    isWordy: true,
    samples: ['{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository"}]}]}'],
    read: (bytes) => ({ why: sentenceOf(refusal('GET', 'https://registry.example/v2/', 401, bytes)) }),
  },
]

fuzz(readers)
