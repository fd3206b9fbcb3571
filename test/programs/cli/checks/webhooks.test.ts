import { deepEqual, equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { configurationsOf, webhooks } from '../../../../programs/cli/checks/webhooks.ts'
import { changed, pod, sound, ward } from './ward.ts'

const KEY = 'ValidatingWebhookConfiguration policy.sigstore.dev'

test('configurations that are as they have to be are told as such, and the conversion of policies with them', async (t) =>
  deepEqual(await (await ward(t)).found(webhooks), [
    'ok: ValidatingWebhookConfiguration policy.sigstore.dev',
    'ok: MutatingWebhookConfiguration policy.sigstore.dev',
    'ok: ValidatingWebhookConfiguration validating.clusterimagepolicy.sigstore.dev',
    'ok: MutatingWebhookConfiguration defaulting.clusterimagepolicy.sigstore.dev',
    'ok: CustomResourceDefinition clusterimagepolicies.policy.sigstore.dev',
  ]))

for (const [what, path, value, finding] of [
  ['asks for other kinds', ['webhooks', 0, 'rules'], [], `wrong: ${KEY} is not as it has to be: its rules`],
  ['trusts another CA', ['webhooks', 0, 'clientConfig', 'caBundle'], 'AAAA', `wrong: ${KEY} is not as it has to be: the CA that it trusts`],
  ['asks another path', ['webhooks', 0, 'clientConfig', 'service', 'path'], '/', `wrong: ${KEY} is not as it has to be: its path`],
  [
    'leads elsewhere',
    ['webhooks', 0, 'clientConfig', 'service', 'namespace'],
    'other',
    `wrong: ${KEY} leads to the Service other/webhook, not to cosign-system/webhook`,
  ],
  [
    'lets everything in while nobody answers',
    ['webhooks', 0, 'failurePolicy'],
    'Ignore',
    `warning: ${KEY} has failurePolicy Ignore: while no replica answers, everything is admitted unseen`,
  ],
  ['gives up early', ['webhooks', 0, 'timeoutSeconds'], 2, `warning: ${KEY} gives up after 2 s, which a registry far away may take`],
  [
    'may be escaped by a label',
    ['webhooks', 0, 'objectSelector'],
    { matchLabels: { a: 'b' } },
    `warning: ${KEY} has an objectSelector: whoever may label an object takes it out of sight`,
  ],
  ['has another webhook', ['webhooks', 0, 'name'], 'other.example', `wrong: ${KEY} has no webhook policy.sigstore.dev`],
] as const)
  test(`a configuration that ${what} is told`, async (t) => {
    const objects = sound()
    objects.set(KEY, changed(objects.get(KEY), path, value))
    equal((await (await ward(t, objects)).found(webhooks))[0], finding)
  })

test('before the change-over the rules may be those of the sigstore policy controller, and all else has to be right', async (t) => {
  const objects = sound()
  for (const name of ['webhook-1', 'webhook-2'])
    objects.set(`Pod ${name}`, pod(name, 'ghcr.io/sigstore/policy-controller/policy-controller@sha256:abc'))
  objects.set(KEY, changed(objects.get(KEY), ['webhooks', 0, 'rules'], []))
  equal((await (await ward(t, objects)).found(webhooks))[0], `note: ${KEY} has other rules: Sealgate brings them up to date once it writes`)
  objects.set(KEY, changed(objects.get(KEY), ['webhooks', 0, 'clientConfig', 'caBundle'], 'AAAA'))
  equal((await (await ward(t, objects)).found(webhooks))[0], `wrong: ${KEY} is not as it has to be: its rules, the CA that it trusts`)
})

test('while Sealgate writes nothing, the rules may be those that there were', async (t) => {
  const env = [{ name: 'SEALGATE_READ_ONLY', value: 'true' }]
  const spec = { template: { metadata: { labels: { role: 'webhook' } }, spec: { containers: [{ env }] } } }
  const objects = sound().set('Deployment any', { kind: 'Deployment', metadata: { name: 'any', namespace: 'cosign-system' }, spec })
  objects.set(KEY, changed(objects.get(KEY), ['webhooks', 0, 'rules'], []))
  equal((await (await ward(t, objects)).found(webhooks))[0], `note: ${KEY} has other rules: Sealgate brings them up to date once it writes`)
})

test('one that is missing is told, and one that leads to a URL is noted', async (t) => {
  const objects = sound()
  objects.delete(KEY)
  const other = 'MutatingWebhookConfiguration policy.sigstore.dev'
  objects.set(other, changed(objects.get(other), ['webhooks', 0, 'clientConfig', 'url'], 'https://127.0.0.1:8443/mutations'))
  const found = await (await ward(t, objects)).found(webhooks)
  ok(found.includes(`wrong: ${KEY} is missing`))
  ok(found.includes(`note: ${other} leads to https://127.0.0.1:8443/mutations, and not to a Service`))
})

test('configurations of other names are those of the options', async (t) => {
  const { patient } = await ward(t, sound(), {}, ['--webhook-name=images.example'])
  deepEqual(
    configurationsOf(patient).map(({ name }) => name),
    [
      'images.example',
      'images.example',
      'validating.clusterimagepolicy.sigstore.dev',
      'defaulting.clusterimagepolicy.sigstore.dev',
      'clusterimagepolicies.policy.sigstore.dev',
    ],
  )
})
