import type { JsonBounds, JsonObject } from '../image/json.ts'
import { isJsonObject, readJson } from '../image/json.ts'
import type { Diagnostic } from '../verdict/diagnostic.ts'
import { below } from '../verdict/diagnostic.ts'
import { whyNotSigstoreKeys } from './sigstore-keys.ts'
import { readTrustRoot, whyUnreadable } from './trust-root.ts'

const ROOT: JsonBounds = { bytes: 1024 * 1024, depth: 32, values: 100_000 } // of TUF root metadata; Sigstore's has 6 KiB and 150 values

/**
 * Why a TrustRoot's spec is refused when it is written: the rules of specification 2.6 that need nothing but the spec (T1–T7, T10–T17), in
 * its words. `spec` is as the API reads it, bytes in base64 and all. Empty: nothing is wrong so far. Never throws.
 */
export function whyNotTrustRoot(spec: JsonObject): readonly Diagnostic[] {
  const { remote, repository, sigstoreKeys, trustedRoot } = spec
  const given = [remote, repository, sigstoreKeys, trustedRoot].filter((kind) => kind !== undefined && kind !== null)
  if (given.length !== 1) {
    // The texts that users know name three kinds; the fourth is told of only where it is one of too many.
    const kinds = [
      'spec.remote',
      'spec.repository',
      'spec.sigstoreKeys',
      ...(given.includes(trustedRoot ?? '') ? ['spec.trustedRoot'] : []),
    ]
    return [error(`expected exactly one, got ${given.length === 0 ? 'neither' : 'both'}`, ...kinds)]
  }
  if (isJsonObject(remote)) return below('spec.remote', whyNotRemote(remote))
  if (isJsonObject(repository)) return below('spec.repository', whyNotRepository(repository))
  if (isJsonObject(sigstoreKeys)) return whyNotSigstoreKeys(sigstoreKeys)
  const read = readTrustRoot({ spec }, '')
  return read.ok ? [] : [{ ...error('invalid value: failed to parse the trusted root', 'spec.trustedRoot'), details: whyUnreadable(read) }]
}

function whyNotRemote(remote: JsonObject): Diagnostic[] {
  return [...whyNotRoot(remote['root']), ...(isEmpty(remote['mirror']) ? [error('missing field(s)', 'mirror')] : [])]
}

function whyNotRepository(repository: JsonObject): Diagnostic[] {
  return [
    ...(isEmpty(repository['targets']) ? [error('missing field(s)', 'targets')] : []),
    ...whyNotRoot(repository['root']),
    // The text that users know names the field so (T7).
    ...(isEmpty(repository['mirrorFS']) ? [error('missing field(s)', 'repository')] : []),
  ]
}

// T4–T6
function whyNotRoot(root: JsonObject[string] | undefined): Diagnostic[] {
  if (typeof root !== 'string') return [error('missing field(s)', 'root')]
  const read = readJson(Buffer.from(root, 'base64'), ROOT)
  if (!read.ok) return [{ ...error('invalid value: failed to unmarshal', 'root'), details: read.detail }]
  if (read.value !== null && !isJsonObject(read.value)) {
    const found = Array.isArray(read.value) ? 'array' : typeof read.value === 'boolean' ? 'bool' : typeof read.value
    const details = `json: cannot unmarshal ${found} into Go value of type map[string]interface {}`
    return [{ ...error('invalid value: failed to unmarshal', 'root'), details }]
  }
  const isSigned = read.value !== null && Object.hasOwn(read.value, 'signatures')
  return isSigned ? [] : [{ ...error('invalid value: missing signatures in root.json', 'root'), details: 'no signatures' }]
}

function isEmpty(value: JsonObject[string] | undefined): boolean {
  return value === undefined || value === null || value === ''
}

function error(message: string, ...paths: readonly string[]): Diagnostic {
  return { level: 'error', message, paths, details: '', added: [] }
}
