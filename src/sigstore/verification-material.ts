import type { Bundle, TransparencyLogEntry } from '@sigstore/bundle'
import { BUNDLE_V01_MEDIA_TYPE } from '@sigstore/bundle'
import type { Annotations } from '../image/manifest.ts'
import { CERTIFICATE_ANNOTATION, CHAIN_ANNOTATION, LOG_ANNOTATION, TIMESTAMP_ANNOTATION } from './annotations.ts'
import { logEntryOf, readLogBundle } from './log-entry.ts'
import { readTimestampAnnotation } from './timestamp.ts'
import type { Signed } from './verification.ts'
import { readSignerCertificates } from './verification.ts'

/** What lies beside a signature. Nobody believes any of it. */
export type Material = Pick<Signed, 'form' | 'certificates' | 'timestamps' | 'entries'>

/** What the annotations of a signature's layer hold (specification 7.2). An empty annotation is none. */
export function annotated(annotations: Annotations): Material {
  const certificate = annotations[CERTIFICATE_ANNOTATION] ?? ''
  const chain = annotations[CHAIN_ANNOTATION] ?? ''
  const timestamp = annotations[TIMESTAMP_ANNOTATION] ?? ''
  const entry = annotations[LOG_ANNOTATION] ?? ''
  return {
    form: 'annotations',
    certificates: certificate === '' ? undefined : readSignerCertificates(certificate, chain === '' ? [] : [chain]),
    timestamps: timestamp === '' ? [] : [readTimestampAnnotation(timestamp)],
    entries: entry === '' ? [] : [readLogBundle(entry)],
  }
}

/** What a bundle holds. */
export function bundled({ mediaType, verificationMaterial }: Bundle): Material {
  const { content, timestampVerificationData: stamps } = verificationMaterial
  const tlogEntries: readonly TransparencyLogEntry[] = verificationMaterial.tlogEntries
  return {
    form: 'bundle',
    certificates: certificatesIn(content),
    timestamps: (stamps?.rfc3161Timestamps ?? []).map((stamp) => ({ ok: true, value: stamp.signedTimestamp })),
    entries: tlogEntries.map((entry) => logEntryOf(entry, mediaType === BUNDLE_V01_MEDIA_TYPE ? 'bundle-v0.1' : 'bundle')),
  }
}

function certificatesIn(content: Bundle['verificationMaterial']['content']): Material['certificates'] {
  switch (content.$case) {
    case 'publicKey':
      return undefined
    case 'certificate':
      return readSignerCertificates(content.certificate.rawBytes, [])
    case 'x509CertificateChain': {
      const [leaf, ...links] = content.x509CertificateChain.certificates.map((certificate) => certificate.rawBytes)
      return leaf && readSignerCertificates(leaf, links)
    }
  }
}
