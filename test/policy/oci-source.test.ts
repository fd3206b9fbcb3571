import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whyNotOciSource } from '../../src/policy/oci-source.ts'

for (const text of [
  'example.com/repo',
  'localhost:5000/a/b',
  'example.com',
  'registry',
  'registry.local:5000',
  'index.docker.io/library/busybox',
  'docker.io/me/app',
  'https://registry.local/ab', // read as a registry `https:` and a repository: accepted, and refused when it is used
])
  test(`${text} may be written`, () => assert.equal(whyNotOciSource(text), undefined))

const LETTERS = 'repository can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: '
const LENGTH = 'repository must be between 2 and 255 characters in length: '
const AUTHORITY = 'registries must be valid RFC 3986 URI authorities: '
for (const [text, why] of [
  ['foo/bar', `${AUTHORITY}foo/bar`],
  ['registry local/ab', `${AUTHORITY}registry local/ab`],
  ['a.b c/de', `${AUTHORITY}a.b c`],
  ['user@a.b/de', `${AUTHORITY}user@a.b`],
  ['registry.local/a', `${LENGTH}a`],
  ['registry.local/', LENGTH],
  [`registry.local/${'a'.repeat(256)}`, `${LENGTH}${'a'.repeat(256)}`],
  ['registry.local/UPPER', `${LETTERS}UPPER`],
  ['registry.local/ab:v1', `${LETTERS}ab:v1`],
  ['', 'strict validation requires the registry to be explicitly defined'],
  ['docker.io/busybox', "strict validation requires the full repository path (missing 'library')"],
  ['index.docker.io/busybox', "strict validation requires the full repository path (missing 'library')"],
] as const)
  test(`«${text}» may not: ${why.slice(0, 80)}`, () => assert.equal(whyNotOciSource(text), why))
