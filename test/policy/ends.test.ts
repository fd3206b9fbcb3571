import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { makeSigner } from '../../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../../fakes/sigstore/authority.ts'
import { SIGNED_AT, Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { compile, nothingKnown } from '../../src/policy/compile.ts'
import { endOf } from '../../src/policy/ends.ts'
import { nothingFetched } from '../../src/policy/objects.ts'
import type { TrustMaterial } from '../../src/trust/material.ts'
import { readTrustedRoot } from '../../src/trust/trusted-root.ts'

const identities = [{ issuer: DEFAULT_ISSUER, subject: DEFAULT_SUBJECT }]
const sigstore = await Sigstore.create()
const read = readTrustedRoot(JSON.stringify(sigstore.trustedRoot()), 'mine')
if (!read.ok) throw new Error('the trusted root cannot be read')
const trust = read.value
const byKey = { key: { data: makeSigner().pem } }
const byRoot = { keyless: { url: 'https://fulcio.example', trustRootRef: 'mine', identities, insecureIgnoreSCT: true } }
const byAnchor = { keyless: { 'ca-cert': { data: sigstore.caPem() }, identities, 'insecureIgnoreSCT': true }, ctlog: {} }

/** When the first policy ends that has these authorities. */
function ends(authorities: readonly object[], material: TrustMaterial = trust): number | undefined {
  const objects = {
    policies: new Map([['p', { metadata: { name: 'p' }, spec: { images: [{ glob: '**' }], authorities } }]]),
    policiesIncomplete: undefined,
    secrets: new Map(),
    configMaps: new Map(),
    trustRoots: new Map([['mine', {}]]),
  }
  const outside = { ...nothingFetched(), trustRoots: new Map([['mine', { ok: true, value: material } as const]]) }
  const [policy] = compile(objects, 'cosign-system', nothingKnown, outside).policies
  if (!policy) throw new Error('there is no policy')
  deepEqual(policy.refuses, [])
  return endOf(policy)
}

test('keys and static answers have no end', () => {
  equal(ends([byKey]), undefined)
  equal(ends([{ static: { action: 'pass' } }]), undefined)
})

test('a certificate authority ends with its root', () => {
  const end = ends([byAnchor]) ?? 0
  equal(end > SIGNED_AT + 8 * 365 * 24 * 60 * 60 * 1000, true, new Date(end).toISOString())
  equal(ends([byRoot]), end)
})

test('one that is out of service ends with its service, another of the same trust root goes on', () => {
  const [authority] = trust.certificateAuthorities
  if (!authority) throw new Error('there is no authority')
  const ended = { ...authority, valid: { from: 0, until: SIGNED_AT } }
  equal(ends([byRoot], { ...trust, certificateAuthorities: [ended], hash: 'ended' }), SIGNED_AT)
  equal(ends([byRoot], { ...trust, certificateAuthorities: [ended, authority], hash: 'both' }), ends([byRoot]))
})

test('of several authorities the last one counts, and a key is for ever', () => equal(ends([byAnchor, byKey]), undefined))

test('the logs that have to have seen a certificate count too', () => {
  const strict = { keyless: { ...byRoot.keyless, insecureIgnoreSCT: false } }
  const certificateLogs = trust.certificateLogs.map((log) => ({ ...log, valid: { from: 0, until: SIGNED_AT } }))
  equal(ends([strict], { ...trust, certificateLogs, hash: 'logs' }), SIGNED_AT)
  equal(ends([byRoot], { ...trust, certificateLogs, hash: 'logs' }), ends([byRoot]))
})
