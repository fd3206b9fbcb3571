import assert from 'node:assert/strict'
import { generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { FakeRegistry } from '../fakes/registry.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../fakes/sigstore/authority.ts'
import { FakeFulcio } from '../fakes/sigstore/fulcio.ts'
import { FakeRekor } from '../fakes/sigstore/rekor.ts'
import { Sigstore } from '../fakes/sigstore/sigstore.ts'
import type { Cosign, Form } from './cosign.ts'
import { cosignEnv } from './cosign.ts'
import { leftOutWithout, partsIfPresent } from './parts.ts'
import { must, run, temporaryFolder } from './processes.ts'

const COSIGNS = ['cosign2', 'cosign3'] as const
const HOST = 'registry.example.com'
const PREDICATE_TYPE = 'https://slsa.dev/provenance/v1'
const sealgate = fileURLToPath(new URL('../bin/sealgate', import.meta.url))

/** What is signed with which cosign, and how it is written. */
const images = COSIGNS.flatMap((cosign) =>
  (['tag', 'referrer', 'bundle'] as const).flatMap((form) =>
    // Attestations of the old form lie under a tag only.
    (form === 'referrer' ? (['sign'] as const) : (['sign', 'attest'] as const)).map((verb) => ({
      name: `${cosign}-${form}-${verb}`,
      cosign,
      form,
      verb,
    })),
  ),
)
type Answer = { response: { uid: string; allowed: boolean; status?: { message: string } } }
type Asked = { readonly subject: string; readonly root: 'ours' | 'theirs' }

// Fulcio and Rekor are of fakes/, on loopback; everything that signs is cosign's own.
suite('what cosign 2.6.5 and 3.1.3 sign and attest to without a key is admitted by identity', { skip: leftOutWithout(COSIGNS) }, () => {
  const closing: { close(): Promise<void> }[] = []
  const digests = new Map<string, string>()
  let registry: FakeRegistry
  let roots: Readonly<Record<'ours' | 'theirs', Sigstore>>
  const answers = new Map<string, ReadonlyMap<string, Answer>>()

  before(async () => {
    const now = Date.now()
    roots = { ours: await Sigstore.create({ now }), theirs: await Sigstore.create({ now }) }
    registry = await FakeRegistry.start()
    const fulcio = await FakeFulcio.start(roots.ours)
    const rekor = await FakeRekor.start(roots.ours)
    closing.push(registry, fulcio, rekor)
    const client = clientOf(roots.ours, fulcio.url, rekor.url)
    for (const image of images) {
      const { name, cosign } = image
      const config = registry.blob(name, '{}')
      const { digest } = registry.manifest(name, { schemaVersion: 2, mediaType: MANIFEST, config, layers: [], annotations: { name } }, 'v1')
      digests.set(name, digest)
      const program = partsIfPresent(COSIGNS)?.[cosign] ?? assert.fail('a cosign has gone')
      await must(program, [...client.arguments(image), `${registry.host}/${name}@${digest}`], { env: client.env })
    }
    for (const [title, asked] of questions) answers.set(title, await review(asked))
  })
  after(() => Promise.all(closing.map((one) => one.close())))

  const questions: readonly (readonly [string, Asked, boolean])[] = [
    ['admitted by the identity that signed', { subject: DEFAULT_SUBJECT, root: 'ours' }, true],
    ['refused where another identity is meant', { subject: 'eve@example.com', root: 'ours' }, false],
    ['refused where another Sigstore is believed', { subject: DEFAULT_SUBJECT, root: 'theirs' }, false],
  ]
  for (const { name } of images)
    for (const [title, , allowed] of questions)
      test(`${name}: ${title}`, () => {
        const { response } = answers.get(title)?.get(name) ?? assert.fail('no answer')
        assert.equal(response.allowed, allowed, response.status?.message ?? 'admitted')
      })

  async function review({ subject, root }: Asked): Promise<ReadonlyMap<string, Answer>> {
    const folder = temporaryFolder('keyless')
    mkdirSync(join(folder, 'reviews'))
    const manifests = [trustRootOf(roots[root]), ...images.map(({ name, verb }) => policyOf(name, subject, verb))]
    writeFileSync(join(folder, 'policies.yaml'), manifests.map((one) => stringify(one)).join('---\n'))
    for (const { name } of images)
      writeFileSync(join(folder, 'reviews', `${name}.json`), JSON.stringify(reviewOf(name, digests.get(name) ?? '')))
    const said = await run(
      sealgate,
      [
        'review',
        `--manifests=${join(folder, 'policies.yaml')}`,
        `--mirror=${HOST}=${registry.url}`,
        '--log-level=error',
        join(folder, 'reviews'),
      ],
      { env: { PATH: process.env['PATH'], HOME: folder } },
    )
    const all = said.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { answer: Answer }).answer)
    assert.equal(all.length, images.length, said.stderr)
    return new Map(all.map((answer) => [answer.response.uid, answer]))
  }
})

const REFERRER = '--registry-referrers-mode=oci-1-1'
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

/** How each cosign is told where to sign, and by whom it checks what it made. */
function clientOf(sigstore: Sigstore, fulcio: string, rekor: string) {
  const folder = temporaryFolder('signing')
  const put = (name: string, text: string): string => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }
  const root = put('root.json', JSON.stringify(sigstore.trustedRoot()))
  const token = put('token', identityToken())
  const predicate = put('predicate.json', '{}')
  const service = (url: string) => ({
    url,
    majorApiVersion: 1,
    validFor: { start: new Date(sigstore.now).toISOString() },
    operator: 'tests',
  })
  const config = put(
    'signing-config.json',
    JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
      caUrls: [service(fulcio)],
      rekorTlogUrls: [service(rekor)],
      rekorTlogConfig: { selector: 'ANY' },
      tsaConfig: { selector: 'ANY' },
    }),
  )
  const old = ['--fulcio-url', fulcio, '--rekor-url', rekor]
  const services: Readonly<Record<Cosign, Readonly<Record<Form, readonly string[]>>>> = {
    cosign2: { tag: old, referrer: [...old, REFERRER], bundle: ['--new-bundle-format', '--trusted-root', root, ...old] },
    cosign3: {
      tag: ['--use-signing-config=false', '--new-bundle-format=false', ...old],
      referrer: ['--use-signing-config=false', '--new-bundle-format=false', ...old, REFERRER],
      bundle: ['--signing-config', config, '--trusted-root', root],
    },
  }
  return {
    env: cosignEnv(folder, {
      SIGSTORE_ROOT_FILE: put('ca.pem', sigstore.caPem()),
      SIGSTORE_REKOR_PUBLIC_KEY: put('rekor.pub', sigstore.logs.v1.map(({ part }) => part.key.pem).join('')),
      SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: put('ctfe.pub', sigstore.certificateLogs.map(({ part }) => part.key.pem).join('')),
    }),
    arguments: ({ cosign, form, verb }: (typeof images)[number]): readonly string[] => [
      verb,
      '--yes',
      '--identity-token',
      token,
      ...services[cosign][form],
      ...(verb === 'attest' ? ['--type', PREDICATE_TYPE, '--predicate', predicate] : []),
    ],
  }
}

/** A token that a client can read; nobody here verifies it. */
function identityToken(): string {
  const claims = { iss: DEFAULT_ISSUER, sub: 'repo:acme/web', email: 'me@example.com', email_verified: true, aud: 'sigstore', exp: 4e9 }
  const parts = [{ alg: 'RS256', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return [...parts, signBytes('sha256', Buffer.from(parts.join('.')), privateKey).toString('base64url')].join('.')
}

function trustRootOf(sigstore: Sigstore): object {
  const spec = { trustedRoot: sigstore.trustedRoot() }
  return { apiVersion: 'policy.sigstore.dev/v1alpha1', kind: 'TrustRoot', metadata: { name: 'ours' }, spec }
}

function policyOf(name: string, subject: string, verb: 'sign' | 'attest'): object {
  const authority = {
    name: 'identity',
    keyless: { url: 'https://fulcio.example', trustRootRef: 'ours', identities: [{ issuer: DEFAULT_ISSUER, subject }] },
    ctlog: { url: 'https://rekor.example', trustRootRef: 'ours' },
    ...(verb === 'attest' ? { attestations: [{ name: 'provenance', predicateType: PREDICATE_TYPE }] } : {}),
  }
  return {
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name },
    spec: { images: [{ glob: `${HOST}/${name}@*` }], authorities: [authority] },
  }
}

function reviewOf(name: string, digest: string): object {
  const spec = { containers: [{ name: 'c', image: `${HOST}/${name}@${digest}` }] }
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', namespace: 'default' }, spec }
  const about = { kind: { group: '', version: 'v1', kind: 'Pod' }, resource: { group: '', version: 'v1', resource: 'pods' } }
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: name, ...about, operation: 'CREATE', namespace: 'default', object },
  }
}
