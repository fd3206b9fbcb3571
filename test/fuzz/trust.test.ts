import { gunzipSync, gzipSync } from 'node:zlib'
import { packed } from '../../fakes/sigstore/archive.ts'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { legacyTargets, trustedRootTarget, TufRepository } from '../../fakes/sigstore/tuf.ts'
import { readJson } from '../../src/image/json.ts'
import { namesOf } from '../../src/sigstore/identity.ts'
import { readAnchor } from '../../src/trust/anchor.ts'
import { factsOf, readCertificates } from '../../src/trust/certificate.ts'
import { readSubjectPublicKeyInfo } from '../../src/trust/key.ts'
import { findPath } from '../../src/trust/path.ts'
import { whySctsNotBelieved } from '../../src/trust/sct.ts'
import { readSigstoreKeys } from '../../src/trust/sigstore-keys.ts'
import { readTrustRoot } from '../../src/trust/trust-root.ts'
import { readTrustedRoot } from '../../src/trust/trusted-root.ts'
import { materialOf, usageOf } from '../../src/trust/tuf-target.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { unpack } from '../../src/world/trust/archive.ts'
import { refreshFromTuf, whyNotTufRoot } from '../../src/world/trust/tuf.ts'
import { overlapping } from '../differential/der.ts'
import { trustOf } from '../sigstore/demands.ts'
import type { Answer, Reader } from './reader.ts'
import { fuzz, HOSTILE_BYTES, of, text } from './reader.ts'

const BOUNDS = { bytes: 4 * HOSTILE_BYTES, depth: 64, values: 20_000 }
const sigstore = await Sigstore.create({ now: Date.now() })
const trust = trustOf(sigstore)
const tuf = new TufRepository({ now: Date.now(), targets: trustedRootTarget(sigstore) })
const older = new TufRepository({ now: Date.now(), targets: legacyTargets(sigstore) })
const leaf = sigstore.authorities[0]?.part.issue(
  {},
  Date.now(),
  sigstore.certificateLogs.map(({ part }) => part),
  theLog(),
  new Set(),
)
const chain = sigstore.caPem()

function theLog() {
  const [first] = sigstore.certificateLogs
  if (!first) throw new Error('a Sigstore without a certificate log')
  return first.part
}

function json(bytes: Uint8Array, read: (value: object) => Answer): Answer {
  const parsed = readJson(bytes, BOUNDS)
  if (!parsed.ok) return { why: parsed.detail }
  return typeof parsed.value === 'object' && parsed.value !== null ? read(parsed.value) : { why: 'no object' }
}

/** A certificate as it comes with a signature: its facts, its names, its path and its timestamps. */
function judged(bytes: Uint8Array): Answer {
  const read = readCertificates(Buffer.from(bytes))
  const [certificate] = read.ok ? read.value : []
  if (!certificate) return of(read)
  namesOf(certificate)
  const facts = factsOf(certificate)
  if (!facts.ok) return of(facts)
  readSubjectPublicKeyInfo(certificate.publicKey)
  const path = findPath(certificate, read.ok ? read.value.slice(1) : [], trust.certificateAuthorities, 'code-signing', facts.value.from)
  const why = path.ok ? whySctsNotBelieved(path.value, trust.certificateLogs) : undefined
  return why ? { why: sentenceOf(why) } : of(path)
}

/** The tar itself: changes of a gzip'd one hardly ever reach it. */
const tar = gunzipSync(
  packed([
    ['repository/1.root.json', Buffer.from('{}')],
    [`targets/${'a'.repeat(120)}/b`, Buffer.alloc(600, 'x')],
  ]),
)

async function unpacked(archive: Uint8Array): Promise<Answer> {
  const got = await unpack(archive)
  return got.ok ? 'read' : { why: got.detail }
}

/** A repository in which one file of metadata is what it is given. */
async function refreshed(repository: TufRepository, name: string, bytes: Uint8Array): Promise<Answer> {
  const files = new Map(repository.files)
  files.set(name, Buffer.from(bytes))
  const from = { root: repository.root(), targets: 'targets', target: 'trusted_root.json' }
  const mirror = { from: 'repository', archive: packed(files) } as const
  const got = await refreshFromTuf('ours', from, mirror, undefined, AbortSignal.timeout(10_000))
  return got.ok ? 'read' : { why: got.why }
}

const trustRoots = [
  { sigstoreKeys: sigstore.sigstoreKeys() },
  { trustedRoot: sigstore.trustedRoot() },
  { trustedRoot: JSON.stringify(sigstore.trustedRoot()) },
  { remote: { root: tuf.root().toString('base64'), mirror: 'https://tuf.example', targets: 'targets' } },
  { repository: { root: tuf.root().toString('base64'), mirrorFS: tuf.packed().toString('base64') } },
].map((spec) => JSON.stringify({ apiVersion: 'policy.sigstore.dev/v1alpha1', kind: 'TrustRoot', metadata: { name: 'ours' }, spec }))

const readers: readonly Reader[] = [
  {
    name: 'readTrustedRoot',
    samples: [JSON.stringify(sigstore.trustedRoot())],
    read: (bytes) => of(readTrustedRoot(bytes, 'ours')),
  },
  {
    name: 'readSigstoreKeys',
    samples: [JSON.stringify(sigstore.sigstoreKeys())],
    read: (bytes) => json(bytes, (spec) => of(readSigstoreKeys(spec, 'ours'))),
  },
  { name: 'readTrustRoot', samples: trustRoots, read: (bytes) => json(bytes, (object) => of(readTrustRoot(object, 'ours'))) },
  {
    name: 'readCertificates, PEM',
    samples: [chain, leaf?.certificate.pem ?? ''],
    read: (bytes) => of(readCertificates(text(bytes))),
  },
  { name: 'readAnchor', samples: [chain], read: (bytes) => of(readAnchor(text(bytes))) },
  { name: 'a certificate beside a signature', samples: [leaf?.certificate.der ?? ''], hostile: [overlapping(40)], read: judged },
  {
    name: 'a target of TUF, certificates',
    samples: [chain],
    read: (bytes) => of(materialOf([{ file: 'fulcio.crt.pem', usage: 'Fulcio', uri: '', bytes }], 'ours')),
  },
  {
    name: 'a target of TUF, a key',
    samples: [theLog().key.pem],
    read: (bytes) =>
      of(
        materialOf(
          [
            { file: 'fulcio.crt.pem', usage: 'Fulcio', uri: '', bytes: Buffer.from(chain) },
            { file: 'ctfe.pub', usage: 'CTFE', uri: '', bytes },
          ],
          'ours',
        ),
      ),
  },
  {
    name: 'usageOf',
    samples: ['{"sigstore":{"usage":"Fulcio","uri":"https://fulcio.example","status":"Active"}}'],
    read: (bytes) =>
      json(bytes, (custom) => (usageOf(custom as Parameters<typeof usageOf>[0]) ? 'read' : { why: 'nothing of it is trusted' })),
  },
  {
    name: 'whyNotTufRoot',
    samples: [tuf.root()],
    read: (bytes) => {
      const why = whyNotTufRoot(bytes)
      return why === undefined ? 'read' : { why }
    },
  },
  // A folder is made and removed for each.
  ...(['timestamp.json', '1.snapshot.json', '1.targets.json'] as const).map((name): Reader => ({
    name: `refreshFromTuf, ${name}`,
    samples: [tuf.files.get(name) ?? ''],
    runs: 100,
    read: (bytes) => refreshed(tuf, name, bytes),
  })),
  {
    name: 'refreshFromTuf, targets of the older kind',
    samples: [older.files.get('1.targets.json') ?? ''],
    runs: 100,
    read: (bytes) => refreshed(older, '1.targets.json', bytes),
  },
  {
    name: 'unpack',
    samples: [tuf.packed()],
    // Two bombs: one of zeros, which a tar ends with, and one of headers of empty files.
    hostile: [gzipSync(Buffer.alloc(256 * 1024 * 1024)), gzipSync(Buffer.alloc(64 * 1024 * 1024, tar.subarray(0, 512)))],
    read: unpacked,
  },
  { name: 'unpack, of a tar', samples: [tar], hostileBytes: 16 * 1024 * 1024, read: (bytes) => unpacked(gzipSync(bytes, { level: 1 })) },
]

fuzz(readers)
