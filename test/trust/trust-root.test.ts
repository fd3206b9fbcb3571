import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { readTrustRoot, whyUnreadable } from '../../src/trust/trust-root.ts'
import type { TrustRoot } from '../../src/trust/trust-root.ts'

const sigstore = await Sigstore.create()
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const ROOT = base64('{"signatures":[],"signed":{}}')
const REMOTE = { root: ROOT, mirror: 'https://tuf.example/' }
const REPOSITORY = { root: ROOT, mirrorFS: base64('an archive') }

function read(spec: unknown): TrustRoot {
  const got = readTrustRoot({ apiVersion: 'policy.sigstore.dev/v1alpha1', kind: 'TrustRoot', metadata: { name: 'ours' }, spec }, 'ours')
  assert.ok(got.ok, got.ok ? '' : whyUnreadable(got))
  return got.value
}

function why(spec: unknown): string {
  const got = readTrustRoot({ spec }, 'ours')
  assert.ok(!got.ok, 'it was read')
  assert.equal(got.reason.code, 'trust-root-unreadable')
  assert.equal(got.reason.code === 'trust-root-unreadable' && got.reason.name, 'ours')
  return whyUnreadable(got)
}

for (const kind of ['sigstoreKeys', 'trustedRoot'] as const)
  test(`a TrustRoot with ${kind} is trust material itself`, () => {
    const root = read({ [kind]: kind === 'sigstoreKeys' ? sigstore.sigstoreKeys() : sigstore.trustedRoot() })
    assert.ok(root.from === 'itself')
    assert.equal(root.material.name, 'ours')
    assert.equal(root.material.until, undefined)
    assert.deepEqual([root.material.certificateAuthorities.length, root.material.transparencyLogs.length], [1, 2])
  })

test('a trusted root may be given as the text of its JSON, as cosign writes the file', () => {
  const asObject = read({ trustedRoot: sigstore.trustedRoot() })
  const asText = read({ trustedRoot: JSON.stringify(sigstore.trustedRoot(), undefined, 2) })
  assert.ok(asObject.from === 'itself' && asText.from === 'itself')
  assert.equal(asText.material.hash, asObject.material.hash)
})

test('a remote repository is its root, its mirror, and the usual names where none are given', () => {
  const root = read({ remote: REMOTE })
  assert.ok(root.from === 'remote')
  assert.equal(root.mirror.href, 'https://tuf.example/')
  assert.deepEqual(
    [Buffer.from(root.repository.root).toString('base64'), root.repository.targets, root.repository.target],
    [ROOT, 'targets', 'trusted_root.json'],
  )
})

test('a repository is its archive and its root, and other names of targets are obeyed', () => {
  const root = read({ repository: { ...REPOSITORY, targets: 'old', trustedRootTarget: 'team/root.json' } })
  assert.ok(root.from === 'repository')
  assert.equal(Buffer.from(root.archive).toString(), 'an archive')
  assert.deepEqual([root.repository.targets, root.repository.target], ['old', 'team/root.json'])
})

test('base64 may be broken into lines, as block texts of YAML are', () => {
  const root = read({ remote: { ...REMOTE, root: `${ROOT.slice(0, 8)}\n${ROOT.slice(8)}\r\n` } })
  assert.ok(root.from === 'remote')
  assert.equal(Buffer.from(root.repository.root).toString('base64'), ROOT)
})

test('a kind that is null was not given', () => {
  assert.equal(read({ remote: REMOTE, repository: null, sigstoreKeys: null }).from, 'remote')
})

const KINDS = 'spec.remote, spec.repository, spec.sigstoreKeys, spec.trustedRoot'
for (const [title, spec, wanted] of [
  ['names nothing', {}, `expected exactly one, got neither: ${KINDS}`],
  ['has no spec', undefined, `expected exactly one, got neither: ${KINDS}`],
  ['has a list for its spec', [REMOTE], `expected exactly one, got neither: ${KINDS}`],
  ['names two kinds', { remote: REMOTE, repository: REPOSITORY }, `expected exactly one, got both: ${KINDS}`],
  [
    'has a kind that is a text',
    { remote: 'https://tuf.example' },
    'missing field(s): spec.remote.root; missing field(s): spec.remote.mirror',
  ],
  ['has no root', { remote: { mirror: 'https://tuf.example' } }, 'missing field(s): spec.remote.root'],
  ['has no mirror', { remote: { root: ROOT } }, 'missing field(s): spec.remote.mirror'],
  ['has no root to its archive', { repository: { mirrorFS: 'YQ==' } }, 'missing field(s): spec.repository.root'],
  ['has no archive', { repository: { root: ROOT } }, 'missing field(s): spec.repository.repository'],
  ['has an empty archive', { repository: { root: ROOT, mirrorFS: '' } }, 'missing field(s): spec.repository.repository'],
  [
    'has a root that is not base64',
    { remote: { ...REMOTE, root: '{"signatures": []}' } },
    'invalid value: it is not base64: spec.remote.root',
  ],
  ['has a root that is a number', { remote: { ...REMOTE, root: 7 } }, 'invalid value: it is not base64: spec.remote.root'],
  [
    'has an archive that is cut off',
    { repository: { root: ROOT, mirrorFS: 'YWJ' } },
    'invalid value: it is not base64: spec.repository.mirrorFS',
  ],
  [
    'has a trusted root of another kind',
    { trustedRoot: { mediaType: 'text/plain' } },
    'mediaType is `text/plain`, not that of a trusted root 0.1 or 0.2',
  ],
] as const)
  test(`a TrustRoot that ${title} is refused: ${wanted}`, () => assert.equal(why(spec), wanted))

test('sigstoreKeys that are wrong are refused in the words of the webhook', () => {
  assert.match(
    why({ sigstoreKeys: { certificateAuthorities: [{}] } }),
    /^missing field\(s\): spec\.sigstoreKeys\.certificateAuthority\[0\]/,
  )
})

const NOT_A_URL = 'invalid value: it is not an http or https URL without credentials and query: spec.remote.mirror'
for (const mirror of [
  'tuf.example',
  'file:///etc/passwd',
  'ftp://tuf.example',
  'https://user@tuf.example',
  'https://user:secret@tuf.example',
  'https://tuf.example/?token=secret',
  'https://tuf.example/#a',
  ['https://tuf.example'],
  `https://tuf.example/${'a'.repeat(3_000)}`,
])
  test(`${JSON.stringify(mirror).slice(0, 60)} is no mirror`, () => {
    const text = why({ remote: { ...REMOTE, mirror } })
    assert.equal(text, NOT_A_URL)
    assert.ok(!text.includes('secret'))
  })

for (const name of [
  '../root.json',
  'a/../../b',
  '/etc/passwd',
  'a b',
  'a?b',
  'a#b',
  'a%2e%2e/b',
  '.hidden',
  'a\n',
  'a\\b',
  'x'.repeat(257),
  7,
])
  test(`${JSON.stringify(name).slice(0, 40)} is neither the name of a target nor of a folder`, () => {
    assert.equal(
      why({ remote: { ...REMOTE, trustedRootTarget: name } }),
      'invalid value: it is not the name of a target: spec.remote.trustedRootTarget',
    )
    assert.equal(why({ remote: { ...REMOTE, targets: name } }), 'invalid value: it is not the name of a folder: spec.remote.targets')
  })

test('names with dots, dashes and folders are names', () => {
  const root = read({ remote: { ...REMOTE, targets: 'v2/targets', trustedRootTarget: 'a..b/trusted_root-v0.2+a@b.json' } })
  assert.ok(root.from === 'remote')
  assert.deepEqual([root.repository.targets, root.repository.target], ['v2/targets', 'a..b/trusted_root-v0.2+a@b.json'])
})

test('roots and archives have bounds', () => {
  const bytes = (length: number): string => Buffer.alloc(length).toString('base64')
  assert.equal(read({ remote: { ...REMOTE, root: bytes(768 * 1024) } }).from, 'remote')
  assert.match(why({ remote: { ...REMOTE, root: bytes(768 * 1024 + 1) } }), /spec\.remote\.root$/)
  assert.equal(read({ repository: { ...REPOSITORY, mirrorFS: bytes(8 * 1024 * 1024) } }).from, 'repository')
  assert.match(why({ repository: { ...REPOSITORY, mirrorFS: bytes(9 * 1024 * 1024 + 1) } }), /spec\.repository\.mirrorFS$/)
})

test('whatever an object holds, a reason is the answer and never an exception', () => {
  const kinds = fc.constantFrom('remote', 'repository', 'sigstoreKeys', 'trustedRoot', 'other')
  const fields = fc.dictionary(fc.constantFrom('root', 'mirror', 'mirrorFS', 'targets', 'trustedRootTarget', 'tLogs'), fc.anything())
  fc.assert(
    fc.property(fc.dictionary(kinds, fc.oneof(fc.anything(), fields)), (spec) => {
      const got = readTrustRoot({ spec }, 'ours')
      assert.ok(got.ok || whyUnreadable(got).length > 0)
    }),
  )
})
