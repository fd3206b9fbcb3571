import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { bundleFromJSON } from '@sigstore/bundle'
import { TrustedRoot } from '@sigstore/protobuf-specs'
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../../../fakes/sigstore/authority.ts'
import type { SignOptions, SigstoreBundle } from '../../../fakes/sigstore/sigstore.ts'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'

const digest = `sha256:${'ab'.repeat(32)}`

/** What an independent verifier thinks of a bundle; undefined: it accepts it. */
function objection(bundle: SigstoreBundle, root: object, options: SignOptions = {}, blob?: Buffer): string | undefined {
  const publicKey = options.signer !== undefined && 'pem' in options.signer ? options.signer.pem : undefined
  const keys = () => ({ publicKey: createPublicKey(publicKey ?? ''), validFor: () => true })
  try {
    const logs = options.log === 'none' ? 0 : 1
    const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(root), keys), {
      tlogThreshold: logs,
      ctlogThreshold: publicKey === undefined ? 1 : 0,
      timestampThreshold: publicKey === undefined || options.timestamp === true ? 1 : 0,
    })
    const policy = publicKey === undefined ? { subjectAlternativeName: DEFAULT_SUBJECT, extensions: { issuer: DEFAULT_ISSUER } } : undefined
    verifier.verify(toSignedEntity(bundleFromJSON(bundle), blob), policy)
    return undefined
  } catch (error) {
    return `${(error as { code?: string }).code}: ${(error as Error).message}`
  }
}

for (const version of ['0.1', '0.2', '0.3'] as const)
  for (const timestamp of [false, true])
    for (const log of ['v1', 'v2', 'none'] as const) {
      if ((log !== 'v1' && !timestamp) || (log === 'v2' && version === '0.1')) continue
      test(`a bundle ${version} with log ${log}${timestamp ? ' and a timestamp' : ''} satisfies another verifier`, async () => {
        const sigstore = await Sigstore.create()
        const options = { log, timestamp, version }
        const root = sigstore.trustedRoot()
        assert.equal(objection(sigstore.signImage({ digest, form: 'bundle', ...options }).bundle, root, options), undefined)
        const attested = sigstore.attest({
          digest,
          form: 'bundle',
          predicateType: 'https://slsa.dev/provenance/v1',
          predicate: {},
          ...options,
        })
        assert.equal(objection(attested.bundle, root, options), undefined)
        const bytes = Buffer.from('a file')
        assert.equal(objection(sigstore.signBlob({ bytes, ...options }).bundle, root, options, bytes), undefined)
      })
    }
