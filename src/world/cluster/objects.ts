import { isObject } from '../../policy/shape.ts'
import { decodeBase64 } from '../../sigstore/base64.ts'
import type { FileDocument } from './documents.ts'

const MAX_LIST_DEPTH = 3 // a List in a List in a List; nobody nests them, so deeper ones are a mistake
const MAX_PULL_SECRETS = 100 // of one ServiceAccount; each may cost a request, and whoever creates ServiceAccounts chooses how many
const NONE: readonly string[] = [] // shared: most of 100,000 ServiceAccounts name none

/** The kinds of objects that are taken from files. */
export type Kind = 'ClusterImagePolicy' | 'TrustRoot' | 'Secret' | 'ConfigMap' | 'ServiceAccount' | 'Namespace'

/** An object from a file. `namespace` is empty for kinds that have none, and `default`, as kubectl has it, where the object names none. */
export type FileObject = {
  readonly kind: Kind
  readonly namespace: string
  readonly name: string
  /** The object as the API server would hold it: `stringData` folded into `data`. */
  readonly object: object
  /** `document 2, line 14`. */
  readonly at: string
}

export type ObjectsRead =
  /** `ignored`: kinds of objects that nothing is done with. */
  | { readonly ok: true; readonly objects: readonly FileObject[]; readonly ignored: readonly string[] }
  | { readonly ok: false; readonly problem: string }

const KINDS: readonly { readonly kind: Kind; readonly apiVersions: readonly string[]; readonly namespaced: boolean }[] = [
  { kind: 'ClusterImagePolicy', apiVersions: ['policy.sigstore.dev/v1beta1', 'policy.sigstore.dev/v1alpha1'], namespaced: false },
  { kind: 'TrustRoot', apiVersions: ['policy.sigstore.dev/v1alpha1'], namespaced: false },
  { kind: 'Secret', apiVersions: ['v1'], namespaced: true },
  { kind: 'ConfigMap', apiVersions: ['v1'], namespaced: true },
  { kind: 'ServiceAccount', apiVersions: ['v1'], namespaced: true },
  { kind: 'Namespace', apiVersions: ['v1'], namespaced: false },
]

/**
 * Takes the objects out of a file's documents; `List`s of any kind are expanded. What the API server would not take is an error here too,
 * except what a ClusterImagePolicy says: that is judged where policies are read, so that a wrong one refuses instead of vanishing.
 */
export function readObjects(documents: readonly FileDocument[]): ObjectsRead {
  const objects: FileObject[] = []
  const ignored = new Set<string>()
  for (const document of documents) {
    const at = `document ${document.number}, line ${document.line}`
    const problem = take(document.value, at, 0, objects, ignored)
    if (problem !== undefined) return { ok: false, problem: `${at}: ${problem}` }
  }
  return { ok: true, objects, ignored: [...ignored] }
}

/** Adds what a value holds to `into`. Answers what is wrong with it. */
function take(value: unknown, at: string, depth: number, into: FileObject[], ignored: Set<string>): string | undefined {
  if (!isObject(value)) return 'not a Kubernetes object'
  const { apiVersion, kind } = value
  if (typeof kind !== 'string' || kind === '') return 'kind is missing'
  if (typeof apiVersion !== 'string' || apiVersion === '') return 'apiVersion is missing'
  if (kind.endsWith('List') && 'items' in value) {
    if (!Array.isArray(value['items'])) return 'items is not a list'
    if (depth === MAX_LIST_DEPTH) return `Lists nested more than ${MAX_LIST_DEPTH} deep`
    for (const [i, item] of value['items'].entries()) {
      // What the API server answers leaves kind and apiVersion out of the items of a typed list.
      const typed: unknown = kind !== 'List' && isObject(item) ? { apiVersion, kind: kind.slice(0, -'List'.length), ...item } : item
      const problem = take(typed, `${at}, items[${i}]`, depth + 1, into, ignored)
      if (problem !== undefined) return `items[${i}]: ${problem}`
    }
    return undefined
  }
  const known = KINDS.find((k) => k.kind === kind)
  if (!known?.apiVersions.includes(apiVersion)) {
    // A policy of a version that is not known must not be passed over like a Deployment.
    const wanted = known && apiVersion.startsWith('policy.sigstore.dev/')
    if (wanted || known?.kind === 'ClusterImagePolicy')
      return `apiVersion of a ${kind} is ${shown(apiVersion)}, wanted ${known.apiVersions.join(' or ')}`
    if (apiVersion.startsWith('policy.sigstore.dev/')) return `no kind ${shown(kind)} in policy.sigstore.dev`
    ignored.add(`${kind} (${apiVersion})`.slice(0, 200))
    return undefined
  }
  return takeKnown(value, known.kind, known.namespaced, at, into)
}

function takeKnown(
  value: Readonly<Record<string, unknown>>,
  kind: Kind,
  namespaced: boolean,
  at: string,
  into: FileObject[],
): string | undefined {
  const metadata = isObject(value['metadata']) ? value['metadata'] : {}
  const { name } = metadata
  const namespace = metadata['namespace'] || 'default'
  if (!isName(name)) return `metadata.name of a ${kind} is ${name === undefined ? 'missing' : shown(name)}, wanted a DNS name`
  if (namespaced && !isName(namespace)) return `metadata.namespace of ${kind} ${name} is ${shown(namespace)}, wanted a DNS label`
  let object: object = value
  if (kind === 'Secret') {
    const data = secretData(value)
    if (typeof data === 'string') return `Secret ${name}: ${data}`
    const { stringData: _, ...rest } = value
    object = { ...rest, data }
  } else if (kind === 'ConfigMap') {
    const wrong = whyNotTexts(value['data'])
    if (wrong !== undefined) return `ConfigMap ${name}: data${wrong}`
  }
  into.push({ kind, namespace: namespaced ? (namespace as string) : '', name, object, at })
  return undefined
}

/** `data` with `stringData`, which wins, folded in; or what is wrong, never with a value of the Secret in it. */
function secretData(secret: Readonly<Record<string, unknown>>): Record<string, string> | string {
  const wrong = whyNotTexts(secret['data'])
  if (wrong !== undefined) return `data${wrong}`
  const wrongString = whyNotTexts(secret['stringData'])
  if (wrongString !== undefined) return `stringData${wrongString}`
  const data = (secret['data'] ?? {}) as Record<string, string>
  for (const [key, value] of Object.entries(data)) {
    const decoded = decodeBase64(value)
    if (!decoded.ok) return `data.${key}: ${decoded.detail}`
  }
  const strings = (secret['stringData'] ?? {}) as Record<string, string>
  const folded = Object.entries(strings).map(([key, value]) => [key, Buffer.from(value, 'utf8').toString('base64')] as const)
  return Object.fromEntries([...Object.entries(data), ...folded])
}

function whyNotTexts(map: unknown): string | undefined {
  if (map === undefined || map === null) return undefined
  if (!isObject(map)) return ' is not a map'
  const wrong = Object.entries(map).find(([, value]) => typeof value !== 'string')
  return wrong === undefined ? undefined : `.${wrong[0]} is not a text: put it in quotes`
}

/** Names that `imagePullSecrets` of a ServiceAccount give; what is not a name is left out. */
export function pullSecretNames(serviceAccount: object): readonly string[] {
  const list = (serviceAccount as { readonly imagePullSecrets?: unknown }).imagePullSecrets
  if (!Array.isArray(list) || list.length === 0) return NONE
  const names = list
    .slice(0, MAX_PULL_SECRETS)
    .flatMap((entry: unknown) => (isObject(entry) && isName(entry['name']) ? [entry['name']] : []))
  return names.length === 0 ? NONE : names
}

/** Whether a value is a name that an object can have (RFC 1123 subdomain). Any other must not become part of a URL. */
export function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(value)
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing'
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
