import { quoted } from '../verdict/reason.ts'
import type { MatchSpec } from './read.ts'
import type { Subject } from './subject.ts'

/** A compiled entry of `spec.match`. Empty `version` and `resource` fit nothing; an empty `group` is the core group. */
export type Match = {
  readonly group: string
  readonly version: string
  readonly resource: string
  /** All must hold; none hold for every object. `broken`: the selector is not one that Kubernetes accepts, so nobody knows whom it selects. */
  readonly selector: readonly Requirement[] | 'broken'
}

/** One condition on a label, in the words of a LabelSelector. */
type Requirement = { readonly key: string; readonly operator: Operator; readonly values: ReadonlySet<string> }
type Operator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'

export function compileMatch({ group, version, resource, selector }: MatchSpec): Match {
  return { group: group ?? '', version: version ?? '', resource: resource ?? '', selector: compileSelector(selector) }
}

/** Whether the entry fits the object. A broken selector is told only of an entry that is otherwise about such objects. */
export function matches({ group, version, resource, selector }: Match, subject: Subject): 'yes' | 'no' | 'broken' {
  if (resource !== subject.resource || group !== subject.group || (version !== '*' && version !== subject.version)) return 'no'
  if (selector === 'broken') return 'broken'
  return selector.every((requirement) => holds(requirement, subject.labels)) ? 'yes' : 'no'
}

/** The resources that `spec.match` may name, and the API group and versions of each: what is judged, and nothing else. */
export const RESOURCES: ReadonlyMap<string, { readonly group: string; readonly versions: readonly string[] }> = new Map([
  ['pods', { group: '', versions: ['v1'] }],
  ['replicationcontrollers', { group: '', versions: ['v1'] }],
  ['replicasets', { group: 'apps', versions: ['v1'] }],
  ['deployments', { group: 'apps', versions: ['v1'] }],
  ['statefulsets', { group: 'apps', versions: ['v1'] }],
  ['daemonsets', { group: 'apps', versions: ['v1'] }],
  ['jobs', { group: 'batch', versions: ['v1'] }],
  ['cronjobs', { group: 'batch', versions: ['v1', 'v1beta1'] }],
])

/** Why an entry of `spec.match` fits no object, or breaks the policy, as the end of a sentence for its author; undefined when it can fit. */
export function whyNeverFits({ group, version, resource, selector }: Match): string | undefined {
  if (selector === 'broken')
    return 'has a selector that Kubernetes does not accept, so the policy refuses every object that the entry is about'
  if (resource === '') return 'names no resource, so it fits no object'
  const known = RESOURCES.get(resource)
  if (!known) return `is about ${quoted(resource)}, which run no pods, so it fits no object`
  if (group !== known.group)
    return `says group ${quoted(group)}, so it fits no object: ${resource} are of the group ${known.group === '' ? '``, the empty text' : quoted(known.group)}`
  if (version === '') return 'names no version, so it fits no object: write version: "*"'
  if (version !== '*' && !known.versions.includes(version))
    return `says version ${quoted(version)}, so it fits no object: ${resource} come as ${known.versions.join(' and ')}`
  return undefined
}

function holds({ key, operator, values }: Requirement, labels: Subject['labels']): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'In':
      return value !== undefined && values.has(value)
    case 'NotIn': // also holds without the label (Kubernetes API conventions, «Labels, selectors»)
      return value === undefined || !values.has(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
  }
}

function compileSelector(selector: MatchSpec['selector']): Match['selector'] {
  const byLabel = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, operator: 'In', values: [value] }))
  const requirements: Requirement[] = []
  for (const { key = '', operator = '', values = [] } of [...byLabel, ...(selector?.matchExpressions ?? [])]) {
    if (!isOperator(operator) || !isLabelKey(key) || !values.every(isLabelValue)) return 'broken'
    const wantsValues = operator === 'In' || operator === 'NotIn'
    if (wantsValues !== values.length > 0) return 'broken'
    requirements.push({ key, operator, values: new Set(values) })
  }
  return requirements
}

function isOperator(text: string): text is Operator {
  return text === 'In' || text === 'NotIn' || text === 'Exists' || text === 'DoesNotExist'
}

const MAX_LABEL = 63 // characters of a label's value and of its name (Kubernetes, «Labels and Selectors»)
const MAX_PREFIX = 253 // characters of the DNS subdomain before a label's slash
const LABEL_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/
const SUBDOMAIN = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/

function isLabelValue(text: string): boolean {
  return text === '' || (text.length <= MAX_LABEL && LABEL_NAME.test(text))
}

function isLabelKey(text: string): boolean {
  const [first = '', second, more] = text.split('/', 3)
  if (more !== undefined) return false
  const name = second ?? first
  if (second !== undefined && (first.length > MAX_PREFIX || !SUBDOMAIN.test(first))) return false
  return name.length <= MAX_LABEL && LABEL_NAME.test(name)
}
