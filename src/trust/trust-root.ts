import type { Read } from '../verdict/read.ts'
import { sentenceOf } from '../verdict/reason.ts'
import type { TrustMaterial } from './material.ts'
import { readSigstoreKeys } from './sigstore-keys.ts'
import { readTrustedRoot } from './trusted-root.ts'

const MAX_ROOT = 1024 * 1024 // characters of spec.*.root; those of Sigstore have 8,000
const MAX_MIRROR_FS = 12 * 1024 * 1024 // characters of spec.repository.mirrorFS: 8 MiB as base64, and line breaks
const MAX_TARGET = 256 // characters of the name of a target, or of the folder of targets

/** Where a TUF repository is, and what is taken of it. */
export type TufRepository = {
  /** TUF root metadata to begin with: all trust comes from it. */
  readonly root: Uint8Array
  /** The folder of targets of the older kind, below the mirror (specification 1.5, Q20). */
  readonly targets: string
  /** The name of the target that is a Sigstore trusted root. */
  readonly target: string
}

/** What a TrustRoot says: what is trusted itself, or a TUF repository that says it. */
export type TrustRoot =
  | { readonly from: 'itself'; readonly material: TrustMaterial }
  | { readonly from: 'remote'; readonly repository: TufRepository; readonly mirror: URL }
  /** `archive` is a gzip'd tar. */
  | { readonly from: 'repository'; readonly repository: TufRepository; readonly archive: Uint8Array }

/** What kinds there are; exactly one of them is given. */
const KINDS = ['remote', 'repository', 'sigstoreKeys', 'trustedRoot'] as const

/**
 * Reads a TrustRoot object called `name` (specification 1.5, 2.6): `sigstoreKeys`, `remote`, `repository`, or `trustedRoot`, a Sigstore
 * trusted root as it is, as an object or as its JSON. Answers `trust-root-unreadable` with the fields that are wrong, in the words of the
 * validating webhook; never throws.
 */
export function readTrustRoot(object: object, name: string): Read<TrustRoot> {
  const unreadable = (detail: string): Read<never> => ({ ok: false, reason: { code: 'trust-root-unreadable', name, detail } })
  const spec = fieldsOf((object as Fields)['spec'])
  const given = KINDS.filter((kind) => spec[kind] !== undefined && spec[kind] !== null)
  const [kind] = given
  if (kind === undefined || given.length > 1)
    return unreadable(`expected exactly one, got ${kind === undefined ? 'neither' : 'both'}: ${KINDS.map((k) => `spec.${k}`).join(', ')}`)
  switch (kind) {
    case 'sigstoreKeys':
      return itself(readSigstoreKeys(spec[kind], name))
    case 'trustedRoot':
      return itself(readTrustedRoot(jsonOf(spec[kind]), name))
    case 'remote':
    case 'repository': {
      const read = kind === 'remote' ? readRemote(fieldsOf(spec[kind])) : readRepository(fieldsOf(spec[kind]))
      return typeof read === 'string' ? unreadable(read) : { ok: true, value: read }
    }
  }
}

/** What is wrong with a trust root, without its name: whoever shows it has named it. */
export function whyUnreadable(read: Read<unknown> & { readonly ok: false }): string {
  return read.reason.code === 'trust-root-unreadable' ? read.reason.detail : sentenceOf(read.reason)
}

function itself(read: Read<TrustMaterial>): Read<TrustRoot> {
  return read.ok ? { ok: true, value: { from: 'itself', material: read.value } } : read
}

function readRemote(fields: Fields): TrustRoot | string {
  const at = 'spec.remote'
  const mirror = fields['mirror'] ?? ''
  const url = typeof mirror === 'string' && mirror.length <= MAX_TARGET * 8 ? URL.parse(mirror) : null
  const repository = readTuf(fields, at)
  if (mirror === '')
    return typeof repository === 'string' ? `${repository}; missing field(s): ${at}.mirror` : `missing field(s): ${at}.mirror`
  if (typeof repository === 'string') return repository
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash)
    return `invalid value: it is not an http or https URL without credentials and query: ${at}.mirror`
  return { from: 'remote', repository, mirror: url }
}

function readRepository(fields: Fields): TrustRoot | string {
  const at = 'spec.repository'
  const repository = readTuf(fields, at)
  if (typeof repository === 'string') return repository
  // The text that is given names the field so (T7).
  if ((fields['mirrorFS'] ?? '') === '') return `missing field(s): ${at}.repository`
  const archive = bytesOf(fields['mirrorFS'], MAX_MIRROR_FS)
  return archive ? { from: 'repository', repository, archive } : `invalid value: it is not base64: ${at}.mirrorFS`
}

function readTuf(fields: Fields, at: string): TufRepository | string {
  const root = fields['root']
  if (root === undefined || root === null) return `missing field(s): ${at}.root`
  const bytes = bytesOf(root, MAX_ROOT)
  if (!bytes) return `invalid value: it is not base64: ${at}.root`
  const targets = nameOf(fields['targets'], 'targets')
  if (targets === undefined) return `invalid value: it is not the name of a folder: ${at}.targets`
  const target = nameOf(fields['trustedRootTarget'], 'trusted_root.json')
  if (target === undefined) return `invalid value: it is not the name of a target: ${at}.trustedRootTarget`
  return { root: bytes, targets, target }
}

/** The name of a target or a folder, which becomes part of a URL: no `..`, and nothing that ends a path. */
function nameOf(value: unknown, usual: string): string | undefined {
  if (value === undefined || value === null || value === '') return usual
  if (typeof value !== 'string' || value.length > MAX_TARGET || !/^[A-Za-z0-9][\w.@+/-]*$/.test(value)) return undefined
  return value.split('/').includes('..') ? undefined : value
}

/** Bytes as Kubernetes writes them; undefined: they are not, or too many. */
function bytesOf(value: unknown, max: number): Uint8Array | undefined {
  const base64 = typeof value === 'string' && value.length <= max ? value.replace(/[\r\n]/g, '') : '-'
  return /^[A-Za-z0-9+/]*={0,2}$/.test(base64) && base64.length % 4 === 0 ? Buffer.from(base64, 'base64') : undefined
}

/** What does not become JSON is none. */
function jsonOf(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    return JSON.stringify(value) ?? ''
  } catch {
    return ''
  }
}

// — fields

type Fields = { readonly [field: string]: unknown }

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}
