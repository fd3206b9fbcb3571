import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Cosign, type Form, type KeyKind, type KeyPair, cosignEnv, formOptions, importKey } from './cosign.ts'
import type { RepositoryContent } from './fixtures.ts'
import { type Part, type Parts, VERSIONS, parts } from './parts.ts'
import { must, temporaryFolder } from './processes.ts'
import { type Registry, digestOf, get, pushImage, pushIndex, startRegistry } from './registry.ts'

/**
 * Makes test/fixtures/cosign anew: what real cosigns wrote into a real registry, with keys that are thrown away afterwards.
 *
 *   node e2e/make-fixtures.ts [NAME…]
 *
 * A folder a fixture: `registry.json` holds the registry's content as it answered it, `cosign.pub` the key that signed, `made.json` how.
 */
const FOLDER = fileURLToPath(new URL('../test/fixtures/cosign/', import.meta.url))
const REPOSITORY = 'acme/web'

type Step = {
  cosign: Cosign
  form: Form
  /** An attestation of this predicate type, as cosign names it; without it the step signs. */
  attests?: string
  options?: readonly string[]
  foreign?: true
  env?: Readonly<Record<string, string>>
}
type Fixture = { name: string; says: string; key?: KeyKind; referrersApi?: true; index?: true; steps: readonly Step[] }

const versionOf = (cosign: Cosign): string => VERSIONS[cosign].slice(1)
const cosigns = ['cosign2', 'cosign3'] as const

const fixtures: readonly Fixture[] = cosigns.flatMap((cosign): Fixture[] => {
  const at = versionOf(cosign)
  const usual: Form = cosign === 'cosign2' ? 'tag' : 'bundle'
  const keys = ['p384', 'p521', 'rsa2048', 'ed25519'] as const
  return [
    { name: `${at}-tag`, says: 'annotations under the tag sha256-….sig', steps: [{ cosign, form: 'tag' }] },
    {
      name: `${at}-referrers-api`,
      says: 'annotations as OCI 1.1 referrer, in a registry with the referrers API',
      referrersApi: true,
      steps: [{ cosign, form: 'referrer' }],
    },
    {
      name: `${at}-referrers-fallback`,
      says: 'annotations as OCI 1.1 referrer, in a registry without the referrers API',
      steps: [{ cosign, form: 'referrer' }],
    },
    {
      name: `${at}-bundle-api`,
      says: 'Sigstore bundle as referrer, in a registry with the referrers API',
      referrersApi: true,
      steps: [{ cosign, form: 'bundle' }],
    },
    {
      name: `${at}-bundle-fallback`,
      says: 'Sigstore bundle as referrer, in a registry without the referrers API',
      steps: [{ cosign, form: 'bundle' }],
    },
    ...keys.flatMap((key): Fixture[] => [
      { name: `${at}-tag-${key}`, says: `annotations, key ${key}`, key, steps: [{ cosign, form: 'tag' }] },
      { name: `${at}-bundle-${key}`, says: `Sigstore bundle, key ${key}`, key, steps: [{ cosign, form: 'bundle' }] },
    ]),
    {
      name: `${at}-two-signatures`,
      says: 'a signature by another key, then one by cosign.pub',
      steps: [
        { cosign, form: usual, foreign: true },
        { cosign, form: usual },
      ],
    },
    { name: `${at}-annotated`, says: 'signed with -a', steps: [{ cosign, form: usual, options: ['-a', 'env=prod', '-a', 'team=web'] }] },
    { name: `${at}-index`, says: 'a multi-arch image: only the index is signed', index: true, steps: [{ cosign, form: usual }] },
    {
      name: `${at}-index-recursive`,
      says: 'a multi-arch image signed with --recursive',
      index: true,
      steps: [{ cosign, form: usual, options: ['--recursive'] }],
    },
    {
      name: `${at}-elsewhere`,
      says: 'signatures kept in another repository (source.oci)',
      steps: [{ cosign, form: 'tag', env: { COSIGN_REPOSITORY: `REGISTRY/${at}-elsewhere/signatures` } }],
    },
    {
      name: `${at}-attested-tag`,
      says: 'two attestations under the tag sha256-….att, the first by another key',
      steps: [
        { cosign, form: 'tag', attests: 'custom', foreign: true },
        { cosign, form: 'tag', attests: 'slsaprovenance1' },
      ],
    },
    {
      name: `${at}-attested-bundle-api`,
      says: 'a signature and two attestations, Sigstore bundles as referrers, in a registry with the referrers API',
      referrersApi: true,
      steps: [
        { cosign, form: 'bundle' },
        { cosign, form: 'bundle', attests: 'custom' },
        { cosign, form: 'bundle', attests: 'slsaprovenance1' },
      ],
    },
    {
      name: `${at}-attested-bundle-fallback`,
      says: 'an attestation, Sigstore bundle as referrer, in a registry without the referrers API',
      steps: [{ cosign, form: 'bundle', attests: 'vuln' }],
    },
  ]
})

const mixed: readonly Fixture[] = [
  {
    name: 'both-forms',
    says: 'an annotation under the tag by another key, and a bundle by cosign.pub',
    steps: [
      { cosign: 'cosign2', form: 'tag', foreign: true },
      { cosign: 'cosign3', form: 'bundle' },
    ],
  },
  {
    name: '2.6.5-tag-prefix',
    says: 'signed with --attachment-tag-prefix (source.tagPrefix)',
    steps: [{ cosign: 'cosign2', form: 'tag', options: ['--attachment-tag-prefix=signed-'] }],
  },
]

async function make(): Promise<void> {
  const wanted: readonly Part[] = ['registry', 'cosign2', 'cosign3']
  const built = await parts(wanted)
  const home = temporaryFolder('fixtures')
  const registries = {
    api: await startRegistry(built.registry, join(home, 'api.log'), true),
    fallback: await startRegistry(built.registry, join(home, 'fallback.log'), false),
  }
  try {
    const named = process.argv.slice(2)
    for (const fixture of [...fixtures, ...mixed]) {
      if (named.length > 0 && !named.includes(fixture.name)) continue
      rmSync(join(FOLDER, fixture.name), { recursive: true, force: true })
      await makeOne(fixture, built, home, fixture.referrersApi ? registries.api : registries.fallback)
      console.log(fixture.name)
    }
  } finally {
    await registries.api.stop()
    await registries.fallback.stop()
  }
}

async function makeOne(fixture: Fixture, built: Parts, home: string, registry: Registry): Promise<void> {
  const folder = join(FOLDER, fixture.name)
  mkdirSync(folder, { recursive: true })
  const repository = `${fixture.name}/${REPOSITORY}`
  const digest = fixture.index
    ? await pushIndex(registry, repository, 'v1', ['linux/amd64', 'linux/arm64'])
    : await pushImage(registry, repository, 'v1', fixture.name)
  const key = await importKey(built, home, `${fixture.name}.ours`, fixture.key ?? 'p256')
  const foreign = await importKey(built, home, `${fixture.name}.foreign`, 'p256')
  const commands: string[] = []
  for (const step of fixture.steps)
    commands.push(await signed(step, step.foreign ? foreign : key, `${registry.host}/${repository}@${digest}`))
  const made = {
    says: fixture.says,
    image: `${repository}@${digest}`,
    key: fixture.key ?? 'p256',
    cosign: [...new Set(fixture.steps.map((step) => VERSIONS[step.cosign]))],
    commands,
    registry: `go-containerregistry ${VERSIONS.registry}, ${fixture.referrersApi ? 'with' : 'without'} the referrers API`,
  }
  writeFileSync(join(folder, 'made.json'), `${JSON.stringify(made, undefined, 2)}\n`)
  writeFileSync(join(folder, 'cosign.pub'), key.pem)
  const content: Record<string, RepositoryContent> = { [repository]: await contentOf(registry, repository, fixture.referrersApi) }
  if (fixture.name.endsWith('-elsewhere')) content[`${fixture.name}/signatures`] = await contentOf(registry, `${fixture.name}/signatures`)
  writeFileSync(
    join(folder, 'registry.json'),
    `${JSON.stringify({ referrersApi: fixture.referrersApi ?? false, repositories: content }, undefined, 2)}\n`,
  )

  function predicate(type: string): string {
    const file = join(home, `${type}.json`)
    writeFileSync(file, JSON.stringify(predicates[type]))
    return file
  }

  /** Signs, and answers the command as it was, but for names of this run. */
  async function signed(step: Step, by: KeyPair, image: string): Promise<string> {
    const options = [...formOptions[step.cosign][step.form], ...(step.options ?? [])]
    const act = step.attests === undefined ? ['sign'] : ['attest', '--type', step.attests, '--predicate', predicate(step.attests)]
    const more = Object.fromEntries(Object.entries(step.env ?? {}).map(([name, value]) => [name, value.replace('REGISTRY', registry.host)]))
    await must(built[step.cosign], [...act, '--yes', '--key', by.file, ...options, image], { env: cosignEnv(home, more) })
    const env = Object.entries({ COSIGN_EXPERIMENTAL: '1', ...step.env }).map(([name, value]) => `${name}=${value}`)
    return [
      ...env,
      'cosign',
      ...act.map((word) => word.replace(`${home}/`, '')),
      '--yes',
      '--key',
      step.foreign ? 'foreign.key' : 'cosign.key',
      ...options,
      image.replace(registry.host, 'REGISTRY'),
    ].join(' ')
  }
}

/** A small predicate of a type, as a file. */
const predicates: Readonly<Record<string, object>> = {
  custom: { reviewed: true },
  slsaprovenance1: {
    buildDefinition: {
      buildType: 'https://example.com/build/v1',
      externalParameters: {},
      internalParameters: {},
      resolvedDependencies: [],
    },
    runDetails: { builder: { id: 'https://example.com/builder' }, metadata: { invocationId: '1' } },
  },
  vuln: {
    invocation: { 'uri': 'https://example.com/scan/1', 'event_id': '1', 'builder.id': 'scan' },
    scanner: { uri: 'https://example.com/scanner', version: '1.0.0', db: { uri: '', version: '' }, result: { findings: [] } },
    metadata: { scanStartedOn: '2026-01-01T00:00:00Z', scanFinishedOn: '2026-01-01T00:01:00Z' },
  },
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends object ? Mutable<T[K]> : T[K] }
type Descriptor = { digest: string }
type Manifest = { config?: Descriptor; layers?: Descriptor[]; manifests?: Descriptor[] }

async function contentOf(registry: Registry, repository: string, referrersApi = false): Promise<RepositoryContent> {
  const content = { tags: {}, manifests: {}, blobs: {}, referrers: {} } as Mutable<RepositoryContent>
  const { tags } = JSON.parse(await text(`${repository}/tags/list`)) as { tags: string[] }
  for (const tag of tags.toSorted()) content.tags[tag] = await take(tag)
  return content

  /** Takes a manifest and all that it speaks of; answers its digest. */
  async function take(reference: string): Promise<string> {
    const found = await get(registry, `${repository}/manifests/${reference}`)
    if (found === undefined) throw new Error(`${repository}: ${reference} is not there`)
    const digest = digestOf(found.text)
    if (content.manifests[digest] !== undefined) return digest
    content.manifests[digest] = found
    const { config, layers = [], manifests = [] } = JSON.parse(found.text) as Manifest
    for (const blob of [...(config ? [config] : []), ...layers])
      content.blobs[blob.digest] = await text(`${repository}/blobs/${blob.digest}`)
    for (const part of manifests) await take(part.digest)
    if (referrersApi) {
      content.referrers[digest] = await text(`${repository}/referrers/${digest}`)
      for (const referrer of (JSON.parse(content.referrers[digest]) as Manifest).manifests ?? []) await take(referrer.digest)
    }
    return digest
  }

  async function text(path: string): Promise<string> {
    const found = await get(registry, path)
    if (found === undefined) throw new Error(`GET /v2/${path}: not there`)
    return found.text
  }
}

await make()
