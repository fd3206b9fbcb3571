import 'reflect-metadata'
import { isIP } from 'node:net'
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  BasicConstraintsExtension,
} from '@peculiar/x509'

/** A CA of its own, and a server's and a client's certificate of it; all PEM. */
export type Certificates = {
  readonly ca: string
  readonly server: { readonly cert: string; readonly key: string }
  readonly client: { readonly cert: string; readonly key: string }
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const LIFE = 24 * 60 * 60 * 1000 // ms before and after now

/** Mints certificates for a server of these names and addresses. */
export async function mintCertificates(names: readonly string[], commonName = 'client'): Promise<Certificates> {
  const validity = { notBefore: new Date(Date.now() - LIFE), notAfter: new Date(Date.now() + LIFE), signingAlgorithm: ALGORITHM }
  const authority = await newKeys()
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: 'CN=Cluster CA',
    keys: authority,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  })
  const mint = async (subject: string, usage: ExtendedKeyUsage, alternatives: readonly string[]) => {
    const keys = await newKeys()
    const subjects = alternatives.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }) as const)
    const extensions = [
      new ExtendedKeyUsageExtension([usage]),
      ...(subjects.length > 0 ? [new SubjectAlternativeNameExtension(subjects)] : []),
    ]
    const cert = await X509CertificateGenerator.create({
      ...validity,
      subject,
      issuer: ca.subject,
      publicKey: keys.publicKey,
      signingKey: authority.privateKey,
      extensions,
    })
    const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
    return {
      cert: cert.toString('pem'),
      key: `-----BEGIN PRIVATE KEY-----\n${key.replaceAll(/(.{64})/g, '$1\n')}\n-----END PRIVATE KEY-----\n`,
    }
  }
  return {
    ca: ca.toString('pem'),
    server: await mint('CN=kube-apiserver', ExtendedKeyUsage.serverAuth, names),
    client: await mint(`CN=${commonName}`, ExtendedKeyUsage.clientAuth, []),
  }
}

function newKeys() {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

/** PEM of a certificate signed by itself, valid `from` … `to` (ms since 1970). */
export async function certificateOf(from: number, to: number): Promise<string> {
  await import('reflect-metadata')
  const { X509CertificateGenerator } = await import('@peculiar/x509')
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
  const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' }
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=signer',
    notBefore: new Date(from),
    notAfter: new Date(to),
    signingAlgorithm,
    keys,
  })
  return made.toString('pem')
}
