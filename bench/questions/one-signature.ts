import { createHash } from 'node:crypto'
import { bundleEvidence, makeSigner, oldEvidence } from '../../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../../fakes/sigstore/authority.ts'
import type { ImageOptions } from '../../fakes/sigstore/sigstore.ts'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import type { SignatureEvidence } from '../../src/sigstore/evidence.ts'
import { compileIdentity } from '../../src/sigstore/identity.ts'
import { termsOf, verifySignature } from '../../src/sigstore/signature.ts'
import type { Terms } from '../../src/sigstore/terms.ts'
import { readPublicKey } from '../../src/trust/key.ts'
import type { TrustMaterial } from '../../src/trust/material.ts'
import { readTrustedRoot } from '../../src/trust/trusted-root.ts'
import type { Question } from '../question.ts'

const SIGNATURES = 300 // that are measured, each by a certificate of its own, as in life
const WARMING = 300 // that are verified before, until the engine has compiled what it will
const MOST = 1.5 // ms of CPU for certificate, SCT, log entry and identity

const digest = `sha256:${createHash('sha256').update('an image').digest('hex')}` as const

export const oneSignature: Question = {
  name: 'one-signature',
  asks: 'what does it cost to verify one signature',
  async run(bench) {
    const sigstore = await Sigstore.create()
    const signer = makeSigner()
    const terms = keylessTerms(sigstore)
    const forms: readonly (readonly [
      string,
      (options: Partial<ImageOptions>) => SignatureEvidence,
      Partial<ImageOptions>,
      Terms,
      number?,
    ])[] = [
      ['keyless, .sig', annotations, {}, terms, MOST],
      ['keyless, bundle with Rekor v1: promise and proof', bundle, {}, terms, MOST],
      ['keyless, bundle with Rekor v2: proof and timestamp', bundle, { log: 'v2', timestamp: true }, terms],
      ['by key, .sig', annotations, { signer, log: 'none' }, byKey(signer.pem)],
    ]
    return forms.map(([what, make, options, demanded, most]) => {
      bench.progress(what)
      const made = Array.from({ length: WARMING + SIGNATURES }, () => make(options))
      verifyAll(made.slice(0, WARMING), demanded)
      const value = verifyAll(made.slice(WARMING), demanded)
      return { what: `${what}: CPU of one`, value, unit: 'ms', ...(most === undefined ? {} : { goal: { atMost: most } }) }
    })

    function annotations(options: Partial<ImageOptions>): SignatureEvidence {
      return oldEvidence(sigstore.signImage({ digest, form: 'annotations', ...options }))
    }
    function bundle(options: Partial<ImageOptions>): SignatureEvidence {
      return bundleEvidence(sigstore.signImage({ digest, form: 'bundle', ...options }).bundle)
    }
  },
}

/** ms of CPU that each takes: waiting for a core on a busy machine does not count. */
function verifyAll(evidence: readonly SignatureEvidence[], terms: Terms): number {
  const begun = process.cpuUsage()
  for (const one of evidence) if (!verifySignature(one, digest, terms, Date.now()).ok) throw new Error('a good signature was refused')
  const { user, system } = process.cpuUsage(begun)
  return (user + system) / 1000 / evidence.length
}

function keylessTerms(sigstore: Sigstore): Terms {
  const trust = trustOf(sigstore)
  const compiled = compileIdentity({ subject: DEFAULT_SUBJECT, issuer: DEFAULT_ISSUER }, { subjectGlobs: false })
  if (!compiled.ok) throw new Error('the identity cannot be compiled')
  const { certificateAuthorities: authorities, certificateLogs, transparencyLogs: keys, timestampAuthorities } = trust
  return {
    signer: { by: 'certificate', authorities, identities: [compiled.value.identity], certificateLogs },
    log: { keys, search: undefined, authorities: timestampAuthorities },
    time: 'ignored',
  }
}

function trustOf(sigstore: Sigstore): TrustMaterial {
  const read = readTrustedRoot(JSON.stringify(sigstore.trustedRoot()), 'the benchmark')
  if (!read.ok) throw new Error('the trusted root cannot be read')
  return read.value
}

function byKey(pem: string): Terms {
  const read = readPublicKey(pem, '')
  if (!read.ok) throw new Error('the key cannot be read')
  return termsOf(read.value)
}
