import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSame, look, readText } from '../../../src/world/cluster/files.ts'

async function folder(files: Readonly<Record<string, string>>): Promise<string> {
  const at = await mkdtemp(join(tmpdir(), 'sealgate-files-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(at, name), text)
  return at
}

test('a folder gives its .yaml, .yml and .json files by name, without hidden ones and inner folders', async () => {
  const at = await folder({ 'b.yml': '', 'a.yaml': '', 'c.json': '', 'd.txt': '', '.e.yaml': '', 'f.yaml~': '' })
  await mkdir(join(at, 'inner.yaml'))
  const seen = await look([at])
  assert.deepEqual(
    [...seen.files.keys()],
    ['a.yaml', 'b.yml', 'c.json'].map((name) => join(at, name)),
  )
  assert.deepEqual(seen.inner, [join(at, 'inner.yaml')])
  assert.deepEqual(seen.folders, [at])
  assert.equal(seen.problems.size, 0)
})

test('a file named itself may have any name, and the folder it lies in is where its changes show', async () => {
  const at = await folder({ policy: '' })
  const seen = await look([join(at, 'policy')])
  assert.deepEqual([...seen.files.keys()], [join(at, 'policy')])
  assert.deepEqual(seen.folders, [at])
})

test('the same file through two paths is one file', async () => {
  const at = await folder({ 'a.yaml': '' })
  await symlink(at, join(at, 'again'))
  assert.equal((await look([at, join(at, 'a.yaml'), join(at, 'again', 'a.yaml')])).files.size, 1)
})

test('what does not exist, and a link to nowhere, is a problem', async () => {
  const at = await folder({})
  await symlink(join(at, 'nowhere'), join(at, 'a.yaml'))
  const seen = await look([at, join(at, 'b.yaml')])
  assert.deepEqual(
    [...seen.problems],
    [
      [join(at, 'a.yaml'), 'no such file or folder'],
      [join(at, 'b.yaml'), 'no such file or folder'],
    ],
  )
})

test('two looks are the same until a file changes, even to the same size and time', async () => {
  const at = await folder({ 'a.yaml': 'a', 'b.yaml': 'b' })
  const time = new Date(1_700_000_000_000)
  await utimes(join(at, 'a.yaml'), time, time)
  const before = await look([at])
  assert.ok(isSame(before, await look([at])))
  await writeFile(join(at, 'a.yaml'), 'c')
  await utimes(join(at, 'a.yaml'), time, time)
  assert.ok(!isSame(before, await look([at])))
  const changed = await look([at])
  await rm(join(at, 'b.yaml'))
  assert.ok(!isSame(changed, await look([at])))
})

test('a file is read whole, as UTF-8, up to a bound', async () => {
  const at = await folder({ 'a.yaml': 'ü'.repeat(100_000), 'large.yaml': 'x'.repeat(16 * 1024 * 1024 + 1) })
  await writeFile(join(at, 'latin.yaml'), Buffer.from([0x61, 0xfc]))
  assert.deepEqual(await readText(join(at, 'a.yaml')), { state: 'found', text: 'ü'.repeat(100_000) })
  assert.deepEqual(await readText(join(at, 'large.yaml')), { state: 'failed', problem: 'larger than 16 MiB' })
  assert.deepEqual(await readText(join(at, 'latin.yaml')), { state: 'failed', problem: 'not UTF-8' })
  assert.deepEqual(await readText(join(at, 'nothing')), { state: 'absent' })
  assert.equal((await readText(at)).state, 'failed')
})
