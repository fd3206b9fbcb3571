import { collectionOf } from '../../controller/configuration.ts'
import type { Finding } from './finding.ts'
import { named, ok, unknown, warning, wrong } from './finding.ts'
import type { Got, Patient, Reader } from './patient.ts'
import { at, listAt, nameOf, ofCluster, textAt, unread } from './patient.ts'

const USUAL_PORT = 443 // where a configuration names none

/** Whether the Service leads to replicas that are ready, and to nobody else's. */
export const service = ofCluster('the Service and its replicas', async (reader, patient) => {
  const { systemNamespace, serviceName, webhookName } = patient.settings
  const namespace = `/api/v1/namespaces/${systemNamespace}`
  const got = await reader.one(`${namespace}/services/${serviceName}`)
  if (!got.ok) return [unread(`Service ${serviceName}`, got)]
  if (!got.value)
    return [wrong(`there is no Service ${serviceName} in ${systemNamespace}`, 'apply what is in deploy/, or install the chart')]
  const configuration = await reader.one(`${collectionOf({ kind: 'ValidatingWebhookConfiguration' })}/${webhookName}`)
  const asked = configuration.ok ? at(listAt(configuration.value, 'webhooks')[0], 'clientConfig', 'service', 'port') : undefined
  const port = typeof asked === 'number' ? asked : USUAL_PORT
  const https = listAt(got.value, 'spec', 'ports').find((p) => p['port'] === port)
  const findings: Finding[] = https
    ? []
    : [
        wrong(
          `the Service ${serviceName} has no port ${port}, which the webhook configurations name`,
          `give it port ${port} with targetPort 8443`,
        ),
      ]
  return [
    ...findings,
    ...(await endpoints(reader, systemNamespace, serviceName)),
    ...(await controllers(reader, systemNamespace, got.value)),
  ]
})

async function endpoints(reader: Reader, namespace: string, name: string): Promise<readonly Finding[]> {
  const slices = await reader.all(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
    labelSelector: `kubernetes.io/service-name=${name}`,
  })
  if (!slices.ok) return [unread(`the endpoints of the Service ${name}`, slices)]
  const all = slices.value.flatMap((slice) => listAt(slice, 'endpoints'))
  // Without a word about it an endpoint is ready (API reference, EndpointConditions).
  const ready = all.filter((endpoint) => at(endpoint, 'conditions', 'ready') !== false)
  const mend = `kubectl get pods -n ${namespace}: a replica that is not ready says what it waits for at /readyz and in its log`
  if (ready.length === 0)
    return [wrong(all.length === 0 ? 'no replica runs behind the Service' : `none of ${all.length} replicas is ready`, mend)]
  if (ready.length === 1) return [warning('one replica is ready: while it is exchanged, nobody answers', 'run two or more')]
  return [ok(`${ready.length} replicas are ready`)]
}

/** Two controllers behind one Service give two answers to the same request. */
async function controllers(reader: Reader, namespace: string, object: object): Promise<readonly Finding[]> {
  const labels = labelsOf(object)
  if (labels.length === 0) return [unknown('the Service has no selector: what answers behind it is not known', 'look at its endpoints')]
  const pods = await podsBehind(reader, namespace, labels)
  if (!pods.ok) return [unread('the Pods behind the Service', pods)]
  const { theirs, others } = pods.value
  if (theirs.length === 0) return []
  if (others.length === 0)
    return [
      warning(
        'the sigstore policy controller answers behind the Service',
        'that is as it should be before the change-over: docs/change-over.md',
      ),
    ]
  return [
    wrong(
      `two controllers answer behind the Service: ${named(theirs)} of the sigstore policy controller, and ${named(others)}`,
      'scale the Deployment of one of them to 0: a change-over takes seconds, not days',
    ),
  ]
}

/** Whether the sigstore policy controller answers, and nobody else: a cluster that has not changed over, where what it writes is as it should be. */
export async function isBeforeChange(reader: Reader, { systemNamespace, serviceName }: Patient['settings']): Promise<boolean> {
  const got = await reader.one(`/api/v1/namespaces/${systemNamespace}/services/${serviceName}`)
  const labels = got.ok && got.value ? labelsOf(got.value) : []
  const pods = labels.length > 0 ? await podsBehind(reader, systemNamespace, labels) : undefined
  return pods?.ok === true && pods.value.theirs.length > 0 && pods.value.others.length === 0
}

type Labels = readonly (readonly [string, unknown])[]

function labelsOf(service: object): Labels {
  const selector = at(service, 'spec', 'selector')
  return typeof selector === 'object' && selector !== null ? Object.entries(selector as Record<string, unknown>) : []
}

/** The names of the Pods that a Service selects: those of the sigstore policy controller, by their image, and the others. */
async function podsBehind(
  reader: Reader,
  namespace: string,
  labels: Labels,
): Promise<Got<{ readonly theirs: readonly string[]; readonly others: readonly string[] }>> {
  const labelSelector = labels.map(([k, v]) => `${k}=${String(v)}`).join(',')
  const pods = await reader.all(`/api/v1/namespaces/${namespace}/pods`, { labelSelector })
  if (!pods.ok) return pods
  const isTheirs = (pod: object): boolean =>
    /(^|\/)policy-controller([:@]|$)|\/policy-controller\//.test(textAt(listAt(pod, 'spec', 'containers')[0], 'image'))
  const theirs = pods.value.filter(isTheirs)
  return { ok: true, value: { theirs: theirs.map(nameOf), others: pods.value.filter((pod) => !theirs.includes(pod)).map(nameOf) } }
}
