import assert from 'node:assert/strict'
import { KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import { X509Certificate } from '@sigstore/core'
import { parse } from 'yaml'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import type { Outside } from '../../src/policy/objects.ts'
import { nothingFetched } from '../../src/policy/objects.ts'
import { clusterImagePolicies } from '../../tools/crds.ts'
import { compiled, only, otherPem, pem } from '../policy/one-policy.ts'
import { trustOf } from '../sigstore/demands.ts'

/** Two policies that say another thing in one field, and nothing else. */
type Pair = readonly [object, object]

const [ours, theirs] = [await Sigstore.create(), await Sigstore.create()]
const outside: Outside = {
  ...nothingFetched(),
  trustRoots: new Map([
    ['ours', { ok: true, value: trustOf(ours) }],
    ['theirs', { ok: true, value: trustOf(theirs) }],
  ]),
  kmsKeys: new Map([
    ['gcpkms://ours', { ok: true, value: pem }],
    ['gcpkms://theirs', { ok: true, value: otherPem }],
  ]),
}
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const secrets = new Map<string, object>([
  ['ours', { data: { key: base64(pem) } }],
  ['theirs', { data: { key: base64(otherPem) } }],
  ['ours-ca', { data: { ca: base64(ours.caPem()) } }],
  ['theirs-ca', { data: { ca: base64(theirs.caPem()) } }],
])

const images = [{ glob: 'ghcr.io/acme/**' }]
const key = { data: pem }
const identity = { issuer: 'https://issuer.example', subject: 'me@example.com' }
const keyless = { url: 'https://fulcio.example', identities: [identity] }
const spec = (more: object): object => ({ images, authorities: [{ name: 'a', key }], ...more })
const by = (authority: object): object => ({ images, authorities: [{ name: 'a', ...authority }] })
const pair = (one: (value: string) => object, a = 'ours', b = 'theirs'): Pair => [one(a), one(b)]
const without = (more: (isThere: boolean) => object): Pair => [more(true), more(false)]
const identities = (field: string): Pair => {
  const beside = field.startsWith('issuer') ? { subject: 'me@example.com' } : { issuer: 'https://issuer.example' }
  return pair((value) => by({ keyless: { ...keyless, identities: [{ ...beside, [field]: value }] } }))
}
const match = (more: object): object => spec({ match: [{ group: 'apps', version: 'v1', resource: 'deployments', ...more }] })
const selecting = (more: object): object =>
  match({ selector: { matchExpressions: [{ key: 'a', operator: 'In', values: ['b'], ...more }] } })

/** By the path of a field below `spec` in the definition. */
const fields: Readonly<Record<string, Pair>> = {
  'images[].glob': pair((glob) => ({ ...spec({}), images: [{ glob }] })),
  'authorities[].name': pair((name) => ({ images, authorities: [{ name, key }] })),
  'authorities[].key.secretRef.name': pair((name) => by({ key: { secretRef: { name } } })),
  'authorities[].key.data': pair((data) => by({ key: { data } }), pem, otherPem),
  'authorities[].key.kms': pair((name) => by({ key: { kms: `gcpkms://${name}` } })),
  'authorities[].key.hashAlgorithm': pair((hashAlgorithm) => by({ key: { data: pem, hashAlgorithm } }), 'sha256', 'sha512'),
  'authorities[].keyless.identities[].issuer': identities('issuer'),
  'authorities[].keyless.identities[].issuerRegExp': identities('issuerRegExp'),
  'authorities[].keyless.identities[].subject': identities('subject'),
  'authorities[].keyless.identities[].subjectRegExp': identities('subjectRegExp'),
  'authorities[].keyless.ca-cert.secretRef.name': pair((name) =>
    by({ keyless: { ...keyless, 'ca-cert': { secretRef: { name: `${name}-ca` } } } }),
  ),
  'authorities[].keyless.ca-cert.data': pair((data) => by({ keyless: { ...keyless, 'ca-cert': { data } } }), ours.caPem(), theirs.caPem()),
  'authorities[].keyless.ca-cert.kms': without((is) =>
    by({ keyless: { ...keyless, 'ca-cert': is ? { kms: 'gcpkms://ours' } : { data: ours.caPem() } } }),
  ),
  'authorities[].keyless.trustRootRef': pair((trustRootRef) => by({ keyless: { ...keyless, trustRootRef } })),
  'authorities[].keyless.insecureIgnoreSCT': without((insecureIgnoreSCT) => by({ keyless: { ...keyless, insecureIgnoreSCT } })),
  'authorities[].static.action': pair((action) => by({ static: { action } }), 'pass', 'fail'),
  'authorities[].static.message': pair((message) => by({ static: { action: 'fail', message } })),
  'authorities[].source[].oci': pair((name) => by({ key, source: [{ oci: `ghcr.io/acme/${name}` }] })),
  'authorities[].source[].signaturePullSecrets[].name': pair((name) =>
    by({ key, source: [{ oci: 'ghcr.io/acme/a', signaturePullSecrets: [{ name }] }] }),
  ),
  'authorities[].source[].tagPrefix': pair((tagPrefix) => by({ key, source: [{ tagPrefix }] })),
  'authorities[].ctlog.url': without((is) => by({ key, ctlog: is ? { url: 'https://rekor.example' } : {} })),
  'authorities[].ctlog.trustRootRef': pair((trustRootRef) => by({ key, ctlog: { trustRootRef } })),
  'authorities[].rfc3161timestamp.trustRootRef': pair((trustRootRef) => by({ key, rfc3161timestamp: { trustRootRef } })),
  'authorities[].attestations[].name': pair((name) => by({ key, attestations: [{ name, predicateType: 'custom' }] })),
  'authorities[].attestations[].predicateType': pair(
    (predicateType) => by({ key, attestations: [{ name: 'a', predicateType }] }),
    'custom',
    'vuln',
  ),
  'authorities[].signatureFormat': pair((signatureFormat) => by({ key, signatureFormat }), 'legacy', 'bundle'),
  'mode': pair((mode) => spec({ mode }), 'enforce', 'warn'),
  'match[].group': pair((group) => match({ group })),
  'match[].version': pair((version) => match({ version })),
  'match[].resource': pair((resource) => match({ resource })),
  'match[].selector.matchLabels': pair((value) => match({ selector: { matchLabels: { a: value } } })),
  'match[].selector.matchExpressions[].key': pair((name) => selecting({ key: name })),
  'match[].selector.matchExpressions[].operator': pair((operator) => selecting({ operator }), 'In', 'NotIn'),
  'match[].selector.matchExpressions[].values[]': pair((value) => selecting({ values: [value] })),
}

/** Fields that change nothing, and why that is right. */
const idle: Readonly<Record<string, string>> = {
  'authorities[].keyless.url':
    'certificates come with signatures, so nobody is asked there; without it the public Fulcio is meant, as specified',
  'authorities[].key.secretRef.namespace': 'the Secrets of policies lie in the namespace of the controller, whatever is written',
  'authorities[].keyless.ca-cert.secretRef.namespace': 'likewise',
  'authorities[].keyless.ca-cert.hashAlgorithm': 'a certificate names its algorithms itself',
}

type Schema = { readonly properties?: Readonly<Record<string, Schema>>; readonly items?: Schema }
type Version = { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }

function* leaves(schema: Schema, path: string): Generator<string> {
  const inner = Object.entries(schema.properties ?? {})
  for (const [name, property] of inner) yield* leaves(property, path === '' ? name : `${path}.${name}`)
  if (schema.items) yield* leaves(schema.items, `${path}[]`)
  if (inner.length === 0 && !schema.items) yield path
}

const definition = parse(clusterImagePolicies()) as { readonly spec: { readonly versions: readonly Version[] } }
const schema = definition.spec.versions.find(({ name }) => name === 'v1beta1')?.schema.openAPIV3Schema.properties?.['spec'] ?? {}

/** What a policy does: everything of it that is judged by, without its hash, which covers what is written. */
function doing(of: object): string {
  const { hash: _, ...policy } = only(compiled(of, { secrets }, undefined, outside))
  return JSON.stringify(policy, (name, value: unknown) => {
    if (name === 'hash' && typeof value === 'string' && value.length === 64) return undefined
    if (value instanceof KeyObject) return value.export({ format: 'jwk' })
    if (value instanceof X509Certificate) return value.root.toDER().toString('hex')
    if (value instanceof Set) return [...(value as Set<unknown>)]
    return value
  })
}

describe('lesson 7: every field of a policy that is accepted changes what is judged, or is refused by name', () => {
  for (const path of leaves(schema, '')) {
    const [, source] = /^(policy|authorities\[\]\.attestations\[\]\.policy)\./.exec(path) ?? []
    test(path, () => {
      if (source !== undefined) {
        const own =
          source === 'policy'
            ? spec({ policy: { type: 'cue', data: 'a: 1' } })
            : by({ key, attestations: [{ name: 'a', predicateType: 'custom', policy: { type: 'cue', data: 'a: 1' } }] })
        assert.match(doing(own), /"code":"field-not-carried-out","field":"spec\.[^"]*policy"/)
        return
      }
      if (idle[path] !== undefined) return
      const [one, other] = fields[path] ?? assert.fail('there is no policy that has it')
      assert.notEqual(doing(one), doing(other))
    })
  }

  test('and no field is listed that there is not', () => {
    const all = new Set(leaves(schema, ''))
    assert.deepEqual(
      [...Object.keys(fields), ...Object.keys(idle)].filter((path) => !all.has(path)),
      [],
    )
  })
})
