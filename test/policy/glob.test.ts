import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readReference } from '../../src/image/reference.ts'
import { compileGlob, covers, matchesOffline, whyDead, whyNarrow } from '../../src/policy/glob.ts'

const D = `@sha256:${'a1'.repeat(32)}`
const FULL = 'ghcr.io/foo@sha256:5504f2a95018e3d8a52d80d9e1a128c6ea337581808ff9fe96f5628ce2336350'

/** What an image is compared with: undefined when it is no reference. */
function nameOf(image: string): string {
  return readReference(image)?.name ?? assert.fail(`${image} is not a reference`)
}

for (const [image, glob, matches] of [
  ['foo', 'index.docker.io/library/foo:latest', true],
  ['foo', 'index.docker.io/library/foo:*', true],
  ['foo', 'index.docker.io/library/*', true],
  ['foo', 'index.docker.io/library/*:latest', true],
  ['foo', 'index.docker.io/*/*', true],
  ['foo', 'index.docker.io/**', true],
  ['foo', 'index.docker.**', true],
  ['foo', 'inde**', true],
  ['foo', '**', true],
  ['foo', 'foo', true],
  ['foo', 'foo*', true],
  ['foo', 'foo**', true],
  ['myuser/myapp', 'index.docker.io/myuser/myapp:latest', true],
  ['myuser/myapp', 'index.docker.io/myuser/myapp:*', true],
  ['myuser/myapp', 'index.docker.io/myuser/*', true],
  ['myuser/myapp', 'index.docker.io/myuser/*:latest', true],
  ['myuser/myapp', 'index.docker.io/*/*', true],
  ['myuser/myapp', 'index.docker.io/**', true],
  ['myuser/myapp', 'index.docker.**', true],
  ['myuser/myapp', 'inde**', true],
  ['myuser/myapp', '**', true],
  ['myuser/myapp', 'myuser/myapp', true],
  ['myuser/myapp', 'myuser/myapp*', true],
  ['myuser/myapp', 'myuser/myapp**', true],
  ['ghcr.io/foo/bar', 'ghcr.io/*/*', true],
  // What the documentation has for everything below a registry.
  ['registry.com/project/web', 'registry.com/**/*', true],
  ['registry.com/project/deep/web', 'registry.com/**/*', true],
  ['registry.com/web', 'registry.com/**/*', false],
  ['registry.com/project/deep/web', 'registry.com/*/*', false],
  ['ghcr.io/foo/bar', 'ghcr.io/**', true],
  ['ghcr.io/foo', 'ghcr.io/*/*', false],
  ['ghcr.io/foo', 'ghcr.io/**', true],
  ['ghcr.io/foo', 'ghc**', true],
  ['ghcr.io/foo', '**', true],
  ['ghcr.io/foo', '*/**', true],
  ['ghcr.io/foo', 'ghcr.io/foo*', true],
  ['ghcr.io/foo', 'ghcr.io/foo**', true],
  ['prefix-ghcr.io/foo', 'ghcr.io/foo', false],
  ['ghcr.io/foo-suffix', 'ghcr.io/foo', false],
  ['ghcrxio/foo', 'ghcr.io/**', false], // a dot is a dot
  ['foo', '*', true], // index.docker.io/library/*
  ['myuser/myapp', '*/*', true], // index.docker.io/*/*
  [FULL, FULL, true],
] as const) {
  test(`offline, ${glob} ${matches ? 'matches' : 'does not match'} ${image} (lesson 34)`, () => {
    assert.equal(matchesOffline(compileGlob(glob), nameOf(image), image), matches)
  })
}

for (const [image, glob, matches] of [
  [`index.docker.io/library/busybox:latest${D}`, '*', true],
  [`index.docker.io/library/busybox:latest${D}`, 'busybox*', false],
  [`index.docker.io/library/busybox:latest${D}`, 'index.docker.io/library/busybox:latest', false],
  [`index.docker.io/library/busybox:latest${D}`, 'index.docker.io/lib*/busy*', true],
  [`busybox${D}`, 'docker.io/library/busybox*', false],
  [`docker.io/library/busybox${D}`, 'index.docker.io/library/busybox*', true],
  [`registry-1.docker.io/library/busybox${D}`, 'index.docker.io/**', true],
  [`busybox${D}`, '*/*', true],
  [`myuser/myapp${D}`, '*', false],
  [`myuser/myapp${D}`, 'myuser/myapp*', false],
  [`ghcr.io/a/b:v1${D}`, 'ghcr.io/a/b:*', false],
  [`ghcr.io/a/b:v1${D}`, 'ghcr.io/a/b', false], // the digest belongs to the name
  [`ghcr.io/a/b:v1${D}`, 'ghcr.io/a/b*', true],
  [`ghcr.io/a/b:v1${D}`, 'ghcr.io/a/b@**', true],
  [`ghcr.io/a/b:v1${D}`, 'ghcr.io/a/b@sha256:*', true],
  [`ghcr.io/a/b:v1${D}`, `ghcr.io/a/b${D}`, true],
  [`ghcr.io/a/b/c${D}`, 'ghcr.io/a/*', false], // * stops at a slash
  [`ghcr.io/a/b/c${D}`, 'ghcr.io/a/**', true],
  [`ghcr.io/a/b/c${D}`, 'ghcr.io/a/***', true],
  [`ghcr.io/a/b/c${D}`, 'ghcr.io/a/b*', false],
  [`ghcr.io/a/b/c${D}`, 'ghcr.io/a/b**', true],
  [`ghcr.io/a/b/c${D}`, 'ghcr.io/**/c@*', true],
  [`ghcr.io/a/b/c${D}`, 'ghcr.io/**/b@*', false],
  [`ghcr.io/a/b/c${D}`, '*/*/*/c@*', true],
  [`ghcr.io/abc${D}`, 'ghcr.io/a*b*c@*', true],
  [`ghcr.io/acb${D}`, 'ghcr.io/a*b*c@*', false],
  [`docker.io/foo/bar${D}`, 'docker.io/foo/*', false],
  [`registry.local:5000/xy${D}`, 'registry.local:5000/*', true],
  [`registry.local:5000/xy${D}`, 'registry.local*/xy*', true], // a colon is no separator
  [`registry.local/app${D}`, 'registry.local.*/app*', false],
  [`registry.local/my_app-one${D}`, 'registry.local/my_app-*', true],
  [`REGISTRY.local.:443/app${D}`, 'registry.local/*', true],
  [`registry.local/app${D}`, 'REGISTRY.local/*', false],
  [`registry.local:80/app${D}`, 'registry.local/*', false],
] as const) {
  test(`in the webhook, ${glob} ${matches ? 'matches' : 'does not match'} ${image.replace(D, '@sha256:…')} (lesson 34)`, () => {
    assert.equal(compileGlob(glob).matches(nameOf(image)), matches)
  })
}

for (const glob of [
  '.+',
  '[a-z]*',
  'a?',
  'a b',
  '',
  'a$',
  'a#',
  'a%2e',
  '~',
  'a\\b',
  '(a|b)',
  '{a,b}',
  'ä',
  'a\n',
  `${'a'.repeat(1025)}`,
]) {
  test(`${JSON.stringify(glob.slice(0, 20))} is not a glob, and matches nothing`, () => {
    const compiled = compileGlob(glob)
    assert.equal(compiled.broken, true)
    assert.equal(compiled.matches(glob), false)
  })
}

test('an image that is no reference has no name to compare, whatever the glob', () =>
  assert.equal(readReference('invalid&name'), undefined))

const UNKNOWN = `@sha256:${'?'.repeat(64)}`
for (const [glob, some, any] of [
  ['registry.local/app*', true, true],
  ['registry.local/app@**', true, true],
  ['registry.local/app@sha256:*', true, true],
  ['**', true, true],
  [`registry.local/app${D}`, true, false],
  ['registry.local/app@sha256:a1*', true, false],
  ['registry.local/app@*a1', true, false],
  ['registry.local/app@sha256:z*', false, false],
  ['registry.local/app:v1', false, false],
  ['registry.local/other@**', false, false],
] as const) {
  test(`${glob.slice(0, 40)} fits an image of unknown digest ${any ? 'whatever its digest is' : some ? 'if the digest happens to fit' : 'never'} (lesson 34)`, () => {
    const compiled = compileGlob(glob)
    assert.equal(compiled.matches(`registry.local/app${UNKNOWN}`), some)
    assert.equal(compiled.matchesAnyDigest(`registry.local/app${UNKNOWN}`), any)
  })
}

test('globs match as their definition says', () => {
  const text = fc.array(fc.constantFrom('a', 'b', '/', ':', '@', '.', '*', '**'), { minLength: 1, maxLength: 10 }).map((p) => p.join(''))
  const name = fc.array(fc.constantFrom('a', 'b', '/', ':', '@', '.'), { maxLength: 10 }).map((p) => p.join(''))
  fc.assert(
    fc.property(text, name, (glob, n) => {
      if (glob === '*' || glob === '*/*') return
      const pattern = glob.replaceAll('.', '\\.').replace(/\*+/g, (stars) => (stars.length > 1 ? '[^]*' : '[^/]*'))
      assert.equal(compileGlob(glob).matches(n), new RegExp(`^${pattern}$`).test(n), `${glob} ${n}`)
    }),
    { numRuns: 20_000 },
  )
})

test('a glob that would make a backtracking matcher run for years is answered at once (lesson 35)', () => {
  const glob = compileGlob(`${'*a**a'.repeat(200)}b`)
  assert.equal(glob.matches('a'.repeat(700)), false)
})

for (const [glob, says] of [
  ['ghcr.io/a/b:v1', 'images are compared by digest, without their tag; write ghcr.io/a/b@**'],
  ['ghcr.io/a/b:*', 'images are compared by digest, without their tag; write ghcr.io/a/b@**'],
  ['registry.local:5000/app:latest*', 'images are compared by digest, without their tag; write registry.local:5000/app@**'],
  [`ghcr.io/a/b:v1${D}`, `images are compared by digest, without their tag; write ghcr.io/a/b${D}`],
  ['ghcr.io/a/b', 'a name ends with its digest; write ghcr.io/a/b@**'],
  ['docker.io/foo/bar', 'that registry is always compared as index.docker.io; write index.docker.io/foo/bar@**'],
  ['docker.io/foo/bar:v1', 'that registry is always compared as index.docker.io; write index.docker.io/foo/bar@**'],
  ['busybox', "names begin with their registry; for Docker Hub's library write index.docker.io/library/busybox@**"],
  ['*:latest', "names begin with their registry; for Docker Hub's library write index.docker.io/library/*@**"],
  ['ghcr.io', 'names begin with their registry and go on with a repository; write ghcr.io/**'],
  ['ghcr.io*', 'names begin with their registry and go on with a repository; write ghcr.io/**'],
  ['docker.io/foo/*', 'that registry is always compared as index.docker.io; write index.docker.io/foo/*'],
  ['docker.io/busybox*', 'that registry is always compared as index.docker.io; write index.docker.io/library/busybox*'],
  ['index.docker.io/busybox*', 'names on Docker Hub have a namespace; write index.docker.io/library/busybox*'],
  ['REGISTRY.local/*', 'that registry is always compared as registry.local; write registry.local/*'],
  ['registry.local:443/**', 'that registry is always compared as registry.local; write registry.local/**'],
  ['registry.local./**', 'that registry is always compared as registry.local; write registry.local/**'],
  ['registry..local/**', 'registry..local is not a registry'],
  ['myuser/myapp*', 'names begin with their registry; for Docker Hub write index.docker.io/myuser/myapp*'],
  ['localhost/*', 'that registry is always compared as localhost:443; write localhost:443/*'],
  ['busybox*', "names begin with their registry; for Docker Hub's library write index.docker.io/library/busybox*"],
  ['registry.local/App*', 'registries, repositories and digests are lower case'],
  ['registry.local/app@sha256:abc', 'names are written registry/repository@sha256:<64 lower-case digits>'],
  ['registry.local//app*', 'names are written registry/repository@sha256:<64 lower-case digits>'],
] as const) {
  test(`the author of ${glob.replace(D, '@sha256:…')} is told that it never matches`, () =>
    assert.equal(whyDead(glob), `glob ${glob} never matches: ${says}`))
}

for (const glob of [
  '*',
  '*/*',
  '**',
  '*/**',
  'inde**',
  'index.docker.**',
  'ghcr.io/a/b*',
  'ghcr.io/a/b@**',
  `ghcr.io/a/b${D}`,
  'ghcr.io/*:*',
  '*.io/**',
  '*:5000/**',
  '**a1',
  'registry.local:5000/*',
  'team:443/*',
  'index.docker.io/**',
  '**/app@*',
]) {
  test(`nobody is told anything about ${glob.replace(D, '@sha256:…')}, which can match`, () => assert.equal(whyDead(glob), undefined))
}

test('a glob that matches some name is never called dead', () => {
  const names = [`ghcr.io/a/b${D}`, `index.docker.io/library/busybox${D}`, `registry.local:5000/my-app${D}`, `[::1]:5000/x/y${D}`]
  const cut = fc.tuple(fc.constantFrom(...names), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 12 })), { minLength: 1, maxLength: 4 }))
  fc.assert(
    fc.property(cut, ([name, cuts]) => {
      let text: string = name
      for (const [at, length] of cuts) text = `${text.slice(0, at % text.length)}**${text.slice((at % text.length) + length)}`
      const glob = compileGlob(text)
      if (!glob.broken && glob.matches(name)) assert.equal(whyDead(text), undefined, text)
    }),
    { numRuns: 3000 },
  )
})

for (const [wider, narrower, is] of [
  ['**', 'ghcr.io/a*', true],
  ['**', '*', true],
  ['*', 'index.docker.io/library/*', true],
  ['ghcr.io/**', 'ghcr.io/a/*', true],
  ['ghcr.io/a**', 'ghcr.io/ab@**', true],
  ['ghcr.io/*', 'ghcr.io/*', true],
  ['ghcr.io/**', 'ghcr.io*', false],
  ['ghcr.io/**', '**', false],
  ['ghcr.io/*', 'ghcr.io/a', false], // it does, but only stars at the end of a beginning are looked at
  ['ghcr.io/**/a', 'ghcr.io/b/a', false],
  ['**a', 'a', false],
  ['[', '[', false],
] as const) {
  test(`${wider} ${is ? 'surely' : 'not surely'} fits whatever ${narrower} fits`, () => {
    assert.equal(covers(compileGlob(wider), compileGlob(narrower)), is)
  })
}

test('what surely covers another glob fits every name that it fits', () => {
  const text = fc.array(fc.constantFrom('a', '/', '*', '**', '.', '@', ':'), { minLength: 1, maxLength: 5 }).map((p) => p.join(''))
  const name = fc.array(fc.constantFrom('a', '/', '.', '@', ':'), { maxLength: 6 }).map((p) => p.join(''))
  fc.assert(
    fc.property(text, text, name, (outer, inner, n) => {
      const [wider, narrower] = [compileGlob(outer), compileGlob(inner)]
      return !covers(wider, narrower) || !narrower.matches(n) || wider.matches(n)
    }),
    { numRuns: 2000 },
  )
})

test('globs of stars alone that mean less than they look are told of', () => {
  assert.match(whyNarrow('*') ?? '', /index\.docker\.io\/library\/\*.*write \*\*$/)
  assert.match(whyNarrow('*/*') ?? '', /index\.docker\.io\/\*\/\*.*write \*\*$/)
  for (const glob of ['**', '*/**', 'ghcr.io/*']) assert.equal(whyNarrow(glob), undefined)
})
