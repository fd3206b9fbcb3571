import type { ApiObject } from '../../../src/world/cluster/change.ts'
import { deploymentIn, isReadOnly, optionOf } from './deployment.ts'
import type { Finding } from './finding.ts'
import { note, ok, unknown, warning, wrong } from './finding.ts'
import type { Reader } from './patient.ts'
import { at, ofCluster, textAt } from './patient.ts'
import { isBeforeChange } from './service.ts'

/** A right that the controller needs. `own`: in its own namespace only; `without`: what does not work where it is missing. */
export type Right = {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly name?: string
  readonly own?: true
  readonly without: string
  /** Without it nothing is judged, or wrongly; else something is only not written. */
  readonly isNeeded: boolean
}

type Names = {
  readonly systemNamespace: string
  readonly webhookName: string
  readonly mutatingWebhookName: string
  readonly validatingWebhookName: string
  readonly serviceName: string
}

const POLICIES = 'policy.sigstore.dev'

/** All that deploy/manifests/rbac.yaml grants, and that something is done with. */
export function rightsOf({ systemNamespace, webhookName, mutatingWebhookName, validatingWebhookName }: Names): readonly Right[] {
  const all = (verbs: readonly string[], right: Omit<Right, 'verb'>): readonly Right[] => verbs.map((verb) => ({ verb, ...right }))
  const watched = ['list', 'watch'] as const
  const kept = (group: string, resource: string, name: string): readonly Right[] =>
    all(['get', ...watched, 'update'], {
      group,
      resource,
      name,
      without: 'API servers are not told of a new certificate authority',
      isNeeded: false,
    })
  const configuration = (resource: string, name: string): readonly Right[] => kept('admissionregistration.k8s.io', resource, name)
  const finalizers = 'objects with finalizers of the sigstore policy controller cannot be deleted'
  return [
    ...all(watched, {
      group: POLICIES,
      resource: 'clusterimagepolicies',
      without: 'no policy is known, and everything is refused',
      isNeeded: true,
    }),
    ...all(watched, { group: POLICIES, resource: 'trustroots', without: 'policies that name a TrustRoot refuse', isNeeded: true }),
    ...all(watched, { group: '', resource: 'secrets', own: true, without: 'keys of policies are not known', isNeeded: true }),
    ...all(watched, { group: '', resource: 'configmaps', own: true, without: 'settings are not known', isNeeded: true }),
    ...all(watched, {
      group: '',
      resource: 'serviceaccounts',
      without: 'the pull secrets of ServiceAccounts are not known',
      isNeeded: true,
    }),
    ...all(['get'], {
      group: '',
      resource: 'secrets',
      without: 'registries are asked without the pull secrets of workloads',
      isNeeded: true,
    }),
    ...all(['patch'], { group: POLICIES, resource: 'clusterimagepolicies/status', without: 'policies show no status', isNeeded: false }),
    ...all(['patch'], { group: POLICIES, resource: 'trustroots/status', without: 'TrustRoots show no status', isNeeded: false }),
    ...all(['get'], { group: POLICIES, resource: 'clusterimagepolicies', without: 'policies show no status', isNeeded: false }),
    ...all(['get'], { group: POLICIES, resource: 'trustroots', without: 'TrustRoots show no status', isNeeded: false }),
    ...all(['patch'], { group: POLICIES, resource: 'clusterimagepolicies', without: finalizers, isNeeded: false }),
    ...all(['patch'], { group: POLICIES, resource: 'trustroots', without: finalizers, isNeeded: false }),
    ...all(['create', 'patch'], { group: '', resource: 'events', without: 'there are no Events, or none is counted', isNeeded: false }),
    ...all(['create'], {
      group: 'coordination.k8s.io',
      resource: 'leases',
      own: true,
      without: 'no replica becomes the one that writes',
      isNeeded: false,
    }),
    ...all(['get', 'update', 'delete'], {
      group: 'coordination.k8s.io',
      resource: 'leases',
      name: 'sealgate-webhook',
      own: true,
      without: 'no replica stays the one that writes, or gives it up at once',
      isNeeded: false,
    }),
    ...all(['create'], {
      group: '',
      resource: 'secrets',
      own: true,
      without: 'a serving certificate that was deleted is not made anew',
      isNeeded: false,
    }),
    ...all(['get', 'update'], {
      group: '',
      resource: 'secrets',
      name: 'webhook-certs',
      own: true,
      without: 'the serving certificate is not renewed',
      isNeeded: false,
    }),
    ...configuration('mutatingwebhookconfigurations', webhookName),
    ...configuration('validatingwebhookconfigurations', webhookName),
    ...configuration('mutatingwebhookconfigurations', mutatingWebhookName),
    ...configuration('validatingwebhookconfigurations', validatingWebhookName),
    ...kept('apiextensions.k8s.io', 'customresourcedefinitions', 'clusterimagepolicies.policy.sigstore.dev'),
    ...all(['get'], {
      group: '',
      resource: 'namespaces',
      name: systemNamespace,
      without: 'configurations do not go with it',
      isNeeded: false,
    }),
    ...all(['update'], {
      group: '',
      resource: 'namespaces/finalizers',
      name: systemNamespace,
      without: 'configurations may not belong to it where the API server enforces OwnerReferencesPermissionEnforcement',
      isNeeded: false,
    }),
  ]
}

/** What the ServiceAccount of the controller may do; where that may not be asked, what the caller may. */
export const rights = ofCluster('rights', async (reader, { settings }) => {
  const { systemNamespace } = settings
  if (await isBeforeChange(reader, settings))
    return [note('Sealgate is not here yet: what its ServiceAccount may do is looked at once it answers')]
  const found = await deploymentIn(systemNamespace, reader)
  const deployment = found.ok ? found.value : undefined
  const account = accountOf(deployment, systemNamespace)
  const needed = rightsOf(settings).filter((right) => !isIdle(right, deployment))
  const first = await reviewed(reader, needed[0] as Right, systemNamespace, account)
  const who = first === undefined ? undefined : account
  const answers = await Promise.all(needed.map(async (right) => ({ right, may: await reviewed(reader, right, systemNamespace, who) })))
  const unasked = answers.filter(({ may }) => may === undefined)
  const missing = answers.filter(({ may }) => may === false)
  const shown = who ?? 'the user of this kubeconfig'
  return [
    ...(who === undefined
      ? [note(`what the ServiceAccount may do may not be asked with this kubeconfig: these are the rights of its own user`)]
      : []),
    ...missing.map(({ right }) => lacking(right, shown, systemNamespace)),
    ...(unasked.length > 0
      ? [unknown(`${unasked.length} rights could not be asked for`, 'use a kubeconfig of somebody who may create SubjectAccessReviews')]
      : []),
    ...(missing.length + unasked.length === 0 ? [ok(`${shown} may do all ${answers.length} things that are needed`)] : []),
  ]
})

function lacking({ verb, group, resource, name, own, without, isNeeded }: Right, who: string, namespace: string): Finding {
  const what = `${who} may not ${verb} ${group === '' ? resource : `${resource}.${group}`}${name ? ` ${name}` : ''}${own ? ` in ${namespace}` : ''}: ${without}`
  const mend = 'apply deploy/manifests/rbac.yaml, or upgrade the chart'
  return isNeeded ? wrong(what, mend) : warning(what, mend)
}

/** `system:serviceaccount:NAMESPACE:NAME`, as the Deployment of the controller names it. */
function accountOf(deployment: ApiObject | undefined, namespace: string): string {
  const name = deployment ? textAt(deployment, 'spec', 'template', 'spec', 'serviceAccountName') : ''
  return `system:serviceaccount:${namespace}:${name === '' ? 'webhook' : name}`
}

/** Whether nothing is done with a right by how the controller was started: one that writes nothing, or whose certificate comes from files. */
function isIdle({ isNeeded, group, resource, name, verb, own }: Right, deployment: ApiObject | undefined): boolean {
  if (isReadOnly(deployment) && !isNeeded) return true
  const isOfCertificate = group === '' && resource === 'secrets' && own === true && (name !== undefined || verb === 'create')
  return isOfCertificate && optionOf(deployment, '--tls-cert') !== undefined
}

/** Undefined: it could not be asked. `who` undefined: oneself. */
async function reviewed(reader: Reader, right: Right, namespace: string, who: string | undefined): Promise<boolean | undefined> {
  const [resource, subresource] = right.resource.split('/')
  const attributes = {
    verb: right.verb,
    group: right.group,
    resource,
    ...(subresource !== undefined && { subresource }),
    ...(right.name !== undefined && { name: right.name }),
    ...(right.own && { namespace }),
  }
  const kind = who === undefined ? 'SelfSubjectAccessReview' : 'SubjectAccessReview'
  const asked = {
    apiVersion: 'authorization.k8s.io/v1',
    kind,
    spec: {
      resourceAttributes: attributes,
      ...(who !== undefined && { user: who, groups: ['system:serviceaccounts', 'system:authenticated'] }),
    },
  }
  const got = await reader.ask(`/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`, asked)
  return got.ok ? at(got.value, 'status', 'allowed') === true : undefined
}
