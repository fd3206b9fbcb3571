import { createPublicKey } from 'node:crypto'
import { makeSigner } from '../signer.ts'
import type { Keyless } from './authority.ts'
import type { Answer, Request } from './loopback.ts'
import { Loopback } from './loopback.ts'
import type { Sigstore } from './sigstore.ts'

/** Fulcio over HTTP, both of its APIs: certificates of a Sigstore's CA, for one identity, whatever the token says. It asks for no proof of possession. */
export class FakeFulcio {
  readonly #sigstore: Sigstore
  readonly #identity: Keyless
  #server: Loopback | undefined

  private constructor(sigstore: Sigstore, identity: Keyless) {
    this.#sigstore = sigstore
    this.#identity = identity
  }

  static async start(sigstore: Sigstore, identity: Keyless = {}): Promise<FakeFulcio> {
    const fulcio = new FakeFulcio(sigstore, identity)
    fulcio.#server = await Loopback.start((request) => fulcio.#answer(request))
    return fulcio
  }

  get url(): string {
    if (!this.#server) throw new Error('not started')
    return this.#server.url
  }

  async close(): Promise<void> {
    await this.#server?.close()
  }

  #answer({ method, path, body }: Request): Answer {
    const isOld = path === '/api/v1/signingCert'
    if (method !== 'POST' || !(isOld || path === '/api/v2/signingCert')) return { status: 404, body: '{}' }
    const asked = JSON.parse(body.toString()) as { publicKey?: { content: string }; publicKeyRequest?: { publicKey: { content: string } } }
    const content = asked.publicKey?.content ?? asked.publicKeyRequest?.publicKey.content
    if (content === undefined) return { status: 400, body: '{"code":3,"message":"no public key"}' }
    const certificates = this.#issue(content)
    if (isOld) return { status: 201, type: 'application/pem-certificate-chain', body: certificates.join('') }
    return { status: 200, body: JSON.stringify({ signedCertificateEmbeddedSct: { chain: { certificates } } }) }
  }

  /** PEM of the certificate and of those above it; the key is PEM, the older API has it in base64. */
  #issue(content: string): readonly string[] {
    const publicKey = createPublicKey(content.includes('-----') ? content : Buffer.from(content, 'base64').toString())
    const { authorities, certificateLogs } = this.#sigstore
    const [authority, log] = [authorities.at(-1)?.part, certificateLogs.at(-1)?.part]
    if (!authority || !log) throw new Error('nothing is in service')
    // Nothing here signs with the key, so any private one stands beside it.
    const key = { ...makeSigner(), publicKey, pem: publicKey.export({ format: 'pem', type: 'spki' }) }
    const { certificate, chain } = authority.issue({ ...this.#identity, key }, Date.now(), [log], log, new Set())
    return [certificate, ...chain].map(({ pem }) => pem)
  }
}
