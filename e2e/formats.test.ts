import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { FakeRegistry } from '../fakes/registry.ts'
import { type Fixture, attestedFixtureNames, fixtureNames, readFixture } from './fixtures.ts'
import { run, temporaryFolder } from './processes.ts'

type Answer = { response: { uid: string; allowed: boolean; status?: { message: string } } }

const sealgate = fileURLToPath(new URL('../bin/sealgate', import.meta.url))
const fixtures = [...fixtureNames(), ...attestedFixtureNames()].map(readFixture)

// Everything between the policy and the bytes takes part: globs, registry client, referrers API and fallback tag, verification, texts.
suite('what cosign 2.6.5 and 3.1.3 write with a key is found without any setting in the policy', () => {
  const registries: FakeRegistry[] = []
  let admitted: ReadonlyMap<string, Answer>
  let refused: ReadonlyMap<string, Answer>

  before(async () => {
    registries.push(await FakeRegistry.start({ referrers: 'api' }), await FakeRegistry.start({ referrers: 404 }))
    for (const fixture of fixtures) fill(registries[fixture.referrersApi ? 0 : 1], fixture)
    const [one, other] = [readFixture('2.6.5-tag').key, readFixture('3.1.3-tag').key]
    admitted = await review(({ key }) => key)
    refused = await review(({ key }) => (key === one ? other : one))
  })
  after(() => Promise.all(registries.map((registry) => registry.close())))

  for (const { name } of fixtures) {
    test(`${name}: admitted with the key that signed`, () => {
      const { response } = admitted.get(name) ?? assert.fail('no answer')
      assert.deepEqual({ allowed: response.allowed, message: response.status?.message }, { allowed: true, message: undefined })
    })

    test(`${name}: refused with another key`, () => {
      const { response } = refused.get(name) ?? assert.fail('no answer')
      assert.equal(response.allowed, false)
      assert.match(
        response.status?.message ?? '',
        /^validation failed: failed policy: fixture-.*: spec\.containers\[0\]\.image\n.* (signature|attestation) key validation failed for authority authority-0 for /,
      )
    })
  }

  /** Asks about a pod of each fixture's image; the answers by fixture. */
  async function review(keyOf: (fixture: Fixture) => string): Promise<ReadonlyMap<string, Answer>> {
    const folder = temporaryFolder('formats')
    mkdirSync(join(folder, 'reviews'))
    writeFileSync(join(folder, 'policies.yaml'), fixtures.map((fixture) => stringify(policyFor(fixture, keyOf(fixture)))).join('---\n'))
    for (const fixture of fixtures) writeFileSync(join(folder, 'reviews', `${fixture.name}.json`), JSON.stringify(reviewOf(fixture)))
    const mirrors = registries.map(({ url }, at) => `--mirror=${HOSTS[at]}=${url}`)
    const said = await run(
      sealgate,
      ['review', `--manifests=${join(folder, 'policies.yaml')}`, ...mirrors, '--log-level=error', join(folder, 'reviews')],
      {
        env: { PATH: process.env['PATH'], HOME: folder },
      },
    )
    const answers = said.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { answer: Answer }).answer)
    assert.equal(answers.length, fixtures.length, said.stderr)
    return new Map(answers.map((answer) => [answer.response.uid, answer]))
  }
})

const HOSTS = ['api.example.com', 'fallback.example.com']

function fill(registry: FakeRegistry | undefined, fixture: Fixture): void {
  for (const [repository, { manifests, blobs, tags }] of Object.entries(fixture.repositories)) {
    for (const text of Object.values(blobs)) registry?.blob(repository, text)
    for (const { text, mediaType } of Object.values(manifests)) registry?.manifest(repository, Buffer.from(text), undefined, mediaType)
    for (const [tag, digest] of Object.entries(tags)) registry?.tag(repository, tag, digest as `sha256:${string}`)
  }
}

function imageOf(fixture: Fixture): string {
  return `${HOSTS[fixture.referrersApi ? 0 : 1]}/${fixture.image}`
}

/** A key and nothing else, but for what cannot be found otherwise: another repository, another tag, another hash than SHA-256 in the old form. */
function policyFor(fixture: Fixture, key: string): object {
  const { name, kind } = fixture
  const hashes: Partial<Record<Fixture['kind'], string>> = { p384: 'sha384', p521: 'sha512' }
  const hash = name.includes('-tag-p') ? hashes[kind] : undefined
  const source = {
    ...(name.endsWith('-elsewhere') ? { oci: `${HOSTS[1]}/${name}/signatures` } : {}),
    ...(name.endsWith('-tag-prefix') ? { tagPrefix: 'signed-' } : {}),
  }
  return {
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name: `fixture-${name}` },
    spec: {
      images: [{ glob: `${imageOf(fixture).split('@')[0]}@*` }],
      authorities: [
        {
          key: { data: key, ...(hash === undefined ? {} : { hashAlgorithm: hash }) },
          ...(Object.keys(source).length > 0 ? { source: [source] } : {}),
          ...(name.includes('-attested-') ? { attestations: attestationsOf(name) } : {}),
        },
      ],
    },
  }
}

/** The attestations by `cosign.pub` that the image has, and that are all wanted. */
function attestationsOf(name: string): readonly object[] {
  const types = name.endsWith('-tag') ? ['slsaprovenance1'] : name.endsWith('-api') ? ['custom', 'slsaprovenance1'] : ['vuln']
  return types.map((predicateType) => ({ name: predicateType, predicateType }))
}

function reviewOf(fixture: Fixture): object {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: fixture.name,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace: 'default',
      object: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'pod', namespace: 'default' },
        spec: { containers: [{ name: 'c', image: imageOf(fixture) }] },
      },
    },
  }
}
