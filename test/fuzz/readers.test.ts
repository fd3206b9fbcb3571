import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeSigner, signatureManifest, signBundle, signOldForm } from '../../fakes/signer.ts'
import { readReview } from '../../src/admission/review.ts'
import { whySkipped } from '../../src/admission/skip.ts'
import { readWorkload } from '../../src/admission/workload.ts'
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
import type { Read } from '../../src/verdict/read.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { readChallenge } from '../../src/world/challenge.ts'
import { cloudHostOf } from '../../src/world/cloud-registry.ts'
import { readDockerCfg, readDockerConfig, readOwnDockerConfig } from '../../src/world/docker-config.ts'
import { readDocuments } from '../../src/world/documents.ts'
import { readObjects } from '../../src/world/objects.ts'
import { refusal } from '../../src/world/registry-error.ts'

/** What a reader made of bytes: something, or why not in words. */
type Answer = 'read' | { readonly why: string }

/** A reader of bytes that somebody else wrote, and bytes that it reads. */
type Reader = {
  readonly name: string
  readonly samples: readonly (string | Uint8Array)[]
  /** How much of the same it is given; a quarter MiB unless something else is said. */
  readonly hostileBytes?: number
  read(bytes: Uint8Array): Answer | Promise<Answer>
}

const MAX_WHY = 4096 // characters of a reason
const MAX_MILLISECONDS = 5000 // for 256 KiB on a busy machine; what needs steps by the square of it takes minutes
const HOSTILE_BYTES = 256 * 1024
/** `SEALGATE_FUZZ=100 npm test -- test/fuzz/readers.test.ts` tries a hundred times as much. */
const TIMES = Number(process.env['SEALGATE_FUZZ'] ?? 1)

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const of = (read: Read<unknown>): Answer => (read.ok ? 'read' : { why: sentenceOf(read.reason) })

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
    samples: ['{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository"}]}]}'],
    read: (bytes) => ({ why: sentenceOf(refusal('GET', 'https://registry.example/v2/', 401, bytes)) }),
  },
]

// — bytes

/** Pieces that mean something to some reader, or are an end of what numbers and texts can be. */
const TOKENS = (
  '{ } [ ] " : , \\ - * @ / % & = null true -1 1e999 9007199254740993 18446744073709551616 !!x &a *a (? {1000} é sha256: \\u0000 \\ud800 ' +
  '"__proto__": -----BEGIN -----END'
)
  .split(' ')
  .concat(
    ' ',
    '\n',
    '\0',
    '\ufeff',
    '\ud83d',
    '---\n',
    '*a ',
    '-----BEGIN PUBLIC KEY-----\n',
    '-----END PUBLIC KEY-----\n',
    '0\u0080',
    '0\u0082',
    '\u0004\u0084',
  )
  .map((token) => Buffer.from(token, /[\u0080-\u00bf]/.test(token) ? 'latin1' : 'utf8'))

type Edit = {
  readonly at: number
  readonly edit: 'flip' | 'cut' | 'repeat' | 'insert'
  readonly size: number
  readonly token: number
  readonly times: number
}

const edits: fc.Arbitrary<Edit[]> = fc.array(
  fc.record({
    at: fc.nat(1_000_000),
    edit: fc.constantFrom('flip', 'cut', 'repeat', 'insert'),
    size: fc.integer({ min: 1, max: 64 }),
    token: fc.nat(TOKENS.length - 1),
    times: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 300 })),
  }),
  { minLength: 1, maxLength: 6 },
)

function edited(sample: Uint8Array, all: readonly Edit[]): Buffer {
  let bytes = Buffer.from(sample)
  for (const { at, edit, size, token, times } of all) {
    const from = at % (bytes.length + 1)
    const before = bytes.subarray(0, from)
    const piece = bytes.subarray(from, from + size)
    const after = bytes.subarray(from + piece.length)
    const made = {
      flip: Buffer.from(piece.map((b) => b ^ (1 << (times % 8)))),
      cut: Buffer.alloc(0),
      repeat: piece,
      insert: TOKENS[token] ?? piece,
    }[edit]
    const many = edit === 'repeat' || edit === 'insert' ? times : 1
    bytes = Buffer.concat([before, ...Array.from({ length: many }, () => made), ...(edit === 'insert' ? [piece] : []), after])
  }
  return bytes
}

/** What depth, count and length are made of. */
const REPEATED = [...TOKENS, ...['{"a":', '[{', 'a: ', '- ', 'a,', 'aA0'].map((token) => Buffer.from(token))]

async function answerOf(reader: Reader, bytes: Uint8Array): Promise<Answer> {
  const answer = await reader.read(bytes)
  if (answer === 'read') return answer
  assert.ok(answer.why.length > 0, 'a reason says something')
  assert.ok(answer.why.length <= MAX_WHY, `a reason of ${answer.why.length} characters`)
  assert.ok(!answer.why.includes('[object ') && !answer.why.includes('undefined'), answer.why)
  return answer
}

for (const reader of readers) {
  const samples = reader.samples.map((sample) => Buffer.from(sample))

  test(`${reader.name} reads what it should`, async () => {
    for (const sample of samples) {
      const answer = await answerOf(reader, sample)
      // Two that answer with words only.
      if (reader.name !== 'compileGlob' && reader.name !== 'the errors of a registry') assert.equal(answer, 'read')
    }
  })

  test(`${reader.name} answers any bytes with a reason, and never throws`, () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 512 }), async (bytes) => void (await answerOf(reader, bytes))),
      { numRuns: 150 * TIMES },
    ))

  test(`${reader.name} answers what was changed here and there, and never throws`, () =>
    fc.assert(
      fc.asyncProperty(fc.constantFrom(...samples), edits, async (sample, all) => void (await answerOf(reader, edited(sample, all)))),
      { numRuns: 400 * TIMES },
    ))

  test(`${reader.name} answers much of the same soon (lessons 38, 41)`, async () => {
    for (const token of REPEATED) {
      const bytes = Buffer.alloc(reader.hostileBytes ?? HOSTILE_BYTES, token)
      const start = performance.now()
      await answerOf(reader, bytes)
      const took = performance.now() - start
      assert.ok(took <= MAX_MILLISECONDS, `${JSON.stringify(token.toString())} again and again took ${took.toFixed()} ms`)
    }
  })
}
