import { X509Certificate, createPrivateKey, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'

/** A certificate for the webhook and the CA that signed it, all PEM; keys in PKCS #8. */
export type SelfSigned = {
  readonly certificate: string
  readonly key: string
  readonly ca: string
  readonly caKey: string
}

const DAY = 24 * 60 * 60 * 1000 // ms
const CA_LIFE = 5 * 365 * DAY // webhook configurations name the CA by hand: it must not end behind an operator's back
const LIFE = 90 * DAY
const RENEW_BEFORE = 30 * DAY // of the certificate; a year of the CA
const CA_RENEW_BEFORE = 365 * DAY
export const BACKDATED = 5 * 60 * 1000 // ms, for clocks that are behind

/** The names under which an API server, or a person on this machine, reaches the webhook. */
export function servingNames(service: string, namespace: string, address: string): readonly string[] {
  const own = address === '::' || address === '0.0.0.0' || address === '' ? [] : [address]
  const cluster = [service, `${service}.${namespace}`, `${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`]
  return [...new Set([...cluster, 'localhost', '127.0.0.1', '::1', ...own])]
}

/** `before` where it still does, with a new certificate of the same CA where only that ends or lacks a name; else all new. */
export async function renewed(before: SelfSigned | undefined, names: readonly string[], now: Date): Promise<SelfSigned> {
  const authority = before !== undefined && isAuthority(before, now) ? before : await mintAuthority(now)
  if (authority === before && servesAll(before, names, now)) return before
  return mint(authority, names, now)
}

/** When the certificate ends, and the CA's SHA-256 fingerprint as openssl prints it. */
export function describe(certificate: string): { readonly ends: Date; readonly fingerprint: string } {
  const read = new X509Certificate(certificate)
  return { ends: read.validToDate, fingerprint: read.fingerprint256 }
}

/** Why `certificate` and `key` cannot serve together, or undefined. Both PEM; what is wrong is told without any of the key. */
export function whyNotServing(certificate: string, key: string): string | undefined {
  try {
    const leaf = new X509Certificate(certificate)
    return leaf.checkPrivateKey(createPrivateKey(key)) ? undefined : 'the key is not that of the certificate'
  } catch {
    return isReadable(() => new X509Certificate(certificate)) ? 'the key cannot be read' : 'the certificate cannot be read'
  }
}

/** Whether it can sign certificates for a year to come. */
export function isAuthority({ ca, caKey }: Authority, now: Date): boolean {
  if (whyNotServing(ca, caKey) !== undefined) return false
  const read = new X509Certificate(ca)
  return read.ca && read.validToDate.getTime() - now.getTime() > CA_RENEW_BEFORE && read.validFromDate <= now
}

function servesAll({ certificate, key, ca }: SelfSigned, names: readonly string[], now: Date): boolean {
  if (whyNotServing(certificate, key) !== undefined) return false
  const leaf = new X509Certificate(certificate)
  const issuer = new X509Certificate(ca)
  if (!leaf.checkIssued(issuer) || !leaf.verify(issuer.publicKey)) return false
  if (leaf.validToDate.getTime() - now.getTime() <= RENEW_BEFORE || leaf.validFromDate > now) return false
  return names.every((name) => (isIP(name) ? leaf.checkIP(name) : leaf.checkHost(name)) !== undefined)
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** The library costs a tenth of a second to load, so only minting does. */
async function library(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata')
  return import('@peculiar/x509')
}

export type Authority = Pick<SelfSigned, 'ca' | 'caKey'>

/** A new CA. */
export async function mintAuthority(now: Date): Promise<Authority> {
  const x509 = await library()
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=Sealgate webhook CA ${randomBytes(4).toString('hex')}`,
    notBefore: new Date(now.getTime() - BACKDATED),
    notAfter: new Date(now.getTime() + CA_LIFE),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { ca: pem(certificate.toString('pem')), caKey: await keyPem(keys.privateKey) }
}

/** A new certificate for these names, signed by that CA. */
export async function mint({ ca, caKey }: Authority, names: readonly string[], now: Date): Promise<SelfSigned> {
  const x509 = await library()
  const issuer = new x509.X509Certificate(ca)
  const der = createPrivateKey(caKey).export({ type: 'pkcs8', format: 'der' })
  const signingKey = await crypto.subtle.importKey('pkcs8', new Uint8Array(der), ALGORITHM, false, ['sign'])
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: 'CN=Sealgate webhook',
    issuer: issuer.subject,
    notBefore: new Date(now.getTime() - BACKDATED),
    notAfter: new Date(now.getTime() + LIFE),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }))),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return { certificate: pem(certificate.toString('pem')), key: await keyPem(keys.privateKey), ca, caKey }
}

/** 127 random bits: positive, as RFC 5280 wants it. */
function serial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

async function keyPem(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' }).toString()
}

function pem(text: string): string {
  return `${text.trimEnd()}\n`
}

function isReadable(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch {
    return false
  }
}
