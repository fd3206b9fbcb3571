import assert from 'node:assert/strict'
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Cluster } from '../../../src/world/cluster/cluster.ts'
import { ManifestError, openManifests, readManifests } from '../../../src/world/cluster/manifests.ts'
import { type Log, silent, type Values } from '../../../src/world/log.ts'

const REMOVAL = 500 // ms; long enough for a busy machine to notice what comes back

const options = { systemNamespace: 'cosign-system', log: silent }

const policy = (name: string, glob = '**') => `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: ${name}}
spec: {images: [{glob: "${glob}"}]}
`
const object = (kind: string, namespace: string, name: string, rest = '') => `apiVersion: v1
kind: ${kind}
metadata: {name: ${name}, namespace: ${namespace}}
${rest}
`

async function folder(files: Readonly<Record<string, string>>): Promise<string> {
  const at = await mkdtemp(join(tmpdir(), 'sealgate-manifests-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(at, name), text)
  return at
}

/** A folder that is followed, with quick times. */
async function followed(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  paths?: (at: string) => string[],
): Promise<{ at: string; cluster: Cluster; lines: string[]; policies(): string[] }> {
  const at = await folder(files)
  const lines: string[] = []
  const line = (level: string) => (message: string, values?: Values) => void lines.push(`${level} ${message} ${JSON.stringify(values)}`)
  const log: Log = { ...silent, info: line('info'), warn: line('warn'), error: line('error') }
  const cluster = await openManifests(paths?.(at) ?? [at], { ...options, log, times: { settle: 20, removal: REMOVAL, poll: 100 } })
  t.after(() => cluster.close())
  return { at, cluster, lines, policies: () => [...cluster.objects().policies.keys()].toSorted() }
}

/** Waits, at most 4 s, until something has come about. */
async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !isSo(); i++) await wait(10)
  assert.ok(isSo())
}

const globOf = (cluster: Cluster, name: string) => JSON.stringify(cluster.objects().policies.get(name))

test("policies, and the Secrets and ConfigMaps of the controller's namespace, come from files and folders", async () => {
  const at = await folder({
    'a.yaml': `${policy('p')}---\n${object('Secret', 'cosign-system', 'key', 'stringData: {cosign.pub: PEM}')}---\n${object('Secret', 'demo', 'pull', 'type: kubernetes.io/dockercfg\nstringData: {.dockercfg: "{}"}')}`,
    'b.json': JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'config-policy-controller', namespace: 'cosign-system' },
      data: { 'no-match-policy': 'warn' },
    }),
    'c.yml': object('ServiceAccount', 'demo', 'default', 'imagePullSecrets: [{name: pull}]'),
  })
  const cluster = await readManifests([at], options)
  const { policies, policiesIncomplete, secrets, configMaps } = cluster.objects()
  assert.deepEqual(
    [[...policies.keys()], policiesIncomplete, [...secrets.keys()], [...configMaps.keys()]],
    [['p'], undefined, ['key'], ['config-policy-controller']],
  )
  assert.deepEqual((secrets.get('key') as { data: object }).data, { 'cosign.pub': 'UEVN' })
  assert.deepEqual(cluster.pullSecretsOf('demo', 'default'), { state: 'found', value: ['pull'] })
  assert.deepEqual(cluster.pullSecretsOf('demo', 'other'), { state: 'absent' })
  assert.deepEqual(await cluster.pullSecret('demo', 'pull', false), {
    state: 'found',
    value: { namespace: 'demo', name: 'pull', type: 'kubernetes.io/dockercfg', data: { '.dockercfg': 'e30=' } },
  })
  assert.deepEqual(await cluster.pullSecret('demo', 'key', true), { state: 'absent' })
  assert.deepEqual(cluster.waitingFor(), [])
  assert.equal(cluster.lastContactAge(), 0)
  await cluster.close()
})

test('an empty folder is the complete list of no policies', async () => {
  const cluster = await readManifests([await folder({})], options)
  assert.equal(cluster.objects().policiesIncomplete, undefined)
  assert.equal(cluster.objects().policies.size, 0)
})

for (const [what, files, paths, messages] of [
  [
    'a broken file',
    { 'a.yaml': `${policy('p')}---\na: [\n`, 'b.yaml': 'kind: Secret' },
    ['.'],
    [/a\.yaml: document 2, line \d: Flow/, /b\.yaml: document 1, line 1: apiVersion is missing/],
  ],
  ['a path that does not exist', {}, ['nothing'], [/nothing: no such file or folder$/]],
  [
    'the same object in two files',
    { 'a.yaml': policy('p'), 'b.yaml': `${policy('q')}---\n${policy('p')}` },
    ['.'],
    [/a\.yaml: ClusterImagePolicy p is in .*a\.yaml \(document 1, line 1\) and .*b\.yaml \(document 2, line 6\)/],
  ],
  [
    'the same object in both versions',
    { 'a.yaml': policy('p'), 'b.yaml': policy('p').replace('v1beta1', 'v1alpha1') },
    ['.'],
    [/ClusterImagePolicy p is in/],
  ],
  [
    'the same object twice in a file',
    { 'a.yaml': `${policy('p')}---\n${policy('p')}` },
    ['.'],
    [/a\.yaml: document 2, line 6: ClusterImagePolicy p is in the same file at document 1, line 1$/],
  ],
] as const) {
  test(`${what} is an error at the start`, async () => {
    const at = await folder(files)
    for (const start of [openManifests, readManifests]) {
      await assert.rejects(
        start(
          paths.map((p) => join(at, p)),
          options,
        ),
        (error: unknown) => error instanceof ManifestError && messages.every((m) => error.message.split('\n').some((l) => m.test(l))),
      )
    }
  })
}

test('a changed file is in force soon, in a new snapshot; the old one stays as it was', async (t) => {
  const { at, cluster } = await followed(t, { 'a.yaml': policy('p', 'one') })
  const before = cluster.objects()
  let changes = 0
  cluster.onChange(() => changes++)
  assert.equal(cluster.objects(), before)
  await writeFile(join(at, 'a.yaml'), `${policy('p', 'two')}---\n${policy('q')}`)
  await until(() => cluster.objects().policies.size === 2)
  assert.match(globOf(cluster, 'p'), /two/)
  assert.match(JSON.stringify(before.policies.get('p')), /one/)
  assert.equal(before.policies.size, 1)
  assert.equal(changes, 1)
})

test('touching a file changes nothing', async (t) => {
  const { at, cluster } = await followed(t, { 'a.yaml': policy('p') })
  const before = cluster.objects()
  await writeFile(join(at, 'a.yaml'), policy('p'))
  await wait(250)
  assert.equal(cluster.objects(), before)
})

test('a file that becomes broken is reported; what was in force from it stays, and the list is not complete', async (t) => {
  const { at, cluster, lines, policies } = await followed(t, { 'a.yaml': policy('p'), 'b.yaml': policy('q') })
  await writeFile(join(at, 'a.yaml'), `${policy('r')}---\na: [`)
  await until(() => cluster.objects().policiesIncomplete !== undefined)
  assert.deepEqual(policies(), ['p', 'q'])
  assert.match(cluster.objects().policiesIncomplete ?? '', /a\.yaml: document 2, line \d: /)
  assert.match(lines.join('\n'), /error file is wrong; what was in force from it stays in force .*a\.yaml/)
  await writeFile(join(at, 'a.yaml'), policy('r'))
  await until(() => cluster.objects().policiesIncomplete === undefined)
  assert.deepEqual(policies(), ['q', 'r'])
  assert.match(lines.join('\n'), /info file is right again/)
})

test('a new file that is broken makes the list incomplete: no policy at all is never concluded from it', async (t) => {
  const { at, cluster } = await followed(t, {})
  await writeFile(join(at, 'a.yaml'), 'a: [')
  await until(() => cluster.objects().policiesIncomplete !== undefined)
  await rm(join(at, 'a.yaml'))
  await until(() => cluster.objects().policiesIncomplete === undefined)
})

for (const [what, remove] of [
  ['disappears', (file: string) => rm(file)],
  ['becomes empty', (file: string) => writeFile(file, ' \n')],
] as const) {
  test(`a file that ${what} is a removal only when it is still so after a while`, async (t) => {
    const { at, cluster, policies } = await followed(t, { 'a.yaml': policy('p'), 'b.yaml': policy('q') })
    const since = performance.now()
    await remove(join(at, 'a.yaml'))
    await until(() => cluster.objects().policies.size === 1)
    assert.ok(performance.now() - since >= REMOVAL)
    assert.deepEqual(policies(), ['q'])
    assert.equal(cluster.objects().policiesIncomplete, undefined)
  })

  test(`a file that ${what} and comes back is one change`, async (t) => {
    const { at, cluster } = await followed(t, { 'a.yaml': policy('p', 'one') })
    const sizes = new Set<number>()
    cluster.onChange(() => sizes.add(cluster.objects().policies.size))
    await remove(join(at, 'a.yaml'))
    await wait(120)
    await writeFile(join(at, 'a.yaml'), policy('p', 'two'))
    await until(() => globOf(cluster, 'p').includes('two'))
    await wait(REMOVAL + 100)
    assert.deepEqual([...sizes], [1])
  })
}

test('rename-and-replace is one change', async (t) => {
  const { at, cluster } = await followed(t, { 'a.yaml': policy('p', 'one') }, (folder) => [join(folder, 'a.yaml')])
  let changes = 0
  cluster.onChange(() => changes++)
  await writeFile(join(at, '.a.yaml.tmp'), policy('p', 'two'))
  await rename(join(at, '.a.yaml.tmp'), join(at, 'a.yaml'))
  await until(() => globOf(cluster, 'p').includes('two'))
  assert.equal(changes, 1)
})

test('the ..data swap of a mounted ConfigMap is one change, whatever comes and goes', async (t) => {
  const at = await folder({})
  const version = async (name: string, files: Readonly<Record<string, string>>) => {
    await mkdir(join(at, name))
    for (const [file, text] of Object.entries(files)) await writeFile(join(at, name, file), text)
  }
  await version('..1', { 'a.yaml': policy('p', 'one'), 'b.yaml': policy('q', 'one') })
  await symlink('..1', join(at, '..data'))
  for (const name of ['a.yaml', 'b.yaml']) await symlink(join('..data', name), join(at, name))
  const cluster = await openManifests([at], { ...options, times: { settle: 20, removal: REMOVAL, poll: 10_000 } })
  t.after(() => cluster.close())
  const seen: string[] = []
  cluster.onChange(() =>
    seen.push([...cluster.objects().policies.values()].map((p) => JSON.stringify(p).replace(/.*"glob":"(\w+)".*/, '$1')).join()),
  )
  await version('..2', { 'a.yaml': policy('p', 'two'), 'b.yaml': policy('q', 'two') })
  await symlink('..2', join(at, '..data_tmp'))
  await rename(join(at, '..data_tmp'), join(at, '..data'))
  await rm(join(at, '..1'), { recursive: true })
  await until(() => seen.length > 0)
  assert.deepEqual(seen, ['two,two'])
})

test('a path that was given and is gone is a removal after a while, but never no policy at all', async (t) => {
  const { at, cluster } = await followed(t, { 'a.yaml': policy('p') })
  await rm(at, { recursive: true })
  await until(() => cluster.objects().policies.size === 0)
  assert.match(cluster.objects().policiesIncomplete ?? '', /no such file or folder/)
  await mkdir(at)
  await writeFile(join(at, 'a.yaml'), policy('p'))
  await until(() => cluster.objects().policies.size === 1)
  assert.equal(cluster.objects().policiesIncomplete, undefined)
})

test('what was in force from a file that cannot be read any more stays in force', async (t) => {
  const { at, cluster } = await followed(t, { 'a.yaml': policy('p') })
  await writeFile(join(at, 'a.yaml'), Buffer.from([0xff, 0xfe]))
  await until(() => cluster.objects().policiesIncomplete !== undefined)
  await wait(REMOVAL + 100)
  assert.equal(cluster.objects().policies.size, 1)
})

test('an object that comes a second time, in another file, is reported; what is in force stays', async (t) => {
  const { at, cluster, policies } = await followed(t, { 'a.yaml': policy('p', 'one'), 'b.yaml': policy('q') })
  await writeFile(join(at, 'b.yaml'), `${policy('p', 'two')}---\n${policy('r')}`)
  await until(() => cluster.objects().policiesIncomplete !== undefined)
  assert.match(
    cluster.objects().policiesIncomplete ?? '',
    /b\.yaml: ClusterImagePolicy p is in .*a\.yaml \(document 1, line 1\) and .*b\.yaml \(document 1, line 1\)/,
  )
  assert.deepEqual(policies(), ['p', 'q'])
  assert.match(globOf(cluster, 'p'), /one/)
  // Once the first file gives it up, the second one is right.
  await writeFile(join(at, 'a.yaml'), policy('s'))
  await until(() => cluster.objects().policiesIncomplete === undefined)
  assert.deepEqual(policies(), ['p', 'r', 's'])
  assert.match(globOf(cluster, 'p'), /two/)
})

test('an object may move to another file, even when its old file is removed', async (t) => {
  const { at, cluster, policies } = await followed(t, { 'a.yaml': policy('p', 'one') })
  const incomplete: unknown[] = []
  cluster.onChange(() => incomplete.push(cluster.objects().policiesIncomplete))
  await Promise.all([rm(join(at, 'a.yaml')), writeFile(join(at, 'b.yaml'), policy('p', 'two'))])
  await until(() => globOf(cluster, 'p').includes('two'))
  await wait(REMOVAL + 100)
  assert.deepEqual(policies(), ['p'])
  assert.deepEqual(
    incomplete.filter((i) => i !== undefined),
    [],
  )
})

test('a file that is written piece by piece is read when it is whole', async (t) => {
  const { at, cluster } = await followed(t, { 'a.yaml': `${policy('p')}---\n${policy('q')}` })
  const sizes = new Set<number>()
  cluster.onChange(() => sizes.add(cluster.objects().policies.size))
  await writeFile(join(at, 'a.yaml'), policy('p', 'new'))
  for (const name of ['q', 'r', 's']) {
    await wait(5)
    await appendFile(join(at, 'a.yaml'), `---\n${policy(name)}`)
  }
  await until(() => cluster.objects().policies.size === 4)
  assert.deepEqual([...sizes], [4])
})

test('kinds that are ignored, inner folders and settings in another namespace are told of once', async (t) => {
  const deployment = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n'
  const { at, lines, cluster } = await followed(t, {
    'a.yaml': deployment,
    'b.yaml': deployment,
    'c.yaml': object('ConfigMap', 'default', 'config-policy-controller', 'data: {}'),
  })
  await mkdir(join(at, 'inner'))
  await writeFile(join(at, 'd.yaml'), `${deployment}---\n${policy('p')}`)
  await until(() => cluster.objects().policies.size === 1)
  assert.equal(lines.filter((l) => l.includes('objects of this kind are ignored')).length, 1)
  assert.equal(lines.filter((l) => l.includes('settings are read from another namespace')).length, 1)
  assert.equal(lines.filter((l) => l.includes('folders inside a folder are not read')).length, 1)
})
