import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { makeSigner } from '../../../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../../../fakes/sigstore/authority.ts'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import { examplePolicies } from '../../../programs/demo/policies.ts'
import { compile } from '../../../src/policy/compile.ts'
import { nothingFetched } from '../../../src/policy/objects.ts'
import { readTrustRoot } from '../../../src/trust/trust-root.ts'

test('the example policies are sound: they refuse nothing by themselves and warn of nothing', async () => {
  const sigstore = await Sigstore.create()
  const identity = { issuer: DEFAULT_ISSUER, subject: DEFAULT_SUBJECT }
  const files = examplePolicies({ pem: makeSigner().pem, trustedRoot: sigstore.trustedRoot(), identity })
  const objects = Object.values(files).flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Shown))
  const named = (kind: string) => new Map(objects.filter((o) => o.kind === kind).map((o) => [o.metadata.name, o]))
  const [trustRoot] = named('TrustRoot').values()
  const read = readTrustRoot(trustRoot ?? {}, 'demo-sigstore')
  assert.ok(read.ok && read.value.from === 'itself')
  const snapshot = compile(
    {
      policies: named('ClusterImagePolicy'),
      policiesIncomplete: undefined,
      secrets: new Map(),
      configMaps: new Map(),
      trustRoots: named('TrustRoot'),
    },
    'cosign-system',
    undefined,
    { ...nothingFetched(), trustRoots: new Map([['demo-sigstore', { ok: true, value: read.value.material }]]) },
  )
  assert.deepEqual(
    snapshot.policies.map((p) => [p.name, p.refuses, p.warnings]),
    [
      ['image-policy', [], []],
      ['release-policy', [], []],
      ['team-policy', [], []],
    ],
  )
  assert.deepEqual(
    snapshot.policies.map((p) => p.authorities.map((a) => [a.name, a.check.by, a.refuses])),
    [[['official-cosign-key', 'key', []]], [['release-workflow', 'keyless', []]], [['team-key', 'key', []]]],
  )
})

type Shown = { readonly kind: string; readonly metadata: { readonly name: string } }
