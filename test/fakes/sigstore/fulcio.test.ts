import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, test } from 'node:test'
import { makeSigner } from '../../../fakes/signer.ts'
import { DEFAULT_SUBJECT } from '../../../fakes/sigstore/authority.ts'
import { FakeFulcio } from '../../../fakes/sigstore/fulcio.ts'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'

const sigstore = await Sigstore.create({ now: Date.now() })
const [ours, mine] = [await FakeFulcio.start(sigstore), await FakeFulcio.start(sigstore, { subject: 'me@example.com' })]
after(() => Promise.all([ours.close(), mine.close()]))
const { pem, publicKey } = makeSigner()

function ask(fulcio: FakeFulcio, path: string, body: object): Promise<Response> {
  return fetch(`${fulcio.url}${path}`, { method: 'POST', body: JSON.stringify(body) })
}

/** The certificate is for the key that was sent, and leads to the CA. */
function check(chain: readonly string[], subject: string): void {
  const [leaf, intermediate, root] = chain.map((one) => new X509Certificate(one))
  assert.ok(leaf && intermediate && root)
  assert.deepEqual(leaf.publicKey.export({ format: 'jwk' }), publicKey.export({ format: 'jwk' }))
  assert.ok(leaf.subjectAltName?.includes(subject))
  assert.ok(leaf.verify(intermediate.publicKey) && intermediate.verify(root.publicKey))
  assert.ok(Date.parse(leaf.validTo) > Date.now())
}

test('the API of version 2 answers with a chain in JSON', async () => {
  const answer = await ask(ours, '/api/v2/signingCert', { publicKeyRequest: { publicKey: { algorithm: 'ECDSA', content: pem } } })
  const { signedCertificateEmbeddedSct: embedded } = (await answer.json()) as {
    signedCertificateEmbeddedSct: { chain: { certificates: string[] } }
  }
  assert.equal(answer.status, 200)
  check(embedded.chain.certificates, DEFAULT_SUBJECT)
})

test('the API of version 1 answers with PEM, and the identity is the one that it was started with', async () => {
  const answer = await ask(mine, '/api/v1/signingCert', { publicKey: { content: Buffer.from(pem).toString('base64') } })
  assert.equal(answer.status, 201)
  const certificates = (await answer.text()).match(/-----BEGIN[^]*?-----END CERTIFICATE-----/g) ?? []
  check(certificates, 'me@example.com')
})

test('nothing else is answered', async () => {
  assert.equal((await ask(ours, '/api/v2/configuration', {})).status, 404)
  assert.equal((await ask(ours, '/api/v2/signingCert', {})).status, 400)
})
