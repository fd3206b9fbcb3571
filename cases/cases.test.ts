import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { readReview } from '../src/admission/review.ts'
import { check, setDefaults } from '../src/configure.ts'
import type { Snapshot } from '../src/policy/compile.ts'
import { compile, nothingKnown } from '../src/policy/compile.ts'
import { Cloud } from '../src/world/cloud/cloud.ts'
import { silent } from '../src/world/log.ts'
import { readManifests } from '../src/world/cluster/manifests.ts'
import { uncounted } from '../src/world/metrics.ts'
import { answerers } from '../programs/webhook/answer.ts'
import { fetchOutside } from '../programs/webhook/outside.ts'
import { openRegistry, reach } from '../programs/webhook/reach.ts'
import { parse } from '../programs/cli/parse.ts'
import { patched } from './patch.ts'
import { recordedHosts, replay } from './replay.ts'

/**
 * Recorded answers of the controller that Sealgate stands in for, to recorded requests. The lines of an answer have to be there, in their
 * order; lines between them are Sealgate's own. Where Sealgate differs on purpose, `differences.md` says how and why.
 */
const folder = join(import.meta.dirname, 'recorded')
const systemNamespace = 'cosign-system'
const at = '2026-11-23T18:00:00Z'

/** Of a conversion: whether it succeeded, and what came out. */
type Expected = {
  readonly allowed: boolean
  readonly message: string | null
  readonly warnings: readonly string[] | null
  readonly patch: readonly object[] | null
  readonly convertedObjects?: readonly object[]
}
type Recorded = Expected & {
  readonly unstable?: boolean
  readonly variants?: readonly Expected[]
  readonly result?: { readonly status: string; readonly message?: string }
  /** By file: objects of the case that the webhooks did not take. */
  readonly refusedObjects?: Readonly<Record<string, unknown>>
  /** By kind and name: why an object was not carried out. */
  readonly notReady?: Readonly<Record<string, string>>
}
type Given = { readonly title: string; readonly path: string; readonly tags: readonly string[] }

/** The rows of the table in `differences.md`: case, what is different (`verdict`, `wording` or `patch`), what the answer is now. */
const differences = new Map(
  readFileSync(join(import.meta.dirname, 'differences.md'), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, name, verdict] = /^\| `([a-z0-9-]+)` +\| (admitted|refused|converted) +\|/.exec(line) ?? []
      return name === undefined ? [] : [[name, verdict !== 'refused'] as const]
    }),
)

let registry: Awaited<ReturnType<typeof replay>>
before(async () => {
  registry = await replay()
})
after(() => registry.close())

const names = readdirSync(folder).toSorted()
for (const name of names) {
  const given = JSON.parse(readFileSync(join(folder, name, 'case.json'), 'utf8')) as Given
  test(`${name}: ${given.title}`, async () => {
    const got = await answer(name, given)
    const recorded = recordedOf(name)
    const { result } = recorded
    const converted = result && { ...recorded, allowed: result.status === 'Success', message: result.message ?? null }
    const variants = recorded.variants ?? [converted ?? recorded]
    const inAnyOrder = recorded.unstable === true || ['any-of', 'multi-policy', 'all-of'].some((tag) => given.tags.includes(tag))
    const agrees = variants.some((wanted) => isAsRecorded(got, wanted, inAnyOrder))
    const different = differences.get(name)
    if (different === undefined) assert.ok(agrees, JSON.stringify({ got, recorded }, null, 1))
    else {
      assert.ok(!agrees, 'differences.md lists it, but there is no difference any more')
      assert.equal(got.allowed, different, JSON.stringify(got))
    }
  })
}

test('every difference that is listed is about a case that exists', () => {
  for (const name of differences.keys()) assert.ok(names.includes(name), name)
})

function recordedOf(name: string): Recorded {
  return JSON.parse(readFileSync(join(folder, name, 'expect.json'), 'utf8')) as Recorded
}

test('the objects of every case are taken by the webhooks, but for those that were not', async () => {
  for (const name of names.filter((n) => existsSync(join(folder, n, 'objects')))) {
    const { refusedObjects = {} } = recordedOf(name)
    for (const file of readdirSync(join(folder, name, 'objects'))) {
      // Where Sealgate's verdict is another, so may be what it takes.
      if (file in refusedObjects && differences.has(name)) continue
      const { refused } = await written(join(folder, name, 'objects'), file)
      assert.equal(refused !== undefined, file in refusedObjects, `${name} ${file}: ${refused}`)
    }
  }
})

test('what kept a policy from being carried out is what its author is told', async () => {
  for (const name of names.filter((n) => !differences.has(n) || n.startsWith('key-secretref'))) {
    for (const [object, why] of Object.entries(recordedOf(name).notReady ?? {})) {
      if (!object.startsWith('ClusterImagePolicy/')) continue
      const { warnings } = await written(join(folder, name, 'objects'))
      assert.ok(warnings.includes(why), `${name}: ${why}\n${warnings.join('\n')}`)
    }
  }
})

/** Writes policies and trust roots as the API server would: defaults filled in, then validated. The rest of the cluster is the same manifests. */
async function written(manifests: string, file = ''): Promise<{ readonly refused: string | undefined; readonly warnings: readonly string[] }> {
  const cluster = await readManifests([manifests, join(import.meta.dirname, 'base.yaml')], { systemNamespace, log: silent })
  const snapshot = compile(cluster.objects(), systemNamespace)
  const parsed = parse('review', ['--at', at], {})
  assert.ok(parsed.ok)
  const stage = { settings: parsed.settings, cluster, snapshot: () => snapshot, metrics: uncounted, environment: {} }
  const { registrar, registry: client } = await reach(stage)
  const { policies, trustRoots } = (await readManifests([join(manifests, file)], { systemNamespace, log: silent })).objects()
  const warnings: string[] = []
  let refused: string | undefined
  for (const object of [...policies.values(), ...trustRoots.values()]) {
    const { apiVersion, kind } = object as { apiVersion: string; kind: string }
    const [group, version] = apiVersion.split('/')
    const request = { uid: '', operation: 'CREATE', kind: { group, version, kind }, object }
    const read = readReview(Buffer.from(JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request })))
    assert.ok(read.ok)
    const defaulted = setDefaults(read.review)
    const filledIn = { ...read.review, object: patched(read.review.object, defaulted.response.patch) }
    const answer = await check(filledIn, snapshot, registrar, { at: performance.now() + 20_000 })
    refused ??= (defaulted.response.status ?? answer.response.status)?.message
    warnings.push(...(answer.response.warnings ?? []))
  }
  await client.close()
  return { refused, warnings }
}

async function answer(name: string, { path }: Given): Promise<Expected> {
  const objects = join(folder, name, 'objects')
  const manifests = [...(existsSync(objects) ? [objects] : []), join(import.meta.dirname, 'base.yaml')]
  const mirrors = recordedHosts.flatMap((host) => ['--mirror', `${host}=http://127.0.0.1:${registry.port}/${host},credentials`])
  const parsed = parse('review', ['--at', at, ...mirrors], {})
  assert.ok(parsed.ok)
  const cluster = await readManifests(manifests, { systemNamespace, log: silent })
  const client = await openRegistry(parsed.settings, uncounted, {})
  const outside = await fetchOutside(parsed.settings, cluster, client, new Cloud({}, uncounted))
  const snapshot = withoutFallback(compile(cluster.objects(), systemNamespace, nothingKnown, outside))
  const { around, registrar } = await reach({
    settings: parsed.settings,
    cluster,
    snapshot: () => snapshot,
    metrics: uncounted,
    environment: {},
    registry: client,
    outside: () => outside,
  })
  const answerer = answerers(() => snapshot, around, registrar, uncounted).get(path)
  assert.ok(answerer, path)
  const { status, body } = await answerer(readFileSync(join(folder, name, 'review.json')), { at: performance.now() + 20_000 })
  await client.close()
  assert.equal(status, 200, body)
  const { response } = JSON.parse(body) as {
    response: { allowed: boolean; status?: { message: string }; warnings?: string[]; patch?: string; convertedObjects?: object[]; result?: Recorded['result'] }
  }
  const { convertedObjects, result } = response
  if (convertedObjects && result)
    return { allowed: result.status === 'Success', message: result.message ?? null, warnings: null, patch: null, convertedObjects }
  const patch = response.patch === undefined ? null : (JSON.parse(Buffer.from(response.patch, 'base64').toString()) as { path: string }[])
  return { allowed: response.allowed, message: response.status?.message ?? null, warnings: response.warnings ?? null, patch: patch?.toSorted((a, b) => (a.path < b.path ? -1 : 1)) ?? null }
}

/** The controller that was recorded has no keyless fallback: without any policy, `no-match-policy` decides there. */
function withoutFallback(snapshot: Snapshot): Snapshot {
  return { ...snapshot, fallback: undefined, settings: { ...snapshot.settings, withoutPolicies: 'no-match-policy' } }
}

function isAsRecorded(got: Expected, wanted: Expected, inAnyOrder: boolean): boolean {
  const has = inAnyOrder ? hasAll : hasInOrder
  return (
    got.allowed === wanted.allowed &&
    JSON.stringify(sorted(got.patch)) === JSON.stringify(sorted(wanted.patch)) &&
    isDeepStrictEqual(got.convertedObjects, wanted.convertedObjects) &&
    has(lines(wanted.message), lines(got.message)) &&
    has(lines(wanted.warnings), lines(got.warnings))
  )
}

function lines(text: string | readonly string[] | null | undefined): string[] {
  return (typeof text === 'string' ? [text] : (text ?? [])).flatMap((t) => t.split('\n')).filter((line) => line !== '')
}

function hasInOrder(wanted: readonly string[], got: readonly string[]): boolean {
  let from = 0
  return wanted.every((line) => (from = got.indexOf(line, from) + 1) > 0)
}

function hasAll(wanted: readonly string[], got: readonly string[]): boolean {
  return wanted.every((line) => got.includes(line))
}

function sorted(patch: Expected['patch'] | undefined): unknown {
  return !patch || patch.length === 0 ? null : patch.map((operation) => Object.entries(operation).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
