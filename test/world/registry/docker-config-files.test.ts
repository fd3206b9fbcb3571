import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Values } from '../../../src/world/log.ts'
import { silent } from '../../../src/world/log.ts'
import { DockerConfigFiles } from '../../../src/world/registry/docker-config-files.ts'

const opened: DockerConfigFiles[] = []
const folders: string[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((files) => files.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'docker-'))
  folders.push(made)
  return made
}
const auths = (user: string): string => JSON.stringify({ auths: { 'r.example': { username: user, password: 'x' } } })
const logged: string[] = []
const log = {
  ...silent,
  warn: (message: string, values?: Values) => void logged.push(`${message}: ${JSON.stringify(values?.['problem'])}`),
}

async function followed(environment: Readonly<Record<string, string>>): Promise<DockerConfigFiles> {
  logged.length = 0
  const files = await DockerConfigFiles.open(environment, log, { poll: 20, gone: 60 })
  opened.push(files)
  files.follow()
  return files
}
const users = (files: DockerConfigFiles): string =>
  files
    .current()
    .flatMap(({ auths: entries }) => entries.map(({ credential }) => ('username' in credential ? credential.username : '')))
    .join(' ')

async function until(files: DockerConfigFiles, wanted: string): Promise<void> {
  for (let i = 0; i < 400 && users(files) !== wanted; i++) await sleep(5)
  assert.equal(users(files), wanted)
}

test("the controller's own configs are read from four places, each if it is there", async () => {
  const home = folder()
  mkdirSync(join(home, '.docker'))
  mkdirSync(join(home, 'containers'))
  for (const [at, user] of [
    ['config.json', 'a'],
    ['.docker/config.json', 'b'],
    ['auth.json', 'c'],
    ['containers/auth.json', 'd'],
  ] as const)
    writeFileSync(join(home, at), auths(user))
  const environment = { DOCKER_CONFIG: home, HOME: home, REGISTRY_AUTH_FILE: join(home, 'auth.json'), XDG_RUNTIME_DIR: home }
  assert.equal(users(await followed(environment)), 'a b c d')
  assert.equal(users(await followed({ HOME: join(home, 'nobody'), DOCKER_CONFIG: '' })), '')
  writeFileSync(join(home, 'auth.json'), '{')
  await assert.rejects(DockerConfigFiles.open(environment, silent), /the Docker config .*auth\.json is not a JSON object/)
})

test('a config that is written anew, or only later, is in force from then on; nothing else is another object', async () => {
  const home = folder()
  const files = await followed({ DOCKER_CONFIG: home })
  assert.equal(users(files), '')
  writeFileSync(join(home, 'config.json'), auths('a'))
  await until(files, 'a')
  const before = files.current()
  writeFileSync(join(home, 'other.json'), auths('x'))
  await sleep(60)
  assert.equal(files.current(), before)
  writeFileSync(join(home, 'next'), auths('b'))
  renameSync(join(home, 'next'), join(home, 'config.json'))
  await until(files, 'b')
})

test('a mounted Secret that is exchanged is one change', async () => {
  const home = folder()
  for (const [version, user] of [
    ['..v1', 'a'],
    ['..v2', 'b'],
  ] as const) {
    mkdirSync(join(home, version))
    writeFileSync(join(home, version, 'config.json'), auths(user))
  }
  symlinkSync('..v1', join(home, '..data'))
  symlinkSync('..data/config.json', join(home, 'config.json'))
  const files = await followed({ DOCKER_CONFIG: home })
  assert.equal(users(files), 'a')
  symlinkSync('..v2', join(home, '..next'))
  renameSync(join(home, '..next'), join(home, '..data'))
  await until(files, 'b')
})

test('of a config that is broken, what was read of it stays, and the log says so without showing it', async () => {
  const home = folder()
  writeFileSync(join(home, 'config.json'), auths('a'))
  const files = await followed({ DOCKER_CONFIG: home })
  writeFileSync(join(home, 'config.json'), '{"auths": {"r.example": {"password": "hunter2"')
  for (let i = 0; i < 200 && logged.length === 0; i++) await sleep(5)
  assert.deepEqual(logged, ['a Docker config is broken; what was read of it before stays in force: "is not a JSON object"'])
  assert.equal(users(files), 'a')
  writeFileSync(join(home, 'config.json'), auths('b'))
  await until(files, 'b')
})

test('a config that disappears is gone only if it stays away', async () => {
  const home = folder()
  const path = join(home, 'config.json')
  writeFileSync(path, auths('a'))
  const files = await followed({ DOCKER_CONFIG: home })
  rmSync(path)
  await sleep(25)
  assert.equal(users(files), 'a')
  writeFileSync(path, auths('a'))
  await sleep(100)
  assert.equal(users(files), 'a')
  rmSync(path)
  await until(files, '')
})
