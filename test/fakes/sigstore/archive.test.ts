import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { packed } from '../../../fakes/sigstore/archive.ts'

test('tar lists and unpacks what was packed, long names too', () => {
  const long = `/repository/targets/${'ab'.repeat(32)}.trusted_root.json.of.somebody`
  const archive = packed([
    ['/repository/root.json', Buffer.from('{}')],
    [long, Buffer.alloc(513, 'x')],
    ['empty', Buffer.alloc(0)],
  ])
  const tar = (...args: string[]): string =>
    execFileSync('tar', [...args, '-f', '-'], { input: archive, stdio: ['pipe', 'pipe', 'ignore'] }).toString()
  assert.deepEqual(tar('-tzP').trim().split('\n'), ['/repository/root.json', long, 'empty'])
  assert.equal(tar('-xzOP'), `{}${'x'.repeat(513)}`)
})
