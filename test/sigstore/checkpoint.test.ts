import assert from 'node:assert/strict'
import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import type { KeyType } from '../../fakes/signer.ts'
import { makeSigner } from '../../fakes/signer.ts'
import type { Checkpoint } from '../../src/sigstore/checkpoint.ts'
import { isNamed, isSignedBy, readCheckpoint, whyNotSignedBy } from '../../src/sigstore/checkpoint.ts'
import type { LogKey } from '../../src/trust/material.ts'
import { hashOf, spkiOf, TestLog } from './log.ts'

const ROOT = hashOf(0, Buffer.from('a tree'))
const v1 = new TestLog('v1')
const v2 = new TestLog('v2')

function read(note: string): Checkpoint {
  const checkpoint = readCheckpoint(note)
  assert.ok(typeof checkpoint === 'object', JSON.stringify(checkpoint))
  return checkpoint
}

test('a checkpoint says how large the tree is and what its root hash is', () => {
  const { origin, size, root } = read(v1.note({ origin: v1.origin, size: 7, root: ROOT }))
  assert.deepEqual([origin, size, root], ['v1.rekor.example - 1193050959916656506', 7, ROOT])
})

test('a checkpoint of the public Rekor is one, and signed by its key', () => {
  // That of the «dsse-with-hashedrekord» case of the public client conformance suite, and the key of the public trusted root.
  const note =
    'rekor.sigstore.dev - 1193050959916656506\n1403653554\nL0o7cl2r/WjZ8BSJyO+XGiAsh7c0hZPiJ7RDt7ppqnA=\n\n' +
    '— rekor.sigstore.dev wNI9ajBFAiB82RdTu3UiefUtR+bJznnL9Rg7zrJoNiR1vcHHiK7UMAIhAIRt0ayaYfpPAql6XsANbd160bHZzFKA56hcqUK0Oqh+\n'
  const spki =
    'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwrkBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw=='
  const key = createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' })
  const id = createHash('sha256').update(spkiOf(key)).digest('hex')
  const log: LogKey = { id, key, hash: 'sha256', url: 'https://rekor.sigstore.dev', valid: { from: 0, until: undefined } }
  assert.equal(whyNotSignedBy(read(note), log), undefined)
  assert.equal(whyNotSignedBy(read(note.replace('1403653554', '1403653555')), log), 'the signature of the checkpoint is not one of the log')
})

for (const type of ['p256', 'p384', 'p521', 'rsa2048', 'ed25519'] as KeyType[]) {
  for (const version of ['v1', 'v2'] as const) {
    test(`a checkpoint of a log ${version} with a key of the type ${type} is verified, and by no other key`, () => {
      const log = new TestLog(version, type)
      const checkpoint = read(log.note({ origin: log.origin, size: 1, root: ROOT }))
      assert.equal(whyNotSignedBy(checkpoint, log.key), undefined)
      assert.equal(whyNotSignedBy(checkpoint, new TestLog(version, type).key), 'the checkpoint is not signed by the log')
      const forged = log.note({ origin: log.origin, size: 1, root: ROOT, signedBy: makeSigner(type).privateKey })
      assert.equal(whyNotSignedBy(read(forged), log.key), 'the signature of the checkpoint is not one of the log')
    })
  }
}

test('a signature under another key ID is passed over, although the key would verify it', () => {
  const note = v1.note({ origin: v1.origin, size: 1, root: ROOT, keyId: Buffer.alloc(4) })
  assert.equal(whyNotSignedBy(read(note), v1.key), 'the checkpoint is not signed by the log')
})

test('witnesses may sign besides, before and after the log, and count for nothing', () => {
  const line = `— witness.example/w1 ${Buffer.alloc(76, 1).toString('base64')}\n`
  const note = v2.note({ origin: v2.origin, size: 1, root: ROOT, witnesses: line.repeat(31) })
  assert.equal(whyNotSignedBy(read(note), v2.key), undefined)
  const [text = '', signature = ''] = note.split('\n\n')
  const before = `${text}\n\n${line}${signature}`
  assert.equal(whyNotSignedBy(read(before.split('\n').slice(0, 10).join('\n') + '\n'), v2.key), undefined)
  assert.equal(
    readCheckpoint(v2.note({ origin: 'o', size: 1, root: ROOT, witnesses: line.repeat(32) })),
    'number of signatures (33) exceeded the limit (32)',
  )
})

test('the key of a v2 log signs under the name that is the origin', () => {
  const note = v2.note({ origin: 'another.example', size: 1, root: ROOT })
  assert.equal(whyNotSignedBy(read(note), v2.key), 'the checkpoint is not signed by the log')
})

test('extension lines are signed, and mean nothing', () => {
  const note = v1.note({ origin: v1.origin, size: 1, root: ROOT, extension: 'Timestamp: 1689177396617352539\n' })
  assert.equal(whyNotSignedBy(read(note), v1.key), undefined)
  assert.notEqual(whyNotSignedBy(read(note.replace('Timestamp', 'timestamp')), v1.key), undefined)
})

test('a log is called by the hash of its key, or in its checkpoints by that of name and key', () => {
  const checkpoint = read(v2.note({ origin: v2.origin, size: 1, root: ROOT }))
  const noteId = v2.noteId.toString('hex')
  assert.ok(isNamed(v2.key.id, v2.key, undefined))
  assert.ok(isNamed(noteId, v2.key, checkpoint))
  assert.ok(!isNamed(noteId, v2.key, undefined))
  assert.ok(!isNamed(noteId, v2.key, { ...checkpoint, origin: 'another.example' }))
  assert.ok(!isNamed(noteId, new TestLog('v2').key, checkpoint))
})

test('the log ID of the public Rekor v2 is what its key and name give', () => {
  // Both from the public trusted root: log2025-1.rekor.sigstore.dev.
  const spki = 'MCowBQYDK2VwAyEAt8rlp1knGwjfbcXAYPYAkn0XiLz1x8O4t0YkEhie244='
  const key = createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' })
  const id = createHash('sha256').update(spkiOf(key)).digest('hex')
  const log: LogKey = { id, key, hash: null, url: '', valid: { from: 0, until: undefined } }
  const checkpoint = read(v2.note({ origin: 'log2025-1.rekor.sigstore.dev', size: 1, root: ROOT }))
  assert.ok(isNamed(Buffer.from('zxGZFVvd0FEmjR8WrFwMdcAJ9vtaY/QXf44Y1wUeP6A=', 'base64').toString('hex'), log, checkpoint))
})

const good = v1.note({ origin: 'origin', size: 7, root: ROOT })
const base64 = ROOT.toString('base64')
for (const [title, note, why] of [
  ['nothing', '', 'the checkpoint is not a signed note'],
  ['one that ends early', good.slice(0, -1), 'the checkpoint is not a signed note'],
  ['one without signatures', `origin\n7\n${base64}\n\n`, 'a signature of the checkpoint is malformed'],
  ['one without an origin', good.replace('origin', ''), 'the checkpoint has no origin, tree size and root hash'],
  ['one without a root hash', good.replace(`${base64}\n`, ''), 'the checkpoint has no origin, tree size and root hash'],
  ['a size with a leading zero', good.replace('\n7\n', '\n07\n'), 'the tree size of the checkpoint is not a number up to 2^53'],
  ['a negative size', good.replace('\n7\n', '\n-7\n'), 'the tree size of the checkpoint is not a number up to 2^53'],
  ['a size of 2^53', good.replace('\n7\n', '\n9007199254740992\n'), 'the tree size of the checkpoint is not a number up to 2^53'],
  ['a root hash that is none', good.replace(base64, 'AAAA'), 'the root hash of the checkpoint is not a SHA-256 digest'],
  ['a signature without a dash', good.replace('— ', '- '), 'a signature of the checkpoint is malformed'],
  ['a signature of four bytes', good.replace(/ [^ ]+\n$/, ' AAAAAA==\n'), 'a signature of the checkpoint is malformed'],
  ['a name with a plus', good.replace('— v1.', '— v1+'), 'a signature of the checkpoint is malformed'],
  ['one that is too long', 'x'.repeat(65_537), 'size of checkpoint (65537) exceeded the limit (65536)'],
] as const) {
  test(`a checkpoint is not read: ${title}`, () => assert.equal(readCheckpoint(note), why))
}

test('without the digest of its key a log verifies nothing: Node would silently take SHA-256', () => {
  const bytes = Buffer.from('bytes')
  const { body, promise } = v1.enter(bytes)
  assert.ok(body && promise)
  assert.ok(!isSignedBy({ ...v1.key, hash: null }, bytes, promise))
  assert.ok(!isSignedBy({ ...v2.key, hash: 'sha256' }, bytes, promise))
})

for (const curve of ['P-384', 'P-521'] as const) {
  test(`a log with a key of ${curve} may hash with SHA-256, as Rekor v1 does, or as its curve has it, and not otherwise`, () => {
    const { publicKey: key, privateKey } = generateKeyPairSync('ec', { namedCurve: curve })
    const hash = curve === 'P-384' ? 'sha384' : 'sha512'
    const log: LogKey = { ...v1.key, key, hash }
    const bytes = Buffer.from('bytes')
    for (const [digest, isBelieved] of [
      [hash, true],
      ['sha256', true],
      ['sha1', false],
      ['sha3-256', false],
    ] as const)
      assert.equal(isSignedBy(log, bytes, sign(digest, bytes, privateKey)), isBelieved, digest)
    assert.equal(isSignedBy({ ...log, hash: 'sha256' }, bytes, sign(hash, bytes, privateKey)), false, 'the root says SHA-256')
    assert.equal(isSignedBy(log, Buffer.from('others'), sign('sha256', bytes, privateKey)), false)
  })
}

test('whatever is in a checkpoint, reading it answers and never throws', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => void readCheckpoint(text)))
  fc.assert(
    fc.property(fc.nat(good.length), fc.nat(9), fc.string({ maxLength: 3 }), (at, cut, text) => {
      const checkpoint = readCheckpoint(good.slice(0, at) + text + good.slice(at + cut))
      if (typeof checkpoint === 'object') whyNotSignedBy(checkpoint, v1.key)
    }),
  )
})
