import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { makeSigner } from '../../../fakes/signer.ts'
import { examplePolicies } from '../../../programs/demo/policies.ts'
import { compile } from '../../../src/policy/compile.ts'

test('the example policies are sound: they refuse nothing by themselves and warn of nothing', () => {
  const objects = Object.values(examplePolicies(makeSigner().pem)).map((text) => parse(text) as { metadata: { name: string } })
  const policies = new Map(objects.map((object) => [object.metadata.name, object]))
  const snapshot = compile(
    { policies, policiesIncomplete: undefined, secrets: new Map(), configMaps: new Map(), trustRoots: new Map() },
    'cosign-system',
  )
  assert.deepEqual(
    snapshot.policies.map((p) => [p.name, p.refuses, p.warnings]),
    [
      ['image-policy', [], []],
      ['team-policy', [], []],
    ],
  )
  assert.deepEqual(
    snapshot.policies.map((p) => p.authorities.map((a) => [a.name, a.check.by])),
    [[['official-cosign-key', 'key']], [['team-key', 'key']]],
  )
})
