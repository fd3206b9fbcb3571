import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { nameOf, workloadKind } from '../src/admission/kind.ts'
import { podSpecs } from '../test/admission/pod-specs.ts'
import { applied, startCluster } from './cluster.ts'
import { leftOutWithout, type Parts, partsIfPresent } from './parts.ts'

const NEEDED = ['kube-apiserver', 'etcd', 'kubectl'] as const

/** What `/openapi/v2` says, as far as it is asked. */
type Served = {
  readonly definitions: Readonly<Record<string, object>>
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly parameters?: readonly { readonly in: string; readonly schema?: object }[] }>>>
  >
}
type Kind = { readonly group: string; readonly version: string; readonly kind: string }

const REFERENCE = /"\$ref":"#\/definitions\/([^"]+)"/g

/** The definitions that hold a pod spec, however deep. */
function holders(definitions: Served['definitions']): ReadonlySet<string> {
  const found = new Set(['io.k8s.api.core.v1.PodSpec'])
  for (let before = 0; before < found.size;) {
    before = found.size
    for (const [name, definition] of Object.entries(definitions)) if (refersTo(definition, found)) found.add(name)
  }
  return found
}

function refersTo(schema: object, names: ReadonlySet<string>): boolean {
  return [...JSON.stringify(schema).matchAll(REFERENCE)].some(([, name = '']) => names.has(name))
}

test(
  'lesson 29: every kind that a real API server serves with a pod spec is judged, or it is known why not; so is each way to write one',
  { skip: leftOutWithout(NEEDED) },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'sealgate-kinds-'))
    const real = await startCluster(partsIfPresent(NEEDED) as Parts, folder, [])
    t.after(async () => {
      await real.stop()
      await rm(folder, { recursive: true, force: true })
    })
    const { definitions, paths } = JSON.parse(await applied(real, ['get', '--raw', '/openapi/v2'])) as Served
    const holding = holders(definitions)
    assert.ok(holding.has('io.k8s.api.apps.v1.Deployment'))

    const served = [...holding]
      .flatMap(
        (name) => (definitions[name] as { 'x-kubernetes-group-version-kind'?: readonly Kind[] })['x-kubernetes-group-version-kind'] ?? [],
      )
      .filter(({ kind }) => !kind.endsWith('List'))
    const known = new Set(podSpecs.map(([group, version, kind]) => nameOf({ group, version, kind })))
    assert.deepEqual(
      served.map(nameOf).filter((name) => !known.has(name)),
      [],
    )
    // All but what this release no longer serves.
    const judged = podSpecs
      .filter(([group, version, kind]) => workloadKind({ group, version, kind }))
      .map(([group, version, kind]) => nameOf({ group, version, kind }))
    assert.deepEqual(
      judged.filter((name) => !served.map(nameOf).includes(name)),
      ['batch/v1beta1, Kind=CronJob'],
    )

    const ways = Object.entries(paths).flatMap(([path, methods]) =>
      Object.values(methods).flatMap(({ parameters }) =>
        parameters?.some((p) => p.in === 'body' && p.schema !== undefined && refersTo(p.schema, holding))
          ? [path.split('/{name}/')[1] ?? '']
          : [],
      ),
    )
    // `resize` changes what a container may use, and `status` what is said of it: neither can change an image.
    assert.deepEqual([...new Set(ways)].toSorted(), ['', 'ephemeralcontainers', 'resize', 'status'])
  },
)
