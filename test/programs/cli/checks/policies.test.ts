import { deepEqual, equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { makeSigner } from '../../../../fakes/signer.ts'
import { policies } from '../../../../programs/cli/checks/policies.ts'
import { sound, ward } from './ward.ts'

const data = makeSigner().pem
const policy = (name: string, authorities: readonly object[], glob = 'ghcr.io/acme/**') =>
  [name, { metadata: { name }, spec: { images: [{ glob }], authorities } }] as const

test('policies that are carried out as written are counted', async (t) => {
  const one = await ward(t, sound(), {
    policies: new Map([policy('a', [{ key: { data } }]), policy('b', [{ static: { action: 'pass' } }])]),
  })
  deepEqual(await one.found(policies), ['ok: 2 of 2 policies are carried out as written'])
})

test('a Secret that a policy names and that is not there is told, with the policy', async (t) => {
  const one = await ward(t, sound(), {
    policies: new Map([policy('a', [{ key: { data } }]), policy('b', [{ key: { secretRef: { name: 'cosign-key' } } }])]),
  })
  deepEqual(await one.found(policies), [
    'wrong: b refuses every image that it speaks about: secret "cosign-key" not found',
    'ok: 1 of 2 policies is carried out as written',
  ])
})

test('a TrustRoot that a policy names and that is not there is told', async (t) => {
  const keyless = { url: 'https://fulcio.example', trustRootRef: 'mine', identities: [{ issuer: 'https://i.example', subject: 's' }] }
  const one = await ward(t, sound(), { policies: new Map([policy('a', [{ keyless }])]) })
  const found = await one.found(policies)
  ok(
    found.some((f) => f.startsWith('wrong: a: authority authority-0 cannot be satisfied: ') && f.includes('mine')),
    found.join('\n'),
  )
})

test('an authority that cannot be satisfied beside one that can is a warning', async (t) => {
  const keyless = { url: 'https://fulcio.example', trustRootRef: 'mine', identities: [{ issuer: 'https://i.example', subject: 's' }] }
  const one = await ward(t, sound(), { policies: new Map([policy('a', [{ key: { data } }, { keyless }])]) })
  const found = await one.found(policies)
  ok(
    found.some((f) => f.startsWith('warning: a: authority authority-1 cannot be satisfied: ')),
    found.join('\n'),
  )
})

test('what is legal and probably wrong is a warning', async (t) => {
  const one = await ward(t, sound(), { policies: new Map([policy('a', [{ key: { data } }], 'ghcr.io/acme/app:v1')]) })
  const found = await one.found(policies)
  ok(found[0]?.startsWith('warning: a: '), found.join('\n'))
})

test('a pull secret in another namespace than the controller’s is noted, and one that is none is a warning', async (t) => {
  const source = [{ oci: 'registry.example/signatures', signaturePullSecrets: [{ name: 'pull' }] }]
  const a = new Map([policy('a', [{ key: { data }, source }])])
  const one = await ward(t, sound(), { policies: a })
  equal(
    (await one.found(policies))[0],
    'note: a: secret "pull" of signaturePullSecrets is not in cosign-system: the namespace of each workload needs it',
  )
  const other = await ward(t, sound(), { policies: a, secrets: new Map([['pull', { type: 'Opaque' }]]) })
  equal(
    (await other.found(policies))[0],
    'warning: a: secret "pull" of signaturePullSecrets is of the type Opaque, which holds no credentials for a registry',
  )
})

test('a setting that is not understood is wrong', async (t) => {
  const configMaps = new Map([['config-policy-controller', { data: { 'remember-passes': 'soon' } }]])
  const one = await ward(t, sound(), { policies: new Map([policy('a', [{ key: { data } }])]), configMaps })
  equal(
    (await one.found(policies))[0],
    'wrong: setting remember-passes: found soon, wanted a Go duration from 0 to 1h, such as 5m; what was in force before stays',
  )
})

test('without any policy it says what holds', async (t) => {
  const one = await ward(t)
  deepEqual(await one.found(policies), [
    'warning: there is no policy: images pass that anybody signed keyless with the public Sigstore instance',
  ])
  const configMaps = new Map([['config-policy-controller', { data: { 'without-policies': 'no-match-policy' } }]])
  deepEqual(await (await ward(t, sound(), { configMaps })).found(policies), [
    'warning: there is no policy: what no-match-policy says holds for every image',
  ])
})

test('policies that could not be listed are not known', async (t) => {
  const one = await ward(t, sound(), { policiesIncomplete: 'clusterimagepolicies: forbidden' })
  deepEqual(await one.found(policies), [
    'unknown: the policies in force are not known, so everything is refused: clusterimagepolicies: forbidden',
  ])
})
