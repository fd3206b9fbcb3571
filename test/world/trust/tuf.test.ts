import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { after, test } from 'node:test'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import type { TufFault, TufOptions, TufServer } from '../../../fakes/sigstore/tuf.ts'
import { legacyTargets, trustedRootTarget, TufRepository } from '../../../fakes/sigstore/tuf.ts'
import { readTrustedRoot } from '../../../src/trust/trusted-root.ts'
import { NO_PROXY } from '../../../src/world/network/proxy.ts'
import { Transport } from '../../../src/world/network/transport.ts'
import type { Metadata, Refreshed } from '../../../src/world/trust/tuf.ts'
import { refreshFromTuf, whyNotTufRoot } from '../../../src/world/trust/tuf.ts'

const HOUR = 60 * 60 * 1000
const counted: string[] = []
const transport = new Transport({
  ca: () => [],
  proxy: NO_PROXY,
  userAgent: 'sealgate-test',
  count: (outcome, host) => counted.push(`${outcome} ${host}`),
})
const servers: TufServer[] = []
after(async () => {
  await transport.close()
  await Promise.all(servers.map((server) => server.close()))
})
const sigstore = await Sigstore.create()
const hash = hashOf(sigstore)
const now = Date.now()
const options: TufOptions = { now, targets: trustedRootTarget(sigstore) }

function hashOf(from: Sigstore): string {
  const read = readTrustedRoot(JSON.stringify(from.trustedRoot()), 'ours')
  assert.ok(read.ok)
  return read.value.hash
}

async function serve(repository: TufRepository): Promise<TufServer> {
  const server = await repository.serve()
  servers.push(server)
  return server
}

type How = {
  readonly known?: Metadata
  readonly root?: Uint8Array
  readonly target?: string
  readonly targets?: string
  readonly signal?: AbortSignal
}

function refresh(repository: TufRepository, from: TufServer | 'archive' | Uint8Array, how: How = {}): Promise<Refreshed> {
  const { known, root = repository.root(), target = 'trusted_root.json', targets = 'targets', signal = AbortSignal.timeout(10_000) } = how
  const archive = from === 'archive' ? repository.packed() : from instanceof Uint8Array ? from : undefined
  const mirror = archive
    ? ({ from: 'repository', archive } as const)
    : ({ from: 'remote', url: new URL((from as TufServer).url), transport, mirrors: [] } as const)
  return refreshFromTuf('ours', { root, target, targets }, mirror, known, signal)
}

async function got(refreshed: Promise<Refreshed>) {
  const result = await refreshed
  assert.ok(result.ok, result.ok ? '' : result.why)
  return result
}

async function why(refreshed: Promise<Refreshed>): Promise<string> {
  const result = await refreshed
  assert.ok(!result.ok, 'it was believed')
  return result.why
}

test('a repository says what is trusted, until the first of its metadata expires', async () => {
  const repository = new TufRepository({ ...options, expires: { timestamp: now + 2 * HOUR, snapshot: now + 3 * HOUR } })
  const server = await serve(repository)
  for (const from of [server, 'archive'] as const) {
    const { material, metadata } = await got(refresh(repository, from))
    assert.equal(material.hash, hash)
    assert.equal(material.name, 'ours')
    assert.equal(material.until, Math.floor((now + 2 * HOUR) / 1000) * 1000)
    assert.deepEqual([...metadata.keys()].toSorted(), ['root.json', 'snapshot.json', 'targets.json', 'timestamp.json'])
  }
  assert.ok(counted.includes('found tuf') && counted.includes('absent tuf'))
})

test('nothing is left in the folder for temporary files', async () => {
  const before = readdirSync(tmpdir()).filter((file) => file.startsWith('.sealgate-tuf-'))
  const repository = new TufRepository(options)
  await got(refresh(repository, 'archive'))
  await why(refresh(repository, 'archive', { root: Buffer.from('{}') }))
  assert.deepEqual(
    readdirSync(tmpdir()).filter((file) => file.startsWith('.sealgate-tuf-')),
    before,
  )
})

test('a mirror below a path of its host is asked there, with a slash at the end or without', async () => {
  const repository = new TufRepository(options)
  const files = [...repository.files]
  for (const [name, bytes] of files) repository.files.set(`below/here/${name}`, bytes)
  for (const [name] of files) repository.files.delete(name)
  const server = await serve(repository)
  for (const path of ['/below/here', '/below/here/', '/below/here//']) {
    const tuf = {
      root: files.find(([name]) => name === '1.root.json')?.[1] ?? Buffer.alloc(0),
      target: 'trusted_root.json',
      targets: 'targets',
    }
    const url = new URL(server.url + path)
    const { material } = await got(
      refreshFromTuf('ours', tuf, { from: 'remote', url, transport, mirrors: [] }, undefined, AbortSignal.timeout(10_000)),
    )
    assert.equal(material.hash, hash)
  }
})

test('a host that is mirrored is asked at its mirror, below the path of both, and messages name the host that was meant', async () => {
  const repository = new TufRepository(options)
  const files = [...repository.files]
  for (const [name, bytes] of files) repository.files.set(`hosts/tuf/v1/${name}`, bytes)
  for (const [name] of files) repository.files.delete(name)
  const server = await serve(repository)
  const root = files.find(([name]) => name === '1.root.json')?.[1] ?? Buffer.alloc(0)
  const tuf = { root, target: 'trusted_root.json', targets: 'targets' }
  // As the command line reads hosts: a lone label is spelt with its port.
  const mirrors = ['tuf.example', 'tuf:443'].map((host) => ({ host, url: `${server.url}/hosts/tuf`, credentials: false }))
  const at = (url: string): Promise<Refreshed> =>
    refreshFromTuf('ours', tuf, { from: 'remote', url: new URL(url), transport, mirrors }, undefined, AbortSignal.timeout(10_000))
  assert.equal((await got(at('https://tuf.example/v1/'))).material.hash, hash)
  assert.equal((await got(at('https://tuf/v1/'))).material.hash, hash)
  assert.match(await why(at('https://tuf.example/v2')), /GET https:\/\/tuf\.example\/v2\/timestamp\.json: .*404/)
})

// — keys that change

test('the first root leads over every rotation to what is trusted now', async () => {
  const other = await Sigstore.create({ name: 'other.example' })
  const repository = new TufRepository(options)
  for (let i = 0; i < 5; i++) repository.rotate()
  repository.rotate({ targets: trustedRootTarget(other) })
  const server = await serve(repository)
  for (const from of [server, 'archive'] as const) assert.equal((await got(refresh(repository, from))).material.hash, hashOf(other))
})

test('a first root that has expired still leads to a newer one that has not', async () => {
  const repository = new TufRepository({ ...options, expires: { root: now - HOUR } })
  assert.match(await why(refresh(repository, 'archive')), /root\.json is expired/)
  repository.rotate({ expires: {} })
  assert.equal((await got(refresh(repository, 'archive'))).material.hash, hash)
})

test('what is known of an earlier refresh saves the way over roots that it has been', async () => {
  const repository = new TufRepository(options)
  for (let i = 0; i < 5; i++) repository.rotate()
  const server = await serve(repository)
  const { metadata } = await got(refresh(repository, server))
  const before = server.seen.length
  const again = await got(refresh(repository, server, { known: metadata }))
  assert.equal(again.material.hash, hash)
  assert.deepEqual(
    server.seen.slice(before).map(({ path }) => path.replace(/[0-9a-f]{64}/, 'HASH')),
    ['/7.root.json', '/timestamp.json', '/targets/HASH.trusted_root.json'],
  )
})

test('lesson 46: a root that the former one does not vouch for is refused', async () => {
  const repository = new TufRepository(options)
  repository.rotate({ broken: 'root-by-another-key' })
  const server = await serve(repository)
  for (const from of [server, 'archive'] as const)
    assert.match(
      await why(refresh(repository, from)),
      /^failed to construct TUF client from (remote|mirror): failed to create TUF client: /,
    )
})

test('the root of another repository leads nowhere, though both are right', async () => {
  const [ours, theirs] = [new TufRepository(options), new TufRepository(options)]
  assert.match(await why(refresh(ours, 'archive', { root: theirs.root() })), /failed to create TUF client: /)
})

// — an attacker who has the mirror, but no key

for (const broken of [
  'timestamp-by-another-key',
  'snapshot-by-another-key',
  'targets-by-another-key',
  'target-tampered',
  'target-missing',
  'snapshot-of-another-version',
] as const satisfies readonly TufFault[])
  test(`lesson 46: ${broken} is refused`, async () => {
    const repository = new TufRepository({ ...options, broken })
    const server = await serve(repository)
    const target = broken.startsWith('target-')
    for (const from of [server, 'archive'] as const)
      assert.match(await why(refresh(repository, from)), target ? /^fetching trusted_root\.json: / : /failed to create TUF client: /)
  })

for (const role of ['root', 'timestamp', 'snapshot', 'targets'] as const)
  test(`${role} metadata that has expired is refused, and a second before that it is believed`, async () => {
    assert.match(await why(refresh(new TufRepository({ ...options, expires: { [role]: Date.now() - 1_000 } }), 'archive')), /expired/i)
    await got(refresh(new TufRepository({ ...options, expires: { [role]: Date.now() + 30_000 } }), 'archive'))
  })

test('lesson 46: a mirror that goes back to what it had before is refused: older metadata may trust what was withdrawn', async () => {
  const repository = new TufRepository(options)
  const old = repository.packed()
  repository.publish({ targets: trustedRootTarget(await Sigstore.create({ name: 'newer.example' })) })
  const { metadata } = await got(refresh(repository, 'archive'))
  assert.match(await why(refresh(repository, old, { known: metadata })), /less than current version/)
  // Whoever has seen nothing newer has nothing to hold against it.
  assert.equal((await got(refresh(repository, old))).material.hash, hash)
})

test('a mirror that puts back snapshot or targets under a newer timestamp is refused', async () => {
  const repository = new TufRepository({ ...options, consistentSnapshot: false })
  const old = new Map(repository.files)
  repository.publish()
  const { metadata } = await got(refresh(repository, 'archive'))
  for (const file of ['snapshot.json', 'targets.json']) {
    repository.publish()
    repository.files.set(file, old.get(file) ?? Buffer.alloc(0))
    assert.match(await why(refresh(repository, 'archive', { known: metadata })), /version/)
  }
})

test('a mirror that stands still is believed until its metadata expires, and not replaced by its older self', async () => {
  const repository = new TufRepository(options)
  const { metadata } = await got(refresh(repository, 'archive'))
  assert.equal((await got(refresh(repository, 'archive', { known: metadata }))).material.hash, hash)
})

test('metadata that is known and changed since is not believed: its signature tells', async () => {
  const repository = new TufRepository(options)
  const { metadata } = await got(refresh(repository, 'archive'))
  const changed = new Map(metadata)
  changed.set(
    'root.json',
    Buffer.from(
      Buffer.from(metadata.get('root.json') ?? [])
        .toString()
        .replace('"version":1', '"version":9'),
    ),
  )
  assert.match(await why(refresh(repository, 'archive', { known: changed })), /failed to create TUF client: /)
})

// — mirrors that do not work

test('a mirror that is down is a reason that names it', async () => {
  const repository = new TufRepository(options)
  const server = await repository.serve()
  const { url } = server
  await server.close()
  assert.match(
    await why(refresh(repository, { ...server, url })),
    /^failed to construct TUF client from remote: failed to create TUF client: Get "http:\/\/127\.0\.0\.1:\d+\/": .*refused/,
  )
})

for (const [path, wanted] of [
  ['timestamp', /^failed to construct TUF client from remote: failed to create TUF client: GET .*timestamp\.json: .*500/],
  ['2.root.json', /^failed to construct TUF client from remote: failed to create TUF client: GET .*2\.root\.json: .*500/],
  ['targets/', /^fetching trusted_root\.json: GET .*500/],
] as const)
  test(`a mirror that answers 500 for ${path} is a reason that names the file: nothing older is taken instead`, async () => {
    const repository = new TufRepository(options)
    const server = await serve(repository)
    server.misbehave({ path, status: 500 })
    assert.match(await why(refresh(repository, server)), wanted)
  })

test('a mirror that is silent is given up when the caller gives up', async () => {
  const repository = new TufRepository(options)
  const server = await serve(repository)
  server.misbehave({ path: 'timestamp', isSilent: true })
  const began = performance.now()
  assert.match(await why(refresh(repository, server, { signal: AbortSignal.timeout(200) })), /context deadline exceeded$/)
  assert.ok(performance.now() - began < 5_000)
})

for (const [path, max] of [
  ['2.root.json', 512 * 1024],
  ['timestamp.json', 16 * 1024],
  ['snapshot.json', 512 * 1024],
  ['targets.json', 1024 * 1024],
] as const)
  test(`lesson 46: a mirror whose ${path} never ends is left after ${max} bytes`, async () => {
    const repository = new TufRepository(options)
    const server = await serve(repository)
    server.misbehave({ path, isEndless: true })
    assert.match(await why(refresh(repository, server)), new RegExp(`the answer is larger than the limit \\(${max} bytes\\)$`))
  })

test('a target that is described as larger than any trusted root is not asked for', async () => {
  const repository = new TufRepository({ ...options, targets: { 'trusted_root.json': { bytes: Buffer.alloc(1024 * 1024 + 1) } } })
  const server = await serve(repository)
  assert.equal(await why(refresh(repository, server)), 'fetching trusted_root.json: size of target (1048577) exceeded the limit (1048576)')
  assert.ok(server.seen.every(({ path }) => !path.includes('trusted_root')))
})

for (const [title, text, wanted] of [
  ['is not JSON', 'nonsense', /timestamp\.json: /],
  ['is no metadata', '{"signed": []}', /timestamp\.json: it is not TUF metadata$/],
  ['is deeper than any', `{"signed":{},"a":${'['.repeat(20)}${']'.repeat(20)}}`, /timestamp\.json: /],
  [
    'has more members than any',
    JSON.stringify({ signed: { meta: Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`f${i}`, 0])) } }),
    /exceeded the limit \(500\)$/,
  ],
] as const)
  test(`lesson 46: metadata that ${title} is refused before a client looks at it`, async () => {
    const repository = new TufRepository(options)
    repository.files.set('timestamp.json', Buffer.from(text))
    assert.match(await why(refresh(repository, 'archive')), wanted)
  })

test('a root that is no metadata is a reason', async () => {
  const repository = new TufRepository(options)
  for (const root of ['', 'nonsense', '{}', '[]', '{"signed":{"_type":"root"}}'])
    assert.match(
      await why(refresh(repository, 'archive', { root: Buffer.from(root) })),
      /^failed to construct TUF client from mirror: failed to create TUF client: ./,
    )
})

test('a reason is one line without control characters, and not longer than 500 characters', async () => {
  const repository = new TufRepository({
    ...options,
    targets: { 'trusted_root.json': { bytes: Buffer.from(`{"mediaType":"\\u001b[31m\\n${'x'.repeat(900)}"}`) } },
  })
  const text = await why(refresh(repository, 'archive'))
  assert.match(text, /^parsing trusted_root\.json: mediaType is /)
  assert.ok(!/[\u0000-\u001f\u007f]/.test(text) && text.length <= 501)
})

// — archives

test('an archive that cannot be unpacked is a reason in the words of upstream', async () => {
  const repository = new TufRepository(options)
  const archive = repository.packed()
  assert.equal(
    await why(refresh(repository, archive.subarray(0, 100))),
    'failed to construct TUF client from mirror: failed to uncompress: unexpected EOF',
  )
  assert.equal(
    await why(refresh(repository, Buffer.from('{}'))),
    'failed to construct TUF client from mirror: failed to uncompress: gzip: invalid header',
  )
})

for (const prefix of ['/repository/', 'repository/', './', ''])
  test(`an archive whose names begin with «${prefix}» is a repository`, async () => {
    const repository = new TufRepository(options)
    assert.equal((await got(refresh(repository, repository.packed(prefix)))).material.hash, hash)
  })

test('an archive that lacks a file is a reason that names it', async () => {
  const repository = new TufRepository(options)
  repository.files.delete('1.snapshot.json')
  assert.match(await why(refresh(repository, 'archive')), /open 1\.snapshot\.json: file does not exist/)
})

// — targets

test('a target of another name is fetched when it is asked for', async () => {
  const repository = new TufRepository({ ...options, targets: trustedRootTarget(sigstore, 'team/trust.json') })
  assert.equal((await got(refresh(repository, 'archive', { target: 'team/trust.json' }))).material.hash, hash)
})

test('lesson 46: a delegated target is found, and only within the paths that were delegated', async () => {
  const delegated = { role: 'team', paths: ['team/*'], targets: trustedRootTarget(sigstore, 'team/root.json') }
  const repository = new TufRepository({ ...options, targets: {}, delegated })
  const { material, metadata } = await got(refresh(repository, 'archive', { target: 'team/root.json' }))
  assert.equal(material.hash, hash)
  assert.ok(!metadata.has('team.json'))
  // What is outside of the paths that were delegated is not its to say.
  assert.match(await why(refresh(repository, 'archive', { target: 'other/root.json' })), /no certificate authorities found/)
})

for (const [title, delegated] of [
  ['a pattern with many stars', { role: 'team', paths: ['*a*a*a*a*a*b'], targets: {} }],
  ['a pattern with braces', { role: 'team', paths: ['{a,b}{a,b}{a,b}'], targets: {} }],
  ['a role whose name leads elsewhere', { role: '../team', paths: ['*'], targets: {} }],
  ['a role that is called as one of the top', { role: 'Root', paths: ['*'], targets: {} }],
] as const)
  test(`lesson 46: a delegation with ${title} is refused before anything is made of it`, async () => {
    assert.match(await why(refresh(new TufRepository({ ...options, delegated }), 'archive')), /delegated role/)
  })

test('a target whose trusted root is wrong is a reason that names the field', async () => {
  const targets = { 'trusted_root.json': { bytes: Buffer.from(JSON.stringify({ ...sigstore.trustedRoot(), tlogs: [{}] })) } }
  assert.equal(
    await why(refresh(new TufRepository({ ...options, targets }), 'archive')),
    'parsing trusted_root.json: tlogs[0].publicKey is missing',
  )
})

// — targets of the older kind

test('without the target, targets of the older kind are taken', async () => {
  const repository = new TufRepository({ ...options, targets: legacyTargets(sigstore) })
  const server = await serve(repository)
  for (const from of [server, 'archive'] as const) {
    const { material } = await got(refresh(repository, from))
    assert.ok(material.certificateAuthorities.length > 0)
    assert.equal(material.transparencyLogs[0]?.url, sigstore.logs.v1[0]?.part.url)
    assert.ok(material.until !== undefined)
  }
})

test('they lie in the folder that the TrustRoot names', async () => {
  const repository = new TufRepository({ ...options, targets: legacyTargets(sigstore) })
  for (const [name, bytes] of [...repository.files].filter(([n]) => n.startsWith('targets/'))) {
    repository.files.delete(name)
    repository.files.set(`old/${name.slice('targets/'.length)}`, bytes)
  }
  await got(refresh(repository, 'archive', { targets: 'old' }))
  assert.match(await why(refresh(repository, 'archive')), /^downloading target \S+: open targets\/\S+: file does not exist/)
})

test('where both kinds are, the trusted root counts and nothing of the older kind', async () => {
  const other = await Sigstore.create({ name: 'other.example' })
  const repository = new TufRepository({ ...options, targets: { ...trustedRootTarget(sigstore), ...legacyTargets(other) } })
  assert.equal((await got(refresh(repository, 'archive'))).material.hash, hash)
})

test('more targets of the older kind than anybody has are refused, and none is downloaded', async () => {
  const target = { bytes: Buffer.from('x'), custom: { sigstore: { usage: 'Rekor' } } }
  const repository = new TufRepository({ ...options, targets: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`t${i}`, target])) })
  assert.equal(await why(refresh(repository, 'archive')), 'getting top-level targets: number of targets (65) exceeded the limit (64)')
})

test('an older target that was tampered with is refused', async () => {
  const repository = new TufRepository({ ...options, targets: legacyTargets(sigstore), broken: 'target-tampered' })
  assert.match(await why(refresh(repository, 'archive')), /^downloading target /)
})

test('what is no root metadata is told from what is', () => {
  const repository = new TufRepository(options)
  assert.equal(whyNotTufRoot(repository.root()), undefined)
  const timestamp = repository.files.get('timestamp.json') ?? Buffer.alloc(0)
  assert.equal(whyNotTufRoot(timestamp), 'it is not the root metadata of a TUF repository')
  for (const text of ['', 'nonsense', '{}', '[]']) assert.ok(whyNotTufRoot(Buffer.from(text)))
  assert.match(whyNotTufRoot(Buffer.alloc(512 * 1024 + 1)) ?? '', /larger than the limit/)
})
