import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf, hexOf, isDigest } from '../../src/image/digest.ts'

// FIPS 180-2, appendix B.1
const ABC = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'

test('the digest of bytes is their SHA-256 as OCI descriptors write it', () => {
  assert.equal(digestOf(new TextEncoder().encode('abc')), ABC)
  assert.equal(hexOf(ABC), ABC.slice(7))
})

for (const [text, why] of [
  [ABC.toUpperCase(), 'upper case'],
  [ABC.replace('ba', 'BA'), 'upper-case digits'],
  [ABC.slice(0, -1), 'a digit too few'],
  [`${ABC}0`, 'a digit too many'],
  [`${ABC}\n`, 'a line end'],
  [` ${ABC.slice(0, -1)}`, 'a space'],
  [ABC.replace('sha256', 'sha512'), 'another algorithm'],
  [ABC.replace('f20015ad', 'g20015ad'), 'a letter that is no digit'],
  ['', 'nothing'],
] as const) {
  test(`a text with ${why} is not a digest`, () => assert.equal(isDigest(text), false))
}

test('64 lower-case digits after sha256: are a digest', () => assert.equal(isDigest(ABC), true))
