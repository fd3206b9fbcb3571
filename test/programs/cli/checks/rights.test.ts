import { deepEqual, equal, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { rights, rightsOf } from '../../../../programs/cli/checks/rights.ts'
import { pod, sound, ward } from './ward.ts'

const names = {
  systemNamespace: 'cosign-system',
  webhookName: 'policy.sigstore.dev',
  mutatingWebhookName: 'defaulting.clusterimagepolicy.sigstore.dev',
  validatingWebhookName: 'validating.clusterimagepolicy.sigstore.dev',
  serviceName: 'webhook',
}
const ACCOUNT = 'system:serviceaccount:cosign-system:webhook'

test('all rights are asked for the ServiceAccount of the controller', async (t) => {
  const one = await ward(t)
  deepEqual(await one.found(rights), [`ok: ${ACCOUNT} may do all ${rightsOf(names).length} things that are needed`])
})

test('the ServiceAccount is the one that the Deployment names', async (t) => {
  const one = await ward(t)
  const spec = { template: { metadata: { labels: { role: 'webhook' } }, spec: { serviceAccountName: 'mine' } } }
  one.cluster.store.put({ kind: 'Deployment', metadata: { name: 'any', namespace: 'cosign-system' }, spec })
  ok((await one.found(rights))[0]?.includes('system:serviceaccount:cosign-system:mine may do all'))
})

for (const [title, option, idle] of [
  ['whose certificate comes from files', '--tls-cert=/var/run/sealgate/tls/tls.crt', 3],
  ['that writes nothing', '--read-only', rightsOf(names).filter(({ isNeeded }) => !isNeeded).length],
] as const) {
  test(`a controller ${title} is not asked for rights that it does nothing with`, async (t) => {
    const one = await ward(t)
    const spec = { template: { spec: { containers: [{ args: ['serve', option] }] } } }
    one.cluster.store.put({ kind: 'Deployment', metadata: { name: 'webhook', namespace: 'cosign-system' }, spec })
    one.cluster.deny('update', 'secrets')
    deepEqual(await one.found(rights), [`ok: ${ACCOUNT} may do all ${rightsOf(names).length - idle} things that are needed`])
  })
}

test('a right that is missing is wrong where nothing is judged without it, else a warning', async (t) => {
  const one = await ward(t)
  one.cluster.deny('watch', 'clusterimagepolicies')
  one.cluster.deny('patch', 'trustroots/status')
  deepEqual(await one.found(rights), [
    `wrong: ${ACCOUNT} may not watch clusterimagepolicies.policy.sigstore.dev: no policy is known, and everything is refused`,
    `warning: ${ACCOUNT} may not patch trustroots/status.policy.sigstore.dev: TrustRoots show no status`,
  ])
})

test('before the change-over the rights of the sigstore policy controller say nothing', async (t) => {
  const objects = sound()
  for (const name of ['webhook-1', 'webhook-2'])
    objects.set(`Pod ${name}`, pod(name, 'ghcr.io/sigstore/policy-controller/policy-controller@sha256:abc'))
  const one = await ward(t, objects)
  one.cluster.deny('watch', 'serviceaccounts')
  deepEqual(await one.found(rights), ['note: Sealgate is not here yet: what its ServiceAccount may do is looked at once it answers'])
})

test('who may not ask for others asks for itself, and says so', async (t) => {
  const one = await ward(t)
  one.cluster.deny('create', 'subjectaccessreviews')
  const [first, second] = await one.found(rights)
  equal(first, 'note: what the ServiceAccount may do may not be asked with this kubeconfig: these are the rights of its own user')
  ok(second?.startsWith('ok: the user of this kubeconfig may do all'))
})

test('what is asked for is what deploy/manifests grants, and nothing more is granted', () => {
  type Rule = { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] }
  const granted = parseAllDocuments(readFileSync(new URL('../../../../deploy/manifests/rbac.yaml', import.meta.url), 'utf8')).flatMap(
    (d) => {
      const { kind, rules = [] } = d.toJS() as { kind: string; rules?: Rule[] }
      return rules.map((rule) => ({ kind, ...rule }))
    },
  )
  const key = (...parts: readonly (string | undefined)[]): string => parts.map((part) => part ?? '*').join(' ')
  const asked = rightsOf(names).map(({ verb, group, resource, name, own }) =>
    key(own ? 'Role' : 'ClusterRole', verb, group === '' ? 'core' : group, resource, name),
  )
  const given = granted.flatMap(({ kind, apiGroups, resources, verbs, resourceNames = [undefined] }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.flatMap((verb) => resourceNames.map((name) => key(kind, verb, group === '' ? 'core' : group, resource, name))),
      ),
    ),
  )
  deepEqual(given.toSorted(), asked.toSorted())
})
