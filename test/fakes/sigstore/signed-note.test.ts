import assert from 'node:assert/strict'
import { createHash, verify } from 'node:crypto'
import { test } from 'node:test'
import { makeSigner } from '../../../fakes/signer.ts'
import { checkpointText, noteKeyHash, signNote } from '../../../fakes/sigstore/signed-note.ts'

for (const type of ['ed25519', 'p256'] as const)
  test(`a note signed with ${type} has its text, an empty line, and a signature under the key's ID`, () => {
    const signer = makeSigner(type)
    const text = checkpointText({ origin: 'log.example', size: 7, root: Buffer.from('root') })
    assert.equal(text, 'log.example\n7\ncm9vdA==\n')
    const [shown, line = ''] = signNote(text, 'log.example', signer).split('\n\n')
    assert.equal(`${shown}\n`, text)
    const [, signature = ''] = /^\u2014 log\.example (\S+)\n$/.exec(line) ?? assert.fail(line)
    const bytes = Buffer.from(signature, 'base64')
    assert.deepEqual(bytes.subarray(0, 4), noteKeyHash('log.example', signer).subarray(0, 4))
    assert.ok(verify(type === 'ed25519' ? null : 'sha256', Buffer.from(text), signer.publicKey, bytes.subarray(4)))
  })

test("an ECDSA key's hash is that of the key, an Ed25519 key's also of the name (C2SP signed-note)", () => {
  const [ecdsa, ed25519] = [makeSigner('p256'), makeSigner('ed25519')]
  const spki = ecdsa.publicKey.export({ format: 'der', type: 'spki' })
  assert.deepEqual(noteKeyHash('a', ecdsa), createHash('sha256').update(spki).digest())
  assert.notDeepEqual(noteKeyHash('a', ed25519), noteKeyHash('b', ed25519))
})
