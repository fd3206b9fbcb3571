import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { bundleFromJSON } from '@sigstore/bundle'
import { json } from '@sigstore/core'
import { TrustedRoot } from '@sigstore/protobuf-specs'
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify'
import { makeSigner } from '../../../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../../../fakes/sigstore/authority.ts'
import type { Fault, FaultRow } from '../../../fakes/sigstore/fault.ts'
import { faults } from '../../../fakes/sigstore/fault.ts'
import { faulty, showsIn } from '../../../fakes/sigstore/faulty.ts'
import type { SignOptions, SigstoreBundle } from '../../../fakes/sigstore/sigstore.ts'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import { merged } from '../../../fakes/sigstore/trusted-root.ts'

const digest = `sha256:${'ab'.repeat(32)}`

/** What an independent verifier thinks of a bundle; undefined: it accepts it. */
function objection(bundle: SigstoreBundle, root: object, options: SignOptions = {}, blob?: Buffer): string | undefined {
  const publicKey = options.signer !== undefined && 'pem' in options.signer ? options.signer.pem : undefined
  const keys = () => ({ publicKey: createPublicKey(publicKey ?? ''), validFor: () => true })
  try {
    const logs = options.log === 'none' ? 0 : 1
    const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(root), keys), {
      tlogThreshold: logs,
      ctlogThreshold: publicKey === undefined ? 1 : 0,
      timestampThreshold: publicKey === undefined || options.timestamp === true ? 1 : 0,
    })
    const policy = publicKey === undefined ? { subjectAlternativeName: DEFAULT_SUBJECT, extensions: { issuer: DEFAULT_ISSUER } } : undefined
    verifier.verify(toSignedEntity(bundleFromJSON(bundle), blob), policy)
    return undefined
  } catch (error) {
    return `${(error as { code?: string }).code}: ${(error as Error).message}`
  }
}

for (const version of ['0.1', '0.2', '0.3'] as const)
  for (const timestamp of [false, true])
    for (const log of ['v1', 'v2', 'none'] as const) {
      if ((log !== 'v1' && !timestamp) || (log === 'v2' && version === '0.1')) continue
      test(`a bundle ${version} with log ${log}${timestamp ? ' and a timestamp' : ''} satisfies another verifier`, async () => {
        const sigstore = await Sigstore.create()
        const options = { log, timestamp, version }
        const root = sigstore.trustedRoot()
        assert.equal(objection(sigstore.signImage({ digest, form: 'bundle', ...options }).bundle, root, options), undefined)
        const attested = sigstore.attest({
          digest,
          form: 'bundle',
          predicateType: 'https://slsa.dev/provenance/v1',
          predicate: {},
          ...options,
        })
        assert.equal(objection(attested.bundle, root, options), undefined)
        const bytes = Buffer.from('a file')
        assert.equal(objection(sigstore.signBlob({ bytes, ...options }).bundle, root, options, bytes), undefined)
      })
    }

/** Faults that @sigstore/verify 4.1.3 accepts: of certificates some extensions; what a statement says is not its business. */
const UNSEEN = new Set<Fault>([
  'intermediate-for-servers',
  'intermediate-with-unknown-critical-extension',
  'name-not-permitted',
  'timestamp-certificate-usage-not-critical',
  'timestamp-certificate-for-code',
  'timestamp-certificate-for-more',
  'leaf-for-servers',
  'leaf-with-unknown-critical-extension',
  'entry-of-another-certificate',
  'payload-type-other',
  'statement-malformed',
  'statement-type-other',
  'image-other',
  'predicate-type-other',
])

const shown = new Set<string>()

/** What is made without the fault is accepted; shown once for all faults that need the same. */
async function assertSound(row: FaultRow, options: SignOptions): Promise<void> {
  const needs = JSON.stringify([row.needs, options])
  if (shown.has(needs)) return
  const sound = await faulty(row, 'bundle', digest, options, true)
  assert.ok('bundle' in sound.made)
  assert.equal(objection(sound.made.bundle, sound.sigstore.trustedRoot(), sound.options), undefined)
  shown.add(needs)
}

for (const row of faults)
  for (const log of ['v1', 'v2'] as const) {
    if (!showsIn(row, 'bundle') || (log === 'v2' && row.needs.log !== 'any')) continue
    test(`${row.fault}${log === 'v2' ? ' in Rekor v2' : ''}: another verifier ${UNSEEN.has(row.fault) ? 'is content, as it is' : 'objects, and does not'} without it`, async () => {
      const options = log === 'v2' ? { log } : {}
      await assertSound(row, options)
      const wrong = await faulty(row, 'bundle', digest, options)
      assert.ok('bundle' in wrong.made)
      const found = objection(wrong.made.bundle, wrong.sigstore.trustedRoot(), wrong.options)
      assert.equal(found === undefined, UNSEEN.has(row.fault))
    })
  }

const signatureOf = (annotations: Readonly<Record<string, string>>): Buffer =>
  Buffer.from(annotations['dev.cosignproject.cosign/signature'] ?? '', 'base64')

test('annotations hold a signature over the payload, a certificate of the CA, and an entry whose promise the log signed', async () => {
  const sigstore = await Sigstore.create()
  const { payload, annotations } = sigstore.signImage({ digest, form: 'annotations', timestamp: true })
  const certificate = new X509Certificate(annotations['dev.sigstore.cosign/certificate'] ?? '')
  assert.ok(verify('sha256', payload, certificate.publicKey, signatureOf(annotations)))
  const [middle = assert.fail(), root = assert.fail()] = sigstore.authorities[0]?.part.chain ?? []
  assert.ok(certificate.verify(new X509Certificate(middle.der).publicKey))
  assert.ok(new X509Certificate(middle.der).verify(new X509Certificate(root.der).publicKey))
  assert.equal(certificate.subjectAltName, `URI:${DEFAULT_SUBJECT}`)
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.3'])
  const { SignedEntryTimestamp, Payload } = JSON.parse(annotations['dev.sigstore.cosign/bundle'] ?? '') as {
    SignedEntryTimestamp: string
    Payload: { body: string; integratedTime: number; logIndex: number; logID: string }
  }
  const key = createPublicKey(sigstore.logs.v1[0]?.part.key.pem ?? '')
  const { body, integratedTime, logIndex, logID } = Payload
  assert.ok(
    verify(
      'sha256',
      Buffer.from(json.canonicalize({ body, integratedTime, logID, logIndex })),
      key,
      Buffer.from(SignedEntryTimestamp, 'base64'),
    ),
  )
  assert.equal(
    logID,
    createHash('sha256')
      .update(key.export({ format: 'der', type: 'spki' }))
      .digest('hex'),
  )
  const { spec } = JSON.parse(Buffer.from(body, 'base64').toString()) as { spec: { data: { hash: object } } }
  assert.deepEqual(spec.data.hash, { algorithm: 'sha256', value: createHash('sha256').update(payload).digest('hex') })
  assert.ok(Object.keys(annotations).includes('dev.sigstore.cosign/rfc3161timestamp'))
})

test('a signature by key has no certificate, and another verifier accepts its bundle by the key', async () => {
  const sigstore = await Sigstore.create()
  const signer = makeSigner()
  const { annotations } = sigstore.signImage({ digest, form: 'annotations', signer })
  assert.deepEqual(Object.keys(annotations), ['dev.cosignproject.cosign/signature', 'dev.sigstore.cosign/bundle'])
  const options = { signer, timestamp: true }
  const { bundle } = sigstore.signImage({ digest, form: 'bundle', ...options })
  assert.equal(objection(bundle, sigstore.trustedRoot(), options), undefined)
  assert.notEqual(objection(bundle, sigstore.trustedRoot(), { ...options, signer: makeSigner() }), undefined)
})

for (const part of ['authority', 'certificate-log', 'log-v1', 'log-v2', 'timestamp-authority'] as const)
  test(`after ${part} is rotated, what was signed before and after is accepted with the new trusted root, and only that before with the old`, async () => {
    const sigstore = await Sigstore.create()
    const options = { timestamp: true, log: part === 'log-v2' ? 'v2' : 'v1' } as const
    const old = sigstore.trustedRoot()
    const before = sigstore.signImage({ digest, form: 'bundle', ...options }).bundle
    const at = sigstore.now + 60 * 60 * 1000
    sigstore.rotate(part, at)
    const after = sigstore.signImage({ digest, form: 'bundle', ...options, at }).bundle
    for (const bundle of [before, after]) assert.equal(objection(bundle, sigstore.trustedRoot(), options), undefined)
    assert.equal(objection(before, old, options), undefined)
    assert.notEqual(objection(after, old, options), undefined)
  })

test('another Sigstore is believed only where its trusted root is there too', async () => {
  const [ours, theirs] = await Promise.all([Sigstore.create(), Sigstore.create({ name: 'elsewhere.example' })])
  const { bundle } = theirs.signImage({ digest, form: 'bundle' })
  assert.notEqual(objection(bundle, ours.trustedRoot()), undefined)
  assert.equal(objection(bundle, merged(ours.trustedRoot(), theirs.trustedRoot())), undefined)
})

test('several timestamp authorities each stamp', async () => {
  const sigstore = await Sigstore.create({ timestampAuthorities: 2, embedsTimestampCertificates: false })
  const options = { log: 'none', timestamp: true } as const
  const { bundle } = sigstore.signImage({ digest, form: 'bundle', ...options })
  assert.equal(JSON.stringify(bundle).match(/signedTimestamp/g)?.length, 2)
  assert.equal(objection(bundle, sigstore.trustedRoot(), options), undefined)
})

test('names of all types, issuers apart and further claims are written as Fulcio writes them', async () => {
  const sigstore = await Sigstore.create()
  const subject = [
    { type: 'email', value: 'ci@acme.example' },
    { type: 'dns', value: 'ci.acme.example' },
    { type: 'other', value: 'robot!ci' },
  ] as const
  const signer = { subject, issuer: { new: 'https://issuer.acme.example' }, claims: { 5: 'acme/web', 12: 'https://github.com/acme/web' } }
  const { annotations } = sigstore.signImage({ digest, form: 'annotations', signer })
  const { raw, subjectAltName } = new X509Certificate(annotations['dev.sigstore.cosign/certificate'] ?? '')
  assert.match(subjectAltName ?? '', /email:ci@acme\.example, DNS:ci\.acme\.example, othername:/)
  const issuerOid = (last: number): Buffer => Buffer.from([0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, last])
  assert.ok(raw.includes(Buffer.concat([issuerOid(8), Buffer.from([0x04, 0x1d, 0x0c, 0x1b]), Buffer.from('https://issuer.acme.example')])))
  assert.ok(!raw.includes(issuerOid(1)))
  assert.ok(raw.includes(Buffer.concat([issuerOid(5), Buffer.from([0x04, 8]), Buffer.from('acme/web')])))
})

test('the keys of a TrustRoot are those of the trusted root', async () => {
  const sigstore = await Sigstore.create()
  const keys = sigstore.sigstoreKeys(['v1']) as { tLogs: { publicKey: string }[]; certificateAuthorities: { certChain: string }[] }
  assert.equal(Buffer.from(keys.tLogs[0]?.publicKey ?? '', 'base64').toString(), sigstore.logs.v1[0]?.part.key.pem)
  assert.equal(Buffer.from(keys.certificateAuthorities[0]?.certChain ?? '', 'base64').toString(), sigstore.caPem())
  assert.equal(keys.tLogs.length, 1)
})

test('an envelope that Rekor v2 keeps as hashedrekord, by the hash of its encoding, can be had', async () => {
  const sigstore = await Sigstore.create()
  const options = { log: 'v2', entry: 'hashedrekord 0.0.2', timestamp: true } as const
  const { bundle } = sigstore.signImage({ digest, form: 'bundle', ...options })
  assert.equal(objection(bundle, sigstore.trustedRoot(), options), undefined)
})
