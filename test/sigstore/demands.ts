import assert from 'node:assert/strict'
import type { OldSignature } from '../../fakes/signer.ts'
import { bundleEvidence, oldEvidence } from '../../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../../fakes/sigstore/authority.ts'
import type { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import type { SignatureEvidence } from '../../src/sigstore/evidence.ts'
import type { IdentitySpec } from '../../src/sigstore/identity.ts'
import { compileIdentity } from '../../src/sigstore/identity.ts'
import type { Identity, Terms } from '../../src/sigstore/terms.ts'
import type { PublicKey } from '../../src/trust/key.ts'
import { readPublicKey } from '../../src/trust/key.ts'
import type { TrustMaterial } from '../../src/trust/material.ts'
import { readTrustedRoot } from '../../src/trust/trusted-root.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

export type Demands = {
  readonly log?: 'ignored' | 'offline' | 'search'
  readonly time?: 'ignored' | 'required' | 'optional'
  readonly identities?: readonly IdentitySpec[]
  readonly scts?: 'insecure-ignored'
  /** Instead of what the Sigstore trusts. */
  readonly trust?: TrustMaterial
}

/** What a Sigstore's trusted root says, read as it is in production. */
export function trustOf(sigstore: Sigstore): TrustMaterial {
  const read = readTrustedRoot(JSON.stringify(sigstore.trustedRoot()), 'a private Sigstore')
  assert.ok(read.ok, read.ok ? '' : sentenceOf(read.reason))
  return read.value
}

export const DEFAULT_IDENTITY: IdentitySpec = { subject: DEFAULT_SUBJECT, issuer: DEFAULT_ISSUER }

/** The terms of a keyless authority: the default identity, a log entry, no timestamps asked for. */
export function keyless(sigstore: Sigstore, demands: Demands = {}): Terms {
  const trust = demands.trust ?? trustOf(sigstore)
  return {
    signer: {
      by: 'certificate',
      authorities: trust.certificateAuthorities,
      identities: (demands.identities ?? [DEFAULT_IDENTITY]).map(compiled),
      certificateLogs: demands.scts ?? trust.certificateLogs,
    },
    ...besides(trust, demands),
  }
}

export function byKey(sigstore: Sigstore, key: PublicKey, demands: Demands = {}): Terms {
  return { signer: { by: 'key', key }, ...besides(demands.trust ?? trustOf(sigstore), demands) }
}

function besides(trust: TrustMaterial, { log = 'offline', time = 'ignored' }: Demands): Pick<Terms, 'log' | 'time'> {
  const search = log === 'search' ? 'https://rekor.sigstore.example' : undefined
  return {
    log: log === 'ignored' ? log : { keys: trust.transparencyLogs, search, authorities: trust.timestampAuthorities },
    time: time === 'ignored' ? time : { authorities: trust.timestampAuthorities, isRequired: time === 'required' },
  }
}

function compiled(spec: IdentitySpec): Identity {
  const read = compileIdentity(spec, { subjectGlobs: false })
  assert.ok(read.ok)
  return read.value.identity
}

export function keyOf(pem: string): PublicKey {
  const read = readPublicKey(pem, '')
  assert.ok(read.ok)
  return read.value
}

/** What a fake made, as if it had been fetched. */
export function fetched(made: OldSignature | { readonly bundle: object }): SignatureEvidence {
  return 'bundle' in made ? bundleEvidence(made.bundle) : oldEvidence(made)
}
