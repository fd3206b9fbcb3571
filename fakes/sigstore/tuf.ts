import { createHash } from 'node:crypto'
import type { Signer } from '../signer.ts'
import { makeSigner, signBytes } from '../signer.ts'
import { packed } from './archive.ts'
import { spkiOf } from './certificate.ts'
import type { Misbehaviour, Request } from './loopback.ts'
import { Loopback } from './loopback.ts'
import type { Sigstore } from './sigstore.ts'

const YEAR = 365 * 24 * 60 * 60 * 1000
const ROLES = ['root', 'timestamp', 'snapshot', 'targets'] as const
export type Role = (typeof ROLES)[number]

/** A target file; `custom` goes into its metadata. */
export type Target = { readonly bytes: Uint8Array; readonly custom?: object }
export type Targets = Readonly<Record<string, Target>>

/** `…-by-another-key`: signed by a key that root does not name. The others are what their names say. */
export type TufFault =
  | 'root-by-another-key'
  | 'timestamp-by-another-key'
  | 'snapshot-by-another-key'
  | 'targets-by-another-key'
  | 'target-tampered'
  | 'target-missing'
  | 'snapshot-of-another-version'

export type TufOptions = {
  /** ms since 1970; metadata expires a year later unless `expires` says otherwise. */
  readonly now: number
  readonly targets: Targets
  readonly expires?: number | Partial<Readonly<Record<Role, number>>>
  readonly keyType?: 'ed25519' | 'p256'
  /** Whether names of files hold versions and hashes, as in Sigstore's own; true by default. */
  readonly consistentSnapshot?: boolean
  /** A role to which `targets` delegates paths. */
  readonly delegated?: { readonly role: string; readonly paths: readonly string[]; readonly targets: Targets }
  readonly broken?: TufFault
}

type Keys = Readonly<Record<Role | 'delegated', Signer>>

/** A TUF repository in memory (The Update Framework specification 1.0): a key a role, each metadata file signed anew as things change. */
export class TufRepository {
  readonly files = new Map<string, Buffer>()
  #options: TufOptions
  #keys: Keys
  readonly #versions: Record<Role, number> = { root: 0, timestamp: 0, snapshot: 0, targets: 0 }

  constructor(options: TufOptions) {
    this.#options = options
    this.#keys = makeKeys(options)
    this.#publishRoot([this.#keys.root])
    this.publish()
  }

  /** A root as it was published, the first by default: what a client is given to begin with. */
  root(version = 1): Buffer {
    const root = this.files.get(`${version}.root.json`)
    if (!root) throw new Error(`no root ${version}`)
    return root
  }

  /** The next version of everything but root; `change` replaces options, such as targets, `expires` or `broken`. */
  publish(change: Partial<TufOptions> = {}): void {
    this.#options = { ...this.#options, ...change }
    this.#publishTargets()
    this.#publishSnapshot()
    this.#publishTimestamp()
  }

  /** The next root, with new keys for every role, signed by the old root key and the new one; then everything else under the new keys. */
  rotate(change: Partial<TufOptions> = {}): void {
    this.#options = { ...this.#options, ...change }
    const old = this.#keys.root
    this.#keys = makeKeys(this.#options)
    this.#publishRoot([this.#options.broken === 'root-by-another-key' ? makeSigner(old.type) : old, this.#keys.root])
    this.publish()
  }

  /** A gzip'd tar of all files, as `spec.repository.mirrorFS` of a TrustRoot has it before base64. */
  packed(prefix = '/repository/'): Buffer {
    return packed([...this.files].map(([name, bytes]) => [prefix + name, bytes] as const))
  }

  /** Serves the files as they are when asked for. */
  async serve(): Promise<TufServer> {
    const server = await Loopback.start(({ path }) => {
      const bytes = this.files.get(path.slice(1))
      return bytes ? { status: 200, type: 'application/octet-stream', body: bytes } : { status: 404, type: 'text/plain', body: 'not found' }
    })
    return server
  }

  #publishRoot(signers: readonly Signer[]): void {
    const { root, timestamp, snapshot, targets } = this.#keys
    const keys = Object.fromEntries([root, timestamp, snapshot, targets].map((signer) => [keyIdOf(signer), keyJson(signer)]))
    const roles = Object.fromEntries(ROLES.map((role) => [role, { keyids: [keyIdOf(this.#keys[role])], threshold: 1 }]))
    const version = ++this.#versions.root
    const signed = { ...this.#head('root', version), consistent_snapshot: this.#isConsistent, keys, roles }
    const bytes = metadata(signed, signers)
    this.files.set(`${version}.root.json`, bytes)
    this.files.set('root.json', bytes)
  }

  #publishTargets(): void {
    const { targets, delegated } = this.#options
    if (delegated) {
      const signed = { ...this.#head('targets', this.#versions.targets + 1), targets: this.#store(delegated.targets) }
      this.#put(delegated.role, this.#versions.targets + 1, metadata(signed, [this.#keys.delegated]))
    }
    const key = this.#keys.delegated
    const delegations = delegated && {
      keys: { [keyIdOf(key)]: keyJson(key) },
      roles: [{ name: delegated.role, keyids: [keyIdOf(key)], threshold: 1, terminating: false, paths: delegated.paths }],
    }
    const version = ++this.#versions.targets
    const signed = { ...this.#head('targets', version), targets: this.#store(targets), ...(delegations && { delegations }) }
    this.#put('targets', version, metadata(signed, [this.#signerOf('targets')]))
  }

  #publishSnapshot(): void {
    const { targets } = this.#versions
    const { delegated, broken } = this.#options
    const meta = {
      'targets.json': { version: broken === 'snapshot-of-another-version' ? targets + 1 : targets },
      ...(delegated && { [`${delegated.role}.json`]: { version: targets } }),
    }
    const version = ++this.#versions.snapshot
    this.#put('snapshot', version, metadata({ ...this.#head('snapshot', version), meta }, [this.#signerOf('snapshot')]))
  }

  #publishTimestamp(): void {
    const version = ++this.#versions.timestamp
    const meta = { 'snapshot.json': { version: this.#versions.snapshot } }
    this.files.set('timestamp.json', metadata({ ...this.#head('timestamp', version), meta }, [this.#signerOf('timestamp')]))
  }

  /** Stores target files, and answers what metadata says about them. */
  #store(targets: Targets): object {
    const { broken } = this.#options
    const described = Object.entries(targets).map(([name, { bytes, custom }]) => {
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      const sha512 = createHash('sha512').update(bytes).digest('hex')
      const slash = name.lastIndexOf('/') + 1
      const path = `targets/${this.#isConsistent ? `${name.slice(0, slash)}${sha256}.${name.slice(slash)}` : name}`
      // As long as the true one: only the hash tells.
      const stored = broken === 'target-tampered' ? Buffer.from(bytes).fill(0x20, 0, 1) : Buffer.from(bytes)
      if (broken === 'target-missing') this.files.delete(path)
      else this.files.set(path, stored)
      return [name, { length: bytes.length, hashes: { sha256, sha512 }, ...(custom && { custom }) }] as const
    })
    return Object.fromEntries(described)
  }

  #put(role: string, version: number, bytes: Buffer): void {
    this.files.set(this.#isConsistent ? `${version}.${role}.json` : `${role}.json`, bytes)
  }

  #head(role: Role, version: number): object {
    const { now, expires } = this.#options
    const end = typeof expires === 'number' ? expires : (expires?.[role] ?? now + YEAR)
    return { _type: role, spec_version: '1.0.31', version, expires: new Date(end).toISOString().replace(/\.\d+Z$/, 'Z') }
  }

  #signerOf(role: Role): Signer {
    return this.#options.broken === `${role}-by-another-key` ? makeSigner(this.#keys[role].type) : this.#keys[role]
  }

  get #isConsistent(): boolean {
    return this.#options.consistentSnapshot ?? true
  }
}

export type TufServer = {
  readonly url: string
  readonly seen: readonly Request[]
  misbehave(...misbehaviour: readonly Misbehaviour[]): void
  close(): Promise<void>
}

/** What Sigstore's repositories hold today. */
export function trustedRootTarget(sigstore: Sigstore, name = 'trusted_root.json'): Targets {
  return { [name]: { bytes: Buffer.from(JSON.stringify(sigstore.trustedRoot())) } }
}

/** What they held before: a file a certificate or key, and in custom metadata what it is for (specification 10.3). */
export function legacyTargets(sigstore: Sigstore): Targets {
  const target = (usage: string, text: string, uri: string): Target => ({
    bytes: Buffer.from(text),
    custom: { sigstore: { usage, status: 'Active', uri } },
  })
  const named = (name: string, i: number, suffix: string): string => `${name}${i === 0 ? '' : `_${i + 1}`}${suffix}`
  return Object.fromEntries([
    ...sigstore.authorities.flatMap(({ part: { chain, uri } }, i) =>
      chain.map(
        ({ pem }, place) =>
          [
            named(place === chain.length - 1 ? 'fulcio' : `fulcio_intermediate${place || ''}`, i, '.crt.pem'),
            target('Fulcio', pem, uri),
          ] as const,
      ),
    ),
    ...sigstore.certificateLogs.map(({ part }, i) => [named('ctfe', i, '.pub'), target('CTFE', part.key.pem, part.url)] as const),
    ...sigstore.logs.v1.map(({ part }, i) => [named('rekor', i, '.pub'), target('Rekor', part.key.pem, part.url)] as const),
  ])
}

function makeKeys({ keyType = 'ed25519' }: TufOptions): Keys {
  const key = (): Signer => makeSigner(keyType)
  return { root: key(), timestamp: key(), snapshot: key(), targets: key(), delegated: key() }
}

function keyJson(signer: Signer): object {
  return signer.type === 'ed25519'
    ? { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: spkiOf(signer).subarray(-32).toString('hex') } }
    : { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: signer.pem } }
}

function keyIdOf(signer: Signer): string {
  return createHash('sha256')
    .update(canonical(keyJson(signer)))
    .digest('hex')
}

function metadata(signed: object, signers: readonly Signer[]): Buffer {
  const bytes = Buffer.from(canonical(signed))
  const signatures = signers.map((signer) => ({ keyid: keyIdOf(signer), sig: signBytes(signer, bytes).toString('hex') }))
  return Buffer.from(JSON.stringify({ signatures, signed }))
}

/** OLPC canonical JSON, which TUF signs: keys sorted, and in texts only quotes and backslashes escaped. */
function canonical(value: unknown): string {
  if (typeof value === 'string') return `"${value.replaceAll(/["\\]/g, '\\$&')}"`
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, member]) => `${canonical(key)}:${canonical(member)}`).join(',')}}`
}
