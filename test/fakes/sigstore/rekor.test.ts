import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { after, test } from 'node:test'
import { json } from '@sigstore/core'
import { makeSigner, signOldForm } from '../../../fakes/signer.ts'
import { leafHash } from '../../../fakes/sigstore/merkle.ts'
import { FakeRekor } from '../../../fakes/sigstore/rekor.ts'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'

const digest = `sha256:${'ab'.repeat(32)}`
const signer = makeSigner()
const sigstore = await Sigstore.create()
const rekor = await FakeRekor.start(sigstore)
after(() => rekor.close())

type Entry = {
  body: string
  integratedTime: number
  logID: string
  logIndex: number
  verification: { inclusionProof: { logIndex: number; rootHash: string; treeSize: number; hashes: string[] }; signedEntryTimestamp: string }
}
async function search(entries: unknown): Promise<[uuid: string, entry: Entry][]> {
  const answer = await fetch(`${rekor.url}/api/v1/log/entries/retrieve`, { method: 'POST', body: JSON.stringify({ entries }) })
  assert.equal(answer.status, 200)
  return ((await answer.json()) as Record<string, Entry>[]).flatMap((found) => Object.entries(found))
}
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

function hashedRekord(payload: Buffer, signature: string): object {
  const signed = { content: signature, publicKey: { content: base64(signer.pem) } }
  return {
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: { data: { hash: { algorithm: 'sha256', value: sha256(payload) } }, signature: signed },
  }
}

test('an image signature that is in the log is found, with a promise, a proof, and the hash of its leaf as name', async () => {
  const { payload, annotations } = sigstore.signImage({ digest, form: 'annotations', signer, carriesEntry: false })
  assert.equal(annotations['dev.sigstore.cosign/bundle'], undefined)
  const [found, ...others] = await search([hashedRekord(payload, annotations['dev.cosignproject.cosign/signature'] ?? '')])
  assert.equal(others.length, 0)
  const [uuid, entry] = found ?? assert.fail('nothing was found')
  const { body, integratedTime, logID, logIndex, verification } = entry
  assert.equal(uuid.slice(16), leafHash(Buffer.from(body, 'base64')).toString('hex'))
  const promised = Buffer.from(json.canonicalize({ body, integratedTime, logID, logIndex }))
  const key = createPublicKey(sigstore.logs.v1[0]?.part.key.pem ?? '')
  assert.ok(verify('sha256', promised, key, Buffer.from(verification.signedEntryTimestamp, 'base64')))
  assert.equal(integratedTime, sigstore.now / 1000 + 1)
})

test('what is uploaded is in the log from then on, named by the hash of its leaf', async () => {
  const { payload, annotations } = signOldForm(signer, digest)
  const proposed = hashedRekord(payload, annotations['dev.cosignproject.cosign/signature'] ?? '')
  const answer = await fetch(`${rekor.url}/api/v1/log/entries`, { method: 'POST', body: JSON.stringify(proposed) })
  assert.equal(answer.status, 201)
  const [[uuid, { body }] = assert.fail('no entry')] = Object.entries((await answer.json()) as Record<string, Entry>)
  assert.equal(answer.headers.get('etag'), uuid)
  assert.equal(uuid.slice(16), leafHash(Buffer.from(body, 'base64')).toString('hex'))
  assert.deepEqual(
    (await search([proposed])).map(([found]) => found),
    [uuid],
  )
  const other = await fetch(`${rekor.url}/api/v1/log/entries`, { method: 'POST', body: '{"kind":"intoto","apiVersion":"0.0.2"}' })
  assert.equal(other.status, 400)
})

test('a signature that nobody logged is not found', async () => {
  const { payload, annotations } = signOldForm(signer, digest)
  assert.deepEqual(await search([hashedRekord(payload, annotations['dev.cosignproject.cosign/signature'] ?? '')]), [])
})

for (const [kind, apiVersion] of [
  ['dsse', '0.0.1'],
  ['intoto', '0.0.1'],
  ['intoto', '0.0.2'],
] as const)
  test(`an attestation that is in the log as ${kind} ${apiVersion} is found by its envelope`, async () => {
    const predicate = { kind, apiVersion }
    const entry = kind === 'dsse' ? 'dsse 0.0.1' : (`intoto ${apiVersion}` as const)
    const made = sigstore.attest({ digest, form: 'annotations', signer, entry, predicateType: 'https://example.org/x', predicate })
    const envelope = JSON.parse(made.payload.toString()) as { payload: string; payloadType: string; signatures: { sig: string }[] }
    const publicKey = base64(signer.pem)
    const signatures = envelope.signatures.map(({ sig }) => ({ sig: base64(sig), publicKey }))
    const spec =
      kind === 'dsse'
        ? { proposedContent: { envelope: made.payload.toString(), verifiers: [publicKey] } }
        : apiVersion === '0.0.1'
          ? { content: { envelope: made.payload.toString() }, publicKey }
          : { content: { envelope: { payload: base64(envelope.payload), payloadType: envelope.payloadType, signatures } } }
    assert.equal((await search([{ kind, apiVersion, spec }])).length, 1)
  })

test('a search that misbehaves: nothing, others, another name, an entry that is broken, HTTP', async () => {
  const { payload, annotations } = sigstore.signImage({ digest, form: 'annotations', signer })
  const proposed = [hashedRekord(payload, annotations['dev.cosignproject.cosign/signature'] ?? '')]
  rekor.misbehave({ finds: 'nothing' })
  assert.deepEqual(await search(proposed), [])
  rekor.misbehave({ finds: 'another' })
  assert.ok((await search(proposed)).length > 1)
  rekor.misbehave({ finds: 'under-another-uuid' })
  assert.match((await search(proposed))[0]?.[0] ?? '', /(00){32}$/)
  rekor.misbehave()
  const [right] = await search(proposed)
  rekor.misbehave({ faults: ['merkle-path-wrong'] })
  const [wrong] = await search(proposed)
  assert.notDeepEqual(wrong?.[1].verification.inclusionProof.hashes, right?.[1].verification.inclusionProof.hashes)
  rekor.misbehave({}, { status: 500 })
  assert.equal((await fetch(`${rekor.url}/api/v1/log/entries/retrieve`, { method: 'POST', body: '{}' })).status, 500)
  rekor.misbehave()
})

test('a body that is no query is refused, and there is nothing else under other paths', async () => {
  assert.equal((await fetch(`${rekor.url}/api/v1/log/entries/retrieve`, { method: 'POST', body: 'x' })).status, 400)
  assert.equal((await fetch(`${rekor.url}/api/v1/log/entries/retrieve`)).status, 405)
  assert.equal((await fetch(`${rekor.url}/api/v1/log`)).status, 404)
  assert.ok(rekor.seen.length >= 3)
})
