import { X509Certificate } from 'node:crypto'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { getCACertificates } from 'node:tls'

// Where distributions keep them; Go's crypto/x509 root_linux.go looks at the same places in the same order.
const FILES = [
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Alpine
  '/etc/pki/tls/certs/ca-bundle.crt', // Fedora, RHEL 6
  '/etc/ssl/ca-bundle.pem', // openSUSE
  '/etc/pki/tls/cacert.pem', // OpenELEC
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', // CentOS, RHEL 7
  '/etc/ssl/cert.pem', // Alpine
]
const FOLDERS = ['/etc/ssl/certs', '/etc/pki/tls/certs']

/**
 * The certificates (PEM, one each) that this system trusts for TLS servers, as Go finds them: the first readable file, or the one that
 * `SSL_CERT_FILE` names, and every file in the folders, or in those that `SSL_CERT_DIR` names. Node itself ignores the one and stumbles
 * over the other. A system with none at all (a container without them), and macOS, give what Node brings.
 */
export function systemRoots(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const file = env['SSL_CERT_FILE']
  const folders = env['SSL_CERT_DIR']
  if (!file && !folders && process.platform !== 'linux') return getCACertificates('system')
  const found = new Set<string>()
  for (const path of file ? [file] : FILES) {
    const text = readable(path)
    if (text === undefined) continue
    addCertificates(text, found)
    break
  }
  for (const folder of folders ? folders.split(':') : FOLDERS) {
    for (const path of filesIn(folder)) addCertificates(readable(path) ?? '', found)
  }
  // What an operator named is final, even if it is empty: falling back would trust more than they said.
  return found.size > 0 || file || folders ? [...found] : getCACertificates('bundled')
}

/** The certificates of a PEM text, one string each. */
export function certificatesIn(pem: string): readonly string[] {
  const found = new Set<string>()
  addCertificates(pem, found)
  return [...found]
}

/** Whether a PEM text is one certificate that can be read. */
export function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

function addCertificates(pem: string, into: Set<string>): void {
  for (const [certificate] of pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)) into.add(certificate)
}

function readable(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory() && !(entry.isSymbolicLink() && pointsBeside(join(folder, entry.name))))
      .map((entry) => join(folder, entry.name))
  } catch {
    return []
  }
}

// OpenSSL's hash names (`4042bcee.0`) are links to files of the same folder: each certificate would be read twice.
function pointsBeside(path: string): boolean {
  try {
    return !readlinkSync(path).includes('/')
  } catch {
    return false
  }
}
