import { createHash } from 'node:crypto'
import { json } from '@sigstore/core'
import type { SigningFault } from './fault.ts'
import type { Answer, Misbehaviour, Request } from './loopback.ts'
import { Loopback } from './loopback.ts'
import type { Sigstore } from './sigstore.ts'
import type { LoggedEntry } from './transparency-log.ts'

const SEARCH = '/api/v1/log/entries/retrieve'
const ENTRIES = '/api/v1/log/entries'
const MAX_PROPOSED = 10 // entries of one query, as Rekor v1 has it

/** How what is found is handed out: `faults` break the entries, `finds` what is found at all. */
export type SearchFaults = {
  readonly faults?: readonly SigningFault[]
  /** `nothing`: an empty list. `another`: entries of others as well. `under-another-uuid`: as if another entry had been asked for. */
  readonly finds?: 'nothing' | 'another' | 'under-another-uuid'
}

type Proposed = { readonly kind?: string; readonly apiVersion?: string; readonly spec?: Readonly<Record<string, unknown>> }

/**
 * Rekor v1 over HTTP: `POST …/api/v1/log/entries/retrieve` searches all v1 logs of a Sigstore, as they are when it is asked; `POST …/api/v1/log/entries`
 * adds to the last of them what cosign uploads (hashedrekord 0.0.1, dsse 0.0.1), without looking whether it is signed.
 */
export class FakeRekor {
  readonly #sigstore: Sigstore
  #server: Loopback | undefined
  #faults: SearchFaults = {}

  private constructor(sigstore: Sigstore) {
    this.#sigstore = sigstore
  }

  static async start(sigstore: Sigstore): Promise<FakeRekor> {
    const rekor = new FakeRekor(sigstore)
    rekor.#server = await Loopback.start((request) => rekor.#answer(request))
    return rekor
  }

  get url(): string {
    return this.#http.url
  }

  get seen(): readonly Request[] {
    return this.#http.seen
  }

  /** From now on, until it is called again. What HTTP can do wrong comes first. */
  misbehave(search: SearchFaults = {}, ...http: readonly Misbehaviour[]): void {
    this.#faults = search
    this.#http.misbehave(...http)
  }

  close(): Promise<void> {
    return this.#http.close()
  }

  get #http(): Loopback {
    if (!this.#server) throw new Error('not started')
    return this.#server
  }

  #upload(body: Buffer): Answer {
    const log = this.#sigstore.logs.v1.at(-1)?.part
    const proposed = JSON.parse(body.toString()) as Proposed
    if (!log || proposed.apiVersion !== '0.0.1') return { status: 400, body: JSON.stringify({ code: 400, message: 'invalid entry' }) }
    const written = writtenDown(proposed)
    log.append(written, Date.now())
    const [found] = log.find((each) => each.equals(written))
    if (!found) throw new Error('the log has lost what was added to it')
    return { status: 201, etag: found.uuid, body: JSON.stringify({ [found.uuid]: answered(found.entry) }) }
  }

  #answer({ method, path, body }: Request): Answer {
    if (path.endsWith(ENTRIES) && method === 'POST') return this.#upload(body)
    if (!path.endsWith(SEARCH)) return { status: 404, body: JSON.stringify({ code: 404, message: `path ${path} was not found` }) }
    if (method !== 'POST') return { status: 405, body: JSON.stringify({ code: 405, message: `method ${method} is not allowed` }) }
    const entries = proposedIn(body)
    if (!entries || entries.length > MAX_PROPOSED) return { status: 400, body: JSON.stringify({ code: 400, message: 'invalid query' }) }
    if (this.#faults.finds === 'nothing') return { status: 200, body: '[]' }
    const faults = new Set(this.#faults.faults)
    const logs = this.#sigstore.logs.v1.map(({ part }) => part)
    const wanted = (found: Buffer): boolean => entries.some((entry) => isLike(entry, found))
    const found = logs.flatMap((log) => log.find((each) => wanted(each) || this.#faults.finds === 'another', faults))
    const named = found.map(({ uuid, entry }) => ({
      [this.#faults.finds === 'under-another-uuid' ? `${uuid.slice(0, 16)}${'00'.repeat(32)}` : uuid]: answered(entry),
    }))
    return { status: 200, body: JSON.stringify(named) }
  }
}

/** What is written down of what was proposed: canonical JSON (RFC 8785). */
function writtenDown({ kind, apiVersion, spec = {} }: Proposed): Buffer {
  return Buffer.from(json.canonicalize({ apiVersion, kind, spec: kind === 'dsse' ? dsseSpec(spec) : spec }))
}

function proposedIn(body: Buffer): readonly Proposed[] | undefined {
  try {
    const { entries } = JSON.parse(body.toString()) as { readonly entries?: unknown }
    return Array.isArray(entries) ? (entries as readonly Proposed[]) : undefined
  } catch {
    return undefined
  }
}

/** Whether a proposed entry would be written down as `body`; the log compares what it would make of both. */
function isLike(proposed: Proposed, body: Buffer): boolean {
  const logged = JSON.parse(body.toString()) as Proposed
  if (logged.kind !== proposed.kind || logged.apiVersion !== proposed.apiVersion) return false
  try {
    if (proposed.kind === 'dsse') return sameJson(dsseSpec(proposed.spec), logged.spec)
    if (proposed.kind === 'intoto' && proposed.apiVersion === '0.0.1') return sameJson(intotoSpec(proposed.spec), logged.spec)
    if (proposed.kind === 'intoto') return sameJson(intotoParts(true, proposed.spec), intotoParts(false, logged.spec))
    return sameJson(proposed.spec, logged.spec)
  } catch {
    return false
  }
}

function sameJson(a: unknown, b: unknown): boolean {
  return json.canonicalize(a) === json.canonicalize(b)
}

/** dsse 0.0.1: what is proposed is an envelope's text and verifiers, what is kept are hashes (Rekor, dsse_v0_0_1_schema.json). */
function dsseSpec(spec: Proposed['spec'] = {}): object {
  const { envelope, verifiers } = spec['proposedContent'] as { envelope: string; verifiers: readonly string[] }
  const { payload, signatures } = JSON.parse(envelope) as { payload: string; signatures: readonly { sig: string }[] }
  return {
    envelopeHash: { algorithm: 'sha256', value: sha256(envelope) },
    payloadHash: { algorithm: 'sha256', value: sha256(Buffer.from(payload, 'base64')) },
    signatures: signatures.map(({ sig }, i) => ({ signature: sig, verifier: verifiers[i] })),
  }
}

/** intoto 0.0.1: an envelope's text and a key (Rekor, intoto_v0_0_1_schema.json). */
function intotoSpec(spec: Proposed['spec'] = {}): object {
  const { envelope } = spec['content'] as { envelope: string }
  const { payload } = JSON.parse(envelope) as { payload: string }
  return {
    content: {
      hash: { algorithm: 'sha256', value: sha256(envelope) },
      payloadHash: { algorithm: 'sha256', value: sha256(Buffer.from(payload, 'base64')) },
    },
    publicKey: spec['publicKey'],
  }
}

type IntotoContent = {
  readonly envelope: {
    readonly payload?: string
    readonly payloadType: string
    readonly signatures: readonly { sig: string; publicKey: string }[]
  }
  readonly payloadHash?: object
}

/** intoto 0.0.2 without the envelope's hash, which depends on how somebody writes JSON. */
function intotoParts(isProposed: boolean, spec: Proposed['spec'] = {}): object {
  const { envelope, payloadHash } = spec['content'] as IntotoContent
  const payload = Buffer.from(Buffer.from(envelope.payload ?? '', 'base64').toString(), 'base64')
  return {
    payloadType: envelope.payloadType,
    signatures: envelope.signatures.map(({ sig, publicKey }) => ({ sig, publicKey })),
    payloadHash: isProposed ? { algorithm: 'sha256', value: sha256(payload) } : payloadHash,
  }
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A LogEntryAnon of Rekor's API. */
function answered({ body, integratedTime, logId, index, promise, proof }: LoggedEntry): object {
  return {
    body: body.toString('base64'),
    integratedTime,
    logID: logId.toString('hex'),
    logIndex: index,
    verification: {
      ...(proof && {
        inclusionProof: {
          checkpoint: proof.checkpoint,
          hashes: proof.path.map((hash) => hash.toString('hex')),
          logIndex: proof.index,
          rootHash: proof.root.toString('hex'),
          treeSize: proof.size,
        },
      }),
      ...(promise && { signedEntryTimestamp: promise.toString('base64') }),
    },
  }
}
