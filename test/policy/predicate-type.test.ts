import assert from 'node:assert/strict'
import { test } from 'node:test'
import { predicateTypeOf } from '../../src/policy/predicate-type.ts'

// Specification 8.1, row by row.
for (const [written, uri] of [
  ['custom', 'https://cosign.sigstore.dev/attestation/v1'],
  ['slsaprovenance', 'https://slsa.dev/provenance/v0.2'],
  ['slsaprovenance02', 'https://slsa.dev/provenance/v0.2'],
  ['slsaprovenance1', 'https://slsa.dev/provenance/v1'],
  ['spdx', 'https://spdx.dev/Document'],
  ['spdxjson', 'https://spdx.dev/Document'],
  ['cyclonedx', 'https://cyclonedx.org/bom'],
  ['link', 'https://in-toto.io/Link/v1'],
  ['vuln', 'https://cosign.sigstore.dev/attestation/vuln/v1'],
  ['openvex', 'https://openvex.dev/ns'],
] as const) {
  test(`${written} is short for ${uri}`, () => assert.equal(predicateTypeOf(written), uri))
}

for (const written of ['https://example.com/type', 'Custom', 'toString', ''])
  test(`what is no short name stands for itself: ${JSON.stringify(written)}`, () => assert.equal(predicateTypeOf(written), written))
