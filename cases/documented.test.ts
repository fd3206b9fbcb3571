import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { stringify } from 'yaml'
import { FakeRegistry } from '../fakes/registry.ts'
import type { Json } from '../src/image/json.ts'
import type { DocumentedImages } from './documented-images.ts'
import { documentedImages } from './documented-images.ts'
import type { Documented } from './documented.ts'
import { HOSTS, complete, documented, printed, workloadOf } from './documented.ts'
import { patched } from './patch.ts'

/**
 * The examples of the product documentation, asked of `sealgate review` as the API server would ask: each policy when it is written, then workloads
 * of images that were signed as it wants, and of others. e2e/session.test.ts asks the same of a cluster.
 */
const sealgate = join(import.meta.dirname, '../bin/sealgate')
const pull = { username: 'reader', password: 'of signatures' }
type Answer = {
  readonly allowed: boolean
  readonly status?: { readonly message: string }
  readonly warnings?: readonly string[]
  readonly patch?: string
}

suite('the product documentation’s examples', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealgate-documented-'))
  let registry: FakeRegistry
  let images: DocumentedImages
  before(async () => {
    ;[registry, images] = await Promise.all([FakeRegistry.start(), documentedImages(pull)])
    registry.protect('registry.example.com/project/', { scheme: 'basic', ...pull })
    for (const { repository, blobs, manifest, tag } of images.pushed) {
      for (const blob of blobs) registry.blob(repository, blob)
      registry.manifest(repository, manifest.bytes, tag, manifest.mediaType)
    }
    writeFileSync(join(folder, 'root.json'), images.tufRoot)
  })
  after(async () => {
    await Promise.all([registry.close(), images.close()])
    rmSync(folder, { recursive: true })
  })

  /** Answers by the names of the requests, where these objects are all there is. */
  async function review(
    path: string,
    objects: readonly object[],
    requests: Readonly<Record<string, object>>,
  ): Promise<ReadonlyMap<string, Answer>> {
    const here = mkdtempSync(join(folder, 'asked-'))
    writeFileSync(join(here, 'objects.yaml'), [...images.secrets, ...objects].map((one) => stringify(one)).join('---\n'))
    mkdirSync(join(here, 'reviews'))
    for (const [uid, request] of Object.entries(requests))
      writeFileSync(
        join(here, 'reviews', `${uid}.json`),
        JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: { uid, operation: 'CREATE', ...request } }),
      )
    const mirrors = HOSTS.map((host) => `--mirror=${host}=${registry.url}/${host},credentials`)
    const trust = [`--tuf-mirror=${images.tufMirror}`, `--tuf-root=${join(folder, 'root.json')}`]
    const child = spawn(
      sealgate,
      ['review', `--path=${path}`, `--manifests=${join(here, 'objects.yaml')}`, ...mirrors, ...trust, join(here, 'reviews')],
      { env: { PATH: process.env['PATH'], HOME: folder, ...images.env } },
    )
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    await new Promise((resolve) => child.on('close', resolve))
    const answers = out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { answer: { response: Answer & { uid: string } } }).answer.response)
    assert.equal(answers.length, Object.keys(requests).length, err)
    return new Map(answers.map((answer) => [answer.uid, answer]))
  }
  const answered = (answers: ReadonlyMap<string, Answer>, uid: string): Answer => answers.get(uid) ?? assert.fail(`${uid} has no answer`)
  /** As the API server does: defaults are filled in, then what has come of it is validated. */
  async function written(policies: ReadonlyMap<string, object>): Promise<ReadonlyMap<string, Answer>> {
    const kind = { group: 'policy.sigstore.dev', version: 'v1beta1', kind: 'ClusterImagePolicy' }
    const asked = (objects: ReadonlyMap<string, object>) =>
      Object.fromEntries([...objects].map(([name, object]) => [name, { kind, object }]))
    const defaults = await review('/defaulting', [], asked(policies))
    const defaulted = new Map(
      [...policies].map(([name, object]) => [name, patched(object as Json, answered(defaults, name).patch) as object]),
    )
    return review('/validating', [], asked(defaulted))
  }

  test('as they are printed, placeholders filled in, each is taken or says what it lacks', async () => {
    const answers = await written(new Map(documented.map((example) => [example.name, printed(example, images.filling)])))
    for (const { name, refused, meant } of documented) {
      // A field that does not exist is found by the API server, which asks nobody then.
      if (meant !== undefined) continue
      const { allowed, status } = answered(answers, name)
      assert.deepEqual([name, allowed, status?.message], [name, refused === undefined, refused && `validation failed: ${refused}`])
    }
  })

  test('with what they leave out, each is taken, and its author is told what is legal and probably not meant', async () => {
    const answers = await written(new Map(documented.map((example) => [example.name, complete(example, images.filling)])))
    for (const { name, warned = [] } of documented) {
      const { allowed, status, warnings = [] } = answered(answers, name)
      assert.deepEqual([name, allowed, status?.message], [name, true, undefined])
      assert.equal(warnings.length, warned.length, `${name}: ${warnings.join('\n')}`)
      for (const [i, wanted] of warned.entries()) assert.match(warnings[i] ?? '', wanted)
    }
  })

  const together = documented.filter(({ beside }) => beside === undefined)
  const groups: readonly (readonly [string, readonly Documented[], readonly Documented[]])[] = [
    ['those that speak about different images', together, together],
    ...documented
      .filter(({ beside }) => beside !== undefined)
      .map((one) => [one.name, [one], [one, ...documented.filter(({ name }) => one.beside?.includes(name))]] as const),
  ]
  for (const [title, examples, inForce] of groups)
    test(`workloads are admitted and refused as they say: ${title}`, async () => {
      const asked = examples.flatMap(({ name, judged }) =>
        judged.map((one, i) => [`${name}-${i}`, workloadOf(one, 'default', images.digests.get(one.image))] as const),
      )
      const answers = await review(
        '/validations',
        inForce.map((one) => complete(one, images.filling)),
        Object.fromEntries(asked),
      )
      for (const { name, judged } of examples)
        for (const [i, { image, refused, warned }] of judged.entries()) {
          const { allowed, status, warnings = [] } = answered(answers, `${name}-${i}`)
          assert.equal(allowed, refused === undefined, `${name}: ${image}: ${status?.message ?? 'admitted'}`)
          if (refused) assert.match(status?.message ?? '', refused, `${name}: ${image}`)
          else if (warned) assert.match(warnings.join('\n'), warned, `${name}: ${image}`)
          else assert.deepEqual(warnings, [], `${name}: ${image}`)
        }
    })
})
