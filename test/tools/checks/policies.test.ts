import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policies } from '../../../tools/checks/policies.ts'
import { inMemory } from '../../../tools/project.ts'

const policy = (spec: string): string =>
  `apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata:\n  name: p\nspec: ${spec}\n`
const sound = policy('{ images: [{ glob: "ghcr.io/acme/*" }], authorities: [{ static: { action: pass } }] }')
const misspelt = policy('{ images: [{ glob: "ghcr.io/acme/*" }], authorities: [{ static: { action: admit } }] }')
const dead = policy('{ images: [{ glob: "ghcr.io/acme/web:v1" }], authorities: [{ static: { action: pass } }] }')

const remote = (root: string): string =>
  `apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata:\n  name: ours\nspec:\n  remote: { root: ${root}, mirror: "https://tuf.example" }\n`
const trusting = policy(
  '{ images: [{ glob: "ghcr.io/acme/*" }], authorities: [{ keyless: { trustRootRef: ours, identities: [{ issuer: a, subject: b }] } }] }',
)

const aboutServices = policy(
  '{ images: [{ glob: "ghcr.io/acme/*" }], authorities: [{ static: { action: pass } }], match: [{ version: v1, resource: services }] }',
)
const short = policy(
  '{ images: [{ glob: "ghcr.io/acme/*" }], authorities: [{ key: { kms: "hashivault://k" }, attestations: [{ name: a, predicateType: vuln }] }] }',
)

for (const [fence, yaml, holds] of [
  ['yaml', remote('e30='), true],
  ['yaml', remote('"-"'), false],
  ['yaml refused', remote('"-"'), true],
  ['yaml refused', trusting, true],
  ['yaml refused', `${trusting}---\n${remote('e30=')}`, false],
  ['yaml refused', aboutServices, true],
  ['yaml warns', aboutServices, false],
  ['yaml', short, false],
  ['yaml', sound, true],
  ['yaml', misspelt, false],
  ['yaml refused', misspelt, true],
  ['yaml refused', sound, false],
  ['yaml warns', dead, true],
  ['yaml', dead, false],
  [
    'yaml',
    'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: config-policy-controller, namespace: cosign-system }\ndata: { keyless: perhaps }\n',
    false,
  ],
  ['yaml', 'spec: [\n', false],
] as const)
  test(`a block fenced by ${fence} ${holds ? 'may' : 'may not'} hold ${yaml.replaceAll('\n', ' ')}`, async () => {
    const found = await policies.violations(inMemory({ 'docs/page.md': `# Page\n\`\`\`${fence}\n${yaml}\`\`\`\n` }))
    assert.equal(found.length, holds ? 0 : 1)
    assert.ok(holds || found[0]?.startsWith('docs/page.md:2: '))
  })
