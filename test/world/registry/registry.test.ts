import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { mintCertificates } from '../../../fakes/certificates.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../fakes/registry-content.ts'
import { FakeRegistry } from '../../../fakes/registry.ts'
import type { FakeRegistryOptions } from '../../../fakes/registry.ts'
import { digestOf, hexOf } from '../../../src/image/digest.ts'
import type { Digest } from '../../../src/image/digest.ts'
import { uncounted } from '../../../src/world/metrics.ts'
import { NO_PROXY } from '../../../src/world/network/proxy.ts'
import type { Fetched, Keychain } from '../../../src/world/registry/fetched.ts'
import { Registry, registryOptions } from '../../../src/world/registry/registry.ts'

const anonymous: Keychain = { credentialsFor: () => [{ kind: 'anonymous', source: 'anonymous' }], scope: () => '' }
const registries: { close(): Promise<void> }[] = []
after(() => Promise.all(registries.map((one) => one.close())))

async function fake(options?: FakeRegistryOptions): Promise<FakeRegistry> {
  const started = await FakeRegistry.start(options)
  registries.push(started)
  return started
}
function client(mirrors: { host: string; url: string; credentials: boolean }[] = []): Registry {
  const opened = new Registry({
    mirrors,
    insecureRegistries: [],
    ca: () => [],
    proxy: NO_PROXY,
    userAgent: 'sealgate/test',
    count: () => {},
  })
  registries.push(opened)
  return opened
}
const soon = (): AbortSignal => AbortSignal.timeout(4000)
const at = (registry: string, repository = 'team/app') => ({ registry, repository })
const IMAGE = { schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [] }

function value<T>(fetched: Fetched<T>): T {
  assert.equal(fetched.state, 'found', JSON.stringify(fetched))
  return (fetched as { value: T }).value
}
function why(fetched: Fetched<unknown>): [state: string, code: string, text: string] {
  assert.ok(fetched.state !== 'found', 'found')
  return [fetched.state, fetched.reason.code, 'text' in fetched.reason ? fetched.reason.text : '']
}

const registry = await fake()
const reader = client()
const here = at(registry.host)

test('a manifest is read by digest and by tag, with its media type', async () => {
  const { digest } = registry.manifest('team/app', IMAGE, 'v1')
  for (const reference of [digest, 'v1']) {
    const manifest = value(await reader.manifest(here, reference, anonymous, soon()))
    assert.deepEqual(JSON.parse(Buffer.from(manifest.bytes).toString()), IMAGE)
    assert.equal(manifest.digest, digest)
    assert.equal(manifest.mediaType, OCI_MANIFEST)
  }
})

test('what does not exist is absent, in the words of the registry', async () => {
  assert.deepEqual(why(await reader.manifest(here, 'nothing', anonymous, soon())), [
    'absent',
    'registry-absent',
    `GET http://${registry.host}/v2/team/app/manifests/nothing: MANIFEST_UNKNOWN: manifest unknown`,
  ])
  const digest = digestOf(Buffer.from('never pushed'))
  assert.deepEqual(why(await reader.blob(here, { digest, size: 3 }, 100, anonymous, soon())), [
    'absent',
    'registry-absent',
    `GET http://${registry.host}/v2/team/app/blobs/${digest}: BLOB_UNKNOWN: blob unknown`,
  ])
})

test('a blob is read by digest and size', async () => {
  const blob = registry.blob('team/app', 'payload')
  assert.equal(Buffer.from(value(await reader.blob(here, blob, 100, anonymous, soon()))).toString(), 'payload')
})

test('a large blob is put together as it comes, and is of its digest and size or refused', async () => {
  const bytes = Buffer.alloc(3 * 1024 * 1024, 'large')
  const { digest } = registry.blob('team/app', bytes)
  const size = bytes.length
  const most = 16 * 1024 * 1024
  assert.ok(Buffer.from(value(await reader.blob(here, { digest, size }, most, anonymous, soon()))).equals(bytes))
  for (const other of [size - 1, size + 1])
    assert.match(why(await reader.blob(here, { digest, size: other }, most, anonymous, soon()))[2], /error verifying size/)
})

test('lesson 3: a tag that points to another manifest at each request gives the digest of what came, every time', async () => {
  const one = registry.manifest('team/app', { ...IMAGE, annotations: { n: '1' } }).digest
  const two = registry.manifest('team/app', { ...IMAGE, annotations: { n: '2' } }).digest
  registry.tag('team/app', 'moving', one, two)
  const seen: Digest[] = []
  for (let i = 0; i < 4; i++) seen.push(value(await reader.resolve(here, 'moving', anonymous, soon())))
  assert.deepEqual(seen, [one, two, one, two])
  // Content that was asked for by digest is never the other one.
  registry.content.falsify('team/lying', one, Buffer.from(JSON.stringify(IMAGE)))
  registry.manifest('team/lying', { ...IMAGE, annotations: { n: '1' } })
  registry.content.falsify('team/lying', one, Buffer.from(JSON.stringify(IMAGE)))
  const [state, code, text] = why(await reader.manifest(at(registry.host, 'team/lying'), one, anonymous, soon()))
  assert.deepEqual([state, code], ['failed', 'registry-malformed'])
  assert.match(text, /manifest digest: "sha256:[0-9a-f]{64}" does not match "sha256:/)
})

test('lesson 4: the digest of a tag is that of the bytes; a header that names another one fails', async () => {
  const odd = await fake()
  const { digest } = odd.manifest('team/app', IMAGE, 'v1')
  const bytes = JSON.stringify(IMAGE)
  odd.misbehave('/manifests/without', { status: 200, body: bytes, headers: { 'content-type': OCI_MANIFEST } })
  odd.misbehave('/manifests/lying', {
    status: 200,
    body: bytes,
    headers: { 'content-type': OCI_MANIFEST, 'docker-content-digest': digestOf(Buffer.from('x')) },
  })
  assert.equal(value(await reader.resolve(at(odd.host), 'without', anonymous, soon())), digest)
  assert.deepEqual(why(await reader.resolve(at(odd.host), 'lying', anonymous, soon())).slice(0, 2), ['failed', 'registry-malformed'])
})

test('lesson 5: a blob with another digest or size is refused', async () => {
  const { digest, size } = registry.blob('team/app', 'right')
  for (const [what, served, asked, expected] of [
    ['another digest', 'wrong', size, /error verifying sha256 checksum after reading 5 bytes; got "sha256:[0-9a-f]{64}", want "sha256:/],
    ['more bytes', 'right and more', size, /error verifying size; got 14, want 5/],
    ['fewer bytes', 'r', size, /error verifying size; got 1, want 5/],
    ['a descriptor that lies about the size', 'right', 6, /error verifying size; got 5, want 6/],
  ] as const) {
    const repository = `team/${what.replaceAll(' ', '-')}`
    registry.content.falsify(repository, digest, Buffer.from(served))
    const [state, code, text] = why(await reader.blob(at(registry.host, repository), { digest, size: asked }, 100, anonymous, soon()))
    assert.deepEqual([state, code], ['failed', 'registry-malformed'], what)
    assert.match(text, expected)
  }
})

test('lesson 38: a blob larger than the bound is not asked for; a manifest above 4 MiB is not read to its end', async () => {
  const before = registry.seen.length
  const digest = digestOf(Buffer.from('big'))
  assert.deepEqual(why(await reader.blob(here, { digest, size: 101 }, 100, anonymous, soon())), [
    'failed',
    'registry-malformed',
    'size of layer (101) exceeded the limit (100)',
  ])
  assert.equal(registry.seen.length, before)
  registry.manifest('team/app', Buffer.alloc(4 * 1024 * 1024 + 1, 'x'), 'huge')
  assert.match(why(await reader.manifest(here, 'huge', anonymous, soon()))[2], /larger than the limit \(4194304 bytes\)/)
})

test('a web page instead of a manifest is malformed, and what it says is not shown', async () => {
  const portal = await fake()
  portal.misbehave('/manifests/', { status: 200, body: '<html>secret</html>', headers: { 'content-type': 'text/html; charset=utf-8' } })
  assert.deepEqual(why(await reader.manifest(at(portal.host), 'v1', anonymous, soon())), [
    'failed',
    'registry-malformed',
    `GET http://${portal.host}/v2/team/app/manifests/v1: a web page instead of a manifest`,
  ])
})

test('what is no tag is not asked for', async () => {
  const before = registry.seen.length
  for (const tag of ['../../other/manifests/v1', 'a/b', 'a?b', '', '-x', 'x'.repeat(129)])
    assert.equal(why(await reader.manifest(here, tag, anonymous, soon()))[1], 'registry-malformed')
  assert.equal(registry.seen.length, before)
})

test('a mirror is asked in place of its registry, whose name stays in messages with the scheme that was used', async () => {
  const harbor = await fake()
  harbor.manifest('proxy/gcr/team/app', IMAGE, 'v1')
  harbor.misbehave('/denied', { status: 403, body: JSON.stringify({ errors: [{ code: 'DENIED', message: 'denied' }] }) })
  const mirrored = client([{ host: 'gcr.io', url: `${harbor.url}/proxy/gcr`, credentials: false }])
  value(await mirrored.resolve(at('gcr.io'), 'v1', anonymous, soon()))
  assert.deepEqual(why(await mirrored.manifest(at('gcr.io'), 'denied', anonymous, soon())), [
    'failed',
    'registry-refused',
    'GET http://gcr.io/v2/team/app/manifests/denied: DENIED: denied',
  ])
})

const subject = digestOf(Buffer.from('an image'))
const referrer = (n: number) => ({ ...IMAGE, artifactType: `type/${n}`, subject: { mediaType: OCI_MANIFEST, digest: subject, size: 8 } })

test('referrers are read by the API, page after page', async () => {
  const paged = await fake({ referrers: { perPage: 2 } })
  for (let n = 0; n < 5; n++) paged.manifest('team/app', referrer(n))
  const found = value(await reader.referrers(at(paged.host), subject, anonymous, soon()))
  assert.deepEqual(
    found.map((d) => d.artifactType),
    ['type/0', 'type/1', 'type/2', 'type/3', 'type/4'],
  )
  // Once it is known that there is an API, nobody looks for the fallback tag any more.
  const before = paged.seen.length
  await reader.referrers(at(paged.host), subject, anonymous, soon())
  assert.equal(paged.seen.length - before, 3)
})

test('pages of a mirror with a path are followed', async () => {
  const harbor = await fake({ referrers: { perPage: 1 } })
  for (let n = 0; n < 3; n++) harbor.manifest('proxy/gcr/team/app', referrer(n))
  const mirrored = client([{ host: 'gcr.io', url: `${harbor.url}/proxy/gcr/`, credentials: false }])
  assert.equal(value(await mirrored.referrers(at('gcr.io'), subject, anonymous, soon())).length, 3)
})

for (const status of [400, 404, 405, 406, 'web page'] as const) {
  test(`a referrers endpoint that answers ${status} means the fallback tag`, async () => {
    const old = await fake({ referrers: status })
    const put = old.manifest('team/app', referrer(7))
    assert.deepEqual(value(await reader.referrers(at(old.host), subject, anonymous, soon())), []) // no such tag: none
    old.manifest(
      'team/app',
      { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...put, artifactType: 'type/7' }] },
      `sha256-${hexOf(subject)}`,
    )
    const found = value(await reader.referrers(at(old.host), subject, anonymous, soon()))
    assert.deepEqual(
      found.map((d) => d.digest),
      [put.digest],
    )
  })
}

test('any other failure of the referrers endpoint is a failure, whatever the fallback tag holds', async () => {
  const broken = await fake({ referrers: 'api' })
  broken.misbehave('/referrers/', { status: 501 })
  assert.deepEqual(why(await reader.referrers(at(broken.host), subject, anonymous, soon())), [
    'failed',
    'registry-failed',
    `GET http://${broken.host}/v2/team/app/referrers/${subject}: unexpected status code 501 Not Implemented`,
  ])
  broken.behave()
  broken.misbehave('/referrers/', { status: 200, headers: { 'content-type': OCI_INDEX }, body: 'garbage' })
  assert.equal(why(await reader.referrers(at(broken.host), subject, anonymous, soon()))[1], 'registry-malformed')
})

test('a fallback tag that cannot be read, or is no index, is a failure', async () => {
  const old = await fake({ referrers: 404 })
  const tag = `sha256-${hexOf(subject)}`
  old.manifest('team/app', IMAGE, tag)
  assert.match(why(await reader.referrers(at(old.host), subject, anonymous, soon()))[2], /is not an index/)
  old.misbehave(`/manifests/${tag}`, { status: 501 })
  assert.equal(why(await reader.referrers(at(old.host), subject, anonymous, soon()))[1], 'registry-failed')
})

test('lesson 36: a list of referrers that never ends, or leads elsewhere, is a failure', async () => {
  const endless = await fake()
  endless.misbehave('/referrers/', {
    status: 200,
    headers: { 'content-type': OCI_INDEX, 'link': '<?n=1>; rel="next"' },
    body: JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }),
  })
  assert.match(why(await reader.referrers(at(endless.host), subject, anonymous, soon()))[2], /the list of referrers is too long/)
  const pages = endless.seen.filter(({ path }) => path.includes('/referrers/')).length
  assert.ok(pages <= 20, `${pages} pages`)
  endless.behave()
  endless.misbehave('/referrers/', {
    status: 200,
    headers: { 'content-type': OCI_INDEX, 'link': '<http://127.0.0.1:1/v2/x>; rel="next"' },
    body: JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }),
  })
  assert.match(why(await reader.referrers(at(endless.host), subject, anonymous, soon()))[2], /the next page is somewhere else/)
})

test('with connections open, a signature and its payload take two round trips', async () => {
  const near = await fake()
  const payload = near.blob('team/app', 'payload')
  near.manifest('team/app', { ...IMAGE, layers: [payload] }, 'x.sig')
  await reader.manifest(at(near.host), 'x.sig', anonymous, soon())
  const before = near.seen.length
  value(await reader.manifest(at(near.host), 'x.sig', anonymous, soon()))
  value(await reader.blob(at(near.host), payload, 100, anonymous, soon()))
  assert.equal(near.seen.length - before, 2)
})

test('the options of the command line become those of the client; a broken proxy or CA file is said', async () => {
  const settings = { mirrors: [], insecureRegistries: [], registryCas: [] }
  assert.deepEqual((await registryOptions(settings, {}, uncounted)).mirrors, [])
  await assert.rejects(registryOptions(settings, { HTTPS_PROXY: 'ftp://x' }, uncounted), /HTTPS_PROXY is not the URL of a proxy/)
  await assert.rejects(
    registryOptions({ ...settings, registryCas: ['package.json'] }, {}, uncounted),
    /--registry-ca package\.json: no certificate in the file/,
  )
})

test('certificates of registries come from files, and from folders as Kubernetes mounts them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'registry-ca-'))
  const [first, second] = await Promise.all(['first.example', 'second.example'].map((name) => mintCertificates([name])))
  // A Secret with two entries, one of which is no certificate, and the links that a volume has.
  await mkdir(join(folder, '..data'))
  await writeFile(join(folder, '..data', 'ca.crt'), first?.ca ?? '')
  await writeFile(join(folder, '..data', 'password'), 'something else')
  for (const name of ['ca.crt', 'password']) await symlink(join('..data', name), join(folder, name))
  await writeFile(join(folder, '.second.pem'), second?.ca ?? '')
  const roots = async (...registryCas: readonly string[]): Promise<number> => {
    const { ca } = await registryOptions({ mirrors: [], insecureRegistries: [], registryCas }, {}, uncounted)
    return ca().filter((pem) => [first?.ca, second?.ca].some((one) => one?.trim() === pem.trim())).length
  }
  assert.equal(await roots(folder), 1)
  assert.equal(await roots(folder, join(folder, '.second.pem')), 2)
  await assert.rejects(roots(join(folder, '..data', 'password')), /no certificate in the file/)
  await rm(join(folder, 'ca.crt'))
  await assert.rejects(roots(folder), /no certificate in the folder/)
  await rm(folder, { recursive: true })
})
