import type { SignerTerms } from '../sigstore/terms.ts'
import { factsOf } from '../trust/certificate.ts'
import type { CertificateAuthority, LogKey } from '../trust/material.ts'
import type { Authority, Policy } from './policy.ts'

/**
 * When the last of a policy's authorities stops passing what is signed from then on, because the certificates of the authorities that it trusts, or
 * the keys of logs, have ended; in ms since 1970. Undefined: one never does. A public key has no end, and a static answer rests on nothing.
 */
export function endOf({ authorities }: Policy): number | undefined {
  return latest(authorities.filter((a) => a.refuses.length === 0).map(endOfAuthority))
}

function endOfAuthority({ check }: Authority): number | undefined {
  if (check.by !== 'key' && check.by !== 'keyless') return undefined
  return latest(
    check.demands.map(({ bundle: { signer, log } }) =>
      earliest([endOfSigner(signer), log === 'ignored' || !Array.isArray(log.keys) ? undefined : endOfLogs(log.keys as readonly LogKey[])]),
    ),
  )
}

function endOfSigner(signer: SignerTerms): number | undefined {
  if (signer.by === 'key') return undefined
  const logs = Array.isArray(signer.certificateLogs) ? endOfLogs(signer.certificateLogs as readonly LogKey[]) : undefined
  return earliest([latest(signer.authorities.map(endOfCertificates)), logs])
}

/** Of its roots any suffices, within its own time of service. */
function endOfCertificates({ roots, valid }: CertificateAuthority): number | undefined {
  const ends = roots.map((root) => {
    const facts = factsOf(root)
    return facts.ok ? facts.value.until : undefined
  })
  return earliest([latest(ends), valid.until])
}

function endOfLogs(keys: readonly LogKey[]): number | undefined {
  return latest(keys.map(({ valid }) => valid.until))
}

/** Of alternatives: when there is none any more. Without any there is nothing that could end. */
function latest(ends: readonly (number | undefined)[]): number | undefined {
  return ends.length === 0 || ends.includes(undefined) ? undefined : Math.max(...(ends as readonly number[]))
}

/** Of what is needed together: when the first is gone. */
function earliest(ends: readonly (number | undefined)[]): number | undefined {
  const known = ends.filter((end) => end !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
