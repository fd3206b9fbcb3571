import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Digest } from '../../src/image/digest.ts'
import { canonicalHost, readReference, withDigest } from '../../src/image/reference.ts'

const D: Digest = `sha256:${'a1'.repeat(32)}`

for (const [written, name, why] of [
  ['busybox', 'index.docker.io/library/busybox:latest', 'Docker Hub, library and latest are what is left out'],
  ['busybox:1.36', 'index.docker.io/library/busybox:1.36', ''],
  ['myuser/myapp', 'index.docker.io/myuser/myapp:latest', ''],
  ['docker.io/library/busybox', 'index.docker.io/library/busybox:latest', ''],
  ['docker.io/busybox', 'index.docker.io/library/busybox:latest', ''],
  ['ghcr.io/a/b', 'ghcr.io/a/b:latest', ''],
  ['ghcr.io/a/b:v1', 'ghcr.io/a/b:v1', ''],
  [`ghcr.io/a/b@${D}`, `ghcr.io/a/b@${D}`, ''],
  [`ghcr.io/a/b:v1@${D}`, `ghcr.io/a/b@${D}`, 'a tag before a digest is dropped'],
  [`busybox@${D}`, `index.docker.io/library/busybox@${D}`, ''],
  ['team/x', 'index.docker.io/team/x:latest', 'a first segment without dot or colon is not a host'],
  ['localhost/xy', 'localhost:443/xy:latest', 'container runtimes pull it from the node itself, not from Docker Hub (lesson 34)'],
  [`LocalHost/xy@${D}`, `localhost:443/xy@${D}`, 'the same'],
  ['localhost:5000/app', 'localhost:5000/app:latest', ''],
  ['host:5000', 'index.docker.io/library/host:5000', 'without a slash, what follows the colon is a tag'],
  ['registry.local:5000/xy:v1', 'registry.local:5000/xy:v1', ''],
  ['registry.local/a/b/c/d/e', 'registry.local/a/b/c/d/e:latest', ''],
  ['10.0.0.7:5000/team/app', '10.0.0.7:5000/team/app:latest', ''],
  ['[::1]:5000/x/y', '[::1]:5000/x/y:latest', 'an IPv6 literal is a host'],
  ['[2001:db8::1]/team/app:v1', '[2001:db8::1]/team/app:v1', ''],
  ['my_registry.internal/app', 'my_registry.internal/app:latest', ''],
  ['xn--bcher-kva.example/app', 'xn--bcher-kva.example/app:latest', ''],
  [
    'ghcr.io/my_app/my__app/my-app/my---app/my.app',
    'ghcr.io/my_app/my__app/my-app/my---app/my.app:latest',
    'separators that the grammar has',
  ],
  ['ghcr.io/a/b:_x', 'ghcr.io/a/b:_x', ''],
  ['ghcr.io/a/b:V1.2-RC_3', 'ghcr.io/a/b:V1.2-RC_3', ''],
] as const) {
  test(`${written} is ${name}${why && `: ${why}`}`, () => assert.equal(readReference(written)?.name, name))
}

for (const [other, registry] of [
  ['REGISTRY.local', 'registry.local'],
  ['registry.local:443', 'registry.local'],
  ['registry.local:0443', 'registry.local'],
  ['registry.local.', 'registry.local'],
  ['Registry.Local.:443', 'registry.local'],
  ['registry.local.:5000', 'registry.local:5000'],
  ['docker.io', 'index.docker.io'],
  ['Docker.IO', 'index.docker.io'],
  ['docker.io.:443', 'index.docker.io'],
  ['index.docker.io', 'index.docker.io'],
  ['registry-1.docker.io', 'index.docker.io'],
  ['registry.hub.docker.com', 'index.docker.io'],
  ['hub.docker.com', 'index.docker.io'],
  ['[::1]:443', '[::1]'],
  ['[0:0:0:0:0:0:0:1]:5000', '[::1]:5000'],
  ['[2001:DB8:0::1]', '[2001:db8::1]'],
  ['10.0.0.7.', '10.0.0.7'],
] as const) {
  test(`${other} is another spelling of ${registry} (lesson 34)`, () => {
    const reference = readReference(`${other}/team/app@${D}`)
    assert.equal(reference?.registry, registry)
    assert.equal(reference?.name, `${registry}/team/app@${D}`)
  })
}

test('port 80 is another server than the one at 443, so it stays in the name', () => {
  assert.equal(readReference('registry.local:80/team/app')?.registry, 'registry.local:80')
  assert.equal(readReference('docker.io:80/team/app')?.registry, 'docker.io:80')
})

test('a host of one label keeps its port, since without it the name would read as Docker Hub', () => {
  for (const spelling of ['team:443', 'team.', 'TEAM.:443']) assert.equal(readReference(`${spelling}/app`)?.name, 'team:443/app:latest')
  assert.equal(readReference('localhost./app')?.registry, 'localhost:443')
})

for (const [written, why] of [
  ['', 'empty'],
  ['registry.local//app', 'an empty path component (lesson 34)'],
  ['registry.local/team/../other', 'a component of dots (lesson 34)'],
  ['registry.local/./app', 'a component of a dot'],
  ['docker://registry.local/team/app', 'a scheme (lesson 34)'],
  ['https://registry.local/app', 'a scheme'],
  [' registry.local/app', 'a leading space'],
  ['registry.local/app ', 'a trailing space'],
  ['registry.local/app\n', 'a line end'],
  ['registry.local/a pp', 'a space'],
  ['UPPER CASE', 'upper case and a space'],
  ['registry.local/UPPER', 'an upper-case repository'],
  ['Foo/bar', 'an upper-case repository'],
  ['registry.local/app-', 'a trailing separator'],
  ['registry.local/-app', 'a leading separator'],
  ['registry.local/a..b', 'two dots in a row'],
  ['registry.local/a___b', 'three underscores in a row'],
  ['registry.local/a.-b', 'mixed separators'],
  ['registry.local/app/', 'a trailing slash'],
  ['/app', 'a leading slash'],
  ['registry.local/', 'no repository'],
  ['registry.local/app:', 'an empty tag'],
  ['registry.local/app:-v1', 'a tag that begins with a dash'],
  ['registry.local/app:.v1', 'a tag that begins with a dot'],
  [`registry.local/app:${'a'.repeat(129)}`, 'a tag of 129 characters'],
  ['registry.local/app:v1:v2', 'two tags'],
  ['registry.local/b', 'a repository of one character'],
  [`registry.local/b@${D}`, 'a repository of one character'],
  ['b', 'a repository of one character'],
  [`registry.local/${'a'.repeat(256)}`, 'a repository of 256 characters'],
  ['registry.local/app@sha256:abcd', 'a short digest'],
  [`registry.local/app@sha512:${'ab'.repeat(64)}`, 'a SHA-512 digest'],
  [`registry.local/app@${D.toUpperCase()}`, 'an upper-case digest'],
  [`registry.local/app@${D}@${D}`, 'two digests'],
  ['registry.local/app@', 'an empty digest'],
  [`@${D}`, 'nothing before the digest'],
  ['user@registry.local/app', 'a user'],
  ['user:pass@registry.local/app', 'a user and a password'],
  ['registry.local:/app', 'an empty port'],
  ['registry.local:0/app', 'port 0'],
  ['registry.local:65536/app', 'a port beyond 65535'],
  ['registry.local:5000:5000/app', 'two ports'],
  ['registry.local:http/app', 'a port that is no number'],
  ['registry..local/app', 'an empty label'],
  ['.registry.local/app', 'an empty label'],
  ['registry.local../app', 'two trailing dots'],
  ['-registry.local/app', 'a label that begins with a dash'],
  ['registry.lo\u212Aal/app', 'a Kelvin sign, which lower-cases to a k'],
  ['bücher.example/app', 'a host that is not ASCII'],
  ['registry.local/äpp', 'a repository that is not ASCII'],
  ['127.1/app', 'an IPv4 address that is not written in full'],
  ['0177.0.0.1/app', 'an octal IPv4 address'],
  ['0x7f000001:5000/app', 'a hexadecimal IPv4 address'],
  ['2130706433:5000/app', 'a decimal IPv4 address'],
  ['256.0.0.1/app', 'a number beyond 255 in an IPv4 address'],
  ['[::1/app', 'an open bracket'],
  ['[::1]evil.com/app', 'text after the bracket'],
  ['[fe80::1%eth0]/app', 'an IPv6 zone'],
  ['[::g]/app', 'no IPv6 address'],
  ['$(reboot)', 'a shell'],
  ['registry.local/app?x=1', 'a query'],
  ['registry.local/%2e%2e/app', 'an escaped path'],
  ['registry.local\\app', 'a backslash'],
  ['\u0000', 'a control character'],
] as const) {
  test(`${JSON.stringify(written).slice(0, 80)} is not a reference: ${why}`, () => assert.equal(readReference(written), undefined))
}

test('a repository has 2 to 255 characters', () => {
  assert.equal(readReference('registry.local/ab')?.repository, 'ab')
  assert.equal(readReference(`registry.local/${'a'.repeat(255)}`)?.repository.length, 255)
})

test('a tag that was not written is undefined, and a digest does not hide the tag', () => {
  assert.equal(readReference('ghcr.io/a/b')?.tag, undefined)
  assert.equal(readReference(`ghcr.io/a/b:v1@${D}`)?.tag, 'v1')
  assert.equal(readReference('ghcr.io/a/b:latest')?.digest, undefined)
})

test('a resolved reference is named by its digest and still knows what was written', () => {
  const resolved = withDigest(readReference('busybox:1.36')!, D)
  assert.deepEqual(resolved, {
    registry: 'index.docker.io',
    repository: 'library/busybox',
    written: 'busybox:1.36',
    tag: '1.36',
    digest: D,
    name: `index.docker.io/library/busybox@${D}`,
  })
})

const component = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}$/)
const host = fc.oneof(
  fc.constantFrom(
    'Registry.Local',
    'localhost:5000',
    '[::1]:5000',
    'docker.io',
    'a.b.:443',
    'team:443',
    '10.1.2.3',
    '[2001:DB8::]',
    'x.',
    'index.docker.io',
  ),
  fc.stringMatching(/^[a-zA-Z0-9]{1,6}\.[a-zA-Z]{2,5}\.?(?::[1-9][0-9]{0,3})?$/),
)
const written = fc
  .tuple(
    fc.option(host),
    fc.array(component, { minLength: 1, maxLength: 4 }),
    fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/)),
    fc.boolean(),
  )
  .map(([h, path, tag, digest]) => `${h === null ? '' : `${h}/`}${path.join('/')}${tag === null ? '' : `:${tag}`}${digest ? `@${D}` : ''}`)
  .filter((w) => w.split('/').at(-1)!.length > 1)

test('a canonical name reads as itself', () => {
  fc.assert(
    fc.property(written, (w) => {
      const reference = readReference(w)
      if (reference === undefined) return
      const again = readReference(reference.name)
      assert.equal(again?.name, reference.name)
      assert.equal(again?.registry, reference.registry)
      assert.equal(canonicalHost(reference.registry), reference.registry)
    }),
    { numRuns: 2000 },
  )
})

test('what the grammar allows is read: nothing that a registry takes is refused', () => {
  fc.assert(
    fc.property(component, component, (a, b) => assert.notEqual(readReference(`ghcr.io/${a}/${b}`), undefined)),
    { numRuns: 1000 },
  )
})

test('any text is answered, never thrown at', () => {
  const pieces = fc.constantFrom(
    '/',
    ':',
    '@',
    '.',
    '..',
    '-',
    '[',
    ']',
    'a',
    'A',
    '0',
    'sha256:',
    D,
    ' ',
    '\u0000',
    '\ud800',
    'registry.local',
    '%',
  )
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(pieces, { maxLength: 30 }).map((p) => p.join('')),
  )
  fc.assert(
    fc.property(text, (t) => {
      const reference = readReference(t)
      if (reference) assert.match(reference.name, /^[a-z0-9._:[\]-]+(?:\/[a-z0-9._-]+)+(?::[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64})$/)
    }),
    { numRuns: 5000 },
  )
})

test('a text of any length is answered at once', () => {
  for (const text of ['a', 'a/', 'a-', '-', '@', ':', '[', '1.', 'a.']) assert.equal(readReference(text.repeat(1_000_000)), undefined)
})
