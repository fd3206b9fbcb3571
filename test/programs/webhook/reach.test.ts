import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeRegistry } from '../../../fakes/registry.ts'
import { parse } from '../../../programs/cli/parse.ts'
import { reach } from '../../../programs/webhook/reach.ts'
import { readReference } from '../../../src/image/reference.ts'
import { nothingKnown } from '../../../src/policy/compile.ts'
import type { Cluster } from '../../../src/world/cluster/cluster.ts'
import { uncounted } from '../../../src/world/metrics.ts'

const cluster = { pullSecretsOf: () => ({ state: 'absent' }), pullSecret: async () => ({ state: 'absent' }) } as unknown as Cluster
const subject = { group: '', version: 'v1', kind: 'Pod', resource: 'pods', namespace: 'demo', name: 'app', labels: {} }
const workload = { subject, isPod: true, podSpecPath: 'spec', images: [], serviceAccount: 'default', pullSecrets: [] }

test('registries are reached by the options of the command line, and the clock is that of --at', async () => {
  const fake = await FakeRegistry.start()
  const put = fake.manifest('inner/app', { schemaVersion: 2, layers: [] }, 'v1')
  const parsed = parse('review', ['--mirror', `registry.example=${fake.url}/inner`, '--at', '2026-01-02T03:04:05Z'], {})
  assert.ok(parsed.ok)
  const { around, registry } = await reach({
    settings: parsed.settings,
    cluster,
    snapshot: () => nothingKnown,
    metrics: uncounted,
    environment: {},
  })
  const access = await around.access(workload, { of: 'workload' })
  assert.ok(access.ok)
  assert.deepEqual(await around.resolve(readReference('registry.example/app:v1')!, access.value, 1000), { ok: true, value: put.digest })
  assert.equal(around.now(), Date.UTC(2026, 0, 2, 3, 4, 5))
  await registry.close()
  await fake.close()
})

test('an option that cannot be carried out is an error, not a default', async () => {
  const parsed = parse('review', ['--registry-ca', '/nowhere/ca.pem'], {})
  assert.ok(parsed.ok)
  await assert.rejects(
    reach({ settings: parsed.settings, cluster, snapshot: () => nothingKnown, metrics: uncounted, environment: {} }),
    /nowhere/,
  )
})
