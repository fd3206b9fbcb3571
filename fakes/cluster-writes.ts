import { randomUUID } from 'node:crypto'
import type { ClusterStore, Located, StoredObject } from './cluster-store.ts'

export type WriteVerb = 'create' | 'update' | 'patch' | 'delete'

/** What a write gave: an object, or the message of a Status. */
export type Written =
  | { readonly code: number; readonly object: object; readonly message?: undefined }
  | { readonly code: number; readonly object?: undefined; readonly message: string }

type Fields = Readonly<Record<string, unknown>>

const VERBS: Readonly<Record<string, WriteVerb>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }
const MERGE = 'application/merge-patch+json'

export function verbOf(method: string): WriteVerb | undefined {
  return VERBS[method]
}

/** Writes as the API server does: versions conflict, `status` is apart from the rest, and what has finalizers only begins to be deleted. */
export function write(store: ClusterStore, verb: WriteVerb, asked: Located, text: string, contentType: string): Written {
  const { resource, namespace, name } = asked
  const sent = bodyOf(text)
  if (!sent) return { code: 400, message: 'the body is not an object of JSON' }
  if (verb === 'create') return create(store, asked, sent)
  const stored = store.get(resource, namespace, name)
  if (!stored) return { code: 404, message: `${resource.resource}${inGroup(asked)} "${name}" not found` }
  switch (verb) {
    case 'update': {
      if (!isFields(sent['metadata']) || sent['metadata']['name'] !== name)
        return { code: 400, message: 'the name of the object does not match the name on the URL' }
      return replace(store, asked, stored, sent)
    }
    case 'patch': {
      if (!contentType.startsWith(MERGE)) return { code: 415, message: `the body of the request was in an unknown format: ${contentType}` }
      return replace(store, asked, stored, merged(stored, sent) as Fields)
    }
    case 'delete':
      return remove(store, asked, stored, sent)
  }
}

function create(store: ClusterStore, { resource, namespace, name }: Located, sent: Fields): Written {
  const metadata = fieldsOf(sent['metadata'])
  const given = typeof metadata['name'] === 'string' ? metadata['name'] : ''
  const generated = typeof metadata['generateName'] === 'string' ? `${metadata['generateName']}${randomUUID().slice(0, 5)}` : ''
  if (name !== '') return { code: 405, message: 'the server does not allow this method on the requested resource' }
  if (given === '' && generated === '') return { code: 422, message: 'metadata.name: Required value: name or generateName is required' }
  if (store.get(resource, namespace, given)) return { code: 409, message: `${resource.resource} "${given}" already exists` }
  const { status: _, ...rest } = sent
  store.put({
    ...(resource.hasStatus === true ? rest : sent),
    kind: resource.kind,
    metadata: {
      ...metadata,
      name: given || generated,
      ...(resource.isNamespaced && { namespace }),
      uid: randomUUID(),
      creationTimestamp: new Date().toISOString(),
      generation: 1,
    },
  })
  return { code: 201, object: store.get(resource, namespace, given || generated) ?? {} }
}

function replace(store: ClusterStore, asked: Located, stored: StoredObject, sent: Fields): Written {
  const { resource, namespace, name, isStatus } = asked
  const metadata = fieldsOf(sent['metadata'])
  const version = metadata['resourceVersion']
  if (version !== undefined && version !== '' && version !== stored.metadata.resourceVersion)
    return {
      code: 409,
      message: `Operation cannot be fulfilled on ${resource.resource}${inGroup(asked)} "${name}": the object has been modified; please apply your changes to the latest version and try again`,
    }
  const kept = { resourceVersion: undefined, uid: stored.metadata['uid'], deletionTimestamp: stored.metadata['deletionTimestamp'] }
  const now = isStatus
    ? { ...stored, status: sent['status'] }
    : { ...sent, ...(resource.hasStatus === true && 'status' in stored && { status: stored['status'] }), kind: resource.kind }
  const before = { ...stored, metadata: undefined, status: undefined }
  const after: Fields = { ...now, metadata: undefined, status: undefined, apiVersion: stored.apiVersion }
  const { generation } = stored.metadata
  const next: Fields = {
    ...(isStatus ? stored.metadata : metadata),
    ...kept,
    name,
    ...(resource.isNamespaced && { namespace }),
    generation: typeof generation === 'number' && !isSame(before, after) ? generation + 1 : generation,
  }
  const finalizers = next['finalizers']
  if (next['deletionTimestamp'] !== undefined && (!Array.isArray(finalizers) || finalizers.length === 0)) {
    store.remove(resource.kind, namespace, name)
    return { code: 200, object: { ...now, metadata: next } }
  }
  // A write that changes nothing is no event and makes no version.
  const object = withoutUndefined({ ...now, metadata: withoutUndefined(next) }) as StoredObject
  const { resourceVersion: _, ...storedMetadata } = stored.metadata
  if (!isSame({ ...stored, metadata: storedMetadata }, { ...object, apiVersion: stored.apiVersion })) store.put(object)
  return { code: 200, object: store.get(resource, namespace, name) ?? {} }
}

function remove(store: ClusterStore, asked: Located, stored: StoredObject, sent: Fields): Written {
  const { resource, namespace, name } = asked
  const wanted = fieldsOf(sent['preconditions'])
  for (const field of ['uid', 'resourceVersion'] as const)
    if (wanted[field] !== undefined && wanted[field] !== stored.metadata[field])
      return {
        code: 409,
        message: `Operation cannot be fulfilled on ${resource.resource}${inGroup(asked)} "${name}": the ${field} in the precondition (${JSON.stringify(wanted[field])}) does not match the ${field} in record`,
      }
  const { finalizers } = stored.metadata
  if (Array.isArray(finalizers) && finalizers.length > 0) {
    store.put({ ...stored, metadata: { ...stored.metadata, deletionTimestamp: new Date().toISOString() } })
    return { code: 200, object: store.get(resource, namespace, name) ?? {} }
  }
  store.remove(resource.kind, namespace, name)
  return { code: 200, object: { kind: 'Status', apiVersion: 'v1', status: 'Success' } }
}

/** JSON merge patch (RFC 7396). */
function merged(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch
  const result: Record<string, unknown> = { ...fieldsOf(target) }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = merged(result[key], value)
  }
  return result
}

function bodyOf(text: string): Fields | undefined {
  if (text === '') return {}
  try {
    const read: unknown = JSON.parse(text)
    return isFields(read) ? read : undefined
  } catch {
    return undefined
  }
}

function inGroup({ resource }: Located): string {
  return resource.group === '' ? '' : `.${resource.group}`
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {}
}

function withoutUndefined(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** Whatever the order of their fields. */
function isSame(a: unknown, b: unknown): boolean {
  const ordered = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(ordered)
      : isFields(value)
        ? Object.fromEntries(
            Object.keys(value)
              .toSorted()
              .flatMap((k) => (value[k] === undefined ? [] : [[k, ordered(value[k])]])),
          )
        : value
  return JSON.stringify(ordered(a)) === JSON.stringify(ordered(b))
}
