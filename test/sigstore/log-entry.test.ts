import assert from 'node:assert/strict'
import { createPublicKey, createHash } from 'node:crypto'
import { test } from 'node:test'
import { bundleFromJSON } from '@sigstore/bundle'
import fc from 'fast-check'
import type { KeyType } from '../../fakes/signer.ts'
import { makeSigner, signBytes } from '../../fakes/signer.ts'
import type { LogEntry, Logged } from '../../src/sigstore/log-entry.ts'
import { logEntryOf, readLogBundle, readSearchAnswer, verifyLogEntry } from '../../src/sigstore/log-entry.ts'
import type { LogKey } from '../../src/trust/material.ts'
import type { Read } from '../../src/verdict/read.ts'
import { hintOf, outcomeOf, sentenceOf } from '../../src/verdict/reason.ts'
import type { Handed, Kind } from './log.ts'
import {
  annotationOf,
  answerOf,
  bodyOf,
  bundleEntryOf,
  bytesLogged,
  envelopeLogged,
  hashOf,
  KINDS_OF_ENVELOPES,
  NOON,
  searchedOf,
  spkiOf,
  TestLog,
  uuidOf,
} from './log.ts'

const v1 = new TestLog('v1')
const v2 = new TestLog('v2')
const about = bytesLogged()
const inV1 = v1.enter(bodyOf('hashedrekord 0.0.1', about))
const inV2 = v2.enter(bodyOf('hashedrekord 0.0.2', about))

const FORMS = {
  'annotation': (handed: Handed) => readLogBundle(annotationOf(handed)),
  'bundle-v0.1': (handed: Handed) => logEntryOf(bundleEntryOf(handed), 'bundle-v0.1'),
  'bundle': (handed: Handed) => logEntryOf(bundleEntryOf(handed)),
  'search': (handed: Handed): Read<LogEntry> => {
    const read = readSearchAnswer(answerOf(handed))
    return read.ok && read.value[0] ? { ok: true, value: read.value[0] } : (read as Read<never>)
  },
} as const
type Form = keyof typeof FORMS
const forms = Object.keys(FORMS) as Form[]

/** Why the entry is not believed, without the prefix of annotations; undefined: it is. */
function why(form: Form, handed: Handed, logs: readonly LogKey[] = [v1.key, v2.key], logged: Logged = about): string | undefined {
  const read = FORMS[form](handed)
  const got = read.ok ? verifyLogEntry(read.value, logged, logs) : read
  if (got.ok) return undefined
  assert.equal(got.reason.code, 'log-entry-invalid')
  assert.equal(outcomeOf(got.reason), 'fail')
  const sentence = sentenceOf(got.reason)
  assert.equal(sentence.startsWith('error verifying bundle: '), form === 'annotation')
  return sentence.replace(/^error verifying bundle: /, '')
}

const NO_LOG = 'rekor log public key not found for payload'
const unknownLog: { readonly [form in Form]: string } = {
  'annotation': `verifying bundle: ${NO_LOG}`,
  'bundle-v0.1': NO_LOG,
  'bundle': NO_LOG,
  'search': `${NO_LOG}. Check your TUF root (see cosign initialize) or set a custom key with env var SIGSTORE_REKOR_PUBLIC_KEY`,
}
const badPromise = (form: Form): string =>
  form === 'search' ? 'verifying signedEntryTimestamp: unable to verify SET' : 'unable to verify SET'

// — what passes

for (const form of forms) {
  test(`an entry of Rekor v1 is verified (${form}), and says when the log took it`, () => {
    const read = FORMS[form](inV1)
    assert.ok(read.ok)
    const got = verifyLogEntry(read.value, about, [v2.key, v1.key])
    assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
    const { logId, index, at, valid, until } = got.value
    assert.deepEqual(
      { logId, index, at, valid, until },
      { logId: v1.key.id, index: 1005, at: NOON * 1000, valid: v1.key.valid, until: undefined },
    )
  })
}

test('an entry of Rekor v2 is verified by checkpoint and proof, and has no time of its own', () => {
  const log = new TestLog('v2', 'ed25519', { from: 5, until: 7 })
  const read = FORMS.bundle(log.enter(bodyOf('hashedrekord 0.0.2', about)))
  assert.ok(read.ok)
  const got = verifyLogEntry(read.value, about, [v1.key, log.key])
  assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
  const { logId, index, at, valid, until } = got.value
  // Whoever proves a time holds it against the service of the log's key.
  assert.deepEqual(
    { logId, index, at, valid, until },
    { logId: log.key.id, index: 5, at: undefined, valid: { from: 5, until: 7 }, until: 7 },
  )
})

for (const type of ['p256', 'p384', 'p521', 'rsa2048', 'ed25519'] as KeyType[]) {
  test(`logs with a key of the type ${type} are believed, and no other key of that type`, () => {
    for (const version of ['v1', 'v2'] as const) {
      const log = new TestLog(version, type)
      const handed = log.enter(bodyOf(version === 'v1' ? 'hashedrekord 0.0.1' : 'hashedrekord 0.0.2', about))
      const theirs = { ...new TestLog(version, type).key, id: log.key.id }
      assert.equal(why('bundle', handed, [log.key]), undefined)
      assert.notEqual(why('bundle', handed, [theirs]), undefined)
    }
  })
}

test('an entry is verified in a tree of any size, at any place', () => {
  for (const others of [0, 1, 2, 6, 30, 31, 32]) {
    assert.equal(why('bundle', v2.enter(bodyOf('hashedrekord 0.0.2', about), 0, others)), undefined)
  }
})

for (const kind of KINDS_OF_ENVELOPES) {
  test(`an attestation of the old form is verified by an entry of the kind ${kind}`, () => {
    const old = envelopeLogged('old form')
    assert.equal(why('annotation', v1.enter(bodyOf(kind, old)), [v1.key], old), undefined)
    assert.equal(why('search', v1.enter(bodyOf(kind, old)), [v1.key], old), undefined)
  })
}

for (const kind of ['dsse 0.0.1', 'dsse 0.0.2', 'intoto 0.0.2', 'hashedrekord 0.0.1'] as Kind[]) {
  test(`an envelope in a bundle is verified by an entry of the kind ${kind}`, () => {
    const envelope = envelopeLogged()
    assert.equal(why('bundle', v1.enter(bodyOf(kind, envelope)), [v1.key], envelope), undefined)
    assert.equal(why('bundle', v2.enter(bodyOf(kind, envelope)), [v2.key], envelope), undefined)
  })
}

test('an entry that others made, without time and promise, is believed by its proof', () => {
  // The case «intoto-canonical-log-entry» of the public client conformance suite.
  const body = {
    apiVersion: '0.0.2',
    kind: 'intoto',
    spec: {
      content: {
        envelope: {
          payloadType: 'application/vnd.in-toto+json',
          signatures: [
            {
              publicKey:
                'LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFN3BCbGtJTGkvV04xWDhGaVFUbFpCSzIvR2xRRApPbDlibjFpRGFTRThCNUV1K3VjY05uZFFpZDJObWdwOG1yVFdoVDJYaFpic2hVR01EU0R4LzZqd3Z3PT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg==',
              sig: 'TUVVQ0lCYjhQZTQvWjB2S3RYU3ZBSFY2cGNDMUYzZVR3Q1puVmVqd1dFUkZWd0tlQWlFQXJlNnYxOFlTRXMzbUthZU1nRThUaTBsNjJDelQ1eVp2d2ZHaVZkMWVUSXc9',
            },
          ],
        },
        hash: { algorithm: 'sha256', value: 'ce3eb001fa3bc6872ef929420aa089f27926e1b18c9f3b5eaa2685dc22ef37e9' },
        payloadHash: { algorithm: 'sha256', value: 'ad789d25b33ea811bc1d51cdd4c652435b3c01c866ce24d805e93030f92823df' },
      },
    },
  }
  const signature = 'MEUCIBb8Pe4/Z0vKtXSvAHV6pcC1F3eTwCZnVejwWERFVwKeAiEAre6v18YSEs3mKaeMgE8Ti0l62CzT5yZvwfGiVd1eTIw='
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'a.txt', digest: { sha256: 'a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf' } }],
    predicateType: 'https://example.com/test',
    predicate: {},
  }
  const root = 'hLUIZULafhvW6mAf7P7aKG7JXNpiTMUDxfUPNwHxJLA='
  const bundle = bundleFromJSON({
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: {
      publicKey: { hint: '' },
      tlogEntries: [
        {
          logIndex: '0',
          logId: { keyId: 'f/sXlHr/AgxwFcDAbNEtIvijhWehfCf8HEXLV8SjNsw=' },
          kindVersion: { kind: 'intoto', version: '0.0.2' },
          integratedTime: '0',
          inclusionProof: {
            logIndex: '0',
            rootHash: root,
            treeSize: '1',
            hashes: [],
            checkpoint: {
              envelope: `rekor.test\n1\n${root}\n\n— rekor.test f/sXlDBFAiEA4/I6x2M77vXvvbSGEg3g7oGdAPjrQ2qT9d8XZ4KjyRsCIE6Apz5WrQKtlEXeDC4xNXByPrJfy9OuttQsf8w8XzV9\n`,
            },
          },
          canonicalizedBody: Buffer.from(JSON.stringify(body)).toString('base64'),
        },
      ],
    },
    dsseEnvelope: {
      payload: Buffer.from(JSON.stringify(statement)).toString('base64'),
      payloadType: 'application/vnd.in-toto+json',
      signatures: [{ sig: signature, keyid: '' }],
    },
  })
  const spki =
    'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXlYI/a1XM9LYk54J0H/lm4EeboY1vhheo0TbTln8aWofhvUYUH9fIKz10uhbCDlTfOF+ymQlkiuDReSCMA2zAw=='
  const key = createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' })
  const id = createHash('sha256').update(spkiOf(key)).digest('hex')
  const [tlogEntry] = bundle.verificationMaterial.tlogEntries
  assert.ok(tlogEntry)
  const read = logEntryOf(tlogEntry)
  assert.ok(read.ok)
  const { publicKey } = body.spec.content.envelope.signatures[0] ?? { publicKey: '' }
  const signer = spkiOf(createPublicKey(Buffer.from(publicKey, 'base64').toString()))
  const payload = Buffer.from(JSON.stringify(statement))
  const logged: Logged = {
    signature: Buffer.from(signature, 'base64'),
    signer,
    content: { is: 'envelope', envelope: { payloadType: 'application/vnd.in-toto+json', payload }, json: undefined },
  }
  const got = verifyLogEntry(read.value, logged, [
    { id, key, hash: 'sha256', url: 'https://rekor.test', valid: { from: 0, until: undefined } },
  ])
  assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
  assert.equal(got.value.at, undefined)
})

// — what must be there

for (const [form, withoutPromise, withoutProof] of [
  ['annotation', 'unable to verify SET', undefined],
  ['bundle-v0.1', 'unable to verify SET', undefined],
  ['bundle', undefined, 'inclusion proof not provided'],
  ['search', 'verifying signedEntryTimestamp: unable to verify SET', 'inclusion proof not provided'],
] as const) {
  test(`(${form}) without a promise: ${withoutPromise ?? 'verified'}; without a proof: ${withoutProof ?? 'verified'}`, () => {
    assert.equal(why(form, { ...inV1, promise: undefined }), withoutPromise)
    assert.equal(why(form, { ...inV1, proof: undefined }), withoutProof)
    assert.notEqual(why(form, { ...inV1, promise: undefined, proof: undefined }), undefined)
  })
}

test('lesson 22: a time that no promise covers is not believed, not even one of a log that is', () => {
  for (const [log, handed] of [
    [v1, { ...inV1, promise: undefined }],
    [v2, { ...inV2, integratedTime: NOON }],
  ] as const) {
    const read = FORMS.bundle(handed)
    assert.ok(read.ok)
    const got = verifyLogEntry(read.value, about, [log.key])
    assert.ok(got.ok)
    assert.equal(got.value.at, undefined)
    // Nor is the index that only the promise covers.
    assert.equal(got.value.index, 5)
  }
})

test('a proof without a checkpoint proves nothing', () => {
  assert.ok(inV1.proof)
  const handed = { ...inV1, proof: { ...inV1.proof, checkpoint: '' } }
  assert.equal(why('bundle', handed), 'inclusion proof not provided')
  assert.equal(why('bundle', { ...handed, promise: undefined }), 'inclusion proof not provided')
  assert.equal(why('bundle-v0.1', handed), undefined) // its promise stands
})

// — one broken part at a time

for (const form of forms) {
  for (const [title, handed] of [
    ['a promise for another time', { ...inV1, integratedTime: NOON + 1 }],
    ['a promise for another index', { ...inV1, index: inV1.index + 1 }],
    ['a promise of another log', { ...inV1, promise: new TestLog().promise(inV1) }],
    ['a promise for another body', { ...inV1, promise: v1.promise({ ...inV1, body: Buffer.from('{}') }) }],
    ['a promise that is cut', { ...inV1, promise: inV1.promise?.subarray(0, -1) }],
    ['an empty promise', { ...inV1, promise: Buffer.alloc(0) }],
  ] as [string, Handed][]) {
    test(`(${form}) ${title} is refused, whatever else is right`, () => assert.equal(why(form, handed), badPromise(form)))
  }

  test(`(${form}) lesson 23: an entry of a log that is not trusted is refused, whoever vouches for its key`, () => {
    assert.equal(why(form, inV1, [v2.key]), unknownLog[form])
    assert.equal(why(form, { ...inV1, logId: v2.key.id }, [v1.key]), unknownLog[form])
    assert.equal(why(form, inV1, []), 'no trusted rekor public keys provided')
  })

  test(`(${form}) lesson 17: an entry about something else is refused, although the log has it`, () => {
    assert.equal(
      why(form, inV1, [v1.key], { ...about, signature: Buffer.from('x') }),
      'signature in bundle does not match signature being verified',
    )
    assert.match(
      why(form, inV1, [v1.key], { ...about, signer: spkiOf(makeSigner().publicKey) }) ?? '',
      /^comparing public key PEMs, expected/,
    )
    assert.match(why(form, inV1, [v1.key], bytesLogged(Buffer.from('other bytes'))) ?? '', /^matching bundle to payload: bundle=/)
  })
}

const proof = inV1.proof
assert.ok(proof)
const { size, root } = proof
const stranger = new TestLog()
const strange = hashOf(0, Buffer.from('strange'))
const NOT_ROOT = 'calculated root does not match the root hash'
for (const [title, broken, detail] of [
  ['another index', { index: 4 }, NOT_ROOT],
  [
    'an index that the tree does not have',
    { index: size },
    `a proof of 3 hashes does not lead from entry ${size} to the root of ${size} entries`,
  ],
  ['another hash', { hashes: proof.hashes.with(0, strange) }, NOT_ROOT],
  ['a hash less', { hashes: proof.hashes.slice(1) }, `a proof of 2 hashes does not lead from entry 5 to the root of ${size} entries`],
  ['a hash more', { hashes: [...proof.hashes, strange] }, `a proof of 4 hashes does not lead from entry 5 to the root of ${size} entries`],
  ['another size', { size: 8 }, 'the checkpoint is of a tree of 7 entries, the proof of one of 8'],
  ['another root', { root: strange }, 'the checkpoint has another root hash than the proof'],
  [
    'the checkpoint of another tree',
    { checkpoint: v1.note({ origin: v1.origin, size, root: strange }) },
    'the checkpoint has another root hash than the proof',
  ],
  ['another tree, with its checkpoint', { root: strange, checkpoint: v1.note({ origin: v1.origin, size, root: strange }) }, NOT_ROOT],
  [
    'the checkpoint of another size',
    { checkpoint: v1.note({ origin: v1.origin, size: 8, root }) },
    'the checkpoint is of a tree of 8 entries, the proof of one of 7',
  ],
  [
    'the checkpoint of another log',
    { checkpoint: stranger.note({ origin: v1.origin, size, root }) },
    'the checkpoint is not signed by the log',
  ],
  [
    'a forged checkpoint',
    { checkpoint: stranger.note({ origin: v1.origin, size, root, keyId: v1.noteId }) },
    'the signature of the checkpoint is not one of the log',
  ],
  [
    'a checkpoint under another key ID',
    { checkpoint: v1.note({ origin: v1.origin, size, root, keyId: Buffer.alloc(4) }) },
    'the checkpoint is not signed by the log',
  ],
  [
    'a checkpoint that was changed',
    { checkpoint: proof.checkpoint.replace('v1.rekor', 'v1-rekor') },
    'the signature of the checkpoint is not one of the log',
  ],
  ['something else for a checkpoint', { checkpoint: 'x' }, 'the checkpoint is not a signed note'],
] as [string, Partial<NonNullable<Handed['proof']>>, string][]) {
  for (const form of ['bundle', 'bundle-v0.1', 'search'] as const) {
    test(`(${form}) a proof with ${title} is refused, although the promise is right`, () =>
      assert.equal(why(form, { ...inV1, proof: { ...proof, ...broken } }), `verifying inclusion proof: ${detail}`))
  }
}

test('(bundle) an entry of Rekor v2 under the log ID of another log is refused', () => {
  assert.equal(why('bundle', { ...inV2, logId: new TestLog('v2').noteId.toString('hex') }), NO_LOG)
  assert.equal(why('bundle', { ...inV2, logId: v2.key.id }), undefined) // the other name of the same key
})

test('(bundle) the kind beside the body must be the body’s', () => {
  const read = logEntryOf(bundleEntryOf(inV1, { kind: 'dsse', version: '0.0.1' }))
  assert.ok(read.ok)
  const got = verifyLogEntry(read.value, about, [v1.key])
  assert.ok(!got.ok)
  assert.equal(sentenceOf(got.reason), 'the kind of the entry is not the one that its body names')
})

// — the service of the log's key

test('lesson 19: the integrated time must lie within the service of the log’s key, both ends included', () => {
  const at = NOON * 1000
  for (const [from, until, isIn] of [
    [at, at, true],
    [at - 1, at + 1, true],
    [0, undefined, true],
    [at + 1, undefined, false],
    [0, at - 1, false],
  ] as const) {
    const detail = why('annotation', inV1, [{ ...v1.key, valid: { from, until } }])
    assert.equal(detail, isIn ? undefined : `the log's key was not in service at the integrated time ${NOON}`)
  }
  const twice = [
    { ...v1.key, valid: { from: 0, until: 1 } },
    { ...v1.key, valid: { from: at, until: undefined } },
  ]
  assert.equal(why('annotation', inV1, twice), undefined)
})

test('a time that no calendar has is refused', () => {
  const handed = { ...inV1, integratedTime: Number.MAX_SAFE_INTEGER }
  assert.match(
    why('annotation', { ...handed, promise: v1.promise(handed) }) ?? '',
    /was not in service at the integrated time 9007199254740991$/,
  )
})

// — the readers

test('(annotation) what it holds is read as it stands', () => {
  const read = readLogBundle(annotationOf(inV1))
  assert.ok(read.ok)
  const { promise, body, logId, integratedTime, index } = inV1
  assert.deepEqual(read.value, { from: 'annotation', named: undefined, promise, body, logId, integratedTime, index, proof: undefined })
})

const annotation = JSON.parse(annotationOf(inV1)) as { SignedEntryTimestamp: string; Payload: object }
const withPayload = (payload: object): string => JSON.stringify({ ...annotation, Payload: { ...annotation.Payload, ...payload } })
for (const [title, text, detail] of [
  ['no JSON', '{nope', `unmarshaling bundle payload: invalid character 'n' looking for beginning of object key string`],
  ['an empty object', '{}', 'bundle payload body is not a string'],
  ['null', 'null', 'bundle payload body is not a string'],
  ['a body that is an object', withPayload({ body: {} }), 'bundle payload body is not a string'],
  ['a body that is no base64', withPayload({ body: '*' }), 'bundle payload body is not base64'],
  ['an index beyond 2^53', withPayload({ logIndex: 9007199254740992 }), 'logIndex or integratedTime is not a number from 0 to 2^53'],
  ['a negative index', withPayload({ logIndex: -1 }), 'logIndex or integratedTime is not a number from 0 to 2^53'],
  ['a time with a fraction', withPayload({ integratedTime: 1.5 }), 'logIndex or integratedTime is not a number from 0 to 2^53'],
  ['a time in words', withPayload({ integratedTime: 'noon' }), 'logIndex or integratedTime is not a number from 0 to 2^53'],
  ['no log ID', withPayload({ logID: undefined }), 'logID is not a SHA-256 digest in hex'],
  ['a log ID in upper case', withPayload({ logID: v1.key.id.toUpperCase() }), 'logID is not a SHA-256 digest in hex'],
  ['too much', ' '.repeat(2 * 1024 * 1024 + 1), 'size of annotation (2097153) exceeded the limit (2097152)'],
  [
    'a body that is too large',
    withPayload({ body: Buffer.alloc(1024 * 1024 + 1).toString('base64') }),
    'size of log entry (1048577) exceeded the limit (1048576)',
  ],
  [
    'a promise that is too large',
    JSON.stringify({ ...annotation, SignedEntryTimestamp: 'AAAA'.repeat(1000) }),
    'size of signed entry timestamp (3000) exceeded the limit (2048)',
  ],
] as const) {
  test(`(annotation) ${title} is not read`, () => {
    const read = readLogBundle(text)
    assert.ok(!read.ok)
    assert.equal(sentenceOf(read.reason), `error verifying bundle: ${detail}`)
    assert.notEqual(hintOf(read.reason), '')
  })
}

const tlogEntry = bundleEntryOf(inV1)
const inclusionProof = tlogEntry.inclusionProof
assert.ok(inclusionProof)
for (const [title, changes, detail] of [
  ['an index beyond 2^53', { logIndex: '9007199254740992' }, 'logIndex or integratedTime is not a number from 0 to 2^53'],
  ['a time before 1970', { integratedTime: '-1' }, 'logIndex or integratedTime is not a number from 0 to 2^53'],
  ['an index in hex', { logIndex: '0x10' }, 'logIndex or integratedTime is not a number from 0 to 2^53'],
  ['a short log ID', { logId: { keyId: Buffer.alloc(4) } }, 'logId is not a SHA-256 digest'],
  [
    'a proof of too many hashes',
    { inclusionProof: { ...inclusionProof, hashes: Array.from({ length: 65 }, () => root) } },
    'verifying inclusion proof: number of hashes (65) exceeded the limit (64)',
  ],
  [
    'a hash that is none',
    { inclusionProof: { ...inclusionProof, hashes: [Buffer.alloc(31)] } },
    'verifying inclusion proof: a hash is not a SHA-256 digest',
  ],
  [
    'a root that is none',
    { inclusionProof: { ...inclusionProof, rootHash: Buffer.alloc(0) } },
    'verifying inclusion proof: a hash is not a SHA-256 digest',
  ],
  [
    'a size beyond 2^53',
    { inclusionProof: { ...inclusionProof, treeSize: '1e3' } },
    'verifying inclusion proof: logIndex or treeSize is not a number from 0 to 2^53',
  ],
  [
    'a body that is too large',
    { canonicalizedBody: Buffer.alloc(1024 * 1024 + 1) },
    'size of log entry (1048577) exceeded the limit (1048576)',
  ],
] as const) {
  test(`(bundle) lesson 39: an entry with ${title} is not read`, () => {
    const read = logEntryOf({ ...tlogEntry, ...(changes as object) })
    assert.ok(!read.ok)
    assert.equal(sentenceOf(read.reason), detail)
  })
}

test('(search) an answer may hold several entries; those whose UUID is not their leaf hash are skipped', () => {
  const other = v1.enter(bodyOf('hashedrekord 0.0.1', about), NOON + 60, 9)
  const wrong = { ['0'.repeat(64)]: searchedOf(inV1) }
  const short = { [uuidOf(inV1).slice(16)]: searchedOf(inV1) } // a UUID without the tree's ID
  const read = readSearchAnswer(Buffer.from(JSON.stringify([wrong, short, { [uuidOf(other)]: searchedOf(other) }])))
  assert.ok(read.ok)
  assert.deepEqual(
    read.value.map(({ integratedTime }) => integratedTime),
    [NOON, NOON + 60],
  )
})

const none = 'no valid tlog entries found with proposed entry'
for (const [title, answer, code, detail] of [
  ['an empty list', [], 'log-entry-not-found', 'signature not found in transparency log'],
  ['lists of nothing', [{}, {}], 'log-entry-not-found', 'signature not found in transparency log'],
  ['only entries under other UUIDs', [{ [uuidOf(inV2)]: searchedOf(inV1) }], 'log-entry-invalid', none],
  ['only entries under UUIDs of another length', [{ [`0${uuidOf(inV1)}`]: searchedOf(inV1) }], 'log-entry-invalid', none],
  ['only entries that are none', [{ [uuidOf(inV1)]: { body: inV1.body.toString('base64') } }, 1, [1]], 'log-entry-invalid', none],
  ['an object', { code: 400 }, 'log-entry-invalid', 'searching log query: the answer is not a list'],
  [
    '33 entries',
    Array.from({ length: 33 }, () => ({ [uuidOf(inV1)]: searchedOf(inV1) })),
    'log-entry-invalid',
    'number of log entries (33) exceeded the limit (32)',
  ],
] as const) {
  test(`(search) ${title}: ${detail}`, () => {
    const read = readSearchAnswer(Buffer.from(JSON.stringify(answer)))
    assert.ok(!read.ok)
    assert.equal(read.reason.code, code)
    assert.equal(sentenceOf(read.reason), detail)
  })
}

test('whatever bytes come, every reader answers and none throws', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void readLogBundle(text)))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readSearchAnswer(bytes)))
})

test('whatever is changed in an annotation or an answer, what is believed stays the same', () => {
  const change = (sample: Buffer, at: number, cut: number, text: string): Buffer =>
    Buffer.concat([sample.subarray(0, at % sample.length), Buffer.from(text), sample.subarray((at % sample.length) + cut)])
  const believed = (read: Read<LogEntry>): void => {
    const got = read.ok ? verifyLogEntry(read.value, about, [v1.key, v2.key]) : read
    if (!got.ok) assert.ok(sentenceOf(got.reason).length > 0)
    else assert.deepEqual([got.value.at, got.value.index, got.value.logId], [NOON * 1000, inV1.index, v1.key.id])
  }
  const edits = [fc.nat(10_000), fc.nat(8), fc.string({ maxLength: 4 })] as const
  const samples = { annotation: Buffer.from(annotationOf(inV1)), answer: answerOf(inV1) }
  fc.assert(
    fc.property(...edits, (at, cut, text) => believed(readLogBundle(change(samples.annotation, at, cut, text).toString()))),
    { numRuns: 300 },
  )
  fc.assert(
    fc.property(...edits, (at, cut, text) => {
      const read = readSearchAnswer(change(samples.answer, at, cut, text))
      if (read.ok) for (const value of read.value) believed({ ok: true, value })
    }),
    { numRuns: 300 },
  )
})

test('lesson 39: 32 entries, each with 64 hashes, a large body and 32 signatures on its checkpoint, cost little', () => {
  const signer = makeSigner()
  const line = `— ${v1.name} ${Buffer.concat([v1.noteId.subarray(0, 4), signBytes(signer, Buffer.from('x'))]).toString('base64')}\n`
  const body = { ...bodyOf('hashedrekord 0.0.1', about), more: 'x'.repeat(1000 * 1000) }
  const handed = v1.enter(body)
  assert.ok(handed.proof)
  const entry = {
    ...handed,
    proof: { ...handed.proof, hashes: Array.from({ length: 64 }, () => strange), checkpoint: handed.proof.checkpoint + line.repeat(31) },
  }
  const start = performance.now()
  for (let i = 0; i < 32; i++) assert.match(why('bundle', entry) ?? '', /^verifying inclusion proof: a proof of 64 hashes/)
  assert.ok(performance.now() - start < 5000)
})
