import { createHash } from 'node:crypto'

/** A content digest as OCI descriptors write it. Only SHA-256 is believed: `sha256:` and 64 lower-case hex digits. */
export type Digest = `sha256:${string}`

/** The digest of `bytes` (OCI image-spec, «Digests»). */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Whether `text` is a whole, well-formed SHA-256 digest; upper-case hex is not. */
export function isDigest(text: string): text is Digest {
  if (text.length !== 71 || !text.startsWith('sha256:')) return false
  for (let i = 7; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (!((c >= 48 && c <= 57) || (c >= 97 && c <= 102))) return false
  }
  return true
}

/** The 64 hex digits of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}
