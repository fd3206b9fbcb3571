import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FakeCluster } from '../../../fakes/cluster.ts'
import { sound } from './checks/ward.ts'

const main = fileURLToPath(new URL('../../../programs/cli/main.ts', import.meta.url))
const policy = {
  kind: 'ClusterImagePolicy',
  metadata: { name: 'p' },
  spec: { images: [{ glob: '**' }], authorities: [{ static: { action: 'pass' } }] },
}

type Told = { readonly status: number; readonly stdout: string; readonly stderr: string }

function doctor(...given: readonly string[]): Promise<Told> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'doctor', ...given], { env: { PATH: process.env['PATH'] } }, (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
  })
}

async function folder(t: TestContext): Promise<string> {
  const at = await mkdtemp(join(tmpdir(), 'doctor-'))
  t.after(() => rm(at, { recursive: true, force: true }))
  return at
}

/** A cluster, and the option that names it. */
async function examined(t: TestContext): Promise<{ readonly cluster: FakeCluster; readonly option: string }> {
  const cluster = await FakeCluster.start()
  t.after(() => cluster.stop())
  for (const object of [...sound().values(), policy]) cluster.store.put(object)
  const file = join(await folder(t), 'kubeconfig')
  await writeFile(file, cluster.kubeconfig())
  return { cluster, option: `--kubeconfig=${file}` }
}

test('a cluster in which nothing is wrong: exit status 0, and nothing was written', async (t) => {
  const { cluster, option } = await examined(t)
  const { status, stdout, stderr } = await doctor(option)
  equal(status, 0, stdout + stderr)
  match(stdout, /^the API server\n {2}ok {6}v1\.34\.2 answers, in \d+ ms\n/)
  match(stdout, /\nthe API server reaches the webhook\n {2}ok {6}with policies\n/)
  match(stdout, /\n0 things wrong, 0 warnings, 0 not known\n$/)
  const writes = cluster.requests.filter(
    ({ verb, url }) => !['get', 'list', 'watch'].includes(verb) && !url.includes('dryRun=All') && !url.includes('accessreviews'),
  )
  deepEqual(writes, [])
})

test('something wrong: exit status 1, with how to mend it', async (t) => {
  const { cluster, option } = await examined(t)
  cluster.store.remove('ValidatingWebhookConfiguration', '', 'policy.sigstore.dev')
  const { status, stdout } = await doctor(option)
  equal(status, 1)
  match(
    stdout,
    /\n {2}wrong {3}ValidatingWebhookConfiguration policy\.sigstore\.dev is missing\n {10}→ apply what is in deploy\/, or upgrade the chart\n/,
  )
  match(stdout, /\n1 thing wrong, /)
})

test('what may not be read is not known: exit status 2', async (t) => {
  const { cluster, option } = await examined(t)
  cluster.deny('get', 'services', 'cosign-system')
  const { status, stdout } = await doctor(option, '--json')
  equal(status, 2, stdout)
  const told = JSON.parse(stdout) as {
    readonly unknown: number
    readonly findings: readonly { readonly check: string; readonly level: string; readonly what: string; readonly mend?: string }[]
  }
  equal(told.unknown, 1)
  const finding = told.findings.find(({ level }) => level === 'unknown')
  deepEqual([finding?.check, finding?.mend], ['the Service and its replicas', 'use a kubeconfig of somebody who may'])
})

test('an API server that does not answer is all that is said: exit status 2', async (t) => {
  const { cluster, option } = await examined(t)
  await cluster.stop()
  const { status, stdout } = await doctor(option)
  equal(status, 2)
  match(stdout, /^the API server\n {2}unknown it cannot be asked: [^\n]*\n {10}→ [^\n]*\n\n0 things wrong, 0 warnings, 1 not known\n$/)
})

test('without a cluster it says how to name one: exit status 2', async () => {
  const { status, stderr } = await doctor()
  equal(status, 2)
  match(stderr, /^sealgate doctor: no cluster is known: .*--kubeconfig/)
})

test('of files it says what files can tell', async (t) => {
  const at = await folder(t)
  await writeFile(join(at, 'p.json'), JSON.stringify({ apiVersion: 'policy.sigstore.dev/v1beta1', ...policy }))
  const sane = await doctor('--manifests', at)
  deepEqual(
    [sane.status, sane.stdout],
    [0, 'policies and settings\n  ok      1 of 1 policy is carried out as written\n\n0 things wrong, 0 warnings, 0 not known\n'],
  )
  const broken = { ...policy, metadata: { name: 'q' }, spec: { ...policy.spec, authorities: [{ key: { secretRef: { name: 'gone' } } }] } }
  await writeFile(join(at, 'q.json'), JSON.stringify({ apiVersion: 'policy.sigstore.dev/v1beta1', ...broken }))
  const told = await doctor('--manifests', at)
  equal(told.status, 1)
  ok(told.stdout.includes('  wrong   q refuses every image that it speaks about: secret "gone" not found\n'), told.stdout)
})
