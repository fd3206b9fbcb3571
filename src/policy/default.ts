import type { Filling } from '../image/json.ts'
import { filledIn } from '../image/json.ts'
import type { PolicySpec } from './read.ts'

const FULCIO = 'https://fulcio.sigstore.dev' // the public instance

/** What a policy leaves out and means all the same (specification 2.1). `hashAlgorithm` stays open: it may be what a bundle's key implies. */
export function missingInPolicy(spec: PolicySpec): readonly Filling[] {
  const fillings: Filling[] = (spec.authorities ?? []).flatMap(({ name, key, keyless, static: fixed }, i) => {
    const unnamed = name === undefined || name === ''
    const hasNoCertificateAuthority = keyless && !key && !fixed && keyless.url === undefined && !keyless['ca-cert']
    return [
      ...(unnamed ? [{ at: ['authorities', i, 'name'], value: `authority-${i}` }] : []),
      ...(hasNoCertificateAuthority ? [{ at: ['authorities', i, 'keyless', 'url'], value: FULCIO }] : []),
    ]
  })
  return spec.mode === undefined || spec.mode === '' ? [...fillings, { at: ['mode'], value: 'enforce' }] : fillings
}

/** The policy with it. */
export function defaulted(spec: PolicySpec): PolicySpec {
  return filledIn(spec, missingInPolicy(spec))
}
