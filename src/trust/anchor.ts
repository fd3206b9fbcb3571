import type { X509Certificate } from '@sigstore/core'
import type { Read } from '../verdict/read.ts'
import { sentenceOf } from '../verdict/reason.ts'
import { factsOf, readCertificates } from './certificate.ts'
import { firstPemBlock } from './key.ts'
import type { CertificateAuthority } from './material.ts'

const MAX_KEY_CHARACTERS = 64 * 1024 // that are looked at for a key
const KEYS: readonly string[] = ['PUBLIC KEY', 'RSA PUBLIC KEY']

/**
 * Reads what a policy gives as `keyless.ca-cert`: a certificate chain as PEM, whose self-signed certificates are the anchors; without
 * one, the last certificate is. All others are intermediates. It has no period of its own. Answers `ca-cert-is-key` for a public key, as
 * policies had to give for the controller that this one replaces and which never passed (Q4), else `ca-cert-unusable`; never throws.
 */
export function readAnchor(pem: string): Read<CertificateAuthority> {
  const block = firstPemBlock(pem.slice(0, MAX_KEY_CHARACTERS))
  if (block && KEYS.includes(block.label)) return { ok: false, reason: { code: 'ca-cert-is-key' } }
  const read = readCertificates(pem)
  if (!read.ok) return unusable(sentenceOf(read.reason))
  const roots = read.value.filter(isSelfIssued)
  const anchors = roots.length > 0 ? roots : read.value.slice(-1)
  if (!anchors.every(isAuthority)) return unusable('its anchor is the certificate of somebody who signs, not of a certificate authority')
  return {
    ok: true,
    value: {
      uri: 'ca-cert',
      roots: anchors,
      intermediates: read.value.filter((certificate) => !anchors.includes(certificate)),
      valid: { from: 0, until: undefined },
    },
  }
}

function unusable(detail: string): Read<never> {
  return { ok: false, reason: { code: 'ca-cert-unusable', detail } }
}

function isSelfIssued(certificate: X509Certificate): boolean {
  const facts = factsOf(certificate)
  return facts.ok && facts.value.subject.equals(facts.value.issuer)
}

function isAuthority(certificate: X509Certificate): boolean {
  const facts = factsOf(certificate)
  return facts.ok && facts.value.authority !== undefined
}
