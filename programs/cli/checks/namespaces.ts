import { isObject } from '../../../src/policy/shape.ts'
import type { ApiObject } from '../../../src/world/cluster/change.ts'
import { collectionOf } from '../../controller/configuration.ts'
import { counted, named, note, ok, warning, wrong } from './finding.ts'
import type { Got, Patient, Reader } from './patient.ts'
import { at, listAt, nameOf, ofCluster, unread } from './patient.ts'

const SYSTEM = ['kube-system', 'kube-node-lease', 'kube-public']
const LABEL = 'policy.sigstore.dev/include=true'

/** Which namespaces are sent to the webhook. */
export const namespaces = ofCluster('namespaces', async (reader, patient) => {
  const { systemNamespace } = patient.settings
  const sent = await optedIn(reader, patient)
  if (!sent.ok) return [unread('the namespaces', sent)]
  const names = sent.value.map(nameOf)
  const own = names.includes(systemNamespace)
    ? [
        wrong(
          `${systemNamespace}, where the controller runs, is checked by it: when no replica runs, none can start`,
          `kubectl label namespace ${systemNamespace} policy.sigstore.dev/include=false --overwrite`,
        ),
      ]
    : []
  const system = names.filter((name) => SYSTEM.includes(name))
  const dangerous =
    system.length > 0
      ? [
          warning(
            `${named(system)} ${system.length === 1 ? 'is' : 'are'} checked: what the cluster itself needs may not start while no replica runs`,
            `take the label away, or make sure that what runs there is signed and the controller never down`,
          ),
        ]
      : []
  const others = names.filter((name) => name !== systemNamespace)
  if (others.length === 0)
    return [...own, warning('no namespace is checked, so nothing is refused', `opt namespaces in: kubectl label namespace NAME ${LABEL}`)]
  return [
    ...own,
    ...dangerous,
    ok(`${counted(others.length, 'namespace')} ${others.length === 1 ? 'is' : 'are'} checked: ${named(others)}`),
    ...notes(sent.value),
  ]
})

function notes(sent: readonly ApiObject[]): ReturnType<typeof note>[] {
  const ending = sent.filter((n) => at(n, 'metadata', 'deletionTimestamp') !== undefined).map(nameOf)
  return ending.length > 0 ? [note(`${named(ending)} ${ending.length === 1 ? 'is' : 'are'} being deleted`)] : []
}

/** The namespaces that the selector of the validating configuration sends to the webhook; none where there is no configuration. */
export async function optedIn(reader: Reader, { settings }: Patient): Promise<Got<readonly ApiObject[]>> {
  const path = `${collectionOf({ kind: 'ValidatingWebhookConfiguration' })}/${settings.webhookName}`
  const [configuration, all] = await Promise.all([reader.one(path), reader.all('/api/v1/namespaces')])
  if (!configuration.ok) return configuration
  if (!all.ok) return all
  const webhook = listAt(configuration.value, 'webhooks').find((w) => w['name'] === settings.webhookName)
  if (!webhook) return { ok: true, value: [] }
  return { ok: true, value: all.value.filter((namespace) => isSelected(at(webhook, 'namespaceSelector'), labelsOf(namespace))) }
}

function labelsOf(namespace: ApiObject): Readonly<Record<string, string>> {
  const labels = at(namespace, 'metadata', 'labels')
  // API servers set this label themselves, on every namespace.
  const name = { 'kubernetes.io/metadata.name': nameOf(namespace) }
  return isObject(labels) ? { ...name, ...(labels as Record<string, string>) } : name
}

/** A label selector as API servers read it: all of it holds; an empty one selects everything. */
export function isSelected(selector: unknown, labels: Readonly<Record<string, string>>): boolean {
  const wanted = at(selector, 'matchLabels')
  const isLabelled = !isObject(wanted) || Object.entries(wanted).every(([key, value]) => labels[key] === value)
  return isLabelled && listAt(selector, 'matchExpressions').every((e) => holds(e, labels))
}

function holds({ key, operator, values }: ApiObject, labels: Readonly<Record<string, string>>): boolean {
  const value = typeof key === 'string' ? labels[key] : undefined
  const among = Array.isArray(values) && value !== undefined && values.includes(value)
  switch (operator) {
    case 'In':
      return among
    case 'NotIn':
      return !among
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    default:
      return false
  }
}
