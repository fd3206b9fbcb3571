import type { KeyObject } from 'node:crypto'
import { createHash, createPublicKey } from 'node:crypto'
import { bundleFromJSON } from '@sigstore/bundle'
import { TrustedRoot } from '@sigstore/protobuf-specs'
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify'
import type { TrustedRootJson } from '../../fakes/sigstore/trusted-root.ts'
import type { VerifiedArtifact } from '../../src/sigstore/artifact.ts'
import { verifyArtifactBundle } from '../../src/sigstore/artifact.ts'
import { compileIdentity } from '../../src/sigstore/identity.ts'
import type { Terms } from '../../src/sigstore/terms.ts'
import { isSoonRead } from '../../src/trust/der.ts'
import { readPublicKey } from '../../src/trust/key.ts'
import { readTrustedRoot } from '../../src/trust/trusted-root.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

/** What both verifiers are asked: the same artifact, trusted root and key, and anybody's certificate, so that another signer would be seen. */
export type Asked = {
  readonly artifact: Uint8Array
  readonly root: TrustedRootJson
  /** PEM of the key that must have signed; undefined: a certificate. */
  readonly key: string | undefined
  /** Now, in ms since 1970. */
  readonly at: number
}

/** What is said of a bundle: `accepted`, or why it is refused. */
export type Said = string
export const ACCEPTED = 'accepted'

export type Judges = {
  /** Sealgate, and what it believes. */
  here(bundle: Uint8Array): { readonly said: Said; readonly found: VerifiedArtifact | undefined }
  /** `@sigstore/verify`, and whom it takes for the signer. */
  there(bundle: Uint8Array): { readonly said: Said; readonly subject: string | undefined }
}

/** Both verifiers, ready to be asked about many bundles. */
export function judgesOf({ artifact, root, key, at }: Asked): Judges {
  const digest = createHash('sha256').update(artifact).digest('hex')
  const terms = termsOf(root, key)
  const isByKey = key !== undefined
  const pinned: KeyObject | undefined = isByKey ? createPublicKey(key) : undefined
  const trust = toTrustMaterial(TrustedRoot.fromJSON(root), pinned && (() => ({ publicKey: pinned, validFor: () => true })))
  const verifier = new Verifier(trust, { tlogThreshold: 1, ctlogThreshold: isByKey ? 0 : 1, timestampThreshold: isByKey ? 0 : 1 })
  return {
    here(bundle) {
      const answer = verifyArtifactBundle(bundle, { digest, bytes: artifact }, terms, at)
      if (answer.ok) return { said: ACCEPTED, found: answer.value }
      const sentence = sentenceOf(answer.reason)
      const detail = 'detail' in answer.reason && !sentence.includes(answer.reason.detail) ? `: ${answer.reason.detail}` : ''
      return { said: `${answer.reason.code}: ${sentence}${detail}`, found: undefined }
    },
    there(bundle) {
      // A few hundred bytes may take its parser for ever: see src/trust/der.ts.
      if (!dersIn(bundle).every(isSoonRead)) return { said: 'not asked: its parser would not come back', subject: undefined }
      try {
        const entity = toSignedEntity(bundleFromJSON(JSON.parse(Buffer.from(bundle).toString())), Buffer.from(artifact))
        return { said: ACCEPTED, subject: verifier.verify(entity).identity?.subjectAlternativeName }
      } catch (error) {
        const { code, message, constructor } = error as Error & { code?: string }
        return { said: `${code ?? constructor.name}: ${message}`, subject: undefined }
      }
    },
  }
}

function termsOf(root: TrustedRootJson, key: string | undefined): Terms {
  const read = readTrustedRoot(JSON.stringify(root), 'a private Sigstore')
  if (!read.ok) throw new Error(sentenceOf(read.reason))
  const { certificateAuthorities: authorities, certificateLogs, transparencyLogs: keys, timestampAuthorities } = read.value
  const besides = {
    log: { keys, search: undefined, authorities: timestampAuthorities },
    time: { authorities: timestampAuthorities, isRequired: false },
  }
  if (key !== undefined) {
    const pinned = readPublicKey(key, '')
    if (!pinned.ok) throw new Error(sentenceOf(pinned.reason))
    return { signer: { by: 'key', key: pinned.value }, ...besides }
  }
  const anybody = compileIdentity({ subjectRegExp: '.+', issuerRegExp: '.+' }, { subjectGlobs: false })
  if (!anybody.ok) throw new Error(sentenceOf(anybody.reason))
  return { signer: { by: 'certificate', authorities, identities: [anybody.value.identity], certificateLogs }, ...besides }
}

/** What a bundle has in base64 that may be DER: certificates and timestamps. */
function dersIn(bundle: Uint8Array): Buffer[] {
  const texts = Buffer.from(bundle)
    .toString('latin1')
    .matchAll(/"([A-Za-z0-9+/_=-]{40,})"/g)
  return [...texts].map(([, base64 = '']) => Buffer.from(base64, 'base64')).filter((bytes) => bytes[0] === 0x30)
}
