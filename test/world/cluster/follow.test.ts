import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { follow } from '../../../src/world/cluster/follow.ts'
import { silent } from '../../../src/world/log.ts'

const NEVER = 1_000_000 // ms between looks without cause

/** Waits, at most 3 s, until something has come about. */
async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !isSo(); i++) await wait(10)
  assert.ok(isSo())
}

test('a change in a folder is told at once', async () => {
  const at = await mkdtemp(join(tmpdir(), 'sealgate-follow-'))
  let told = 0
  const following = follow(
    () => [at],
    () => told++,
    NEVER,
    silent,
  )
  await wait(20)
  assert.equal(told, 0)
  await writeFile(join(at, 'a.yaml'), 'a')
  await until(() => told > 0)
  following.close()
  await wait(20)
  told = 0
  await writeFile(join(at, 'a.yaml'), 'b')
  await wait(50)
  assert.equal(told, 0)
})

test('a folder that comes later, or is replaced by another, is followed from the next look on', async () => {
  const at = await mkdtemp(join(tmpdir(), 'sealgate-follow-'))
  const folder = join(at, 'policies')
  let told = 0
  const following = follow(
    () => [folder],
    () => told++,
    20,
    silent,
  )
  try {
    await until(() => told > 0)
    await mkdir(folder)
    await until(() => told > 2)
    await mkdir(join(at, 'next'))
    await rename(folder, join(at, 'old'))
    await rename(join(at, 'next'), folder)
    const before = told
    await until(() => told > before)
  } finally {
    following.close()
  }
})

test('without any change, files are looked at now and then', async () => {
  let told = 0
  const following = follow(
    () => [],
    () => told++,
    5,
    silent,
  )
  await until(() => told >= 2)
  following.close()
})
