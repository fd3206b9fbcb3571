import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Artifact, VerifiedArtifact } from '../../src/sigstore/artifact.ts'
import { verifyArtifactBundle } from '../../src/sigstore/artifact.ts'
import { MAX_ATTESTATION_BYTES } from '../../src/sigstore/bundle.ts'
import { compileIdentity } from '../../src/sigstore/identity.ts'
import type { SignerTerms, Terms } from '../../src/sigstore/terms.ts'
import { readPublicKey } from '../../src/trust/key.ts'
import type { TrustMaterial } from '../../src/trust/material.ts'
import { publicRoot, stagingRoot } from '../../src/trust/public-root.ts'
import { readTrustedRoot } from '../../src/trust/trusted-root.ts'
import { detailBehind, printable } from '../../src/verdict/explain.ts'
import type { Reason } from '../../src/verdict/reason.ts'
import { hintOf, sentenceOf } from '../../src/verdict/reason.ts'
import { readText } from '../../src/world/cluster/files.ts'
import type { Settings } from './options.ts'

const MAX_HELD_BYTES = 512 * 1024 * 1024 // of an artifact in memory; a larger one is verified by its digest

const VERIFIED = 0
const REFUSED = 1
const NOT_ASKED = 2

/** What is wrong with the question: nothing was verified. */
class Misasked extends Error {}

/**
 * `sealgate verify-bundle`: whether a Sigstore bundle signs an artifact. Options and exit status are those of the protocol by which clients of
 * Sigstore are compared (sigstore-conformance). Asked for are a certificate with its timestamps of certificate transparency, or a key, and an entry
 * of a transparency log, all of one trusted root; of a key none, where the root that is given names no log.
 */
export async function verifyBundle(settings: Settings, files: readonly string[]): Promise<number> {
  try {
    const { bundle: file, at } = settings
    const [named, more] = files
    if (file === undefined) throw new Misasked('needs --bundle FILE')
    if (named === undefined || more !== undefined) throw new Misasked('needs one FILE, or sha256:HEX, that the bundle is about')
    whyContradictory(settings)
    const now = at?.getTime() ?? Date.now()
    const trust = await trustOf(settings)
    const terms = await termsOf(settings, trust)
    const bundle = await bytesOf(file, MAX_ATTESTATION_BYTES)
    const artifact = await artifactOf(named)
    if (trust.until !== undefined && now > trust.until)
      return refuse({ code: 'trust-root-expired', name: trust.name, until: new Date(trust.until).toISOString() }, settings)
    const answer = verifyArtifactBundle(bundle, artifact, terms, now)
    if (answer.ok) return tell(answer.value, settings)
    if (answer.reason.code === 'artifact-bytes-needed' && !named.startsWith('sha256:'))
      throw new Misasked(`${named}: larger than ${MAX_HELD_BYTES / 1024 / 1024} MiB, and the key signs the artifact itself`)
    return refuse(answer.reason, settings)
  } catch (error) {
    if (!(error instanceof Misasked)) throw error
    process.stderr.write(`sealgate verify-bundle: ${printable(error.message)}\n`)
    return NOT_ASKED
  }
}

function whyContradictory({ key, certificateIdentity, certificateOidcIssuer }: Settings): void {
  const isKeyless = certificateIdentity !== undefined || certificateOidcIssuer !== undefined
  if (key !== undefined && isKeyless) throw new Misasked('--key and --certificate-identity exclude each other: one of them signed')
  if (key === undefined && !isKeyless)
    throw new Misasked('who signed? --certificate-identity with --certificate-oidc-issuer, or --key FILE')
  if (isKeyless && certificateIdentity === undefined) throw new Misasked('--certificate-oidc-issuer needs --certificate-identity')
  if (isKeyless && certificateOidcIssuer === undefined) throw new Misasked('--certificate-identity needs --certificate-oidc-issuer')
}

/** A root that is given counts, beside `--staging` too: so the protocol asks. A key may be all that is believed. */
async function trustOf({ trustedRoot, staging, key }: Settings): Promise<TrustMaterial> {
  if (trustedRoot === undefined) return staging ? stagingRoot() : publicRoot()
  const root = readTrustedRoot(await textOf(trustedRoot), trustedRoot, { mayBeEmpty: key !== undefined })
  if (!root.ok) throw new Misasked(sentenceOf(root.reason))
  return root.value
}

async function termsOf(settings: Settings, trust: TrustMaterial): Promise<Terms> {
  const { transparencyLogs: keys, timestampAuthorities: authorities } = trust
  return {
    signer: await signerOf(settings, trust),
    // One that had to be left out is named all the same.
    log:
      settings.key !== undefined && keys.length === 0 && (trust.warnings ?? []).length === 0
        ? 'ignored'
        : { keys, search: undefined, authorities },
    time: authorities.length === 0 ? 'ignored' : { authorities, isRequired: false },
  }
}

async function signerOf({ key, certificateIdentity, certificateOidcIssuer }: Settings, trust: TrustMaterial): Promise<SignerTerms> {
  if (key !== undefined) {
    const read = readPublicKey(await textOf(key), '')
    if (!read.ok) throw new Misasked(`${key}: ${sentenceOf(read.reason)}`)
    return { by: 'key', key: read.value }
  }
  const compiled = compileIdentity({ subject: certificateIdentity, issuer: certificateOidcIssuer }, { subjectGlobs: false })
  if (!compiled.ok) throw new Misasked(sentenceOf(compiled.reason))
  const { certificateAuthorities: authorities, certificateLogs } = trust
  return { by: 'certificate', authorities, identities: [compiled.value.identity], certificateLogs }
}

// — what is said

function tell(artifact: VerifiedArtifact, { json }: Settings): number {
  const { digest, signer, statement } = artifact
  const times = artifact.times.map((time) => new Date(time).toISOString())
  const said = { digest: `sha256:${digest}`, signer, times, ...(statement && { predicateType: statement.predicateType }) }
  if (json) {
    process.stdout.write(`${JSON.stringify({ verified: true, ...said })}\n`)
    return VERIFIED
  }
  const by = signer.by === 'key' ? `the key ${signer.keyId}` : `${signer.subjects.join(', ')}, says ${signer.issuer}`
  const lines = [`verified  ${said.digest}`, `signed by ${by}`, ...times.map((time) => `signed at ${time} at the latest`)]
  if (statement) lines.push(`statement ${statement.predicateType}`)
  process.stdout.write(`${lines.map(printable).join('\n')}\n`)
  return VERIFIED
}

function refuse(reason: Reason, { json }: Settings): number {
  const sentence = sentenceOf(reason)
  const hint = hintOf(reason)
  if (json) process.stdout.write(`${JSON.stringify({ verified: false, reason: { ...reason, sentence, hint } })}\n`)
  process.stderr.write(`${printable(`refused: ${sentence}${detailBehind(reason)}`)}\n→ ${hint}\n`)
  return REFUSED
}

// — files

/** A digest, unless a file has that very name: the protocol says so. */
async function artifactOf(named: string): Promise<Artifact> {
  const [, digest] = /^sha256:([0-9a-f]{64})$/i.exec(named) ?? []
  if (digest !== undefined && (await isAbsent(named))) return { digest: digest.toLowerCase() }
  const hash = createHash('sha256')
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of chunksOf(named)) {
    hash.update(chunk)
    size += chunk.length
    if (size <= MAX_HELD_BYTES) chunks.push(chunk)
    else chunks.length = 0
  }
  return { digest: hash.digest('hex'), bytes: size <= MAX_HELD_BYTES ? Buffer.concat(chunks) : undefined }
}

async function bytesOf(file: string, most: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of chunksOf(file)) {
    size += chunk.length
    if (size > most) throw new Misasked(`${file}: larger than ${most / 1024 / 1024} MiB`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function* chunksOf(file: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(file) as AsyncIterable<Buffer>
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new Misasked(`${file}: ${code === 'ENOENT' ? 'no such file' : message}`)
  }
}

async function textOf(file: string): Promise<string> {
  const read = await readText(file)
  if (read.state === 'found') return read.text
  throw new Misasked(`${file}: ${read.state === 'absent' ? 'no such file' : read.problem}`)
}

async function isAbsent(file: string): Promise<boolean> {
  return stat(file).then(
    () => false,
    () => true,
  )
}
