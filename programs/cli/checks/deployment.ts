import type { ApiObject } from '../../../src/world/cluster/change.ts'
import type { Got, Reader } from './patient.ts'
import { at, listAt, nameOf, textAt } from './patient.ts'

const NAME = 'app.kubernetes.io/name'

/** The Deployment of the controller; undefined where there is none. */
export async function deploymentIn(namespace: string, reader: Reader): Promise<Got<ApiObject | undefined>> {
  const deployments = await reader.all(`/apis/apps/v1/namespaces/${namespace}/deployments`)
  if (!deployments.ok) return deployments
  const [first] = deployments.value
    .filter((d) => labelOf(d, 'role') === 'webhook' || nameOf(d) === 'webhook')
    // While a cluster changes over there are two.
    .toSorted((a, b) => Number(labelOf(b, NAME) === 'sealgate') - Number(labelOf(a, NAME) === 'sealgate'))
  return { ok: true, value: first }
}

/** The value of an option that its container is given, empty for one without, or else of a variable of its environment; undefined: it is not given. */
export function optionOf(deployment: ApiObject | undefined, option: string, variable?: string): string | undefined {
  const args = containersOf(deployment).flatMap((container) => {
    const given = container['args']
    return Array.isArray(given) ? (given as unknown[]).filter((arg) => typeof arg === 'string') : []
  })
  const i = args.findIndex((arg) => arg === option || arg.startsWith(`${option}=`))
  const found = args[i]
  if (found === undefined) return variable === undefined ? undefined : variableOf(deployment, variable)
  if (found !== option) return found.slice(option.length + 1)
  const next = args[i + 1] ?? ''
  return next.startsWith('-') ? '' : next
}

function variableOf(deployment: ApiObject | undefined, name: string): string | undefined {
  const variable = containersOf(deployment)
    .flatMap((container) => listAt(container, 'env'))
    .find((one) => one['name'] === name)
  return variable && textAt(variable, 'value')
}

/** Whether it writes nothing. */
export function isReadOnly(deployment: ApiObject | undefined): boolean {
  const given = optionOf(deployment, '--read-only', 'SEALGATE_READ_ONLY')
  return given !== undefined && !/^(0|f|false)$/i.test(given)
}

/** The Secret that a file of its container lies in, and the entry; undefined: it lies in none. */
export function secretOf(deployment: ApiObject | undefined, file: string): { readonly name: string; readonly key: string } | undefined {
  const mounts = containersOf(deployment).flatMap((container) => listAt(container, 'volumeMounts'))
  const mount = mounts.find((m) => file.startsWith(`${textAt(m, 'mountPath').replace(/\/$/, '')}/`))
  const volume = mount && listAt(deployment, ...POD, 'volumes').find((v) => v['name'] === mount['name'])
  const name = textAt(volume, 'secret', 'secretName')
  return name === '' ? undefined : { name, key: file.slice(file.lastIndexOf('/') + 1) }
}

const POD = ['spec', 'template', 'spec'] as const

function containersOf(deployment: ApiObject | undefined): readonly ApiObject[] {
  return listAt(deployment, ...POD, 'containers')
}

function labelOf(deployment: ApiObject, name: string): unknown {
  return at(deployment, 'spec', 'template', 'metadata', 'labels', name)
}
