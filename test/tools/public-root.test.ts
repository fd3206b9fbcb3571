import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { root } from '../../tools/project.ts'
import { PUBLIC_ROOT, publicRootFile } from '../../tools/public-root.ts'

test('the embedded trust root of the public Sigstore instance is what @sigstore/tuf brings along', () => {
  assert.equal(readFileSync(root + PUBLIC_ROOT, 'utf8'), publicRootFile())
})

test('it holds the TUF root and the trusted root as the text that they are', () => {
  const file = JSON.parse(publicRootFile()) as { root: string; trustedRoot: string }
  assert.deepEqual(Object.keys(file), ['root', 'trustedRoot'])
  assert.match(file.root, /"_type": "root"/)
  assert.match(file.trustedRoot, /vnd\.dev\.sigstore\.trustedroot/)
})
